"""What every collector takes and gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from egovctl.checks.context import Context
from egovctl.checks.model import Collect, SubjectKind


@dataclass(frozen=True)
class Request:
    """What one check wants observed, of which subjects of a kind: a city may bear the name of one of its services."""

    check: str
    subjects: tuple[str, ...]
    collect: Collect
    kind: SubjectKind = "city"


# For one subject: {"planned": ..., "seen": ...}, or why there is nothing.
Facts = dict[str, Any] | Exception
# For one request: subject → facts.
Observed = dict[str, Facts]
# All requests of a run at once, so that a collector can ask each place only once; one answer a request, in order.
Collector = Callable[[Context, list[Request]], list[Observed]]
