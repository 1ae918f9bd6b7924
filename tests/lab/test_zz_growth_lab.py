"""A city that grows and shrinks on the running lab: a department, a county, a moved line, a new router, a site less.

The tests go on from one another and come last: they leave the lab in order, with a larger plan than it began with.
If one fails, an office could not be added or taken away without disturbing those that are there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from test_city import SITE, applied, recap

from egovctl.apply.enrolment import read_record
from egovctl.checks.prove import prove
from egovctl.evidence import open_chain
from egovctl.plan import load_city

pytestmark = pytest.mark.lab
ENROL = "playbooks/enrol.yml"
NEW = "minqin-forestry"
DEPARTMENT = """\
  - {number: 236, name: minqin-forestry, kind: department, county: minqin,
     title: {zh: 民勤县林业和草原局, en: Minqin Forestry and Grassland Bureau},
     uplinks: [{to: hub-minqin, mbps: 20}]}
"""
SERVICE = """\
  - {name: forest-papers, title: {zh: 林业文件, en: Forestry papers}, owner: minqin-forestry, grade: 2,
     availability: 99, rto: 1h, rpo: 1h, hosts: [minqin-forestry],
     backup: {engine: borg, paths: [/srv/forest], schedule: "*:0/15"}}
"""
COUNTY = "  - {name: gulang, title: {zh: 古浪县, en: Gulang County}}\n"
COUNTY_SITES = """\
  - {number: 13, name: hub-gulang, title: {zh: 古浪县汇聚节点, en: Gulang County hub}, kind: hub, county: gulang,
     uplinks: [{to: core1, mbps: 200}, {to: core2, mbps: 200}]}
  - {number: 321, name: gulang-education, title: {zh: 古浪县教育局, en: Gulang Education Bureau}, kind: department,
     county: gulang, uplinks: [{to: hub-gulang, mbps: 100}]}
"""


@pytest.fixture(autouse=True)
def _json_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_CALLBACK_RESULT_FORMAT", "json")


@contextmanager
def timed(what: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - begin:.0f} s")


class Grower:
    """The tasks of docs/growth.md, with the seconds of each step."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self.plan = lab.inventory.plan_dir / "city.yml"
        self.services = lab.inventory.plan_dir / "services.yml"
        self.known = self.rendered()

    def edit(self, path: Path, old: str, new: str) -> None:
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def add(self, path: Path, text: str) -> None:
        path.write_text(path.read_text(encoding="utf-8").rstrip("\n") + "\n" + text, encoding="utf-8")

    def grow(self, *options: str) -> str:
        with timed("  lab grow"):
            output: str = self.lab.egovctl("lab", "grow", "-i", str(self.lab.inventory.root), *options).stdout
        return output

    def run(self, playbook: str, *options: str) -> str:
        with timed(f"  {' '.join([playbook, *options])}"):
            output: str = self.lab.playbook(playbook, "-v", *options).stdout
        return output

    def rendered(self) -> dict[tuple[str, str], bytes]:
        """(host, path) → content, of the build as it is."""
        build = self.lab.inventory.build
        return {
            (folder.parent.name, f"/{path.relative_to(folder)}"): path.read_bytes()
            for folder in build.glob("*/rootfs")
            for path in folder.rglob("*")
            if path.is_file()
        }

    def change(self, *options: str) -> tuple[dict[str, set[str]], str]:
        """Apply; asserts that of hosts that were there only those files were written that are rendered differently now
        than at their last apply. Returns what was written and removed, by host."""
        output = self.run(SITE, *options)
        now, found = self.rendered(), applied(output)
        done = {host: set(result["files"]) | set(result["removed"]) for host, result in found.items()}
        for host in done.keys() & {host for host, _ in self.known}:
            new = {path for (name, path), text in now.items() if name == host and self.known.get((name, path)) != text}
            same = {path for name, path in now if name == host} - new
            assert not done[host] & same, f"{host}: {done[host] & same} were touched though nothing of them is new"
        if not options:
            # Control is applied by control.yml, after everything: its timers drill what is new.
            late = {host for host, _ in now} - done.keys() - {"control"}
            assert {key for key, text in now.items() if key[0] in late and self.known.get(key) != text} == set()
        self.known = {
            **{key: text for key, text in self.known.items() if key[0] not in done},
            **{key: text for key, text in now.items() if key[0] in done},
        }
        assert not any(row["failed"] or row["unreachable"] for row in recap(output).values())
        return {host: paths for host, paths in done.items() if paths}, output

    def grown(self, *hosts: str) -> dict[str, set[str]]:
        """The three steps for new hosts: the city makes way, they come in band, everything follows."""
        self.grow()
        names = ":!".join(hosts)
        way, _ = self.change("--limit", f"all:!{names}")
        self.run(ENROL, "--limit", ",".join(hosts))
        last, _ = self.change()
        assert set(last) <= {*hosts, "backup", *way}, "the last step has a surprise"
        with timed("  proven"):
            prove(self.lab.inventory, hosts, 60)
        city = load_city(self.lab.inventory)
        for host in hosts:
            self.lab.on("noc", f"ping -c2 -i0.2 -W2 -q {city.hosts[host].address_v4}")
        return way

    def boots(self) -> dict[str, str]:
        """host → the identity of this boot, of each guest of the plan."""
        hosts = [h.name for h in load_city(self.lab.inventory).hosts.values() if "managed" in h.groups]
        return {host: self.lab.on(host, "stat -c %Y /proc/1").stdout.strip() for host in hosts}


@pytest.fixture(scope="module")
def city(city_lab: Any) -> Iterator[Grower]:
    """The lab to grow; one that is kept between sessions is brought back to the plan that it had."""
    grower = Grower(city_lab)
    plans = {path: path.read_text(encoding="utf-8") for path in (grower.plan, grower.services)}
    yield grower
    if os.environ.get("EGOV_TEST_PROJECT"):
        for path, text in plans.items():
            path.write_text(text, encoding="utf-8")
        for host in (NEW, "hub-gulang", "gulang-education"):
            (city_lab.inventory.enrolled_dir / f"{host}.yml").unlink(missing_ok=True)
        grower.run(SITE, "--limit", "core1,core2")  # a line that moves back onto a core: its new upper end first
        grower.grow()
        grower.run(SITE)


def test_a_department_is_three_lines(city: Grower) -> None:
    running = city.boots()
    city.add(city.plan, DEPARTMENT)
    city.add(city.services, SERVICE)
    way = city.grown(NEW)
    assert {host: start for host, start in city.boots().items() if host != NEW} == running, "somebody was started anew"
    assert "/etc/frr/frr.conf" in way["core1"] & way["core2"]
    assert f"/etc/systemd/network/50-egov-{city_interface(city)}.network" in way["hub-minqin"]
    assert "education" not in way, "an office elsewhere is not touched"
    assert way["minqin-health"] <= {"/etc/unbound/egov-names.conf"}, "an office nearby learns a name"
    assert "/etc/frr/frr.conf" not in {path for host in ("minqin-education", "noc") for path in way.get(host, ())}
    keys = city.lab.on("backup", "cat /srv/borg/.ssh/authorized_keys").stdout
    assert read_record(city.lab.inventory, NEW)["borg_ed25519"] in keys
    assert "10.240.7.97:9100" in city.lab.on("noc", "cat /etc/prometheus/prometheus.yml").stdout


def city_interface(city: Grower) -> str:
    host = load_city(city.lab.inventory).hosts["hub-minqin"]
    return next(item.name for item in host.interfaces if item.peer_host == NEW)


@pytest.mark.long
def test_a_county_is_a_hub_and_its_offices(city: Grower) -> None:
    city.edit(city.plan, "counties:\n", f"counties:\n{COUNTY}")
    city.add(city.plan, COUNTY_SITES)
    way = city.grown("hub-gulang", "gulang-education")
    assert "/etc/frr/frr.conf" in way["core1"] & way["core2"]
    assert not way.keys() & {"hub-minqin", "minqin-education", "education"}, "another county is not touched"


@pytest.mark.long
def test_an_uplink_is_moved_while_the_other_carries(city: Grower) -> None:
    city.edit(
        city.plan,
        "uplinks: [{to: core1, mbps: 100}, {to: core2, mbps: 100}]}",
        "uplinks: [{to: hub-gulang, mbps: 100}, {to: core2, mbps: 100}]}",
    )
    assert set(city.change("--limit", "hub-gulang")[0]) == {"hub-gulang"}
    root = str(city.lab.inventory.root)
    address = load_city(city.lab.inventory).hosts["education"].address_v4
    words = [sys.executable, "-m", "egovctl", "lab", "exec", "-i", root, "noc", "--"]
    ping = subprocess.Popen([*words, "ping", "-i0.1", "-w300", address], stdout=subprocess.PIPE, text=True)
    output = city.grow()
    assert "- line education up0 - core1 d-education" in output
    assert "+ line education up0 - hub-gulang d-education" in output
    way, _ = city.change("--limit", "core1,core2,education,hub-gulang")
    city.lab.on("noc", f"pkill -INT -f '[p]ing -i0.1 -w300 {address}'")
    said, _ = ping.communicate(timeout=30)
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", said).groups())  # type: ignore[union-attr]
    print(f"  moved under a ping every 0.1 s: {sent} sent, {sent - received} lost")
    assert received > 20 and sent - received <= 60, "more than six seconds lost"
    assert "/etc/frr/frr.conf" in way["core1"]
    prove(city.lab.inventory, ["education"], 60)
    neighbours = city.lab.on("education", "vtysh -c 'show ip ospf neighbor'").stdout
    hub = load_city(city.lab.inventory).hosts["hub-gulang"]
    assert hub.address_v4 in neighbours


@pytest.mark.long
def test_a_router_is_replaced_under_its_name(city: Grower) -> None:
    old = read_record(city.lab.inventory, NEW)
    assert city.grow("--anew", NEW).count("(a new one)") == 1
    city.known = {key: text for key, text in city.known.items() if key[0] != NEW}
    city.run(ENROL, "--limit", NEW)
    new = read_record(city.lab.inventory, NEW)
    assert new["ssh_host_ed25519"] != old["ssh_host_ed25519"]
    done, _ = city.change()
    assert "/srv/borg/.ssh/authorized_keys" in done["backup"] and set(done) == {NEW, "backup", "noc"}
    keys = city.lab.on("backup", "cat /srv/borg/.ssh/authorized_keys").stdout
    assert new["borg_ed25519"] in keys and old["borg_ed25519"] not in keys
    prove(city.lab.inventory, [NEW], 60)
    city.lab.on(NEW, "systemctl start egov-backup@forest-papers.service")


def test_a_site_that_is_needed_is_not_retired(city: Grower) -> None:
    for site, why in (
        ("hub-minqin", "is the way up of"),
        (NEW, f"{NEW} still owns service forest-papers"),
        ("noc", "noc is the noc"),
    ):
        done = city.lab.playbook("playbooks/retire.yml", "-e", f"retire_site={site}", check=False)
        assert done.returncode == 2 and why in " ".join(done.stdout.split()), done.stdout
    assert city.lab.on(NEW, "test -e /etc/egov/keys/borg_ed25519", check=False).returncode == 0


@pytest.mark.long
def test_a_retired_site_leaves_no_key_no_route_and_no_target(city: Grower) -> None:
    inventory = city.lab.inventory
    key = read_record(inventory, NEW)["borg_ed25519"]
    city.edit(city.services, SERVICE, "")
    told = city.run("playbooks/retire.yml", "-e", f"retire_site={NEW}", "-e", "retire_on=2026-03-31")
    line = "{number: 236, name: minqin-forestry, on: 2026-03-31}"
    assert line in told and f"/srv/borg/{NEW}" in told
    left = city.lab.on(NEW, "ls -d /etc/egov /var/lib/egov /home/egov-deploy /etc/sudoers.d/egov-deploy", check=False)
    assert left.stdout == ""
    active = city.lab.on(
        NEW, "systemctl is-active frr nftables prometheus-node-exporter egov-backup-forest-papers.timer", check=False
    )
    assert set(active.stdout.split()) <= {"inactive", "failed"}, active.stdout
    assert not (inventory.enrolled_dir / f"{NEW}.yml").exists()
    assert (inventory.enrolled_dir / "retired" / f"{NEW}.yml").exists()

    city.edit(city.plan, DEPARTMENT, "")
    city.add(city.plan, f"retired:\n  - {line}\n")
    assert f"- host {NEW}" in city.grow()
    city.change()
    for core in ("core1", "core2"):
        known = city.lab.on(core, "vtysh -c 'show running-config'; ip route; ip -6 route").stdout
        assert "10.240.7.97" not in known and "10.64.236." not in known and "2001:db8:236:" not in known
    assert NEW not in city.lab.on("noc", "cat /etc/prometheus/prometheus.yml").stdout
    keys = city.lab.on("backup", "cat /srv/borg/.ssh/authorized_keys").stdout
    assert key not in keys and NEW not in keys
    assert NEW not in (inventory.build / "control" / "known_hosts").read_text(encoding="utf-8")
    assert not (inventory.build / NEW).exists()

    assert city.lab.on("backup", f"ls /srv/borg/{NEW}").stdout.split() != [], "the repository is kept"
    assert (inventory.secrets / f"borg_passphrase_{NEW}").is_file()
    records = [item for item in open_chain(inventory).records() if item.kind == "site.retired"]
    assert [item.body["site"] for item in records] == [NEW] and records[0].body["not_reached"] == []
    assert open_chain(inventory).verify().ok


@pytest.mark.long
def test_its_number_stays_out_of_use(city: Grower) -> None:
    kept = city.plan.read_text(encoding="utf-8")
    try:
        city.edit(city.plan, "retired:\n", DEPARTMENT.replace("minqin-forestry", "minqin-parks") + "retired:\n")
        done = city.lab.egovctl("plan", "check", "-i", str(city.lab.inventory.root), check=False)
        assert done.returncode == 2 and "was that of minqin-forestry, retired on 2026-03-31" in done.stderr
    finally:
        city.plan.write_text(kept, encoding="utf-8")
    shutil.rmtree(city.lab.inventory.state / "cp", ignore_errors=True)
