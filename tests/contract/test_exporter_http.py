"""The exporter as a process: what Prometheus, an operator and systemd see of it.

If this fails, a dead device might look alive, one slow device might hold up the others, or a bad configuration might
take the exporter down.
"""

from __future__ import annotations

import contextlib
import gzip
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from exporter_lab import COMMUNITY, Running, exporter, fetch, free_port, parse, switch, v2c_config, wait_for

SUCCESS = ("snmp_module_success", frozenset({("module", "if_mib")}))
CANARY = "s3cret-canary"


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A simulated switch of 48 ports."""
    with switch(tmp_path_factory.mktemp("switch")) as target:
        yield target


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The exporter, with the right community and a wrong one."""
    with exporter(tmp_path_factory.mktemp("ours"), v2c_config(public_v2=COMMUNITY, wrong=CANARY)) as running:
        yield running


@contextlib.contextmanager
def middlebox(target: str, judge: Callable[[int, bytes], bytes | None]) -> Iterator[str]:
    """A UDP relay in front of an agent: `judge` gets each reply's number (from 1) and the reply, and may drop it."""
    host, port = target.rsplit(":", 1)
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind(("127.0.0.1", 0))
    front.settimeout(0.05)
    back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    back.connect((host, int(port)))
    back.settimeout(2)
    stop = threading.Event()

    def relay() -> None:
        number = 0
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                data, client = front.recvfrom(65_535)
                back.send(data)
                number += 1
                out = judge(number, back.recv(65_535))
                if out is not None:
                    front.sendto(out, client)

    worker = threading.Thread(target=relay, daemon=True)
    worker.start()
    try:
        yield f"127.0.0.1:{front.getsockname()[1]}"
    finally:
        stop.set()
        worker.join(3)
        front.close()
        back.close()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """A UDP port that takes everything and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{hole.getsockname()[1]}"


def test_a_scrape_with_the_defaults(ours: Running, device: str) -> None:
    """auth public_v2 and module if_mib need not be said; counters move between two scrapes."""
    first = parse(ours.scrape(device)[1])
    assert first.series[SUCCESS] == 1
    time.sleep(0.3)
    second = parse(ours.scrape(device, auth="public_v2", module="if_mib")[1])
    octets = [key for key in first.series if key[0] == "ifHCInOctets"]
    assert len(octets) == 48
    assert all(second.series[key] >= first.series[key] for key in octets)
    assert sum(second.series[key] for key in octets) > sum(first.series[key] for key in octets)


def test_the_page_as_prometheus_asks_for_it(ours: Running, device: str) -> None:
    """The text format's content type, and gzip when asked for."""
    url = f"{ours.base}/snmp?target={device}"
    status, body, headers = fetch(url, {"Accept-Encoding": "gzip"})
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert parse(gzip.decompress(body).decode()).series[SUCCESS] == 1
    assert "Content-Encoding" not in fetch(url)[2]


def test_ipv6(tmp_path: Path, ours: Running) -> None:
    """A target in brackets with a port."""
    if not Path("/proc/net/if_inet6").read_text().count(" lo"):
        pytest.skip("this machine has no IPv6 on loopback")
    with switch(tmp_path, host="::1") as target:
        assert parse(ours.scrape(target)[1]).series[SUCCESS] == 1


def test_a_name_as_target(ours: Running, device: str) -> None:
    """A resolvable name; and one that is not gives a sentence."""
    status, text = ours.scrape(device.replace("127.0.0.1", "localhost"))
    assert status == 200, text
    status, text = ours.scrape("no-such-host.invalid")
    assert status == 500 and "no-such-host.invalid (auth public_v2) has no address" in text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "'target' parameter must be specified once"),
        ("?target=a&target=b", "'target' parameter must be specified once"),
        ("?target=192.0.2.1&auth=none", "Unknown auth 'none'"),
        ("?target=192.0.2.1&module=none", "Unknown module 'none'"),
        ("?target=tcp://192.0.2.1", "not supported"),
        ("?target=%0aevil", "is not HOST"),
    ],
)
def test_bad_requests(ours: Running, query: str, words: str) -> None:
    """HTTP 400 with one sentence, in plain text."""
    status, text = ours.get(f"/snmp{query}")
    assert status == 400 and words in text and text.count("\n") == 1


def test_a_dead_target_is_down(ours: Running, device: str) -> None:
    """Nothing at all came: HTTP 500, so that `up` is 0; with a sentence, within the deadline, and without a secret."""
    with silent() as hole:
        started = time.monotonic()
        status, text = ours.scrape(hole, seconds=1.5)
        assert time.monotonic() - started < 3
    assert (status, text) == (500, f"{hole} (auth public_v2) did not finish within 1.2 s\n")
    status, text = ours.scrape(f"127.0.0.1:{free_port()}", seconds=9)
    assert status == 500 and "has no agent on that port" in text
    status, text = ours.scrape(device, seconds=1, auth="wrong")
    assert status == 500 and "did not finish within" in text
    assert CANARY not in text + ours.output.read_text()


def test_a_device_that_stops_half_way_is_served_in_part(ours: Running, device: str) -> None:
    """What arrived is served with module_success 0: the counters, which come first, are all there and all named."""
    with middlebox(device, lambda number, reply: reply if number <= 14 else None) as target:
        status, text = ours.scrape(target, seconds=2)
    page = parse(text)
    assert status == 200 and page.series[SUCCESS] == 0
    octets = [dict(labels) for name, labels in page.series if name == "ifHCInOctets"]
    assert len(octets) == 48 and all(labels["ifName"] and labels["ifDescr"] for labels in octets)
    assert not [name for name, _ in page.series if name == "ifConnectorPresent"]
    assert f"{target} (auth public_v2) was read only in part" in ours.output.read_text()


def test_lost_datagrams_cost_time_but_no_data(ours: Running, device: str) -> None:
    """Every 15th reply is lost: sent again, complete, and counted."""
    with middlebox(device, lambda number, reply: None if number % 15 == 7 else reply) as target:
        status, text = ours.scrape(target, seconds=20)
    page = parse(text, without="none")
    assert status == 200 and page.series[SUCCESS] == 1
    assert page.series[("snmp_scrape_packets_retried", frozenset({("module", "if_mib")}))] >= 2


def test_garbled_replies_are_survived(ours: Running, device: str) -> None:
    """Every third reply is cut or garbled; the exporter keeps serving, this device and others."""

    def judge(number: int, reply: bytes) -> bytes:
        return reply if number % 3 else (reply[: len(reply) // 2] if number % 2 else b"\xff" * len(reply))

    with middlebox(device, judge) as target:
        status, text = ours.scrape(target, seconds=30)
    assert status == 200 and parse(text).series[SUCCESS] == 1
    assert ours.scrape(device)[0] == 200


def test_one_slow_device_does_not_hold_up_the_others(ours: Running, device: str) -> None:
    """Twenty silent devices wait; a live one is answered meanwhile."""
    with silent() as hole, ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(ours.scrape, hole, 4) for _ in range(20)]
        time.sleep(0.3)
        started = time.monotonic()
        assert ours.scrape(device)[0] == 200
        assert time.monotonic() - started < 2
        assert not any(one.done() for one in waiting)
        assert {one.result()[0] for one in waiting} == {500}


def test_the_exporters_own_pages(ours: Running, device: str) -> None:
    """/metrics about itself, /-/healthy, and a page with a form."""
    ours.scrape(device)
    status, text = ours.get("/metrics")
    assert status == 200
    for name in (
        'egov_snmp_scrapes_total{outcome="complete"}',
        'egov_snmp_scrapes_total{outcome="failed"}',
        "egov_snmp_scrape_duration_seconds_count",
        "egov_snmp_packets_total",
        "egov_snmp_config_last_reload_successful 1.0",
        "process_cpu_seconds_total",
    ):
        assert name in text
    assert ours.get("/-/healthy") == (200, "healthy\n")
    status, text = ours.get("/")
    assert status == 200 and '<form action="/snmp">' in text and "if_mib" in text
    assert ours.get("/config")[0] == 404


def test_reload_and_stop(tmp_path: Path, device: str) -> None:
    """SIGHUP takes a good configuration; a bad one is named and the old one stays; SIGTERM ends with exit code 0."""
    with exporter(tmp_path, v2c_config(one=COMMUNITY)) as ours:
        assert ours.scrape(device, auth="two")[0] == 400
        ours.config.write_text(v2c_config(two=COMMUNITY))
        ours.child.send_signal(signal.SIGHUP)
        wait_for(lambda: ours.scrape(device, auth="two")[0] == 200, ours.child, ours.output)
        assert ours.scrape(device, auth="one")[0] == 400
        ours.config.write_text(f"auths:\n  two:\n    comunity: {CANARY}\n")
        ours.child.send_signal(signal.SIGHUP)
        wait_for(lambda: "stays in use" in ours.output.read_text(), ours.child, ours.output)
        assert ours.scrape(device, auth="two")[0] == 200
        assert "egov_snmp_config_last_reload_successful 0.0" in ours.get("/metrics")[1]
        assert f"{ours.config}:3: unknown key" in ours.output.read_text()
        ours.child.send_signal(signal.SIGTERM)
        assert ours.child.wait(10) == 0
        said = ours.output.read_text()
    assert CANARY not in said and COMMUNITY not in said and "Traceback" not in said


def start(*argv: str) -> subprocess.CompletedProcess[str]:
    """The exporter started in a way that must fail at once."""
    command = [sys.executable, "-m", "egov_exporters.snmp.main", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_bad_start_says_why(tmp_path: Path) -> None:
    """Exit 2 with file and line for the configuration and the call, 3 for a port that is taken."""
    config = tmp_path / "exporter.yml"
    config.write_text(f"auths:\n  lab:\n    version: 3\n    password: {CANARY}\n")
    done = start("--config", str(config))
    assert (done.returncode, done.stderr) == (2, f"error: {config}:2: auth `lab` needs `username`\n")
    done = start("--config", str(tmp_path / "none.yml"))
    assert done.returncode == 2 and "cannot be read: No such file or directory" in done.stderr
    config.write_text(v2c_config(public_v2="x"))
    done = start("--config", str(config), "--listen", "nonsense")
    assert done.returncode == 2 and "is not HOST:PORT" in done.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start("--config", str(config), "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 3 and f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
