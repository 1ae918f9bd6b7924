"""A simulated access switch: an SNMP v2c agent over system, ifTable and ifXTable, with counters that move.

    python -m egovctl.lab.switch --listen 127.0.0.1:1161 --community-file FILE [--ports 48] [--name NAME]

It stands in for the department switches that the lab cannot boot. Wrong community, wrong version, or nonsense: silence.
The listener is ready once it printed `ready ADDR:PORT`.
"""

from __future__ import annotations

import asyncio
import hmac
import signal
import socket
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import cast

import click

from egovctl.lab import switch_ber as ber
from egovctl.lab.switch_mib import Entry, build_mib
from egovctl.lab.switch_ports import make_ports

MAX_MESSAGE = 1_472  # octets: what fits one Ethernet frame; a longer GetBulk reply is cut, as agents do
MAX_REPETITIONS = 200
TOO_BIG, NOT_WRITABLE = 1, 17


class Agent:
    """Answers requests from a sorted table of entries. `clock` gives the uptime in seconds."""

    def __init__(self, entries: list[Entry], community: bytes, clock: Callable[[], float]) -> None:
        self._entries = sorted(entries, key=lambda entry: entry.oid)
        self._oids = [entry.oid for entry in self._entries]
        self._community = community
        self._clock = clock

    def answer(self, datagram: bytes) -> bytes | None:
        """Given a datagram: the reply, or None where a real agent stays silent."""
        try:
            request = ber.decode_request(datagram)
        except ber.Malformed:
            return None
        if not hmac.compare_digest(request.community, self._community):
            return None
        uptime = self._clock()
        if request.kind == ber.SET:
            return ber.encode_response(request, NOT_WRITABLE, min(1, len(request.oids)), _nulls(request))
        if request.kind == ber.GET_BULK:
            return self._bulk(request, uptime)
        read = self._get if request.kind == ber.GET else self._next
        body = b"".join(read(oid, uptime) for oid in request.oids)
        reply = ber.encode_response(request, 0, 0, body)
        return reply if len(reply) <= MAX_MESSAGE else ber.encode_response(request, TOO_BIG, 0, b"")

    def _get(self, oid: ber.Oid, uptime: float) -> bytes:
        at = bisect_left(self._oids, oid)
        if at < len(self._oids) and self._oids[at] == oid:
            return self._entries[at].varbind(uptime)
        known = any(near[:-1] == oid[:-1] for near in self._oids[max(at - 1, 0) : at + 1])
        return _varbind(oid, ber.NO_SUCH_INSTANCE if known else ber.NO_SUCH_OBJECT)

    def _next(self, oid: ber.Oid, uptime: float) -> bytes:
        at = bisect_right(self._oids, oid)
        if at < len(self._oids):
            return self._entries[at].varbind(uptime)
        return _varbind(oid, ber.END_OF_MIB_VIEW)

    def _bulk(self, request: ber.Request, uptime: float) -> bytes:
        """GetBulk (RFC 3416 4.2.3): non-repeaters once, the others row by row until the message is full."""
        fixed = request.oids[: request.non_repeaters]
        parts = [self._next(oid, uptime) for oid in fixed]
        size = sum(map(len, parts))
        room = MAX_MESSAGE - 40 - len(request.community)
        if size > room:
            return ber.encode_response(request, TOO_BIG, 0, b"")
        starts = [(oid, bisect_right(self._oids, oid)) for oid in request.oids[len(fixed) :]]
        for row in range(min(request.max_repetitions, MAX_REPETITIONS) if starts else 0):
            past_end = 0
            for oid, start in starts:
                if start + row < len(self._entries):
                    part = self._entries[start + row].varbind(uptime)
                else:
                    last = self._oids[-1] if start < len(self._oids) else oid
                    part = _varbind(last, ber.END_OF_MIB_VIEW)
                    past_end += 1
                size += len(part)
                if size > room:
                    return ber.encode_response(request, 0, 0, b"".join(parts))
                parts.append(part)
            if past_end == len(starts):
                break
        return ber.encode_response(request, 0, 0, b"".join(parts))


def _varbind(oid: ber.Oid, value: bytes) -> bytes:
    return ber.encode_tlv(ber.SEQUENCE, ber.encode_oid(oid) + value)


def _nulls(request: ber.Request) -> bytes:
    return b"".join(_varbind(oid, b"\x05\x00") for oid in request.oids)


class AgentProtocol(asyncio.DatagramProtocol):
    """Carries datagrams between a UDP socket and an Agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for replies."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer, or stay silent."""
        reply = self._agent.answer(data)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)


def make_agent(name: str, ports: int, community: bytes, clock: Callable[[], float], discontinuity: int = 0) -> Agent:
    """A switch called `name`, as an agent. `discontinuity` is its ifCounterDiscontinuityTime (1/100 s)."""
    return Agent(build_mib(name, make_ports(name, ports), discontinuity), community, clock)


def parse_listen(text: str) -> tuple[str, int]:
    """ADDR:PORT or [ADDR]:PORT as a pair. Raises click.BadParameter."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise click.BadParameter(f"{text!r} is not ADDR:PORT")
    return host.strip("[]"), int(port)


def read_community(path: Path) -> bytes:
    """The community in the first line of a file. Raises click.BadParameter when there is none."""
    try:
        community = path.read_bytes().strip()
    except OSError as problem:
        raise click.BadParameter(f"{path} cannot be read: {problem.strerror}") from None
    if not community or b"\n" in community:
        raise click.BadParameter(f"{path} must hold the community in one line")
    return community


async def serve(agent: Agent, host: str, port: int) -> None:
    """Answer on a UDP address until SIGTERM or SIGINT. Raises OSError when it cannot be bound."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    transport, _ = await loop.create_datagram_endpoint(
        lambda: AgentProtocol(agent), local_addr=(host, port), family=family
    )
    bound = transport.get_extra_info("sockname")
    click.echo(f"ready {bound[0]}:{bound[1]}")
    try:
        await stop.wait()
    finally:
        transport.close()


@click.command()
@click.option("--listen", required=True, help="ADDR:PORT or [ADDR]:PORT to answer on; port 0 takes a free one.")
@click.option("--community-file", required=True, type=click.Path(path_type=Path), help="File with the community.")
@click.option("--ports", default=48, show_default=True, type=click.IntRange(1, 4_000))
@click.option("--name", default="switch", show_default=True, help="sysName; it also decides the traffic.")
@click.option("--frozen-at", type=float, help="For tests: stop the clock at this uptime, in seconds.")
def main(listen: str, community_file: Path, ports: int, name: str, frozen_at: float | None) -> None:
    """A simulated switch that answers SNMP v2c."""
    host, port = parse_listen(listen)
    community = read_community(community_file)
    started = time.monotonic()
    clock = (lambda: frozen_at) if frozen_at is not None else (lambda: time.monotonic() - started)
    agent = make_agent(name, ports, community, clock)
    try:
        asyncio.run(serve(agent, host, port))
    except OSError as problem:
        raise click.ClickException(f"cannot answer on {listen}: {problem.strerror or problem}") from None


if __name__ == "__main__":
    main()
