"""What all families of worlds have in common: files, PostgreSQL, MariaDB, dumps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

from egovctl.drill.planter.kinds import Kind

POSTGRESQL, MARIADB, DUMPS = "postgresql", "mariadb", "dumps"


@dataclass
class Made:
    """A world with its fault: what was planted, what is unusual and in order, and what a drill is told."""

    parameters: dict[str, Any]
    quirks: list[str] = field(default_factory=list)
    case: dict[str, Any] = field(default_factory=dict)

    def close(self) -> None:
        """Let go of what a removed folder does not take along."""


class Family(Protocol):
    """Worlds of one sort. `close` ends what several of them share."""

    def make(self, rng: Random, folder: Path, kind: Kind | None) -> Made: ...

    def close(self) -> None: ...
