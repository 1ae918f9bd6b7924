"""An SNMP v2c session over one connected UDP socket: one request in flight, retries with growing patience."""

from __future__ import annotations

import asyncio
import secrets
import socket

from egov_exporters.snmp.ber import (
    GET,
    GET_BULK,
    BadMessage,
    Response,
    Varbind,
    decode_response,
    encode_request,
)
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.session import AgentError, BadReply, NoAnswer, Traffic

WAITS = (1.0, 2.0, 4.0)  # seconds after the first, second and third sending of the same request


class _Receiver(asyncio.DatagramProtocol):
    """Queues what arrives. The socket is connected, so the kernel drops datagrams from other addresses."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes | Exception] = asyncio.Queue(maxsize=64)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Keep a datagram; drop it when the device floods us."""
        if not self.inbox.full():
            self.inbox.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error, such as port unreachable."""
        if not self.inbox.full():
            self.inbox.put_nowait(exc)


class V2cSession:
    """See `session.Session`. Make one with `open_v2c`."""

    def __init__(self, transport: asyncio.DatagramTransport, receiver: _Receiver, community: bytes) -> None:
        self._transport = transport
        self._receiver = receiver
        self._community = community
        self._request_id = secrets.randbelow(1 << 30)
        self.traffic = Traffic()

    async def get(self, oids: list[Oid]) -> list[Varbind]:
        """See `Session.get`."""
        return await self._exchange(GET, oids, 0)

    async def get_bulk(self, oids: list[Oid], repetitions: int) -> list[Varbind]:
        """See `Session.get_bulk`."""
        return await self._exchange(GET_BULK, oids, repetitions)

    def close(self) -> None:
        """See `Session.close`."""
        self._transport.close()

    async def _exchange(self, kind: int, oids: list[Oid], repetitions: int) -> list[Varbind]:
        """Send until a reply to this very request comes: a late reply to the first sending still counts."""
        self._request_id = (self._request_id + 1) & 0x7FFFFFFF
        datagram = encode_request(self._community, kind, self._request_id, oids, 0, repetitions)
        problem: NoAnswer | BadReply = NoAnswer("does not answer")
        for attempt, wait in enumerate(WAITS):
            self.traffic.sent += 1
            self.traffic.retried += attempt > 0
            self._transport.sendto(datagram)
            try:
                async with asyncio.timeout(wait):
                    response = await self._matching_reply()
            except TimeoutError:
                continue
            except (NoAnswer, BadReply) as why:
                problem = why
                continue
            if response.error_status:
                raise AgentError(response.error_status, response.error_index)
            return response.varbinds
        raise problem

    async def _matching_reply(self) -> Response:
        """The next reply that carries our request id; others are skipped. Raises NoAnswer or BadReply."""
        while True:
            received = await self._receiver.inbox.get()
            if isinstance(received, Exception):
                await asyncio.sleep(0.1)  # a restarting agent is back in a moment
                raise NoAnswer(f"has no agent on that port ({getattr(received, 'strerror', None) or received})")
            try:
                response = decode_response(received)
            except BadMessage as why:
                raise BadReply(f"sent a malformed reply ({why})") from None
            if response.request_id == self._request_id:
                return response


async def open_v2c(address: tuple[str, int], family: socket.AddressFamily, community: bytes) -> V2cSession:
    """Given a resolved address: a session. Raises NoAnswer when there is no route."""
    loop = asyncio.get_running_loop()
    try:
        transport, receiver = await loop.create_datagram_endpoint(_Receiver, remote_addr=address, family=family)
    except OSError as why:
        raise NoAnswer(f"cannot be reached ({why.strerror or why})") from None
    return V2cSession(transport, receiver, community)
