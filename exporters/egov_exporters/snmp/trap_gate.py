"""The gate before the slow part: a datagram is let in only if it is small, not part of a flood, and from someone known.

All of it costs microseconds. Version 1 and 2c: the community must be configured. Version 3: the user must be, with
exactly the security level of the message, and the digest must be right under the sender's engine ID; boots and time
must not go back, and the same message counts once (pysnmp checks neither where the sender is authoritative).
"""

from __future__ import annotations

import hmac
import socket
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import BadMessage, read_tlv
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.keys import DIGESTS
from egov_exporters.snmp.trap_users import UserKeys

TRAP_V1, INFORM, TRAP_V2 = 0xA4, 0xA6, 0xA7
LEVELS = {0: "noAuthNoPriv", 1: "authNoPriv", 3: "authPriv"}
USM = 3
TIME_WINDOW = 150  # seconds, RFC 3414
LAST_BOOTS = (1 << 31) - 1

Key = TypeVar("Key", bound=Hashable)
Held = TypeVar("Held")


class Refused(Exception):
    """The datagram is not let in; `str(error)` is one word for the counter."""


@dataclass(frozen=True)
class Limits:
    """What a receiver bears. Rates are datagrams a second, of one source (an IPv6 source is its /64) and of all."""

    datagram_octets: int = 4_096
    queue: int = 1_000
    sources: int = 10_000  # sources, engines, messages and interfaces remembered at a time
    source_rate: float = 20.0
    source_burst: float = 100.0
    rate: float = 500.0
    burst: float = 2_000.0
    varbinds: int = 128
    turn_seconds: float = 0.005  # of work between two turns of everything else
    share: float = 0.25  # of one processor
    poll_seconds: float = 10.0  # between two polls of one target that a notification asks for
    polls: int = 8  # such polls at a time
    flap_changes: int = 6  # linkDown and linkUp of an interface that are shown one by one ...
    flap_seconds: float = 60.0  # ... in so much time; the rest become one summary
    duplicate_seconds: float = 300.0  # an inform that comes again within this time is the same inform


class Lru(Generic[Key, Held]):
    """A mapping of bounded size: what was used longest ago goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[Key, Held] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Key) -> Held | None:
        """What is held, which becomes the latest used."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: Key, held: Held) -> tuple[Key, Held] | None:
        """Hold this; gives what had to go for it, if anything."""
        self._held[key] = held
        self._held.move_to_end(key)
        return self._held.popitem(last=False) if len(self._held) > self._size else None

    def pop(self, key: Key) -> Held | None:
        """Take it out."""
        return self._held.pop(key, None)

    def items(self) -> list[tuple[Key, Held]]:
        """All of it, the longest unused first."""
        return list(self._held.items())


class Bucket:
    """A token bucket: `rate` a second, at most `burst` at a time."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._left, self._at = burst, now

    def take(self, now: float) -> bool:
        """Whether one more is allowed now; if so it is taken."""
        self._left = min(self._burst, self._left + max(now - self._at, 0.0) * self._rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


@dataclass(frozen=True, slots=True)
class Message:
    """A datagram that was let in. `auth` is None in a version 3 request for our engine ID.

    `engine` is version 3's; `request_id` is version 2c's, for pysnmp replaces it.
    """

    data: bytes
    version: str
    auth: Auth | None
    engine: bytes = b""
    request_id: int = 0


@dataclass(frozen=True, slots=True)
class V3Header:
    """The plain part of a version 3 message; `digest_at` is where the digest begins."""

    flags: int
    engine: bytes
    boots: int
    time: int
    user: bytes
    digest: bytes
    digest_at: int


def _integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    tag, start, stop = read_tlv(data, at, end)
    if tag != ber.INTEGER or not 1 <= stop - start <= 5:
        raise BadMessage("bad integer")
    return int.from_bytes(data[start:stop], "big", signed=True), stop


def _octets(data: bytes, at: int, end: int, tag: int = ber.OCTET_STRING) -> tuple[int, int]:
    found, start, stop = read_tlv(data, at, end)
    if found != tag:
        raise BadMessage("bad type")
    return start, stop


def read_v3(data: bytes, at: int, end: int) -> V3Header:
    """Given where the part behind the version begins: the header. Raises BadMessage."""
    start, at = _octets(data, at, end, ber.SEQUENCE)
    _, inner = _integer(data, start, at)
    _, inner = _integer(data, inner, at)
    flags, inner = _octets(data, inner, at)
    if inner - flags != 1:
        raise BadMessage("bad flags")
    model, _ = _integer(data, inner, at)
    if model != USM:
        raise BadMessage("bad security model")
    start, stop = _octets(data, at, end)
    start, stop = _octets(data, start, stop, ber.SEQUENCE)
    engine, inner = _octets(data, start, stop)
    engine_id = data[engine:inner]
    boots, inner = _integer(data, inner, stop)
    time, inner = _integer(data, inner, stop)
    user, user_end = _octets(data, inner, stop)
    digest, digest_end = _octets(data, user_end, stop)
    return V3Header(data[flags] & 7, engine_id, boots, time, data[user:user_end], data[digest:digest_end], digest)


def check_varbinds(data: bytes, at: int, end: int, most: int) -> None:
    """Whether a list of varbinds is well formed as far as its own types go. Raises BadMessage or Refused."""
    at, end = _octets(data, at, end, ber.SEQUENCE)
    count = 0
    while at < end:
        count += 1
        if count > most:
            raise Refused("too_many_varbinds")
        inner, stop = _octets(data, at, end, ber.SEQUENCE)
        name, inner = _octets(data, inner, stop, ber.OBJECT_IDENTIFIER)
        ber.decode_oid(data[name:inner])
        tag, value, inner = read_tlv(data, inner, stop)
        if tag == ber.OBJECT_IDENTIFIER:
            ber.decode_oid(data[value:inner])
        at = stop


def check_pdu(data: bytes, at: int, end: int, version: int, most: int) -> int:
    """The request id of a notification of version 2c (1), 0 for one of version 1 (0). Raises BadMessage or Refused."""
    tag, at, end = read_tlv(data, at, end)
    if tag not in ((TRAP_V1,) if version == 0 else (TRAP_V2, INFORM)):
        raise Refused("not_a_notification")
    request_id = 0
    if version == 1:
        request_id, at = _integer(data, at, end)
    for _ in range(5 if version == 0 else 2):  # version 1: enterprise, address, generic, specific, time
        _, _, at = read_tlv(data, at, end)
    check_varbinds(data, at, end, most)
    return request_id


def source_of(address: Any) -> str:
    """The text of a sender's address; IPv4 inside IPv6 as IPv4, without a zone."""
    host = str(address[0]).partition("%")[0]
    return host.removeprefix("::ffff:") if "." in host else host


def _group(source: str) -> Hashable:
    """What shares one bucket: an IPv4 address, or the first 64 bits of an IPv6 address."""
    return socket.inet_pton(socket.AF_INET6, source)[:8] if ":" in source else source


class Gate:
    """Decides on each datagram. Its state is bounded by `limits.sources`."""

    def __init__(self, auths: Mapping[str, Auth], limits: Limits, engine_id: bytes, now: float) -> None:
        self._limits, self._engine_id = limits, engine_id
        self._sources: Lru[Hashable, Bucket] = Lru(limits.sources)
        self._all = Bucket(limits.rate, limits.burst, now)
        self._clocks: Lru[bytes, tuple[int, int, float]] = Lru(limits.sources)
        self._digests: Lru[bytes, bool] = Lru(limits.sources)
        self.use(auths)

    def use(self, auths: Mapping[str, Auth]) -> None:
        """Take these communities and users from now on."""
        self.keys = UserKeys(self._limits.sources)
        self._communities: dict[bytes, Auth] = {}
        self._users: dict[bytes, list[Auth]] = {}
        for auth in auths.values():
            if auth.version == 3:
                self._users.setdefault(auth.username.encode(), []).append(auth)
            else:
                self._communities.setdefault(auth.community.encode(), auth)

    @property
    def sources(self) -> int:
        """How many sources are remembered."""
        return len(self._sources)

    def admit(self, data: bytes, source: str, now: float) -> Message:
        """The message, if it may go on. Raises Refused."""
        if len(data) > self._limits.datagram_octets:
            raise Refused("too_large")
        if not self._bucket(_group(source), now).take(now):
            raise Refused("source_rate")
        try:
            message = self._read(data, now)
        except (BadMessage, IndexError):
            raise Refused("malformed") from None
        # Last, so that nothing but what could be real takes from what all share.
        if not self._all.take(now):
            raise Refused("rate")
        return message

    def _bucket(self, group: Hashable, now: float) -> Bucket:
        bucket = self._sources.get(group)
        if bucket is None:
            bucket = Bucket(self._limits.source_rate, self._limits.source_burst, now)
            self._sources.put(group, bucket)
        return bucket

    def _read(self, data: bytes, now: float) -> Message:
        at, end = _octets(data, 0, len(data), ber.SEQUENCE)
        version, at = _integer(data, at, end)
        if version == 3:
            return self._user(data, read_v3(data, at, end), now)
        if version not in (0, 1):
            raise Refused("version")
        start, at = _octets(data, at, end)
        auth = self._communities.get(data[start:at])
        if auth is None:
            raise Refused("community")
        request_id = check_pdu(data, at, end, version, self._limits.varbinds)
        return Message(data, "1" if version == 0 else "2c", auth, request_id=request_id)

    def _user(self, data: bytes, header: V3Header, now: float) -> Message:
        level = LEVELS.get(header.flags & 3)
        if level is None:
            raise Refused("malformed")
        if not 5 <= len(header.engine) <= 32:
            # The sender of an inform asks for our engine ID; the answer says nothing secret.
            if level != "noAuthNoPriv" or not header.flags & 4 or not self._users:
                raise Refused("engine_id")
            return Message(data, "3", None)
        users = self._users.get(header.user)
        if not users:
            raise Refused("user")
        users = [auth for auth in users if auth.security_level == level]
        if not users:
            raise Refused("security_level")
        if level == "noAuthNoPriv":
            return Message(data, "3", users[0], header.engine)
        auth = next((auth for auth in users if self._signed(data, header, auth)), None)
        if auth is None:
            raise Refused("digest")
        if header.engine != self._engine_id:  # of our own engine's clock pysnmp takes care
            self._timely(header, now)
        return Message(data, "3", auth, header.engine)

    def _signed(self, data: bytes, header: V3Header, auth: Auth) -> bool:
        size = len(header.digest)
        if size != DIGESTS[auth.auth_protocol][1]:
            return False
        at = header.digest_at
        blank = data[:at] + bytes(size) + data[at + size :]
        return hmac.compare_digest(self.keys.localized(auth, header.engine).authenticator.sign(blank), header.digest)

    def _timely(self, header: V3Header, now: float) -> None:
        """Refuse what is older than what this engine sent before (RFC 3414, 3.2.7b), and the same message again."""
        known = self._clocks.get(header.engine)
        if header.boots >= LAST_BOOTS or header.boots < 0 or header.time < 0:
            raise Refused("replay")
        if known is not None:
            boots, time, at = known
            if header.boots < boots or (header.boots == boots and header.time < time + (now - at) - TIME_WINDOW):
                raise Refused("replay")
        if self._digests.get(header.digest):
            raise Refused("replay")
        self._digests.put(header.digest, True)
        if known is None or (header.boots, header.time) > known[:2]:
            self._clocks.put(header.engine, (header.boots, header.time, now))
