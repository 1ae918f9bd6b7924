"""Object identifiers as tuples of integers; tuples compare in SNMP's lexicographic order."""

from __future__ import annotations

Oid = tuple[int, ...]

MAX_SUBIDENTIFIERS = 128  # RFC 2578 3.5
MAX_SUBIDENTIFIER = 0xFFFFFFFF


def parse_oid(text: str) -> Oid:
    """Given dotted decimal, with or without a leading dot: the OID. Raises ValueError with a sentence."""
    parts = text.removeprefix(".").split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"{text!r} is not an object identifier")
    oid = tuple(int(part) for part in parts)
    if not 2 <= len(oid) <= MAX_SUBIDENTIFIERS or max(oid) > MAX_SUBIDENTIFIER or oid[0] > 2 or oid[1] > 39:
        raise ValueError(f"{text!r} is not an object identifier")
    return oid


def dotted(oid: Oid) -> str:
    """Dotted decimal without a leading dot."""
    return ".".join(map(str, oid))


def is_under(oid: Oid, root: Oid) -> bool:
    """Whether `oid` lies in the subtree of `root`, the root itself excluded."""
    return len(oid) > len(root) and oid[: len(root)] == root
