"""The exporter as a service: readiness, reload, passwords, what it tells people, shared scrapes, a trap that leads to a
reading, and its tools."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from exporter_lab import COMMUNITY, Running, exporter, fetch, free_port, parse, switch, v2c_config, wait_for

from egov_exporters.snmp.ber import OCTET_STRING, SEQUENCE, encode_integer, encode_tlv, oid_octets
from egov_exporters.snmp.oid import parse_oid

TRAP_PDU = 0xA7
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A simulated switch with a hostile name."""
    with switch(tmp_path_factory.mktemp("device"), "--ports", "24") as target:
        yield target


@pytest.fixture(scope="module")
def trap_port() -> int:
    """Where the exporter of this file hears traps."""
    return free_port()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, trap_port: int) -> Iterator[Running]:
    """An exporter that also hears traps."""
    folder = tmp_path_factory.mktemp("ours")
    with exporter(folder, v2c_config(public_v2=COMMUNITY), "--traps", f"127.0.0.1:{trap_port}") as running:
        yield running


def value(ours: Running, name: str, **labels: str) -> float:
    """One of the exporter's own metrics."""
    shown = "{" + ",".join(f'{key}="{text}"' for key, text in sorted(labels.items())) + "}" if labels else ""
    (line,) = [line for line in ours.get("/metrics")[1].splitlines() if line.startswith(f"{name}{shown} ")]
    return float(line.rpartition(" ")[2])


def test_ready_and_reload(ours: Running) -> None:
    """A POST reads the configuration again; a bad one is named, and the old one stays in use."""
    assert ours.get("/-/ready") == (200, "ready\n")
    assert post(ours, "/-/reload") == (200, "reloaded\n")
    good = ours.config.read_text()
    try:
        ours.config.write_text("auths: {x: {comunity: secret-thing}}\n")
        status, words = post(ours, "/-/reload")
        assert status == 500 and "exporter.yml:1" in words and "secret-thing" not in words
        assert value(ours, "egov_snmp_config_last_reload_successful") == 0
    finally:
        ours.config.write_text(good)
    assert post(ours, "/-/reload")[0] == 200 and value(ours, "egov_snmp_config_last_reload_successful") == 1
    assert ours.get("/-/reload")[0] == 405


def post(ours: Running, path: str) -> tuple[int, str]:
    """Status and body of a POST."""
    request = urllib.request.Request(ours.base + path, method="POST", data=b"")
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_people_are_told_what_a_device_gives(ours: Running, device: str) -> None:
    """Family, modules, objects with their rows, in both languages; nothing unescaped from the query."""
    status, page = ours.get(f"/explain?target={device}&module=auto")
    assert status == 200 and "Family / 设备类别" in page
    assert re.search(
        r"<td>ifHCInOctets</td><td><code>IF-MIB::ifHCInOctets [0-9.]+</code></td><td class=n>24</td>", page
    )
    assert ours.get("/explain?target=%3Cscript%3E")[0] == 400
    assert "Modules / 模块" in ours.get("/")[1]


def test_the_second_replica_costs_no_datagram(ours: Running, device: str) -> None:
    """Scrapes of one target at one time are one; everybody gets the page."""
    ours.scrape(device)
    labels = {"target": device, "auth": "public_v2"}
    before = value(ours, "egov_snmp_target_packets_total", **labels), value(ours, "egov_snmp_scrapes_shared_total")
    pages: list[tuple[int, str]] = []
    threads = [threading.Thread(target=lambda: pages.append(ours.scrape(device))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = value(ours, "egov_snmp_target_packets_total", **labels), value(ours, "egov_snmp_scrapes_shared_total")
    own = 8 - (after[1] - before[1])
    assert own < 8 and {status for status, _ in pages} == {200}
    scrapes = {page for _, page in pages}  # each says how long it took, so no two are the same
    sent = ("snmp_scrape_packets_sent", frozenset({("module", "if_mib")}))
    assert after[0] - before[0] == sum(parse(page, "-").series[sent] for page in scrapes)
    assert len(scrapes) == own


def test_auto_reads_what_the_family_has(ours: Running, device: str) -> None:
    """A device that no profile knows: interfaces and system; a module that it lacks is no failure."""
    status, text = ours.scrape(device, module="auto")
    assert status == 200
    series = parse(text).series
    modules = {
        dict(labels)["module"]: state for (name, labels), state in series.items() if name == "snmp_module_success"
    }
    assert modules == {"if_mib": 1, "system": 1}
    both = parse(ours.scrape(device, module="if_bandwidth,system")[1]).series
    assert ("snmp_module_success", frozenset({("module", "if_bandwidth")})) in both


def test_a_trap_leads_to_a_reading(ours: Running, device: str, trap_port: int) -> None:
    """linkDown from a device that is scraped: it is read, and what was found is a line and a metric."""
    index = re.findall(r'ifIndex="(\d+)"', ours.scrape(device)[1])[3]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        sender.sendto(link_down(int(index)), ("127.0.0.1", trap_port))
        wait_for(lambda: "snmp_read_after_notification" in ours.output.read_text(), ours.child, ours.output)
    lines = [json.loads(line) for line in ours.output.read_text().splitlines() if line.startswith("{")]
    assert [line["notification"] for line in lines if line["event"] == "snmp_notification"] == ["linkDown"]
    (read,) = [line for line in lines if line["event"] == "snmp_read_after_notification"]
    assert (read["target"], read["read"], read["ifIndex"]) == (device, "complete", index)
    assert read["ifOperStatus"] in (1, 2)
    assert value(ours, "egov_snmp_trap_link_up", target=device, ifIndex=index) == (read["ifOperStatus"] == 1)
    assert value(ours, "egov_snmp_traps_total", notification="linkDown", version="2c") == 1


def link_down(index: int) -> bytes:
    """A version 2c trap (RFC 3416 4.2.6)."""
    pairs = [
        ("1.3.6.1.2.1.1.3.0", b"\x43\x01\x05"),
        ("1.3.6.1.6.3.1.1.4.1.0", encode_tlv(6, oid_octets(parse_oid(LINK_DOWN)))),
        (f"1.3.6.1.2.1.2.2.1.1.{index}", encode_integer(index)),
    ]
    names = b"".join(encode_tlv(SEQUENCE, encode_tlv(6, oid_octets(parse_oid(oid))) + body) for oid, body in pairs)
    pdu = encode_integer(7) + encode_integer(0) + encode_integer(0) + encode_tlv(SEQUENCE, names)
    head = encode_integer(1) + encode_tlv(OCTET_STRING, COMMUNITY.encode())
    return encode_tlv(SEQUENCE, head + encode_tlv(TRAP_PDU, pdu))


def test_passwords(tmp_path: Path, device: str) -> None:
    """With a web configuration nobody comes in without the password, not even for the metrics."""
    hashed = bcrypt.hashpw(b"wall-password", bcrypt.gensalt(4)).decode()
    web_config = tmp_path / "web.yml"
    web_config.write_text(f'basic_auth_users: {{prometheus: "{hashed}"}}\n')
    with exporter(tmp_path, v2c_config(public_v2=COMMUNITY), "--web-config", str(web_config)) as guarded:
        assert guarded.get("/metrics")[0] == 401
        assert guarded.get("/snmp?target=127.0.0.1")[0] == 401
        header = {"Authorization": "Basic cHJvbWV0aGV1czp3YWxsLXBhc3N3b3Jk"}
        status, _, _ = fetch(f"{guarded.base}/snmp?target={device}", header)
        assert status == 200


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """One of the tools."""
    argv = [sys.executable, "-m", "egov_exporters.snmp.main", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_the_tools(tmp_path: Path, device: str) -> None:
    """walk, explain, check-profile, --check-config: what they print, and their exit codes."""
    config = tmp_path / "exporter.yml"
    config.write_text(v2c_config(public_v2=COMMUNITY))
    options = ("--config", str(config))
    done = run("walk", device, "1.3.6.1.2.1.2.2.1.8", *options)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 24
    assert re.fullmatch(r"1\.3\.6\.1\.2\.1\.2\.2\.1\.8\.\d+ = INTEGER: \d", done.stdout.splitlines()[0])
    done = run("explain", device, *options)
    assert done.returncode == 0 and "family unknown" in done.stdout and " 24 rows    24 series" in done.stdout
    dead = f"127.0.0.1:{free_port()}"
    for tool in ("walk", "explain"):
        done = run(tool, dead, *options)
        assert done.returncode == 3 and "has no agent on that port" in done.stderr and "Traceback" not in done.stderr
        assert run(tool, "a:b", *options).returncode == 2 and run(tool, device).returncode == 2
    assert run("walk", device, "1.x", *options).returncode == 2
    bad = tmp_path / "bad.yml"
    bad.write_text("module: bad\ntables: [{name: t, index: i, columns: [{name: a, oid: 1.x, type: gauge, help: h}]}]\n")
    done = run("check-profile", str(bad))
    assert done.returncode == 1 and done.stderr.startswith(f"{bad}:")
    assert run(*options, "--check-config").returncode == 0
    config.write_text("auths: []\n")
    done = run(*options, "--check-config")
    assert done.returncode == 2 and "exporter.yml:1" in done.stderr


def test_a_quick_start(tmp_path: Path) -> None:
    """Traps aside, pysnmp is not loaded: it is half of the memory and of the time of a start."""
    code = "import sys, egov_exporters.snmp.main; print(any(name.startswith('pysnmp') for name in sys.modules))"
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(f"imports: {time.monotonic() - begin:.2f} s")
    assert done.stdout == "False\n"
