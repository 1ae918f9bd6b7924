"""make bench-snmp: what a scrape costs, ours against Debian's snmp_exporter, on the same simulated switches.

    python tests/bench/snmp [--rounds 5] [--turn-seconds 1.5] [--only warm,cold-full-48-v2c] [--steady-seconds 120]
    python tests/bench/snmp --list
    python tests/bench/snmp --to-docs build/bench-snmp.json

Before and after a case both must give the same series and values, with frozen counters.
Docs: docs/exporter-measured.md. Exit codes: 0 measured, 1 not the same series, 2 wrong call, 3 nothing to compare with.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import figures
import libraries
import special
from agents import PORTS
from asking import Failed
from cases import CASES, Bench, Different, measure
from fleet import fleet
from rivals import OURS, THEIRS, NoRival, their_version

OUT = figures.REPOSITORY / "build" / "bench-snmp.json"


def chosen(only: str) -> list[str]:
    """Names of cases in their order: those that are named, or that begin with what is. Raises ValueError."""
    names = [*(case.name for case in CASES), *figures.SPECIAL]
    asked = [word for word in only.split(",") if word]
    if strange := [word for word in asked if not any(name.startswith(word) for name in names)]:
        raise ValueError(f"no case {', '.join(strange)}; --list shows them")
    return [name for name in names if not asked or any(name.startswith(word) for word in asked)]


def about() -> dict[str, str]:
    """What is kept beside each case."""
    revision = subprocess.run(
        ["git", "-C", str(figures.REPOSITORY), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {"revision": revision.stdout.strip(), "date": time.strftime("%Y-%m-%d")}


def fuzzed(folder: Path) -> dict[str, Any]:
    """In a process of its own: its memory is looked at. Faults are told as a missed goal."""
    out = folder / "fuzz.json"
    argv = [sys.executable, str(Path(__file__).with_name("fuzz.py")), "--json", str(out)]
    subprocess.run(argv, check=False)
    return {"found": json.loads(out.read_text(encoding="utf-8"))}


def run(names: list[str], bench: Bench, steady: tuple[float, int], out: Path, kept: dict[str, Any]) -> None:
    """Measure; what there is so far is kept after each case."""
    by_name = {case.name: case for case in CASES}
    others: dict[str, Callable[[], dict[str, Any]]] = {
        figures.STEADY: lambda: special.steady(bench, *steady),
        figures.STARTUP: lambda: special.startup(bench),
        figures.REPLICA: lambda: special.replica(bench),
        figures.LIBRARIES: lambda: libraries.compare(bench),
        figures.FUZZ: lambda: fuzzed(bench.folder),
    }
    for name in names:
        print(f"== {name}", flush=True)
        found = measure(bench, by_name[name]) if name in by_name else others[name]()
        kept["cases"][name] = {**found, **about()}
        figures.save(kept, out)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/snmp")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn-seconds", type=float, default=1.5, help="how long one exporter is asked in a round")
    parser.add_argument("--steady-seconds", type=float, default=120)
    parser.add_argument("--steady-targets", type=int, default=figures.STEADY_TARGETS, help="fewer only to try it")
    parser.add_argument("--only", default="", help="names of cases or their beginnings, with commas")
    parser.add_argument("--list", action="store_true", help="the cases' names")
    parser.add_argument("--our-config", type=Path, metavar="YAML", help="added to our exporter's configuration")
    parser.add_argument("--out", type=Path, default=OUT, metavar="JSON")
    parser.add_argument(
        "--to-docs", nargs="+", type=Path, metavar="JSON", help="later files replace earlier ones' cases"
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.to_docs:
        figures.to_docs(options.to_docs)
        return 0
    try:
        names = chosen(options.only)
        extra = options.our_config.read_text(encoding="utf-8") if options.our_config else ""
    except (ValueError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(names))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    try:
        reference = their_version()
        kept = {"reference": reference, "cpus": os.cpu_count(), "python": platform.python_version(), "cases": {}}
        with fleet([OURS, THEIRS]) as switches, tempfile.TemporaryDirectory(prefix="egov-bench-") as folder:
            new: dict[int, Iterator[str]] = {kind: switches.addresses(kind) for kind in PORTS}
            bench = Bench(switches, Path(folder), options.rounds, options.turn_seconds, lambda kind: new[kind], extra)
            run(names, bench, (options.steady_seconds, options.steady_targets), options.out, kept)
    except (Different, Failed) as problem:
        print(f"no measurement: {problem}", file=sys.stderr)
        return 1
    except NoRival as problem:
        print(f"no measurement: {problem}", file=sys.stderr)
        return 3
    print(f"{figures.terminal(kept['cases'])}\n-> {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
