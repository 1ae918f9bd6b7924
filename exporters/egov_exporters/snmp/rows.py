"""Rows: the index of a table's row as texts, part by part, by the rules of RFC 2578, 7.7."""

from __future__ import annotations

from collections.abc import Sequence

from egov_exporters.snmp.oid import Oid, dotted
from egov_exporters.snmp.schema import IndexPart
from egov_exporters.snmp.values import BadValue, octets_text

ADDRESS_TYPES = {0: "unknown", 1: "ipv4", 2: "ipv6", 3: "ipv4z", 4: "ipv6z", 16: "dns"}  # InetAddressType, RFC 4001
FIXED = {"InetAddressIPv4": 4, "InetAddressIPv6": 16, "PhysAddress48": 6}
DNS = 16


def split_index(index: Oid, parts: Sequence[IndexPart]) -> tuple[Oid, ...]:
    """The sub-identifiers of each part, lengths included. Raises BadValue("bad_index") for too few, too many or bad."""
    found: list[Oid] = []
    at = 0
    for part in parts:
        end = at + _size(index, at, part)
        if end > len(index):
            raise BadValue("bad_index")
        found.append(index[at:end])
        at = end
    if at != len(index):
        raise BadValue("bad_index")
    return tuple(found)


def _size(index: Oid, at: int, part: IndexPart) -> int:
    """How many sub-identifiers the part that starts at `at` takes."""
    if part.type in ("integer", "InetAddressType"):
        return 1
    if part.implied:
        return len(index) - at
    if (size := part.size or FIXED.get(part.type)) is not None:
        return size
    if at >= len(index):
        raise BadValue("bad_index")
    return 1 + index[at]


def index_texts(split: Sequence[Oid], parts: Sequence[IndexPart]) -> list[str]:
    """Given the parts of an index: their texts. Raises BadValue("bad_index")."""
    shown: list[str] = []
    address_type = -1
    for piece, part in zip(split, parts, strict=True):
        if part.type == "InetAddressType":
            address_type = piece[0]
            shown.append(ADDRESS_TYPES.get(address_type, str(address_type)))
        elif part.type == "integer":
            shown.append(part.enum.get(piece[0], str(piece[0])))
        elif part.type == "ObjectIdentifier":
            shown.append(dotted(piece if part.implied else piece[1:]))
        else:
            kind = part.type
            if kind == "InetAddress" and address_type == DNS:
                kind = "DisplayString"
            shown.append(octets_text(_octets(piece, part), kind))
    return shown


def _octets(piece: Oid, part: IndexPart) -> bytes:
    counted = not part.implied and part.size is None and part.type not in FIXED
    body = piece[1:] if counted else piece
    if any(octet > 255 for octet in body):
        raise BadValue("bad_index")
    return bytes(body)
