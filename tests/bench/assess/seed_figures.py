"""From what was noticed to shares, goals, and the tables of docs/assessment-measured.md."""

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
PAGE = REPOSITORY / "docs" / "assessment-measured.md"
BEGIN, END = "<!-- seeds: begin -->", "<!-- seeds: end -->"
RECALL, FALSE = 0.98, 0.01
KINDS = (("lynis", "Lynis' tests"), ("ssg", "rules of scap-security-guide"), ("own", "our own"))
Results = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """What was promised, and what came out."""

    text: str
    met: bool

    def __str__(self) -> str:
        return f"{'MET' if self.met else 'MISSED'}: {self.text}"


def about() -> dict[str, Any]:
    """When, on what, with which."""
    argv = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    revision = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    return {"at": time.strftime("%Y-%m-%d"), "revision": revision or "unknown", "cpus": os.cpu_count()}


def recall(results: Results, kind: str = "") -> tuple[int, int]:
    """Seeds (of one kind of source) that some check noticed, of how many."""
    of = [seed for seed in results["seeds"] if seed["source"].startswith(kind)]
    return sum(bool(seed["checks"]) for seed in of), len(of)


def by_lynis(results: Results, kind: str = "") -> tuple[int, int]:
    """Seeds (of one kind of source) of which Lynis' report had more to tell, of how many that it looked at."""
    of = [seed for seed in results["seeds"] if seed["source"].startswith(kind) and seed["lynis"] is not None]
    return sum(bool(seed["lynis"]) for seed in of), len(of)


def misses(results: Results) -> list[str]:
    """The seeds that no check noticed."""
    return [seed["id"] for seed in results["seeds"] if not seed["checks"]]


def by_drift_alone(results: Results) -> list[str]:
    """The seeds of which only the comparison with the plan told."""
    return [seed["id"] for seed in results["seeds"] if set(seed["checks"]) == {"drift"}]


def false_alarms(results: Results) -> tuple[int, int]:
    """Pairs of check and host that two looks at an unchanged city judged differently, of how many."""
    return sum(len(names) for names in results["false_alarms"].values()), results["pairs"]


def goals(results: Results) -> list[Goal]:
    """Recall, false alarms, and that nothing was left behind."""
    seen, of = recall(results)
    wrong, pairs = false_alarms(results)
    lost = ", ".join(misses(results)) or "none"
    return [
        Goal(f"at least {RECALL:.0%} of the seeds noticed: {seen} of {of}, missed: {lost}", seen >= RECALL * of),
        Goal(f"at most {FALSE:.0%} false alarms: {wrong} of {pairs} pairs of check and host", wrong <= FALSE * pairs),
    ]


def table(results: Results) -> str:
    """Recall by source, ours beside Lynis; then the costs."""
    lines = ["| seeds by | how many | noticed | noticed by Lynis |", "|---|---|---|---|"]
    for kind, name in (*KINDS, ("", "all")):
        seen, of = recall(results, kind)
        if of:
            theirs, looked = by_lynis(results, kind)
            beside = f"{theirs} of {looked}" if looked else "-"
            lines.append(f"| {name} | {of} | {seen} ({seen / of:.1%}) | {beside} |")
    return "\n".join([*lines, "", *_costs(results)])


def _costs(results: Results) -> list[str]:
    if not results["costs"]:
        return []
    lines = [f"Medians of {len(results['costs'])} alternating runs:", ""]
    lines += ["| on one host | wall s | CPU s on the host | CPU s on control |", "|---|---|---|---|"]
    middle = {name: statistics.median(one[name] for one in results["costs"]) for name in results["costs"][0]}
    ours = f"{middle['look_wall']:.1f} | {middle['look_cpu_host']:.1f} | {middle['look_cpu_here']:.1f}"
    lines.append(f"| one look, {results['checks']} checks judged | {ours} |")
    if "lynis_wall" in middle:
        theirs = f"{middle['lynis_wall']:.1f} | {middle['lynis_cpu']:.1f} | 0"
        lines.append(f"| one `lynis audit system --quick` | {theirs} |")
    return lines


def each(results: Results) -> str:
    """A line a seed: what it is, by whose rule, which checks noticed it, which of Lynis' tests did."""
    lines = ["| seed | by | noticed by | by Lynis |", "|---|---|---|---|"]
    for seed in results["seeds"]:
        checks = ", ".join(f"`{name}`" for name in sorted(seed["checks"])) or "**nothing**"
        tests = sorted({line.partition("=")[2].split("|")[0] for line in seed["lynis"] or ()})
        source = seed["source"].replace("_", "\\_")
        lines.append(f"| {seed['id']}: {seed['what']} | {source} | {checks} | {', '.join(tests) or _none(seed)} |")
    return "\n".join(lines)


def _none(seed: Mapping[str, Any]) -> str:
    return "not asked" if seed["lynis"] is None else "-"


def write_page(results: Results) -> None:
    """Put tables and goals into docs/assessment-measured.md."""
    red = ", ".join(f"`{name}` ({count})" for name, count in results["red"].items())
    alone = by_drift_alone(results)
    text = "\n".join(
        [
            f"Measured {results['at']}, revision {results['revision']}; {results['cpus']} CPUs, "
            f"{results['hosts']} hosts, {results['checks']} checks that ask hosts.",
            "",
            table(results),
            "",
            *(f"- {goal}" for goal in goals(results)),
            f"- Noticed by the comparison with the plan (`drift`) alone: {len(alone)}: {', '.join(alone) or 'none'}.",
            f"- Red before anything was planted (hosts): {red or 'nothing'}.",
            "",
            each(results),
        ]
    )
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
