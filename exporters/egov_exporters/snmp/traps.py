"""The receiver of SNMP traps and informs: version 1, 2c and 3 over UDP, on IPv4 and IPv6.

A datagram goes gate (trap_gate) → queue → pysnmp (trap_engine) → event (events) → counter, line, poll. Behind the gate
at most `turn_seconds` are spent at a stretch and at most `share` of a processor: a flood costs traps, not scrapes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.events import Event, Origin, translate
from egov_exporters.snmp.notifications import load_catalogue
from egov_exporters.snmp.trap_engine import Engine, engine_id
from egov_exporters.snmp.trap_gate import Gate, Limits, Message, Refused, source_of
from egov_exporters.snmp.trap_metrics import TrapMetrics
from egov_exporters.snmp.trap_storms import Duplicates, Flapping, Polls

log = logging.getLogger("egov_snmp_exporter")

RECEIVE_BUFFER = 1 << 20
DEFAULT_PORT = 162
FIRST_PASSED_SOCKET = 3  # systemd's LISTEN_FDS

Address = tuple[Any, ...]
Listen = tuple[str, int] | socket.socket
OnEvent = Callable[[Event], Awaitable[object] | object]
DEFAULT_LIMITS = Limits()


def print_line(line: str) -> None:
    """Write an event to standard output, where the journal takes it. A reader that is gone costs the line."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except (OSError, ValueError) as why:
        log.warning("an event could not be written: %s", type(why).__name__)


class _Protocol(asyncio.DatagramProtocol):
    """One socket: hands datagrams to the receiver and sends its answers."""

    def __init__(self, receiver: TrapReceiver) -> None:
        self._receiver = receiver
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See DatagramProtocol."""
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """See DatagramProtocol."""
        self._receiver.take(data, addr, self)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error for an answer: the sender is gone."""

    def answer(self, data: bytes, address: Address) -> None:
        """Send, if the socket is still there."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(data, address)


class TrapReceiver:
    """Receives until `close`. Make one with `serve_traps`."""

    def __init__(
        self,
        auths: Mapping[str, Auth],
        metrics: TrapMetrics,
        on_event: OnEvent | None,
        limits: Limits,
        emit: Callable[[str], None],
        own_id: bytes,
    ) -> None:
        self.metrics, self._on_event, self._limits, self._emit = metrics, on_event, limits, emit
        self._own_id = own_id
        self._loop = asyncio.get_running_loop()
        self._catalogue = load_catalogue()
        self._gate = Gate(auths, limits, own_id, self._loop.time())
        self._engine = Engine(auths, own_id)
        self._secrets = _secrets(auths)
        self._queue: deque[tuple[Message, Address, _Protocol]] = deque()
        self._duplicates, self._flapping, self._polls = Duplicates(limits), Flapping(limits), Polls(limits)
        self._protocols: list[_Protocol] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn: asyncio.TimerHandle | asyncio.Handle | None = None
        self._second = self._loop.call_later(1, self._each_second)
        self._closed = False

    async def open(self, listen: Sequence[Listen]) -> None:
        """Bind the sockets. Raises OSError when an address cannot be had."""
        for place in listen:
            bound = place if isinstance(place, socket.socket) else await _bind(*place)
            _, protocol = await self._loop.create_datagram_endpoint(lambda: _Protocol(self), sock=bound)
            self._protocols.append(protocol)
        places = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.addresses)
        log.warning("listens for traps on %s, engine ID 0x%s", places, self._own_id.hex())

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens."""
        names = [one.transport.get_extra_info("sockname") for one in self._protocols if one.transport]
        return [(str(name[0]), int(name[1])) for name in names]

    def use(self, auths: Mapping[str, Auth]) -> None:
        """Take these communities and users from now on (a reload)."""
        self._gate.use(auths)
        self._engine.use(auths)
        self._secrets = _secrets(auths)

    def close(self) -> None:
        """Give up the sockets; what waits is dropped, summaries that are due are shown."""
        if self._closed:
            return
        self._closed = True
        self._second.cancel()
        if self._turn is not None:
            self._turn.cancel()
        for protocol in self._protocols:
            if protocol.transport is not None:
                protocol.transport.close()
        for task in self._tasks:
            task.cancel()
        for event in self._flapping.rest():
            self._emit(event.line())

    def take(self, data: bytes, address: Address, protocol: _Protocol) -> None:
        """One datagram from a socket: through the gate into the queue, or counted."""
        try:
            message = self._gate.admit(data, source_of(address), self._loop.time())
            if len(self._queue) >= self._limits.queue:
                raise Refused("queue_full")
        except Refused as why:
            self.metrics.dropped.labels(str(why)).inc()
            return
        self._queue.append((message, address, protocol))
        if self._turn is None:
            self._turn = self._loop.call_soon(self._work)

    def _work(self) -> None:
        """Process what waits for at most a turn, then let everything else have its share."""
        self._turn = None
        began = perf_counter()
        spent = 0.0
        while self._queue and spent < self._limits.turn_seconds:
            self._process(*self._queue.popleft())
            spent = perf_counter() - began
        self.metrics.busy.inc(spent)
        if self._queue and not self._closed:
            self._turn = self._loop.call_later(spent * (1 / self._limits.share - 1), self._work)

    def _process(self, message: Message, address: Address, protocol: _Protocol) -> None:
        outcome = self._engine.process(message, address, self._gate.keys)
        for data in outcome.answers:
            protocol.answer(data, address)
        if not outcome.notified or message.auth is None:
            if outcome.answers:
                self.metrics.reports.inc()
            else:
                self.metrics.dropped.labels("undecodable").inc()
            return
        kind = "inform" if outcome.inform else "trap"
        origin = Origin(time.time(), source_of(address), message.version, kind, message.auth.name)
        event = translate(origin, outcome.varbinds, self._catalogue, self._secrets)
        now = self._loop.time()
        if outcome.inform and self._duplicates.again(event, message.request_id or outcome.request_id, now):
            self.metrics.duplicates.inc()
            return
        self.metrics.received.labels(event.notification, event.origin.version).inc()
        shown = self._flapping.show(event, now)
        if event not in shown:
            self.metrics.flaps.inc()
        for one in shown:
            self._emit(one.line())
        if event.known.poll and self._on_event is not None:
            if self._polls.ask(event, now):
                self._poll(event)
            else:
                self.metrics.polls.labels("joined").inc()

    def _poll(self, event: Event) -> None:
        """Tell whoever reads devices. That runs beside everything else; its failure is counted and said, no more."""
        if len(self._tasks) >= self._limits.polls:
            self.metrics.polls.labels("busy").inc()
            return
        self.metrics.polls.labels("asked").inc()
        task = self._loop.create_task(self._told(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _told(self, event: Event) -> None:
        if self._on_event is None:
            return
        try:
            result = self._on_event(event)
            if isinstance(result, Awaitable):
                await result
        except Exception as why:
            self.metrics.polls.labels("failed").inc()
            log.warning("poll of %s for %s failed: %s", event.origin.source, event.notification, type(why).__name__)

    def _each_second(self) -> None:
        """Summaries and polls that are due, and the gauges."""
        self._second = self._loop.call_later(1, self._each_second)
        now = self._loop.time()
        for event in self._flapping.due(now):
            self._emit(event.line())
        for event in self._polls.due(now):
            self._poll(event)
        self.metrics.queue.set(len(self._queue))
        self.metrics.sources.set(self._gate.sources)


def _secrets(auths: Mapping[str, Auth]) -> frozenset[bytes]:
    """Every configured value that no event may show."""
    found = {value for auth in auths.values() for value in (auth.password, auth.priv_password)}
    found |= {auth.community for auth in auths.values() if auth.version == 2}
    return frozenset(value.encode() for value in found if value)


async def _bind(host: str, port: int) -> socket.socket:
    """A bound UDP socket. An IPv6 one takes IPv6 only, so that both families can have the port. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    family, kind, number, _, address = found[0]
    bound = socket.socket(family, kind, number)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        bound.setblocking(False)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def passed_sockets(environ: Mapping[str, str] | None = None) -> list[socket.socket]:
    """The UDP sockets that systemd passed to this process, if any (LISTEN_PID, LISTEN_FDS)."""
    env = os.environ if environ is None else environ
    if env.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = env.get("LISTEN_FDS", "0")
    found = []
    for number in range(int(count) if count.isdigit() else 0):
        one = socket.socket(fileno=FIRST_PASSED_SOCKET + number)
        if one.type == socket.SOCK_DGRAM:
            one.setblocking(False)
            found.append(one)
        else:
            one.detach()  # somebody else's; it must stay open
    return found


async def serve_traps(
    auths: Mapping[str, Auth],
    listen: Sequence[Listen],
    metrics: TrapMetrics,
    on_event: OnEvent | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    emit: Callable[[str], None] = print_line,
    own_id: bytes | None = None,
) -> TrapReceiver:
    """Receive notifications in the running loop until the result's `close`.

    `listen`: (host, port) or bound sockets. `on_event` is called, and awaited if it gives an awaitable, when a device
    should be polled at once: for linkDown, linkUp, coldStart and warmStart, at most once in `limits.poll_seconds` for
    one source. `emit` gets each event's line. `own_id`: the engine ID that senders of version 3 informs see; made from
    the machine's ID if not given. Raises OSError when an address cannot be had.
    """
    receiver = TrapReceiver(auths, metrics, on_event, limits, emit, own_id or engine_id())
    try:
        await receiver.open(listen)
    except OSError:
        receiver.close()
        raise
    return receiver
