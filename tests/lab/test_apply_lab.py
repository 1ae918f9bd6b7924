"""The transaction on a real host that loses its power.

If these fail, an apply that is interrupted can leave a host between two configurations.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from test_city import AS_PLANNED, SITE

from egovctl.apply.contact import wait_in_band
from egovctl.apply.transaction import Answer, Request, apply_host
from egovctl.errors import CannotMeasure
from egovctl.secrets import Secrets
from egovctl.transport import run

pytestmark = pytest.mark.lab
HOST = "minqin-education"
CHANGED, MADE = "/etc/chrony/chrony.conf", "/etc/egov-test/file"


def shell(city_lab: Any, command: str, data: bytes) -> Answer:
    done = run(city_lab.inventory, HOST, ["sh", "-c", command], input=data, timeout=60)
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def changed_build(city_lab: Any, folder: Path) -> Path:
    """A copy of the host's build with one file changed and one added, both with an action."""
    shutil.copytree(city_lab.inventory.build / HOST, folder / HOST)
    manifest = json.loads((folder / HOST / "manifest.json").read_text())
    entry = next(item for item in manifest["files"] if item["path"] == CHANGED)
    added = {**entry, "path": MADE, "actions": ["run:true"], "mode": "0644", "owner": "root", "group": "root"}
    added.pop("validate", None)
    manifest["files"].append(added)
    manifest["order"].append("run:true")
    for item, text in ((entry, "# a new last line\n"), (added, "made\n")):
        place = folder / HOST / "rootfs" / item["path"][1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text((place.read_text() if place.exists() else "") + text)
        item["sha256"] = hashlib.sha256(place.read_bytes()).hexdigest()
    (folder / HOST / "manifest.json").write_text(json.dumps(manifest))
    return folder


def phase(city_lab: Any) -> str:
    text = city_lab.on(HOST, "cat /var/lib/egov/journal.json 2>/dev/null || true").stdout
    return str(json.loads(text)["phase"]) if text.strip() else ""


def reboot(city_lab: Any) -> None:
    """Power off and on: nothing is synced, no unit is stopped."""
    before = city_lab.on(HOST, "cat /proc/sys/kernel/random/boot_id").stdout
    city_lab.on(HOST, "reboot -f -f", check=False)
    limit = time.monotonic() + 90
    while time.monotonic() < limit:
        now = city_lab.on(HOST, "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running", check=False).stdout
        if now and not now.startswith(before.strip()) and ("running" in now or "degraded" in now):
            return
        time.sleep(1)
    pytest.fail(f"{HOST} did not boot again")


@pytest.mark.parametrize("wanted", [pytest.param("swapping", marks=pytest.mark.long), "swapped"])
def test_power_lost_in_the_middle_is_undone_or_finished_at_boot(city_lab: Any, tmp_path: Path, wanted: str) -> None:
    build = changed_build(city_lab, tmp_path)
    old = city_lab.on(HOST, f"cat {CHANGED}").stdout
    request = Request(build, HOST, Secrets(city_lab.inventory).get)
    for step in range(3, 20):
        cut = Request(build, HOST, request.secret, test={"kill_at": step})
        with pytest.raises(CannotMeasure, match="without a result"):
            apply_host(cut, lambda command, data: shell(city_lab, command, data))
        if phase(city_lab) == wanted:
            break
        city_lab.on(HOST, "python3 -I /usr/local/lib/egov/egov-apply recover")
    assert phase(city_lab) == wanted
    reboot(city_lab)
    assert phase(city_lab) == ""
    text, made = city_lab.on(HOST, f"cat {CHANGED}").stdout, city_lab.on(HOST, f"cat {MADE}", check=False).stdout
    if wanted == "swapped":
        assert (text, made) == (old + "# a new last line\n", "made\n")
        assert "run:true" in city_lab.on(HOST, "cat /var/lib/egov/pending.json").stdout
    else:
        assert (text, made) == (old, "")
    assert city_lab.on(HOST, "systemctl is-active chrony.service").stdout.strip() == "active"
    wait_in_band(city_lab.inventory, HOST, 90)
    city_lab.playbook("playbooks/site.yml", "--limit", HOST)
    assert city_lab.on(HOST, f"cat {CHANGED}").stdout == old
    assert city_lab.on(HOST, "ls -d /etc/egov-test", check=False).stdout == ""


def changed_hosts(output: str) -> list[str]:
    """The hosts that the recap tells of a change."""
    return re.findall(r"^(\S+)\s+: ok=\d+\s+changed=[1-9]", output, re.M)


@pytest.mark.long
def test_tags_apply_just_their_bundles(city_lab: Any) -> None:
    spoiled = {"/etc/nftables.conf": "nftables", "/etc/snmp/snmpd.conf": "snmpd", "/etc/frr/daemons": "frr"}
    for path in spoiled:
        city_lab.on(HOST, f"echo '# spoiled' >> {path}")

    def still_spoiled() -> set[str]:
        found = city_lab.on(HOST, f"grep -l '# spoiled' {' '.join(spoiled)}", check=False).stdout
        return {spoiled[path] for path in found.split()}

    try:
        wrong = city_lab.playbook("playbooks/site.yml", "--tags", "nftable", check=False)
        assert wrong.returncode == 2
        assert "there is no tag nftable; the tags are administrators, alertmanager, base, " in wrong.stdout
        assert changed_hosts(wrong.stdout) == [] and len(still_spoiled()) == 3
        told = city_lab.playbook("playbooks/site.yml", "--tags", "nftables", "--check").stdout
        assert f"{HOST}: would change: files /etc/nftables.conf; actions reload:nftables.service\n" in told
        assert len(still_spoiled()) == 3
        done = city_lab.playbook("playbooks/site.yml", "--tags", "nftables").stdout
        assert changed_hosts(done) == [HOST] and still_spoiled() == {"snmpd", "frr"}
        city_lab.playbook("playbooks/site.yml", "--skip-tags", "frr,borgmatic", "--limit", HOST)
        assert still_spoiled() == {"frr"}
    finally:
        city_lab.playbook("playbooks/site.yml", "--limit", HOST)
    assert still_spoiled() == set()


def test_a_core_that_fails_leaves_the_other_one_alone(city_lab: Any) -> None:
    registry = "/var/lib/egov/managed.json"
    city_lab.on("core1", f"cp -a {registry} /root/kept.json; echo '}}' >> {registry}")
    for host in ("core2", HOST):
        city_lab.on(host, "systemctl disable -q --now chrony.service")
    try:
        done = city_lab.playbook("playbooks/site.yml", "--tags", "base", check=False)
        assert done.returncode == 2 and f"core1: {registry} is damaged" in done.stdout
        assert changed_hosts(done.stdout) == [HOST]
        assert city_lab.on("core2", "systemctl is-active chrony.service", check=False).stdout.strip() == "inactive"
    finally:
        city_lab.on("core1", f"mv /root/kept.json {registry}")
        city_lab.playbook("playbooks/site.yml", "--tags", "base")
    assert city_lab.on("core2", "systemctl is-active chrony.service").stdout.strip() == "active"


@contextmanager
def templates(city_lab: Any, **texts: tuple[str, str]) -> Iterator[None]:
    """Edit a template of each role: role → (a piece that only one of its templates has, what shall stand there)."""
    folder = city_lab.project / "playbooks/roles"
    before = {}
    for role, (old, new) in texts.items():
        (place,) = [path for path in (folder / role / "templates").iterdir() if old in path.read_text()]
        before[place] = place.read_text()
        place.write_text(before[place].replace(old, new, 1))
    try:
        yield
    finally:
        for place, text in before.items():
            place.write_text(text)


def ours(text: str) -> str:
    """A piece of a template for HOST alone."""
    return f"{{% if host.name == '{HOST}' %}}\n{text}\n{{% endif %}}\n"


def test_a_change_that_cuts_a_department_off_is_undone_by_itself(city_lab: Any) -> None:
    """The firewall is valid and in force, and control does not get through any more: nobody could mend it from here."""
    before = city_lab.on(HOST, "cat /etc/nftables.conf").stdout
    head = "\t\ttype filter hook input priority filter; policy drop;\n"
    wait = ("--limit", HOST, "-e", "transaction_confirm_seconds=10")
    with templates(city_lab, nftables=(head, head + ours("\t\ttcp dport 22 counter name spoofed drop"))):
        done = city_lab.playbook(SITE, *wait, check=False)
    assert done.returncode == 2 and "tcp dport 22 counter" not in city_lab.on(HOST, "nft list ruleset").stdout
    assert "nobody could reach it by a new connection" in " ".join(done.stdout.split()), done.stdout
    assert city_lab.on(HOST, "cat /etc/nftables.conf").stdout == before and phase(city_lab) == ""
    wait_in_band(city_lab.inventory, HOST, 30)
    assert changed_hosts(city_lab.playbook(SITE).stdout) == []


def test_a_change_that_one_department_does_not_take_goes_no_further(city_lab: Any) -> None:
    options = "cat /etc/default/prometheus-node-exporter"
    before = {host: city_lab.on(host, options).stdout for host in ("hub-minqin", "education", "core1")}
    with templates(city_lab, node_exporter=('ARGS="', 'ARGS="--no-such-option ')):
        done = city_lab.playbook(SITE, check=False)
    assert done.returncode == 2 and f"{HOST} is not well, so the run stops here" in " ".join(done.stdout.split())
    assert changed_hosts(done.stdout) == []
    assert {host: city_lab.on(host, options).stdout for host in before} == before
    assert AS_PLANNED not in city_lab.playbook(SITE, "--check").stdout, "a host that was never proven is forgotten"
    assert changed_hosts(city_lab.playbook(SITE).stdout) == []
    assert AS_PLANNED in city_lab.playbook(SITE, "--check").stdout


def test_a_failure_elsewhere_keeps_the_cores_from_their_turn(city_lab: Any) -> None:
    registry = "/var/lib/egov/managed.json"
    city_lab.on("education", f"cp -a {registry} /root/kept.json; echo '}}' >> {registry}")
    city_lab.on("core1", "systemctl disable -q --now chrony.service")
    try:
        done = city_lab.playbook(SITE, "--tags", "base", check=False)
        assert done.returncode == 2 and "education is not well, so the run stops here" in " ".join(done.stdout.split())
        assert city_lab.on("core1", "systemctl is-active chrony.service", check=False).stdout.strip() == "inactive"
    finally:
        city_lab.on("education", f"mv /root/kept.json {registry}")
        city_lab.playbook(SITE, "--tags", "base")
    assert city_lab.on("core1", "systemctl is-active chrony.service").stdout.strip() == "active"


def test_a_department_that_is_not_well_after_a_change_is_asked_again_in_the_next_run(city_lab: Any) -> None:
    """One of two routing protocols is down: reachable and confirmed, as planned to the letter, and not well."""
    known, head = "frr version 8.4.4\n", " ipv6 ospf6 network point-to-point\n"
    briefly = ("--tags", "frr", "-e", "transaction_prove_seconds=6")
    with (
        templates(city_lab, frr=(known, known + "! for everybody\n")),
        templates(city_lab, frr=(head, head + ours(" ipv6 ospf6 passive"))),
    ):
        first = city_lab.playbook(SITE, *briefly, check=False)
        again = city_lab.playbook(SITE, *briefly, check=False)
    for done in (first, again):
        assert done.returncode == 2 and f"{HOST} is not well, so the run stops here" in " ".join(done.stdout.split())
    assert changed_hosts(first.stdout) == [HOST] and changed_hosts(again.stdout) == []
    assert "for everybody" not in city_lab.on("hub-minqin", "cat /etc/frr/frr.conf").stdout
    assert changed_hosts(city_lab.playbook(SITE, "--tags", "frr").stdout) == [HOST]
    assert AS_PLANNED in city_lab.playbook(SITE).stdout


def test_check_mode_before_the_exporter_is_there_and_the_upgrade_after_it(city_lab: Any) -> None:
    unit, link = "egov-snmp-exporter.service", "/opt/egov/exporter"
    current = city_lab.on("noc", f"readlink {link}").stdout.strip()
    city_lab.on(
        "noc", f"systemctl disable -q --now {unit}; rm {link} /etc/systemd/system/{unit}; systemctl daemon-reload"
    )
    city_lab.on("noc", f"mkdir {link}-aaaa {link}-aaaa.wheels")
    try:
        told = city_lab.playbook("playbooks/noc.yml", "--check").stdout
        assert f"{current} would be installed" in told
        assert city_lab.on("noc", f"ls {link}", check=False).stdout == ""
        # An older one in force, of which there is no unit: an upgrade that was interrupted.
        older = f"{link}-bbbb"
        city_lab.on("noc", f"mkdir -p {older}/bin; touch {older}/bin/egov-snmp-exporter; ln -s {older} {link}")
    finally:
        city_lab.playbook("playbooks/noc.yml")
    assert city_lab.on("noc", f"systemctl is-active {unit}").stdout.strip() == "active"
    assert sorted(city_lab.on("noc", f"ls -d {link}*").stdout.split()) == sorted([link, current, older])
    assert city_lab.on("noc", f"readlink {link}").stdout.strip() == current
    assert changed_hosts(city_lab.playbook("playbooks/noc.yml").stdout) == []


def test_nothing_goes_to_a_host_that_is_not_the_enrolled_one(city_lab: Any) -> None:
    record = city_lab.inventory.enrolled_dir / "core2.yml"
    text = record.read_text()
    other = (city_lab.inventory.enrolled_dir / "core1.yml").read_text().split("ssh_host_ed25519: ")[1].strip()
    mine = text.split("ssh_host_ed25519: ")[1].strip()
    try:
        record.write_text(text.replace(mine, other))
        # The connection is kept open, so that ssh itself does not ask again.
        done = city_lab.playbook("playbooks/site.yml", "--limit", "core2", check=False)
    finally:
        record.write_text(text)
        city_lab.egovctl("render", "-i", str(city_lab.inventory.root))  # known_hosts has the false key until then
    assert done.returncode == 2 and "another host key than the enrolled one" in done.stdout
