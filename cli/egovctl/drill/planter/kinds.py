"""The kinds of faults: what each is called, what a drill must say of it, and how it is planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from egovctl.drill.causes import Cause
from egovctl.drill.planter.world import World

NOT_MET, UNKNOWN = "not_met", "unknown"
FILES = "files"
Plant = Callable[[Any], dict[str, Any]]  # given the world of its family


class Stage(Enum):
    """When a fault is planted: before any backup, before the newest manifest, between that and its archive, after."""

    FIRST = 1
    SOURCE = 2
    BETWEEN = 3
    AFTER = 4


@dataclass(frozen=True)
class Kind:
    """A kind of fault. `causes` are those that name it rightly as the first; `verdict` is what a drill must say."""

    id: str
    zh: str
    en: str
    stage: Stage
    plant: Plant
    causes: tuple[Cause, ...]
    verdict: str = NOT_MET
    prepare: Callable[[World], None] = lambda world: None  # what a world of files needs, before its first backup
    family: str = FILES


REGISTRY: dict[str, Kind] = {}


def kind(
    name: str,
    zh: str,
    en: str,
    stage: Stage,
    *causes: Cause,
    verdict: str = NOT_MET,
    prepare: Callable[[World], None] = lambda world: None,
    family: str = FILES,
) -> Callable[[Plant], Plant]:
    """Register a function that plants a kind of fault and returns its parameters."""

    def register(plant: Plant) -> Plant:
        REGISTRY[name] = Kind(name, zh, en, stage, plant, causes, verdict, prepare, family)
        return plant

    return register
