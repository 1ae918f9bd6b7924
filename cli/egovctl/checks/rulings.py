"""Judging many subjects: those of whom a check is told the same are judged once, and need not be in the next run.

A ruling depends on nothing but the check and the values that its expressions name: no clock, no host, no order.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import rfc8785

from egovctl.checks.judge import judge, truth, words
from egovctl.checks.model import Check, Status

# A name of facts, and what is asked of it by name: seen.modes.open, and also seen.modes.all, which is no part of it.
MENTIONED = re.compile(r"\b(?:subject|planned|seen)(?:\s*\.\s*\w+)*")
Path = tuple[str, ...]


@dataclass(frozen=True)
class Ruling:
    """What a check says of everybody of whom it is told the same."""

    status: Status
    shown: dict[str, Any]
    detail: dict[str, str]


# Of whom an expression is true, or what a check says.
Decision = Ruling | bool
Made = TypeVar("Made", Ruling, bool)


@dataclass(frozen=True)
class Ruled:
    """Decisions by a hash of all that each depends on: `kept` of runs before, `used` those that this run went by."""

    kept: Mapping[str, Decision] = field(default_factory=dict)
    used: dict[str, Decision] = field(default_factory=dict)


class Rulings:
    """What facts share is written out once, and held, so that no identity is used again: so it is for a while only, and
    decisions are taken from, and left in, what may outlast it."""

    def __init__(self, ruled: Ruled | None = None) -> None:
        self._ruled = Ruled() if ruled is None else ruled
        self._written: dict[int, tuple[Any, bytes]] = {}
        self._spoken: dict[str, tuple[str, list[Path]]] = {}

    def of(self, check: Check, facts: Mapping[str, Any]) -> Ruling:
        """Judge; BadExpression as `judge` and `words` raise it."""

        def judged() -> Ruling:
            status, shown = judge(check, facts)
            return Ruling(status, shown, words(check, status, shown))

        if check.id not in self._spoken:
            texts = (check.tells, check.measured, check.expression, check.partial or "", *check.show.values())
            self._spoken[check.id] = (_sha256(check.model_dump_json().encode()), _paths(*texts))
        return self._decided(Ruling, self._key(*self._spoken[check.id], facts), judged)

    def truth(self, expression: str, facts: Mapping[str, Any]) -> bool:
        """Whether it is true; BadExpression as `judge.truth` raises it."""
        key = self._key(_sha256(expression.encode()), _paths(expression), facts)
        return self._decided(bool, key, lambda: truth(expression, facts))

    def _decided(self, kind: type[Made], key: str, decide: Callable[[], Made]) -> Made:
        used = self._ruled.used
        if key not in used:
            kept = self._ruled.kept.get(key)
            used[key] = kept if isinstance(kept, kind) else decide()
        return cast(Made, used[key])

    def _key(self, content: str, paths: list[Path], facts: Mapping[str, Any]) -> str:
        """How far each path goes, too: an empty value is not the same as one that is missing from an empty whole."""
        told = (f"{far} {self._hash(value, 1)}" for far, value in (_reached(facts, path) for path in paths))
        return _sha256("\n".join([content, *told]).encode())

    def digest(self, facts: Mapping[str, Any]) -> str:
        """SHA-256 of facts in canonical JSON (RFC 8785), for the record."""
        return self._hash(dict(facts), 2)

    def _hash(self, value: Any, depth: int) -> str:
        return _sha256(self._text(value, depth))

    def _text(self, value: Any, depth: int) -> bytes:
        """Canonical JSON. To `depth` it is put together from its parts, since checks share these and not the whole."""
        if depth and isinstance(value, dict) and all(isinstance(key, str) and key.isascii() for key in value):
            parts = (rfc8785.dumps(key) + b":" + self._text(value[key], depth - 1) for key in sorted(value))
            return b"{" + b",".join(parts) + b"}"
        if not isinstance(value, dict | list):
            return rfc8785.dumps(value)
        if id(value) not in self._written:
            self._written[id(value)] = (value, rfc8785.dumps(value))
        return self._written[id(value)][1]


def _reached(facts: Mapping[str, Any], path: Path) -> tuple[int, Any]:
    """How many names of a path there are, and the value there; where it leaves what there is, all that it left."""
    value: Any = dict(facts)
    for far, name in enumerate(map(str.strip, path)):
        if not isinstance(value, Mapping) or name not in value:
            return far, value
        value = value[name]
    return len(path), value


def _paths(*spoken: str) -> list[Path]:
    """What expressions may speak of: each name of facts in them, with all that is written after it."""
    return sorted({tuple(found.split(".")) for text in spoken for found in MENTIONED.findall(text)})


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
