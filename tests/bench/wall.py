"""What the wall costs: a city's recorded signals of 30 days back-filled, its hosts played and scraped as the NOC does.

Prints the median time of the queries of each page's panels, of a page from our server, of the first paint with data in
a browser, and what share of a core Prometheus takes, of which the rules are a part. Nothing is written but a
temporary folder, on the disk that TMPDIR names (about 1 GB).

    python tests/bench/wall.py [--inventory wuwei] [--days 30] [--step 300] [--rounds 30] [--seconds 150]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))

from played_city import Played, answers, asked, configure, hosts_of, port, prometheus, until
from playwright.sync_api import sync_playwright
from promtool import PROJECT, program, promtool

from egovctl.boards import read_boards
from egovctl.boards.doctor import values_of
from egovctl.boards.queries import expression
from egovctl.signals import read_catalogue
from egovctl.web.view import RANGES

BLOCK = 7200
DAY = 86400
RANGED = ("lines", "timeline")


def series(played: Played) -> Iterator[tuple[str, str, float, float]]:
    """(name, labels, middle, swing) of each recorded series of sites, hosts and links."""
    for place in played.topology.places:
        county = f',county="{place.county}"' if place.county else ""
        titles = f',zh="{place.title.zh}",en="{place.title.en}"'
        yield "site:up:max", f'site="{place.name}"{county}', 1, 0
        yield "site:state:max", f'site="{place.name}"{county}{titles}', 1, 0
    for host in played.topology.hosts:
        county = f',county="{host.county}"' if host.county else ""
        labels = f'host="{host.name}",site="{host.site}"{county}'
        yield "host:up:max", labels, 1, 0
        for name in ("host:cpu_busy:ratio", "host:memory_used:ratio"):
            yield name, labels, 0.3, 0.2
    for link in played.topology.links:
        county = f',county="{link.county}"' if link.county else ""
        labels = f'link="{link.name}",site="{link.site}",peer_site="{link.peer_site}"{county},medium="{link.medium}"'
        yield "link:up:min", labels, 1, 0
        yield "link:contract_bits:max", labels, link.bits_per_second, 0
        for name, share in (("link:receive_bits:rate2m", 0.4), ("link:transmit_bits:rate2m", 0.15)):
            yield name, labels, link.bits_per_second * share, link.bits_per_second * share * 0.8
        yield "link:usage:ratio", labels, 0.4, 0.32
        yield "link:errors:ratio5m", labels, 0.00001, 0.00001


def back_fill(folder: Path, played: Played, days: float, step: int, end: float) -> int:
    """Blocks of two hours under folder/data; gives how many samples are in them."""
    wanted = sorted(series(played))
    first = math.floor((end - days * DAY) / BLOCK) * BLOCK
    count = 0
    for begin in range(first, math.floor(end / BLOCK) * BLOCK, BLOCK):
        lines, before = [], ""
        for number, (name, labels, middle, swing) in enumerate(wanted):
            if name != before:
                lines.append(f"# TYPE {name} gauge")
                before = name
            for at in range(begin, begin + BLOCK, step):
                value = middle + swing * math.sin(at / 13000 + number)
                lines.append(f"{name}{{{labels}}} {value:.6g} {at}")
                count += 1
        path = folder / "samples.txt"
        path.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
        promtool("tsdb", "create-blocks-from", "openmetrics", "-q", path, folder / "data")
    return count


def took(url: str, what: str, query: dict[str, str]) -> float:
    """Milliseconds that Prometheus' answer took, whole."""
    data = urllib.parse.urlencode(query).encode()
    begin = time.perf_counter()
    with urllib.request.urlopen(f"{url}/api/v1/{what}", data=data, timeout=60) as answer:
        assert json.load(answer)["status"] == "success"
    return (time.perf_counter() - begin) * 1000


def queries(url: str, played: Played, rounds: int) -> None:
    """The median of each page's queries, charts over each range; and the slowest query of all."""
    dashboards = PROJECT / "dashboards"
    catalogue = read_catalogue(dashboards)
    values = values_of(played.plan, played.city)
    for board in read_boards(dashboards, catalogue).values():
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
            medians = {name: statistics.median(found) for name, found in times.items()}
            slowest = max(medians, key=lambda name: medians[name])
            whole = statistics.median(time for found in times.values() for time in found)
            over = f" over {span}" if any(panel.kind in RANGED for panel in board.panels) else ""
            print(
                f"  {board.name}{over}: {len(medians)} queries, median {whole:.1f} ms,"
                f" slowest {medians[slowest]:.1f} ms ({slowest})"
            )


def cpu(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds that the process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rules_share(url: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    """Prometheus' CPU while it scrapes and reckons, and the time that the rules took by its own clock."""
    share = "sum(prometheus_rule_group_last_duration_seconds / prometheus_rule_group_interval_seconds)"
    begin, used = time.monotonic(), cpu(process)
    seen = []
    while time.monotonic() - begin < seconds:
        time.sleep(5)
        seen += [float(sample["value"][1]) for sample in asked(url, share)]
    spent = (cpu(process) - used) / (time.monotonic() - begin)
    print(f"  Prometheus, scrapes and rules together: {spent * 100:.1f} % of a core (CPU time over {seconds:.0f} s)")
    print(f"  rules, by the clock: median {statistics.median(seen) * 100:.1f} %, least {min(seen) * 100:.1f} %")


def paints(base: str, rounds: int) -> None:
    """The wall in a browser that has never seen it: when it is there, and when its first paint with data is."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        painted, served = [], []
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
            served.append(found["served"])
            context.close()
            time.sleep(6)  # longer than answers are kept, so that Prometheus is asked anew
        browser.close()
    print(f"  the page served: median {statistics.median(served):.0f} ms, worst {max(served):.0f} ms")
    print(f"  first paint with data: median {statistics.median(painted):.0f} ms, worst {max(painted):.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inventory", default="wuwei")
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--step", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=150)
    options = parser.parse_args()
    played, number, ours = Played.of(options.inventory), port(), port()
    with tempfile.TemporaryDirectory() as name, hosts_of(played) as address:
        folder = Path(name)
        begin = time.monotonic()
        count = back_fill(folder, played, options.days, options.step, time.time() - 3 * 3600)
        spent, topology = time.monotonic() - begin, played.topology
        print(
            f"{len(topology.places)} sites, {len(topology.hosts)} hosts, {len(topology.links)} links:"
            f" {count:,} samples back-filled in {spent:.0f} s, one each {options.step} s"
        )
        configure(folder, played, address, number)
        blocks = ("--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h")
        retention = "--storage.tsdb.retention.time=400d"
        with prometheus(folder, number, *blocks, retention) as (url, process):
            until(lambda: len(asked(url, "link:receive_bits:rate2m")) > 10, "rates should be there", 240)
            time.sleep(60)
            print("Prometheus at work:")
            rules_share(url, process, options.seconds)
            total = float(asked(url, "prometheus_tsdb_head_series")[0]["value"][1])
            each = total / len(played.topology.places)
            print(f"  {total:,.0f} series, {each:.0f} a site (of what is played here)")
            print(f"queries, {options.rounds} rounds:")
            queries(url, played, options.rounds)
            command = [sys.executable, "-m", "egovctl", "serve", "-i", options.inventory, "--prometheus", url]
            server = subprocess.Popen([*command, "--listen", f"127.0.0.1:{ours}"])
            try:
                base = f"http://127.0.0.1:{ours}"
                until(lambda: answers(f"{base}/page/wall"), "our server should answer")
                print("the wall in a browser:")
                paints(base, min(options.rounds, 10))
            finally:
                server.send_signal(signal.SIGINT)
                server.wait(20)


if __name__ == "__main__":
    main()
