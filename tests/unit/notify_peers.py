"""What egov_notify talks to, small and in this process: a relay that keeps letters, a gateway that keeps requests."""

from __future__ import annotations

import json
import socketserver
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Letter
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from egov_notify.config import Config, read_config

CITY = {"zh": "某市", "en": "A city"}


def person(name: str = "duty", **fields: Any) -> dict[str, Any]:
    """A recipient as in the configuration, told of everything by mail unless `fields` say otherwise."""
    base = {"language": "zh", "ways": ["mail"], "severities": ["critical", "warning"], "counties": None}
    return {"name": name, **base, "mail": f"{name}@example.org", "mobile": "10000000001", **fields}


def config(*recipients: Mapping[str, Any], **fields: Any) -> Config:
    """A configuration with these recipients."""
    return read_config({"city": CITY, "recipients": recipients or (person(),), **fields})


def alert(name: str = "EgovSiteDown", mark: str = "a", status: str = "firing", **labels: str) -> dict[str, Any]:
    """An alert as Alertmanager posts it."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "critical", "site": "hub-minqin", "county": "minqin", **labels},
        "annotations": {
            "summary": "DOWN: Minqin County hub (+4)",
            "summary_zh": "中断：民勤县汇聚节点（+4）",
            "description": "No host answers.",
            "description_zh": "所有主机都没有应答。",
            "runbook": "dashboards/sites/runbook.md#egovsitedown",
        },
        "startsAt": "2026-11-26T11:40:00.123Z",
        "fingerprint": mark,
    }


def posted(*alerts: Mapping[str, Any], receiver: str = "county-minqin", **group: str) -> dict[str, Any]:
    """A notification of Alertmanager's with these alerts; resolved when none of them fires."""
    firing = any(item["status"] == "firing" for item in alerts)
    labels = group or {"county": "minqin", "site": "hub-minqin"}
    return {
        "version": "4",
        "receiver": receiver,
        "status": "firing" if firing else "resolved",
        "groupLabels": labels,
        "alerts": list(alerts),
    }


@dataclass
class Relay:
    """SMTP on a port of its own. `refuse`: the code that each recipient is answered with; 0: taken."""

    port: int = 0
    refuse: int = 0
    letters: list[tuple[str, list[str], Letter]] = field(default_factory=list)


@contextmanager
def relay() -> Iterator[Relay]:
    kept = Relay()

    class Session(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 relay")
            sender, to = "", []
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                if verb == "MAIL":
                    sender, to = line.partition("<")[2].partition(">")[0], []
                    self.say("250 ok")
                elif verb == "RCPT":
                    to.append(line.partition("<")[2].partition(">")[0])
                    self.say(f"{kept.refuse} no" if kept.refuse else "250 ok")
                elif verb == "DATA":
                    self.say("354 go on")
                    data = b""
                    while (part := self.rfile.readline()) != b".\r\n":
                        data += part.removeprefix(b".") if part.startswith(b"..") else part
                    kept.letters.append((sender, to, message_from_bytes(data, policy=default)))
                    self.say("250 kept")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        kept.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield kept
        server.shutdown()


@dataclass
class Gateway:
    """HTTP on a port of its own; each request is (path, fields, headers). `status` and `answer` are what it says."""

    url: str = ""
    status: int = 200
    answer: Mapping[str, Any] = field(default_factory=lambda: {"code": "0", "errcode": 0})
    requests: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)


@contextmanager
def gateway(port: int = 0) -> Iterator[Gateway]:
    kept = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found = json.loads(body) if body.startswith("{") else dict(urllib.parse.parse_qsl(body))
            self.reply(found)

        def do_GET(self) -> None:
            self.reply(dict(urllib.parse.parse_qsl(self.path.partition("?")[2])))

        def reply(self, fields: dict[str, Any]) -> None:
            if kept.status < 300:
                kept.requests.append((self.path, fields, dict(self.headers.items())))
            self.send_response(kept.status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(json.dumps(kept.answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, what
        time.sleep(0.02)
