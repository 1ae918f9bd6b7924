"""A website on the LAN of services, visited and walked through by the NOC's own units as they are applied.

If these fail, the websites of a plan are never seen: the program works in its tests, and not in its unit's cage, not
through the city's firewalls, or nobody scrapes what it writes.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, CityLab

from egovctl.assess.kept_results import folder_of
from egovctl.boards import read_boards
from egovctl.lab.users import ensure_user_namespace
from egovctl.plan import load
from egovctl.prometheus import prometheus_url, query
from egovctl.signals import read_catalogue

pytestmark = pytest.mark.lab
SITE, NAME = "shared-services", "town"
TOLD = "/var/lib/prometheus/node-exporter/egov_websites.prom"
OPEN = f'egov_website_open{{website="{NAME}",family="4"}}'
WALKED = f'egov_website_walk_read{{website="{NAME}"}} == 1'
# What the board shows of a website once a whole day is over, or of one with a certificate.
LATER = {"website:week_failed:ratio", "website:certificate_left:min"}
PATIENCE = 120.0
SERVE = """
import http.server, sys
http.server.ThreadingHTTPServer.daemon_threads = True
server = http.server.ThreadingHTTPServer((sys.argv[1], 80), http.server.SimpleHTTPRequestHandler)
print("listens", flush=True)
server.serve_forever()
"""


@contextmanager
def served(namespace: Path, address: str, folder: Path) -> Iterator[None]:
    """A web server on a computer of the services' LAN, which listens."""
    command = ["nsenter", f"--net={namespace}", "--", sys.executable, "-I", "-c", SERVE, address]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"listens\n"
            yield
        finally:
            process.terminate()


def visited(lab: CityLab, what: str) -> str:
    """What node_exporter is given once the unit has run."""
    # A start alone would join one that the timer began before what is to be seen was there.
    lab.on("noc", f"systemctl stop egov-website-{what}.service; systemctl start egov-website-{what}.service")
    return lab.on("noc", f"cat {TOLD}").stdout


def judged(lab: CityLab) -> dict[str, dict[str, Any]]:
    """check → its result on the website."""
    where = ("-i", str(lab.inventory.root), "--format", "json")
    done = lab.egovctl("assess", "run", "websites-2019", *where, check=False)
    assert done.returncode in (1, 3), done.stdout[-2000:] + done.stderr[-2000:]
    run = json.loads(done.stdout)["run"]
    results = json.loads(gzip.decompress((folder_of(lab.inventory) / f"{run}.json.gz").read_bytes()))["results"]
    return {result["check"]: result for result in results if result["subject"] == NAME}


def test_a_website_of_the_plan_is_visited_walked_through_and_judged(city_lab: CityLab, tmp_path: Path) -> None:
    _, city = load(city_lab.inventory)
    place = ensure_user_namespace(city_lab.inventory, city, SITE)
    day = (date.today() - timedelta(days=2)).isoformat()
    row = f"<ul><li><a href='/news/1.html'>a</a> {day}</li></ul>"
    pages = {
        "index.html": f"<html><a href='/gone.html'>x</a><a href='/news/'>n</a>{row}</html>",
        "news/index.html": f"<html>{row}</html>",
        "news/1.html": f"<html><p>{day}</p></html>",
    }
    for name, text in pages.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    column = {"name": "news", "title": {"zh": "动态", "en": "News"}, "path": "/news/", "sort": "news"}
    website = {"name": NAME, "title": {"zh": "门户", "en": "Portal"}, "owner": SITE, "url": f"http://{place.v4}/"}
    file = city_lab.inventory.plan_dir / "websites.yml"
    file.write_text(yaml.safe_dump({"schema": 1, "websites": [{**website, "columns": [column]}]}, allow_unicode=True))
    try:
        city_lab.playbook("playbooks/site.yml")
        with served(place.namespace, place.v4, tmp_path):
            assert f"{OPEN} 1\n" in visited(city_lab, "visit")
            visited(city_lab, "walk")
            dead = city_lab.on("noc", f"/usr/local/lib/egov/egov-websites dead {NAME}").stdout
            assert "/gone.html" in dead and "/news/" not in dead
            url, limit = prometheus_url(city_lab.inventory, city), time.monotonic() + PATIENCE
            # What the walk wrote last: a scrape between the two has the visit alone.
            while not query(url, WALKED):
                assert time.monotonic() < limit, "nobody scrapes what the walk wrote"
                time.sleep(1)
            board = read_boards(REPOSITORY / "dashboards", read_catalogue(REPOSITORY / "dashboards"))["websites"]
            shown = {one.signal for panel in board.panels for one in panel.show} - LATER
            while missing := [name for name in sorted(shown) if not query(url, f'{name}{{website="{NAME}"}}')]:
                assert time.monotonic() < limit, f"the board has nothing of {missing}"
                time.sleep(1)
            city_lab.on("noc", "systemctl start egov-watch.service")  # as each minute: it knows now whose that is
            seen = judged(city_lab)
            assert seen["websites-links-home"]["status"] == "fail", seen["websites-links-home"]
            # An hour is no week: it is said so, not that all is well.
            assert seen["websites-open"]["status"] == "unknown", seen["websites-open"]
        assert f"{OPEN} 0\n" in visited(city_lab, "visit")
    finally:
        file.unlink()
        city_lab.playbook("playbooks/site.yml")
    left = city_lab.on("noc", "ls /etc/egov/websites.json; systemctl is-active egov-website-visit.timer", check=False)
    assert left.stdout.strip() == "inactive"
    # What was told last would be an alert for ever.
    city_lab.on("noc", f"systemctl start egov-watch.service && test ! -e {TOLD}")
