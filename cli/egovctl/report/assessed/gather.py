"""What a report of a self-assessment is made of: the record, its results, what they come to for a part of the city."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from egovctl.assess import kept_results
from egovctl.assess.cache import ANSWERED, LOOKED
from egovctl.assess.objects import Graded, named, of_record
from egovctl.assess.run import ASSESSED, wanting
from egovctl.assess.scope import Scope
from egovctl.assess.score import Interval, Score, score
from egovctl.assess.standards import Standard, standards
from egovctl.assess.statements import Acceptance, Statement, read_acceptance, read_statement
from egovctl.assess.verdict import Judged, Verdict, judge_standard
from egovctl.checks import content
from egovctl.checks.context import Context
from egovctl.checks.model import Check, Result, Status
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Chain, Head, Record
from egovctl.evidence import Verdict as ChainVerdict
from egovctl.evidence.keys import verified
from egovctl.i18n import told, tr
from egovctl.paths import Inventory

RUNS_SHOWN = 12  # of the trend
NO_REASON = {
    "zh": "结果文件缺失或被改动，只有证据链中的判定",
    "en": "the file of results is gone or was changed; only the verdict in the chain is left",
}


@dataclass(frozen=True)
class Run:
    """One assessment as it is on record. `results` are None when their file is not the one that the record names;
    `found` is the hash of the file that is there, "" for none."""

    record: Record
    results: tuple[Result, ...] | None
    judged: dict[str, Judged]
    found: str

    @property
    def name(self) -> str:
        return str(self.record.body["run"])

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.record.at)


@dataclass(frozen=True)
class Past:
    """What is on record of one standard in one city: read once, whatever is made of it. Runs are the oldest first;
    the last of them is what the report is of."""

    inventory: Inventory
    standard: Standard
    hazards: Standard | None
    checks: Mapping[str, Check]
    runs: tuple[Run, ...]
    collected: tuple[Record, ...]
    statements: dict[int, Statement]
    acceptances: dict[int, Acceptance]
    records: dict[int, Record]
    chain: ChainVerdict
    head: Head

    @property
    def run(self) -> Run:
        return self.runs[-1]

    @cached_property
    def areas(self) -> dict[str, str]:
        """The area of each requirement."""
        return {item.id: area.id for area, _, item in self.standard.walk()}

    @cached_property
    def differs(self) -> bool:
        """Whether today's lists and checks judge the same results differently: the suite has another version since."""
        if self.run.results is None:
            return False
        judged, hazards = self.judge(self.run, self.run.results)
        return {one.item: one.verdict for one in (*judged, *hazards)} != {
            name: one.verdict for name, one in self.run.judged.items()
        }

    def judge(self, run: Run, results: Iterable[Result]) -> tuple[list[Judged], list[Judged]]:
        """The verdicts on requirements and on hazards that these results come to, with the statements of that run."""
        seen = list(results)
        marks = run.judged.values()
        stated = {one.item: self.statements[one.statement] for one in marks if one.statement in self.statements}
        accepted = {one.item: self.acceptances[one.accepted] for one in marks if one.accepted in self.acceptances}
        listed = [self.standard] if self.hazards is None else [self.standard, self.hazards]
        found = [judge_standard(standard, self.checks, seen, stated, accepted) for standard in listed]
        return found[0], found[1] if len(found) > 1 else []


@dataclass(frozen=True)
class Point:
    """One assessment in the trend of a part."""

    run: Run
    score: Score
    verdicts: dict[str, Verdict]


@dataclass(frozen=True)
class Assessed:
    """The last assessment as it is for a part of the city."""

    past: Past
    scope: Scope
    results: tuple[Result, ...]
    judged: tuple[Judged, ...]
    hazards: tuple[Judged, ...]
    score: Score
    wanting: tuple[tuple[str, int], ...]
    trend: tuple[Point, ...]

    @cached_property
    def by_check(self) -> dict[str, list[Result]]:
        found: dict[str, list[Result]] = {}
        for result in self.results:
            found.setdefault(result.check, []).append(result)
        return found

    @property
    def looks(self) -> dict[str, Record]:
        """host → the record of what was collected there, of this part's hosts."""
        looks = {record.body["host"]: record for record in self.past.collected if record.kind == LOOKED}
        return {host: record for host, record in looks.items() if host in self.scope.hosts}

    @property
    def answers(self) -> dict[str, Record]:
        """Collector → the record of what it answered."""
        return {record.body["by"]: record for record in self.past.collected if record.kind == ANSWERED}

    def collected(self, check: Check | None, results: Iterable[Result]) -> list[Record]:
        """The records of what these results of a check rest on."""
        if check is None:
            return []
        if check.collect.by != "facts":
            return [self.answers[check.collect.by]] if check.collect.by in self.answers else []
        return [self.looks[result.subject] for result in results if result.subject in self.looks]

    @property
    def exit_code(self) -> int:
        """3 when the file of results is not what the chain says; 1 when the chain is broken or something is not met;
        3 when something is open; else 0."""
        verdicts = {one.verdict for one in self.judged}
        if self.past.run.results is None:
            return 3
        if not self.past.chain.ok or verdicts & {Verdict.PARTLY, Verdict.NOT_MET}:
            return 1
        return 3 if verdicts & {Verdict.UNKNOWN, Verdict.NEEDS_STATEMENT} else 0


def read_past(context: Context, name: str, chain: Chain, run: str | None = None) -> Past:
    """What is on record against a standard, up to the run that is asked for (else the last). UsageError for a standard
    or a run that is not there; CannotMeasure when nothing was assessed yet."""
    inventory = context.inventory
    listed = standards(inventory)
    named(context, name)
    records = list(chain.records())
    assessed = [record for record in records if record.kind == ASSESSED and record.body["standard"] == name]
    if not assessed:
        raise CannotMeasure(
            told(
                f"还没有按 {name} 测评过：请运行 egovctl assess run {name} -i {inventory.name}",
                f"nothing was assessed against {name} yet: run egovctl assess run {name} -i {inventory.name}",
            )
        )
    if run is not None:
        names = [record.body["run"] for record in assessed]
        if run not in names:
            raise UsageError(
                tr(f"没有按 {name} 的测评 {run}", f"there is no assessment {run} against {name}"),
            )
        assessed = assessed[: names.index(run) + 1]
    standard = of_record(context, assessed[-1])
    runs = tuple(_run(inventory, record) for record in assessed[-RUNS_SHOWN:])
    marks = [one for entry in runs for one in entry.judged.values()]
    stated, accepted = {one.statement for one in marks}, {one.accepted for one in marks}
    return Past(
        inventory,
        standard,
        None if standard.hazards is None else listed.get(standard.hazards),
        content.checks(inventory).entries,
        runs,
        tuple(_collected(records, runs[-1])),
        {record.seq: read_statement(inventory, record) for record in records if record.seq in stated},
        {record.seq: read_acceptance(record) for record in records if record.seq in accepted},
        {record.seq: record for record in records},
        verified(inventory, chain),
        chain.head(),
    )


def _collected(records: Iterable[Record], run: Run) -> list[Record]:
    """What was collected in a run, and before it where it went by what was kept."""
    reused, recalled = run.record.body.get("reused", {}), run.record.body.get("recalled", {})
    last: dict[tuple[str, str], Record] = {}
    for record in records:
        if record.seq > run.record.seq or record.kind not in (LOOKED, ANSWERED):
            continue
        body = record.body
        of = body["host"] if record.kind == LOOKED else body["by"]
        kept = of in recalled if record.kind == ANSWERED else of in reused and body["observed_at"] == reused[of]
        if kept or body["run"] == run.name:
            last[record.kind, of] = record
    return sorted(last.values(), key=lambda record: record.seq)


def assessed(past: Past, scope: Scope) -> Assessed:
    """The last assessment for a part. CannotMeasure for less than the city when the results are not those on record:
    the chain has the verdicts on the whole city alone."""
    run = past.run
    if run.results is None and not _recorded(past, scope):
        raise CannotMeasure(
            told(
                f"测评 {run.name} 的结果文件{'被改动' if run.found else '缺失'}，无法按部分出报告",
                f"the results of assessment {run.name} {'were changed' if run.found else 'are gone'}: "
                "there can be no report of a part",
            )
        )
    results = tuple(result for result in run.results or () if scope.has(result.subject))
    judged, hazards = _verdicts(past, run, scope)
    return Assessed(
        past,
        scope,
        results,
        tuple(judged),
        tuple(hazards),
        _score(past, run, scope, judged, hazards),
        wanting([*judged, *hazards], list(results)),
        tuple(_trend(past, scope)),
    )


def _recorded(past: Past, scope: Scope) -> bool:
    """Whether the record itself is of this part: it is of the whole city, or of the grading object that this is."""
    return scope.whole or isinstance(past.standard, Graded)


def _verdicts(past: Past, run: Run, scope: Scope) -> tuple[list[Judged], list[Judged]]:
    """Of the whole city and of a grading object as they were recorded; of a part as its results come to."""
    if not _recorded(past, scope):
        return past.judge(run, (result for result in run.results or () if scope.has(result.subject)))
    listed = past.standard.by_id
    hazards = {} if past.hazards is None else past.hazards.by_id
    return (
        [run.judged[name] for name in listed if name in run.judged],
        [run.judged[name] for name in hazards if name in run.judged],
    )


def _score(past: Past, run: Run, scope: Scope, judged: list[Judged], hazards: list[Judged]) -> Score:
    if not _recorded(past, scope):
        return score(judged, past.areas, hazards)
    return _recorded_score(run.record.body["score"])


def _recorded_score(said: Mapping[str, Any]) -> Score:
    def span(name: str) -> Interval:
        return Interval(said[name]["low"], said[name]["high"])

    (worst, best), (poor, good) = said["conclusion"], said["grade"]
    return Score(
        dict(said["counts"]),
        said["applicable"],
        span("rate_partial_0"),
        span("rate_partial_half"),
        span("without_accepted"),
        span("hazards"),
        (worst, best),
        span("deducted"),
        (poor, good),
    )


def _trend(past: Past, scope: Scope) -> Iterable[Point]:
    for run in past.runs:
        if run.results is None and not _recorded(past, scope):
            continue
        judged, hazards = _verdicts(past, run, scope)
        verdicts = {one.item: one.verdict for one in (*judged, *hazards)}
        yield Point(run, _score(past, run, scope, judged, hazards), verdicts)


def _run(inventory: Inventory, record: Record) -> Run:
    whole, found = kept_results.read(inventory, record)
    if whole is None:
        verdicts = record.body["verdicts"].items()
        return Run(record, None, {name: Judged(name, Verdict(word), NO_REASON) for name, word in verdicts}, found)
    results = tuple(replace(Result(**entry), status=Status(entry["status"])) for entry in whole["results"])
    judged = [_judged(entry) for entry in whole["judged"]]
    return Run(record, results, {one.item: one for one in judged}, found)


def _judged(entry: dict[str, Any]) -> Judged:
    return Judged(
        entry["item"],
        Verdict(entry["verdict"]),
        entry["reason"],
        tuple(entry["checks"]),
        entry["statement"],
        entry["accepted"],
    )
