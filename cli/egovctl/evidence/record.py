"""One record of evidence: its fields, its canonical bytes, its hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import rfc8785

NO_RECORD = "0" * 64  # what the first record names as the one before it
FIELDS = frozenset({"seq", "at", "writer", "kind", "suite_version", "plan_revision", "body", "prev"})


class BadRecord(ValueError):
    """These bytes are no record. The text says why."""


@dataclass(frozen=True)
class Record:
    """What was observed: when (UTC, RFC 3339), by whom, with which version of the suite and of the plan.

    `prev` is the hash of the record before; `seq` counts from 0.
    """

    seq: int
    at: str
    writer: str
    kind: str
    suite_version: str
    plan_revision: str
    body: dict[str, Any]
    prev: str

    @property
    def line(self) -> bytes:
        """The RFC 8785 bytes, without a line end."""
        return rfc8785.dumps(asdict(self))

    @property
    def hash(self) -> str:
        """SHA-256 over the RFC 8785 bytes, hex."""
        return digest(self.line)


def digest(line: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(line).hexdigest()


def now() -> str:
    """The time in UTC, RFC 3339, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def suite_version() -> str:
    """The version of this suite, as installed."""
    try:
        return metadata.version("egov-suite")
    except metadata.PackageNotFoundError:
        return "unknown"


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise BadRecord("a key is there twice")
    return result


def parse(line: bytes) -> Record:
    """The record in these bytes; BadRecord unless they are exactly what Record.line gives."""
    try:
        data = json.loads(line, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadRecord(str(error) if isinstance(error, BadRecord) else "it is not JSON") from None
    if not isinstance(data, dict) or set(data) != FIELDS:
        raise BadRecord("its fields are not those of a record")
    texts = FIELDS - {"seq", "body"}
    if type(data["seq"]) is not int or not isinstance(data["body"], dict) or not _all_text(data, texts):
        raise BadRecord("its fields have the wrong types")
    record = Record(**data)
    try:
        canonical = record.line
    except (rfc8785.CanonicalizationError, UnicodeError):
        raise BadRecord("it cannot be written in canonical form") from None
    if canonical != line:
        raise BadRecord("it is not in canonical form (RFC 8785)")
    return record


def _all_text(data: dict[str, Any], names: frozenset[str]) -> bool:
    return all(isinstance(data[name], str) for name in names)
