"""What a drill, its run and its parts are. Content files (content/drills/*.yml) are the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

from egovctl.checks.context import Context
from egovctl.checks.model import Model, Name, Text
from egovctl.drill.causes import Cause
from egovctl.evidence import Head


class Outcome(StrEnum):
    """Did it run?"""

    COMPLETED = "completed"
    ABORTED = "aborted"
    ERROR = "error"


class Verdict(StrEnum):
    """Was it good? Unknown unless it was measured."""

    MET = "met"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"


class Steady(Model):
    """A check that must pass before anything is begun; `where` narrows its subjects (CEL)."""

    check: Name
    where: str = "true"


class Drill(Model):
    """A drill: what must hold before, and which method is rehearsed."""

    id: Name
    title: Text
    why: Text
    method: Name
    steady: tuple[Steady, ...] = ()


@dataclass(frozen=True)
class Target:
    """One thing that a run rehearses: a service on one of its hosts."""

    service: str
    host: str

    def __str__(self) -> str:
        return f"{self.service}@{self.host}"


Unit = Literal["files", "rows"]


@dataclass(frozen=True)
class Item:
    """What a run says of one target. Seconds; None where it was not measured. `reasons` are in both languages."""

    service: str
    host: str
    outcome: Outcome
    verdict: Verdict
    reasons: tuple[dict[str, str], ...] = ()
    phases: dict[str, float] = field(default_factory=dict)
    rto_seconds: float | None = None
    rto_promised_seconds: float | None = None
    rpo_seconds: float | None = None
    rpo_promised_seconds: float | None = None
    files_compared: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()
    unit: Unit = "files"  # what `files_compared` counts


@dataclass(frozen=True)
class Run:
    """One run of a drill. `cleaned` says that nothing of it is left."""

    id: str
    drill: str
    started_at: str
    seconds: float
    items: tuple[Item, ...]
    cleaned: bool = True
    reasons: tuple[dict[str, str], ...] = ()
    head: Head | None = None

    @property
    def outcome(self) -> Outcome:
        """The worst of its items; error when it left something behind, aborted when it has none."""
        outcomes = {item.outcome for item in self.items}
        if not self.cleaned or Outcome.ERROR in outcomes:
            return Outcome.ERROR
        return Outcome.ABORTED if Outcome.ABORTED in outcomes or not outcomes else Outcome.COMPLETED

    @property
    def verdict(self) -> Verdict:
        """Not met when any item is not; met only when all are."""
        verdicts = {item.verdict for item in self.items}
        if Verdict.NOT_MET in verdicts:
            return Verdict.NOT_MET
        return Verdict.UNKNOWN if Verdict.UNKNOWN in verdicts or not verdicts else Verdict.MET

    @property
    def exit_code(self) -> int:
        """1 when a promise is broken, 3 when it could not be said, else 0."""
        if self.verdict is Verdict.NOT_MET:
            return 1
        return 0 if self.verdict is Verdict.MET and self.outcome is Outcome.COMPLETED else 3


@dataclass(frozen=True)
class Options:
    """What the person chose. `scratch` is an existing folder; a folder of the run's own is made in it.

    `moment` (Unix time) is for methods that restore to one.
    """

    scratch: Path | None = None
    services: tuple[str, ...] = ()
    moment: float | None = None


Progress = Callable[[str], None]


@dataclass(frozen=True)
class Work:
    """What a method works with. `folder` is the run's own scratch; it is removed at the end whatever happens.

    `usual` has, by target, the median seconds of its earlier healthy runs of this drill; `moment` is the person's.
    """

    context: Context
    folder: Path
    progress: Progress
    usual: Mapping[str, float] = field(default_factory=dict)
    moment: float | None = None


class Method(Protocol):
    """How a drill is done. `rehearse` may raise anything: the engine cleans up and records it."""

    def targets(self, context: Context, services: tuple[str, ...]) -> list[Target]:
        """What there is to rehearse; UsageError for a service that is not known or has no such thing."""

    def steps(self, context: Context, target: Target) -> list[dict[str, str]]:
        """What would be done, in both languages; contacts nobody."""

    def rehearse(self, work: Work, target: Target) -> Item:
        """Do it for one target, verify it, and say what was found."""
