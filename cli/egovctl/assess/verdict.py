"""The verdict on one requirement, from what checks found and what people stated. Pure functions.

A statement never makes good what a machine found bad, and never stands in for a measurement that failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from egovctl.assess.standards import Item, Standard
from egovctl.assess.statements import Acceptance, Statement
from egovctl.checks.model import Check, Result, Status
from egovctl.i18n import pick

SEEN_MOST = 3  # subjects that a reason names


class Verdict(StrEnum):
    """The closed set of verdicts on a requirement."""

    MET = "met"
    PARTLY = "partly"
    NOT_MET = "not_met"
    NOT_APPLICABLE = "not_applicable"
    UNKNOWN = "unknown"
    NEEDS_STATEMENT = "needs_statement"


# Nobody knows yet: it may turn out either way.
OPEN = frozenset({Verdict.UNKNOWN, Verdict.NEEDS_STATEMENT})
BAD = frozenset({Verdict.PARTLY, Verdict.NOT_MET})
RANK = {Verdict.MET: 0, Verdict.PARTLY: 1, Verdict.NOT_MET: 2}


@dataclass(frozen=True)
class Judged:
    """One requirement judged: why (both languages), by which checks, by which statement (its record's number)."""

    item: str
    verdict: Verdict
    reason: dict[str, str]
    checks: tuple[str, ...] = ()
    statement: int | None = None
    accepted: int | None = None

    @property
    def text(self) -> str:
        return pick(self.reason)


@dataclass(frozen=True)
class Evidence:
    """What there is on one requirement: results of the checks that settle it, of those that support it, a statement."""

    settling: tuple[Result, ...] = ()
    supporting: tuple[Result, ...] = ()
    statement: Statement | None = None
    acceptance: Acceptance | None = None


def judge_standard(
    standard: Standard,
    checks: Mapping[str, Check],
    results: Iterable[Result],
    statements: Mapping[str, Statement],
    acceptances: Mapping[str, Acceptance],
) -> list[Judged]:
    """The verdicts on all requirements, in the standard's order."""
    settling: dict[str, list[Result]] = {}
    supporting: dict[str, list[Result]] = {}
    for result in results:
        check = checks.get(result.check)
        if check is None:
            continue
        for name in check.items:
            settling.setdefault(name, []).append(result)
        for name in check.supports:
            supporting.setdefault(name, []).append(result)
    return [
        judge_item(
            item,
            Evidence(
                tuple(settling.get(item.id, ())),
                tuple(supporting.get(item.id, ())),
                statements.get(item.id),
                acceptances.get(item.id),
            ),
        )
        for _, _, item in standard.walk()
    ]


def judge_item(item: Item, evidence: Evidence) -> Judged:
    """The verdict on one requirement; an accepted risk is a mark on what is not met, and changes no verdict."""
    verdict, reason = _machine(item, evidence)
    statement = evidence.statement
    if statement is not None:
        verdict, reason = _with(verdict, reason, statement)
    asked = dict.fromkeys(result.check for result in evidence.settling + evidence.supporting)
    acceptance = evidence.acceptance if verdict in BAD else None
    return Judged(
        item.id,
        verdict,
        reason,
        tuple(asked),
        None if statement is None else statement.seq,
        None if acceptance is None else acceptance.seq,
    )


def _machine(item: Item, evidence: Evidence) -> tuple[Verdict, dict[str, str]]:
    """What the checks alone say. A supporting one that fails shows a part that is missing, never that all is."""
    if item.unmet is not None:
        return Verdict.NOT_MET, {"zh": item.unmet.zh, "en": item.unmet.en}
    results = evidence.settling + evidence.supporting
    bad = [result for result in results if result.status in (Status.FAIL, Status.PARTIAL)]
    if bad:
        some = any(result.status in (Status.PASS, Status.PARTIAL) for result in results)
        some = some or not any(result in evidence.settling for result in bad)
        return (Verdict.PARTLY if some else Verdict.NOT_MET), _named(bad, {"zh": "不符：", "en": "not so: "})
    unsaid = [result for result in results if result.status in (Status.UNKNOWN, Status.ERROR)]
    if unsaid:
        return Verdict.UNKNOWN, _named(unsaid, {"zh": "未能测得：", "en": "not measured: "})
    left = [result for result in results if result.status is Status.MANUAL]
    if left:
        return Verdict.NEEDS_STATEMENT, _named(
            left, {"zh": "须由人说明，没有登记：", "en": "needs a statement, no register: "}
        )
    good = [result for result in evidence.settling if result.status is Status.PASS]
    count = len({result.check for result in good})
    if good and item.settles == "full":
        return Verdict.MET, {"zh": f"{count} 项检查全部通过", "en": f"all {count} checks pass"}
    if good or any(result.status is Status.PASS for result in evidence.supporting):
        return Verdict.NEEDS_STATEMENT, {
            "zh": "检查没有发现不符，其余须由人说明",
            "en": "the checks find nothing wrong; the rest needs a statement",
        }
    return Verdict.NEEDS_STATEMENT, {"zh": "须由人说明", "en": "needs a statement"}


def _with(verdict: Verdict, reason: dict[str, str], statement: Statement) -> tuple[Verdict, dict[str, str]]:
    """The worse of both; a statement decides alone only where the checks left it to people."""
    if statement.lost:
        gone = statement.lost
        if verdict in BAD:
            return verdict, reason
        return Verdict.UNKNOWN, {
            "zh": f"说明的附件缺失或被改动：{gone}",
            "en": f"an attachment is gone or changed: {gone}",
        }
    stated = Verdict(statement.status)
    said = {
        "zh": f"{statement.by} 于 {statement.at[:10]} 说明：{statement.text}",
        "en": f"stated by {statement.by} on {statement.at[:10]}: {statement.text}",
    }
    if verdict is Verdict.NEEDS_STATEMENT:
        return stated, said
    if stated in BAD and (verdict is Verdict.UNKNOWN or RANK[stated] > RANK[verdict]):
        return stated, said
    return verdict, reason


def _named(results: list[Result], start: dict[str, str]) -> dict[str, str]:
    """The first checks and subjects, and how many more."""
    by_check: dict[str, list[str]] = {}
    for result in results:
        by_check.setdefault(result.check, []).append(result.subject)
    parts = []
    for check, subjects in list(by_check.items())[:SEEN_MOST]:
        names = ", ".join(subjects[:SEEN_MOST]) + (
            f" +{len(subjects) - SEEN_MOST}" if len(subjects) > SEEN_MOST else ""
        )
        parts.append(f"{check} ({names})")
    more = f" +{len(by_check) - SEEN_MOST}" if len(by_check) > SEEN_MOST else ""
    return {language: text + "; ".join(parts) + more for language, text in start.items()}
