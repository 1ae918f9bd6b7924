"""Reading the plain part of SNMPv3 messages: the general reader against pysnmp's ASN.1, the quick one against it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysnmp.proto.api import v2c
from usm_device import SYS_NAME, USER, Device, response_pdu

from egov_exporters.snmp.ber import BadMessage, encode_tlv
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.v3message import Shape, header, parse, request_id, scoped_pdu, security_parameters

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

AUTH = Auth(
    "a", 3, username="noc", security_level="authPriv", password="auth-password", auth_protocol="SHA256",
    priv_protocol="AES", priv_password="priv-password",
)  # fmt: skip
DEVICE = Device(AUTH)
numbers = st.one_of(st.sampled_from([0, 1, 127, 128, 255, 256, 2**23 - 1, 2**23, 2**31 - 1]), st.integers(0, 2**31 - 1))


def reply(number: int = 0x10000000, size: int = 20, level: int = 3, **changes: int) -> bytes:
    """A response of pysnmp's making, its value of `size` octets."""
    return DEVICE.message(number, response_pdu(v2c.ResponsePDU(), number, SYS_NAME, bytes(size)), level, **changes)


@given(number=numbers, boots=numbers, now=numbers, size=st.integers(0, 1_500), level=st.sampled_from([0, 1, 3]))
@settings(max_examples=60)
def test_fields_are_what_pysnmp_wrote(number: int, boots: int, now: int, size: int, level: int) -> None:
    """Numbers of all widths, messages of all lengths."""
    data = reply(number, size, level, boots=boots, now=now)
    message = parse(data)
    assert (message.message_id, message.flags, message.boots, message.time) == (number, level, boots, now)
    assert (message.engine_id, message.user) == (DEVICE.engine_id, b"noc" if level else b"")
    assert (message.auth_end - message.auth_at, len(message.salt)) == (24 if level else 0, 8 if level == 3 else 0)
    assert data[message.data_at] == (0x04 if level == 3 else 0x30)
    assert Shape(data).read(data) == message


@given(st.integers(0x10000000, 2**31 - 1), st.integers(66_000, 70_000), st.integers(0, 1_500))
@settings(max_examples=60)
def test_a_shape_reads_the_next_message(number: int, now: int, size: int) -> None:
    """Other ids, times and lengths, other digest and salt: the quick way is taken, and gives the same."""
    shape, data = Shape(reply(now=65_536)), reply(number, size, now=now)
    assert shape.read(data) == parse(data)


def test_another_shape_is_left_to_the_general_reader() -> None:
    """A wider number, another user, another level, or no message."""
    shape = Shape(reply(now=65_536))
    user = replace(AUTH, username="other")
    for data in (reply(1), reply(now=1), reply(level=1), Device(user).report(0x10000000, USER, 3), b"", b"0", b"0\x82"):
        assert shape.read(data) is None


BASES = [reply(size=size, level=level, now=5_000) for size in (0, 30, 200) for level in (0, 1, 3)]


@st.composite
def almost_messages(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A message, and one that is nearly it: octets changed, cut, put in or said again, the outermost length mended."""
    base = draw(st.sampled_from(BASES))
    data = bytearray(draw(st.sampled_from([base, *BASES])))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["set", "flip", "cut", "insert", "repeat"]))
        if kind == "set" and data:
            data[at] = draw(st.sampled_from([0, 1, 2, 4, 0x30, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xFF]))
        elif kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 9))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=9))
        else:
            data += data[at : at + draw(st.integers(1, 40))]
    if draw(st.booleans()) and len(data) > 4:
        inside = data[4:] if data[1] == 0x82 else data[3:] if data[1] == 0x81 else data[2:]
        data = bytearray(encode_tlv(0x30, bytes(inside)))
    return base, bytes(data)


@given(almost_messages())
@settings(max_examples=1_500)
def test_both_readers_agree(pair: tuple[bytes, bytes]) -> None:
    """What the quick reader takes, the general one takes too, and finds the same in it."""
    base, data = pair
    found = Shape(base).read(data)
    try:
        assert found is None or found == parse(data)
    except BadMessage:
        pytest.fail("the quick reader took what the general one refuses")


def test_an_indefinite_length_is_no_length() -> None:
    """0x80 in place of the length is BER's indefinite form, also in front of exactly 128 octets."""
    inside = BASES[0][2:]
    assert BASES[0][1] == len(inside) < 128
    data = b"\x30\x80" + inside.ljust(128, b"\0")
    assert Shape(BASES[0]).read(data) is None
    with pytest.raises(BadMessage):
        parse(data)


beginnings = st.binary(max_size=120).map(lambda raw: encode_tlv(0x30, b"\x02\x01\x03" + raw))


@given(st.one_of(st.binary(max_size=200), beginnings))
@settings(max_examples=500)
def test_no_datagram_upsets_the_reader(data: bytes) -> None:
    """A message or BadMessage."""
    try:
        parse(data)
    except BadMessage as why:
        assert str(why)


SECURITY = security_parameters(b"engine", 1, 2, b"noc", b"", b"")


def whole(version: bytes = b"\x02\x01\x03", head: bytes | None = None, security: bytes | None = None) -> bytes:
    """A message from its parts."""
    head = header(0x10000000, 0)[3:] if head is None else head
    security = SECURITY if security is None else security
    return encode_tlv(0x30, version + head + security + b"\x30\x00")


@pytest.mark.parametrize(
    "data",
    [
        whole(version=b"\x02\x01\x01"),
        whole(head=header(1, 0)[3:-1] + b"\x04"),  # another security model
        whole(head=encode_tlv(0x30, header(0x10000000, 0)[5:] + b"\x05\x00")),
        whole(head=encode_tlv(0x30, b"\x02\x04\x80\0\0\0" + header(0x10000000, 0)[11:])),  # a negative id
        whole(head=encode_tlv(0x30, b"\x02\x05\0\0\0\0\x01" + header(0x10000000, 0)[11:])),
        whole(security=security_parameters(b"engine", -1, 2, b"noc", b"", b"")),
        whole(security=security_parameters(b"engine", 1, 2**31, b"noc", b"", b"")),
        whole(security=encode_tlv(4, encode_tlv(0x30, b"\x04\0\x02\x01\0\x02\x01\0\x04\0\x04\0\x04\0\x04\0"))),
        whole(security=b"\x04\x00"),
        whole(head=encode_tlv(0x30, header(0x10000000, 0)[5:] + SECURITY), security=b""),
        whole() + b"\x00",
        whole()[:-1],
    ],
)
def test_what_is_not_a_message(data: bytes) -> None:
    """Each refused; `whole()` itself is one."""
    assert parse(whole()).engine_id == b"engine"
    with pytest.raises(BadMessage):
        parse(data)


CONTEXT, PDU = b"\x04\x06engine\x04\x03ctx", b"\xa2\x05\x02\x01\x07\x05\x00"


@pytest.mark.parametrize("usual", [b"", CONTEXT, b"\x04\x01x\x04\x00"])
def test_the_scoped_pdu(usual: bytes) -> None:
    """The expected context is only a short cut; padding is borne where it may be; the offsets lead to the PDU."""
    scoped = encode_tlv(0x30, CONTEXT + PDU)
    for data, padded in ((scoped, False), (scoped, True), (scoped + b"\0" * 7, True)):
        name, at, inner, end = scoped_pdu(data, 0, len(data), padded, usual, b"ctx")
        assert (name, data[at:end], data[inner:end]) == (b"ctx", PDU, PDU[2:])
        assert request_id(data, inner, end) == 7


@pytest.mark.parametrize("usual", [b"", CONTEXT])
@pytest.mark.parametrize(
    "data",
    [
        encode_tlv(0x30, CONTEXT + PDU) + b"\0",
        encode_tlv(0x30, CONTEXT + PDU + b"\x05\x00"),
        encode_tlv(0x30, CONTEXT),
        encode_tlv(0x30, CONTEXT + PDU[:-1]),
        encode_tlv(0x30, CONTEXT[:-4] + PDU),
        encode_tlv(0x31, CONTEXT + PDU),
        b"",
    ],
)
def test_what_is_no_scoped_pdu(usual: bytes, data: bytes) -> None:
    """Each refused."""
    with pytest.raises(BadMessage):
        scoped_pdu(data, 0, len(data), False, usual, b"ctx")
