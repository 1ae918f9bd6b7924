"""From runs to tables: medians, goals, the JSON that is kept, and the page in docs/."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from city import REPOSITORY

PHASES = {
    "first": "first run",
    "unchanged": "nothing to change",
    "cold": "the same, cold",
    "changed": "one line changed on all",
}
PAGE = REPOSITORY / "docs" / "measured.md"
BEGIN, END = "<!-- converge: begin -->", "<!-- converge: end -->"
GOAL_HOSTS = 90


@dataclass(frozen=True)
class Cell:
    """Medians of one contender in one phase; `wrong` says why its figures do not count, "" when they do."""

    wall: float
    controller: float
    hosts: float
    rounds: int
    wrong: str = ""


def cells(result: Mapping[str, Any]) -> dict[tuple[str, str], Cell]:
    """(contender, phase) → its cell. One wrong run disqualifies the cell."""
    runs: dict[tuple[str, str], list[Any]] = {}
    for run in result["runs"]:
        runs.setdefault((run["contender"], run["phase"]), []).append(run)
    return {key: _cell(found) for key, found in runs.items()}


def _cell(runs: list[Any]) -> Cell:
    middle = {name: statistics.median(run[name] for run in runs) for name in ("wall", "controller", "hosts")}
    return Cell(**middle, rounds=len(runs), wrong=next((run["wrong"] for run in runs if run["wrong"]), ""))


@dataclass(frozen=True)
class Goal:
    """`ratio` of ours to the other's must be at most `limit`; None when it could not be measured."""

    text: str
    limit: float
    ratio: float | None

    def __str__(self) -> str:
        if self.ratio is None:
            return f"not measured: {self.text}"
        return f"{'met' if self.ratio <= self.limit else 'MISSED'}: {self.text}: {self.ratio:.2f}"


def goals(result: Mapping[str, Any]) -> list[Goal]:
    """The three promises, for 90 hosts; with other numbers of hosts they are for information."""
    table = cells(result)
    bulk = [name for name, item in result["contenders"].items() if item["bulk"]]
    counted = {key: cell.wall for key, cell in table.items() if not cell.wrong}
    best = min((counted[(name, "unchanged")] for name in bulk if (name, "unchanged") in counted), default=None)
    return [
        Goal(
            "nothing to change, at most 0.12 x pyinfra file by file",
            0.12,
            _ratio(counted.get(("ours", "unchanged")), counted.get(("pyinfra-files", "unchanged"))),
        ),
        Goal(
            "nothing to change, at most 0.8 x the best bulk form of any peer",
            0.8,
            _ratio(counted.get(("ours", "unchanged")), best),
        ),
        Goal(
            "first run, at most 0.5 x pyinfra file by file",
            0.5,
            _ratio(counted.get(("ours", "first")), counted.get(("pyinfra-files", "first"))),
        ),
    ]


def _ratio(mine: float | None, other: float | None) -> float | None:
    return mine / other if mine is not None and other else None


def terminal(result: Mapping[str, Any]) -> str:
    """The table as plain text: wall, and processor time of controller + hosts, in seconds."""
    table = cells(result)
    lines = [f"{'':16}" + "".join(f"{text:>28}" for text in PHASES.values())]
    for name in result["contenders"]:
        words = [_plain(table.get((name, phase))) for phase in PHASES]
        lines.append(f"{name:16}" + "".join(f"{word:>28}" for word in words))
    lines += _wrongs(table)
    lines += [f"goal {goal}" for goal in goals(result)]
    if result["hosts"] != GOAL_HOSTS:
        lines.append(f"(the goals are for {GOAL_HOSTS} hosts)")
    return "\n".join(lines)


def _plain(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    if cell.wrong:
        return "disqualified"
    return f"{cell.wall:.1f} ({cell.controller:.1f}+{cell.hosts:.1f}) n={cell.rounds}"


def _wrongs(table: Mapping[tuple[str, str], Cell]) -> list[str]:
    return [
        f"disqualified: {name}, {PHASES[phase]}: {cell.wrong}" for (name, phase), cell in table.items() if cell.wrong
    ]


def markdown(result: Mapping[str, Any]) -> str:
    """The same for docs/measured.md."""
    table = cells(result)
    files = result["files"]
    lines = [
        f"### {result['hosts']} hosts",
        "",
        f"{files['least']} to {files['most']} files a host; before the first run {files['removed']} files in all are "
        f"absent, {files['older']} are an earlier version, {files['kept']} are there. Seconds of wall time, median (in "
        f"brackets: processor time of controller + hosts). {result['cpus']} CPUs; measured {result['date']}, revision "
        f"{result['revision']}.",
        "",
        "| | " + " | ".join(PHASES.values()) + " | rounds |",
        "|---|" + "---|" * (len(PHASES) + 1),
    ]
    for name, item in result["contenders"].items():
        found = [table.get((name, phase)) for phase in PHASES]
        rounds = max((cell.rounds for cell in found if cell), default=0)
        words = [_plain(cell).partition(" n=")[0] for cell in found]
        label = f"{name}: {item['form']} {item['version']}".rstrip()
        lines.append(f"| {label} | " + " | ".join(words) + f" | {rounds} |")
    lines += ["", *(f"- {text}" for text in _wrongs(table)), *(f"- Goal {goal}" for goal in goals(result))]
    if result["hosts"] != GOAL_HOSTS:
        lines.append(f"- The goals are for {GOAL_HOSTS} hosts.")
    return "\n".join(lines)


def save(result: Mapping[str, Any]) -> Path:
    """build/bench-converge-<hosts>.json."""
    path = REPOSITORY / "build" / f"bench-converge-{result['hosts']}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def to_docs(paths: Iterable[Path]) -> None:
    """Rewrite the page's tables from results; ValueError when the page has lost its two markers."""
    results = sorted((json.loads(path.read_text(encoding="utf-8")) for path in paths), key=lambda item: item["hosts"])
    page = PAGE.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"{PAGE} needs the lines {BEGIN} and {END}, once each")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    tables = "\n\n".join(markdown(result) for result in results)
    PAGE.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")
