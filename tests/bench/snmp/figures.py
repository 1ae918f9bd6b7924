"""From rounds to tables: medians, goals, the JSON that is kept, and the page in docs/."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rivals import OURS, THEIRS

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = REPOSITORY / "docs" / "exporter-measured.md"
BEGIN, END = "<!-- snmp: begin -->", "<!-- snmp: end -->"
STEADY, STARTUP, REPLICA, LIBRARIES, FUZZ = "steady", "startup", "replica", "libraries", "fuzz"
SPECIAL = (STEADY, STARTUP, REPLICA, LIBRARIES, FUZZ)
STEADY_TARGETS = 1000
Results = Mapping[str, Any]  # the kept JSON's `cases`: by name


@dataclass(frozen=True)
class Goal:
    """`value` must be at most `limit`; None when it was not measured."""

    text: str
    limit: float
    value: float | None
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """None when it was not measured."""
        return None if self.value is None else self.value <= self.limit

    def __str__(self) -> str:
        if self.value is None:
            return f"not measured: {self.text}"
        bare = f"{self.value:.3g}{self.unit}"
        if not self.unit:  # a ratio: also as people say it
            bare += f" (1/{1 / self.value:.1f})" if 0 < self.value < 1 else ""
        return f"{'MET' if self.met else 'MISSED'}: {self.text}: {bare}"


def middle(results: Results, case: str, side: str, figure: str) -> float | None:
    """The median of a figure over a case's rounds; None where there is none."""
    rounds = results[case]["rounds"] if case in results else []
    values = [one[side][figure] for one in rounds if side in one and figure in one[side]]
    return statistics.median(values) if values else None


def ratio(results: Results, case: str, figure: str, other: str = "") -> float | None:
    """Ours by theirs, as medians; theirs from the case `other` where it is given."""
    mine, their = middle(results, case, OURS, figure), middle(results, other or case, THEIRS, figure)
    return mine / their if mine is not None and their else None


def goals(results: Results) -> list[Goal]:
    """What was promised, and what came out."""
    found = []
    for version, limit in (("v2c", 25), ("v3", 12)):
        for module in ("bandwidth", "full"):
            for ports in (48, 500):
                case = f"warm-{module}-{ports}-{version}"
                text = f"processor time, warm, {module}, {ports} ports, {version}, at most 1/{limit} of theirs"
                found.append(Goal(text, 1 / limit, ratio(results, case, "cpu_ms")))
            case, known = f"warm-four-{module}-48-{version}", "48 ports of a known family"
            text = f"processor time, warm, {module}, {known}, {version}, at most 1/{limit} of theirs"
            found.append(Goal(text, 1 / limit, ratio(results, case, "cpu_ms")))
    found += [
        Goal("steady state: processor time, at most 1/15 of theirs", 1 / 15, _steady(results, "cpu_ms", by=THEIRS)),
        Goal("steady state: at most 10 % of one core", 10, _steady(results, "share_of_a_core", factor=100), " %"),
        Goal("steady state: at most 200 MB", 200, _steady(results, "peak_mib", factor=1.048576), " MB"),
        Goal("steady state: no scrape of ours fails", 0, _steady(results, "failed"), " scrapes"),
    ]
    for module in ("bandwidth", "full"):
        text = f"wall at 5 ms round trip, {module}, four requests in flight, at most 1/8 of theirs"
        found.append(Goal(text, 1 / 8, ratio(results, f"delay-four-{module}", "wall_ms")))
    found.append(Goal("start-up, at most 1 s", 1, middle(results, STARTUP, OURS, "start_s"), " s"))
    for state in ("warm", "cold"):
        for version in ("v2c", "v3"):
            for module in ("bandwidth", "full"):
                for ports in (48, 500):
                    case = f"{state}-{module}-{ports}-{version}"
                    text = f"packets, {state}, {module}, {ports} ports, {version}, at most half of theirs"
                    found.append(Goal(text, 0.5, ratio(results, case, "packets")))
    one, two = (middle(results, REPLICA, OURS, figure) for figure in ("one", "two"))
    more = None if one is None or two is None else two - one
    found.append(Goal("a second replica at the same time costs no packet", 0, more, " packets"))
    faults = [len(one["faults"]) for one in results[FUZZ]["found"]] if FUZZ in results else []
    found.append(Goal("faults of what reads datagrams, none", 0, sum(faults) if faults else None, " faults"))
    return found


def _steady(results: Results, figure: str, by: str = "", factor: float = 1) -> float | None:
    """Ours, or by another's; None where fewer than all targets were asked, to try the bench."""
    if middle(results, STEADY, OURS, "targets") != STEADY_TARGETS:
        return None
    value = ratio(results, STEADY, figure) if by else middle(results, STEADY, OURS, figure)
    return None if value is None else value * factor


COLUMNS = (
    ("CPU ms", "cpu_ms", "{:.2f}"),
    ("wall ms", "wall_ms", "{:.1f}"),
    ("packets", "packets", "{:.0f}"),
    ("octets", "octets", "{:.0f}"),
    ("peak MiB", "", "{:.0f}"),
)


def _row(results: Results, name: str) -> list[str]:
    """ours / theirs of each figure, with the ratio where it is of time."""
    words = []
    for _, figure, form in COLUMNS:
        if figure:
            pair = [middle(results, name, side, figure) for side in (OURS, THEIRS)]
        else:
            peaks = results[name].get("peak_mib") or {}
            pair = [peaks.get(side) or middle(results, name, side, "peak_mib") for side in (OURS, THEIRS)]
        shown = " / ".join("-" if one is None else form.format(one) for one in pair)
        share = ratio(results, name, figure) if figure in ("cpu_ms", "wall_ms") else None
        words.append(shown + (f" = {share:.3f}" if share else ""))
    return words


def _special(results: Results) -> list[str]:
    """Sentences on the cases that fit no table."""
    lines = []
    for side, one in results[STEADY]["rounds"][0].items() if STEADY in results else ():
        lines.append(
            f"steady state of {one['targets']} targets, {side}: {one['share_of_a_core'] * 100:.1f} % of a core over "
            f"{one['seconds']:.0f} s, {one['scrapes']} scrapes, {one['late']} late, {one['failed']} failed, wall "
            f"{one['wall_ms']:.1f} ms (99th percentile {one['wall_p99_ms']:.1f})"
        )
    if STARTUP in results:

        def said(side: str, figure: str, form: str) -> str:
            return form.format(middle(results, STARTUP, side, figure))

        pairs = [
            f"{side} {said(side, 'start_s', '{:.2f}')} s, the very first scrape "
            f"{said(side, 'first_wall_ms', '{:.0f}')} ms with {said(side, 'first_packets', '{:.0f}')} packets, "
            f"the first after a reload {said(side, 'reload_wall_ms', '{:.0f}')} ms with "
            f"{said(side, 'reload_packets', '{:.0f}')}"
            for side in (OURS, THEIRS)
        ]
        lines.append("start-up until the health check answers: " + "; ".join(pairs))
    if REPLICA in results:
        pairs = [
            f"{side} {middle(results, REPLICA, side, 'one'):.0f} and {middle(results, REPLICA, side, 'two'):.0f}"
            for side in (OURS, THEIRS)
        ]
        lines.append("packets of one scrape, and of two replicas at the same time: " + "; ".join(pairs))
    for name, one in results.get(LIBRARIES, {"found": {}})["found"].items():
        lines.append(
            f"fetch and decode only, 48 ports, {name}: full {one['if_mib']:.1f} ms of processor time, "
            f"bandwidth {one['if_bandwidth']:.1f} ms"
        )
    in_flight = {name: middle(results, name, OURS, "in_flight") for name in results if name.startswith("delay-")}
    if in_flight:
        seen = ", ".join(f"{name} {value:.0f}" for name, value in in_flight.items() if value is not None)
        lines.append(f"requests of ours that the switches saw in flight at a time: {seen}")
    for one in results.get(FUZZ, {"found": []})["found"]:
        lines.append(
            f"{one['inputs']:,} damaged inputs for {one['name']} (seed {one['seed']}): {len(one['faults'])} faults, "
            f"slowest {one['slowest_ms']:.1f} ms, memory grew by {one['grown_mib']:.1f} MiB"
        )
    return lines


def _tabled(results: Results) -> list[str]:
    return [name for name in results if name not in (STARTUP, REPLICA, LIBRARIES, FUZZ)]


def terminal(results: Results) -> str:
    """All of it as plain text."""
    lines = [f"{'ours / theirs':22}" + "".join(f"{title:>26}" for title, _, _ in COLUMNS)]
    lines += [f"{name:22}" + "".join(f"{word:>26}" for word in _row(results, name)) for name in _tabled(results)]
    measured = [goal for goal in goals(results) if goal.value is not None]
    lines += [*_special(results), *(f"goal {goal}" for goal in measured)]
    if left := len(goals(results)) - len(measured):
        lines.append(f"({left} goals were not measured)")
    return "\n".join(lines)


def markdown(kept: Mapping[str, Any]) -> str:
    """The same for the page."""
    results: Results = kept["cases"]
    said = {f"{one['date']}, revision {one['revision']}" for one in results.values()}
    rounds = sorted({len(one["rounds"]) for name, one in results.items() if "rounds" in one and name != STEADY})
    lines = [
        f"Against {kept['reference']}; {kept['cpus']} CPUs, Python {kept['python']}; measured "
        f"{'; '.join(sorted(said))}. Medians of {' or '.join(map(str, rounds))} rounds; each cell is "
        "ours / theirs = ratio.",
        "",
        "| case | " + " | ".join(title for title, _, _ in COLUMNS) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    lines += [f"| {name} | " + " | ".join(_row(results, name)) + " |" for name in _tabled(results)]
    lines += ["", *(f"- {text[0].upper()}{text[1:]}." for text in _special(results)), ""]
    lines += [f"- Goal {goal}" for goal in goals(results)]
    return "\n".join(lines)


def save(kept: Mapping[str, Any], path: Path) -> Path:
    """Written at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    new.replace(path)
    return path


def merged(paths: Iterable[Path]) -> dict[str, Any]:
    """Several kept results as one; a later file's cases replace an earlier one's."""
    whole: dict[str, Any] = {}
    for path in paths:
        kept = json.loads(path.read_text(encoding="utf-8"))
        whole = {**kept, "cases": {**whole.get("cases", {}), **kept["cases"]}}
    return whole


def to_docs(paths: Iterable[Path]) -> None:
    """Rewrite the page's table; ValueError when the page has lost its two markers."""
    page = PAGE.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"{PAGE} needs the lines {BEGIN} and {END}, once each")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{markdown(merged(paths))}\n{END}{after}", encoding="utf-8")
