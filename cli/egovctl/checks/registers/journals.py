"""What the suite's own evidence says of its work: applies, assessments, drills, looks at backups. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from egovctl.evidence import Record

APPLIES_DAYS = 180  # of applies so old is judged how they were done
NEVER = -1


def days_since(at: str, now: datetime) -> int:
    """Whole days since a record; what is from the future counts as never."""
    passed = now - datetime.fromisoformat(at)
    return NEVER if passed < timedelta(minutes=-5) else max(0, passed.days)


def applies(records: Sequence[Record], now: datetime) -> dict[str, Any]:
    """The applies of half a year: `unfinished` have no end on record, `unnamed` no person, `plans` were applied.

    root itself is no person: who became root by sudo, or came over ssh with an account of their own, is.
    """
    begun = {r.body["run"]: r for r in records if r.kind == "apply.planned"}
    recent = {run: r for run, r in begun.items() if 0 <= days_since(r.at, now) <= APPLIES_DAYS}
    ended = {r.body["run"] for r in records if r.kind == "apply.result"}
    told = [r for r in records if r.kind == "apply.host" and r.body["run"] in recent]
    newest = max(recent.values(), key=lambda r: r.at, default=None)
    running = newest.body["run"] if newest is not None and days_since(newest.at, now) == 0 else None
    return {
        "count": len(recent),
        "unfinished": sorted(run for run in recent if run not in ended and run != running),
        "unnamed": sorted(run for run, r in recent.items() if _nobody(r.body.get("who", {}))),
        "rolled_back": sum(bool(r.body.get("rolled_back")) for r in told),
        "unexplained": sorted({r.body["host"] for r in told if r.body["failed"] and not r.body.get("reason")}),
        "plans": [
            {
                "revision": r.plan_revision,
                "name": r.plan_revision[:12],
                "by": _person(r.body.get("who", {})),
                "days": days_since(r.at, now),
            }
            for r in recent.values()
        ],
    }


def _person(who: dict[str, Any]) -> str:
    return str(who.get("sudo_by") or who.get("account") or "")


def _nobody(who: dict[str, Any]) -> bool:
    return _person(who) in ("", "root")


def assessments(records: Iterable[Record], now: datetime) -> dict[str, Any]:
    """For each check the days since it was last judged; the last self-assessment of each standard, with what is open.

    NEVER for what is not on record at all has no entry.
    """
    checked: dict[str, int] = {}
    standards: dict[str, dict[str, Any]] = {}
    for record in records:
        days = days_since(record.at, now)
        if days == NEVER:
            continue
        if record.kind == "assess.result":
            judged = [r["check"] for r in record.body["results"] if r["status"] in ("pass", "partial", "fail")]
            checked |= dict.fromkeys(judged, days)
        elif record.kind == "assess.standard":
            counts = record.body["score"]["counts"]
            waiting = counts["unknown"] + counts["needs_statement"]
            standards[record.body["standard"]] = {"days": days, "open": waiting}
    rows = [{"name": name, **found} for name, found in sorted(standards.items())]
    return {"checked": checked, "standards": rows}


CLASSES = {
    "system": ("操作系统", "systems"),
    "office": ("办公软件", "office"),
    "anti-virus": ("杀毒软件", "anti-virus"),
}


def software(records: Iterable[Record], now: datetime) -> dict[str, Any]:
    """The last count of genuine software: days since, and the share of each class that is installed, at least and at
    most. NEVER for what was not counted yet."""
    last, days = None, NEVER
    for record in records:
        if record.kind == "software.counted" and days_since(record.at, now) != NEVER:
            last, days = record, days_since(record.at, now)
    rows = []
    for one in [] if last is None else last.body["classes"]:
        if one["low"] is None:
            continue
        low, high = float(one["low"]), float(one["high"])
        # Rounded down: 99.96 % is not all of it.
        ends = [f"{int(1000 * value) / 10:g}" for value in (low, high)]
        share = ends[0] if ends[0] == ends[1] else " – ".join(ends)
        zh, en = CLASSES[one["kind"]]
        rows.append({"kind": one["kind"], "low": low, "high": high, "zh": f"{zh} {share} %", "en": f"{en} {share} %"})
    return {"days": days, "classes": rows}


def backups(records: Iterable[Record], now: datetime) -> dict[str, Any]:
    """Days since control looked at each host's repository, what was wrong there, and since it sealed its own state."""
    looked: dict[str, int] = {}
    wrong: set[str] = set()
    sealed = NEVER
    for record in records:
        days = days_since(record.at, now)
        if days == NEVER:
            continue
        if record.kind == "backup.look":
            for host, found in record.body["hosts"].items():
                looked[host] = days
                (wrong.add if found["missing"] or found["strange"] else wrong.discard)(host)
        elif record.kind == "backup.accepted":
            wrong.discard(record.body["host"])
        elif record.kind == "backup.sealed":
            sealed = days
    return {"looked": looked, "wrong": sorted(wrong), "sealed_days": sealed}


def exercises(covered: Iterable[Any], now: datetime) -> dict[str, Any]:
    """Of every service with a backup on each of its hosts: what was never rehearsed, too long ago, or did not hold."""
    never, overdue, broken, year = [], [], [], []
    total = 0
    for row in covered:
        total += 1
        name = f"{row.service}@{row.host}" + (f" ({row.drill})" if row.drill else "")
        if row.past.drilled_at is None:
            never.append(name)
            continue
        if row.overdue:
            overdue.append(name)
        if row.breaks:
            broken.append(name)
        if 0 <= days_since(row.past.drilled_at, now) <= 365:
            year.append(name)
    return {"count": total, "never": never, "overdue": overdue, "broken": broken, "within_a_year": year}
