"""What is fuzzed: everything that reads what a device sends, and good datagrams to damage. Each is one Entry."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import answers
import mib
from agent_usm import AUTH, PRIV, User
from agents import SMALL, Responder

from egov_exporters.snmp import ber
from egov_exporters.snmp.community import Community
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.decode import decode, number
from egov_exporters.snmp.fast import NUMBER, STATIC, Chunk, Stale
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.planning import make_plan
from egov_exporters.snmp.profiles import load_profiles
from egov_exporters.snmp.security import Again
from egov_exporters.snmp.session import Rejected, Traffic
from egov_exporters.snmp.usm import Usm
from egov_exporters.snmp.walk import Harvest, read_profile
from egov_exporters.snmp.wire import message_id

ADDRESS = bytes((127, SMALL, 0, 1))
NOW = 1000.0
COMMUNITY, PASSWORD, PRIV_PASSWORD = b"public", "fuzz-auth-password", "fuzz-priv-password"
OPEN, PRIVATE = "open", "private"  # users
FIRST_ID = 0x01020300
LARGEST_SCOPED = 65_300  # what a datagram can carry
IF_MIB = "if_mib"


@dataclass(frozen=True)
class Entry:
    """Something that reads datagrams. `seeds`: good ones; `large`: good ones that take long and are given seldom;
    `allowed`: what it may raise, beside returning."""

    name: str
    call: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    allowed: tuple[type[Exception], ...] = ()
    large: Callable[[], Sequence[bytes]] = list


def entries() -> list[Entry]:
    """All entry points."""
    opened = (ber.BadMessage, Again, Rejected)
    return [
        Entry("message_id", message_id, lambda: v2c_replies() + v3_replies(), large=large_replies),
        Entry("v2c", read_v2c, v2c_replies, (ber.BadMessage,), large_replies),
        Entry("v3", read_open_v3, v3_replies, opened),
        Entry("v3-under-its-digest", read_private_v3, scoped_replies, opened),
        Entry("fast", read_fast, lambda: [reply for _, reply in chunks()], (Stale,)),
    ]


# --- good replies ----------------------------------------------------------------------------------------------------


@cache
def responder() -> Responder:
    """A switch with a community and two users."""
    users = [User(OPEN.encode(), 0), User(PRIVATE.encode(), AUTH | PRIV, PASSWORD.encode(), PRIV_PASSWORD.encode())]
    return Responder({SMALL: mib.switch(48)}, [COMMUNITY], users)


def _names(entry: Oid, columns: Sequence[int], row: int) -> bytes:
    oids = ((*entry, column, row) for column in columns)
    bindings = b"".join(mib.tlv(0x30, mib.tlv(mib.OBJECT, mib.oid_body(oid)) + b"\x05\x00") for oid in oids)
    return mib.number(2, 0) + mib.number(2, 25) + mib.tlv(0x30, bindings)


@cache
def requests() -> list[bytes]:
    """PDUs whose replies are full, short, at the end, exceptions, and errors."""
    asked = [
        (answers.GET_BULK, _names(mib.IFX_ENTRY, (6, 10), 0)),
        (answers.GET_BULK, _names(mib.IF_ENTRY, (2,), 30)),
        (answers.GET_BULK, _names(mib.IFX_ENTRY, (1, 18, 19), 40)),
        (answers.GET_BULK, _names(mib.IFX, (5,), 0)),
        (answers.GET_BULK, _names((2, 5), (1,), 0)),
        (answers.GET, _names(mib.SYSTEM, (1, 2, 3, 99), 0)),
        (answers.GET, _names(mib.SYSTEM, (1,) * 60, 0)),
    ]
    return [mib.tlv(kind, mib.number(2, FIRST_ID + place) + rest) for place, (kind, rest) in enumerate(asked)]


def _answer(request: bytes) -> bytes:
    return responder().reply(request, ADDRESS, NOW)[1]


@cache
def v2c_replies() -> list[bytes]:
    """What a switch says to them."""
    head = b"\x02\x01\x01" + mib.tlv(0x04, COMMUNITY)
    return [_answer(mib.tlv(0x30, head + pdu)) for pdu in requests()]


@cache
def large_replies() -> list[bytes]:
    """One text that fills a datagram, and as many bindings as one can hold."""
    many = mib.tlv(0x30, mib.tlv(mib.OBJECT, b"\x2b") + b"\x05\x00")
    one = mib.tlv(0x30, mib.tlv(mib.OBJECT, b"\x2b\x06") + mib.tlv(mib.OCTETS, bytes(65_400)))
    pdus = (b"\x02\x01\x07\x02\x01\x00\x02\x01\x00" + mib.tlv(0x30, body) for body in (many * 9_300, one))
    head = b"\x02\x01\x01" + mib.tlv(0x04, COMMUNITY)
    return [mib.tlv(0x30, head + mib.tlv(answers.RESPONSE, pdu)) for pdu in pdus]


def _asked_openly(identity: bytes, pdu: bytes) -> bytes:
    """A v3 request without a digest; one without the engine's identity is discovery."""
    scoped = mib.tlv(0x30, mib.tlv(0x04, identity) + mib.tlv(0x04, b"") + pdu)
    at, end = answers.expect(pdu, 0, len(pdu), pdu[0])
    head = mib.number(2, answers.integer(pdu, at, end)[0]) + b"\x02\x03\x00\xff\xe3\x04\x01\x04\x02\x01\x03"
    fields = mib.tlv(0x04, identity) + b"\x02\x01\x07\x02\x02\x03\xe8" + mib.tlv(0x04, OPEN.encode()) + b"\x04\x00" * 2
    security = mib.tlv(0x04, mib.tlv(0x30, fields))
    return mib.tlv(0x30, b"\x02\x01\x03" + mib.tlv(0x30, head) + security + scoped)


@cache
def v3_replies() -> list[bytes]:
    """Reports of discovery first, then replies to a user who needs no password."""
    identities = (b"", responder().usm.engine(ADDRESS, NOW).id)
    return [_answer(_asked_openly(identity, pdu)) for identity in identities for pdu in requests()]


@cache
def scoped_replies() -> list[bytes]:
    """What stands encrypted in a reply: context and PDU."""
    identity = responder().usm.engine(ADDRESS, NOW).id
    found = []
    for reply in v2c_replies():
        at, end = answers.expect(reply, 0, len(reply), 0x30)
        _, at = answers.integer(reply, at, end)
        _, at = answers.expect(reply, at, end, 0x04)
        found.append(mib.tlv(0x30, mib.tlv(0x04, identity) + mib.tlv(0x04, b"") + reply[at:]))
    return found


# --- readers ---------------------------------------------------------------------------------------------------------


def read_v2c(data: bytes) -> object:
    """As the general path reads a v2c datagram."""
    return ber.decode_pdu(Community(COMMUNITY).open(data))


def _number(data: bytes) -> int:
    """The id that somebody waits for."""
    found = message_id(data)
    return found if 0 <= found < 1 << 31 else FIRST_ID


def _known_v3(auth: Auth, good: bytes) -> Usm:
    """The security of a device that has been discovered and has given a `good` reply."""
    usm, report, pdu = Usm("device", auth, clock=lambda: 0.0), v3_replies()[0], requests()[0]
    usm.seal(FIRST_ID, pdu)
    try:
        usm.open(report)
    except Again:
        usm.seal(FIRST_ID, pdu)
    usm.open(good)
    return usm


def read_open_v3(data: bytes) -> object:
    """A datagram for a user without a password."""
    usm = _known_v3(Auth("a", version=3, username=OPEN), v3_replies()[len(requests())])
    usm.seal(_number(data), requests()[0])
    return ber.decode_pdu(usm.open(data))


def _signed(request_id: int, scoped: bytes) -> bytes:
    usm = responder().usm
    return usm.sealed(request_id, PRIVATE.encode(), usm.engine(ADDRESS, NOW), int(NOW), AUTH | PRIV, scoped)


@cache
def _good_signed() -> bytes:
    return _signed(FIRST_ID, scoped_replies()[0])


PRIVATE_AUTH = Auth(
    "b",
    version=3,
    username=PRIVATE,
    security_level="authPriv",
    password=PASSWORD,
    auth_protocol="SHA256",
    priv_protocol="AES",
    priv_password=PRIV_PASSWORD,
)


def read_private_v3(data: bytes) -> object:
    """`data` encrypted and signed by the device itself: what a digest does not keep out."""
    usm = _known_v3(PRIVATE_AUTH, _good_signed())
    usm.seal(FIRST_ID + 1, requests()[1])
    return ber.decode_pdu(usm.open(_signed(FIRST_ID + 1, data[:LARGEST_SCOPED])))


class LocalSession:
    """A `session.Session` with the switch, without a wire."""

    def __init__(self) -> None:
        self.traffic = Traffic()

    async def get(self, oids: list[Oid]) -> list[ber.Varbind]:
        """See `Session.get`."""
        return ber.decode_pdu(ask(ber.encode_pdu(ber.GET, [ber.oid_octets(oid) for oid in oids]))).varbinds

    async def get_bulk(self, oids: list[Oid], repetitions: int, once: int = 0) -> list[ber.Varbind]:
        """See `Session.get_bulk`."""
        names = [ber.oid_octets(oid) for oid in oids]
        return ber.decode_pdu(ask(ber.encode_pdu(ber.GET_BULK, names, once, repetitions))).varbinds


def ask(request: ber.Pdu) -> bytes:
    """The reply's PDU."""
    community = Community(COMMUNITY)
    return community.open(_answer(community.seal(FIRST_ID, request.with_id(FIRST_ID))))


@cache
def chunks() -> list[tuple[Chunk, bytes]]:
    """Some requests of the plan for if_mib, each with a reply that it has learned: names, texts, numbers."""
    profile, harvest = load_profiles()[IF_MIB], Harvest()
    asyncio.run(read_profile(LocalSession(), profile, harvest))
    plan = make_plan(profile, harvest, decode(profile, harvest))
    assert plan is not None
    found = [(chunk, ask(chunk.request)) for chunk in plan.chunks]
    for chunk, reply in found:
        chunk.read(reply)
    return [found[0], found[len(found) // 2], found[-1]]


def read_fast(data: bytes) -> object:
    """Numbers by the hot path; they must be those that the general path reads, and all else as it was."""
    stale = Stale("none")
    for chunk, good in chunks():
        try:
            numbers = copy.copy(chunk).read(data)
        except Stale as why:
            stale = why
            continue
        now, before = ber.decode_pdu(data), ber.decode_pdu(good)
        wanted = []
        for kind, one, other in zip(chunk.kinds, now.varbinds, before.varbinds, strict=False):
            if one.oid != other.oid or (kind == STATIC and one.cell != other.cell):
                raise AssertionError(f"{one} was taken for {other}")
            if kind == NUMBER:
                wanted.append(number(one.cell))
        if now.error_status or numbers != tuple(wanted) or len(now.varbinds) < len(chunk.names):
            raise AssertionError(f"{numbers} where the general path reads {wanted}")
        return numbers
    raise stale
