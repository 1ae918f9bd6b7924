"""The whole way of a website's evidence: a real server, the program of the NOC, a real Prometheus, a verdict on record.

If this fails, what the program writes is not what the checks ask for: every website would be unknown, or worse, good.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from ports import free_port
from promtool import program

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from website_town import Town, article, lab_with_websites, send, town

from egov_exporters.websites.book import Book, Visit
from egov_exporters.websites.config import Config
from egov_exporters.websites.main import METRICS, visit_all, walk_all
from egov_exporters.websites.metrics import exposition
from egovctl.assess.run import Assessment, run_standard
from egovctl.checks.context import open_context
from egovctl.errors import CannotMeasure
from egovctl.evidence import Chain
from egovctl.prometheus import query

PATIENCE = 30.0
FOOT = (
    '<meta name="SiteName" content="town"><meta name="SiteDomain" content="t"><meta name="SiteIDCode" content="1">'
    "<p>主办单位 ICP备1号 公网安备1号 标识码：6206000001</p><script src='//dcs.conac.cn/x.js'></script>"
    "<a href='mailto:a@b.example'>write</a>"
)
PLAN: dict[str, Any] = {
    "schema": 1,
    "websites": [
        {
            "name": "town",
            "title": {"zh": "门户", "en": "Portal"},
            "owner": "education",
            "url": "http://www.city.example/",
            "columns": [{"name": "news", "title": {"zh": "动态", "en": "News"}, "path": "/news/", "sort": "news"}],
        }
    ],
}


def week(failed: int) -> Iterator[Visit]:
    """Seven whole days of 24 visits each, so many of which did not open."""
    midnight = datetime.combine(date.today(), datetime.min.time()).timestamp()
    for n in range(7 * 24):
        came = "silent" if n < failed else "open"
        yield Visit(midnight - (7 * 24 - n) * 3600 + 60, "town", came, came, "tls", 0.2)


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """A Prometheus that scrapes one page each second."""
    address = f"127.0.0.1:{free_port()}"
    job = {"job_name": "node", "scrape_interval": "1s", "scrape_timeout": "1s"}
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": [job | {"static_configs": [{"targets": [target]}]}]}))
    files = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("wb") as log:
        command = [program("prometheus"), *files, f"--web.listen-address={address}"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def looked_at(place: Town, config: Config, home: Path, failed: int) -> str:
    """A visit and a walk by the program's own functions, after a week on record; what it then gives node_exporter."""
    home.mkdir()
    book = Book(home)
    for visit in week(failed):
        book.note(visit)
    asyncio.run(visit_all(config, book))
    asyncio.run(walk_all(config, book))
    (home / METRICS).write_text(exposition(config, book, time.time()))
    return (home / METRICS).read_text()


def assessed(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> list[Assessment]:
    """By the indicators, and by what is apart."""
    inventory = lab_with_websites(tmp_path, PLAN)
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    context = open_context(inventory)
    folder = tmp_path / "prometheus"
    folder.mkdir()

    def metrics(handler: BaseHTTPRequestHandler) -> None:
        send(handler, text.encode(), Content_Type="text/plain; version=0.0.4")

    with town() as node, prometheus(folder, f"127.0.0.1:{node.port}") as url:
        node.pages["/metrics"] = metrics
        limit = time.monotonic() + PATIENCE
        while not seen(url):
            assert time.monotonic() < limit, (folder / "log").read_text()[-2000:]
            time.sleep(0.1)
        monkeypatch.setattr("egovctl.checks.collect.prometheus.prometheus_url", lambda *_: url)
        chain = Chain(tmp_path / "control.jsonl")
        return [run_standard(context, name, chain) for name in ("websites-2019", "websites-apart")]


def seen(url: str) -> bool:
    try:
        return bool(query(url, "egov_website_look_timestamp_seconds"))
    except CannotMeasure:
        return False


def verdicts(found: Assessment) -> dict[str, str]:
    return {one.item: one.verdict.value for one in found.judged}


def test_a_good_website_is_met_where_machines_can_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = (date.today() - timedelta(days=2)).isoformat()
    with town("::1") as place:
        row = f"<ul><li><a href='/news/1.html'>a</a> {day}</li></ul>"
        place.pages["/"] = f"<html>{FOOT}<a href='/news/'>news</a>{row}</html>"
        place.pages["/news/"], place.pages["/news/1.html"] = f"<html>{row}</html>", article(day)
        config = place.config(("news", "/news/", 14 * 86400.0))
        text = looked_at(place, config, tmp_path / "home", failed=8)
    found, apart = assessed(tmp_path, text, monkeypatch)
    said = verdicts(found)
    assert {name for name, verdict in said.items() if verdict == "met"} == {"WS-V2", "WS-V3", "WS-S1a", "WS-S5e"}
    # Of these machines see a part only; the fault report (找错) is not linked, which is all that is wrong.
    assert all(said[name] == "needs_statement" for name in ("WS-V4a", "WS-V4b", "WS-S1b", "WS-S2a", "WS-S2b", "WS-S5c"))
    assert {name for name, verdict in said.items() if verdict in ("not_met", "partly")} == {"WS-S5b"}
    assert found.exit_code == 1 and set(verdicts(apart)) == {"WX-H1", "WX-H2"}


def test_a_bad_website_is_not_met_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with town() as place:
        place.pages["/"] = "<html><a href='/gone.html'>x</a><ul><li><a href='/b.html'>a</a> 2020-01-02</li></ul></html>"
        place.pages["/b.html"] = "<html><a href='/gone-too.html'>x</a></html>"
        place.pages["/news/"] = "<html>nothing yet</html>"
        text = looked_at(place, place.config(("news", "/news/", 1.0)), tmp_path / "home", failed=9)
    found, apart = assessed(tmp_path, text, monkeypatch)
    bad = {name for name, verdict in verdicts(found).items() if verdict == "not_met"}
    assert bad == {"WS-V2", "WS-V3", "WS-S1a", "WS-S1b", "WS-S2a", "WS-S2b", "WS-S5b", "WS-S5c", "WS-S5e"}
    details = {result.check: result.detail["en"] for result in found.results}
    assert details["websites-open"] == "9 of 168 visits of a week failed; 7 days had twenty visits"
    assert "dead links on the home page: 1 to itself, 0 to elsewhere" in details["websites-links-home"]
    # Five columns that are overdue would fail it; it has one.
    assert verdicts(found)["WS-V4a"] == "needs_statement"
    assert verdicts(apart) == {"WX-H1": "not_met", "WX-H2": "not_met"}
