"""The drill restore-system on a real system: backed up as the role does it, damaged in ways that must be named.

The live node is the lab's image, booted in a box, with what role borgmatic renders for it: the role's own unit backs it
up, only that the repository is on the node's disk. A failure here means that a system backup which does not boot, or is
not that machine, would be called good, or a good one bad.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from egovctl.drill import Item, Outcome, Verdict
from egovctl.drill.borg import Repository
from egovctl.drill.causes import Cause
from egovctl.drill.judging import Promise
from egovctl.drill.model import Target
from egovctl.drill.restore_system import restore_system
from egovctl.drill.scratch import Limits, Scratch, System, end_left
from egovctl.lab import image
from egovctl.paths import Inventory
from egovctl.render import render_city

REPOSITORY = Path(__file__).resolve().parents[2]
PASSPHRASE = "correct horse"
HOST = "minqin-education"
TARGET = Target("systems", HOST)
ROUTER = "hub-minqin"  # which the lab's plan backs up whole
OF_THE_ROLE = (
    "/etc/borgmatic.d/systems.yaml",
    "/etc/systemd/system/egov-backup@.service",
    "/usr/local/lib/egov/egov-backup-",
)
LIMITS = Limits(memory=512 << 20, processes=256)
PROMISE = Promise(rto=900, rpo=3600)

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="a scratch container needs root"),
]


@dataclass
class Node:
    """The live node, running, and its repository in its own /srv/borg (which its backups leave out)."""

    box: System
    tree: Path

    def shell(self, command: str) -> str:
        environment = {"BORG_PASSPHRASE": PASSPHRASE, "BORG_BASE_DIR": "/var/cache/egov-borg"}
        done = self.box.run(["sh", "-ec", command], environment=environment, timeout=120)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        return done.stdout.decode()

    def backup(self, meanwhile: str = "true") -> None:
        """By the role's own unit; `meanwhile` happens between the manifest and borg."""
        (self.tree / "usr/local/lib/egov/meanwhile").write_text(f"#!/bin/sh -e\n{meanwhile}\n")
        self.shell("systemctl start egov-backup@systems || { journalctl -n 30 -u egov-backup@systems >&2; exit 1; }")

    def repository(self, folder: Path) -> Repository:
        """A copy on the machine, as a drill reads it."""
        if (folder / "repo").exists():
            shutil.rmtree(folder / "repo")
        shutil.copytree(self.tree / "srv/borg/repo", folder / "repo")
        return Repository(str(folder / "repo"), PASSPHRASE, folder / "base")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the plan of the lab gives the host for its system backup: path → content."""
    project = tmp_path_factory.mktemp("project")
    for name in ("playbooks", "inventories"):
        ignored = shutil.ignore_patterns("enrolled", "__pycache__")
        shutil.copytree(REPOSITORY / name, project / name, ignore=ignored)
    for name in ("cli", "dashboards", "exporters"):  # roles ship files of these
        (project / name).symlink_to(REPOSITORY / name)
    services = project / "inventories/lab/plan/services.yml"
    text = services.read_text()
    assert text.count(f"hosts: [{ROUTER}]\n") == 1
    services.write_text(text.replace(f"hosts: [{ROUTER}]\n", f"hosts: [{HOST}]\n"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EGOV_PROJECT", str(project))
        files = render_city(Inventory(project / "inventories/lab")).hosts[HOST].files
    return {path: content for path, content in files.items() if path.startswith(OF_THE_ROLE)}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, rendered: dict[str, bytes]) -> Iterator[Node]:
    os.environ["BORG_RELOCATED_REPO_ACCESS_IS_OK"] = "yes"
    top = tmp_path_factory.mktemp("node")
    top.chmod(0o700)
    folder = top / "live"
    folder.mkdir()
    source = image.ensure(lambda text: None).root
    with Scratch.room(folder, 2 << 30):
        tree = folder / "tree"
        subprocess.run(["cp", "-a", str(source), str(tree)], check=True)
        install(tree, rendered)
        with Scratch.system(tree, LIMITS) as box:
            made = Node(box, tree)
            wait_for(lambda: box.run(["systemctl", "is-system-running"]).stdout.strip() in (b"running", b"degraded"))
            wait_for(lambda: b"10.9.9.9" in box.run(["ip", "address"]).stdout)
            made.shell("mkdir -p /srv/borg && borg init -e repokey-blake2 /srv/borg/repo")
            made.backup()
            yield made
    assert end_left(top)


def install(tree: Path, rendered: dict[str, bytes]) -> None:
    """The role's files, on a node that has FRR, a filter and an address; its repository is on its own disk."""
    assert len(rendered) >= 4, sorted(rendered)
    for path, content in rendered.items():
        target = tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if path.startswith("/usr/") else 0o600)
    written = tree / "etc/borgmatic.d/systems.yaml"
    text = re.sub(r"ssh://borg@\S+", "/srv/borg/repo", written.read_text())
    hook = "    after_backup:"
    assert hook in text
    written.write_text(text.replace(hook, f"        - sh /usr/local/lib/egov/meanwhile\n{hook}"))
    (tree / "etc/egov").mkdir()
    (tree / "etc/egov/borg_passphrase").write_text(PASSPHRASE)
    (tree / "etc/systemd/system/egov-backup@.service.d").mkdir()
    writable = "[Service]\nReadWritePaths=/srv/borg /var/lib /etc /usr\n"  # the repository, and what happens meanwhile
    (tree / "etc/systemd/system/egov-backup@.service.d/test.conf").write_text(writable)
    (tree / "var/lib/egov/backup").mkdir(parents=True)
    (tree / "etc/hostname").write_text(f"{HOST}\n")
    (tree / "etc/systemd/network/lo.network").write_text("[Match]\nName=lo\n[Address]\nAddress=10.9.9.9/32\n")
    enable = ["systemctl", f"--root={tree}", "--quiet", "enable"]
    subprocess.run([*enable, "frr.service", "nftables.service", "systemd-networkd.service"], check=True)


def drilled(node: Node, folder: Path, **how: object) -> Item:
    folder.chmod(0o700)
    run = folder / "run"
    run.mkdir()
    item = restore_system(node.repository(folder), TARGET, PROMISE, run, lambda text: None, "10.9.9.9", LIMITS, **how)
    assert not list(run.iterdir()), "nothing of it is left"
    assert end_left(folder)
    return item


def words(item: Item) -> str:
    return " | ".join(reason["en"] for reason in item.reasons)


def test_a_good_system_boots_and_is_the_same(node: Node, tmp_path: Path) -> None:
    item = drilled(node, tmp_path)
    assert (item.outcome, item.verdict) == (Outcome.COMPLETED, Verdict.MET), words(item)
    assert item.files_compared > 5000
    assert list(item.phases) == ["find", "restore", "verify", "boot", "ask"]
    asked = item.details["asked"]
    assert set(asked.values()) == {"as it must be"}, asked
    assert {"host name", "packages", "enabled units", "running services", "its address"} <= set(asked)
    assert {"FRR runs", "the filter is in force", "sshd's configuration"} <= set(asked)
    assert item.details["differences"] == 0
    node.shell("python3 -c 'import threading; threading.Thread(target=print).start()'")  # Kea and others have threads
    assert item.rpo_seconds is not None and 0 <= item.rpo_seconds < 600


@pytest.mark.long
def test_what_moves_on_while_it_is_backed_up_is_no_fault_but_programs_do_not(node: Node, tmp_path: Path) -> None:
    node.backup("echo more >> /var/lib/dpkg/status-old; echo new > /var/lib/new; sleep 1")
    item = drilled(node, tmp_path)
    assert item.verdict is Verdict.MET, words(item)
    assert {"/var/lib/dpkg/status-old", "/var/lib/new"} <= set(item.details["moved_on"])
    node.backup("echo '#' >> /usr/bin/vtysh")
    shutil.rmtree(tmp_path / "run")
    item = drilled(node, tmp_path)
    assert item.verdict is Verdict.NOT_MET
    assert Cause.CONTENT_CHANGED in item.causes and "/usr/bin/vtysh" in words(item)
    node.shell("truncate -s -2 /usr/bin/vtysh")


# What is done to the live node before it is backed up, how it is undone, and what the drill must say.
FAULTS = (
    (
        "printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n[Install]\\nWantedBy=multi-user.target\\n'"
        " > /etc/systemd/system/bad.service; systemctl -q enable bad.service",
        "systemctl -q disable bad.service; rm /etc/systemd/system/bad.service",
        "bad.service",
    ),
    (
        "cp -a /etc/frr/frr.conf /etc/frr/kept; echo 'router bgp nonsense' >> /etc/frr/frr.conf",
        "mv /etc/frr/kept /etc/frr/frr.conf",
        "FRR's configuration",
    ),
    (
        "cp -a /etc/nftables.conf /etc/nftables.kept; echo 'table inet {' >> /etc/nftables.conf",
        "mv /etc/nftables.kept /etc/nftables.conf",
        "nftables.service",
    ),
    ("cp /etc/hostname /etc/kept; echo core1 > /etc/hostname", "mv /etc/kept /etc/hostname", "host name: missing"),
)


def test_a_system_that_would_not_be_itself_is_named(node: Node, tmp_path: Path) -> None:
    """Its files are all as the manifest says: only what boots from them tells."""
    for fault, _, _ in FAULTS:
        node.shell(fault)
    try:
        node.backup()
    finally:
        for _, undo, _ in FAULTS:
            node.shell(undo)
    item = drilled(node, tmp_path)
    assert item.verdict is Verdict.NOT_MET, item.details
    assert item.causes == (Cause.NOT_STARTED,)
    assert not [word for _, _, word in FAULTS if word not in words(item)], words(item)


def test_one_that_does_not_boot_is_not_met(node: Node, tmp_path: Path) -> None:
    """Its init is gone, backup and manifest agree: only the boot tells."""
    node.shell("mv /usr/lib/systemd/systemd /usr/lib/systemd/kept")
    try:
        node.backup()
    finally:
        node.shell("mv /usr/lib/systemd/kept /usr/lib/systemd/systemd")
    item = drilled(node, tmp_path)
    assert item.verdict is Verdict.NOT_MET, words(item)
    assert Cause.NOT_STARTED in item.causes


@pytest.mark.long
def test_a_lost_subtree_is_named(node: Node, tmp_path: Path) -> None:
    manifest = json.loads((node.tree / "var/lib/egov/backup/systems/manifest.json").read_text())
    assert manifest["system"]["packages"] and "ssh.service" in manifest["system"]["units"]
    assert not [item for item in manifest["files"] if item["path"].startswith(("/proc/", "/srv/borg/", "/run/"))]
    node.backup("mv /usr/share/zoneinfo /srv/borg/")
    node.shell("mv /srv/borg/zoneinfo /usr/share/")
    item = drilled(node, tmp_path)
    assert item.verdict is Verdict.NOT_MET
    assert Cause.FILES_MISSING in item.causes and "/usr/share/zoneinfo" in words(item), words(item)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen in time")


def test_a_router_of_the_city_comes_back_by_the_drill_s_name(city_lab: Any) -> None:
    """Planned, backed up over the network, found by the plan, booted with its own FRR, filter and address."""
    city_lab.on(ROUTER, "systemctl start egov-backup@systems.service")
    where = ("-i", str(city_lab.inventory.root), "--format", "json")
    done = city_lab.egovctl("drill", "run", "restore-system", "--service", "systems", *where, check=False)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    (item,) = report["items"]
    assert (done.returncode, item["host"], item["verdict"]) == (0, ROUTER, "met"), item["reasons"]
    assert item["files_compared"] > 5000 and item["details"]["differences"] == 0
    asked = item["details"]["asked"]
    assert set(asked.values()) == {"as it must be"} and {"FRR runs", "its address", "packages"} <= set(asked), asked
    assert report["cleaned"] and not list((city_lab.inventory.state / "scratch").iterdir())
