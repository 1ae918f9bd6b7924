"""An event loop that takes datagrams where the kernel reports them.

A scrape of a 48-port switch is a dozen requests, one after the other, and each reply is answered by the next request.
asyncio gives each datagram a turn of its own: a handle, a context, two passes over what is ready. Here whoever takes
a socket's datagrams is called while the selector has them in hand, and the loop gets its turn only when something asks
for one (`call_soon`, `call_at`) or another file is ready. All else is asyncio's own.
"""

from __future__ import annotations

import asyncio
import logging
import select
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from contextvars import Context
from math import ceil
from typing import Any, TypeVarTuple, Unpack

log = logging.getLogger("egov_snmp_exporter")

Taker = Callable[[int], None]  # called with epoll's events
Ts = TypeVarTuple("Ts")
AT_ONCE = 256  # events of one look at the kernel


class Turns(selectors.BaseSelector):
    """epoll, with takers. `owed`: somebody wants the loop's turn."""

    def __init__(self) -> None:
        self.owed = False
        self._epoll = select.epoll()
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._takers: dict[int, Taker] = {}

    def take(self, fileno: int, taker: Taker) -> None:
        """Call `taker` whenever there is something to read, or an error. It must not wait."""
        self._epoll.register(fileno, select.EPOLLIN)
        self._takers[fileno] = taker

    def leave(self, fileno: int) -> None:
        """Take no longer."""
        if self._takers.pop(fileno, None) is not None:
            self._epoll.unregister(fileno)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """See BaseSelector."""
        fileno = number(fileobj)
        if fileno in self._keys or fileno in self._takers:
            raise KeyError(f"{fileobj!r} is already registered")
        self._epoll.register(fileno, wanted(events))
        key = self._keys[fileno] = selectors.SelectorKey(fileobj, fileno, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """See BaseSelector."""
        key = self._keys.pop(number(fileobj))
        try:
            self._epoll.unregister(key.fd)
        except OSError:
            log.debug("file %d was closed before it was left", key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """See BaseSelector."""
        key = self._keys[number(fileobj)]
        if events != key.events:
            self._epoll.modify(key.fd, wanted(events))
        changed = self._keys[key.fd] = selectors.SelectorKey(key.fileobj, key.fd, events, data)
        return changed

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """See BaseSelector. By number: the loop looks files up by that."""
        return self._keys

    def close(self) -> None:
        """See BaseSelector."""
        self._epoll.close()
        self._keys.clear()
        self._takers.clear()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See BaseSelector. Datagrams are taken meanwhile."""
        end = None if timeout is None or timeout <= 0 else time.monotonic() + timeout
        wait = -1.0 if timeout is None else 0.0 if end is None else ceil(timeout * 1e3) * 1e-3
        poll, takers, keys = self._epoll.poll, self._takers, self._keys
        found: list[tuple[selectors.SelectorKey, int]] = []
        self.owed = False
        while True:
            seen = poll(wait, AT_ONCE)
            for fileno, events in seen:
                if (taker := takers.get(fileno)) is not None:
                    try:
                        taker(events)
                    except Exception:
                        log.exception("a datagram could not be taken")
                elif (key := keys.get(fileno)) is not None and (ready := told(events) & key.events):
                    found.append((key, ready))
            if found or self.owed or not seen or wait == 0:
                return found
            if end is not None:
                left = end - time.monotonic()
                if left <= 0:
                    return found
                wait = ceil(left * 1e3) * 1e-3


class DatagramLoop(asyncio.SelectorEventLoop):
    """asyncio's loop upon `Turns`."""

    def __init__(self) -> None:
        self._turns = Turns()
        super().__init__(self._turns)

    def take(self, source: socket.socket, taker: Taker) -> None:
        """See `Turns.take`."""
        self._turns.take(source.fileno(), taker)

    def leave(self, source: socket.socket) -> None:
        """See `Turns.leave`."""
        self._turns.leave(source.fileno())

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See AbstractEventLoop."""
        self._turns.owed = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See AbstractEventLoop. The loop must reckon anew how long it may wait."""
        self._turns.owed = True
        return super().call_at(when, callback, *args, context=context)


def number(fileobj: Any) -> int:
    """A file's number."""
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())


def wanted(events: int) -> int:
    """epoll's events for a selector's."""
    return (select.EPOLLIN if events & selectors.EVENT_READ else 0) | (
        select.EPOLLOUT if events & selectors.EVENT_WRITE else 0
    )


def told(events: int) -> int:
    """A selector's events for epoll's; an error or an end makes both ready, as in selectors."""
    return (selectors.EVENT_READ if events & ~select.EPOLLOUT else 0) | (
        selectors.EVENT_WRITE if events & ~select.EPOLLIN else 0
    )
