"""The lab itself, on a slice of four hosts beside any other lab: what its guests are, and that nothing of it stays.

How failure would look: a guest that reaches the machine or another guest past the plan; the machine's clock, devices,
links or limits changed; anything left after `down`, most of all after an `up` that was killed half way.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import yaml

from egovctl import lab as api
from egovctl.lab import image, machine
from egovctl.lab.names import LabNames
from egovctl.lab.runner import cgroup_mounts, runner_for
from egovctl.paths import Inventory

pytestmark = pytest.mark.lab
REPOSITORY = Path(__file__).resolve().parents[2]
NAME = "roomtest"
PORT_BASE = 31000
KILLS = 10 if os.environ.get("EGOV_LONG") else 2
FORBIDDEN = {"CAP_SYS_TIME": 25, "CAP_SYS_MODULE": 16, "CAP_SYS_RAWIO": 17, "CAP_WAKE_ALARM": 35}
DEBIAN_UNITS = ("chrony", "frr", "snmpd", "prometheus", "prometheus-node-exporter", "rsyslog", "nftables", "ssh")
CITY = """\
schema: 1
city: {name: {zh: 四台主机, en: Four hosts}, domain: room.example, asn: 64601}
addressing: {loopback_v4: 10.240.0.0/17, transit_v4: 10.241.0.0/16, lan_v4: 10.64.0.0/12, v6: "2001:db8::/32"}
counties: []
sites:
  - {number: 1, name: core, title: {zh: 核心, en: Core}, kind: core, routers: [core1, core2], interconnect_mbps: 1000}
  - {number: 2, name: noc, title: {zh: 运行中心, en: NOC}, kind: noc,
     uplinks: [{to: core1, mbps: 50}, {to: core2, mbps: 20}],
     hosts: [{name: control, role: control, index: 10}, {name: sw, role: switch, platform: unmanaged, index: 20}]}
  - {number: 3, name: backup, title: {zh: 备份, en: Backup}, kind: backup,
     uplinks: [{to: core1, mbps: 50}, {to: core2, mbps: 50}]}
"""
SERVICES = """\
schema: 1
services:
  - {name: papers, title: {zh: 文件, en: Papers}, owner: noc, grade: 2, availability: 99, rto: 1h, rpo: 4h,
     hosts: [noc], backup: {engine: borg, paths: [/srv/papers, /etc/frr], schedule: hourly}}
"""


@dataclass(frozen=True)
class Snapshot:
    """What a lab could leave on the machine."""

    processes: frozenset[str]
    units: frozenset[str]
    mounts: frozenset[str]
    namespaces: frozenset[str]
    cgroups: frozenset[str]
    links: frozenset[str]
    nftables: frozenset[str]
    sysctls: frozenset[str]
    devices: frozenset[str]
    files: frozenset[str]


def snapshot() -> Snapshot:
    """The machine now. Processes count when they are in a network of a lab or name ours; zombies are gone already."""
    ours = [str(path) for root in (Path("/run/egov-lab"), Path("/var/lib/egov-lab")) for path in root.glob(f"*{NAME}*")]
    sysctls = [*Path("/proc/sys/fs/inotify").iterdir(), Path("/proc/sys/kernel/core_pattern")]
    sysctls += [p for base in ("ipv4", "ipv6") for p in Path(f"/proc/sys/net/{base}").glob("conf/*/*") if p.is_file()]
    sysctls += [Path("/proc/sys/net/ipv4/ip_forward"), Path("/proc/sys/kernel/hostname")]
    netns = Path("/run/netns")
    return Snapshot(
        processes=frozenset(_processes()),
        units=frozenset(_units()),
        mounts=frozenset(_mounts()),
        namespaces=frozenset(path.name for path in netns.iterdir()) if netns.is_dir() else frozenset(),
        cgroups=frozenset(_cgroups()),
        links=frozenset(link["ifname"] for link in json.loads(_output("ip", "-j", "link"))),
        nftables=frozenset(_output("nft", "list", "ruleset").splitlines()),
        sysctls=frozenset(f"{path}={_text(path)}" for path in sysctls),
        devices=frozenset(_device(path) for path in Path("/dev").iterdir() if not path.is_symlink()),
        files=frozenset(ours),
    )


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return "unreadable"


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield line.split()[4]


def _device(path: Path) -> str:
    status = path.stat()
    return f"{path} {stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"


def _is_ours(cgroup: str) -> bool:
    """Whether a cgroup's path is this lab's: in a folder of its own, or in a service of the machine's systemd."""
    return f"/egov-lab/{NAME}" in cgroup or f"/egov-lab.{NAME}." in cgroup


def _cgroups() -> Iterator[str]:
    for root in cgroup_mounts():
        for folder, _, _ in os.walk(root) if root else ():
            if _is_ours(folder):
                yield folder


def _units() -> Iterator[str]:
    if Path("/run/systemd/system").is_dir():
        listed = _output("systemctl", "list-units", "--all", "--plain", "--no-legend", f"egov-lab.{NAME}.*")
        yield from (line.split()[0] for line in listed.splitlines() if line.strip())


def _processes() -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        status, words = _text(entry / "stat"), _text(entry / "cmdline").replace("\0", " ")
        if status == "unreadable" or status.rpartition(")")[2].split()[0] in "ZX":
            continue
        if _is_ours(_text(entry / "cgroup")) or f"egov-{NAME}" in words or f"egov-lab/{NAME}" in words:
            yield f"{entry.name} {words}"


def assert_nothing_left(before: Snapshot, patience: float = 5.0) -> None:
    """Equal in every field; what belongs to another lab on this machine may come and go meanwhile."""
    deadline = time.monotonic() + patience
    while (left := _differences(before, snapshot())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == {}


def _differences(before: Snapshot, after: Snapshot) -> dict[str, list[str]]:
    left: dict[str, list[str]] = {}
    for field in fields(Snapshot):
        changed = getattr(before, field.name) ^ getattr(after, field.name)
        if field.name in ("namespaces", "mounts"):
            changed = {item for item in changed if "egov-" not in item or f"egov-{NAME}" in item}
        if field.name == "mounts" and machine.labs():
            changed -= {"/run/netns"}
        if field.name == "sysctls" and machine.labs():
            changed = {item for item in changed if "inotify" not in item}
        if changed:
            left[field.name] = sorted(changed)
    return left


def until(what: str, true: Callable[[], bool], patience: float = 30.0) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {patience:.0f} s"
        time.sleep(0.2)


@dataclass(frozen=True)
class Room:
    """A small project of its own, and the product's command in it."""

    project: Path
    inventory: Inventory

    def start(self, *words: str) -> subprocess.Popen[str]:
        argv = [
            sys.executable,
            "-m",
            "egovctl",
            "--lang",
            "en",
            "lab",
            words[0],
            "-i",
            str(self.inventory.root),
            *words[1:],
        ]
        return subprocess.Popen(argv, cwd=self.project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def call(self, *words: str, code: int = 0) -> str:
        process = self.start(*words)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == code, output
        return output

    def sh(self, host: str, script: str, code: int | None = 0) -> str:
        done = api.exec_in(self.inventory, host, ["sh", "-c", script], timeout=120)
        assert code is None or done.returncode == code, f"{host}: {script}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """A project with a city of four hosts, no lab of it up; the image is there."""
    if os.geteuid() != 0:
        pytest.fail("the lab tests need root")
    project = _project(tmp_path_factory.mktemp("room"))
    root = project / "inventories" / NAME
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EGOV_PROJECT", str(project))
        patch.setenv("EGOV_LAB_PORT_BASE", str(PORT_BASE))
        result = Room(project, Inventory(root))
        image.ensure(lambda _: None)
        result.call("down")
        yield result
        result.call("down")


def _project(project: Path) -> Path:
    for entry in ("ansible.cfg", "playbooks"):
        (project / entry).symlink_to(REPOSITORY / entry)
    root = project / "inventories" / NAME
    (root / "plan").mkdir(parents=True)
    (root / "plan" / "city.yml").write_text(CITY, encoding="utf-8")
    (root / "plan" / "services.yml").write_text(SERVICES, encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def up(room: Room) -> Iterator[Room]:
    """The lab of the room, up."""
    before, clock = snapshot(), time.time() - time.monotonic()
    room.call("up")
    yield room
    room.call("down")
    assert_nothing_left(before)
    assert abs(time.time() - time.monotonic() - clock) < 2, "a guest has moved the machine's clock"
    assert not room.inventory.first_contact.exists()


def test_all_hosts_boot_and_an_up_again_changes_nothing(up: Room) -> None:
    assert api.is_up(up.inventory)
    identity = up.sh("core1", "cat /etc/machine-id")
    begin = time.monotonic()
    assert "is up already (5 hosts)" in up.call("up")
    assert time.monotonic() - begin < 30
    assert up.sh("core1", "cat /etc/machine-id") == identity
    status = json.loads(up.call("status", "--format", "json"))
    states = {row["host"]: row["state"] for row in status["hosts"]}
    assert states == dict.fromkeys(("core1", "core2", "noc", "control", "sw", "backup"), "running")


def test_each_guest_made_its_own_identity(up: Room) -> None:
    note = yaml.safe_load(up.inventory.first_contact.read_text(encoding="utf-8"))
    hosts = ("core1", "core2", "noc", "backup", "control")
    assert len({up.sh(host, "cat /etc/machine-id") for host in hosts}) == 5
    for host in hosts:
        assert up.sh(host, "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub") == note["hosts"][host]["host_key"]
    assert len({entry["host_key"] for entry in note["hosts"].values()}) == 5
    assert not list((image.defined().root / "etc/ssh").glob("ssh_host_*"))


def test_first_contact_by_ssh_with_the_host_key_checked(up: Room, tmp_path: Path) -> None:
    note = yaml.safe_load(up.inventory.first_contact.read_text(encoding="utf-8"))
    entry = note["hosts"]["noc"]
    known = tmp_path / "known_hosts"
    known.write_text(f"{entry['address']} {entry['host_key']}\n", encoding="utf-8")
    checked = [f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes"]
    options = ["BatchMode=yes", *checked, f"ProxyCommand={note['proxy']}"]
    words = [word for option in options for word in ("-o", option)]
    argv = ["ssh", "-F", "none", *words, "-i", entry["identity"], f"{entry['user']}@{entry['address']}", "hostname"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "noc\n"), done.stderr


def test_a_guest_has_no_way_out_and_none_to_another_by_management(up: Room) -> None:
    for host in ("core1", "core2", "noc"):
        assert up.sh(host, "ip route show default; ip -6 route show default") == ""
        planned = up.sh(host, "ip -br addr | grep -v -e ^lo -e ^mgmt | grep -c -v fe80 || true")
        assert planned == "0", "only management has an address before the playbooks"
    address = {row["host"]: row["management"] for row in json.loads(up.call("status", "--format", "json"))["hosts"]}
    for host in ("core1", "core2"):
        up.sh("control", f"nc -z -w3 {address[host]} 22")
    up.sh("core1", f"ping -c1 -W1 {address['core2']}", code=1)
    machine_links = {link["ifname"] for link in json.loads(_output("ip", "-j", "link"))}
    assert not {"mgmt", "up0", "lan0", "x0"} & machine_links


def test_links_are_as_planned(up: Room) -> None:
    names = up.sh("noc", "ls /sys/class/net").split()
    assert {"lo", "mgmt", "up0", "up1", "lan0"} == set(names)
    assert up.sh("noc", "cat /sys/class/net/lan0/carrier") == "1"
    for host, interface, rate in (("noc", "up0", "50Mbit"), ("core2", "d-noc", "20Mbit"), ("core1", "x0", "1Gbit")):
        assert f"rate {rate} " in up.sh(host, f"tc qdisc show dev {interface}")


def test_control_and_the_switch_are_on_the_lan_of_the_noc(up: Room) -> None:
    up.sh("noc", "ip addr add 10.64.2.1/24 dev lan0")
    assert up.sh("control", "ip route show default") == "default via 10.64.2.1 dev lan0"
    up.sh("control", "nc -z -w3 10.64.2.1 22")
    community = (up.inventory.secrets / "snmp_switch_community").read_text(encoding="utf-8").strip()
    name = up.sh("noc", f"snmpget -v2c -c {community} -Oqv 10.64.2.20 .1.3.6.1.2.1.1.5.0")
    assert name != ""
    up.sh("noc", "ip addr del 10.64.2.1/24 dev lan0")


def test_a_guest_cannot_touch_the_machine_clock_or_devices(up: Room) -> None:
    def bounding(text: str) -> int:
        return int(next(line for line in text.splitlines() if line.startswith("CapBnd")).split()[1], 16)

    for text in (up.sh("noc", "cat /proc/1/status"), up.sh("noc", "cat /proc/self/status")):
        assert [name for name, bit in FORBIDDEN.items() if bounding(text) >> bit & 1] == []
    assert up.sh("noc", "stat -c %a /dev/null") == "666"
    assert stat.S_IMODE(Path("/dev/null").stat().st_mode) == 0o666
    assert up.sh("noc", "echo 1 > /proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward") == "1"
    up.sh("noc", "echo x > /proc/sys/kernel/core_pattern", code=2)
    assert up.sh("noc", "ls /var/log/journal 2>/dev/null | wc -l") == "0"


def test_debian_units_are_off_at_first_and_start_as_they_are(up: Room) -> None:
    units = " ".join(DEBIAN_UNITS)
    enabled = up.sh("noc", f"systemctl is-enabled {units}", code=None).split()
    assert enabled == ["disabled"] * (len(DEBIAN_UNITS) - 1) + ["enabled"]
    up.sh("noc", f"systemctl enable --now {units}")
    time.sleep(1)
    active = up.sh("noc", f"systemctl is-active {units}", code=None).split()
    assert active == ["active"] * len(DEBIAN_UNITS), dict(zip(DEBIAN_UNITS, active, strict=True))

    def healthy() -> bool:
        address = ("127.0.0.1", PORT_BASE + 90)
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=5) as connection:
            connection.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            return b"200 OK" in connection.recv(200)
        return False

    until("the forwarder leads to Prometheus", healthy)  # its unit is active before it listens


def test_apt_installs_from_the_bound_repository_alone(up: Room) -> None:
    assert up.sh("core1", "grep -rhE '^(deb|URIs)' /etc/apt/sources.list /etc/apt/sources.list.d") == (
        "deb [trusted=yes] file:///srv/egov-packages ./"
    )
    assert "1 reinstalled" in up.sh("core1", "DEBIAN_FRONTEND=noninteractive apt-get install -y --reinstall frr 2>&1")
    assert up.sh("core1", "systemctl is-enabled frr", code=None) == "disabled"


def test_services_that_are_backed_up_have_documents(up: Room) -> None:
    assert up.sh("noc", "find /srv/papers -type f | wc -l") == "200"
    assert up.sh("noc", "ls /etc/frr | grep -c . ") != "200", "the host's own configuration is not seeded"


def test_a_guest_survives_its_reboot_and_its_death(up: Room) -> None:
    identity = up.sh("core2", "cat /etc/machine-id")
    up.sh("core2", "echo kept > /root/mark; systemctl reboot", code=None)
    deadline = time.monotonic() + 30
    time.sleep(1)
    while _state(up, "core2") != "running" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert (up.sh("core2", "cat /etc/machine-id"), up.sh("core2", "cat /root/mark")) == (identity, "kept")
    os.kill(_init_of(up, "core2"), signal.SIGKILL)
    runner = runner_for(LabNames.of(up.inventory))
    until("nothing of core2 runs", lambda: runner.pids("core2") == [])
    assert not api.is_up(up.inventory)
    assert "core2" in up.call("up")
    assert (up.sh("core2", "cat /etc/machine-id"), up.sh("core2", "cat /root/mark")) == (identity, "kept")


def _state(room: Room, host: str) -> str:
    from egovctl.lab.inside import statuses

    return next(row.state for row in statuses(room.inventory)[1] if row.host == host)


def _init_of(room: Room, host: str) -> int:
    from egovctl.lab.inside import command_in

    words = command_in(room.inventory, host, ["true"])
    return int(words[words.index("--target") + 1])


def test_disks_can_be_kept(up: Room) -> None:
    up.sh("noc", "echo mine > /root/mark; sync")
    up.call("down", "--keep-disks")
    assert not api.is_up(up.inventory)
    assert "is up: 5 hosts" in up.call("up")
    assert up.sh("noc", "cat /root/mark") == "mine"
    assert "is up: 5 hosts" in up.call("up", "--fresh")
    up.sh("noc", "test ! -e /root/mark")


def test_a_changed_plan_is_refused_with_a_way_out(up: Room) -> None:
    plan = up.inventory.plan_dir / "city.yml"
    try:
        plan.write_text(CITY.replace("mbps: 20", "mbps: 30"), encoding="utf-8")
        said = up.call("up", code=2)
        assert "lab up --fresh" in said and f"lab grow -i {NAME}" in said
    finally:
        plan.write_text(CITY, encoding="utf-8")


OFFICE = """\
  - {number: 104, name: office, title: {zh: 单位, en: Office}, kind: department, uplinks: [{to: core1, mbps: 10}]}
"""
COUNTED = ("inventory", "image", "topology", "hosts", "namespaces", "forwards", "internet", "project", "phase")


def _record(room: Room) -> dict[str, object]:
    """What is on record of the lab, but for when and by whom."""
    folder = Path(f"/run/egov-lab/{NAME}")
    data = json.loads((folder / "state.json").read_text())
    note = yaml.safe_load(room.inventory.first_contact.read_text())
    keys = {host: entry.pop("host_key") for host, entry in note["hosts"].items()}
    facts = json.loads((folder / "facts.json").read_text())
    complete = json.loads(Path(f"/var/lib/egov-lab/{NAME}/complete.json").read_text())
    return {**{key: data[key] for key in COUNTED}, "note": note, "keys": set(keys), "facts": facts, "disks": complete}


def _links(room: Room) -> dict[str, list[str]]:
    """host → its interfaces with their shaping, as the kernel has them."""
    return {
        host: sorted(
            room.sh(host, "tc qdisc show | sed -n 's/.* dev \\([^ ]*\\).* rate \\([^ ]*\\).*/\\1 \\2/p'").splitlines()
        )
        for host in ("core1", "core2", "noc", "backup")
    }


def test_a_lab_follows_its_plan_and_nobody_is_started_anew(up: Room) -> None:
    """If this fails, whoever adds an office to the lab has to enrol the whole city again."""
    plan, hosts = up.inventory.plan_dir / "city.yml", ("core1", "core2", "noc", "backup")
    boots = {host: up.sh(host, "cat /etc/machine-id; stat -c %Y /proc/1") for host in hosts}
    first, links = _record(up), _links(up)
    assert "nothing was changed" in up.call("grow")
    try:
        plan.write_text(CITY.replace("mbps: 20", "mbps: 30") + OFFICE, encoding="utf-8")
        said = up.call("grow")
        assert "+ host office" in said and "+ line office up0 - core1 d-office" in said
        assert "~ core2 d-noc: 20 -> 30 Mbit/s" in said
        assert "rate 10Mbit" in up.sh("office", "tc qdisc show dev up0")
        assert {host: up.sh(host, "cat /etc/machine-id; stat -c %Y /proc/1") for host in hosts} == boots
        up.sh("office", "ip addr add 10.241.1.161/31 dev up0")
        up.sh("core1", "ip addr add 10.241.1.160/31 dev d-office; ping -c1 -W2 10.241.1.161")
        grown = _record(up)
        # A moved line: the same end below, another above. Killed somewhere, it is finished by the next run.
        plan.write_text((CITY + OFFICE).replace("{to: core1, mbps: 10}", "{to: core2, mbps: 10}"), encoding="utf-8")
        process = up.start("grow")
        time.sleep(random.uniform(0.2, 1.2))
        process.kill()
        process.communicate(timeout=60)
        up.call("grow")
        assert up.sh("core1", "ls /sys/class/net").split().count("d-office") == 0
        assert "d-office" in up.sh("core2", "ls /sys/class/net").split()
        assert up.call("grow", "--anew", "office").count("a new one") == 1
        assert {host: up.sh(host, "cat /etc/machine-id; stat -c %Y /proc/1") for host in hosts} == boots
        assert "office" in yaml.safe_load(up.inventory.first_contact.read_text())["hosts"]
    finally:
        plan.write_text(CITY, encoding="utf-8")
        up.call("grow")
    assert _record(up) == first and _links(up) == links, "the way back is not the way it was"
    assert not Path(f"/var/lib/egov-lab/{NAME}/office").exists()
    plan.write_text(CITY.replace("mbps: 20", "mbps: 30") + OFFICE, encoding="utf-8")
    try:
        up.call("up", "--fresh")
        assert _record(up) == grown, "a lab that grew is on record as one that was made so"
    finally:
        plan.write_text(CITY, encoding="utf-8")
        up.call("up", "--fresh")


def test_grow_wants_a_lab_that_is_up_and_a_host_that_it_knows(up: Room) -> None:
    assert "nowhere is no host to replace; it can be: core1, core2, noc, control, backup" in up.call(
        "grow", "--anew", "nowhere", code=2
    )


def test_a_host_that_is_not_there_is_said(up: Room) -> None:
    assert "the lab has no host nowhere; it has: core1, core2" in up.call("exec", "nowhere", "true", code=2)
    assert up.call("exec", "core1", "--", "sh", "-c", "exit 7", code=7) == ""


def test_another_clone_of_the_project_does_not_take_this_lab_for_its_own(
    up: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, a second clone tells its user `is up already`, and has no key to any of the hosts."""
    other = Room(_project(tmp_path), Inventory(tmp_path / "inventories" / NAME))
    identity = up.sh("core1", "cat /etc/machine-id")
    with monkeypatch.context() as patch:
        patch.setenv("EGOV_PROJECT", str(other.project))
        said = other.call("up", code=2)
        assert f"belongs to another project, {up.project}: run egovctl lab down -i {NAME} there" in said
        assert f"it belongs to another project: {up.project}" in other.call("status")
    assert up.sh("core1", "cat /etc/machine-id") == identity
    note = up.inventory.first_contact
    note.rename(tmp_path / "note")
    try:
        assert f"{note} is missing, so nobody gets in: run egovctl lab up --fresh" in up.call("up", code=2)
    finally:
        (tmp_path / "note").rename(note)
    assert "is up already" in up.call("up")


# What follows wants the lab down; pytest takes the fixture above down only at the end of the module, so these use
# plain `room` and begin with `down`.


def test_a_taken_port_is_refused_and_leaves_nothing(room: Room) -> None:
    room.call("down")
    before = snapshot()
    with socket.create_server(("127.0.0.1", PORT_BASE + 116)):
        assert f"port 127.0.0.1:{PORT_BASE + 116} (exporter) is taken" in room.call("up", code=3)
    assert_nothing_left(before)
    assert "is not up" in room.call("exec", "core1", "true", code=3)


def test_killed_at_random_moments_down_or_up_always_recovers(room: Room) -> None:
    """Kills and two Ctrl-C at random moments of `up`; then `down`, at times after a plain `up` that must succeed."""
    room.call("down")
    seed = int(os.environ.get("EGOV_SEED", random.randrange(10**6)))
    print(f"seed {seed}: repeat with EGOV_SEED={seed}")
    chance = random.Random(seed)
    before = snapshot()
    begin = time.monotonic()
    room.call("up")
    whole = time.monotonic() - begin
    seen = set(_differences(before, snapshot()))
    assert seen >= {"processes", "namespaces", "cgroups", "files"}, "the snapshot would see what is left"
    room.call("down")
    assert_nothing_left(before)
    for number in range(KILLS + 2):
        process = room.start("up")
        time.sleep(chance.uniform(0, whole * 1.05))
        process.send_signal(signal.SIGKILL if number < KILLS else signal.SIGINT)
        process.communicate(timeout=60)
        if number % 5 == 1:
            assert "lab roomtest is up" in room.call("up")
            assert api.is_up(room.inventory)
        room.call("down")
        assert_nothing_left(before)
    assert "there is no lab" in room.call("down")


def test_two_at_once_do_not_mix(room: Room) -> None:
    room.call("down")
    first, second = room.start("up"), room.start("up")
    outputs = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert {first.returncode, second.returncode} == {0}, outputs
    assert sum("is up already" in text for text in outputs) == 1
    room.call("down")


def test_another_clone_may_take_the_lab_down_or_over(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a umask that hides everything, and with the first clone's note of the hosts gone too."""
    room.call("down")
    before = snapshot()
    mask = os.umask(0o077)
    try:
        room.call("up")
        assert room.sh("core1", "stat -c %a / /root/.ssh /srv").split() == ["755", "700", "755"]
        assert room.sh("noc", "runuser -u nobody -- cat /etc/hostname") == "noc"
        other = Room(_project(tmp_path), Inventory(tmp_path / "inventories" / NAME))
        with monkeypatch.context() as patch:
            patch.setenv("EGOV_PROJECT", str(other.project))
            assert "is up: 5 hosts" in other.call("up", "--fresh")
        assert not room.inventory.first_contact.exists()
        room.call("down")
    finally:
        os.umask(mask)
    assert not (other.project / ".egov" / NAME / "first_contact.yml").exists()
    assert_nothing_left(before)


def test_a_lost_record_does_not_hide_the_lab(room: Room) -> None:
    before = snapshot()
    room.call("up")
    shutil.rmtree(f"/run/egov-lab/{NAME}")
    room.call("down")
    assert_nothing_left(before)
