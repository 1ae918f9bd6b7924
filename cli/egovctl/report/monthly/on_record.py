"""What the evidence says of a month: which restores were rehearsed, and how the checks ended. Contacts nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from egovctl.checks.content import checks
from egovctl.checks.context import Context
from egovctl.checks.model import Status
from egovctl.drill.engine import drills
from egovctl.drill.past import OVERDUE
from egovctl.evidence import Record, Verdict, open_chain
from egovctl.evidence.keys import verified
from egovctl.report.monthly.month import Month

Json = dict[str, Any]


@dataclass(frozen=True)
class Rehearsal:
    """One target of one run of a drill: when, and the item as it is on record."""

    at: datetime
    drill: str
    run: str
    item: Json


@dataclass(frozen=True)
class Unproven:
    """A service with a backup on one of its hosts that no drill has proven in time; `last` is when one did, or None."""

    service: str
    host: str
    last: datetime | None


@dataclass(frozen=True)
class Rehearsed:
    """A month's drills; `titles` are those of drills, in both languages."""

    chain: Verdict
    items: tuple[Rehearsal, ...]
    unproven: tuple[Unproven, ...]
    titles: dict[str, Json]

    @property
    def last(self) -> tuple[Rehearsal, ...]:
        """The last run of each drill on each target."""
        return tuple({(one.drill, one.item["service"], one.item["host"]): one for one in self.items}.values())

    @property
    def exit_code(self) -> int:
        """1: a last run broke a promise, a set is not proven, the chain is broken. 3: a last run cannot say. Else 0."""
        verdicts = {one.item["verdict"] for one in self.last}
        if "not_met" in verdicts or self.unproven or not self.chain.ok:
            return 1
        return 3 if "unknown" in verdicts else 0


@dataclass(frozen=True)
class Assessed:
    """A month's assessments: how many runs, and of each check and subject the last result as it is on record."""

    chain: Verdict
    runs: int
    results: tuple[Json, ...]
    titles: dict[str, Json]

    @property
    def totals(self) -> dict[str, int]:
        """How many have each status, all seven named."""
        counted = Counter(result["status"] for result in self.results)
        return {status.value: counted[status.value] for status in Status}

    @property
    def exit_code(self) -> int:
        """As a run's own: 1 something is not as it should be, or the chain is broken; 3 not measured; else 0."""
        totals = self.totals
        if totals["fail"] or totals["partial"] or not self.chain.ok:
            return 1
        return 3 if totals["unknown"] or totals["error"] else 0


def rehearsed(context: Context, month: Month) -> Rehearsed:
    """The drills of a month, and what was not proven when it ended."""
    chain = open_chain(context.inventory)
    results = list(_until(chain.records("drill.result"), month))
    items = tuple(
        Rehearsal(_at(record), record.body["drill"], record.body["run"], item)
        for record in results
        if _at(record) >= month.begin
        for item in record.body["items"]
    )
    titles = {name: drill.title.model_dump() for name, drill in drills(context).entries.items()}
    return Rehearsed(verified(context.inventory, chain), items, tuple(_unproven(context, results, month)), titles)


def assessed(context: Context, month: Month) -> Assessed:
    """The assessments of a month."""
    chain = open_chain(context.inventory)
    last: dict[tuple[str, str], Json] = {}
    runs = 0
    for record in _until(chain.records("assess.result"), month):
        if _at(record) >= month.begin:
            runs += 1
            for result in record.body["results"]:
                last[result["check"], result["subject"]] = {**result, "at": record.at}
    titles = {name: check.title.model_dump() for name, check in checks(context.inventory).entries.items()}
    return Assessed(verified(context.inventory, chain), runs, tuple(last.values()), titles)


def _unproven(context: Context, results: list[Record], month: Month) -> Iterable[Unproven]:
    proven: dict[tuple[str, str], datetime] = {}
    for record in results:
        for item in record.body["items"]:
            if item["verdict"] == "met":
                proven[item["service"], item["host"]] = _at(record)
    for service in context.plan.services:
        if service.backup is None:
            continue
        for host in context.city.backed_up(service.hosts, service.backup.engine):
            last = proven.get((service.name, host))
            if last is None or month.until - last > OVERDUE:
                yield Unproven(service.name, host, last)


def _until(records: Iterable[Record], month: Month) -> Iterable[Record]:
    return (record for record in records if _at(record) < month.until)


def _at(record: Record) -> datetime:
    return datetime.fromisoformat(record.at)
