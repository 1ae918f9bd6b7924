"""pysnmp as the engine behind the gate: it decrypts, translates version 1, and answers informs.

What pysnmp 7.1 needs from us, found by reading it:
- It knows a version 3 user only under one engine ID, and in a trap that is the sender's. So the user is added, with
  keys localized for that engine, when the gate has let in a message of it; the gate has checked the digest by then.
- Its own engine's clock stands still: as authority over informs it would refuse each one 150 s after the sender learned
  the time. So the clock is set before each message. Boots count seconds since 2020 at the start: higher after each
  restart, with nothing to store. The engine ID stays the same after a restart, as devices that are told it expect.
- A user at an engine ID takes some 30 kB, and to delete one takes longer the more there are. So after MAX_USERS of them
  a new pysnmp engine takes over; nothing of a conversation is lost by that.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyasn1.type.univ import ObjectIdentifier
from pysnmp.carrier.asyncio.dgram import udp, udp6
from pysnmp.carrier.base import AbstractTransportDispatcher
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.entity.rfc3413.ntfrcv import NotificationReceiver
from pysnmp.proto.api import v2c
from pysnmp.proto.rfc1902 import OctetString

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import Cell, Varbind
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.trap_gate import Message
from egov_exporters.snmp.trap_users import AUTH_PROTOCOLS, PRIV_PROTOCOLS, UserKeys

ENTERPRISE = bytes.fromhex("80004fb805")  # pysnmp's own number; 05: octets that the administrator chose follow
BOOTS_FROM = 1_577_836_800  # 2020-01-01
MAX_USERS = 1_000  # users at engine IDs, of one pysnmp engine
REQUEST = "rfc3412.receiveMessage:request"


@dataclass
class Outcome:
    """What became of a message. `request_id` is 0 where the inform's own is not known."""

    notified: bool = False
    inform: bool = False
    request_id: int = 0
    varbinds: list[Varbind] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)


class _Dispatcher(AbstractTransportDispatcher):  # type: ignore[misc]
    """What pysnmp sends is kept for the caller; what it receives comes through `Engine.process`."""

    def __init__(self, sent: Callable[[bytes], None]) -> None:
        super().__init__()
        self.set_timer_resolution(1)
        self._sent = sent

    def send_message(self, message: bytes, domain: object, address: object) -> None:
        """See AbstractTransportDispatcher."""
        self._sent(bytes(message))


def engine_id(seed: str = "") -> bytes:
    """The receiver's engine ID: the same on this machine after each restart, another for another `seed`."""
    try:
        machine = Path("/etc/machine-id").read_bytes()
    except OSError:
        machine = b""
    return ENTERPRISE + hashlib.sha256(b"egov-snmp-traps\0" + machine + seed.encode()).digest()[:12]


class Engine:
    """Takes the gate's messages one by one. `clock` gives Unix time."""

    def __init__(self, auths: Mapping[str, Auth], own_id: bytes, clock: Callable[[], float] = time.time) -> None:
        self._auths, self._own_id, self._clock = auths, own_id, clock
        self._outcome = Outcome()
        self._started = clock()
        self._ticked = clock()
        self._renew()

    def use(self, auths: Mapping[str, Auth]) -> None:
        """Take these communities and users from now on."""
        self._auths = auths
        self._renew()

    def _renew(self) -> None:
        """A pysnmp engine without users, with all communities."""
        self._engine = SnmpEngine()
        self._users: dict[tuple[bytes, str], str] = {}
        self._set("snmpEngineID", self._own_id)
        self._engine.snmpEngineID = self._symbol("snmpEngineID").syntax
        self._set("snmpEngineBoots", max(int(self._started) - BOOTS_FROM, 1))
        self._engine.register_transport_dispatcher(_Dispatcher(lambda data: self._outcome.answers.append(data)))
        known: set[str] = set()
        for number, auth in enumerate(self._auths.values()):
            if auth.version == 2 and auth.community not in known:
                known.add(auth.community)
                config.add_v1_system(self._engine, f"community{number}", OctetString(auth.community.encode()))
        NotificationReceiver(self._engine, self._notified)

    def _symbol(self, name: str) -> Any:
        (found,) = self._engine.get_mib_builder().import_symbols("__SNMP-FRAMEWORK-MIB", name)
        return found

    def _set(self, name: str, value: object) -> None:
        symbol = self._symbol(name)
        symbol.syntax = symbol.syntax.clone(value)

    def process(self, message: Message, address: tuple[Any, ...], keys: UserKeys) -> Outcome:
        """Given a message from `address`: what it says and what must be answered. Never raises for a message's sake."""
        self._outcome = outcome = Outcome()
        now = self._clock()
        self._set("snmpEngineTime", max(int(now - self._started), 0))
        if message.auth is not None and message.auth.version == 3:
            self._know(message.auth, message.engine, keys)
        six = ":" in str(address[0])
        domain = udp6.SNMP_UDP6_DOMAIN if six else udp.SNMP_UDP_DOMAIN
        sender = (udp6.Udp6TransportAddress if six else udp.UdpTransportAddress)(address)
        try:
            self._engine.message_dispatcher.receive_message(self._engine, domain, sender, message.data)
        except Exception:
            outcome.notified = False  # pysnmp and pyasn1 raise many kinds for a hostile message; the caller counts it
        self._tick(now)
        return outcome

    def _tick(self, now: float) -> None:
        """Let pysnmp expire what it remembers, by its own clock of seconds."""
        if now - self._ticked >= 1 or now < self._ticked:
            self._ticked = now
            self._engine.transport_dispatcher.handle_timer_tick(now)

    def _know(self, auth: Auth, engine: bytes, keys: UserKeys) -> None:
        """Add the user under the engine ID, unless it is there with these keys."""
        if self._users.get((engine, auth.username)) == auth.name:
            return
        if len(self._users) >= MAX_USERS:
            self._renew()
        options: dict[str, Any] = {}
        if auth.security_level != "noAuthNoPriv":
            made = keys.localized(auth, engine)
            options |= {"authProtocol": AUTH_PROTOCOLS[auth.auth_protocol], "authKey": OctetString(made.digest)}
            if auth.security_level == "authPriv":
                options |= {"privProtocol": PRIV_PROTOCOLS[auth.priv_protocol], "privKey": OctetString(made.cipher)}
        localized = config.USM_KEY_TYPE_LOCALIZED
        config.add_v3_user(
            self._engine,
            auth.username,
            securityEngineId=OctetString(engine),
            authKeyType=localized,
            privKeyType=localized,
            **options,
        )
        self._users[engine, auth.username] = auth.name

    def _notified(
        self, engine: object, reference: object, context: object, name: object, pairs: Any, more: object
    ) -> None:
        """pysnmp calls this for a notification; an inform has been answered by then."""
        pdu = self._engine.observer.get_execution_context(REQUEST)["pdu"]
        outcome = self._outcome
        outcome.inform = pdu.tagSet == v2c.InformRequestPDU.tagSet
        if outcome.inform:
            outcome.request_id = int(v2c.apiPDU.get_request_id(pdu))
        outcome.varbinds = [to_varbind(oid, value) for oid, value in pairs]
        outcome.notified = True


def to_varbind(name: Sequence[int], value: Any) -> Varbind:
    """A pysnmp pair as a Varbind with raw octets."""
    tags = value.tagSet.superTags
    tag = tags[-1].tagClass | tags[-1].tagId
    oid = tuple(int(part) for part in name)
    if isinstance(value, ObjectIdentifier):
        return Varbind(oid, Cell(tag, ber.oid_octets(tuple(value))))
    if hasattr(value, "asOctets"):
        return Varbind(oid, Cell(tag, value.asOctets()))
    try:
        return Varbind(oid, Cell(tag, ber.integer_octets(int(value))))
    except (TypeError, ValueError):
        return Varbind(oid, Cell(tag, b""))
