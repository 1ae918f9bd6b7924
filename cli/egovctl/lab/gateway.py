"""The city platform's gateway of text messages in the lab: takes what the plan's template sends, and keeps it.

    python -m egovctl.lab.gateway --listen 10.64.2.10:8090 --log /run/egov-lab/lab/sms.jsonl --plan DIR --secret-file F

It stands in for a platform that no lab can reach. As such platforms do it refuses a request with another signature than
the plan's, one that came before, and one whose time is not now; every one that is taken is a line of JSON in the log:
when, to whom, what, and all its fields.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import click

from egovctl.paths import Inventory
from egovctl.plan import City, Plan, load_plan
from egovctl.plan.models import SmsHttp, SmsSignature

LONGEST = 65_536
WINDOW = 300.0  # seconds that a request's time may be off
TIMES: dict[str, Callable[[str], float]] = {
    "{seconds}": float,
    "{milliseconds}": lambda text: float(text) / 1000,
    "{time}": lambda text: datetime.strptime(f"{text}+0800", "%Y%m%d%H%M%S%z").timestamp(),
}
SECRET = "notify_sms_secret"  # noqa: S105 - the name, not the value


def planned_gateway(plan: Plan) -> SmsHttp | None:
    """The plan's first gateway over HTTP; None when it has none."""
    found = plan.contacts.sms if plan.contacts else ()
    return next((item for item in found if isinstance(item, SmsHttp)), None)


def listens_at(plan: Plan, city: City) -> str:
    """ADDRESS:PORT that the lab runs it at: where the plan's gateway is at control's own address; else ""."""
    gateway = planned_gateway(plan)
    place = urlsplit(gateway.url) if gateway else None
    if place is None or place.scheme != "http" or place.hostname is None:
        return ""
    at_control = any(host.role == "control" and host.address_v4 == place.hostname for host in city.hosts.values())
    return f"{place.hostname}:{place.port or 80}" if at_control else ""


def signed(sign: SmsSignature, fields: Mapping[str, str], secret: str) -> str:
    """What the signature must be. Written for itself, so that it can be an oracle for the sender's."""
    text = "&".join("=".join(pair) for pair in sorted(fields.items())) + (sign.tail or "").replace("{secret}", secret)
    algorithm = sign.algorithm.removeprefix("hmac-")
    if sign.algorithm.startswith("hmac-"):
        value = hmac.digest(secret.encode(), text.encode(), algorithm)
    else:
        value = hashlib.new(algorithm, text.encode(), usedforsecurity=False).digest()
    shown = {"hex": value.hex(), "HEX": value.hex().upper(), "base64": base64.b64encode(value).decode()}
    return shown[sign.encoding]


def judge(gateway: SmsHttp, fields: dict[str, str], secret: str) -> str:
    """What is wrong with a request; "" when it is taken."""
    wanted = set(gateway.fields) | ({gateway.sign.field} if gateway.sign else set())
    if set(fields) != wanted:
        return "fields"
    if gateway.sign is not None:
        rest = {name: value for name, value in fields.items() if name != gateway.sign.field}
        if not hmac.compare_digest(signed(gateway.sign, rest, secret), fields[gateway.sign.field]):
            return "signature"
    return ""


class Memory:
    """What came before: a signed request is taken once, and only at its time; one without a signature always."""

    def __init__(self, gateway: SmsHttp) -> None:
        self.gateway = gateway
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def judge(self, fields: Mapping[str, str], now: float) -> str:
        """What is wrong with a request whose signature is right: "time", "replay"; "" when it is taken."""
        if self.gateway.sign is None:
            return ""
        for name, template in self.gateway.fields.items():
            if template in TIMES and abs(TIMES[template](fields[name]) - now) > WINDOW:
                return "time"
        with self._lock:
            mark = fields[self.gateway.sign.field]
            if mark in self._seen:
                return "replay"
            self._seen.add(mark)
            return ""


def _roles(gateway: SmsHttp, fields: Mapping[str, str]) -> dict[str, str]:
    """The words that the plan's template put into the fields: to whom, what, which."""
    found = {}
    for word in ("mobile", "text", "id"):
        for name, template in gateway.fields.items():
            if "{" + word + "}" in template:
                found[word] = fields[name]
    return found


def server(gateway: SmsHttp, address: tuple[str, int], log: Path, secret_file: Path) -> ThreadingHTTPServer:
    """The stand-in at that address, still to be served."""
    memory = Memory(gateway)

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), LONGEST)
            self._take(self.rfile.read(length).decode(errors="replace"))

        def do_GET(self) -> None:
            self._take(urlsplit(self.path).query)

        def _take(self, body: str) -> None:
            fields = _fields(body)
            secret = secret_file.read_text(encoding="utf-8").strip() if secret_file.exists() else ""
            wrong = judge(gateway, fields, secret) or memory.judge(fields, time.time())
            if not wrong:
                line = {"at": time.time(), **_roles(gateway, fields), "fields": fields}
                with log.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(line, ensure_ascii=False) + "\n")
                    stream.flush()
                    os.fsync(stream.fileno())
            answer = gateway.accepted if not wrong else dict.fromkeys(gateway.accepted, wrong)
            data = json.dumps(answer).encode()
            self.send_response(403 if wrong and not gateway.accepted else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing: the log has what was taken."""

    return ThreadingHTTPServer(address, Handler)


def _fields(body: str) -> dict[str, str]:
    if body.startswith("{"):
        try:
            return {str(name): str(value) for name, value in json.loads(body).items()}
        except (ValueError, AttributeError):
            return {}
    return dict(urllib.parse.parse_qsl(body, keep_blank_values=True))


@click.command()
@click.option("--listen", required=True)
@click.option("--log", type=click.Path(path_type=Path), required=True)
@click.option("--plan", "folder", type=click.Path(path_type=Path), required=True)
@click.option("--secret-file", type=click.Path(path_type=Path), required=True)
def main(listen: str, log: Path, folder: Path, secret_file: Path) -> None:
    """Serve the plan's gateway until it is killed."""
    gateway = planned_gateway(load_plan(Inventory(folder)))
    if gateway is None:
        raise click.ClickException("the plan has no gateway over HTTP")
    host, _, port = listen.rpartition(":")
    server(gateway, (host, int(port)), log, secret_file).serve_forever()


if __name__ == "__main__":
    main()
