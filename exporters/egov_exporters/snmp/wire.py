"""The wire: two UDP sockets that all scrapes share, requests under way by their id, and sending again.

A reply counts only when it carries the id of a request that waits, comes from the address that was asked, and passes
the security of that device. Everything else is counted and dropped.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
import struct
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from select import EPOLLERR, EPOLLIN

from egov_exporters.snmp.ber import FIRST_ID, LAST_ID, BadMessage, Pdu
from egov_exporters.snmp.security import Again, Security
from egov_exporters.snmp.session import BadReply, NoAnswer, SessionError, Traffic
from egov_exporters.snmp.targets import SocketAddress
from egov_exporters.snmp.turns import DatagramLoop

WAITS = (1.0, 2.0, 4.0)  # seconds after the first, second and third sending of the same request
AFTER_REFUSAL = 0.1  # a restarting agent is back in a moment
TICK = 0.05  # seconds between looks at what is overdue
RECEIVE_BUFFER = 8 << 20  # octets; a thousand devices may answer within the same millisecond
MAX_DATAGRAM = 65_535
MAX_AGAIN = 2  # times that one request is sealed anew: an engine that was learned, a clock that was set
PACKETS_A_SECOND = 2_000  # to one device, after a burst of BURST_SECONDS' worth
BURST_SECONDS = 0.05
REST_SECONDS = 0.01  # what is held back waits for many packets' turn: a timer for each costs more than the packet
IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE = 11, 25, 0x2000
NOTHING = b""

Address = tuple[str, int]


@dataclass(eq=False)
class Peer:
    """A device's address and how to speak to it. `in_flight`: how many requests may wait at a time."""

    family: socket.AddressFamily
    address: SocketAddress
    security: Security
    in_flight: int = 1
    waits: tuple[float, ...] = WAITS
    next_send: float = 0.0  # monotonic; pacing

    @property
    def key(self) -> Address:
        """What the sender of a reply is compared with: the address without a zone, and the port."""
        return unzoned(self.address)


@dataclass(eq=False, slots=True)
class Volley:
    """Requests to one device. `replies` holds the reply PDUs in the order of the requests, empty where none came."""

    peer: Peer
    key: Address
    requests: Sequence[Pdu]
    first_id: int
    done: asyncio.Future[None]
    replies: list[bytes]
    traffic: Traffic = field(default_factory=Traffic)
    begun: int = 0
    answered: int = 0
    waiting: dict[int, tuple[float, int]] = field(default_factory=dict)  # index → sent at, times sent before
    again: int = 0
    paused: bool = False
    refused: bool = False  # ICMP says so: ask again soon
    problem: SessionError | None = None  # the best word on why nothing usable came


class Wire:
    """Ask with `start`; `dropped` counts datagrams that were not taken, by reason."""

    def __init__(self, packets_a_second: float = PACKETS_A_SECOND) -> None:
        self.dropped: Counter[str] = Counter()
        self.receive_buffer = 0
        self._pause = 1.0 / packets_a_second
        self._sockets: dict[socket.AddressFamily, socket.socket] = {}
        self._pending: dict[int, Volley] = {}
        self._active: set[Volley] = set()
        self._buffer = memoryview(bytearray(MAX_DATAGRAM))
        self._ticking: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Give up the sockets; what still waits is told so."""
        loop = asyncio.get_running_loop()
        for one in self._sockets.values():
            if isinstance(loop, DatagramLoop):
                loop.leave(one)
            else:
                loop.remove_reader(one)
            one.close()
        self._sockets.clear()
        for volley in list(self._active):
            self._finish(volley, NoAnswer("was not waited for: the exporter stops"))

    def start(self, peer: Peer, requests: Sequence[Pdu]) -> Volley:
        """Ask all `requests`, at most `peer.in_flight` at a time.

        `done` of the volley tells the end: all replies are there, or SessionError when one stays without a reply.
        Whoever waits for it calls `forget` afterwards, whatever came.
        """
        count = len(requests)
        volley = Volley(
            peer, peer.key, requests, self._free_ids(count), asyncio.get_running_loop().create_future(),
            [NOTHING] * count,
        )  # fmt: skip
        self._active.add(volley)
        try:
            self._socket(peer.family)
            self._fill(volley)
        except OSError as why:
            self._finish(volley, NoAnswer(f"cannot be reached ({why.strerror or why})"))
        if self._ticking is None:
            self._ticking = asyncio.get_running_loop().call_later(TICK, self._tick)
        return volley

    def _free_ids(self, count: int) -> int:
        """The first of `count` ids in a row that nobody waits for. Nobody who cannot listen can guess them."""
        while True:
            first = FIRST_ID + secrets.randbelow(LAST_ID - FIRST_ID - count)
            if self._pending.keys().isdisjoint(range(first, first + count)):
                return first

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        found = self._sockets.get(family)
        if found is None:
            found = socket.socket(family, socket.SOCK_DGRAM)
            found.setblocking(False)
            with suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self.receive_buffer = found.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            level, name = (
                (socket.IPPROTO_IPV6, IPV6_RECVERR) if family == socket.AF_INET6 else (socket.IPPROTO_IP, IP_RECVERR)
            )
            with suppress(OSError):
                found.setsockopt(level, name, 1)
            loop = asyncio.get_running_loop()
            if isinstance(loop, DatagramLoop):
                loop.take(found, partial(self._arrived, found))
            else:  # tools and tests: asyncio does not say which events there are
                loop.add_reader(found, self._arrived, found, EPOLLIN | EPOLLERR)
            self._sockets[family] = found
        return found

    def _fill(self, volley: Volley) -> None:
        """Send what may be sent now."""
        if volley.paused:
            return
        peer, total = volley.peer, len(volley.requests)
        while volley.begun < total and len(volley.waiting) < peer.in_flight:
            now = time.monotonic()
            if peer.next_send > now:
                volley.paused = True
                asyncio.get_running_loop().call_later(peer.next_send - now + REST_SECONDS, self._resume, volley)
                return
            earliest = now - BURST_SECONDS
            peer.next_send = (peer.next_send if peer.next_send > earliest else earliest) + self._pause
            index = volley.begun
            volley.begun = index + 1
            self._pending[volley.first_id + index] = volley
            self._send(volley, index, now, 0)

    def _resume(self, volley: Volley) -> None:
        volley.paused = False
        if volley in self._active:
            self._fill(volley)

    def _send(self, volley: Volley, index: int, now: float, before: int) -> None:
        """One datagram. A full socket or a route that is gone is as good as a datagram that was lost."""
        volley.waiting[index] = (now, before)
        volley.traffic.sent += 1
        number, pdu, peer = volley.first_id + index, volley.requests[index], volley.peer
        datagram = peer.security.seal(number, pdu.before + number.to_bytes(4, "big") + pdu.after)
        try:
            self._sockets[peer.family].sendto(datagram, peer.address)
        except BlockingIOError:
            self.dropped["send_buffer_full"] += 1
        except OSError as why:
            volley.problem = NoAnswer(f"cannot be reached ({why.strerror or why})")

    def _arrived(self, source: socket.socket, events: int) -> None:
        """Take what may have arrived: a bounded number, so that a flood cannot keep everything else from its turn.

        Not until nothing is left: with one request under way that would be a second, vain call to the kernel for each
        reply. What is left is reported again.
        """
        buffer = self._buffer
        for _ in range(min(len(self._pending), 256) or 1):
            try:
                size, sender = source.recvfrom_into(buffer)
            except BlockingIOError:
                break
            except OSError:  # what ICMP said, told here as well
                continue
            self._take(bytes(buffer[:size]), sender)
        if events & EPOLLERR:
            self._errors(source)

    def _take(self, data: bytes, sender: tuple[str, int]) -> None:
        number = message_id(data)
        volley = self._pending.get(number)
        if volley is None:
            key = unzoned(sender)
            self.dropped["malformed" if number < 0 else "late_or_unknown"] += 1
            if number < 0:
                self._blame(key, BadReply("sent a malformed reply"))
            return
        if sender != volley.key and unzoned(sender) != volley.key:
            self.dropped["wrong_sender"] += 1
            return
        index = number - volley.first_id
        try:
            reply = volley.peer.security.open(data)
        except BadMessage as why:
            self.dropped["malformed"] += 1
            volley.problem = BadReply(f"sent a malformed reply ({why})")
            return
        except Again:
            self._seal_again(volley, index)
            return
        except SessionError as why:
            self._finish(volley, why)
            return
        del self._pending[number]
        volley.waiting.pop(index, None)
        volley.replies[index] = reply
        volley.answered += 1
        if volley.answered == len(volley.requests):
            self._finish(volley, None)
        else:
            self._fill(volley)

    def _seal_again(self, volley: Volley, index: int) -> None:
        """Only for a request that waits, and seldom: a device that asks for ever gets nothing more."""
        sent = volley.waiting.get(index)
        if sent is None or volley.again >= MAX_AGAIN * len(volley.requests):
            self.dropped["again_too_often"] += 1
            return
        volley.again += 1
        self._send(volley, index, time.monotonic(), sent[1])

    def _errors(self, source: socket.socket) -> None:
        """ICMP's word about ports and hosts that cannot be reached: the kernel keeps it with the address asked."""
        for _ in range(64):
            try:
                _, control, _, asked = source.recvmsg(0, 256, MSG_ERRQUEUE)
            except OSError:
                return
            number = struct.unpack_from("=I", control[0][2])[0] if control else errno.ECONNREFUSED
            key = unzoned(asked)
            for volley in self._blame(key, NoAnswer(f"has no agent on that port ({os.strerror(number)})")):
                volley.refused = True

    def _blame(self, key: Address, why: SessionError) -> list[Volley]:
        """Those who wait for this address, and now know why nothing comes."""
        found = [volley for volley in self._active if volley.key == key]
        for volley in found:
            volley.problem = why
        return found

    def _tick(self) -> None:
        """Send again what is overdue; end what was sent often enough."""
        now = time.monotonic()
        for volley in list(self._active):
            waits = volley.peer.waits
            for index, (sent, before) in list(volley.waiting.items()):
                wait = AFTER_REFUSAL if volley.refused else waits[min(before, len(waits) - 1)]
                if now - sent < wait:
                    continue
                if before + 1 >= len(waits):
                    self._finish(volley, volley.problem or NoAnswer("does not answer"))
                    break
                volley.refused = False
                volley.traffic.retried += 1
                self._send(volley, index, now, before + 1)
        self._ticking = asyncio.get_running_loop().call_later(TICK, self._tick) if self._active else None

    def _finish(self, volley: Volley, failure: SessionError | None) -> None:
        self.forget(volley)
        if volley.done.done():
            return
        if failure is None:
            volley.done.set_result(None)
        else:
            volley.done.set_exception(failure)

    def forget(self, volley: Volley) -> None:
        """Wait no longer for what has not come."""
        if volley in self._active:
            self._active.discard(volley)
            for index in volley.waiting:
                self._pending.pop(volley.first_id + index, None)


def unzoned(address: SocketAddress) -> Address:
    """Host and port; a link-local address without the name of its interface."""
    return address[0].partition("%")[0], address[1]


def message_id(data: bytes) -> int:
    """The number in the plain part of a message that says which request it answers, or -1.

    The request id of v1's and v2c's PDU (RFC 3416 3), the msgID of v3's header (RFC 3412 6); nothing else is checked.
    """
    try:
        at = 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)
        version = data[at + 2]
        at += 3
        if version == 3:
            at += 2 if data[at + 1] < 0x80 else 2 + (data[at + 1] & 0x7F)
        else:
            size = data[at + 1]
            at += 2 + size if size < 0x80 else 2 + (size & 0x7F) + int.from_bytes(data[at + 2 : at + 2 + (size & 0x7F)])
            at += 2 if data[at + 1] < 0x80 else 2 + (data[at + 1] & 0x7F)
        size = data[at + 1]
        return int.from_bytes(data[at + 2 : at + 2 + size]) if data[at] == 2 and 0 < size <= 4 else -1
    except IndexError:
        return -1
