"""Indexes of several parts: what is written by the rules of RFC 2578 is read back; anything else is refused."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.rows import index_texts, split_index
from egov_exporters.snmp.schema import INDEX_TYPES, IndexPart
from egov_exporters.snmp.values import BadValue


def read(index: Oid, *parts: IndexPart) -> list[str]:
    """The texts of an index."""
    return index_texts(split_index(index, parts), parts)


PLAIN = [
    (IndexPart("n"), st.integers(0, 0xFFFFFFFF).map(lambda n: ((n,), str(n)))),
    (
        IndexPart("a", "InetAddressIPv4"),
        st.ip_addresses(v=4).map(lambda one: (tuple(one.packed), str(one))),
    ),
    (
        IndexPart("v6", "InetAddressIPv6"),
        st.ip_addresses(v=6).map(lambda one: (tuple(one.packed), str(one))),
    ),
    (
        IndexPart("mac", "PhysAddress48"),
        st.binary(min_size=6, max_size=6).map(lambda raw: (tuple(raw), raw.hex(":").upper())),
    ),
    (
        IndexPart("name", "DisplayString"),
        st.text(st.characters(exclude_categories=("Cs",)), max_size=20).map(
            lambda text: ((len(text.encode()), *text.encode()), text)
        ),
    ),
    (
        IndexPart("raw", "OctetString", size=3),
        st.binary(min_size=3, max_size=3).map(lambda raw: (tuple(raw), f"0x{raw.hex().upper()}")),
    ),
]


@given(st.data())
def test_what_is_written_is_read_back(data: st.DataObject) -> None:
    """Any sequence of parts, in any order."""
    chosen = data.draw(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=5))
    drawn = [data.draw(values) for _, values in chosen]
    index = tuple(one for piece, _ in drawn for one in piece)
    assert read(index, *(part for part, _ in chosen)) == [text for _, text in drawn]


@given(st.ip_addresses())
def test_addresses_with_their_type(address: IPv4Address | IPv6Address) -> None:
    """InetAddressType before InetAddress, as in IP-MIB; the length says the family as well."""
    raw = address.packed
    index = (1 if address.version == 4 else 2, len(raw), *raw)
    parts = (IndexPart("kind", "InetAddressType"), IndexPart("address", "InetAddress"))
    assert read(index, *parts) == [f"ipv{address.version}", str(address)]


def test_zones_names_and_unknown_addresses() -> None:
    """RFC 4001: a zone is the last four octets, a name is text, the empty address is empty."""
    parts = (IndexPart("kind", "InetAddressType"), IndexPart("address", "InetAddress"))
    assert read((3, 8, 10, 0, 0, 1, 0, 0, 0, 9), *parts) == ["ipv4z", "10.0.0.1%9"]
    assert read((16, 3, *b"a.b"), *parts) == ["dns", "a.b"]
    assert read((0, 0), *parts) == ["unknown", ""]
    assert read((77, 2, 1, 2), *parts) == ["77", "0x0102"]


def test_an_implied_string_takes_the_rest() -> None:
    """No length before it; only the last part may be so."""
    assert read((7, *b"eth0"), IndexPart("n"), IndexPart("name", "DisplayString", implied=True)) == ["7", "eth0"]


@pytest.mark.parametrize(
    ("index", "parts"),
    [
        ((1, 2), (IndexPart("n"),)),
        ((), (IndexPart("n"),)),
        ((1,), (IndexPart("n"), IndexPart("m"))),
        ((10, 0, 0, 256), (IndexPart("a", "InetAddressIPv4"),)),
        ((10, 0, 0), (IndexPart("a", "InetAddressIPv4"),)),
        ((5, 97, 98), (IndexPart("name", "DisplayString"),)),
        ((2, 97, 98, 99), (IndexPart("name", "DisplayString"),)),
        ((4294967295, 1), (IndexPart("name", "OctetString"),)),
        ((300,), (IndexPart("name", "DisplayString", implied=True),)),
    ],
)
def test_other_indexes_are_refused(index: Oid, parts: tuple[IndexPart, ...]) -> None:
    """Too few, too many, not an octet, a length that points beyond the end."""
    with pytest.raises(BadValue, match="bad_index"):
        read(index, *parts)


@given(
    st.lists(st.integers(0, 0xFFFFFFFF) | st.integers(0, 20), max_size=40).map(tuple),
    st.lists(st.sampled_from(sorted(INDEX_TYPES)), min_size=1, max_size=4),
)
def test_any_index_is_texts_or_bad(index: Oid, kinds: list[str]) -> None:
    """Never another exception, and never a text that cannot be written."""
    try:
        for text in read(index, *(IndexPart(f"p{at}", kind) for at, kind in enumerate(kinds))):
            text.encode()
    except BadValue as why:
        assert str(why) == "bad_index"
