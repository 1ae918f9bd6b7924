"""An SNMPv3 engine as seen from here: its clock, our keys for it, sealing and checking; and who shares an engine ID."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from hmac import compare_digest

from egov_exporters.snmp.ber import OCTET_STRING, BadMessage, encode_length, encode_tlv, read_tlv
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.keys import SALT_SIZE, Keys, keys_for
from egov_exporters.snmp.v3message import AUTH, MAX_NUMBER, PRIV, REPORTABLE, Message, header, security_parameters

TIME_WINDOW = 150.0  # seconds (RFC 3414 2.2.3)
LEVELS = {"noAuthNoPriv": 0, "authNoPriv": AUTH, "authPriv": AUTH | PRIV}


class Engine:
    """One authoritative engine at one address, and the user of one auth there.

    `authentic` is false until a message under its digest arrived; until then boots and time are a guess, which the
    first authentic message replaces. `generation` rises each time a report sets the clock. `now` is the monotonic
    clock throughout, in seconds.
    """

    __slots__ = (
        "_after", "_auth", "_base", "_before", "_keys", "_latest", "_shown", "_user", "authentic", "boots",
        "context", "engine_id", "generation", "level",
    )  # fmt: skip

    def __init__(self, engine_id: bytes, auth: Auth) -> None:
        self.engine_id, self.level = engine_id, LEVELS[auth.security_level]
        self.authentic = False
        self.generation = 0
        self.boots = 0
        self._latest = 0  # the highest time that was received in this boot (RFC 3414 2.3)
        self._base = 0.0  # our clock when the engine's time was 0
        self._auth, self._user = auth, auth.username.encode()
        self.context = encode_tlv(OCTET_STRING, engine_id) + encode_tlv(OCTET_STRING, auth.context_name.encode())
        self._keys: Keys | None = None
        self._shown = -1  # the engine's time in the security parameters below
        self._before = self._after = b""  # the security parameters before the digest's value and after it

    @property
    def keys(self) -> Keys:
        """The user's keys here, made at first use: a report that only claims an engine must cost no work."""
        if self._keys is None:
            self._keys = keys_for(self._auth, self.engine_id)
        return self._keys

    def guess(self, boots: int, time: int, now: float) -> None:
        """An unauthenticated message names this clock: it counts only while nothing better is known."""
        if not self.authentic:
            self.set_clock(boots, time, now)

    def set_clock(self, boots: int, time: int, now: float) -> None:
        """Take this clock as it is."""
        self.boots, self._latest, self._base, self._shown = boots, time, now - time, -1

    def hear(self, boots: int, time: int, now: float) -> None:
        """An authentic message names this clock: follow it forwards, as RFC 3414 3.2 7 b says.

        Raises BadMessage when the message is older than the time window, or the engine has used up its boots.
        """
        if boots > self.boots or (boots == self.boots and time > self._latest) or not self.authentic:
            if boots != self.boots:
                self._shown = -1
            self.boots, self._latest, self._base = boots, time, now - time
            self.authentic = True
        if boots < self.boots or time < now - self._base - TIME_WINDOW or boots == MAX_NUMBER:
            raise BadMessage("outside the time window")

    def seal(self, message_id: int, pdu: bytes, number: int, now: float) -> bytes:
        """The datagram of a request; `number` is for the salt and must not come twice."""
        keys, context, level = self.keys, self.context, self.level
        time = min(int(now - self._base), MAX_NUMBER) if level else 0
        if time != self._shown:
            self._show(time)
        data = b"\x30" + encode_length(len(context) + len(pdu)) + context + pdu
        if keys.cipher is not None:
            salt = keys.cipher.salt(self.boots, number)
            secret = keys.cipher.encrypt(data, self.boots, time, salt)
            data = salt + b"\x04" + encode_length(len(secret)) + secret
        head, before, after = header(message_id, level | REPORTABLE), self._before, self._after + data
        authenticator = keys.authenticator
        size = len(head) + len(before) + len(after)
        if authenticator is None:
            return b"\x30" + encode_length(size) + head + before + after
        start = b"\x30" + encode_length(size + authenticator.size) + head + before
        return start + authenticator.sign(start + authenticator.blank + after) + after

    def _show(self, time: int) -> None:
        """Write the security parameters for this second."""
        keys = self.keys
        blank = keys.authenticator.blank if keys.authenticator else b""
        salt = bytes(SALT_SIZE) if keys.cipher else b""
        whole = security_parameters(self.engine_id, self.boots if self.level else 0, time, self._user, blank, salt)
        end = len(whole) - len(salt)
        tail = end - 2  # the salt's tag and length
        self._before, self._after, self._shown = whole[: tail - len(blank)], whole[tail:end], time

    def verify(self, data: bytes, message: Message) -> None:
        """Check a datagram's digest. Raises BadMessage."""
        authenticator = self.keys.authenticator
        at, end = message.auth_at, message.auth_end
        if authenticator is None or end - at != authenticator.size:
            raise BadMessage("no digest that we could check")
        if not compare_digest(authenticator.sign(data[:at] + authenticator.blank + data[end:]), data[at:end]):
            raise BadMessage("wrong digest")

    def decrypt(self, data: bytes, message: Message) -> bytes:
        """The plain octets of a datagram's encrypted scopedPDU, padding included. Raises BadMessage."""
        cipher = self.keys.cipher
        tag, at, end = read_tlv(data, message.data_at, len(data))
        if cipher is None or len(message.salt) != SALT_SIZE or tag != OCTET_STRING or end != len(data):
            raise BadMessage("cannot be decrypted")
        try:
            return cipher.decrypt(data[at:end], message.boots, message.time, message.salt)
        except ValueError:
            raise BadMessage("cannot be decrypted") from None


class Engines:
    """Which addresses speak for which engine ID. Two devices with one engine ID are set up wrongly (a cloned disk, a
    copied configuration): their clocks differ, and managers that keep one clock for each engine ID lose one of them.

    An address is whatever the caller uses for a device, such as host and port.
    """

    def __init__(self) -> None:
        self._by_address: dict[Hashable, bytes] = {}
        self._by_engine: dict[bytes, set[Hashable]] = {}

    def note(self, address: Hashable, engine_id: bytes) -> None:
        """This address has answered for this engine, and no longer for another one."""
        if self._by_address.get(address) != engine_id:
            self.forget(address)
            self._by_address[address] = engine_id
            self._by_engine.setdefault(engine_id, set()).add(address)

    def forget(self, address: Hashable) -> None:
        """This address is not looked at any more."""
        engine_id = self._by_address.pop(address, None)
        if engine_id is not None:
            sharers = self._by_engine[engine_id]
            sharers.discard(address)
            if not sharers:
                del self._by_engine[engine_id]

    def addresses(self, engine_id: bytes) -> frozenset[Hashable]:
        """All addresses that answered for this engine."""
        return frozenset(self._by_engine.get(engine_id, ()))

    def shared(self) -> Mapping[bytes, frozenset[Hashable]]:
        """The engine IDs that more than one address answers for."""
        return {key: frozenset(sharers) for key, sharers in self._by_engine.items() if len(sharers) > 1}

    def others(self, address: Hashable) -> frozenset[Hashable]:
        """The addresses that have the same engine ID as this one."""
        engine_id = self._by_address.get(address)
        return frozenset() if engine_id is None else self.addresses(engine_id) - {address}
