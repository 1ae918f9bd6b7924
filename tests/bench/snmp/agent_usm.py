"""The agent's half of SNMP v3 (RFC 3412, 3414, 3826, 7860): SHA-256 and AES-128, each address an engine of its own.

Discovery, unknown users, wrong digests and requests out of the time window are answered by Reports, as devices do.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from answers import REPORT, Malformed, expect, integer, read
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from mib import COUNTER32, OBJECT, number, oid_body, tlv

AUTH, PRIV, REPORTABLE = 1, 2, 4
DIGEST_OCTETS = 24  # of SHA-256, RFC 7860
WINDOW_SECONDS = 150
LARGEST = 1472  # octets of a reply: what one Ethernet frame holds
OVERHEAD = 44  # octets around a v3 reply that do not depend on its strings, at most
USM_STATS = (1, 3, 6, 1, 6, 3, 15, 1, 1)
UNSUPPORTED_LEVEL, NOT_IN_WINDOW, UNKNOWN_USER, UNKNOWN_ENGINE, WRONG_DIGEST, DECRYPTION = 1, 2, 3, 4, 5, 6

# The PDU's tag, its id as it came (tag and length with it), what is behind it, room for bindings → the reply's rest
Answer = Callable[[int, bytes, int], bytes]


@dataclass(frozen=True)
class User:
    """A user may use his own level or less."""

    name: bytes
    level: int  # AUTH | PRIV, AUTH, or 0
    password: bytes = b""
    priv_password: bytes = b""


def password_key(password: bytes) -> bytes:
    """RFC 3414, A.2: a million octets of the password, digested."""
    repeated = password * (1_048_576 // len(password) + 1)
    return hashlib.sha256(repeated[:1_048_576]).digest()


def localised(key: bytes, engine: bytes) -> bytes:
    """The key for one engine."""
    return hashlib.sha256(key + engine + key).digest()


def crypt(key: bytes, boots: int, seconds: int, salt: bytes, data: bytes, *, encrypt: bool) -> bytes:
    """AES-128 in CFB mode, RFC 3826."""
    cipher = Cipher(AES(key), CFB(boots.to_bytes(4, "big") + seconds.to_bytes(4, "big") + salt))
    return (cipher.encryptor() if encrypt else cipher.decryptor()).update(data)


@dataclass(frozen=True)
class Message:
    """A v3 message taken apart; `digest_at` is where its digest stands, `data` what stands behind the parameters."""

    id: int
    flags: int
    engine: bytes
    boots: int
    seconds: int
    user: bytes
    digest: bytes
    digest_at: int
    salt: bytes
    data: bytes
    largest: int


def parse(raw: bytes) -> Message:
    """Raises answers.Malformed."""
    at, end = expect(raw, 0, len(raw), 0x30)
    version, at = integer(raw, at, end)
    if version != 3:
        raise Malformed("not v3")
    head, head_end = expect(raw, at, end, 0x30)
    number_, head = integer(raw, head, head_end)
    largest, head = integer(raw, head, head_end)
    flags, flags_end = expect(raw, head, head_end, 0x04)
    model, _ = integer(raw, flags_end, head_end)
    if model != 3 or flags_end != flags + 1:
        raise Malformed("not the user-based security model")
    outer, outer_end = expect(raw, head_end, end, 0x04)
    at, stop = expect(raw, outer, outer_end, 0x30)
    texts: list[bytes] = []
    numbers: list[int] = []
    digest_at = 0
    for kind in "tnnttt":
        if kind == "n":
            value, at = integer(raw, at, stop)
            numbers.append(value)
        else:
            start, at = expect(raw, at, stop, 0x04)
            texts.append(raw[start:at])
            digest_at = start if len(texts) == 3 else digest_at
    engine, user, digest, salt = texts
    boots, seconds = numbers
    data = raw[outer_end:end]
    return Message(number_, raw[flags], engine, boots, seconds, user, digest, digest_at, salt, data, largest)


@dataclass
class Engine:
    """One engine: its id, boots and clock, and what its Reports have counted."""

    id: bytes
    boots: int
    started: float
    keys: dict[bytes, tuple[bytes, bytes]]  # by user: of authentication, of privacy
    counted: dict[int, int] = field(default_factory=dict)


class Usm:
    """The users and the engines of all addresses."""

    def __init__(self, users: list[User]) -> None:
        self.users = {user.name: user for user in users}
        self._keys = {
            user.name: (password_key(user.password or b"-"), password_key(user.priv_password or b"-")) for user in users
        }
        self._engines: dict[bytes, Engine] = {}
        self._salt = int.from_bytes(os.urandom(8), "big")
        self._boots = 7

    def engine(self, address: bytes, now: float) -> Engine:
        """The engine at an address (4 octets)."""
        found = self._engines.get(address)
        if found is None:
            identity = b"\x80\x00\x7e\xd9\x05bench" + address  # enterprise 32473, format 5: octets
            keys = {
                name: (localised(auth, identity), localised(priv, identity)[:16])
                for name, (auth, priv) in self._keys.items()
            }
            found = self._engines[address] = Engine(identity, self._boots, now - 1000, keys)
        return found

    def reboot(self) -> None:
        """All devices start anew: their boots rise and their clocks begin at 1,000 s again."""
        self._boots += 1
        self._engines.clear()

    def handle(self, raw: bytes, address: bytes, now: float, answer: Answer) -> tuple[bytes, bytes]:
        """(user, reply) for a request. Raises answers.Malformed when it is dropped without a word."""
        message = parse(raw)
        engine = self.engine(address, now)
        seconds = int(now - engine.started)
        user = self.users.get(message.user)
        level = message.flags & (AUTH | PRIV)
        if message.engine != engine.id:
            return message.user, self._report(message, engine, seconds, UNKNOWN_ENGINE)
        if user is None:
            return message.user, self._report(message, engine, seconds, UNKNOWN_USER)
        if level not in (0, AUTH, AUTH | PRIV) or level > user.level:
            return message.user, self._report(message, engine, seconds, UNSUPPORTED_LEVEL)
        if level & AUTH:
            at, auth_key = message.digest_at, engine.keys[user.name][0]
            zeroed = raw[:at] + bytes(len(message.digest)) + raw[at + len(message.digest) :]
            right = hmac.digest(auth_key, zeroed, "sha256")[:DIGEST_OCTETS]
            if not hmac.compare_digest(right, message.digest):
                return message.user, self._report(message, engine, seconds, WRONG_DIGEST)
            if message.boots != engine.boots or abs(message.seconds - seconds) > WINDOW_SECONDS:
                return message.user, self._report(message, engine, seconds, NOT_IN_WINDOW, user)
        scoped = message.data
        if level & PRIV:
            start, end = expect(scoped, 0, len(scoped), 0x04)
            if len(message.salt) != 8:
                return message.user, self._report(message, engine, seconds, DECRYPTION)
            key = engine.keys[user.name][1]
            scoped = crypt(key, message.boots, message.seconds, message.salt, scoped[start:end], encrypt=False)
        at, end = expect(scoped, 0, len(scoped), 0x30)
        _, engine_end = expect(scoped, at, end, 0x04)
        name, name_end = expect(scoped, engine_end, end, 0x04)
        kind, at, end = read(scoped, name_end, end)
        _, after_id = integer(scoped, at, end)
        context = scoped[name:name_end]
        strings = 2 * len(engine.id) + len(message.user) + len(context) + DIGEST_OCTETS + 8
        room = max(min(LARGEST, message.largest), 484) - OVERHEAD - 40 - strings
        rest = answer(kind, scoped[after_id:end], room)
        pdu = tlv(0xA2, scoped[at:after_id] + rest)
        inner = tlv(0x30, tlv(0x04, engine.id) + tlv(0x04, context) + pdu)
        return message.user, self.sealed(message.id, message.user, engine, seconds, level, inner)

    def _report(self, message: Message, engine: Engine, seconds: int, why: int, user: User | None = None) -> bytes:
        """A Report; one about the time window is authenticated by its `user`. Raises Malformed where none is wanted."""
        if not message.flags & REPORTABLE:
            raise Malformed("no report is wanted")
        engine.counted[why] = engine.counted.get(why, 0) + 1
        name = tlv(OBJECT, oid_body((*USM_STATS, why, 0)))
        binding = tlv(0x30, name + number(COUNTER32, engine.counted[why]))
        pdu = tlv(REPORT, number(0x02, _request_id(message)) + b"\x02\x01\x00\x02\x01\x00" + tlv(0x30, binding))
        scoped = tlv(0x30, tlv(0x04, engine.id) + tlv(0x04, b"") + pdu)
        return self.sealed(message.id, message.user, engine, seconds, 0 if user is None else AUTH, scoped)

    def sealed(self, number_: int, name: bytes, engine: Engine, seconds: int, level: int, scoped: bytes) -> bytes:
        """A message of this engine, encrypted and signed as `level` says with the keys of the user `name`."""
        salt = b""
        if level & PRIV:
            self._salt = self._salt + 1 & 0xFFFFFFFFFFFFFFFF
            salt = self._salt.to_bytes(8, "big")
            scoped = tlv(0x04, crypt(engine.keys[name][1], engine.boots, seconds, salt, scoped, encrypt=True))
        head = number(0x02, number_) + b"\x02\x03\x00\xff\xe3" + bytes((0x04, 0x01, level)) + b"\x02\x01\x03"
        parameters = tlv(0x04, engine.id) + number(0x02, engine.boots) + number(0x02, seconds) + tlv(0x04, name)
        tail = tlv(0x04, salt)
        digest = tlv(0x04, bytes(DIGEST_OCTETS if level & AUTH else 0))
        security = tlv(0x04, tlv(0x30, parameters + digest + tail))
        whole = tlv(0x30, b"\x02\x01\x03" + tlv(0x30, head) + security + scoped)
        if not level & AUTH:
            return whole
        at = len(whole) - len(scoped) - len(tail) - DIGEST_OCTETS
        right = hmac.digest(engine.keys[name][0], whole, "sha256")[:DIGEST_OCTETS]
        return whole[:at] + right + whole[at + DIGEST_OCTETS :]


def _request_id(message: Message) -> int:
    """The request's id where it can be read, else 0, as RFC 3412 has it."""
    if message.flags & PRIV:
        return 0
    try:
        at, end = expect(message.data, 0, len(message.data), 0x30)
        _, at = expect(message.data, at, end, 0x04)
        _, at = expect(message.data, at, end, 0x04)
        _, at, end = read(message.data, at, end)
        return integer(message.data, at, end)[0]
    except Malformed:
        return 0
