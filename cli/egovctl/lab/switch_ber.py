"""The few BER rules of SNMP v2c that the simulated switch needs: read a request, write a reply (RFC 3416, RFC 3417)."""

from __future__ import annotations

from dataclasses import dataclass

Oid = tuple[int, ...]

INTEGER, OCTET_STRING, NULL, OBJECT_IDENTIFIER, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
COUNTER32, GAUGE32, TIMETICKS, COUNTER64 = 0x41, 0x42, 0x43, 0x46
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW = b"\x80\x00", b"\x81\x00", b"\x82\x00"
GET, GET_NEXT, RESPONSE, SET, GET_BULK = 0xA0, 0xA1, 0xA2, 0xA3, 0xA5
VERSION_2C = 1
MAX_SUBIDENTIFIERS = 128


class Malformed(ValueError):
    """The datagram is not a request of SNMP v2c."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. For GetBulk, `non_repeaters` and `max_repetitions` hold what others send as error fields."""

    community: bytes
    kind: int
    request_id: int
    non_repeaters: int
    max_repetitions: int
    oids: tuple[Oid, ...]


def encode_length(size: int) -> bytes:
    """The length octets of a value of `size` octets (short form below 128)."""
    if size < 0x80:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def encode_tlv(tag: int, body: bytes) -> bytes:
    """Tag, length, value."""
    return bytes((tag,)) + encode_length(len(body)) + body


def encode_integer(tag: int, value: int) -> bytes:
    """A signed or unsigned number of any SNMP type, in the fewest octets that keep the sign."""
    return encode_tlv(tag, value.to_bytes((value.bit_length() + 8) // 8, "big", signed=True))


def encode_oid(oid: Oid) -> bytes:
    """Tag, length and sub-identifiers of `oid` (two or more of them)."""
    body = bytearray((oid[0] * 40 + oid[1],))
    for part in oid[2:]:
        chunk = [part & 0x7F]
        while part := part >> 7:
            chunk.append(0x80 | (part & 0x7F))
        body.extend(reversed(chunk))
    return encode_tlv(OBJECT_IDENTIFIER, bytes(body))


def read_tlv(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Given an offset: the tag, and where the value starts and ends. Raises Malformed past `end`."""
    if at + 2 > end:
        raise Malformed("cut short")
    tag, size = data[at], data[at + 1]
    at += 2
    if size & 0x80:
        count = size & 0x7F
        if not 1 <= count <= 3 or at + count > end:
            raise Malformed("length")
        size = int.from_bytes(data[at : at + count], "big")
        at += count
    if at + size > end:
        raise Malformed("cut short")
    return tag, at, at + size


def _expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    found, start, stop = read_tlv(data, at, end)
    if found != tag:
        raise Malformed("unexpected type")
    return start, stop


def _integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    start, stop = _expect(data, at, end, INTEGER)
    if not 1 <= stop - start <= 5:
        raise Malformed("integer")
    return int.from_bytes(data[start:stop], "big", signed=True), stop


def decode_oid(body: bytes) -> Oid:
    """Sub-identifiers from the value octets of an OBJECT IDENTIFIER. Raises Malformed."""
    if not body or body[-1] & 0x80:
        raise Malformed("object identifier")
    parts: list[int] = []
    value = 0
    for octet in body:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            parts.append(value)
            value = 0
    if len(parts) > MAX_SUBIDENTIFIERS or any(part > 0xFFFFFFFF for part in parts):
        raise Malformed("object identifier")
    first = min(parts[0] // 40, 2)
    return (first, parts[0] - 40 * first, *parts[1:])


def decode_request(data: bytes) -> Request:
    """Given a datagram: the request in it. Raises Malformed for anything else than SNMP v2c."""
    at, end = _expect(data, 0, len(data), SEQUENCE)
    version, at = _integer(data, at, end)
    if version != VERSION_2C:
        raise Malformed("version")
    start, at = _expect(data, at, end, OCTET_STRING)
    community = data[start:at]
    kind, at, end = read_tlv(data, at, end)
    if kind not in (GET, GET_NEXT, SET, GET_BULK):
        raise Malformed("not a request")
    request_id, at = _integer(data, at, end)
    second, at = _integer(data, at, end)
    third, at = _integer(data, at, end)
    at, end = _expect(data, at, end, SEQUENCE)
    oids: list[Oid] = []
    while at < end:
        inner, stop = _expect(data, at, end, SEQUENCE)
        start, value_at = _expect(data, inner, stop, OBJECT_IDENTIFIER)
        oids.append(decode_oid(data[start:value_at]))
        at = stop
    return Request(community, kind, request_id, max(second, 0), max(third, 0), tuple(oids))


def encode_response(request: Request, status: int, index: int, varbinds: bytes) -> bytes:
    """The reply to `request` around already encoded variable bindings."""
    pdu = (
        encode_integer(INTEGER, request.request_id)
        + encode_integer(INTEGER, status)
        + encode_integer(INTEGER, index)
        + encode_tlv(SEQUENCE, varbinds)
    )
    head = encode_integer(INTEGER, VERSION_2C) + encode_tlv(OCTET_STRING, request.community)
    return encode_tlv(SEQUENCE, head + encode_tlv(RESPONSE, pdu))
