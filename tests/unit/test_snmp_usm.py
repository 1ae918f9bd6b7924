"""The user-based security model against a device made of pysnmp's parts, against forgers, and against rubbish."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from usm_device import (
    DECRYPTION,
    DIGEST,
    ENGINE,
    LEVEL,
    LEVELS,
    STATS,
    SYS_NAME,
    TIME,
    USER,
    Device,
    Request,
    response_pdu,
)

from egov_exporters.snmp import engine as engine_module
from egov_exporters.snmp.ber import (
    GET,
    OBJECT_IDENTIFIER,
    SEQUENCE,
    BadMessage,
    encode_integer,
    encode_tlv,
    oid_octets,
)
from egov_exporters.snmp.config import AUTH_PROTOCOL_NAMES, PRIV_PROTOCOL_NAMES, Auth
from egov_exporters.snmp.devices import OCTETS_V3
from egov_exporters.snmp.engine import Engines
from egov_exporters.snmp.security import Again
from egov_exporters.snmp.session import Rejected
from egov_exporters.snmp.usm import Usm

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

NOC = Auth(
    "lab", 3, username="noc", security_level="authPriv", password="auth-password", auth_protocol="SHA256",
    priv_protocol="AES", priv_password="priv-password", context_name="vlan-7",
)  # fmt: skip
LAST = 2**31 - 1
OTHER_ID = bytes.fromhex("8000000903000c0102030405")
REFUSALS = [
    (LEVEL, "does not offer this security level to the user"),
    (USER, "does not know the user"),
    (DIGEST, "rejects the authentication (wrong password or protocol)"),
    (DECRYPTION, "rejects the encryption (wrong priv_password or priv_protocol)"),
    ((1, 3, 6, 1, 6, 3, 12, 1, 4, 0), "does not offer the context now"),
    ((1, 3, 6, 1, 6, 3, 12, 1, 5, 0), "does not know the context"),
    ((1, 3, 6, 1, 6, 3, 11, 2, 1, 3, 0), "refuses the request with a report that is not known here"),
]


def pdu(number: int) -> bytes:
    """A Get of one name."""
    names = encode_tlv(
        SEQUENCE, encode_tlv(SEQUENCE, encode_tlv(OBJECT_IDENTIFIER, oid_octets(SYS_NAME)) + b"\x05\x00")
    )
    return encode_tlv(GET, encode_integer(number) + encode_integer(0) * 2 + names)


@dataclass
class Talk:
    """A Usm and a device, both at a clock that the test moves."""

    auth: Auth = NOC
    device: Device = field(default_factory=lambda: Device(NOC))
    engines: Engines = field(default_factory=Engines)
    now: float = 1_000.0
    number: int = 0x10000000
    again: int = 0

    def __post_init__(self) -> None:
        self.usm = Usm("switch", self.auth, self.engines, lambda: self.now)

    def sleep(self, seconds: int) -> None:
        """Time passes here and there."""
        self.now += seconds
        self.device.now += seconds

    def seal(self, number: int | None = None) -> bytes:
        """A request with a new number, or this one."""
        if number is None:
            self.number += 1
            number = self.number
        return self.usm.seal(number, pdu(number))

    def ask(self) -> bytes:
        """One request as the wire does it: sealed again at most twice."""
        datagram = self.seal()
        for self.again in range(3):
            try:
                return self.usm.open(self.device.answer(datagram))
            except Again:
                datagram = self.seal(self.number)
        pytest.fail("sealed again for ever")

    def warm(self) -> Talk:
        """After a first request."""
        assert b"canary-name" in self.ask()
        return self

    def pending(self) -> Request:
        """A request that was sent and not answered yet, as the device reads it."""
        return self.device.read(self.seal())


def talk(**changes: Any) -> Talk:
    """A talk with a device that has the same user."""
    auth = replace(NOC, **changes)
    return Talk(auth, Device(auth))


@pytest.mark.parametrize("digest", AUTH_PROTOCOL_NAMES)
@pytest.mark.parametrize("cipher", PRIV_PROTOCOL_NAMES)
def test_pysnmp_reads_us_and_we_read_pysnmp(digest: str, cipher: str) -> None:
    """Each pair of protocols: what arrives is what was sent, in both directions."""
    one = talk(auth_protocol=digest, priv_protocol=cipher).warm()
    one.device.value = b"\xa5" * 1_400
    for _ in range(3):
        assert one.device.value in one.ask() and one.again == 0
    request = one.device.heard[-1]
    assert (request.message_id, request.request_id, request.flags) == (one.number, one.number, 7)
    assert (request.user, request.context) == (b"noc", (one.device.engine_id, b"vlan-7"))
    assert (request.engine_id, request.boots, request.time) == (one.usm.engine_id, 3, 5_000)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("number", [0, 1, 127, 128, 0x7FFFFF, 0x800000, LAST])
def test_levels_and_ids(level: str, number: int) -> None:
    """Ids of all widths, at each level; the reply is the PDU from its tag on."""
    one = talk(security_level=level).warm()
    request = one.device.read(one.seal(number))
    assert request.flags == 4 | LEVELS[level]
    assert one.usm.open(one.device.respond(request)).startswith(b"\xa2")
    assert level != "noAuthNoPriv" or (request.boots, request.time) == (0, 0)


@pytest.mark.parametrize("digest", AUTH_PROTOCOL_NAMES)
@pytest.mark.parametrize("cipher", PRIV_PROTOCOL_NAMES)
def test_the_largest_reply_that_is_asked_for_fits_a_frame(digest: str, cipher: str) -> None:
    """Else a device cuts it short, and what was learned of it never holds. A reply is wrapped as a request is."""
    one = talk(auth_protocol=digest, priv_protocol=cipher, username="n" * 32).warm()
    assert len(one.usm.seal(1, bytes(OCTETS_V3))) <= 1_472


@pytest.mark.parametrize("cipher", ["AES", "DES"])
def test_no_salt_comes_twice(cipher: str) -> None:
    """Also not for one request that is sent again; and another session does not begin where this one did."""
    salts = set()
    for _ in range(2):
        one = talk(priv_protocol=cipher).warm()
        salts |= {one.device.read(one.seal(number)).salt for number in [1, 1, 1, *range(2, 50)]}
    assert len(salts) == 2 * 51


def test_what_passed_on_the_clock_is_sent() -> None:
    """The engine's time runs on between requests, and the boots stay."""
    one = talk().warm()
    for seconds in (1, 60, 100_000):
        one.sleep(seconds)
        assert one.ask() and one.again == 0
        assert (one.device.heard[-1].boots, one.device.heard[-1].time) == (3, one.device.now)


@pytest.mark.parametrize("level", ["authPriv", "authNoPriv"])
def test_an_octet_that_was_changed_makes_a_bad_message(level: str) -> None:
    """Each bit of a reply. None of it is taken, nothing is learned from it, and the true reply still counts."""
    one = talk(security_level=level).warm()
    reply = one.device.respond(one.pending())
    for at in range(len(reply)):
        for bit in range(8):
            data = bytearray(reply)
            data[at] ^= 1 << bit
            with pytest.raises(BadMessage):
                one.usm.open(bytes(data))
    for size in range(len(reply)):
        with pytest.raises(BadMessage):
            one.usm.open(reply[:size])
    with pytest.raises(BadMessage):
        one.usm.open(reply + b"\0")
    assert b"canary-name" in one.usm.open(reply)
    assert one.ask() and one.again == 0


@pytest.mark.parametrize("changes", [{"engine_id": OTHER_ID}, {"user": b"root"}, {"context": b""}, {"request_id": 77}])
def test_unsigned_replies_that_are_not_ours(changes: dict[str, Any]) -> None:
    """Without a digest the names and numbers are all there is to compare."""
    one = talk(security_level="noAuthNoPriv").warm()
    request = one.pending()
    with pytest.raises(BadMessage):
        one.usm.open(one.device.respond(request, **changes))
    assert one.usm.open(one.device.respond(request))


def test_replies_that_are_not_ours() -> None:
    """Another id, user, engine, context or a request in place of a reply: each under a right digest, none taken."""
    one = talk().warm()
    request = one.pending()
    device = one.device
    for data in (
        device.respond(replace(request, message_id=77)),
        device.respond(request, request_id=77),
        device.respond(request, user=b"root"),
        device.respond(request, context=b"vlan-8"),
        device.message(request.message_id, request.pdu, 3, context=b"vlan-7"),
        Device(NOC, OTHER_ID).respond(request),
    ):
        with pytest.raises(BadMessage):
            one.usm.open(data)
    assert one.usm.open(device.respond(request))
    with pytest.raises(BadMessage):  # a reply counts once
        one.usm.open(device.respond(request))


@pytest.mark.parametrize(
    ("asked", "given_levels"), [("authPriv", [0, 1]), ("authNoPriv", [0, 3]), ("noAuthNoPriv", [1, 3])]
)
def test_another_level_than_was_asked(asked: str, given_levels: list[int]) -> None:
    """A device that answers less securely, or in a way that was not asked for."""
    one = talk(security_level=asked).warm()
    request = one.pending()
    for level in given_levels:
        with pytest.raises(BadMessage):
            one.usm.open(one.device.respond(request, level))
    assert one.usm.open(one.device.respond(request))


def test_a_replay_outside_the_time_window() -> None:
    """A reply with the right id and digest, but made more than 150 s or a boot ago."""
    one = talk().warm()
    old = one.device.respond(one.pending())
    one.sleep(140)
    assert one.ask()
    one.seal(one.number - 1)
    assert one.usm.open(old)  # inside the window
    old = one.device.respond(one.pending())
    number = one.number
    one.sleep(152)
    one.seal(number)
    with pytest.raises(BadMessage):  # our own clock is enough
        one.usm.open(old)
    one.device.boots, one.device.now = 4, 10
    assert one.ask() and one.again == 1
    one.seal(number)
    with pytest.raises(BadMessage):  # of an earlier boot
        one.usm.open(old)
    assert one.ask() and one.again == 0


def test_an_older_time_does_not_set_the_clock_back() -> None:
    """Replies overtake each other: the latest time counts (RFC 3414 2.3)."""
    one = talk().warm()
    first, second = one.pending(), one.pending()
    later = one.device.respond(second, now=one.device.now + 100)
    earlier = one.device.respond(first)
    assert one.usm.open(later) and one.usm.open(earlier)
    assert one.device.read(one.seal()).time == one.device.now + 100


def test_a_reboot_and_boots_that_were_reset() -> None:
    """One report, one request sealed again, and the reply: also when the boots begin at 1 again."""
    one = talk().warm()
    for boots, now in ((4, 3), (9, 100), (1, 2), (1, 900_000), (1, 5)):
        one.device.boots, one.device.now = boots, now
        assert one.ask() and one.again == 1
        assert one.ask() and one.again == 0


def test_a_replaced_device() -> None:
    """Another engine ID under the same address: learned within the request, and noted; then the old one comes back."""
    one = talk().warm()
    old = one.device
    for device in (Device(NOC, OTHER_ID, boots=1, now=7), Device(NOC, b"short"), Device(NOC, b"x" * 32), old):
        one.device = device
        assert one.ask() and 1 <= one.again <= 2
        assert one.ask() and one.again == 0
        assert one.usm.engine_id == device.engine_id
        assert one.engines.addresses(device.engine_id) == {"switch"}
    assert not one.engines.addresses(OTHER_ID)


def test_a_device_that_hides_its_clock() -> None:
    """A device need not show boots and time in its first report: it says them, signed, in a second one."""
    one = talk()
    with pytest.raises(Again):
        one.seal()
        one.usm.open(one.device.report(one.number, ENGINE, boots=0, now=0))
    reply = one.device.answer(one.seal(one.number))
    with pytest.raises(Again):
        one.usm.open(reply)
    assert one.usm.open(one.device.answer(one.seal(one.number)))


@pytest.mark.parametrize(("boots", "now"), [(0, 0), (LAST, LAST), (2, 4_000), (4, 0)])
def test_an_unsigned_report_sets_no_authentic_clock(boots: int, now: int) -> None:
    """A forger who knows the id: about time he is not heard, and with our engine's own ID he changes nothing."""
    one = talk().warm()
    request = one.pending()
    for oid in (TIME, ENGINE):
        with pytest.raises(BadMessage):
            one.usm.open(one.device.report(request.message_id, oid, boots=boots, now=now))
    assert one.usm.open(one.device.respond(request))
    one.usm.doubt()
    one.seal()
    with pytest.raises(Again):
        one.usm.open(one.device.report(one.number, ENGINE, boots=boots, now=now))
    again = one.device.read(one.seal(one.number))
    assert (again.boots, again.time) == (3, one.device.now)


def test_a_first_report_that_lies_about_the_clock() -> None:
    """Before anything was signed a forger is believed, until the device itself speaks: one request more."""
    for boots, now in ((LAST, LAST), (LAST, 0), (900, 5), (0, LAST)):
        one = talk()
        one.seal()
        with pytest.raises(Again):
            one.usm.open(one.device.report(one.number, ENGINE, boots=boots, now=now))
        assert one.ask() and one.again == 1
        assert one.ask() and one.again == 0


def test_a_forged_engine_costs_one_report() -> None:
    """Somebody says "I am another engine": the true one says so too, and its clock was kept."""
    one = talk().warm()
    one.seal()
    with pytest.raises(Again):
        one.usm.open(one.device.report(one.number, ENGINE, engine_id=OTHER_ID, boots=LAST, now=LAST))
    assert one.ask() and one.again == 1
    assert (one.device.heard[-1].boots, one.device.heard[-1].time) == (3, one.device.now)
    assert one.engines.addresses(one.usm.engine_id) == {"switch"}


def test_a_signed_reply_outweighs_an_unsigned_claim() -> None:
    """While a forger speaks of another engine, a reply of the true one arrives: it is taken, and back in use."""
    one = talk().warm()
    first, second = one.pending(), one.pending()
    with pytest.raises(Again):
        one.usm.open(one.device.report(second.message_id, ENGINE, engine_id=OTHER_ID))
    assert one.usm.engine_id == OTHER_ID
    assert one.usm.open(one.device.respond(first))
    assert one.usm.engine_id == one.device.engine_id


def test_claims_cost_no_keys_and_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hundred engine IDs, each with a right id: no key is made for them, few are kept, the true one always."""
    one = talk().warm()
    made: list[bytes] = []
    original = engine_module.keys_for
    monkeypatch.setattr(engine_module, "keys_for", lambda auth, name: made.append(name) or original(auth, name))
    request = one.pending()
    number, rejected = request.message_id, 0
    for claimed in range(300):
        try:
            one.usm.open(one.device.report(number, ENGINE, engine_id=claimed.to_bytes(8, "big")))
        except Again:
            continue
        except Rejected:
            rejected += 1
            one.usm.doubt()
            one.seal()
            number = one.number
    assert made == [] and rejected == 100
    assert len(one.usm._known) <= 4 and one.device.engine_id in one.usm._known


def stubborn(one: Talk, report: Any) -> int:
    """Give the same kind of report to one request for ever: how many were needed until Rejected."""
    number = one.pending().message_id
    for count in range(1, 20):
        try:
            one.usm.open(report(number, count))
        except Again:
            one.seal(number)
        except BadMessage:
            one.seal(number)  # the wire sends it again when nothing comes
        except Rejected as why:
            assert "its own engine ID" in str(why) or "sharing one engine ID" in str(why)
            return count
    pytest.fail("no end")


def test_no_device_makes_us_ask_for_ever() -> None:
    """Signed reports about time, one engine, a new engine each time: the end is near, and has its sentence."""
    one = talk().warm()
    device = one.device
    assert stubborn(one, lambda number, count: device.report(number, TIME, 1)) <= 4
    assert stubborn(one, lambda number, count: device.report(number, TIME, 1, boots=count, now=count)) <= 4
    assert stubborn(one, lambda number, count: device.report(number, ENGINE)) <= 4
    assert stubborn(one, lambda number, count: device.report(number, ENGINE, engine_id=bytes((count,)) * 9)) <= 4
    assert one.ask()


def test_boots_at_their_end() -> None:
    """An engine whose boots reached 2^31 - 1 takes nobody's word any more, and we none of its."""
    one = talk().warm()
    request = one.pending()
    with pytest.raises(BadMessage):
        one.usm.open(one.device.respond(request, boots=LAST))
    one = talk().warm()
    with pytest.raises(Rejected, match="another engine time"):
        one.usm.open(one.device.report(one.pending().message_id, TIME, 1, boots=LAST))


def test_four_requests_in_flight_at_a_reboot() -> None:
    """Each is told once, sealed again and answered; what the network doubles or delays does no harm."""
    one = talk().warm()
    numbers = range(0x20000000, 0x20000004)
    sealed = [one.seal(number) for number in numbers]
    one.device.boots, one.device.now = 4, 2
    reports = [one.device.answer(datagram) for datagram in sealed]
    late = [one.device.answer(one.seal(numbers[0])) for _ in range(2)]  # it was sent again before the report came
    replies = []
    for number, report in zip(numbers, reports, strict=True):
        with pytest.raises(Again):
            one.usm.open(report)
        replies.append(one.device.answer(one.seal(number)))
    for report in (*late, reports[1], reports[2]):
        with pytest.raises(BadMessage):
            one.usm.open(report)
    assert all(b"canary-name" in one.usm.open(reply) for reply in replies)


def test_reports_that_overtake_each_other() -> None:
    """After a reboot the later report came first: the earlier one does not set the clock back."""
    one = talk().warm()
    first, second = one.pending(), one.pending()
    one.device.boots, one.device.now = 4, 100
    for request, now in ((second, 100), (first, 2)):
        with pytest.raises(Again):
            one.usm.open(one.device.report(request.message_id, TIME, 1, now=now))
    request = one.device.read(one.seal())
    assert (request.boots, request.time) == (4, 100)


def test_boots_that_rise_in_a_reply() -> None:
    """They are in the very next request, also within the same second of the engine's time."""
    one = talk().warm()
    one.device.boots = 4
    assert one.usm.open(one.device.respond(one.pending()))
    assert one.device.read(one.seal()).boots == 4


def test_first_requests_at_once() -> None:
    """Four requests before the engine is known: four reports, each tells its own request to go on."""
    one = talk()
    numbers = range(1, 5)
    reports = [one.device.answer(one.seal(number)) for number in (*numbers, 1, 1)]
    for number, report in zip(numbers, reports, strict=False):
        with pytest.raises(Again):
            one.usm.open(report)
        one.seal(number)
    for report in (reports[4], reports[5], reports[1]):
        with pytest.raises(BadMessage):
            one.usm.open(report)
    assert all(one.usm.open(one.device.answer(one.seal(number))) for number in numbers)


@pytest.mark.parametrize(("oid", "words"), REFUSALS)
@pytest.mark.parametrize("level", [0, 1, 3])
def test_refusals(oid: tuple[int, ...], words: str, level: int) -> None:
    """Each report has its sentence, signed or not, with the instance or without; the next request is free to try."""
    one = talk().warm()
    for name in (oid, oid[:-1]) if words != REFUSALS[-1][1] else (oid,):
        with pytest.raises(Rejected) as caught:
            one.usm.open(one.device.report(one.pending().message_id, name, level))
        assert str(caught.value) == words
    assert one.ask() and one.again == 0


def test_wrong_credentials_as_the_rfc_answers_them() -> None:
    """Password, user and level; the engine is learned before, and nothing is noted as answered."""
    for changes, words in (
        ({"password": "another"}, "rejects the authentication"),
        ({"auth_protocol": "SHA512"}, "rejects the authentication"),
        ({"username": "nobody"}, "does not know the user"),
        ({"security_level": "authNoPriv"}, "does not offer this security level"),
    ):
        one = Talk(replace(NOC, **changes), Device(NOC))
        with pytest.raises(Rejected, match=words):
            one.ask()
        assert not one.engines.addresses(one.device.engine_id)


def test_reports_that_only_a_forger_sends() -> None:
    """Signed with other keys, of another engine, about requests that are not under way, or answering twice."""
    one = talk().warm()
    request = one.pending()
    forger = Device(replace(NOC, password="guessed"))
    for data in (
        forger.report(request.message_id, DIGEST, 1),
        forger.report(request.message_id, TIME, 1),
        Device(NOC, OTHER_ID).report(request.message_id, TIME, 1),
        one.device.report(request.message_id, DIGEST, engine_id=OTHER_ID),
        one.device.report(request.message_id, DIGEST, 1, user=b"root"),
        one.device.report(77, DIGEST),
        one.device.report(request.message_id, ENGINE, engine_id=b""),
        one.device.report(request.message_id, DIGEST, 1, now=one.device.now - 200),
    ):
        with pytest.raises(BadMessage):
            one.usm.open(data)
    assert one.usm.open(one.device.respond(request))


def test_a_response_to_the_first_question_is_not_an_answer() -> None:
    """Nobody asked for a value yet, and it is not signed."""
    one = talk()
    one.seal()
    scoped = response_pdu(Device(NOC).read(talk().seal()).pdu, one.number, SYS_NAME, b"x")
    for data in (
        one.device.message(one.number, scoped, 0),
        one.device.message(one.number, scoped, 3),
    ):
        with pytest.raises(BadMessage):
            one.usm.open(data)


def test_many_requests_without_an_answer_are_not_kept() -> None:
    """Silent devices cost no memory; the newest requests are the ones that count."""
    one = talk().warm()
    requests = [one.pending() for _ in range(1_000)]
    assert len(one.usm._asked) <= 128
    assert one.usm.open(one.device.respond(requests[-1]))
    with pytest.raises(BadMessage):
        one.usm.open(one.device.respond(requests[0]))


def test_the_register() -> None:
    """Addresses by engine; one that moved or was forgotten is not counted any more."""
    engines = Engines()
    for address, engine_id in (("a", b"1"), ("b", b"1"), ("c", b"2"), ("a", b"1")):
        engines.note(address, engine_id)
    assert engines.shared() == {b"1": {"a", "b"}}
    assert (engines.others("a"), engines.others("c"), engines.others("none")) == ({"b"}, set(), set())
    engines.note("c", b"1")
    assert engines.others("c") == {"a", "b"} and not engines.addresses(b"2")
    engines.note("a", b"3")
    engines.forget("b")
    engines.forget("b")
    assert engines.shared() == {}


def test_a_device_that_was_forgotten_is_noted_again() -> None:
    """By its next reply."""
    one = talk().warm()
    one.engines.forget("switch")
    assert one.ask() and one.engines.addresses(one.usm.engine_id) == {"switch"}


def test_devices_with_one_engine_id_keep_their_own_clocks() -> None:
    """Two cloned switches: both are read all the time without a report, and the register tells."""
    engines = Engines()
    talks = [Talk(NOC, Device(NOC, boots=boots, now=now), engines) for boots, now in ((3, 5_000), (90, 17))]
    for name, one in enumerate(talks):
        one.usm = Usm(name, NOC, engines, lambda one=one: one.now)
        one.warm()
    for _ in range(3):
        for one in talks:
            one.sleep(30)
            assert one.ask() and one.again == 0
    assert engines.shared() == {talks[0].device.engine_id: {0, 1}}


WARM = talk().warm()
WARM_REQUEST = WARM.pending()
GENUINE = [
    WARM.device.respond(WARM_REQUEST),
    WARM.device.report(WARM_REQUEST.message_id, ENGINE, engine_id=OTHER_ID),
    WARM.device.report(WARM_REQUEST.message_id, TIME, 1),
    WARM.device.report(WARM_REQUEST.message_id, (*STATS, 9, 0), 3),
]


@st.composite
def rubbish(draw: st.DrawFn) -> bytes:
    """Octets, or a message with octets changed, cut or put in."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=150))
    data = bytearray(draw(st.sampled_from(GENUINE)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=5))
    return bytes(data)


@given(st.lists(rubbish(), max_size=8))
@settings(max_examples=400)
def test_rubbish_is_refused_and_forgotten(datagrams: list[bytes]) -> None:
    """Only the three ways out that `Security.open` names; no value is taken, and the device is read afterwards."""
    one = talk().warm()
    number = WARM_REQUEST.message_id
    one.number = number
    for data in datagrams:
        one.seal(number)
        if data in GENUINE:
            continue
        with pytest.raises((BadMessage, Again, Rejected)):
            one.usm.open(data)
    assert b"canary-name" in one.ask()
