"""A real Prometheus with the lab's rules is restarted while a hub is dead: it speaks of the hub, before and after.

If this fails, a restart of the NOC (or of Prometheus after an apply) sends a message for each site below the hub.
Everything runs fifteen times faster than in the city: a second is an evaluation, `for: 2m` is eight seconds.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ports import free_port
from promtool import PROJECT, program

from egovctl.paths import Inventory
from egovctl.plan import City, load
from egovctl.render import render_city
from egovctl.render.topology import is_measured

BELOW = ("minqin-education", "minqin-health", "town-caiqi", "village-xuebai", "switch-minqin")
UNITS = {"s": 1, "m": 60, "h": 3600}
FASTER = 15


def faster(text: str) -> str:
    """The rules with their waits a fifteenth as long; ranges in expressions stay as they are."""

    def shorter(match: re.Match[str]) -> str:
        return f"{match[1]}{max(1, int(match[2]) * UNITS[match[3]] // FASTER)}s"

    return re.sub(r"^( *(?:for|keep_firing_for|interval): )([0-9]+)([smh])$", shorter, text, flags=re.M)


@pytest.fixture
def hosts() -> Iterator[tuple[str, set[str]]]:
    """All hosts of the city on one port, /<host> each: the port's address, and who of them is dead."""
    dead: set[str] = set()

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if self.path.strip("/") in dead else 200)
            self.end_headers()
            self.wfile.write(f"alive 1\negov_watch_timestamp_seconds {time.time()}\n".encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", dead
    server.shutdown()


def configure(folder: Path, city: City, address: str) -> None:
    rendered = render_city(Inventory(PROJECT / "inventories/lab")).hosts["noc"].files
    for name in ("topology", "sites", "collection"):
        text = rendered[f"/etc/prometheus/egov.d/{name}.rules.yml"].decode()
        (folder / f"{name}.rules.yml").write_text(faster(text), encoding="utf-8")
    targets = []
    for host in filter(is_measured, city.hosts.values()):
        labels = {"host": host.name, "site": host.site, "__metrics_path__": f"/{host.name}"}
        targets.append({"targets": [address], "labels": labels | ({"county": host.county} if host.county else {})})
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [f"{folder}/*.rules.yml"],
        "scrape_configs": [{"job_name": "node", "static_configs": targets}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")


@contextmanager
def prometheus(folder: Path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Prometheus over the folder's data; gives a way to ask for its alerts, the dead-man left out."""
    address = f"127.0.0.1:{free_port()}"
    files = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("ab") as log:
        command = [program("prometheus"), *files, f"--web.listen-address={address}"]
        process = subprocess.Popen(command, stdout=log, stderr=log)

    def alerts() -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://{address}/api/v1/alerts", timeout=5) as answer:
            found = json.load(answer)["data"]["alerts"]
        return [item for item in found if item["labels"]["alertname"] != "Watchdog"]

    def answers() -> bool:
        try:
            alerts()
        except (urllib.error.URLError, OSError):
            return False
        return True

    try:
        until(answers, f"Prometheus should answer; see {folder}/log")
        yield alerts
    finally:
        process.terminate()
        process.wait(20)


def until(true: Callable[[], bool], what: str, seconds: float = 40) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, what
        time.sleep(0.2)


def firing(alerts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((a["labels"]["alertname"], a["labels"]["site"]) for a in alerts if a["state"] == "firing")


def test_a_restart_during_an_outage_speaks_of_the_hub_alone(tmp_path: Path, hosts: tuple[str, set[str]]) -> None:
    address, dead = hosts
    _, city = load(Inventory(PROJECT / "inventories/lab"))
    configure(tmp_path, city, address)
    hub = [("EgovSiteDown", "hub-minqin")]
    with prometheus(tmp_path) as alerts:
        time.sleep(3)  # everybody was alive once
        dead.update(BELOW)  # what is below is silent first
        time.sleep(2)
        dead.add("hub-minqin")
        until(lambda: firing(alerts()) == hub, "the dead hub is spoken of")
    with prometheus(tmp_path) as alerts:
        until(lambda: firing(alerts()) == hub, "and again after a restart")
        limit = time.monotonic() + 14  # longer than any `for` of a site or a host
        while time.monotonic() < limit:
            assert {site for _, site in firing(alerts())} <= {"hub-minqin"}
            time.sleep(0.5)
        (alert,) = [a for a in alerts() if a["state"] == "firing"]
        assert alert["annotations"]["summary_zh"] == "中断：民勤县汇聚节点（+4）"
        dead.clear()
        until(lambda: firing(alerts()) == [], "it ends when the hub answers")
        assert [a["labels"]["site"] for a in alerts()] == []
