"""An SNMP agent in memory, asked in PDUs, and a wire that ends at it."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import Cell, Pdu
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.devices import Device, Devices
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.session import SessionError
from egov_exporters.snmp.targets import parse_target
from egov_exporters.snmp.wire import NOTHING, Peer, Volley

Table = dict[Oid, Cell]


class Agent:
    """Answers from a table that a test may change; a reply PDU has at most `octets`, and `limit` bindings."""

    def __init__(self, table: Table, octets: int = 1_400, limit: int = 100) -> None:
        self.table, self.octets, self.limit = table, octets, limit
        self.requests = 0

    @property
    def table(self) -> Table:
        """What it answers from; assign another one to change it."""
        return self._table

    @table.setter
    def table(self, table: Table) -> None:
        self._table, self._names = table, sorted(table)

    def answer(self, pdu: bytes) -> bytes:
        """The reply PDU to a request PDU."""
        self.requests += 1
        kind, at, end = ber.read_tlv(pdu, 0, len(pdu))
        numbers = []
        for _ in range(3):
            _, start, at = ber.read_tlv(pdu, at, end)
            numbers.append(int.from_bytes(pdu[start:at], "big"))
        _, at, end = ber.read_tlv(pdu, at, end)
        asked = []
        while at < end:
            _, inner, at = ber.read_tlv(pdu, at, end)
            _, start, stop = ber.read_tlv(pdu, inner, at)
            asked.append(ber.decode_oid(pdu[start:stop]))
        identity, first, repetitions = numbers
        if kind == ber.GET:
            found = [(oid, self.table.get(oid, Cell(ber.NO_SUCH_OBJECT, b""))) for oid in asked]
        else:
            found = [self._next(oid) for oid in asked[:first]]
            cursors = asked[first:]
            for _ in range(repetitions):
                row = [self._next(oid) for oid in cursors]
                found += row
                cursors = [oid for oid, _ in row]
        body, count = b"", 0
        for oid, cell in found:
            one = ber.encode_tlv(
                ber.SEQUENCE, ber.encode_tlv(6, ber.oid_octets(oid)) + ber.encode_tlv(cell.tag, cell.raw)
            )
            if kind != ber.GET and (len(body) + len(one) + 30 > self.octets or count >= self.limit):
                break
            body, count = body + one, count + 1
        head = b"\x02\x04" + identity.to_bytes(4, "big") + b"\x02\x01\x00\x02\x01\x00"
        return ber.encode_tlv(ber.RESPONSE, head + ber.encode_tlv(ber.SEQUENCE, body))

    def _next(self, oid: Oid) -> tuple[Oid, Cell]:
        names = self._names
        place = bisect_right(names, oid)
        return (names[place], self.table[names[place]]) if place < len(names) else (oid, Cell(ber.END_OF_MIB_VIEW, b""))


class AgentWire:
    """See `wire.Wire`. `before(number of the request)` may wait, or raise SessionError; `spoil` may change a reply."""

    def __init__(
        self,
        agent: Agent,
        before: Callable[[int], float] = lambda _: 0.0,
        spoil: Callable[[bytes], bytes] = lambda reply: reply,
    ) -> None:
        self.agent, self.before, self.spoil = agent, before, spoil
        self.dropped: Counter[str] = Counter()
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, peer: Peer, requests: Sequence[Pdu]) -> Volley:
        """See `Wire.start`."""
        count = len(requests)
        done = asyncio.get_running_loop().create_future()
        volley = Volley(peer, peer.key, requests, 1 << 24, done, [NOTHING] * count)
        self.tasks.append(asyncio.create_task(self._serve(volley)))
        return volley

    async def _serve(self, volley: Volley) -> None:
        try:
            for index, request in enumerate(volley.requests):
                volley.traffic.sent += 1
                await asyncio.sleep(self.before(self.agent.requests))
                volley.replies[index] = self.spoil(self.agent.answer(request.with_id(volley.first_id + index)))
        except SessionError as why:
            volley.done.set_exception(why)
        else:
            if not volley.done.done():
                volley.done.set_result(None)

    def forget(self, volley: Volley) -> None:
        """See `Wire.forget`."""

    def close(self) -> None:
        """See `Wire.close`."""


def device() -> Device:
    """A device that was never asked."""
    return Devices().get(parse_target("192.0.2.1"), Auth("lab", community="public"))
