"""One record of evidence: its fields, its canonical bytes, its hash."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import rfc8785

from egovctl.errors import CannotMeasure
from egovctl.i18n import tr

NO_RECORD = "0" * 64  # what the first record names as the one before it
FIELDS = frozenset({"seq", "at", "writer", "kind", "suite_version", "plan_revision", "body", "prev"})
SHA256, SM3 = "sha256", "sm3"
DIGESTS = (SHA256, SM3)  # both 256 bits; a record says which is its own, one that does not is of the time before SM3
PLAIN = re.compile(r"-?[0-9]+\.[0-9]*[1-9]")
SLOW = re.compile(rb"[0-9]{16}|[\xf0-\xff]")  # where the quick writing of JSON and RFC 8785 may differ


class BadRecord(ValueError):
    """These bytes are no record. The text says why."""


@dataclass(frozen=True)
class Record:
    """What was observed: when (UTC, RFC 3339), by whom, with which version of the suite and of the plan.

    `prev` is the hash of the record before, by that record's own `digest`; `seq` counts from 0.
    """

    seq: int
    at: str
    writer: str
    kind: str
    suite_version: str
    plan_revision: str
    body: dict[str, Any]
    prev: str
    digest: str = ""

    @property
    def line(self) -> bytes:
        """The RFC 8785 bytes, without a line end."""
        fields = {name: getattr(self, name) for name in FIELDS}
        return rfc8785.dumps(fields | ({"digest": self.digest} if self.digest else {}))

    @property
    def hash(self) -> str:
        """The hash of the RFC 8785 bytes, hex, by the record's own digest."""
        return digest(self.line, self.digest)


def digest(data: bytes, name: str = SHA256) -> str:
    """The hash, hex; CannotMeasure where this machine's OpenSSL has no such digest."""
    try:
        return hashlib.new(name or SHA256, data).hexdigest()
    except ValueError:
        raise CannotMeasure(tr(f"本机的 OpenSSL 不支持 {name}", f"the OpenSSL of this machine has no {name}")) from None


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
    data = _quick(line)
    if data is not None:
        return _checked(data)
    try:
        data = json.loads(line, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadRecord(str(error) if isinstance(error, BadRecord) else "it is not JSON") from None
    record = _checked(data)
    try:
        canonical = record.line
    except (rfc8785.CanonicalizationError, UnicodeError):
        raise BadRecord("it cannot be written in canonical form") from None
    if canonical != line:
        raise BadRecord("it is not in canonical form (RFC 8785)")
    return record


def is_record(line: bytes) -> bool:
    """Whether these bytes are a record."""
    try:
        parse(line)
    except BadRecord:
        return False
    return True


class _Fraction(Exception):
    """A number that RFC 8785 may write otherwise than Python does."""


def _fraction(text: str) -> float:
    """Both write the fewest digits that tell a number from others; they differ in exponents and whole numbers."""
    value = float(text)
    if not PLAIN.fullmatch(text) or repr(value) != text:
        raise _Fraction
    return value


def _constant(text: str) -> float:
    raise _Fraction


_read = json.JSONDecoder(parse_float=_fraction, parse_constant=_constant).decode
_write = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def _quick(line: bytes) -> Any:
    """What is in these bytes when a quick look is enough to see that they are canonical; None when it is not."""
    if SLOW.search(line):
        return None
    try:
        data = _read(line.decode())
        return data if _write(data).encode() == line else None
    except (_Fraction, ValueError, RecursionError):
        return None


def _checked(data: Any) -> Record:
    if not isinstance(data, dict) or data.keys() - {"digest"} != FIELDS:
        raise BadRecord("its fields are not those of a record")
    texts = FIELDS - {"seq", "body"}
    if type(data["seq"]) is not int or not isinstance(data["body"], dict) or not _all_text(data, texts):
        raise BadRecord("its fields have the wrong types")
    if "digest" in data and data["digest"] not in DIGESTS:
        raise BadRecord("its digest is not a known one")
    return Record(**data)


def _all_text(data: dict[str, Any], names: frozenset[str]) -> bool:
    return all(isinstance(data[name], str) for name in names)
