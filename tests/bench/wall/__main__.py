"""make bench-wall: what the boards cost on 30 days of a city's series, and what becomes of them with more sites.

    python tests/bench/wall                               # all; writes build/bench-wall.json
    python tests/bench/wall --only prepare                # the history alone: may run while other things do
    python tests/bench/wall --only work,queries,pages,paint,growth
    python tests/bench/wall --to-docs build/bench-wall.json

The history is made once (some twenty minutes, 3 GB) and kept in build/bench-wall; one that ended more than six hours
ago is made anew by `prepare`. What is measured should have the machine to itself. Docs: docs/boards-measured.md.
Exit codes: 0 measured, 2 wrong call.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "contract"))

import history
import wall_tables
from growth import MISSED, RULES, first, grown, memory
from played_city import Played, asked, configure, hosts_of, prometheus, until
from ports import free_port
from promtool import program
from wall_times import cpu, pages, paints, queries, served

FOLDER = wall_tables.REPOSITORY / "build" / "bench-wall"
OUT = wall_tables.REPOSITORY / "build" / "bench-wall.json"
PARTS = ("prepare", "work", "queries", "pages", "paint", "growth")
STALE = 6 * 3600


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/wall")
    parser.add_argument("--inventory", default="wuwei")
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=30, help="of queries; pages and paints take a third of them")
    parser.add_argument("--seconds", type=float, default=150, help="how long Prometheus is watched at work")
    parser.add_argument("--copies", default="1,10,104", help="sizes of the growth, in cities")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the history is kept")
    parser.add_argument("--out", type=Path, default=OUT, metavar="JSON")
    parser.add_argument("--to-docs", type=Path, metavar="JSON")
    return parser.parse_args()


def about() -> dict[str, Any]:
    """What is kept beside the wall_tables."""
    git = ["git", "-C", str(wall_tables.REPOSITORY), "describe", "--always", "--dirty"]
    revision = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    said = subprocess.run([program("prometheus"), "--version"], capture_output=True, text=True, check=True)
    version = (said.stdout + said.stderr).split()[2]
    return {
        "revision": revision,
        "date": time.strftime("%Y-%m-%d"),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "prometheus": version,
        "loads": [],
    }


def prepare(options: argparse.Namespace, played: Played) -> None:
    """The history, made anew when there is none of so many days or it is old."""
    known = options.folder / history.ABOUT
    if known.is_file():
        kept = json.loads(known.read_text())
        if kept["days"] == options.days and time.time() - kept["end"] < STALE:
            return
    shutil.rmtree(options.folder, ignore_errors=True)
    history.back_fill(options.folder, played, options.days)


@contextmanager
def on_history(folder: Path, played: Played) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Prometheus over a copy of the history (its blocks linked, not copied), scraping the played city."""
    number = free_port()
    with tempfile.TemporaryDirectory(dir=folder) as name, hosts_of(played) as address:
        here = Path(name)
        shutil.copytree(folder / "data", here / "data", copy_function=os.link)
        configure(here, played, address, number)
        blocks = ("--storage.tsdb.max-block-duration=54h", "--storage.tsdb.retention.time=400d")
        with prometheus(here, number, *blocks) as (url, process):
            until(lambda: len(asked(url, "link:receive_bits:rate2m")) > 10, "rates should be there", 240)
            time.sleep(60)
            yield url, process


def work(url: str, process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
    """Prometheus' processor time while it scrapes and reckons, and the time that rules took by its own clock."""
    begin, used, clock = time.monotonic(), cpu(process), []
    while time.monotonic() - begin < seconds:
        time.sleep(5)
        clock.append(first(url, RULES))
    return {
        "seconds": seconds,
        "share_of_a_core": (cpu(process) - used) / (time.monotonic() - begin),
        "rules_share_by_clock": statistics.median(clock),
        "missed": first(url, MISSED),
        "series": first(url, "prometheus_tsdb_head_series"),
        "targets": first(url, "count(up)"),
        **memory(process),
    }


def measured(options: argparse.Namespace, chosen: list[str], played: Played) -> dict[str, Any]:
    """What was chosen; figures of other parts are kept as they were."""
    results = json.loads(options.out.read_text()) if options.out.is_file() else {}
    results["about"] = about()

    def keep(name: str, value: Any) -> None:
        results[name] = value
        wall_tables.save(results, options.out)

    if "prepare" in chosen:
        prepare(options, played)
    if {"work", "queries", "pages", "paint"} & set(chosen):
        keep("history", json.loads((options.folder / history.ABOUT).read_text()))
        with on_history(options.folder, played) as (url, process):
            few = max(1, options.rounds // 3)
            results["about"]["loads"].append(os.getloadavg()[0])
            if "work" in chosen:
                keep("work", work(url, process, options.seconds))
            if "queries" in chosen:
                keep("queries", queries(url, played, options.rounds))
            if {"pages", "paint"} & set(chosen):
                with served(options.inventory, url) as base:
                    if "pages" in chosen:
                        keep("pages", pages(base, played, few))
                    if "paint" in chosen:
                        keep("paint", paints(base, few))
    if "growth" in chosen:
        found: list[dict[str, Any]] = []
        for count in map(int, options.copies.split(",")):
            with tempfile.TemporaryDirectory(prefix="egov-bench-") as name:
                results["about"]["loads"].append(os.getloadavg()[0])
                found.append(grown(Path(name) / "at", played, count, options.seconds, max(5, options.rounds // 3)))
            keep("growth", found)
    return results


def main() -> int:
    options = arguments()
    if options.to_docs:
        wall_tables.to_docs(options.to_docs)
        return 0
    chosen = [word for word in options.only.split(",") if word]
    if strange := [word for word in chosen if word not in PARTS]:
        print(f"no part {', '.join(strange)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    results = measured(options, chosen, Played.of(options.inventory))
    print(f"{wall_tables.terminal(results)}\n-> {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
