"""What keeps many notifications from becoming many lines and many polls. Pure: the time is always an argument."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from egov_exporters.snmp.events import Event, summary
from egov_exporters.snmp.trap_gate import Limits, Lru

LINKS = frozenset(("linkDown", "linkUp"))


class Duplicates:
    """Informs that were seen: a sender repeats one until the answer reaches it."""

    def __init__(self, limits: Limits) -> None:
        self._seconds = limits.duplicate_seconds
        self._seen: Lru[bytes, float] = Lru(limits.sources)

    def again(self, event: Event, request_id: int, now: float) -> bool:
        """Whether this inform came before: the same sender, request and content."""
        content = repr((event.origin.source, event.origin.auth, request_id, event.oid, event.uptime, event.varbinds))
        key = hashlib.blake2b(content.encode(), digest_size=16).digest()
        before = self._seen.get(key)
        self._seen.put(key, now)
        return before is not None and now - before < self._seconds


@dataclass
class _Interface:
    """Changes of one interface in the window that began at `since`."""

    since: float
    shown: int = 0
    hidden: int = 0
    last: Event | None = None


class Flapping:
    """Shows an interface's first linkDown and linkUp in a window, then counts, then shows one summary of the rest."""

    def __init__(self, limits: Limits) -> None:
        self._changes, self._seconds = limits.flap_changes, limits.flap_seconds
        self._interfaces: Lru[tuple[str, object], _Interface] = Lru(limits.sources)

    def show(self, event: Event, now: float) -> list[Event]:
        """What is to be shown because of this event: itself, nothing, or a summary that had to come early."""
        if event.notification not in LINKS:
            return [event]
        key = (event.origin.source, event.facts.get("ifIndex"))
        early: list[Event] = []
        interface = self._interfaces.get(key)
        if interface is None or now - interface.since >= self._seconds:
            early += self._end(interface)
            interface = _Interface(now)
            gone = self._interfaces.put(key, interface)
            early += self._end(gone[1]) if gone else []
        if interface.shown < self._changes:
            interface.shown += 1
            return [*early, event]
        interface.hidden += 1
        interface.last = event
        return early

    def due(self, now: float) -> Iterator[Event]:
        """The summaries of windows that are over; call it about once a second."""
        for key, interface in self._interfaces.items():
            if now - interface.since >= self._seconds:
                self._interfaces.pop(key)
                yield from self._end(interface)

    def rest(self) -> Iterator[Event]:
        """The summaries of all windows, at the end."""
        for key, interface in self._interfaces.items():
            self._interfaces.pop(key)
            yield from self._end(interface)

    @staticmethod
    def _end(interface: _Interface | None) -> list[Event]:
        if interface is None or interface.last is None:
            return []
        return [summary(interface.last, interface.hidden)]


@dataclass
class _Target:
    """When a target was last polled for a notification, and what came since."""

    at: float
    waiting: Event | None = None


class Polls:
    """At most one poll of a target in `poll_seconds`; what comes in between leads to one poll at the end of them."""

    def __init__(self, limits: Limits) -> None:
        self._seconds = limits.poll_seconds
        self._targets: Lru[str, _Target] = Lru(limits.sources)

    def ask(self, event: Event, now: float) -> bool:
        """Whether to poll now; else it is remembered, and `due` gives it in time."""
        source = event.origin.source
        target = self._targets.get(source)
        if target is not None and now - target.at < self._seconds:
            target.waiting = event
            return False
        self._targets.put(source, _Target(now))
        return True

    def due(self, now: float) -> Iterator[Event]:
        """The events whose polls waited long enough; call it about once a second."""
        for source, target in self._targets.items():
            if now - target.at < self._seconds:
                continue
            if target.waiting is None:
                self._targets.pop(source)
            else:
                self._targets.put(source, _Target(now))
                yield target.waiting
