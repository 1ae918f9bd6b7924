"""Traps and informs from net-snmp's own senders, and from a raw socket what no honest sender would send.

If this fails, a device's cry might go unheard, an inform unanswered, a wrong password pass, or a storm of traps stop
the scrapes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from exporter_lab import need
from prometheus_client import CollectorRegistry

from egov_exporters.snmp import ber, traps
from egov_exporters.snmp.config import Auth
from egov_exporters.snmp.events import SNMP_TRAP_OID, Event
from egov_exporters.snmp.oid import parse_oid
from egov_exporters.snmp.trap_engine import Engine, engine_id
from egov_exporters.snmp.trap_gate import Gate, Limits
from egov_exporters.snmp.trap_metrics import REASONS, TrapMetrics
from egov_exporters.snmp.traps import OnEvent, TrapReceiver, passed_sockets, serve_traps

COMMUNITY, AUTH_PASS, PRIV_PASS = "community-canary-0", "auth-pass-canary-1", "priv-pass-canary-2"
DIGESTS = {"MD5": "MD5", "SHA": "SHA"} | {f"SHA{size}": f"SHA-{size}" for size in (224, 256, 384, 512)}
CIPHERS = {"DES": "DES", "AES": "AES"} | {f"AES{size}": f"AES-{size}" for size in (192, 256)}
CIPHERS |= {"AES192C": "AES-192-C", "AES256C": "AES-256-C"}
PAIRS = [(digest, "AES") for digest in DIGESTS] + [("SHA256", cipher) for cipher in CIPHERS if cipher != "AES"]
PAIRS += [("SHA512", "AES256"), ("MD5", "AES256C")]  # keys that must be cut, and made longer
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
PORT_3 = ["1.3.6.1.2.1.2.2.1.1.3", "i", "3", "1.3.6.1.2.1.31.1.1.1.1.3", "s", "Gi0/3"]


def user(name: str, digest: str = "SHA256", cipher: str = "AES", **changes: Any) -> Auth:
    values = {"username": name, "security_level": "authPriv", "password": AUTH_PASS, "auth_protocol": digest}
    values |= {"priv_protocol": cipher, "priv_password": PRIV_PASS} | changes
    return Auth(f"auth-{name}", 3, **values)


AUTHS = {
    auth.name: auth
    for auth in (
        Auth("city", community=COMMUNITY),
        user("noc"),
        user("signed", security_level="authNoPriv"),
        user("open", security_level="noAuthNoPriv"),
        *(user(f"u{digest}{cipher}", digest, cipher) for digest, cipher in PAIRS),
    )
}


def sender_environment(folder: Path) -> dict[str, str]:
    """net-snmp keeps its state in the test's folder, and loads no MIB."""
    return os.environ | {"SNMP_PERSISTENT_DIR": str(folder), "SNMPCONFPATH": str(folder), "MIBS": ""}


@dataclass
class Receiving:
    """A receiver with what it said, asked for and counted."""

    receiver: TrapReceiver
    registry: CollectorRegistry
    folder: Path
    lines: list[str] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def count(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(name, labels)
        assert value is not None, (name, labels)
        return value

    def dropped(self) -> dict[str, float]:
        """What was dropped, by reason."""
        counts = {reason: self.count("egov_snmp_traps_dropped_total", reason=reason) for reason in REASONS}
        return {reason: count for reason, count in counts.items() if count}

    async def until(self, ready: Callable[[], bool], seconds: float = 15) -> None:
        """Wait until something is so; fails with what is known."""
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end, (self.lines, self.dropped())
            await asyncio.sleep(0.01)

    async def send(self, program: str, *arguments: str, place: int = 0) -> tuple[int, str]:
        """Run net-snmp's sender against socket number `place`: exit code and output."""
        host, port = self.receiver.addresses[place]
        target = f"udp6:[{host}]:{port}" if ":" in host else f"{host}:{port}"
        at = next((n for n, one in enumerate(arguments) if one == "TO"), len(arguments))
        argv = [need(program, "snmp"), *arguments[:at], target, *arguments[at + 1 :]]
        env = sender_environment(self.folder)
        child = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=env
        )
        output, _ = await child.communicate()
        return child.returncode or 0, output.decode(errors="replace")


@asynccontextmanager
async def receiving(
    folder: Path, on_event: OnEvent | None = None, limits: Limits | None = None, hosts: tuple[str, ...] = ("127.0.0.1",)
) -> AsyncIterator[Receiving]:
    """A receiver on free ports; afterwards no line may hold a secret."""
    registry = CollectorRegistry()
    lines: list[str] = []
    places = [(host, 0) for host in hosts]
    receiver = await serve_traps(
        AUTHS, places, TrapMetrics(registry), on_event, limits=limits or Limits(), emit=lines.append
    )
    try:
        yield Receiving(receiver, registry, folder, lines)
    finally:
        receiver.close()
    assert not [secret for secret in (COMMUNITY, AUTH_PASS, PRIV_PASS) if secret in "\n".join(lines)]


def run(body: Awaitable[None]) -> None:
    """Run one test's coroutine."""

    async def bounded() -> None:
        async with asyncio.timeout(120):
            await body

    asyncio.run(bounded())


def v2c(*more: str, community: str = COMMUNITY) -> list[str]:
    return ["-v2c", "-c", community, *more, "TO", "", LINK_DOWN, *PORT_3]


def v3(auth: Auth, *more: str, **changes: str) -> list[str]:
    words = {"-u": auth.username, "-l": auth.security_level}
    if auth.security_level != "noAuthNoPriv":
        words |= {"-a": DIGESTS[auth.auth_protocol], "-A": auth.password}
    if auth.security_level == "authPriv":
        words |= {"-x": CIPHERS[auth.priv_protocol], "-X": auth.priv_password}
    words |= {f"-{key}": value for key, value in changes.items()}
    return ["-v3", *more, *(part for pair in words.items() for part in pair), "TO", "", LINK_DOWN, *PORT_3]


def datagram(number: int = 1, community: str = COMMUNITY, kind: int = 0xA7, oid: str = LINK_DOWN) -> bytes:
    """A version 2c notification with a number of its own."""
    pairs = ((SNMP_TRAP_OID, 6, ber.oid_octets(parse_oid(oid))), ((1, 3, 6, 1, 9), 2, ber.integer_octets(number)))
    bound = b"".join(
        ber.encode_tlv(0x30, ber.encode_tlv(6, ber.oid_octets(name)) + ber.encode_tlv(tag, raw))
        for name, tag, raw in pairs
    )
    numbers = ber.encode_integer(number) + ber.encode_integer(0) * 2
    head = ber.encode_integer(1) + ber.encode_tlv(4, community.encode())
    return ber.encode_tlv(0x30, head + ber.encode_tlv(kind, numbers + ber.encode_tlv(0x30, bound)))


def test_version_2c_over_both_families(tmp_path: Path) -> None:
    async def body() -> None:
        polls: list[Event] = []
        async with receiving(tmp_path, polls.append, hosts=("127.0.0.1", "::1")) as ours:
            for place in (0, 1):
                assert (await ours.send("snmptrap", *v2c(), place=place))[0] == 0
            await ours.until(lambda: len(polls) == 2)
            assert [event["source"] for event in ours.events] == ["127.0.0.1", "::1"]
            for event in ours.events:
                assert (event["notification"], event["version"], event["kind"]) == ("linkDown", "2c", "trap")
                assert event["facts"] == {"ifIndex": 3, "ifName": "Gi0/3"} and event["auth"] == "city"
            assert ours.count("egov_snmp_traps_total", notification="linkDown", version="2c") == 2
            assert [event.origin.source for event in polls] == ["127.0.0.1", "::1"] and not ours.dropped()

    run(body())


@pytest.mark.parametrize(
    ("enterprise", "generic", "specific", "oid", "name"),
    [
        ("1.3.6.1.4.1.8072", "2", "0", LINK_DOWN, "linkDown"),
        ("1.3.6.1.4.1.8072", "4", "0", "1.3.6.1.6.3.1.1.5.5", "authenticationFailure"),
        ("1.3.6.1.4.1.318", "6", "5", "1.3.6.1.4.1.318.0.5", "upsOnBattery"),
        ("1.3.6.1.2.1.33.2", "6", "1", "1.3.6.1.2.1.33.2.0.1", "upsOnBattery"),
        ("1.3.6.1.2.1.15.7", "6", "2", "1.3.6.1.2.1.15.7.0.2", "bgpBackwardTransition"),
        ("1.3.6.1.4.1.4242", "6", "99", "1.3.6.1.4.1.4242.0.99", "other"),
    ],
)
def test_version_1_is_translated(
    tmp_path: Path, enterprise: str, generic: str, specific: str, oid: str, name: str
) -> None:
    """As RFC 3584 says; the community, which the translation puts into a varbind, is hidden."""

    async def body() -> None:
        async with receiving(tmp_path) as ours:
            words = ["-v1", "-c", COMMUNITY, "TO", enterprise, "10.9.8.7", generic, specific, "4200"]
            await ours.send("snmptrap", *words, "1.3.6.1.9.1", "s", f"it is {COMMUNITY}!")
            await ours.until(lambda: bool(ours.lines))
            (event,) = ours.events
            assert (event["oid"], event["notification"], event["version"]) == (oid, name, "1")
            assert (event["agent"], event["uptime_seconds"]) == ("10.9.8.7", 42.0)
            assert event["varbinds"]["1.3.6.1.6.3.1.1.4.3.0"] == enterprise
            assert event["varbinds"]["1.3.6.1.6.3.18.1.4.0"] == event["varbinds"]["1.3.6.1.9.1"] == "(hidden)"
            assert ours.count("egov_snmp_traps_total", notification=name, version="1") == 1

    run(body())


def test_version_3_with_each_pair_of_protocols(tmp_path: Path) -> None:
    """As trap, where the sender's engine ID counts (another one each time), and as inform, where ours does."""

    async def body() -> None:
        async with receiving(tmp_path) as ours:
            wanted = []
            for number, auth in enumerate(one for one in AUTHS.values() if one.version == 3):
                await ours.send("snmptrap", *v3(auth, "-e", f"0x80000000010203{number:02x}"))
                code, output = await ours.send("snmpinform", *v3(auth, "-r", "1", "-t", "5"))
                assert code == 0, (auth.name, output)
                wanted += [(auth.name, "trap"), (auth.name, "inform")]
            total = lambda: ours.count("egov_snmp_traps_total", notification="linkDown", version="3")  # noqa: E731
            await ours.until(lambda: total() == len(wanted))
            shown = [(event["auth"], event["kind"]) for event in ours.events if event["event"] == "snmp_notification"]
            assert shown == wanted[: len(shown)] and not ours.dropped()
            assert ours.count("egov_snmp_trap_reports_total") >= len(PAIRS)

    run(body())


def test_informs_are_answered_and_counted_once(tmp_path: Path) -> None:
    """net-snmp waits for the answer; the same datagram again is answered again, but is no new event."""

    async def body() -> None:
        async with receiving(tmp_path) as ours:
            code, output = await ours.send("snmpinform", *v2c("-r", "0", "-t", "5"))
            assert code == 0, output
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                await loop.sock_connect(sender, ours.receiver.addresses[0])
                for number in (70_000, 70_000, 70_001):
                    await loop.sock_sendall(sender, datagram(number, kind=0xA6))
                    async with asyncio.timeout(5):
                        data = await loop.sock_recv(sender, 4_096)
                    answer = ber.decode_pdu(data[data.index(b"\xa2") :])
                    assert (answer.request_id, answer.error_status) == (number, 0)
            assert len(ours.events) == 3 and ours.count("egov_snmp_trap_duplicates_total") == 1
            assert ours.count("egov_snmp_traps_total", notification="linkDown", version="2c") == 3

    run(body())


def test_who_is_not_known_is_counted_and_dropped(tmp_path: Path) -> None:
    async def body() -> None:
        noc, signed = AUTHS["auth-noc"], AUTHS["auth-signed"]
        engine = ("-e", "0x8000000001020304")
        async with receiving(tmp_path) as ours:
            for words in (
                v2c(community="wrong"),
                v3(noc, *engine, A="wrong-password"),
                v3(noc, *engine, X="wrong-password"),
                v3(noc, *engine, u="nobody"),
                v3(noc, *engine, l="noAuthNoPriv"),
                v3(noc, *engine, l="authNoPriv"),
                v3(signed, *engine, l="noAuthNoPriv"),
            ):
                await ours.send("snmptrap", *words)
            for words in (v2c("-r", "0", "-t", "1", community="wrong"), v3(noc, "-r", "0", "-t", "1", A="wrong-one")):
                code, _ = await ours.send("snmpinform", *words)
                assert code != 0
            wanted = {"community": 2, "digest": 2, "undecodable": 1, "user": 1, "security_level": 3}
            await ours.until(lambda: ours.dropped() == wanted)
            assert not ours.lines

    run(body())


def test_a_trap_that_comes_again_is_a_replay(tmp_path: Path) -> None:
    """A version 3 trap caught on its way and sent once more."""

    async def body() -> None:
        loop = asyncio.get_running_loop()
        async with receiving(tmp_path) as ours:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tap:
                tap.bind(("127.0.0.1", 0))
                tap.setblocking(False)
                real = ours.receiver.addresses[0]
                words = v3(AUTHS["auth-noc"], "-e", "0x8000000001020304")
                words[words.index("TO")] = f"127.0.0.1:{tap.getsockname()[1]}"
                argv = [need("snmptrap", "snmp"), *words]
                env = sender_environment(tmp_path)
                await asyncio.to_thread(subprocess.run, argv, env=env, check=True, capture_output=True)
                data = await loop.sock_recv(tap, 4_096)
                for _ in range(3):
                    await loop.sock_sendto(tap, data, real)
                await ours.until(lambda: ours.dropped() == {"replay": 2})
                assert len(ours.events) == 1

    run(body())


def test_our_engine_keeps_its_id_and_its_clock(tmp_path: Path) -> None:
    """A device that learned our engine ID and time is believed after minutes, and after a restart it is told anew."""
    now = [1_800_000_000.0]
    auths = {"auth-noc": AUTHS["auth-noc"]}
    assert engine_id() == engine_id() != engine_id("another") and 5 <= len(engine_id()) <= 32
    engines = [Engine(auths, engine_id(), lambda: now[0])]
    first = engines[0]._symbol("snmpEngineBoots").syntax
    now[0] += 400
    gate = Gate(auths, Limits(), engine_id(), 0.0)
    message = gate.admit(discovery(), "192.0.2.1", 0.0)
    outcome = engines[0].process(message, ("192.0.2.1", 5), gate.keys)
    assert len(outcome.answers) == 1 and engine_id() in outcome.answers[0]
    assert int(engines[0]._symbol("snmpEngineTime").syntax) == 400
    engines.append(Engine(auths, engine_id(), lambda: now[0]))
    assert int(engines[1]._symbol("snmpEngineBoots").syntax) > int(first)


def discovery() -> bytes:
    """A request for our engine ID, as RFC 3414 describes it."""
    head = ber.encode_integer(1) + ber.encode_integer(65_507) + ber.encode_tlv(4, b"\4") + ber.encode_integer(3)
    security = ber.encode_tlv(4, b"") + ber.encode_integer(0) * 2 + ber.encode_tlv(4, b"") * 3
    pdu = ber.encode_tlv(0xA0, ber.encode_integer(1) + ber.encode_integer(0) * 2 + ber.encode_tlv(0x30, b""))
    scoped = ber.encode_tlv(0x30, ber.encode_tlv(4, b"") * 2 + pdu)
    body = ber.encode_integer(3) + ber.encode_tlv(0x30, head) + ber.encode_tlv(4, ber.encode_tlv(0x30, security))
    return ber.encode_tlv(0x30, body + scoped)


def test_polls_are_asked_for_within_bounds(tmp_path: Path) -> None:
    """At once, then once more at the end of the time; a poll that fails or hangs costs polls, not traps."""

    async def body() -> None:
        calls: list[str] = []
        never = asyncio.Event()

        async def on_event(event: Event) -> None:
            calls.append(event.notification)
            if event.origin.source == "127.0.0.3":
                await never.wait()
            if event.origin.source == "127.0.0.2":
                raise RuntimeError("a mistake")

        async with receiving(tmp_path, on_event, Limits(poll_seconds=1, polls=2)) as ours:
            storm(ours.receiver.addresses[0], 10, ["127.0.0.1"])
            await ours.until(lambda: len(calls) == 2)  # the first, and one for the other nine
            storm(ours.receiver.addresses[0], 1, ["127.0.0.2"])
            await ours.until(lambda: ours.count("egov_snmp_trap_polls_total", outcome="failed") == 1)
            storm(ours.receiver.addresses[0], 2, ["127.0.0.3", "127.0.0.1"])
            storm(ours.receiver.addresses[0], 1, ["127.0.0.2"])
            await ours.until(lambda: ours.count("egov_snmp_trap_polls_total", outcome="failed") == 2)
            assert ours.count("egov_snmp_trap_polls_total", outcome="joined") >= 9
            assert calls.count("linkDown") == len(calls)

    run(body())


def storm(address: tuple[str, int], count: int, sources: list[str], community: str = COMMUNITY) -> None:
    """Send `count` datagrams as fast as possible, from these loopback addresses in turn."""
    senders = []
    for source in sources:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((source, 0))
        senders.append(one)
    try:
        for number in range(count):
            senders[number % len(senders)].sendto(datagram(number, community), address)
    finally:
        for one in senders:
            one.close()


@dataclass
class Turns:
    """A coroutine that wants to run all the time, as a scrape does, and how often it ran between two turns of work."""

    ran: int = 0
    between: list[int] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            self.ran += 1
            await asyncio.sleep(0)

    def watch(self, receiver: TrapReceiver) -> None:
        """Note the count at each turn of the receiver's work."""
        work = receiver._work

        def noted() -> None:
            self.between.append(self.ran)
            work()

        receiver._work = noted  # type: ignore[method-assign]


@pytest.mark.parametrize("sources", [1, 60])
def test_a_storm_costs_traps_and_not_scrapes(tmp_path: Path, sources: int) -> None:
    """5,000 datagrams: all that arrive are counted, most are dropped, and everything else runs between."""

    async def body() -> None:
        # No new tokens in the test's time, so that the counts do not depend on the machine's speed.
        limits = Limits(source_rate=0.001, source_burst=20, rate=0.001, burst=400, queue=300)
        arrived = 0
        async with receiving(tmp_path, limits=limits) as ours:
            turns = Turns()
            turns.watch(ours.receiver)
            take = ours.receiver.take

            def counted(*arguments: Any) -> None:
                nonlocal arrived
                arrived += 1
                take(*arguments)

            ours.receiver.take = counted  # type: ignore[method-assign]
            ticker = asyncio.create_task(turns.run())
            places = [f"127.0.0.{10 + number}" for number in range(sources)]
            await asyncio.to_thread(storm, ours.receiver.addresses[0], 5_000, places)
            received = lambda: ours.count("egov_snmp_traps_total", notification="linkDown", version="2c")  # noqa: E731
            await ours.until(lambda: arrived > 0 and received() + sum(ours.dropped().values()) == arrived)
            ticker.cancel()
            dropped = ours.dropped()
            assert arrived >= 100  # what the kernel's buffer holds at the least, however slow the machine is
            if sources == 1:
                assert received() == 20 and dropped == {"source_rate": arrived - 20}
            else:
                assert 20 < received() <= 400 and set(dropped) <= {"source_rate", "rate", "queue_full"}
            # Between two turns of work everything else had its turn, at least once.
            assert all(later > sooner for sooner, later in pairwise(turns.between))
            assert len(ours.lines) <= received()

    run(body())


def test_a_turn_of_work_ends_in_time_and_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that goes on by 1 ms at each look: five messages a turn, then three times as long for the others."""

    async def body() -> None:
        ticks = itertools.count()
        monkeypatch.setattr(traps, "perf_counter", lambda: next(ticks) / 1_000)
        async with receiving(tmp_path, limits=Limits(turn_seconds=0.0045, share=0.25)) as ours:
            rests: list[float] = []
            later = ours.receiver._loop.call_later

            def noted(delay: float, *arguments: Any) -> asyncio.TimerHandle:
                if arguments[0] == ours.receiver._work:
                    rests.append(delay)
                return later(delay, *arguments)

            monkeypatch.setattr(ours.receiver._loop, "call_later", noted)
            for number in range(23):
                ours.receiver.take(datagram(number), ("192.0.2.1", 5), ours.receiver._protocols[0])
            await ours.until(lambda: len(ours.receiver._queue) == 0)
            assert rests == [pytest.approx(0.015)] * 4
            assert ours.count("egov_snmp_trap_busy_seconds_total") == pytest.approx(0.023)

    run(body())


def test_a_storm_of_a_wrong_community_touches_nothing_else(tmp_path: Path) -> None:
    async def body() -> None:
        async with receiving(tmp_path) as ours:
            await asyncio.to_thread(storm, ours.receiver.addresses[0], 3_000, ["127.0.0.9"], "wrong")
            await ours.send("snmptrap", *v2c())
            await ours.until(lambda: len(ours.events) == 1)
            assert set(ours.dropped()) == {"community", "source_rate"}

    run(body())


def test_what_no_honest_sender_sends(tmp_path: Path) -> None:
    """Right community, wrong inside: counted as one of the reasons, and the receiver goes on."""
    good = datagram()
    hostile = [good[:size] for size in range(2, len(good), 7)]
    hostile += [good.replace(ber.oid_octets(SNMP_TRAP_OID), b"\xff" * 10), b"\x30\x80" + good[2:], good + b"\0" * 5_000]
    hostile += [good.replace(b"\x02\x01\x01", tag + b"\x01\x01") for tag in (b"\x09", b"\x24", b"\x1f", b"\x42")]

    async def body() -> None:
        async with receiving(tmp_path) as ours:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for data in hostile:
                    sender.sendto(data, ours.receiver.addresses[0])
            await ours.send("snmptrap", *v2c())
            await ours.until(lambda: any(event["source"] == "127.0.0.1" for event in ours.events))
            await ours.until(lambda: len(ours.lines) + sum(ours.dropped().values()) == len(hostile) + 1)
            assert set(ours.dropped()) <= {"malformed", "too_large", "undecodable", "version", "community"}

    run(body())


def test_other_communities_are_taken_without_a_restart(tmp_path: Path) -> None:
    async def body() -> None:
        async with receiving(tmp_path) as ours:
            ours.receiver.use({"new": Auth("new", community="other")})
            await ours.send("snmptrap", *v2c())
            await ours.send("snmptrap", *v2c(community="other"))
            await ours.until(lambda: len(ours.events) == 1)
            assert ours.events[0]["auth"] == "new" and ours.dropped() == {"community": 1}

    run(body())


def test_an_address_in_use_is_an_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    async def body() -> None:
        async with receiving(tmp_path) as ours:
            places = [("127.0.0.1", 0), ours.receiver.addresses[0]]
            with pytest.raises(OSError):
                await serve_traps(AUTHS, places, TrapMetrics(CollectorRegistry()))

    run(body())


PASSED = """
import os, socket, sys
from egov_exporters.snmp.traps import passed_sockets
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}
(one,) = passed_sockets()
print(one.getsockname()[1], os.fstat(3) is not None)
"""


def test_sockets_of_systemd_are_taken_and_others_are_left_open() -> None:
    """File descriptors 3 (TCP, somebody else's) and 4 (UDP)."""
    assert passed_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        shell = f"exec 3<&{tcp.fileno()} 4<&{udp.fileno()}; exec {sys.executable} -c '{PASSED}'"
        done = subprocess.run(
            ["bash", "-c", shell], pass_fds=(tcp.fileno(), udp.fileno()), capture_output=True, text=True, check=False
        )
        assert done.stdout.split() == [str(udp.getsockname()[1]), "True"], done.stderr


def test_many_engines_are_heard_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More engine IDs than pysnmp may hold users: each is heard, also the first one again."""
    monkeypatch.setattr("egov_exporters.snmp.trap_engine.MAX_USERS", 3)
    auth = AUTHS["auth-open"]
    gate, engine = Gate(AUTHS, Limits(), engine_id(), 0.0), Engine(AUTHS, engine_id())
    for number in (*range(8), 0):
        sender = bytes.fromhex("80000000010203") + bytes((number,))
        message = gate.admit(unsigned(auth.username, sender), "192.0.2.1", 0.0)
        outcome = engine.process(message, ("192.0.2.1", 5), gate.keys)
        assert outcome.notified and not outcome.inform
        assert len(engine._users) <= 3


def unsigned(user: str, engine: bytes) -> bytes:
    """A version 3 trap without authentication."""
    head = ber.encode_integer(1) + ber.encode_integer(65_507) + ber.encode_tlv(4, b"\0") + ber.encode_integer(3)
    names = ber.encode_tlv(4, user.encode()) + ber.encode_tlv(4, b"") * 2
    security = ber.encode_tlv(4, engine) + ber.encode_integer(1) * 2 + names
    trap = datagram()
    scoped = ber.encode_tlv(4, engine) + ber.encode_tlv(4, b"") + trap[trap.index(b"\xa7") :]
    body = ber.encode_integer(3) + ber.encode_tlv(0x30, head) + ber.encode_tlv(4, ber.encode_tlv(0x30, security))
    return ber.encode_tlv(0x30, body + ber.encode_tlv(0x30, scoped))
