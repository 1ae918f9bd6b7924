"""The engine: choose subjects, collect once, judge each, record before and after.

Nothing measured is an error, never a pass. What fails for one subject, host or file does not stop the others.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import uuid4

from egovctl.checks import content
from egovctl.checks.answers import Answer
from egovctl.checks.answers import asked as answered
from egovctl.checks.collect import COLLECTORS
from egovctl.checks.collect.base import Facts, Request
from egovctl.checks.context import Context
from egovctl.checks.judge import BadExpression
from egovctl.checks.model import JUDGED, Check, NotApplicable, Result, Status
from egovctl.checks.rulings import Rulings
from egovctl.errors import EgovError, UsageError
from egovctl.evidence import Chain, Head
from egovctl.evidence.record import now
from egovctl.i18n import both, tr
from egovctl.transport import HostSilent

Progress = Callable[[str], None]
Chosen = dict[str, dict[str, Any]]
NO_SUBJECT = "-"
NEVER_KEPT = {"facts", "registers"}  # the former keeps what hosts said word for word, the latter asks nobody


@dataclass(frozen=True)
class Run:
    """One run of some checks. `head` is the evidence chain's after the run was recorded."""

    id: str
    checklist: str
    results: tuple[Result, ...]
    started_at: str
    seconds: float
    head: Head | None = None

    @property
    def totals(self) -> dict[str, int]:
        """How many results have each status, all seven named."""
        counted = Counter(result.status for result in self.results)
        return {status.value: counted[status] for status in Status}

    @property
    def exit_code(self) -> int:
        """1 when something judged is not as it should be, else 3 when something could not be measured, else 0."""
        statuses = {result.status for result in self.results}
        if statuses & {Status.FAIL, Status.PARTIAL}:
            return 1
        return 3 if statuses & {Status.UNKNOWN, Status.ERROR} or not statuses & JUDGED else 0


def run_checklist(
    context: Context,
    name: str,
    chain: Chain,
    only: Iterable[str] = (),
    progress: Progress = lambda text: None,
) -> Run:
    """Run a checklist, or only some of its checks. The plan to run is on record before anything is measured.

    Raises UsageError for a name that is not known. A check whose file is broken gives an error, the others run.
    """
    listed = content.checklists(context.inventory).get(name)
    wanted = list(only)
    if unknown := [item for item in wanted if item not in listed.checks]:
        has = ", ".join(listed.checks)
        raise UsageError(
            tr(
                f"{unknown[0]} 不在清单 {name} 中；其中有：{has}",
                f"{unknown[0]} is not in checklist {name}; it has: {has}",
            )
        )
    chosen = [item for item in listed.checks if not wanted or item in wanted]
    run_id, started_at, begun = uuid4().hex[:12], now(), time.monotonic()
    chain.append("assess.planned", {"run": run_id, "checklist": name, "checks": chosen})
    shelf = content.checks(context.inventory)
    checks = [shelf.entries[item] for item in chosen if item in shelf.entries]
    try:
        results = run_checks(context, checks, progress=progress)
    except KeyboardInterrupt:
        chain.append("assess.aborted", {"run": run_id, "checklist": name})
        raise
    for item in chosen:
        if item not in shelf.entries:
            results.append(broken(item, shelf.broken.get(item) or _absent(item)))
    results.sort(key=lambda result: chosen.index(result.check))
    run = Run(run_id, name, tuple(results), started_at, round(time.monotonic() - begun, 3))
    chain.append("assess.result", _body(run))
    return replace(run, head=chain.head())


def run_checks(
    context: Context,
    checks: Iterable[Check],
    *,
    narrow: Mapping[str, str] | None = None,
    among: Collection[str] | None = None,
    progress: Progress = lambda text: None,
) -> list[Result]:
    """Judge checks without recording them.

    `among` names the only subjects that are looked at; `narrow` may hold a further CEL over `subject` for a check's id.
    """
    results: list[Result] = []
    groups: dict[str, list[tuple[Check, Chosen]]] = {}
    chooser = Chooser(context, among)
    for check in checks:
        try:
            subjects = chooser.chosen(check, (narrow or {}).get(check.id, "true"))
        except BadExpression as error:
            results.append(_error(check, NO_SUBJECT, str(error)))
            continue
        if subjects:
            groups.setdefault(check.collect.by, []).append((check, subjects))
        elif check.absent is not None:
            reason = {"zh": check.absent.zh, "en": check.absent.en}
            results.append(Result(check.id, NO_SUBJECT, Status.NOT_APPLICABLE, reason))
        else:
            results.append(_nothing(check))
    for name, members in groups.items():
        progress(name)
        results += _run_group(context, name, members)
    return results


def is_of_some(context: Context, check: Check) -> bool:
    """Whether the plan has a subject that this check is of; not where the check cannot say which."""
    try:
        return bool(Chooser(context).chosen(check, "true"))
    except BadExpression:
        return False


class Chooser:
    """The subjects of checks, `among` some or all: checks that choose alike share one choice."""

    def __init__(self, context: Context, among: Collection[str] | None = None) -> None:
        self.context, self.among, self._rulings = context, among, Rulings(context.ruled)
        self._made: dict[tuple[str, str, str], Chosen] = {}

    def chosen(self, check: Check, narrow: str) -> Chosen:
        """name → subject; BadExpression when `where`, or what it is narrowed by, is none."""
        key = (check.subject, check.where, narrow)
        if key not in self._made:
            asked = [expression for expression in (check.where, narrow) if expression != "true"]
            self._made[key] = {
                name: subject
                for name, subject in self.context.subjects(check.subject).items()
                if (self.among is None or name in self.among)
                and all(self._rulings.truth(expression, {"subject": subject}) for expression in asked)
            }
        return self._made[key]


def _run_group(context: Context, name: str, members: list[tuple[Check, Chosen]]) -> list[Result]:
    requests = [Request(check.id, tuple(subjects), check.collect, check.subject) for check, subjects in members]
    observed = _observed(context, name, requests)
    rulings = Rulings(context.ruled)
    return [
        replace(_judged(check, subject_name, subject, facts, rulings), observed_at=at)
        for (check, subjects), answers in zip(members, observed, strict=True)
        for subject_name, subject in subjects.items()
        for facts, at in [answers[subject_name]]
    ]


def _observed(context: Context, name: str, requests: list[Request]) -> list[dict[str, tuple[Facts | None, str]]]:
    """For each request, of each subject: its facts and when they were observed; what is kept is not asked again."""
    known = [dict(_kept(context, name, request)) for request in requests]
    lacking = [
        replace(request, subjects=tuple(subject for subject in request.subjects if subject not in kept))
        for request, kept in zip(requests, known, strict=True)
    ]
    answers = iter(_asked(context, name, [request for request in lacking if request.subjects]))
    at = now()
    found: list[dict[str, tuple[Facts | None, str]]] = []
    for request, kept in zip(lacking, known, strict=True):
        fresh = next(answers) if request.subjects else {}
        query = answered(request.collect, request.kind)
        for subject, facts in fresh.items():
            if name not in NEVER_KEPT and isinstance(facts, dict):
                context.answers.note(name, (query, subject), Answer(at, facts))
        found.append({**kept, **{subject: (fresh.get(subject), at) for subject in request.subjects}})
    return found


def _kept(context: Context, name: str, request: Request) -> Iterator[tuple[str, tuple[Facts, str]]]:
    query = answered(request.collect, request.kind)
    for subject in request.subjects:
        if answer := context.answers.use(name, (query, subject)):
            yield subject, (answer.facts, answer.at)


def _asked(context: Context, name: str, requests: list[Request]) -> list[dict[str, Facts]]:
    """What the collector says; its fault is every subject's, and no other collector's."""
    if not requests:
        return []
    collector = COLLECTORS.get(name)
    try:
        if collector is None:
            raise BadExpression(f"there is no collector {name}; there is: {', '.join(sorted(COLLECTORS))}")
        return collector(context, requests)
    except Exception as error:  # what it may be, no collector knows
        return [dict.fromkeys(request.subjects, error) for request in requests]


def _judged(check: Check, name: str, subject: dict[str, Any], facts: Facts | None, rulings: Rulings) -> Result:
    if facts is None:
        return _error(check, name, f"collector {check.collect.by} said nothing of it")
    if isinstance(facts, NotApplicable):
        return Result(check.id, name, Status.NOT_APPLICABLE, facts.reason)
    if isinstance(facts, HostSilent):
        reason = both(facts.reason)
        detail = {"zh": f"无应答：{reason['zh']}", "en": f"no answer: {reason['en']}"}
        return Result(check.id, name, Status.UNKNOWN, detail)
    if isinstance(facts, EgovError):
        return _unknown(check, name, both(facts))
    if isinstance(facts, Exception):
        return _error(check, name, f"{type(facts).__name__}: {facts}")
    try:
        ruling = rulings.of(check, {"subject": subject, **facts})
        return Result(check.id, name, ruling.status, ruling.detail, ruling.shown, rulings.digest(facts))
    except BadExpression as error:
        return _error(check, name, str(error))


def _unknown(check: Check, subject: str, reason: dict[str, str]) -> Result:
    return Result(
        check.id,
        subject,
        Status.UNKNOWN,
        {"zh": f"无法测量：{reason['zh']}", "en": f"cannot be measured: {reason['en']}"},
    )


def _error(check: Check, subject: str, reason: str) -> Result:
    return Result(
        check.id,
        subject,
        Status.ERROR,
        {"zh": f"检查本身出错：{reason}", "en": f"the check is wrong: {reason}"},
    )


def _nothing(check: Check) -> Result:
    detail = {"zh": "没有可测的对象：不算通过", "en": "there is nothing to measure: that is no pass"}
    return Result(check.id, NO_SUBJECT, Status.ERROR, detail, observed_at=now())


def _absent(check: str) -> dict[str, str]:
    return {"zh": f"没有检查项 {check}", "en": f"there is no check {check}"}


def broken(check: str, reason: dict[str, str]) -> Result:
    """The result of a check whose file cannot be read: an error that says where."""
    detail = {"zh": f"检查文件有误：{reason['zh']}", "en": f"the check's file is wrong: {reason['en']}"}
    return Result(check, NO_SUBJECT, Status.ERROR, detail, observed_at=now())


def _body(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "checklist": run.checklist,
        "started_at": run.started_at,
        "seconds": run.seconds,
        "totals": run.totals,
        "results": [asdict(result) for result in run.results],
    }
