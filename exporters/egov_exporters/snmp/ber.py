"""SNMP v2c messages on the wire (BER, RFC 3416 and 3417): requests are written, responses are read.

Values stay raw here: a cell is the type tag and the value's octets. Nothing that a device sends inside a value can
therefore spoil the rest of its reply; the decode layer judges each value on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from egov_exporters.snmp.oid import MAX_SUBIDENTIFIER, MAX_SUBIDENTIFIERS, Oid

INTEGER, OCTET_STRING, NULL, OBJECT_IDENTIFIER, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER32, GAUGE32, TIMETICKS, OPAQUE, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x44, 0x46
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW = 0x80, 0x81, 0x82
EXCEPTIONS = frozenset((NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW))
GET, RESPONSE, GET_BULK = 0xA0, 0xA2, 0xA5
VERSION_2C = 1
FIRST_ID, LAST_ID = 1 << 23, (1 << 31) - 1  # request ids that take four octets


class BadMessage(ValueError):
    """The datagram is not a well-formed SNMP v2c response."""


class Cell(NamedTuple):
    """One value as it came: the type tag and the value octets."""

    tag: int
    raw: bytes


class Varbind(NamedTuple):
    """One variable binding."""

    oid: Oid
    cell: Cell


@dataclass(frozen=True, slots=True)
class Response:
    """A response: `error_index` counts from 1; both error fields are 0 when all is well."""

    request_id: int
    error_status: int
    error_index: int
    varbinds: list[Varbind]


def encode_length(size: int) -> bytes:
    """The length octets of a value of `size` octets."""
    return LENGTHS[size] if size < len(LENGTHS) else _encode_length(size)


def _encode_length(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


LENGTHS = tuple(_encode_length(size) for size in range(1_500))  # of what fits an Ethernet frame


def encode_tlv(tag: int, body: bytes) -> bytes:
    """Tag, length, value."""
    return bytes((tag,)) + encode_length(len(body)) + body


def encode_integer(value: int) -> bytes:
    """An INTEGER in the fewest octets that keep its sign."""
    return encode_tlv(INTEGER, integer_octets(value))


def integer_octets(value: int) -> bytes:
    """The value octets of an integer."""
    magnitude = value if value >= 0 else ~value
    return value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True)


def oid_octets(oid: Oid) -> bytes:
    """The value octets of an OBJECT IDENTIFIER."""
    body = bytearray()
    for part in (oid[0] * 40 + oid[1], *oid[2:]):
        chunk = [part & 0x7F]
        while part := part >> 7:
            chunk.append(0x80 | (part & 0x7F))
        body.extend(reversed(chunk))
    return bytes(body)


class Pdu(NamedTuple):
    """A request PDU around its request id, which takes four octets: `FIRST_ID` to `LAST_ID`."""

    before: bytes
    after: bytes

    def with_id(self, request_id: int) -> bytes:
        """The PDU's octets."""
        return self.before + request_id.to_bytes(4, "big") + self.after


def encode_pdu(kind: int, names: Sequence[bytes], non_repeaters: int = 0, repetitions: int = 0) -> Pdu:
    """A Get or GetBulk for these names (value octets of OBJECT IDENTIFIERs)."""
    variables = b"".join(encode_tlv(SEQUENCE, encode_tlv(OBJECT_IDENTIFIER, name) + b"\x05\x00") for name in names)
    after = encode_integer(non_repeaters) + encode_integer(repetitions) + encode_tlv(SEQUENCE, variables)
    return Pdu(bytes((kind,)) + encode_length(6 + len(after)) + b"\x02\x04", after)


def read_tlv(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """The tag at offset `at`, and where its value starts and ends. Raises BadMessage past `end`."""
    if at + 2 > end:
        raise BadMessage("cut short")
    tag, size = data[at], data[at + 1]
    at += 2
    if size & 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or at + count > end:
            raise BadMessage("bad length")
        size = int.from_bytes(data[at : at + count], "big")
        at += count
    if at + size > end:
        raise BadMessage("cut short")
    return tag, at, at + size


def _expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    found, start, stop = read_tlv(data, at, end)
    if found != tag:
        raise BadMessage(f"type {found:#x} where {tag:#x} belongs")
    return start, stop


def _integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    start, stop = _expect(data, at, end, INTEGER)
    if not 1 <= stop - start <= 8:
        raise BadMessage("bad integer")
    return int.from_bytes(data[start:stop], "big", signed=True), stop


def decode_oid(body: bytes) -> Oid:
    """The OID in the value octets `body`. Raises BadMessage."""
    if not body or body[-1] & 0x80:
        raise BadMessage("bad object identifier")
    parts: list[int] = []
    value = 0
    for octet in body:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            if value > MAX_SUBIDENTIFIER:
                raise BadMessage("bad object identifier")
            parts.append(value)
            value = 0
    if len(parts) >= MAX_SUBIDENTIFIERS:
        raise BadMessage("bad object identifier")
    first = min(parts[0] // 40, 2)
    return (first, parts[0] - 40 * first, *parts[1:])


def decode_pdu(data: bytes) -> Response:
    """Given a response PDU: the response. Raises BadMessage for anything else; never another exception."""
    at, end = _expect(data, 0, len(data), RESPONSE)
    request_id, at = _integer(data, at, end)
    status, at = _integer(data, at, end)
    index, at = _integer(data, at, end)
    at, end = _expect(data, at, end, SEQUENCE)
    varbinds: list[Varbind] = []
    while at < end:
        inner, stop = _expect(data, at, end, SEQUENCE)
        name, name_end = _expect(data, inner, stop, OBJECT_IDENTIFIER)
        tag, start, value_end = read_tlv(data, name_end, stop)
        varbinds.append(Varbind(decode_oid(data[name:name_end]), Cell(tag, data[start:value_end])))
        at = stop
    return Response(request_id, status, index, varbinds)
