"""The registers collector: what the plan, the evidence and the city's registers say. It asks no host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from egovctl.checks.collect.base import Facts, Observed, Request
from egovctl.checks.content import Shelf
from egovctl.checks.context import Context
from egovctl.checks.registers import journals, planned
from egovctl.checks.registers.entries import KINDS, Register, plain, registers
from egovctl.errors import CannotMeasure
from egovctl.evidence import Record, Verdict, open_chain
from egovctl.evidence.keys import verified
from egovctl.i18n import told

FOLDER = "registers"
JOURNALS = ("applies", "assessments", "backups", "evidence", "exercises", "software")


@dataclass(frozen=True)
class Given:
    """All that a run of checks may know without asking anybody. `covered` is what drills say of each backup."""

    context: Context
    records: tuple[Record, ...]
    kept: Shelf[Register]
    whole: Verdict
    covered: tuple[Any, ...]
    now: datetime
    done: dict[str, Mapping[str, Any] | CannotMeasure] = field(default_factory=dict, compare=False)

    @cached_property
    def wanted(self) -> dict[str, Any]:
        return planned.wanted(self.context)

    def section(self, name: str) -> Mapping[str, Any]:
        """The facts of one section; CannotMeasure when its register cannot be read, or there is no such section."""
        if name not in self.done:
            try:
                self.done[name] = self._section(name)
            except CannotMeasure as error:
                self.done[name] = error
        found = self.done[name]
        if isinstance(found, CannotMeasure):
            raise found
        return found

    def _section(self, name: str) -> Mapping[str, Any]:
        if name in KINDS:
            return self._register(name)
        if name in planned.SECTIONS:
            return planned.SECTIONS[name](self.context)
        match name:
            case "applies":
                return journals.applies(self.records, self.now)
            case "assessments":
                return journals.assessments(self.records, self.now)
            case "backups":
                return journals.backups(self.records, self.now)
            case "software":
                return journals.software(self.records, self.now)
            case "exercises":
                return journals.exercises(self.covered, self.now)
            case "evidence":
                return {"ok": self.whole.ok, "reason": self.whole.reason, "records": len(self.records)}
        raise CannotMeasure(told(f"没有登记或记录 {name}", f"there is no register or journal {name}"))

    def _register(self, kind: str) -> dict[str, Any]:
        if reason := self.kept.broken.get(kind):
            raise CannotMeasure(told(f"登记无法读取：{reason['zh']}", f"the register cannot be read: {reason['en']}"))
        register = self.kept.entries.get(kind)
        entries = () if register is None else register.entries
        today = self.now.date()
        return {"kept": register is not None, "entries": [plain(entry, today) for entry in entries]}


def collect(context: Context, requests: list[Request]) -> list[Observed]:
    """seen.SECTION of each request's sections; the same for every subject."""
    given = gathered(context)
    return [dict.fromkeys(request.subjects, facts(given, request.collect.sections)) for request in requests]


def gathered(context: Context) -> Given:
    """Everything, read once."""
    # Drills are judged by checks, whose engine reads this module: their words are fetched when they are needed.
    from egovctl.drill.engine import coverage

    chain = open_chain(context.inventory, context.city.plan_revision)
    return Given(
        context,
        tuple(chain.records()),
        registers(context.inventory.root / FOLDER),
        verified(context.inventory, chain),
        tuple(coverage(context, chain)),
        datetime.now(UTC),
    )


def facts(given: Given, sections: tuple[str, ...]) -> Facts:
    """What the sections say, and what the plan wants; the first one that cannot be read is why there is nothing."""
    try:
        seen = {name.replace("-", "_"): given.section(name) for name in sections}
    except CannotMeasure as error:
        return error
    return {"planned": given.wanted, "seen": seen}
