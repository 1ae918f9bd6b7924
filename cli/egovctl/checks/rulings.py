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
        self._mentioned: dict[str, frozenset[str]] = {}

    def of(self, check: Check, facts: Mapping[str, Any]) -> Ruling:
        """Judge; BadExpression as `judge` and `words` raise it."""
        mentioned = self._names(check)
        key = (check.id, *(self._hash(facts[name], 1) for name in sorted(mentioned & facts.keys())))
        if key not in self._made:
            status, shown = judge(check, facts)
            self._made[key] = Ruling(status, shown, words(check, status, shown))
        return self._made[key]

    def digest(self, facts: Mapping[str, Any]) -> str:
        """SHA-256 of facts in canonical JSON (RFC 8785), for the record."""
        return self._hash(dict(facts), 2)

    def _names(self, check: Check) -> frozenset[str]:
        """What the check's expressions may speak of: every word in them."""
        if check.id not in self._mentioned:
            spoken = (check.tells, check.measured, check.expression, check.partial or "", *check.show.values())
            self._mentioned[check.id] = frozenset(re.findall(r"\w+", " ".join(spoken)))
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
