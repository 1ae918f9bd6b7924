"""Our reading and writing of SNMP v2c messages, checked against pysnmp's codec, and against any bytes at all."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto.api import v2c

from egov_exporters.snmp import ber
from egov_exporters.snmp.community import Community
from egov_exporters.snmp.oid import Oid, dotted, is_under, parse_oid

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

subids = st.one_of(st.integers(0, 300), st.integers(0, 0xFFFFFFFF))
oids = st.builds(
    lambda first, second, rest: (first, second, *rest),
    st.integers(0, 2),
    st.integers(0, 39),
    st.lists(subids, min_size=1, max_size=20),
)
values = st.one_of(
    st.binary(max_size=300).map(v2c.OctetString),
    st.integers(-(1 << 31), (1 << 31) - 1).map(v2c.Integer32),
    st.integers(0, 0xFFFFFFFF).map(v2c.Counter32),
    st.integers(0, 0xFFFFFFFF).map(v2c.Gauge32),
    st.integers(0, 0xFFFFFFFF).map(v2c.TimeTicks),
    st.integers(0, 0xFFFFFFFFFFFFFFFF).map(v2c.Counter64),
    oids.map(v2c.ObjectIdentifier),
)


def response(request_id: int, status: int, pairs: list[tuple[Oid, object]]) -> bytes:
    """A response as pysnmp encodes it."""
    pdu = v2c.ResponsePDU()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_request_id(pdu, request_id)
    v2c.apiPDU.set_error_status(pdu, status)
    v2c.apiPDU.set_varbinds(pdu, [(v2c.ObjectIdentifier(oid), value) for oid, value in pairs])
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, "c")
    v2c.apiMessage.set_pdu(message, pdu)
    return bytes(encoder.encode(message))


def plain(value: object, cell: ber.Cell) -> bool:
    """Whether the raw cell says what the pysnmp value says."""
    if isinstance(value, v2c.OctetString):
        return cell.raw == value.asOctets()
    if isinstance(value, v2c.ObjectIdentifier):
        return ber.decode_oid(cell.raw) == tuple(value)
    return int.from_bytes(cell.raw, "big", signed=True) == int(value)  # type: ignore[call-overload,no-any-return]


def decode_response(datagram: bytes) -> ber.Response:
    """A v2c datagram as the wire and the general path read it."""
    return ber.decode_pdu(Community(b"").open(datagram))


@given(st.integers(0, (1 << 31) - 1), st.integers(0, 18), st.lists(st.tuples(oids, values), max_size=8))
def test_responses_are_read_as_pysnmp_wrote_them(request_id: int, status: int, pairs: list[tuple[Oid, object]]) -> None:
    """Ids, status, OIDs, type tags and values agree."""
    read = decode_response(response(request_id, status, pairs))
    assert (read.request_id, read.error_status) == (request_id, status)
    assert [one.oid for one in read.varbinds] == [oid for oid, _ in pairs]
    for one, (_, value) in zip(read.varbinds, pairs, strict=True):
        assert one.cell.tag == value.tagSet.superTags[-1].tagClass | value.tagSet.superTags[-1].tagId  # type: ignore[attr-defined]
        assert plain(value, one.cell)


@given(
    st.binary(max_size=40),
    st.integers(ber.FIRST_ID, ber.LAST_ID),
    st.lists(oids, min_size=1, max_size=60),
    st.integers(1, 255),
)
def test_requests_are_read_by_pysnmp(community: bytes, request_id: int, names: list[Oid], repetitions: int) -> None:
    """A GetBulk of ours, as pysnmp decodes it."""
    pdu_octets = ber.encode_pdu(ber.GET_BULK, [ber.oid_octets(name) for name in names], 0, repetitions)
    datagram = Community(community).seal(request_id, pdu_octets.with_id(request_id))
    message, rest = decoder.decode(datagram, asn1Spec=v2c.Message())
    pdu = v2c.apiMessage.get_pdu(message)
    assert not rest
    assert v2c.apiMessage.get_community(message).asOctets() == community
    assert v2c.apiPDU.get_request_id(pdu) == request_id
    assert v2c.apiBulkPDU.get_max_repetitions(pdu) == repetitions
    assert [tuple(oid) for oid, _ in v2c.apiPDU.get_varbinds(pdu)] == names


@given(st.binary(max_size=200))
def test_no_bytes_upset_the_reader(data: bytes) -> None:
    """Nonsense is BadMessage and nothing else."""
    with contextlib.suppress(ber.BadMessage):
        decode_response(data)


@given(st.data())
def test_damaged_replies_never_upset_the_reader(data: st.DataObject) -> None:
    """A valid reply cut anywhere, or with any octet changed."""
    good = response(
        7, 0, [((1, 3, 6, 1, 2, 1, 1, 3, 0), v2c.TimeTicks(5)), ((1, 3, 6, 1, 9), v2c.OctetString(b"x" * 200))]
    )
    at = data.draw(st.integers(0, len(good) - 1))
    bad = (
        good[:at] if data.draw(st.booleans()) else good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
    )
    try:
        read = decode_response(bad)
    except ber.BadMessage:
        return
    assert len(read.varbinds) <= len(bad)


@given(oids)
def test_oids_go_to_octets_and_back(oid: Oid) -> None:
    """Both forms, octets and text."""
    assert ber.decode_oid(ber.oid_octets(oid)) == oid
    assert parse_oid(dotted(oid)) == parse_oid("." + dotted(oid)) == oid


@given(oids, oids)
def test_tuple_order_is_snmp_order(one: Oid, other: Oid) -> None:
    """Tuples sort as pysnmp's object identifiers do; a subtree lies right behind its root."""
    assert (one < other) == (v2c.ObjectIdentifier(one) < v2c.ObjectIdentifier(other))
    if is_under(other, one):
        assert one < other < (*one[:-1], one[-1] + 1)


@pytest.mark.parametrize(
    "text", ["", "1", "1.", "1..3", "1.3.x", "3.1.1", "1.40.1", "1.3.4294967296", "1.3.-1", "1.3.٣"]
)
def test_what_is_not_an_oid(text: str) -> None:
    """Text that must be refused."""
    with pytest.raises(ValueError, match="not an object identifier"):
        parse_oid(text)


@pytest.mark.parametrize("body", [b"", b"\x80", b"\x2b\x86", b"\x2b\x90\x80\x80\x80\x80\x00", b"\x2b" + b"\x01" * 200])
def test_object_identifiers_that_must_be_refused(body: bytes) -> None:
    """Cut, too large, too long."""
    with pytest.raises(ber.BadMessage):
        ber.decode_oid(body)
