"""SNMPv3 messages on the wire (RFC 3412 6, RFC 3414 2.4): what is written once, and reading.

`parse` takes any well-formed message. `Shape` knows where everything lay in an earlier message of the same device, and
reads the next one by two comparisons when only numbers, digest and salt differ; else it says so, and `parse` decides.
"""

from __future__ import annotations

from typing import NamedTuple

from egov_exporters.snmp.ber import (
    GET,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    BadMessage,
    encode_integer,
    encode_tlv,
    read_tlv,
)

REPORT = 0xA8
AUTH, PRIV, REPORTABLE = 0x01, 0x02, 0x04  # msgFlags
MAX_NUMBER = 2**31 - 1  # of ids, boots and times
MAX_SIZE = 65_507  # what we take: the largest datagram that IPv4 carries
VERSION = b"\x02\x01\x03"
USM = b"\x02\x01\x03"  # msgSecurityModel
_FLAGS = tuple(encode_integer(MAX_SIZE) + bytes((OCTET_STRING, 1, flags)) + USM for flags in range(8))
_HEAD = VERSION + bytes((SEQUENCE, 6 + len(_FLAGS[0]), INTEGER, 4))


class Message(NamedTuple):
    """A message's plain part. The digest lies at `auth_at` to `auth_end`; the scopedPDU's TLV starts at `data_at`."""

    message_id: int
    flags: int
    engine_id: bytes
    boots: int
    time: int
    user: bytes
    auth_at: int
    auth_end: int
    salt: bytes
    data_at: int


class Layout(NamedTuple):
    """Offsets in one datagram; each pair is a value's start and end."""

    start: int  # of what is inside the outermost SEQUENCE
    message_id: tuple[int, int]
    flags: tuple[int, int]
    engine_id: tuple[int, int]
    boots: tuple[int, int]
    time: tuple[int, int]
    user: tuple[int, int]
    auth: tuple[int, int]
    salt: tuple[int, int]
    data_at: int


def parse(data: bytes) -> Message:
    """Given a datagram: the message in it. Raises BadMessage for anything else; never another exception."""
    return _read_out(data, lay_out(data))


def lay_out(data: bytes) -> Layout:
    """Where everything lies. All lengths must fit into each other exactly. Raises BadMessage."""
    start, end = _expect(data, 0, len(data), SEQUENCE)
    if end != len(data):
        raise BadMessage("something follows the message")
    version, at = _number(data, start, end)
    if data[version[0] : version[1]] != b"\x03":
        raise BadMessage("not SNMP v3")
    at, header_end = _expect(data, at, end, SEQUENCE)
    message_id, at = _number(data, at, header_end)
    _, at = _expect(data, at, header_end, INTEGER)  # msgMaxSize
    flags = _expect(data, at, header_end, OCTET_STRING)
    model, at = _number(data, flags[1], header_end)
    if flags[1] - flags[0] != 1 or data[model[0] : model[1]] != b"\x03" or at != header_end:
        raise BadMessage("bad header, or not the user-based security model")
    at, security_end = _expect(data, at, end, OCTET_STRING)
    at, stop = _expect(data, at, security_end, SEQUENCE)
    if stop != security_end:
        raise BadMessage("bad security parameters")
    engine_id = _expect(data, at, stop, OCTET_STRING)
    boots, at = _number(data, engine_id[1], stop)
    time, at = _number(data, at, stop)
    user = _expect(data, at, stop, OCTET_STRING)
    auth = _expect(data, user[1], stop, OCTET_STRING)
    salt = _expect(data, auth[1], stop, OCTET_STRING)
    if salt[1] != stop:
        raise BadMessage("bad security parameters")
    return Layout(start, message_id, flags, engine_id, boots, time, user, auth, salt, stop)


def _read_out(data: bytes, layout: Layout) -> Message:
    return Message(
        int.from_bytes(data[slice(*layout.message_id)], "big"),
        data[layout.flags[0]],
        data[slice(*layout.engine_id)],
        int.from_bytes(data[slice(*layout.boots)], "big"),
        int.from_bytes(data[slice(*layout.time)], "big"),
        data[slice(*layout.user)],
        *layout.auth,
        data[slice(*layout.salt)],
        layout.data_at,
    )


class Shape:
    """One message's plain part as a pattern for others."""

    __slots__ = (
        "_auth",
        "_boots",
        "_engine_id",
        "_flags",
        "_id",
        "_mask",
        "_pattern",
        "_salt",
        "_size",
        "_time",
        "_user",
    )

    def __init__(self, data: bytes) -> None:
        """Given a datagram that `parse` takes."""
        layout = lay_out(data)
        start = layout.start
        self._size = layout.data_at - start
        mask = bytearray(b"\xff" * self._size)
        for first, end in (layout.message_id, layout.boots, layout.time):
            mask[first - start : end - start] = b"\x80" + bytes(end - first - 1)  # the sign stays
        for first, end in (layout.auth, layout.salt):
            mask[first - start : end - start] = bytes(end - first)
        self._mask = int.from_bytes(mask, "big")
        self._pattern = int.from_bytes(data[start : layout.data_at], "big") & self._mask
        self._flags, self._engine_id = data[layout.flags[0]], data[slice(*layout.engine_id)]
        self._user = data[slice(*layout.user)]
        spans = (layout.message_id, layout.boots, layout.time, layout.auth, layout.salt)
        self._id, self._boots, self._time, self._auth, self._salt = (
            (first - start, end - start) for first, end in spans
        )

    def read(self, data: bytes) -> Message | None:
        """What `parse` gives for this datagram; None when it has another shape, or is none."""
        size = len(data)
        if size < 4 or data[0] != SEQUENCE:
            return None
        start = 2
        length = data[1]
        if length == 0x82:
            start, length = 4, data[2] << 8 | data[3]
        elif length == 0x81:
            start, length = 3, data[2]
        elif length >= 0x80:
            return None
        if length + start != size:
            return None
        end = start + self._size
        head = data[start:end]
        if int.from_bytes(head, "big") & self._mask != self._pattern:
            return None
        number, boots, time, auth, salt = self._id, self._boots, self._time, self._auth, self._salt
        return Message(
            int.from_bytes(head[number[0] : number[1]], "big"),
            self._flags,
            self._engine_id,
            int.from_bytes(head[boots[0] : boots[1]], "big"),
            int.from_bytes(head[time[0] : time[1]], "big"),
            self._user,
            start + auth[0],
            start + auth[1],
            head[salt[0] : salt[1]],
            end,
        )


def scoped_pdu(data: bytes, at: int, end: int, padded: bool, usual: bytes, name: bytes) -> tuple[bytes, int, int, int]:
    """Given where a scopedPDU lies: its context name, and where its PDU starts, the PDU's contents start, and both end.

    `padded`: decrypted octets may have some more behind them. `usual`: context engine ID and name as they are to be
    expected, or empty; `name` is the name in them. Raises BadMessage.
    """
    at, stop = _expect(data, at, end, SEQUENCE)
    if stop != end and not padded:
        raise BadMessage("something follows the scoped PDU")
    if usual and data.startswith(usual, at):
        at += len(usual)
    else:  # another engine ID in here is no harm: the message's own says whose it is
        _, at = _expect(data, at, stop, OCTET_STRING)
        start, at = _expect(data, at, stop, OCTET_STRING)
        name = data[start:at]
    _, inner, pdu_end = read_tlv(data, at, stop)
    if pdu_end != stop:
        raise BadMessage("something follows the PDU")
    return name, at, inner, stop


def request_id(data: bytes, inner: int, end: int) -> int:
    """The request id of the PDU whose contents lie there. Raises BadMessage."""
    (start, stop), _ = _number(data, inner, end)
    return int.from_bytes(data[start:stop], "big")


def report_oid(data: bytes, at: int, end: int) -> bytes:
    """The octets of the first name in the report PDU that lies there: what it reports. Raises BadMessage."""
    at, end = _expect(data, at, end, REPORT)
    for _ in range(3):
        _, at = _expect(data, at, end, INTEGER)
    at, end = _expect(data, at, end, SEQUENCE)
    at, end = _expect(data, at, end, SEQUENCE)
    at, end = _expect(data, at, end, OBJECT_IDENTIFIER)
    return data[at:end]


def header(message_id: int, flags: int) -> bytes:
    """Version and header of a request: what comes before the security parameters."""
    if 0x800000 <= message_id <= MAX_NUMBER:  # four octets, as all ids that we choose
        return _HEAD + message_id.to_bytes(4, "big") + _FLAGS[flags]
    rest = encode_integer(message_id) + _FLAGS[flags]
    return VERSION + encode_tlv(SEQUENCE, rest)


def security_parameters(engine_id: bytes, boots: int, time: int, user: bytes, auth: bytes, salt: bytes) -> bytes:
    """msgSecurityParameters."""
    inner = (
        encode_tlv(OCTET_STRING, engine_id)
        + encode_integer(boots)
        + encode_integer(time)
        + encode_tlv(OCTET_STRING, user)
        + encode_tlv(OCTET_STRING, auth)
        + encode_tlv(OCTET_STRING, salt)
    )
    return encode_tlv(OCTET_STRING, encode_tlv(SEQUENCE, inner))


def discovery(message_id: int) -> bytes:
    """A request that makes any device name its engine (RFC 3414 4)."""
    nothing = encode_integer(0) * 2 + encode_tlv(SEQUENCE, b"")
    pdu = encode_tlv(GET, encode_integer(message_id) + nothing)
    scoped = encode_tlv(SEQUENCE, encode_tlv(OCTET_STRING, b"") * 2 + pdu)
    return encode_tlv(SEQUENCE, header(message_id, REPORTABLE) + security_parameters(b"", 0, 0, b"", b"", b"") + scoped)


def _expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    found, start, stop = read_tlv(data, at, end)
    if found != tag:
        raise BadMessage(f"type {found:#x} where {tag:#x} belongs")
    return start, stop


def _number(data: bytes, at: int, end: int) -> tuple[tuple[int, int], int]:
    """Where the value of an INTEGER from 0 to MAX_NUMBER lies, and its end again."""
    start, stop = _expect(data, at, end, INTEGER)
    if not 1 <= stop - start <= 4 or data[start] & 0x80:
        raise BadMessage("bad number")
    return (start, stop), stop
