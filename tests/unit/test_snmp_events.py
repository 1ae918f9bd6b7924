"""Notifications to events: names, bounds, and that nothing a device sends can spoil a line or hide in a flood.

If this fails, a line might carry a community or a terminal's control characters, a known notification might count as
`other`, or a storm might fill the memory.
"""

from __future__ import annotations

import hmac
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import Cell, Varbind
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.events import HIDDEN, MAX_SHOWN, SNMP_TRAP_OID, SYS_UP_TIME, Event, Origin, show, translate
from egov_exporters.snmp.keys import DIGESTS
from egov_exporters.snmp.notifications import NotificationError, load_catalogue, parse_catalogue
from egov_exporters.snmp.oid import parse_oid
from egov_exporters.snmp.trap_gate import Bucket, Gate, Limits, Lru, Message, Refused, source_of
from egov_exporters.snmp.trap_storms import Duplicates, Flapping, Polls
from egov_exporters.snmp.trap_users import UserKeys

ORIGIN = Origin(1_700_000_000.5, "192.0.2.1", "2c", "trap", "city")
CATALOGUE = load_catalogue()
LINK_DOWN, LINK_UP, COLD_START = (f"1.3.6.1.6.3.1.1.5.{number}" for number in (3, 4, 1))
COMMUNITY = Auth("city", community="community-canary")
USER = Auth(
    "noc", 3, username="trapper", security_level="authNoPriv", password="password-canary", auth_protocol="SHA256"
)
SENDER = bytes.fromhex("8000000001020304")
OURS = bytes.fromhex("80004fb80500112233")


def integer(value: int, tag: int = ber.INTEGER) -> Cell:
    return Cell(tag, ber.integer_octets(value))


def oid_cell(text: str) -> Cell:
    return Cell(ber.OBJECT_IDENTIFIER, ber.oid_octets(parse_oid(text)))


def varbinds(oid: str, *pairs: tuple[str, Cell]) -> list[Varbind]:
    """A notification's varbinds as version 2 has them."""
    head = [Varbind(SYS_UP_TIME, integer(12_345, ber.TIMETICKS)), Varbind(SNMP_TRAP_OID, oid_cell(oid))]
    return head + [Varbind(parse_oid(name), cell) for name, cell in pairs]


def event(oid: str, *pairs: tuple[str, Cell], origin: Origin = ORIGIN) -> Event:
    return translate(origin, varbinds(oid, *pairs), CATALOGUE, {b"community-canary", b"abc"})


def link(oid: str, index: int = 3, source: str = "192.0.2.1") -> Event:
    return event(
        oid, (f"1.3.6.1.2.1.2.2.1.1.{index}", integer(index)), origin=Origin(1.0, source, "2c", "trap", "city")
    )


# Names


def test_every_entry_of_the_catalogue_is_found_by_its_oid_in_both_forms() -> None:
    for entry in CATALOGUE.entries:
        for oid in entry.oids:
            pairs = [Varbind((*entry.when[0], 1), oid_cell(".".join(map(str, entry.when[1]))))] if entry.when else []
            assert CATALOGUE.find(oid, pairs) is entry
            if oid[-2] != 0:
                assert CATALOGUE.find((*oid[:-1], 0, oid[-1]), pairs) is entry
    assert len(CATALOGUE.names) == len(set(CATALOGUE.names))
    wanted = {"coldStart", "linkDown", "bgpBackwardTransition", "ospfNbrStateChange", "upsLowBattery", "other"}
    assert wanted <= set(CATALOGUE.names)


def test_titles_are_in_both_languages() -> None:
    for entry in CATALOGUE.entries:
        assert any("\u4e00" <= letter <= "\u9fff" for letter in entry.title_zh), entry.name
        assert entry.title_en.isascii() and entry.title_en, entry.name


def test_no_entry_hides_a_later_one() -> None:
    """Of entries that share an OID only the last is without a condition, and no condition comes twice."""
    conditions = [(oid, entry.when) for entry in CATALOGUE.entries for oid in entry.oids]
    assert len(conditions) == len(set(conditions))
    for oid, when in conditions:
        same = [other for known, other in conditions if known == oid]
        assert when is not None or same[-1] is None, oid


@pytest.mark.parametrize(
    ("oid", "pairs", "name", "facts"),
    [
        (
            LINK_DOWN,
            [("1.3.6.1.2.1.2.2.1.1.7", integer(7)), ("1.3.6.1.2.1.31.1.1.1.1.7", Cell(4, b"Gi0/7"))],
            "linkDown",
            {"ifIndex": 7, "ifName": "Gi0/7"},
        ),
        (LINK_UP, [("1.3.6.1.2.1.2.2.1.8.12", integer(1))], "linkUp", {"ifIndex": 12, "ifOperStatus": "up"}),
        (
            "1.3.6.1.2.1.15.7.2",
            [("1.3.6.1.2.1.15.3.1.2.10.0.0.9", integer(1))],
            "bgpBackwardTransition",
            {"peer": "10.0.0.9", "state": "idle"},
        ),
        (
            "1.3.6.1.2.1.14.16.2.2",
            [
                ("1.3.6.1.2.1.14.10.1.1.10.0.0.2.0", Cell(ber.IP_ADDRESS, bytes((10, 0, 0, 2)))),
                ("1.3.6.1.2.1.14.10.1.6.10.0.0.2.0", integer(8)),
            ],
            "ospfNbrStateChange",
            {"neighbour": "10.0.0.2", "state": "full"},
        ),
        ("1.3.6.1.2.1.33.2.1", [("1.3.6.1.2.1.33.1.2.3.0", integer(20))], "upsOnBattery", {"minutesLeft": 20}),
        (
            "1.3.6.1.2.1.33.2.0.3",
            [("1.3.6.1.2.1.33.1.6.2.1.2.5", oid_cell("1.3.6.1.2.1.33.1.6.3.3"))],
            "upsLowBattery",
            {"alarm": "1.3.6.1.2.1.33.1.6.3.3"},
        ),
        ("1.3.6.1.2.1.33.2.4", [("1.3.6.1.2.1.33.1.6.2.1.2.5", oid_cell("1.3.6.1.9.9"))], "upsAlarmRemoved", None),
        ("1.3.6.1.4.1.318.0.9", [("1.3.6.1.4.1.318.2.3.3.0", Cell(4, b"ok"))], "upsPowerRestored", {"text": "ok"}),
        ("1.3.6.1.4.1.99.1", [], "other", {}),
        ("1.3.6.1.6.3.1.1.5.99", [], "other", {}),
    ],
)
def test_known_notifications(
    oid: str, pairs: list[tuple[str, Cell]], name: str, facts: dict[str, object] | None
) -> None:
    found = event(oid, *pairs)
    assert (found.notification, found.oid, found.uptime) == (name, oid, 123.45)
    assert facts is None or dict(found.facts) == facts


def test_a_notification_without_its_oid_is_other() -> None:
    found = translate(ORIGIN, [Varbind((1, 3, 6), integer(1))], CATALOGUE)
    assert (found.notification, found.oid) == ("other", "")
    assert '"oid"' not in found.line()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"notifications": [{"name": "x"}]},
        {"notifications": [{"name": "x", "oids": ["1.3.x"], "severity": "info", "source": "y", "title": {}}]},
        {"notifications": [{"name": "x", "oids": ["1.3.6"], "severity": "bad", "source": "y", "title": {}}]},
        {"notifications": [{"name": "other", "oids": ["1.3.6"], "severity": "info", "source": "y", "title": {}}]},
    ],
)
def test_a_wrong_catalogue_is_one_sentence(data: object) -> None:
    with pytest.raises(NotificationError, match=r"^known\.yml: [^\n]+$"):
        parse_catalogue(data, "known.yml")


# Bounds and harmlessness


def test_a_line_says_what_is_promised() -> None:
    line = json.loads(link(LINK_DOWN).line())
    assert line["time"] == "1970-01-01T00:00:01.000Z"
    assert (line["notification"], line["severity"], line["source"]) == ("linkDown", "warning", "192.0.2.1")
    assert (line["version"], line["kind"], line["auth"]) == ("2c", "trap", "city")
    assert line["varbinds"] == {"1.3.6.1.2.1.2.2.1.1.3": 3} and line["facts"] == {"ifIndex": 3}
    assert line["title"]["zh"] == "接口断开"


def test_too_much_is_cut_and_said() -> None:
    many = [(f"1.3.6.1.4.1.9.{number}", Cell(4, b"x" * 4_000)) for number in range(MAX_SHOWN + 7)]
    found = event(COLD_START, *many)
    assert (len(found.varbinds), found.left_out) == (MAX_SHOWN, 7)
    assert all(len(str(value)) == 256 for _, value in found.varbinds)


def test_of_an_oid_that_comes_twice_the_first_value_is_shown() -> None:
    line = json.loads(event(COLD_START, ("1.3.6.1.9", integer(1)), ("1.3.6.1.9", integer(2))).line())
    assert line["varbinds"] == {"1.3.6.1.9": 1}


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (Cell(4, b"up\x1b[31m\r\n"), "up\\x1b[31m\\r\\n"),
        (Cell(4, "政务\u202e外网".encode()), "政务\\u202e外网"),
        (Cell(4, b"name\0\0"), "name"),
        (Cell(4, b"\0\x1b\x21\xff"), "0x001b21ff"),
        (Cell(4, b"\0\0"), "0x0000"),
        (Cell(4, b"\xd5\xfe"), "0xd5fe"),
        (Cell(4, b""), ""),
        (integer(-5), -5),
        (integer((1 << 64) - 1, ber.COUNTER64), (1 << 64) - 1),
        (Cell(ber.IP_ADDRESS, b"\x0a\0\0\1"), "10.0.0.1"),
        (Cell(ber.IP_ADDRESS, b"\x0a"), "0x0a"),
        (Cell(ber.INTEGER, b""), ""),
        (Cell(ber.OBJECT_IDENTIFIER, b"\x80"), "0x80"),
        (Cell(ber.OPAQUE, b"\x9f\x78"), "0x9f78"),
    ],
)
def test_values_are_shown(cell: Cell, shown: object) -> None:
    assert show(cell) == shown


@pytest.mark.parametrize("raw", [b"community-canary", b"the community-canary of it", b"abc"])
def test_secrets_are_hidden(raw: bytes) -> None:
    found = event(COLD_START, ("1.3.6.1.9", Cell(4, raw)), ("1.3.6.1.6.3.18.1.4.0", Cell(4, b"unknown one")))
    assert [value for _, value in found.varbinds] == [HIDDEN, HIDDEN]


def test_a_short_secret_hides_no_longer_word() -> None:
    assert event(COLD_START, ("1.3.6.1.9", Cell(4, b"abcdef"))).varbinds[0][1] == "abcdef"


oids = st.lists(st.integers(0, 0xFFFFFFFF), min_size=0, max_size=126).map(lambda tail: (1, 3, *tail))
cells = st.builds(Cell, st.sampled_from((2, 4, 5, 6, 0x40, 0x41, 0x43, 0x44, 0x46, 0x80, 0x30, 0xFF)), st.binary())
named = st.sampled_from([oid for entry in CATALOGUE.entries for oid in entry.oids])
real = st.builds(lambda oid: Varbind(SNMP_TRAP_OID, Cell(6, ber.oid_octets(oid))), named)
columns = [fact.value for entry in CATALOGUE.entries for fact in entry.facts]
rows = st.builds(lambda column, row, cell: Varbind((*column, *row[:20]), cell), st.sampled_from(columns), oids, cells)


@given(
    st.lists(st.one_of(st.builds(Varbind, oids, cells), real, rows), max_size=60), st.binary(min_size=8, max_size=20)
)
def test_whatever_comes_makes_one_harmless_line(pairs: list[Varbind], secret: bytes) -> None:
    """JSON, printable, bounded; a secret inside a text is not in it."""
    pairs.append(Varbind((1, 3, 6, 1, 9), Cell(4, b"<" + secret + b">")))
    found = translate(ORIGIN, pairs, CATALOGUE, {secret})
    line = found.line()
    assert line.isprintable() and len(line) < 80_000
    assert json.loads(line)["notification"] in CATALOGUE.names
    assert len(found.varbinds) <= MAX_SHOWN
    hidden = [value for name, value in found.varbinds if name == "1.3.6.1.9"]
    assert set(hidden) <= {HIDDEN} or len(hidden) > 1


# The gate


def trap(community: bytes = b"community-canary", kind: int = 0xA7, pairs: list[Varbind] | None = None) -> bytes:
    """A version 2c notification on the wire."""
    bound = b"".join(
        ber.encode_tlv(0x30, ber.encode_tlv(6, ber.oid_octets(one.oid)) + ber.encode_tlv(*one.cell))
        for one in (varbinds(LINK_DOWN) if pairs is None else pairs)
    )
    numbers = ber.encode_integer(77) + ber.encode_integer(0) * 2
    head = ber.encode_integer(1) + ber.encode_tlv(4, community)
    return ber.encode_tlv(0x30, head + ber.encode_tlv(kind, numbers + ber.encode_tlv(0x30, bound)))


def v3(
    boots: int = 5,
    time: int = 1_000,
    *,
    auth: Auth = USER,
    engine: bytes = SENDER,
    flags: int = 1,
    number: int = 1,
    signed: bool = True,
) -> bytes:
    """A version 3 message with a right digest, or a wrong one."""
    size = DIGESTS[auth.auth_protocol][1] if flags & 1 else 0
    head = ber.encode_integer(number) + ber.encode_integer(65_507) + ber.encode_tlv(4, bytes((flags,)))
    scoped = ber.encode_tlv(0x30, ber.encode_tlv(4, engine) + ber.encode_tlv(4, b"") + ber.encode_tlv(0xA7, b""))

    def whole(digest: bytes) -> bytes:
        numbers = ber.encode_integer(boots) + ber.encode_integer(time)
        names = ber.encode_tlv(4, auth.username.encode()) + ber.encode_tlv(4, digest) + ber.encode_tlv(4, b"")
        security = ber.encode_tlv(4, ber.encode_tlv(0x30, ber.encode_tlv(4, engine) + numbers + names))
        body = ber.encode_integer(3) + ber.encode_tlv(0x30, head + ber.encode_integer(3)) + security + scoped
        return ber.encode_tlv(0x30, body)

    key = UserKeys(4).localized(auth, engine).digest if signed and flags & 1 else b"wrong"
    return whole(hmac.digest(key, whole(bytes(size)), DIGESTS[auth.auth_protocol][0])[:size])


def gate(limits: Limits | None = None, *auths: Auth) -> Gate:
    return Gate({auth.name: auth for auth in auths or (COMMUNITY, USER)}, limits or Limits(), OURS, 0.0)


def reason(one: Gate, data: bytes, source: str = "192.0.2.1", now: float = 0.0) -> str:
    """Why a datagram is refused, or nothing."""
    try:
        one.admit(data, source, now)
    except Refused as why:
        return str(why)
    return ""


def test_what_the_gate_lets_in_and_refuses() -> None:
    many = varbinds(LINK_DOWN, *[("1.3.6.1.9", integer(1))] * 127)
    for data, wanted in (
        (trap(), ""),
        (trap(kind=0xA6), ""),
        (v3(), ""),
        (v3(engine=b"", flags=4), ""),
        (trap(b"public"), "community"),
        (trap(b""), "community"),
        (trap(kind=0xA0), "not_a_notification"),
        (trap(kind=0xA4), "not_a_notification"),
        (trap(pairs=many), "too_many_varbinds"),
        (trap(pairs=[Varbind(SYS_UP_TIME, Cell(4, b"x" * 4_096))]), "too_large"),
        (b"\x30\x03\x02\x01\x02", "version"),
        (b"", "malformed"),
        (v3(signed=False), "digest"),
        (v3(auth=Auth("x", 3, username="nobody"), flags=0), "user"),
        (v3(flags=0), "security_level"),
        (v3(flags=3), "security_level"),
        (v3(flags=2), "malformed"),
        (v3(engine=b"abc"), "engine_id"),
        (v3(engine=b"", flags=0), "engine_id"),
    ):
        assert reason(gate(), data) == wanted


def test_users_of_one_name_are_told_apart_by_their_digests() -> None:
    other = Auth("b", 3, username="trapper", security_level="authNoPriv", password="another-one", auth_protocol="SHA")
    one = gate(None, USER, other)
    assert one.admit(v3(auth=other), "a", 0).auth is other
    assert one.admit(v3(auth=USER), "a", 0).auth is USER


def test_a_message_is_refused_when_it_comes_again_or_too_late() -> None:
    one = gate()
    first = v3(5, 1_000)
    assert reason(one, first) == ""
    assert reason(one, first) == "replay"
    assert reason(one, v3(5, 900, number=2)) == ""  # late on the way, inside the window
    assert reason(one, v3(5, 849, number=3)) == "replay"
    assert reason(one, v3(5, 1_000, number=4), now=151.0) == "replay"
    assert reason(one, v3(4, 9_000, number=5)) == "replay"
    assert reason(one, v3(6, 0, number=6)) == ""  # restarted
    assert reason(one, v3(5, 1_100, number=7)) == "replay"
    assert reason(one, v3(5, 10, engine=SENDER + b"x")) == ""  # another engine has its own clock
    assert reason(one, v3((1 << 31) - 1, 0, number=8)) == "replay"


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_gate(data: bytes) -> None:
    reason(gate(), data)


@given(st.data(), st.sampled_from([trap(), trap(kind=0xA6), v3(), v3(engine=b"", flags=4)]))
def test_damaged_messages_never_upset_the_gate(data: st.DataObject, good: bytes) -> None:
    """Cut anywhere, or with any octet changed. A changed version 3 message is never taken for a signed one."""
    at = data.draw(st.integers(0, len(good) - 1))
    octet = bytes([data.draw(st.integers(0, 255))])
    bad = good[:at] if data.draw(st.booleans()) else good[:at] + octet + good[at + 1 :]
    one = gate()
    try:
        message: Message | None = one.admit(bad, "192.0.2.1", 0.0)
    except Refused:
        message = None
    if message and message.version == "3" and message.auth and bad != good:
        pytest.fail("accepted a message whose digest cannot be right")


@given(st.lists(st.floats(0, 3), max_size=300))
def test_a_bucket_gives_no_more_than_its_rate(waits: list[float]) -> None:
    bucket, now, given_out = Bucket(10.0, 50.0, 0.0), 0.0, 0
    for wait in waits:
        now += wait / 100
        given_out += bucket.take(now)
    assert given_out <= 50 + 10 * now + 1e-6


def test_a_flood_from_one_source_costs_the_others_nothing() -> None:
    one = gate(Limits(source_rate=1, source_burst=10, rate=1, burst=1_000))
    assert [reason(one, trap(), "192.0.2.1") for _ in range(5_000)].count("source_rate") == 4_990
    assert reason(one, trap(), "192.0.2.2") == ""


def test_what_is_refused_takes_nothing_from_what_all_share() -> None:
    one = gate(Limits(rate=0.001, burst=5))
    for number in range(500):
        assert reason(one, trap(b"wrong"), f"10.0.{number // 250}.{number % 250}") == "community"
    assert [reason(one, trap(), f"10.1.0.{number}") for number in range(7)] == [""] * 5 + ["rate"] * 2


def test_an_ipv6_source_is_its_network() -> None:
    one = gate(Limits(source_rate=0.001, source_burst=2))
    answers = [reason(one, trap(), f"2001:db8:0:1::{number:x}") for number in range(1, 5)]
    assert answers == ["", "", "source_rate", "source_rate"]
    assert reason(one, trap(), "2001:db8:0:2::1") == ""


def test_remembered_sources_are_bounded() -> None:
    one = gate(Limits(sources=100))
    for number in range(1_000):
        reason(one, trap(), f"10.0.{number // 250}.{number % 250}")
    assert one.sources == 100


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=80))
def test_the_longest_unused_goes_first(steps: list[tuple[bool, int]]) -> None:
    """Against a list as model."""
    lru: Lru[int, int] = Lru(4)
    model: list[int] = []
    for put, key in steps:
        if put:
            gone = lru.put(key, key)
            model = [one for one in model if one != key] + [key]
            assert (gone and gone[0]) == (model.pop(0) if len(model) > 4 else None)
        elif lru.get(key) is not None:
            model = [one for one in model if one != key] + [key]
        assert [one for one, _ in lru.items()] == model and len(lru) <= 4


@pytest.mark.parametrize(
    ("address", "source"),
    [(("10.0.0.1", 5), "10.0.0.1"), (("::ffff:10.0.0.1", 5, 0, 0), "10.0.0.1"), (("fe80::1%eth0", 5, 0, 3), "fe80::1")],
)
def test_sources_have_one_form(address: tuple[object, ...], source: str) -> None:
    assert source_of(address) == source


# Storms, with a clock of their own


def test_an_inform_that_comes_again_is_the_same_inform() -> None:
    seen = Duplicates(Limits(duplicate_seconds=300))
    assert not seen.again(link(LINK_DOWN), 7, 0.0)
    assert seen.again(link(LINK_DOWN), 7, 299.0)
    assert not seen.again(link(LINK_DOWN), 8, 299.0)
    assert not seen.again(link(LINK_DOWN, source="192.0.2.9"), 7, 299.0)
    assert not seen.again(link(LINK_DOWN, index=4), 7, 299.0)
    assert not seen.again(link(LINK_DOWN), 7, 600.0)


def test_a_flapping_interface_becomes_a_summary() -> None:
    flapping = Flapping(Limits(flap_changes=4, flap_seconds=60))
    shown = [len(flapping.show(link(LINK_DOWN if turn % 2 else LINK_UP), float(turn))) for turn in range(20)]
    assert shown == [1] * 4 + [0] * 16
    assert flapping.show(link(LINK_UP, index=9), 20.0) and flapping.show(event(COLD_START), 20.0)
    assert list(flapping.due(59.0)) == []
    (said,) = flapping.due(60.0)
    line = json.loads(said.line())
    assert (line["event"], line["changes"], line["notification"]) == ("snmp_flapping", 16, "linkDown")
    assert line["facts"] == {"ifIndex": 3} and list(flapping.due(120.0)) == []


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 6)), max_size=120))
def test_every_change_is_shown_or_summed_up(steps: list[tuple[int, int]]) -> None:
    """However a window ends (in time, by the next change, for want of room, at the end): none lost, none twice."""
    flapping = Flapping(Limits(flap_changes=2, flap_seconds=60, sources=3))
    now, counted = 0.0, 0
    for wait, index in steps:
        now += wait
        for one in [*flapping.show(link(LINK_DOWN, index), now), *(flapping.due(now) if wait % 3 == 0 else ())]:
            counted += one.changes or 1
    assert counted + sum(one.changes for one in flapping.rest()) == len(steps)


def test_a_target_is_polled_once_in_a_while_and_once_more_at_the_end() -> None:
    polls = Polls(Limits(poll_seconds=10))
    assert polls.ask(link(LINK_DOWN), 0.0)
    assert not polls.ask(link(LINK_UP), 2.0) and not polls.ask(link(LINK_DOWN), 9.0)
    assert polls.ask(link(LINK_DOWN, source="192.0.2.2"), 9.0)
    assert list(polls.due(9.5)) == []
    assert [one.notification for one in polls.due(10.0)] == ["linkDown"]
    assert not polls.ask(link(LINK_UP), 11.0)
    assert [one.notification for one in polls.due(20.0)] == ["linkUp"]
    assert list(polls.due(40.0)) == [] and polls.ask(link(LINK_DOWN), 41.0)


@given(st.lists(st.integers(0, 4), max_size=100))
def test_a_target_is_never_polled_sooner_than_allowed(waits: list[int]) -> None:
    polls, now, times = Polls(Limits(poll_seconds=10)), 0.0, []
    for wait in waits:
        now += wait
        times += [now] * polls.ask(link(LINK_DOWN), now)
        times += [now for _ in polls.due(now)]
    assert all(later - sooner >= 10 for sooner, later in pairwise(times))
    if waits:
        assert times


def test_storms_forget_what_is_old() -> None:
    """Sources that differ each time: bounded in all three."""
    limits = Limits(sources=50)
    seen, flapping, polls = Duplicates(limits), Flapping(limits), Polls(limits)
    for number in range(500):
        one = link(LINK_DOWN, source=f"10.0.{number // 250}.{number % 250}")
        assert not seen.again(one, 1, 0.0) and flapping.show(one, 0.0) == [one] and polls.ask(one, 0.0)
    for held in (seen._seen, flapping._interfaces, polls._targets):
        assert len(held) == 50


def test_only_changes_of_state_ask_for_a_poll() -> None:
    assert {entry.name for entry in CATALOGUE.entries if entry.poll} == {"coldStart", "warmStart", "linkDown", "linkUp"}
