"""The simulated switch: what it says is what a real agent may say, and its counters never run backwards."""

from __future__ import annotations

import time
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto.api import v2c

from egovctl.lab.switch import Agent, make_agent
from egovctl.lab.switch_ports import Flow, Port, counts, make_ports

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

COMMUNITY = b"c"
AGENT = make_agent("switch-1", 10, COMMUNITY, lambda: 1_234.5)
NAMES = list(AGENT._oids)
AFTER_ALL = (1, 3, 6, 1, 3)


def ask(agent: Agent, pdu: object, oids: list[tuple[int, ...]], community: bytes = COMMUNITY) -> object | None:
    """Send a pysnmp PDU to the agent; gives the response PDU or None."""
    if isinstance(pdu, v2c.GetBulkRequestPDU):
        v2c.apiBulkPDU.set_varbinds(pdu, [(oid, v2c.Null("")) for oid in oids])
    else:
        v2c.apiPDU.set_varbinds(pdu, [(oid, v2c.Null("")) for oid in oids])
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, community)
    v2c.apiMessage.set_pdu(message, pdu)
    raw = agent.answer(bytes(encoder.encode(message)))
    if raw is None:
        return None
    assert len(raw) <= 1_472
    answer, rest = decoder.decode(raw, asn1Spec=v2c.Message())
    assert not rest
    return v2c.apiMessage.get_pdu(answer)


def made(kind: type, non_repeaters: int = 0, repetitions: int = 0) -> object:
    """A PDU with defaults."""
    pdu = kind()
    if kind is v2c.GetBulkRequestPDU:
        v2c.apiBulkPDU.set_defaults(pdu)
        v2c.apiBulkPDU.set_non_repeaters(pdu, non_repeaters)
        v2c.apiBulkPDU.set_max_repetitions(pdu, repetitions)
    else:
        v2c.apiPDU.set_defaults(pdu)
    return pdu


def names(pdu: object) -> list[tuple[int, ...]]:
    """The OIDs of a response."""
    return [tuple(oid) for oid, _ in v2c.apiPDU.get_varbinds(pdu)]


def test_get_next_walks_everything_in_order() -> None:
    """From the root to the end, each OID once and in order, every value readable by pysnmp."""
    seen, at = [], (1, 3)
    while True:
        pdu = ask(AGENT, made(v2c.GetNextRequestPDU), [at])
        ((oid, value),) = v2c.apiPDU.get_varbinds(pdu)
        if value.isSameTypeWith(v2c.EndOfMibView()) or value.tagSet == v2c.EndOfMibView.tagSet:
            break
        seen.append(at := tuple(oid))
    assert seen == NAMES == sorted(set(NAMES))
    assert len(NAMES) == 7 + 2 + 10 * (22 + 19)


near = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(NAMES).map(lambda oid: oid[:-1]),
    st.sampled_from(NAMES).map(lambda oid: (*oid, 0)),
    st.just((1, 3)),
    st.just((1, 3, 6, 1, 4)),
)


@given(st.lists(near, min_size=1, max_size=6), st.integers(0, 3), st.integers(0, 12))
def test_get_bulk_is_repeated_get_next(oids: list[tuple[int, ...]], non_repeaters: int, repetitions: int) -> None:
    """RFC 3416 4.2.3: as if GetNext had been asked again and again; a long reply may be cut at its end."""
    pdu = ask(AGENT, made(v2c.GetBulkRequestPDU, non_repeaters, repetitions), oids)

    def after(oid: tuple[int, ...]) -> tuple[int, ...]:
        return next((name for name in NAMES if name > oid), oid)

    expected = [after(oid) for oid in oids[:non_repeaters]]
    row = list(oids[non_repeaters:])
    for _ in range(repetitions):
        row = [after(oid) for oid in row]
        expected += row
    got = names(pdu)
    assert got == expected[: len(got)]
    if len(got) < len(expected):
        full = sum(len(AGENT._entries[0].encoded) + 4 for _ in got) > 600
        assert full or all(oid == NAMES[-1] or oid in oids for oid in got[len(got) - len(row) :])


def test_get_tells_a_missing_instance_from_a_missing_object() -> None:
    """noSuchInstance where the object exists, noSuchObject where it does not."""
    pdu = ask(
        AGENT, made(v2c.GetRequestPDU), [(1, 3, 6, 1, 2, 1, 1, 5, 0), (1, 3, 6, 1, 2, 1, 1, 5, 9), (1, 3, 6, 1, 9, 9)]
    )
    values = [value for _, value in v2c.apiPDU.get_varbinds(pdu)]
    assert bytes(values[0].asOctets()) == b"switch-1"
    assert [value.tagSet for value in values[1:]] == [v2c.NoSuchInstance.tagSet, v2c.NoSuchObject.tagSet]


def test_silence_for_strangers_and_nonsense() -> None:
    """Wrong community, another version, rubbish: nothing comes back."""
    assert ask(AGENT, made(v2c.GetRequestPDU), [NAMES[0]], b"wrong") is None
    assert AGENT.answer(b"") is None and AGENT.answer(b"\x30\x84\xff\xff\xff\xff") is None
    request = bytearray(b"\x30\x1a\x02\x01\x01\x04\x01c\xa0\x12")
    assert AGENT.answer(bytes(request)) is None


@given(st.binary(max_size=120))
def test_no_datagram_upsets_it(data: bytes) -> None:
    """An answer or silence."""
    assert AGENT.answer(data) is None


def test_writing_is_refused() -> None:
    """SetRequest: notWritable."""
    pdu = ask(AGENT, made(v2c.SetRequestPDU), [NAMES[0]])
    assert int(v2c.apiPDU.get_error_status(pdu)) == 17


ports = st.builds(lambda number: make_ports("s", 48)[number], st.integers(0, 47))


@given(ports, st.floats(0, 1e7), st.floats(0, 1e5))
def test_counters_never_decrease(port: Port, uptime: float, later: float) -> None:
    """Whatever two moments: the later one has counted at least as much, and not more than the link carries."""
    for flow in (port.inward, port.outward):
        before, after = counts(port, flow, uptime), counts(port, flow, uptime + later)
        assert all(one >= other for one, other in zip(astuple(after), astuple(before), strict=True))
        assert after.octets - before.octets <= port.mbps * 125_000 * (later + 0.01) + 1


@given(st.floats(0, 2e7))
def test_a_flow_moves_at_about_its_mean(start: float) -> None:
    """Over a day the swings even out."""
    flow = Flow(1e6, 1.0)
    assert flow.octets(start + 86_400) - flow.octets(start) == pytest.approx(86_400e6, rel=0.02)


def test_ports_are_plausible_and_always_the_same() -> None:
    """48 ports: 44 of 1 Gbit/s, 4 uplinks of 10; some are down and count nothing; the name decides."""
    switch = make_ports("switch-minqin", 48)
    assert switch == make_ports("switch-minqin", 48) != make_ports("switch-other", 48)
    assert [port.mbps for port in switch].count(10_000) == 4
    assert (switch[0].name, switch[47].name) == ("GigabitEthernet0/0/1", "XGigabitEthernet0/0/4")
    down = [port for port in switch if port.oper_status == 2]
    assert 3 <= len(down) <= 30
    assert all(counts(port, port.inward, 1e6).octets == 0 for port in down)
    assert len({port.name for port in switch}) == len({port.index for port in switch}) == 48


def test_it_is_cheap() -> None:
    """All 41 columns of 48 ports, 24 rows a request: a few milliseconds of CPU."""
    agent = make_agent("s", 48, COMMUNITY, time.monotonic)
    columns = sorted({name[:-1] for name in agent._oids})
    requests = []
    for column in columns:
        pdu = made(v2c.GetBulkRequestPDU, 0, 24)
        v2c.apiBulkPDU.set_varbinds(pdu, [((*column, 29), v2c.Null(""))])
        message = v2c.Message()
        v2c.apiMessage.set_defaults(message)
        v2c.apiMessage.set_community(message, COMMUNITY)
        v2c.apiMessage.set_pdu(message, pdu)
        requests.append(bytes(encoder.encode(message)))
    started = time.process_time()
    assert all(agent.answer(request) for request in requests)
    assert time.process_time() - started < 0.1
