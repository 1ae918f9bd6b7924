"""`egovctl doctor grafana` against a Grafana that is played by its HTTP API: what is wrong with it is found and told.

No real Grafana can be had from this project's package sources, so what is shown here is that the doctor judges well
what the documented API answers; the answers themselves are made here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from promtool import PROJECT

OUT = PROJECT / "dashboards/out/grafana"
TOKEN = "glsa_played_0123456789"


@dataclass
class Played:
    """What this Grafana is like. `empty` and `broken` are beginnings of expressions."""

    version: str = "11.6.0"
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    empty: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    elsewhere: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def answer(self, path: str, body: dict[str, Any] | None, token: str) -> tuple[int, Any]:
        if self.elsewhere:
            return 302, {}
        if path == "/api/health":
            return 200, {"database": "ok", "version": self.version}
        self.tokens.add(token)
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Unauthorized"}
        if path.startswith("/api/dashboards/uid/"):
            found = self.dashboards.get(path.rpartition("/")[2])
            return (200, {"dashboard": found, "meta": {}}) if found else (404, {"message": "Dashboard not found"})
        assert path == "/api/ds/query" and body is not None
        (query,) = body["queries"]
        self.asked.append(query)
        if query["expr"].startswith(self.broken or ("\0",)):
            return 400, {"results": {query["refId"]: {"error": "bad_data: parse error", "status": 400}}}
        values = [[1], [42]] if not query["expr"].startswith(self.empty or ("\0",)) else [[], []]
        fields = [{"name": "Time", "type": "time"}, {"name": "Value", "type": "number"}]
        frame = {"schema": {"refId": query["refId"], "fields": fields}, "data": {"values": values}}
        return 200, {"results": {query["refId"]: {"status": 200, "frames": [frame]}}}


@pytest.fixture
def grafana() -> Iterator[tuple[Played, str]]:
    played = Played()
    for path in OUT.glob("*.json"):
        made = json.loads(path.read_text(encoding="utf-8"))
        # Grafana adds its own.
        played.dashboards[made["uid"]] = {**made, "id": len(played.dashboards) + 1, "version": 1}

    class Handler(BaseHTTPRequestHandler):
        wbufsize = 1 << 16  # one packet an answer

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = played.answer(self.path, body, self.headers.get("Authorization", ""))
            text = json.dumps(answer).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", played.elsewhere)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _do

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield played, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def doctor(url: str, *options: str, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EGOV_PROJECT": str(PROJECT), "EGOV_LANG": "en", "COLUMNS": "200"}
    environment |= {"EGOV_GRAFANA_TOKEN": token} if token else {}
    command = [sys.executable, "-m", "egovctl", "doctor", "grafana", url, "-i", "lab", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert "Traceback" not in done.stderr and TOKEN not in done.stdout + done.stderr
    return done


def test_a_grafana_as_it_should_be_is_good(grafana: tuple[Played, str]) -> None:
    played, url = grafana
    done = doctor(url)
    panels = sum(len(json.loads(path.read_text(encoding="utf-8"))["panels"]) for path in OUT.glob("*.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    said = f"Grafana 11.6.0, {panels} panels (site=hub-minqin county=minqin link=hub-minqin:up0): has data {panels}"
    assert done.stdout.strip() == said
    # No variable is left in what was asked, and it is asked of our data source.
    assert not [query["expr"] for query in played.asked if "$" in query["expr"]]
    assert {query["datasource"]["uid"] for query in played.asked} == {"egov-prometheus"}


def test_what_is_wrong_is_named_and_exits_with_1(grafana: tuple[Played, str]) -> None:
    played, url = grafana
    del played.dashboards["egov-link-zh"]
    edited = played.dashboards["egov-wall-en"] = json.loads(json.dumps(played.dashboards["egov-wall-en"]))
    edited["panels"][0]["targets"][0]["expr"] = "vector(1)"
    played.empty = ("host:up:max", "max by (host) (host:up:max", "max by (severity")
    played.broken = ("topk(10, link:usage",)
    done = doctor(url)
    assert done.returncode == 1
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "link.zh MISSING Grafana does not have it" in rows
    assert "wall.en The city DIFFERS it is not as it was made; provision it again" in rows
    assert "wall.en Busiest links (of contract) ERROR bad_data: parse error" in rows
    # Hosts have other columns that have data; alerts may be empty.
    assert not [row for row in rows if "Hosts" in row or "Alerts" in row]
    assert "empty, as it may be" in rows[-1] and "MISSING 1" in rows[-1]
    played.empty = ("backup:", "max by (service, host)")
    assert "backups.en Backups NO DATA" in [" ".join(line.split()) for line in doctor(url).stdout.splitlines()]


@pytest.mark.parametrize(
    ("change", "token", "said"),
    [
        ({"version": "10.4.2"}, TOKEN, "is Grafana 10.4.2; the boards need 11 or newer"),
        ({"version": ""}, TOKEN, "is no Grafana"),
        ({}, None, "refuses (401): a token of a service account with role Viewer is needed"),
        ({"elsewhere": "http://127.0.0.1:1/"}, TOKEN, "answers 302"),
    ],
)
def test_what_cannot_be_judged_exits_with_3(
    grafana: tuple[Played, str], change: dict[str, Any], token: str | None, said: str
) -> None:
    played, url = grafana
    for name, value in change.items():
        setattr(played, name, value)
    done = doctor(url, token=token)
    assert done.returncode == 3 and said in done.stderr, done.stderr


def test_a_token_comes_from_a_file_that_nobody_else_reads(grafana: tuple[Played, str], tmp_path: Path) -> None:
    played, url = grafana
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n", encoding="utf-8")
    path.chmod(0o644)
    done = doctor(url, "--token-file", str(path), token=None)
    assert done.returncode == 2 and "others may read it" in done.stderr
    path.chmod(0o600)
    played.dashboards.clear()
    assert doctor(url, "--token-file", str(path), token=None).returncode == 1
    assert played.tokens == {f"Bearer {TOKEN}"}
    assert doctor("ftp://grafana", token=None).returncode == 2
    assert doctor("http://127.0.0.1:1", token=None).returncode == 3
