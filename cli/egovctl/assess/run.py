"""One assessment against a standard: collect, judge, score, and put on record what was planned, seen and concluded."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from egovctl.assess import cache, kept_results
from egovctl.assess.objects import OBJECTS, Graded, is_object
from egovctl.assess.scope import Scope, scope_of
from egovctl.assess.score import Score, score
from egovctl.assess.standards import Standard, standards
from egovctl.assess.statements import acceptances, statements
from egovctl.assess.verdict import BAD, OPEN, Judged, Verdict, judge_standard
from egovctl.checks import content
from egovctl.checks.answers import Answers
from egovctl.checks.context import Context
from egovctl.checks.engine import NO_SUBJECT, broken, is_of_some, run_checks
from egovctl.checks.model import JUDGED, Check, Result, Status
from egovctl.checks.rulings import Ruled
from egovctl.errors import CannotMeasure
from egovctl.evidence import Chain, Head, Record
from egovctl.evidence.record import now
from egovctl.i18n import tr
from egovctl.paths import Inventory

ASSESSED = "assess.standard"
MISSING_MOST = 5


@dataclass(frozen=True)
class Assessment:
    """One self-assessment. `wanting` names what would narrow the interval most: a check, or statements, and how many
    requirements wait for it. `reused` are hosts that were not asked again, and when they were observed; `recalled`
    other collectors whose answers were gone by, and when the oldest is of; `odd` are those that were asked again, since
    what was kept of them is not what the evidence says. `graded`: of a grading object, its grades."""

    run: str
    standard: str
    started_at: str
    seconds: float
    cpu_seconds: dict[str, float]
    results: tuple[Result, ...]
    judged: tuple[Judged, ...]
    hazards: tuple[Judged, ...]
    score: Score
    wanting: tuple[tuple[str, int], ...]
    head: Head | None = None
    reused: dict[str, str] = field(default_factory=dict)
    recalled: dict[str, str] = field(default_factory=dict)
    odd: tuple[str, ...] = ()
    graded: str = ""

    @property
    def exit_code(self) -> int:
        """3 when nothing was measured; else 1 when a requirement is not met, 3 when one is open, 0 when all are met."""
        # A check whose file is broken is of no subject, and no measurement that failed.
        asked = [result for result in self.results if result.subject != NO_SUBJECT]
        if asked and not any(result.status in JUDGED for result in asked):
            return 3
        verdicts = {one.verdict for one in self.judged}
        return 1 if verdicts & BAD else 3 if verdicts & OPEN else 0


def run_standard(
    context: Context,
    name: str,
    chain: Chain,
    progress: Callable[[str], None] = lambda text: None,
    max_age: timedelta | None = None,
) -> Assessment:
    """Assess the city against a standard. The plan is on record before anything is asked, the verdicts afterwards.

    What was observed within `max_age` by the same programs is not asked again: neither of hosts nor of Prometheus, nor
    are flows tried; registers, journals and statements are always read anew.
    UsageError for a standard that is not known; CannotMeasure when another assessment runs or the disk is full.
    """
    return _assessed(context, name, (standards(context.inventory).get(name),), chain, progress, max_age)[0]


def run_objects(
    context: Context,
    objects: Sequence[Graded],
    chain: Chain,
    progress: Callable[[str], None] = lambda text: None,
    max_age: timedelta | None = None,
) -> tuple[Assessment, ...]:
    """Assess grading objects, each by its grades and by what is its own and the city's; hosts are asked once for all.

    Each has a record of its own, as a standard has.
    """
    return _assessed(context, OBJECTS, objects, chain, progress, max_age)


def _assessed(
    context: Context,
    name: str,
    asked: Sequence[Standard],
    chain: Chain,
    progress: Callable[[str], None],
    max_age: timedelta | None,
) -> tuple[Assessment, ...]:
    listed = standards(context.inventory)
    hazards = {one.id: None if one.hazards is None else listed.get(one.hazards) for one in asked}
    wanted = {item for one in (*asked, *hazards.values()) if one is not None for item in one.by_id}
    shelf = content.checks(context.inventory)
    checks = [check for check in shelf.entries.values() if wanted & {*check.items, *check.supports}]
    planned: dict[str, Any] = {"standard": name, "checks": [check.id for check in checks]}
    if grades := {one.service: one.graded for one in asked if isinstance(one, Graded)}:
        planned["graded"] = grades
    scopes = {one.id: _scope(context, one) for one in asked}
    with _alone(context.inventory):
        run, started_at, begun = uuid4().hex[:12], now(), time.monotonic()
        chain.append("assess.planned", {"run": run, **planned})
        context, odd = _remembering(context, chain, max_age)
        try:
            results = _seen(context, checks, scopes.values(), progress)
        except KeyboardInterrupt:
            chain.append("assess.aborted", {"run": run, "standard": name})
            raise
        results += [broken(check, reason) for check, reason in shelf.broken.items()]
        for _, look in sorted(context.looks.items()):
            chain.append(cache.LOOKED, {"run": run, **look.evidence()})
            cache.keep(context.inventory, look)
        cache.keep_answers(context.inventory, chain, run, context.answers)
        if context.ruled is not None:
            cache.keep_rulings(context.inventory, chain, run, context.ruled)
        reused = {host: look.observed_at for host, look in sorted(context.reused.items())}
        results = [_dated(result, shelf.entries, reused) for result in results]
        at = datetime.now(UTC)
        stated, accepted = statements(context.inventory, chain, at), acceptances(chain, at)

        def of(standard: Standard) -> Assessment:
            scope, dangers = scopes[standard.id], hazards[standard.id]
            seen = [result for result in results if scope.has(result.subject)]
            judged = judge_standard(standard, shelf.entries, seen, stated, accepted)
            bad = judge_standard(dangers, shelf.entries, seen, stated, accepted) if dangers else []
            areas = {item.id: area.id for area, _, item in standard.walk()}
            return Assessment(
                run,
                standard.id,
                started_at,
                round(time.monotonic() - begun, 3),
                {host: look.cpu_seconds for host, look in context.looks.items() if host in scope.hosts},
                tuple(seen),
                tuple(judged),
                tuple(bad),
                score(judged, areas, bad),
                wanting([*judged, *bad], seen),
                reused={host: when for host, when in reused.items() if host in scope.hosts},
                recalled=dict(context.answers.used),
                odd=tuple(odd),
                graded=standard.graded if isinstance(standard, Graded) else "",
            )

        return tuple(_recorded(context.inventory, chain, of(standard)) for standard in asked)


def _remembering(context: Context, chain: Chain, max_age: timedelta | None) -> tuple[Context, list[str]]:
    """A context that knows what was seen within `max_age`; and what was kept that is not what the evidence says."""
    if not max_age:
        return replace(context, looks={}, kept={}, reused={}, answers=Answers(), ruled=Ruled()), []
    at = datetime.now(UTC)
    looks, odd = cache.kept(context.inventory, chain, max_age, at)
    answers, strange = cache.kept_answers(context.inventory, chain, max_age, at)
    rulings, spoilt = cache.kept_rulings(context.inventory, chain)
    remembering = replace(context, looks={}, kept=looks, reused={}, answers=Answers(answers), ruled=Ruled(rulings))
    return remembering, [*odd, *strange, *spoilt]


def _seen(
    context: Context, checks: list[Check], scopes: Collection[Scope], progress: Callable[[str], None]
) -> list[Result]:
    """What the checks say of all that is in one of the scopes; nothing else is asked."""
    if any(scope.whole for scope in scopes):
        return run_checks(context, checks, progress=progress)
    wanted = {subject for scope in scopes for subject in scope.subjects}
    results = run_checks(context, checks, among=wanted, progress=progress)
    elsewhere = {check.id for check in checks if is_of_some(context, check)}
    # Of a check that is of other hosts only there is nothing to say.
    return [result for result in results if result.subject != NO_SUBJECT or result.check not in elsewhere]


def _scope(context: Context, standard: Standard) -> Scope:
    """What a standard is judged by: all of the city, or what is a grading object's own and the city's."""
    if isinstance(standard, Graded):
        return scope_of(context, "service", standard.service)
    return scope_of(context, "city")


def _dated(result: Result, checks: Mapping[str, Check], reused: Mapping[str, str]) -> Result:
    """A result on what was kept is of when that was observed."""
    check = checks.get(result.check)
    if check is None or check.collect.by != "facts" or result.subject not in reused:
        return result
    return replace(result, observed_at=reused[result.subject])


def wanting(judged: list[Judged], results: list[Result]) -> tuple[tuple[str, int], ...]:
    """What the open requirements wait for, the most wanted first: statements ("") or a check that did not measure."""
    unsaid = {result.check for result in results if result.status in (Status.UNKNOWN, Status.ERROR)}
    counts: Counter[str] = Counter()
    for one in judged:
        if one.verdict is Verdict.NEEDS_STATEMENT:
            counts[""] += 1
        elif one.verdict is Verdict.UNKNOWN:
            counts.update(unsaid & set(one.checks))
    return tuple(counts.most_common(MISSING_MOST))


def _recorded(inventory: Inventory, chain: Chain, assessment: Assessment) -> Assessment:
    """Write the whole results to a file, and the verdicts with that file's hash into the chain."""
    whole = {
        "run": assessment.run,
        "standard": assessment.standard,
        "results": [vars(result) for result in assessment.results],
        "judged": [asdict(one) for one in (*assessment.judged, *assessment.hazards)],
    }
    sha256 = kept_results.keep(inventory, assessment.run, assessment.standard, whole)
    body = {
        "run": assessment.run,
        "standard": assessment.standard,
        "kind": "self-assessment",
        "started_at": assessment.started_at,
        "seconds": assessment.seconds,
        "score": asdict(assessment.score),
        "verdicts": {one.item: one.verdict.value for one in (*assessment.judged, *assessment.hazards)},
        **({"graded": assessment.graded} if assessment.graded else {}),
        **({"reused": assessment.reused} if assessment.reused else {}),
        **({"recalled": assessment.recalled} if assessment.recalled else {}),
        "results_sha256": sha256,
    }
    chain.append(ASSESSED, json.loads(json.dumps(body)))
    return Assessment(**{**_fields(assessment), "head": chain.head()})


def _fields(assessment: Assessment) -> dict[str, Any]:
    return {name: getattr(assessment, name) for name in assessment.__dataclass_fields__}


def last_run(inventory: Inventory, chain: Chain, standard: Standard) -> tuple[Record, dict[str, Any] | None] | None:
    """The record of a standard's last assessment, and its whole results; None for these when the file is not the one
    that the record names, and None for both when there was no assessment. A list of hazards is judged with others."""
    records = [record for record in chain.records(ASSESSED) if judges(record, standard)]
    if not records:
        return None
    return records[-1], kept_results.read(inventory, records[-1])[0]


def judges(record: Record, standard: Standard) -> bool:
    """Whether an assessment has verdicts on a standard: it was against it, or counted it as its list of hazards. Those
    on a grading object are on nothing else."""
    if record.body["standard"] == standard.id:
        return True
    first = standard.areas[0].points[0].items[0].id
    return (
        not is_object(record.body["standard"])
        and not isinstance(standard, Graded)
        and (first in record.body["verdicts"])
    )


def regraded(before: Record, after: Record) -> tuple[str, str] | None:
    """The grades before and now of an object that is graded otherwise since: it has other requirements."""
    old, new = before.body.get("graded", ""), after.body.get("graded", "")
    return (old, new) if old != new else None


@dataclass(frozen=True)
class Change:
    """One requirement whose verdict is another than in the assessment before."""

    item: str
    before: str
    after: str
    reason: dict[str, str]

    @property
    def worse(self) -> bool:
        """Whether it was better before; what became open is worse than what was met, and better than what was not."""
        return ORDER.index(self.after) > ORDER.index(self.before)


# From best to worst.
ORDER = ("not_applicable", "met", "needs_statement", "unknown", "partly", "not_met")


def history(chain: Chain, standard: Standard) -> list[Record]:
    """The records of a standard's assessments, oldest first."""
    return [record for record in chain.records(ASSESSED) if record.body["standard"] == standard.id]


def changes(before: Record, after: Record, whole: dict[str, Any] | None) -> list[Change]:
    """What two assessments judged differently, worst first, with the newer one's reasons where they are known."""
    reasons = {one["item"]: one["reason"] for one in (whole or {}).get("judged", [])}
    old, new = before.body["verdicts"], after.body["verdicts"]
    found = [
        Change(item, old[item], new[item], reasons.get(item, {"zh": "", "en": ""}))
        for item in new
        if item in old and old[item] != new[item]
    ]
    return sorted(found, key=lambda one: (not one.worse, -ORDER.index(one.after)))


@contextmanager
def _alone(inventory: Inventory) -> Iterator[None]:
    """Two assessments at once would ask every host twice and mix their records."""
    descriptor = os.open(inventory.state / "assess.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotMeasure(
                tr("另一次测评正在进行，请等它结束", "another assessment is running; wait until it has ended")
            ) from None
        yield
    finally:
        os.close(descriptor)
