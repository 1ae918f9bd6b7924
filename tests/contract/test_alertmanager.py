"""Who is told: Debian's own Alertmanager with the configuration that render makes of the plan.

If these fail, one incident becomes many messages, goes to the wrong county, or stays on the NOC's disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ports import free_port
from promtool import PROJECT, program

from egovctl.paths import Inventory
from egovctl.plan import load
from egovctl.render import render_city
from egovctl.render.bundle import load_bundles
from egovctl.render.workshop import Workshop

CONFIGURATION = "/etc/prometheus/alertmanager.yml"


def rendered(name: str, **knobs: str) -> str:
    """alertmanager.yml of the city's NOC with these knobs turned."""
    (bundle,) = [item for item in load_bundles(PROJECT / "playbooks/roles") if item.name == "alertmanager"]
    plan, city = load(Inventory(PROJECT / "inventories" / name))
    (noc,) = (host for host in city.hosts.values() if host.role == "noc")
    template = Workshop.of([bundle]).templates["alertmanager"].get_template("alertmanager.yml.j2")
    return template.render({**bundle.defaults, **knobs, "plan": plan, "host": noc, "header": "-"})


def amtool(*arguments: str | Path) -> str:
    command = [program("amtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["lab", "wuwei"])
@pytest.mark.parametrize("webhook", ["", "http://127.0.0.1:1/"])
def test_amtool_takes_it_and_every_county_has_its_receiver(name: str, webhook: str, tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(rendered(name, alertmanager_webhook=webhook), encoding="utf-8")
    amtool("check-config", path)

    def receiver(*labels: str) -> str:
        return amtool("config", "routes", "test", "--config.file", path, *labels).strip()

    plan, _ = load(Inventory(PROJECT / "inventories" / name))
    for county in plan.counties:
        assert receiver("severity=critical", f"county={county.name}", "site=x") == f"county-{county.name}"
        assert receiver("severity=info", f"county={county.name}") == "board"
    assert receiver("severity=warning", "site=core") == "city"
    assert receiver("severity=none", "alertname=Watchdog") == "watchdog"


def test_it_is_heard_on_the_loopback_alone_and_prometheus_knows_it() -> None:
    noc = render_city(Inventory(PROJECT / "inventories/lab")).hosts["noc"]
    arguments = noc.files["/etc/default/prometheus-alertmanager"].decode()
    assert "--web.listen-address=127.0.0.1:9093 " in arguments and "--cluster.listen-address= " in arguments
    alerting = yaml.safe_load(noc.files["/etc/prometheus/prometheus.yml"])["alerting"]
    assert alerting == {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9093"]}]}]}
    (entry,) = [item for item in noc.manifest["files"] if item["path"] == CONFIGURATION]
    assert entry["validate"] == "amtool check-config %s"


@pytest.fixture
def inbox() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook that keeps what it gets: its address, and the messages."""
    messages: list[dict[str, Any]] = []

    class Keeper(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", messages
    server.shutdown()


def until(true: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + 20
    while not true():
        assert time.monotonic() < limit, what
        time.sleep(0.05)


@pytest.fixture
def alertmanager(tmp_path: Path, inbox: tuple[str, list[dict[str, Any]]]) -> Iterator[str]:
    """The real program on a port of its own, quick at grouping.

    Debian's looks for its templates at one place only; they are put there in a mount namespace of its own.
    """
    quick = {"alertmanager_group_wait": "1s", "alertmanager_group_interval": "1s"}
    text = rendered("wuwei", alertmanager_webhook=inbox[0], **quick)
    (tmp_path / "alertmanager.yml").write_text(text, encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    arguments = [
        f"--config.file={tmp_path}/alertmanager.yml",
        f"--storage.path={tmp_path}",
        "--cluster.listen-address=",
    ]
    with (tmp_path / "log").open("wb") as log:
        alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
        if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
            pytest.skip("no mount namespace can be made here")
        start = 'mount -t tmpfs none /usr/share && cp -r "$0" /usr/share/ && exec "$@"'
        command = [program("prometheus-alertmanager"), *arguments, f"--web.listen-address={address}"]
        shared = PROJECT / ".tools/usr/share/prometheus"
        process = subprocess.Popen([*alone, "sh", "-c", start, shared, *command], stdout=log, stderr=log)
    try:
        until(lambda: ready(address), f"it should start; see {tmp_path}/log")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def send(address: str, *alerts: dict[str, str], over: bool = False) -> None:
    ends = {"endsAt": datetime.now(UTC).isoformat()} if over else {}
    body = json.dumps([{"labels": labels, "annotations": {}, **ends} for labels in alerts]).encode()
    request = urllib.request.Request(f"http://{address}/api/v2/alerts", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=5).close()


def test_one_incident_is_one_message_and_one_when_it_ends(
    alertmanager: str, inbox: tuple[str, list[dict[str, Any]]]
) -> None:
    messages = inbox[1]
    hub = {"site": "hub-minqin", "county": "minqin"}
    down = {"alertname": "EgovSiteDown", "severity": "critical", **hub}
    drift = {"alertname": "EgovDrift", "severity": "warning", "host": "hub-minqin", **hub}
    noise = {"alertname": "EgovTrapsDropped", "severity": "info", "site": "noc"}
    elsewhere = {"alertname": "EgovSiteDown", "severity": "critical", "site": "hub-gulang", "county": "gulang"}
    send(alertmanager, down, drift, noise, elsewhere)
    until(lambda: {m["receiver"] for m in messages} >= {"county-minqin", "county-gulang"}, "two counties are told")
    (one,) = [m for m in messages if m["receiver"] == "county-minqin"]
    assert sorted(a["labels"]["alertname"] for a in one["alerts"]) == ["EgovDrift", "EgovSiteDown"]
    send(alertmanager, down, drift, over=True)
    until(lambda: any(m["status"] == "resolved" for m in messages), "the end is told")
    (end,) = [m for m in messages if m["status"] == "resolved"]
    assert end["receiver"] == "county-minqin" and len(end["alerts"]) == 2
    assert {m["receiver"] for m in messages} <= {"county-minqin", "county-gulang"}, "what is for the board wakes nobody"
