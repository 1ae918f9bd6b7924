"""What is asked and how long it takes: each panel's queries, our server's pages, the wall's first paint."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from played_city import Played, answers, until
from playwright.sync_api import sync_playwright
from ports import free_port
from promtool import PROJECT, program

from egovctl.boards import read_boards
from egovctl.boards.doctor import values_of
from egovctl.boards.queries import expression
from egovctl.signals import read_catalogue
from egovctl.web.view import RANGES

RANGED = ("lines", "timeline")
KEPT = 5.2  # seconds; our server keeps answers for a third of an evaluation, which is 5
LONG = ("24h", "7d", "30d")


def took(url: str, what: str, query: dict[str, str]) -> float:
    """Milliseconds that Prometheus' answer took, whole."""
    data = urllib.parse.urlencode(query).encode()
    begin = time.perf_counter()
    with urllib.request.urlopen(f"{url}/api/v1/{what}", data=data, timeout=60) as answer:
        body = answer.read()
    spent = (time.perf_counter() - begin) * 1000
    assert json.loads(body)["status"] == "success"
    return spent


def queries(url: str, played: Played, rounds: int, only: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Of each page, by name and range: how many queries, median and worst (ms), and the slowest median."""
    dashboards = PROJECT / "dashboards"
    catalogue = read_catalogue(dashboards)
    values = values_of(played.plan, played.city)
    found: dict[str, dict[str, Any]] = {}
    for board in read_boards(dashboards, catalogue).values():
        if only and board.name not in only:
            continue
        value = values.get(board.of or "")
        for span in RANGES if any(panel.kind == "lines" for panel in board.panels) else ["24h"]:
            times: dict[str, list[float]] = {}
            for _ in range(rounds):
                for panel in board.panels:
                    for shown in panel.show:
                        query, what = {"query": expression(panel, shown, value)}, "query"
                        if panel.kind in RANGED:
                            wide, step = RANGES[span]
                            now = time.time()
                            what = "query_range"
                            query |= {"start": f"{now - wide:.0f}", "end": f"{now:.0f}", "step": str(step)}
                        times.setdefault(f"{panel.name} {shown.signal}", []).append(took(url, what, query))
            medians = {name: statistics.median(one) for name, one in times.items()}
            slowest = max(medians, key=lambda name: medians[name])
            whole = [each for one in times.values() for each in one]
            over = f" over {span}" if any(panel.kind in RANGED for panel in board.panels) else ""
            found[board.name + over] = {
                "queries": len(medians),
                "median_ms": statistics.median(whole),
                "worst_ms": max(whole),
                "slowest": slowest,
                "slowest_ms": medians[slowest],
            }
    return found


def cpu(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds that the process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(inventory: str, url: str) -> Iterator[str]:
    """Our server on this Prometheus; gives its address."""
    number = free_port()
    command = [sys.executable, "-m", "egovctl", "serve", "-i", inventory, "--prometheus", url]
    environment = {**os.environ, "EGOV_PROJECT": str(PROJECT)}
    server = subprocess.Popen([*command, "--listen", f"127.0.0.1:{number}"], env=environment, stdout=subprocess.DEVNULL)
    try:
        until(lambda: answers(f"http://127.0.0.1:{number}/page/wall"), "our server should answer")
        yield f"http://127.0.0.1:{number}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)


def pages(base: str, played: Played, rounds: int) -> dict[str, dict[str, float]]:
    """Median and worst time (ms) of whole pages from our server; each was asked of Prometheus anew."""
    counties = ["_city", *(county.name for county in played.plan.counties)]
    sites = [place.name for place in played.topology.places][:: max(1, len(played.topology.places) // 12)]
    links = [link.name for link in played.topology.links][:: max(1, len(played.topology.links) // 12)]
    asked = {"wall": ["wall"], "map": ["map"], "changes": ["changes"]}
    for span in LONG:
        for board, values in (("county", counties), ("site", sites), ("link", links)):
            asked[f"{board} over {span}"] = [f"{board}/{value}?range={span}" for value in values]
    found = {}
    for name, paths in asked.items():
        times = []
        for _ in range(rounds):
            begun = time.monotonic()
            for path in paths:
                begin = time.perf_counter()
                with urllib.request.urlopen(f"{base}/page/{path}", timeout=60) as answer:
                    answer.read()
                times.append((time.perf_counter() - begin) * 1000)
            time.sleep(max(0.0, KEPT - (time.monotonic() - begun)))
        found[name] = {"median_ms": statistics.median(times), "worst_ms": max(times), "pages": len(paths)}
    return found


def paints(base: str, rounds: int) -> dict[str, list[float]]:
    """The wall in a browser that has never seen it: when it is there, and when its first paint with data is (ms)."""
    painted, served_at = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1920, "height": 1080})
            page = context.new_page()
            page.goto(f"{base}/page/wall?lang=zh")
            page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
            # What is painted first is the whole page, data and all: it comes from the server so.
            assert page.locator("section.panel[data-state=nodata]").count() == 0
            found: dict[str, Any] = page.evaluate(
                "() => ({paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,"
                " served: performance.getEntriesByType('navigation')[0].responseEnd})"
            )
            painted.append(found["paint"])
            served_at.append(found["served"])
            context.close()
            time.sleep(KEPT)  # longer than answers are kept, so that Prometheus is asked anew
        browser.close()
    return {"painted_ms": painted, "served_ms": served_at}
