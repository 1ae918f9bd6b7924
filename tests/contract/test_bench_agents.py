"""The bench's simulated switches, read by programs that know nothing of them: Debian's snmp_exporter, and pysnmp.

If this fails, the bench compares exporters on devices that speak another SNMP than real ones do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from exporter_lab import need, parse
from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.smi.rfc1902 import ObjectIdentity, ObjectType

BENCH = Path(__file__).resolve().parents[1] / "bench" / "snmp"
sys.path.insert(0, str(BENCH))

import agents  # noqa: E402
import asking  # noqa: E402
import fleet  # noqa: E402
import mib  # noqa: E402
import rivals  # noqa: E402

TABLES = {mib.IF_ENTRY: 22, mib.IFX_ENTRY: 19}
# What a table says as labels is no series of its own: ifDescr; ifName and ifAlias
SERIES = {rivals.FULL: 21 + 17, rivals.BANDWIDTH: 15}


@pytest.fixture(scope="module")
def switches() -> Iterator[fleet.Fleet]:
    with fleet.fleet([rivals.THEIRS]) as running:
        yield running


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rivals.Rival]:
    need(rivals.BINARY, rivals.BINARY)
    with rivals.started(rivals.THEIRS, tmp_path_factory.mktemp("reference")) as running:
        yield running


@pytest.mark.parametrize("version", [rivals.V2C, rivals.V3])
@pytest.mark.parametrize("module", [rivals.FULL, rivals.BANDWIDTH])
@pytest.mark.parametrize("kind", [agents.SMALL, agents.LARGE])
def test_snmp_exporter_reads_all_of_it(
    switches: fleet.Fleet, reference: rivals.Rival, version: str, module: str, kind: int
) -> None:
    """Every column of every port, with the value that the switch has at that second."""
    second, holder = 1_000_000, agents.mibs()[kind]
    switches.tell(f"freeze {second}")
    switches.tell("reset")
    with contextlib.closing(asking.Client(reference.port)) as client:
        target = next(switches.addresses(kind))
        text = asking.plain(client.get(reference.path(target, module, version))).decode()
    series = parse(text).series
    ports = agents.PORTS[kind]
    assert len(series) == SERIES[module] * ports + (2 if module == rivals.FULL else 0)
    by_port = {(name, dict(labels)["ifIndex"]): value for (name, labels), value in series.items() if labels}
    for index in range(1, ports + 1):
        for name, column in (("ifHCInOctets", 6), ("ifHCOutBroadcastPkts", 13)):
            position = holder.at((*mib.IFX_ENTRY, column, index))
            assert position is not None
            wanted = holder.value(position, second)
            assert isinstance(wanted, int)
            assert by_port[name, str(index)] == wanted % (1 << 53)
    counted = switches.counts(rivals.THEIRS)
    assert counted.replies == counted.requests > 0 and not counted.lost


USERS = {"plain": (), "signed": ("auth-password-1",), "private": ("auth-password-1", "priv-password-1")}


def usm(name: str, auth: str | None = None, priv: str | None = None) -> hlapi.UsmUserData:
    """pysnmp's user of that name, with these passwords or his own."""
    secrets = [auth, priv] if auth else list(USERS[name])
    options = {}
    if secrets[:1] and secrets[0]:
        options |= {"authKey": secrets[0], "authProtocol": hlapi.USM_AUTH_HMAC192_SHA256}
    if secrets[1:] and secrets[1]:
        options |= {"privKey": secrets[1], "privProtocol": hlapi.USM_PRIV_CFB128_AES}
    return hlapi.UsmUserData(name, **options)


async def walk(engine: hlapi.SnmpEngine, user: hlapi.UsmUserData, target: str) -> tuple[str, list[object]]:
    """(pysnmp's error, bindings) of one GetBulk."""
    host, _, port = target.rpartition(":")
    place = await hlapi.UdpTransportTarget.create((host, int(port)), timeout=2, retries=0)
    name = ObjectType(ObjectIdentity((*mib.IFX_ENTRY, 6)))
    error, status, _, found = await hlapi.bulk_cmd(
        engine, user, place, hlapi.ContextData(), 0, 10, name, lookupMib=False
    )
    assert not status
    return ("" if error is None else type(error).__name__), list(found)


def test_pysnmp_speaks_v3_with_it_at_every_level() -> None:
    """Discovery, all three levels, a reboot in between; wrong users and passwords are told so."""
    with fleet.fleet([], [":".join((name, *secrets)) for name, secrets in USERS.items()]) as switches:
        target, other, *_ = (address for address, _ in zip(switches.addresses(agents.SMALL), range(2), strict=False))

        async def all_of_it() -> dict[str, str]:
            engine, said = hlapi.SnmpEngine(), {}
            try:
                for name in USERS:
                    error, found = await walk(engine, usm(name), target)
                    said[name] = error or f"{len(found)} bindings"
                error, found = await walk(engine, usm("private"), other)
                said["another engine"] = error or f"{len(found)} bindings"
                switches.tell("reboot")
                error, found = await walk(engine, usm("private"), target)
                said["after a reboot"] = error or f"{len(found)} bindings"
            finally:
                engine.close_dispatcher()
            for title, user in (
                ("wrong password", usm("private", "not-the-password", "priv-password-1")),
                ("wrong level", usm("signed", "auth-password-1", "priv-password-1")),
                ("wrong user", hlapi.UsmUserData("nobody")),
            ):
                engine = hlapi.SnmpEngine()
                try:
                    said[title] = (await walk(engine, user, target))[0]
                finally:
                    engine.close_dispatcher()
            return said

        said = asyncio.run(all_of_it())
    good = dict.fromkeys((*USERS, "another engine", "after a reboot"), "10 bindings")
    bad = {"wrong password": "WrongDigest", "wrong level": "UnsupportedSecurityLevel", "wrong user": "UnknownUserName"}
    assert said == good | bad


def bench(*options: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """The bench as a user runs it."""
    environment = os.environ | ({"PATH": path} if path else {})
    argv = [sys.executable, str(BENCH), *options]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=300)


def test_the_bench_runs_from_end_to_end(tmp_path: Path) -> None:
    """A moment's run: both were asked, their packets were counted apart, and the goals are told."""
    need(rivals.BINARY, rivals.BINARY)
    out = tmp_path / "out.json"
    short = ["--rounds", "1", "--turn-seconds", "0.1", "--out", str(out)]
    done = bench(*short, "--only", "warm-bandwidth-48-v3,cold-bandwidth-48-v2c,startup,replica")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads(out.read_text())["cases"]
    assert list(kept) == ["warm-bandwidth-48-v3", "cold-bandwidth-48-v2c", "startup", "replica"]
    for name in ("warm-bandwidth-48-v3", "cold-bandwidth-48-v2c"):
        (found,) = kept[name]["rounds"]
        assert set(found) == {rivals.OURS, rivals.THEIRS} == set(kept[name]["peak_mib"])
        assert kept[name]["series"] == SERIES[rivals.BANDWIDTH] * agents.PORTS[agents.SMALL]
        # snmp_exporter: 18 columns of 48 rows, 25 at a time; with v3 also discovery
        assert found[rivals.THEIRS]["packets"] == 36 + (name == "warm-bandwidth-48-v3")
        assert all(one["cpu_ms"] > 0 and one["packets"] > 0 and one["octets"] > 1000 for one in found.values())
    assert kept["replica"]["rounds"][0][rivals.THEIRS] == {"one": 36, "two": 72}
    assert "goal " in done.stdout


def test_the_bench_says_why_it_does_not_run(tmp_path: Path) -> None:
    """2 for a wrong call, 3 without the reference; a sentence, and nothing is written."""
    done = bench("--only", "nothing")
    assert (done.returncode, done.stdout) == (2, "") and "no case nothing" in done.stderr
    done = bench("--only", "startup", "--out", str(tmp_path / "out.json"), path=str(tmp_path))
    assert done.returncode == 3 and "prometheus-snmp-exporter is not here" in done.stderr
    assert not (tmp_path / "out.json").exists()
