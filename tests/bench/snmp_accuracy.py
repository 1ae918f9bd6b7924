"""Accuracy of the SNMP profiles: what they serve of recorded devices, against two expectations.

    EGOV_RECORDINGS=FOLDER python tests/bench/snmp_accuracy.py [--to-docs] [--misses]

Every recording is read by walk and decode with the profiles that `identify` chooses for it. First its JSON, which an
independent program made of it: a fixed list of things per profile, so that a column that is never read disagrees. Then
the recording itself, line by line: each cell of each object of the profiles must come out as the number or text that
the file holds. `--to-docs` writes the tables into docs/exporter-accuracy.md, `--misses` lists what disagrees.
`--walks` reads the walks of snmpsim-data instead (no JSON there, so the second comparison only; some minutes).
Exit codes: 0 measured, 3 no recordings.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))

from snmp_compare import Score, against_json, against_recording, serve
from snmp_recordings import PROJECT, SYS_DESCR, folder, read, says, walks

from egov_exporters.snmp.detect import identify
from egov_exporters.snmp.oid import dotted
from egov_exporters.snmp.profiles import load_profiles

DOCS = PROJECT / "docs" / "exporter-accuracy.md"
MARKS = {"recordings": "<!-- measured -->", "walks": "<!-- measured: snmpsim-data -->"}
END = "<!-- end -->"


@dataclass
class Accuracy:
    """Scores by profile, and how many recordings each family has."""

    json: dict[str, Score] = field(default_factory=lambda: defaultdict(Score))
    file: dict[str, Score] = field(default_factory=lambda: defaultdict(Score))
    families: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)


def measure(recordings: Path) -> Accuracy:
    """Read all recordings."""
    found = Accuracy()
    for path in sorted(recordings.glob("*.snmprec")):
        lines, name = read(path), path.stem
        identity = identify(*says(lines))
        found.families[identity.family] += 1
        served = serve(lines, identity)
        found.problems.update(sum((one.problems for one in served), Counter[str]()))
        expectation = path.with_suffix(".json")
        if expectation.is_file():
            against_json(json.loads(expectation.read_text()), served, name, found.json)
        against_recording(lines, served, name, found.file)
    return found


def measure_walks(data: Path) -> Accuracy:
    """Read all walks of snmpsim-data: of each the objects of our profiles, and what lies beside them."""
    columns = [metric.oid for profile in load_profiles().values() for metric in profile.metrics()]
    columns += [one.oid for profile in load_profiles().values() for table in profile.tables for one in table.columns]
    columns += [one.oid for profile in load_profiles().values() for table in profile.tables for one in table.labels]
    keep = tuple({dotted(one[:-1]) + "." for one in columns} | {dotted(SYS_DESCR[:-2])})
    found = Accuracy()
    for path in sorted(data.rglob("*.snmprec*")):
        lines = read(path, keep)
        identity = identify(*says(lines))
        found.families[identity.family] += 1
        served = serve(lines, identity)
        found.problems.update(sum((one.problems for one in served), Counter[str]()))
        against_recording(lines, served, path.name.split(".")[0], found.file)
    return found


def walk_table(found: Accuracy) -> str:
    """The result of snmpsim-data as Markdown."""
    told = ["| profile | walks that agree wholly | rows | share |", "|---|---|---|---|"]
    told += [f"| {name} | {found.file[name].cells()} |" for name in sorted(found.file)]
    return "\n".join([*told, "", *_counts(found, "walks")])


def tables(found: Accuracy) -> str:
    """The result as Markdown."""
    told = [
        "| profile | JSON: recordings that agree wholly | rows | share "
        "| file: recordings that agree wholly | rows | share |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in sorted(load_profiles()):
        state = "" if load_profiles()[name].state == "proven" else " (untested)"
        told.append(f"| {name}{state} | {found.json[name].cells()} | {found.file[name].cells()} |")
    total = Score(sum(one.rows for one in found.json.values()), sum(one.agree for one in found.json.values()))
    strict = Score(sum(one.rows for one in found.file.values()), sum(one.agree for one in found.file.values()))
    for one, score in ((total, found.json), (strict, found.file)):
        for part in score.values():
            one.recordings |= part.recordings
            for recording, misses in part.misses.items():
                one.misses[recording].extend(misses)
    told.append(f"| **all** | {total.cells()} | {strict.cells()} |")
    return "\n".join([*told, "", *_counts(found, "recordings")])


def _counts(found: Accuracy, what: str) -> list[str]:
    families = ", ".join(f"{name} {count}" for name, count in sorted(found.families.items()))
    problems = ", ".join(f"`{name}` {count}" for name, count in found.problems.most_common()) or "none"
    total = sum(found.families.values())
    return [f"{total} {what} by family: {families}.", "", f"Cells and rows left out, by reason: {problems}."]


def main() -> int:
    """Measure, print, and write into the docs if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to-docs", action="store_true", help="write the tables into docs/exporter-accuracy.md")
    parser.add_argument("--misses", action="store_true", help="list what disagrees")
    parser.add_argument("--walks", action="store_true", help="read the walks of snmpsim-data instead")
    told = parser.parse_args()
    data = walks() if told.walks else folder()
    if data is None:
        name = "EGOV_WALKS" if told.walks else "EGOV_RECORDINGS"
        print(f"no recordings: set {name} to their folder", file=sys.stderr)
        return 3
    found = measure_walks(data) if told.walks else measure(data)
    text = walk_table(found) if told.walks else tables(found)
    print(text)
    if told.misses:
        for title, scores in (("JSON", found.json), ("file", found.file)):
            for profile, score in sorted(scores.items()):
                for recording, misses in sorted(score.misses.items()):
                    for miss in misses:
                        print(f"{title} {profile} {recording}: {miss}")
    if told.to_docs:
        mark = MARKS["walks" if told.walks else "recordings"]
        head, _, rest = DOCS.read_text(encoding="utf-8").partition(mark)
        DOCS.write_text(f"{head}{mark}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
