"""What an agent says to a request: Get, GetNext and GetBulk of RFC 3416 over a `Mib`, in a reply of bounded size."""

from __future__ import annotations

from mib import OBJECT, Mib, Oid, oid_body, tlv

GET, GET_NEXT, RESPONSE, GET_BULK, REPORT = 0xA0, 0xA1, 0xA2, 0xA5, 0xA8
NO_SUCH_INSTANCE, END_OF_MIB_VIEW = b"\x81\x00", b"\x82\x00"
TOO_BIG = 1


class Malformed(ValueError):
    """Not a request: an agent drops it."""


def read(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Tag at `at`, and where its value starts and ends. Raises Malformed."""
    if at + 2 > end:
        raise Malformed("cut short")
    tag, size = data[at], data[at + 1]
    at += 2
    if size & 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or at + count > end:
            raise Malformed("bad length")
        size = int.from_bytes(data[at : at + count], "big")
        at += count
    if at + size > end:
        raise Malformed("cut short")
    return tag, at, at + size


def expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Start and end of the value, which must have this tag. Raises Malformed."""
    found, start, stop = read(data, at, end)
    if found != tag:
        raise Malformed(f"tag {found:#x} where {tag:#x} belongs")
    return start, stop


def integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    """An INTEGER and where it ends. Raises Malformed."""
    start, stop = expect(data, at, end, 0x02)
    if not 1 <= stop - start <= 8:
        raise Malformed("bad integer")
    return int.from_bytes(data[start:stop], "big", signed=True), stop


def read_oid(body: bytes) -> Oid:
    """An object identifier from its value octets. Raises Malformed."""
    if not body or body[-1] & 0x80:
        raise Malformed("bad object identifier")
    parts: list[int] = []
    value = 0
    for octet in body:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            parts.append(value)
            value = 0
    first = min(parts[0] // 40, 2)
    return (first, parts[0] - 40 * first, *parts[1:])


def answer(mib: Mib, second: int, kind: int, rest: bytes, room: int) -> bytes:
    """The reply's PDU from its error status on. `rest`: the request's PDU behind its id; `room`: octets for all
    bindings. Raises Malformed, also for a kind that an agent of this sort does not answer.
    """
    first, at = integer(rest, 0, len(rest))
    second_number, at = integer(rest, at, len(rest))
    at, end = expect(rest, at, len(rest), 0x30)
    oids: list[Oid] = []
    while at < end:
        inner, stop = expect(rest, at, end, 0x30)
        name, name_end = expect(rest, inner, stop, OBJECT)
        oids.append(read_oid(rest[name:name_end]))
        at = stop
    if kind == GET_BULK:
        return _reply(_bulk(mib, second, oids, first, second_number, room))
    if kind not in (GET, GET_NEXT):
        raise Malformed(f"no answer to {kind:#x}")
    bindings = [_next(mib, second, oid) if kind == GET_NEXT else _get(mib, second, oid) for oid in oids]
    if sum(map(len, bindings)) > room:
        return b"\x02\x01" + bytes((TOO_BIG,)) + b"\x02\x01\x00\x30\x00"
    return _reply(bindings)


def _reply(bindings: list[bytes]) -> bytes:
    return b"\x02\x01\x00\x02\x01\x00" + tlv(0x30, b"".join(bindings))


def _get(mib: Mib, second: int, oid: Oid) -> bytes:
    position = mib.at(oid)
    if position is not None:
        return mib.varbind(position, second)
    return tlv(0x30, _name(oid) + NO_SUCH_INSTANCE)


def _next(mib: Mib, second: int, oid: Oid) -> bytes:
    position = mib.after(oid)
    if position < len(mib.oids):
        return mib.varbind(position, second)
    return tlv(0x30, _name(oid) + END_OF_MIB_VIEW)


def _bulk(mib: Mib, second: int, oids: list[Oid], non_repeaters: int, repetitions: int, room: int) -> list[bytes]:
    """GetBulk, row by row; what does not fit is left off at the end, but one binding always stays.

    A row of nothing but endOfMibView is the last one.
    """
    single = min(max(non_repeaters, 0), len(oids))
    bindings: list[bytes] = []

    def fits(binding: bytes) -> bool:
        nonlocal room
        room -= len(binding)
        if room < 0 and bindings:
            return False
        bindings.append(binding)
        return True

    for oid in oids[:single]:
        if not fits(_next(mib, second, oid)):
            return bindings
    positions = [mib.after(oid) for oid in oids[single:]]
    ends = [tlv(0x30, _name(oid) + END_OF_MIB_VIEW) for oid in oids[single:]]
    last = len(mib.oids)
    beyond = tlv(0x30, mib.name(last - 1) + END_OF_MIB_VIEW) if last else b""
    for row in range(max(repetitions, 0)):
        over = True
        for place, start in enumerate(positions):
            position = start + row
            if position < last:
                binding, over = mib.varbind(position, second), False
            else:  # the name of the last object there was, or of the one asked for
                binding = beyond if start < last else ends[place]
            if not fits(binding):
                return bindings
        if over:
            break
    return bindings


def _name(oid: Oid) -> bytes:
    return tlv(OBJECT, oid_body(oid))
