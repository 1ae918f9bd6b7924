"""The wire against devices that lie: in-process UDP on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder
from pysnmp.proto.api import v2c as oracle

from egov_exporters.snmp.ber import GET, Varbind, decode_pdu, encode_integer, encode_pdu, encode_tlv, oid_octets
from egov_exporters.snmp.community import Community
from egov_exporters.snmp.dialogue import Dialogue
from egov_exporters.snmp.session import AgentError, BadReply, NoAnswer, SessionError
from egov_exporters.snmp.wire import BURST_SECONDS, Peer, Wire, message_id

NAME = (1, 3, 6, 1, 2, 1, 1, 3, 0)
Answer = Callable[[bytes, int], list[bytes]]


def peer(address: tuple[str, int], in_flight: int = 1) -> Peer:
    """Somebody to ask, with little patience."""
    return Peer(socket.AF_INET, address, Community(b"c"), in_flight, (0.15, 0.15, 0.15))


def reply(request_id: int, value: bytes = b"\x43\x01\x05", status: int = 0, version: int = 1) -> bytes:
    """A response with one binding."""
    names = encode_tlv(0x30, encode_tlv(0x30, encode_tlv(6, oid_octets(NAME)) + value))
    pdu = encode_integer(request_id) + encode_integer(status) + encode_integer(1 if status else 0) + names
    return encode_tlv(0x30, encode_integer(version) + encode_tlv(4, b"c") + encode_tlv(0xA2, pdu))


def request_id_of(datagram: bytes) -> int:
    """The request id, as pysnmp reads it."""
    message, _ = decoder.decode(datagram, asn1Spec=oracle.Message())
    return int(oracle.apiPDU.get_request_id(oracle.apiMessage.get_pdu(message)))


class Liar(asyncio.DatagramProtocol):
    """Sends what the test's function says."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.seen = answer, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.seen += 1
        for out in self.answer(data, self.seen):
            self.transport.sendto(out, addr)  # type: ignore[attr-defined]


def ask(answer: Answer) -> tuple[list[Varbind] | SessionError | AgentError, Dialogue]:
    """One Get to a liar: the result or the error."""

    async def run() -> tuple[list[Varbind] | SessionError | AgentError, Dialogue]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: Liar(answer), local_addr=("127.0.0.1", 0))
        wire = Wire()
        session = Dialogue(wire, peer(transport.get_extra_info("sockname")))
        try:
            return await session.get([NAME]), session
        except (SessionError, AgentError) as why:
            return why, session
        finally:
            wire.close()
            transport.close()

    return asyncio.run(run())


def test_an_honest_reply() -> None:
    """One datagram each way."""
    result, session = ask(lambda data, seen: [reply(request_id_of(data))])
    assert isinstance(result, list) and result[0].oid == NAME
    assert (session.traffic.sent, session.traffic.retried) == (1, 0)


def test_wrong_ids_and_noise_before_the_reply_are_skipped() -> None:
    """Replies to other requests do not count; a duplicate of ours does no harm."""
    result, session = ask(lambda data, seen: [reply(request_id_of(data) ^ 1), *[reply(request_id_of(data))] * 3])
    assert isinstance(result, list) and session.traffic.sent == 1


def test_a_lost_datagram_is_sent_again() -> None:
    """The second sending is answered, by a reply to the same request id."""
    result, session = ask(lambda data, seen: [] if seen == 1 else [reply(request_id_of(data))])
    assert isinstance(result, list)
    assert (session.traffic.sent, session.traffic.retried) == (2, 1)


def test_a_malformed_reply_is_no_reply_but_is_named() -> None:
    """Nonsense three times: BadReply; nonsense once: the next sending decides."""
    result, _ = ask(lambda data, seen: [b"\x30\x03abc"])
    assert isinstance(result, BadReply) and "malformed" in str(result)
    result, _ = ask(lambda data, seen: [b"" if seen == 1 else reply(request_id_of(data))])
    assert isinstance(result, list)


def test_another_version_is_not_a_reply() -> None:
    """An SNMP v1 answer to a v2c question."""
    result, _ = ask(lambda data, seen: [reply(request_id_of(data), version=0)])
    assert isinstance(result, BadReply)


def test_silence_and_a_flood_of_strangers() -> None:
    """Silence is NoAnswer; so are a thousand replies with wrong ids, in bounded time and memory."""
    result, session = ask(lambda data, seen: [])
    assert isinstance(result, NoAnswer) and session.traffic.sent == 3
    result, _ = ask(lambda data, seen: [reply(seen)] * 1_000)
    assert isinstance(result, NoAnswer)


def test_an_error_status_is_the_agents_word() -> None:
    """genErr at variable 1."""
    result, _ = ask(lambda data, seen: [reply(request_id_of(data), status=5)])
    assert isinstance(result, AgentError) and (result.status, result.index, str(result)) == (5, 1, "genErr")


def test_a_closed_port_is_told_at_once() -> None:
    """Nobody listens: the kernel says so, and the sentence too."""

    async def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            address = probe.getsockname()
        wire = Wire()
        with pytest.raises(NoAnswer, match="no agent on that port"):
            await Dialogue(wire, peer(address)).get([NAME])
        wire.close()

    asyncio.run(run())


def test_an_answer_from_another_address_does_not_count() -> None:
    """A neighbour who sees our request cannot answer it; the attempt is counted."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        forger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        forger.bind(("127.0.0.1", 0))

        def answer(data: bytes, seen: int) -> list[bytes]:
            forger.sendto(reply(request_id_of(data)), ("127.0.0.1", wire._sockets[socket.AF_INET].getsockname()[1]))
            return []

        transport, _ = await loop.create_datagram_endpoint(lambda: Liar(answer), local_addr=("127.0.0.1", 0))
        wire = Wire()
        with pytest.raises(NoAnswer):
            await Dialogue(wire, peer(transport.get_extra_info("sockname"))).get([NAME])
        assert wire.dropped == {"wrong_sender": 3}
        wire.close()
        transport.close()
        forger.close()

    asyncio.run(run())


def test_four_in_flight_come_back_in_any_order() -> None:
    """Never more than four wait; replies are kept in the order of the requests; a lost one is sent again, alone."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        held: list[bytes] = []
        most = 0

        def answer(data: bytes, seen: int) -> list[bytes]:
            nonlocal most
            if seen == 2:
                return []
            held.append(data)
            most = max(most, len(held))
            if len(held) < 3:
                return []
            out = [reply(request_id_of(one)) for one in reversed(held)]
            held.clear()
            return out

        transport, _ = await loop.create_datagram_endpoint(lambda: Liar(answer), local_addr=("127.0.0.1", 0))
        wire = Wire()
        requests = [encode_pdu(GET, [oid_octets(NAME)])] * 9
        volley = wire.start(peer(transport.get_extra_info("sockname"), 4), requests)
        await volley.done
        assert most == 3 and volley.traffic.sent == 9 + volley.traffic.retried > 9
        assert [decode_pdu(one).request_id - volley.first_id for one in volley.replies] == list(range(9))
        assert not wire._pending and not wire._active
        wire.close()
        transport.close()

    asyncio.run(run())


def test_what_comes_too_late_is_dropped() -> None:
    """A reply after the last wait, and one after the scrape was given up: counted, and nothing else."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        asked: list[bytes] = []

        def answer(data: bytes, seen: int) -> list[bytes]:
            asked.append(data)
            return []

        transport, _ = await loop.create_datagram_endpoint(lambda: Liar(answer), local_addr=("127.0.0.1", 0))
        wire = Wire()
        with pytest.raises(NoAnswer):
            await Dialogue(wire, peer(transport.get_extra_info("sockname"))).get([NAME])
        volley = wire.start(peer(transport.get_extra_info("sockname")), [encode_pdu(GET, [oid_octets(NAME)])])
        await asyncio.sleep(0.05)
        wire.forget(volley)
        back = ("127.0.0.1", wire._sockets[socket.AF_INET].getsockname()[1])
        for data in {request_id_of(one): one for one in asked}.values():
            transport.sendto(reply(request_id_of(data)), back)
        await asyncio.sleep(0.1)
        assert wire.dropped == {"late_or_unknown": 2} and not volley.done.done()
        assert not wire._pending and not wire._active
        wire.close()
        transport.close()

    asyncio.run(run())


@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_device_gets_no_more_than_its_packets_a_second(in_flight: int) -> None:
    """In no stretch of time more than a burst and what the rate gives; and what is held back is not held for long."""
    count, rate = 300, 1_000.0
    at: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def answer(data: bytes, seen: int) -> list[bytes]:
            at.append(loop.time())
            return [reply(request_id_of(data))]

        transport, _ = await loop.create_datagram_endpoint(lambda: Liar(answer), local_addr=("127.0.0.1", 0))
        wire = Wire(rate)
        asked = peer(transport.get_extra_info("sockname"), in_flight)
        asked.waits = (5.0,)
        volley = wire.start(asked, [encode_pdu(GET, [oid_octets(NAME)])] * count)
        await volley.done
        wire.close()
        transport.close()

    asyncio.run(run())
    assert len(at) == count
    burst = BURST_SECONDS * rate
    late = 2 * in_flight  # of those that were sent, so many may be noted late by this very loop
    for first in range(0, count, 10):
        for last in range(first + 20, count, 10):
            assert last - first <= burst + (at[last] - at[first]) * rate + late
    assert at[-1] - at[0] >= (count - burst - late) / rate


@given(st.binary(max_size=60))
def test_any_datagram_has_an_id_or_none(data: bytes) -> None:
    """The look at the plain part raises nothing."""
    assert -1 <= message_id(data) < 1 << 32
    assert message_id(b"\x30" + data) >= -1


@given(st.integers(1 << 23, (1 << 31) - 1), st.integers(0, 300))
def test_the_id_of_what_we_send_is_found(number: int, size: int) -> None:
    """For communities of any length."""
    pdu = encode_pdu(GET, [oid_octets(NAME)] * 9).with_id(number)
    assert message_id(Community(b"c" * size).seal(number, pdu)) == number
