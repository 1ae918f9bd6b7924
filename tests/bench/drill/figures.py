"""From rounds to a table and goals."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = REPOSITORY / "docs" / "drill-calibration.md"
BEGIN, END = "<!-- cost: begin -->", "<!-- cost: end -->"
RATIO, MEMORY_MB, RATIO_POSTGRESQL = 1.15, 300, 1.5
POSTGRESQL = ("postgresql drill", "pgbackrest restore and start")
Results = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """`value` must be at most `limit`."""

    text: str
    limit: float
    value: float

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        return f"{'MET' if self.met else 'MISSED'}: {self.text}: {self.value:.3g}"


def about() -> dict[str, Any]:
    """When, on what, with which."""
    argv = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    revision = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    return {"at": time.strftime("%Y-%m-%d"), "revision": revision or "unknown", "cpus": os.cpu_count()}


def middle(results: Results, name: str, figure: str) -> float:
    """The median of a figure over the rounds."""
    return statistics.median(one[figure] for one in results["rounds"] if one["name"] == name)


def goals(results: Results) -> list[Goal]:
    """What was promised, and what came out."""
    names = {one["name"] for one in results["rounds"]}
    found = _of_files(results) if "drill" in names else []
    if names.issuperset(POSTGRESQL):
        ours, bare = (middle(results, name, "wall_s") for name in POSTGRESQL)
        text = f"wall time of the PostgreSQL drill, at most {RATIO_POSTGRESQL} of bare restore and start"
        found.append(Goal(text, RATIO_POSTGRESQL, ours / bare))
    return found


def _of_files(results: Results) -> list[Goal]:
    wall = middle(results, "drill", "wall_s") / middle(results, "borg extract", "wall_s")
    memory = max(one["peak_mib"] for one in results["rounds"] if one["name"] == "drill") * 1.048576
    return [
        Goal(f"wall time of the drill, at most {RATIO} of bare borg extract", RATIO, wall),
        Goal(f"memory of the drill with all its programs, at most {MEMORY_MB} MB", MEMORY_MB, memory),
    ]


def table(results: Results) -> str:
    """Medians, by contender: files, then PostgreSQL."""
    names = {one["name"] for one in results["rounds"]}
    parts = [_files(results)] if "drill" in names else []
    return "\n\n".join([*parts, *([_postgresql(results)] if names.issuperset(POSTGRESQL) else [])])


def _postgresql(results: Results) -> str:
    ours, bare = (middle(results, name, "wall_s") for name in POSTGRESQL)
    phases = [one["phases"] for one in results["rounds"] if one["name"] == POSTGRESQL[0]]
    size = next(one["mib"] for one in results["rounds"] if one["name"] == POSTGRESQL[0])
    return "\n".join(
        [
            f"A PostgreSQL database of {size} MiB with 8 segments of WAL; medians of {len(phases)} rounds.",
            "",
            "| | wall s | of bare |",
            "|---|---|---|",
            f"| {POSTGRESQL[1]} | {bare:.2f} | 1.00 |",
            f"| {POSTGRESQL[0]} | {ours:.2f} | {ours / bare:.2f} |",
            "",
            f"Phases of the drill: {_phases(phases)}.",
        ]
    )


def _phases(phases: list[dict[str, float]]) -> str:
    return ", ".join(f"{name} {statistics.median(one[name] for one in phases):.2f} s" for name in phases[0])


def _files(results: Results) -> str:
    names = [name for name in dict.fromkeys(one["name"] for one in results["rounds"]) if name not in POSTGRESQL]
    bare = middle(results, "borg extract", "wall_s")
    rounds = sum(one["name"] == "drill" for one in results["rounds"])
    loads = [one.get("load", 0.0) for one in results["rounds"] if one["name"] in names]
    lines = [
        f"{results['files']} files, {results['mib']} MiB; {results['cpus']} CPUs; measured {results['at']}, "
        f"revision {results['revision']}. Medians of {rounds} rounds; load before each was "
        f"{min(loads):.1f} to {max(loads):.1f} (others' programs, too).",
        "",
        "| | wall s | of bare extract | CPU s | peak MiB |",
        "|---|---|---|---|---|",
    ]
    for name in sorted(names):
        wall, cpu, peak = (middle(results, name, figure) for figure in ("wall_s", "cpu_s", "peak_mib"))
        lines.append(f"| {name} | {wall:.2f} | {wall / bare:.2f} | {cpu:.2f} | {peak:.0f} |")
    phases = [one["phases"] for one in results["rounds"] if one["name"] == "drill" and one["phases"]]
    if phases:
        lines += ["", f"Phases of the drill: {_phases(phases)}."]
    return "\n".join(lines)


def write_page(results: Results) -> None:
    """Put table and goals into docs/drill-calibration.md."""
    text = "\n".join([table(results), "", *(f"- {goal}" for goal in goals(results))])
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
