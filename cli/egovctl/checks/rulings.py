"""Judging many subjects: those of whom a check is told the same are judged once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from egovctl.checks.judge import judge, words
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


class Rulings:
    """Of one run. What facts share is written out once, and held, so that no identity is used again."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], Ruling] = {}
        self._written: dict[int, tuple[Any, bytes]] = {}
        self._mentioned: dict[str, list[Path]] = {}

    def of(self, check: Check, facts: Mapping[str, Any]) -> Ruling:
        """Judge; BadExpression as `judge` and `words` raise it."""
        reached = (_reached(facts, path) for path in self._paths(check))
        # How far, too: an empty value is not the same as one that is missing from an empty whole.
        key = (check.id, *(f"{far} {self._hash(value, 1)}" for far, value in reached))
        if key not in self._made:
            status, shown = judge(check, facts)
            self._made[key] = Ruling(status, shown, words(check, status, shown))
        return self._made[key]

    def digest(self, facts: Mapping[str, Any]) -> str:
        """SHA-256 of facts in canonical JSON (RFC 8785), for the record."""
        return self._hash(dict(facts), 2)

    def _paths(self, check: Check) -> list[Path]:
        """What the check may speak of: each name in its expressions, with all that is written after it."""
        if check.id not in self._mentioned:
            spoken = (check.tells, check.measured, check.expression, check.partial or "", *check.show.values())
            named = {tuple(found.split(".")) for text in spoken for found in MENTIONED.findall(text)}
            self._mentioned[check.id] = sorted(named)
        return self._mentioned[check.id]

    def _hash(self, value: Any, depth: int) -> str:
        return hashlib.sha256(self._text(value, depth)).hexdigest()

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
