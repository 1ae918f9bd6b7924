"""Devices that are scraped: what was learned of each, one scrape at a time, and scrapes that are shared.

A device is an address under one name of credentials. Two scrapes that ask it the same at the same time are one;
different ones wait for each other. A device that has been silent is asked with a single datagram until it answers.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from egov_exporters.snmp.ber import OBJECT_IDENTIFIER, BadMessage, Cell, decode_oid
from egov_exporters.snmp.community import Community
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.detect import Identity, identify
from egov_exporters.snmp.engine import Engines
from egov_exporters.snmp.fast import Plan
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.planning import REPLY_OCTETS
from egov_exporters.snmp.plausible import Watch
from egov_exporters.snmp.profiles import Profile
from egov_exporters.snmp.security import Security
from egov_exporters.snmp.targets import Target, resolve
from egov_exporters.snmp.usm import Usm
from egov_exporters.snmp.wire import WAITS, Peer

SYS_DESCR, SYS_OBJECT_ID = (1, 3, 6, 1, 2, 1, 1, 1, 0), (1, 3, 6, 1, 2, 1, 1, 2, 0)
MAX_DEVICES = 20_000
RESOLVE_SECONDS = 60.0  # how long the address of a name is kept
PLAN_SECONDS = 600.0  # a plan is made anew after this: columns and rows of odd tables that only a full reading finds
# Of a reply PDU in a v3 message: its header, the security parameters, the scope and a block of padding travel as well.
OCTETS_V3 = REPLY_OCTETS - 110
MIN_OCTETS = 300  # of a reply; a device that cannot do that much is always read by the general path
SILENT_SCRAPES = 3  # after as many scrapes without any answer, one datagram a scrape is enough
PATIENCE_WHEN_SILENT = (1.0,)
UNSTEADY_PLANS = 5  # plans in a row that did not hold once: the general path alone, until PLAN_SECONDS are over


@dataclass
class Learned:
    """What is known of one module on one device."""

    plan: Plan | None = None
    unsteady: int = 0
    rest_until: float = 0.0
    octets: int = REPLY_OCTETS
    whole_at: float = 0.0  # monotonic; when all of it was read last
    table_at: dict[str, float] = field(default_factory=dict)  # table → when all of that was, if not with the whole
    watch: Watch | None = None
    absent_until: float = 0.0  # monotonic; the device had nothing of it when it was asked because of its family

    def usable(self, now: float) -> Plan | None:
        """The plan, unless it has grown old."""
        return self.plan if self.plan is not None and now < self.plan.until else None

    def keep(self, plan: Plan | None, now: float) -> None:
        """A plan for the next scrapes; its age is spread, so that a fleet is not read anew in one minute."""
        if plan is not None:
            plan.until = now + PLAN_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
        self.plan = plan

    def may_plan(self, now: float) -> bool:
        """Whether making a plan is worth it."""
        return now >= self.rest_until

    def age(self, table: str, now: float) -> float | None:
        """Seconds since all of this table was read; None: it never was."""
        last = max(self.whole_at, self.table_at.get(table, 0.0))
        return now - last if last else None

    def stale(self, reason: str, now: float) -> None:
        """The plan was wrong; smaller requests where replies were cut short, and a rest where none ever holds."""
        self.plan = None
        if reason == "short_reply" and self.unsteady:  # the first time its values may only have grown
            self.octets = max(self.octets * 3 // 4, MIN_OCTETS)
        self.unsteady += 1
        if self.unsteady >= UNSTEADY_PLANS:
            self.unsteady, self.rest_until = 0, now + PLAN_SECONDS


@dataclass(eq=False)
class Device:
    """One target under one name of credentials."""

    target: Target
    auth: Auth
    security: Security
    busy: asyncio.Lock
    learned: dict[str, Learned] = field(default_factory=dict)
    running: dict[tuple[str, ...], asyncio.Future[Any]] = field(default_factory=dict)
    silent: int = 0
    in_flight: int = 1
    counts: Counter[str] = field(default_factory=Counter)  # datagrams sent, retried; scrapes, plans held, plans stale
    seconds: float = 0.0  # of the last scrape
    identity: Identity | None = None
    identify_again: float = 0.0  # monotonic
    _peer: Peer | None = None
    _resolved: float = 0.0

    @property
    def address(self) -> str:
        """Where it was when it was asked last, without a zone; empty if it never was."""
        return self._peer.key[0] if self._peer else ""

    async def peer(self) -> Peer:
        """Where it is now. Raises NoAnswer when its name is unknown."""
        now = time.monotonic()
        if self._peer is None or (not self.target.literal and now - self._resolved > RESOLVE_SECONDS):
            family, address = await resolve(self.target)
            if self._peer is None or self._peer.address != address:
                self._peer = Peer(family, address, self.security)
            self._resolved = now
        self._peer.waits = PATIENCE_WHEN_SILENT if self.silent >= SILENT_SCRAPES else WAITS
        self._peer.in_flight = max(self.in_flight, self.identity.in_flight if self.identity else 1)
        return self._peer

    def count(self, **more: int) -> None:
        """Add to `counts`."""
        for name, number in more.items():
            self.counts[name] += number

    def named(self, cells: Mapping[Oid, Cell], now: float) -> None:
        """What it says of itself: sysObjectID and sysDescr."""
        words, number = cells.get(SYS_DESCR), cells.get(SYS_OBJECT_ID)
        try:
            oid = decode_oid(number.raw) if number and number.tag == OBJECT_IDENTIFIER else ()
        except BadMessage:
            oid = ()
        self.identity = identify(oid, words.raw.decode(errors="replace") if words else "")
        self.identify_again = now + PLAN_SECONDS

    def of(self, profile: Profile) -> Learned:
        """What is known of this module here."""
        found = self.learned.get(profile.name)
        if found is None:
            octets = OCTETS_V3 if self.auth.version == 3 else REPLY_OCTETS
            found = self.learned[profile.name] = Learned(octets=octets)
        return found


class Devices:
    """All devices, the longest unused forgotten first."""

    def __init__(self, in_flight: int = 1) -> None:
        self.engines = Engines()
        self._known: OrderedDict[tuple[Target, Auth], Device] = OrderedDict()
        self._locks: WeakValueDictionary[Target, asyncio.Lock] = WeakValueDictionary()
        self._in_flight = in_flight

    def get(self, target: Target, auth: Auth) -> Device:
        """The device, a new one if it was never asked. `auth` counts whole: changed credentials are another device."""
        key = (target, auth)
        device = self._known.get(key)
        if device is None:
            busy = self._locks.get(target)
            if busy is None:
                busy = self._locks[target] = asyncio.Lock()
            device = self._known[key] = Device(
                target, auth, self._security(target, auth), busy, in_flight=self._in_flight
            )
            if len(self._known) > MAX_DEVICES:
                (oldest, _), _ = self._known.popitem(last=False)
                self.engines.forget(oldest)
        else:
            self._known.move_to_end(key)
        return device

    def at(self, address: str) -> Device | None:
        """The device that is scraped at this address, the one asked last if there are several."""
        wanted = address.partition("%")[0]
        for device in reversed(self._known.values()):
            if device.address == wanted:
                return device
        return None

    def retain(self, auths: Sequence[Auth]) -> None:
        """Forget devices whose credentials are gone."""
        kept = set(auths)
        for key in [key for key in self._known if key[1] not in kept]:
            del self._known[key]
            self.engines.forget(key[0])

    def __iter__(self) -> Iterator[Device]:
        return iter(list(self._known.values()))

    def _security(self, target: Target, auth: Auth) -> Security:
        return Usm(target, auth, self.engines) if auth.version == 3 else Community(auth.community.encode())

    def __len__(self) -> int:
        return len(self._known)
