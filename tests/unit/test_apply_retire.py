"""A site leaves: who may, what control forgets and keeps, what its hosts are told to take back.

If these fail, a site that others need goes, a key stays behind, or a backup can never be opened again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from egovctl.apply import farewell, retire
from egovctl.apply.enrolment import read_record, write_record
from egovctl.apply.transaction import Answer, Request
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import open_chain
from egovctl.i18n import set_language
from egovctl.paths import Inventory

PROJECT = Path(__file__).resolve().parents[2]
NAME, TODAY = "town-caiqi", date(2026, 3, 31)
RETIRED = f"retired:\n  - {{number: 2201, name: {NAME}, on: 2026-03-31}}\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "B" * 43


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """A project of its own with the lab's plan, and one enrolled town."""
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    monkeypatch.setenv("EGOV_LANG", "en")
    shutil.copytree(
        PROJECT / "inventories/lab", tmp_path / "inventories/lab", ignore=shutil.ignore_patterns("enrolled")
    )
    found = Inventory(tmp_path / "inventories/lab")
    write_record(found, NAME, {"borg_ed25519": KEY})
    found.secrets.mkdir(parents=True)
    (found.secrets / f"borg_passphrase_{NAME}").write_text("x\n")
    note = {"hosts": {NAME: {"address": "192.0.2.1"}, "noc": {"address": "192.0.2.2"}}, "proxy": None}
    found.first_contact.write_text(yaml.safe_dump(note))
    return found


def leave_the_plan(inventory: Inventory) -> None:
    path = inventory.plan_dir / "city.yml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if f"name: {NAME}," in line)
    end = next(i for i in range(start + 1, len(lines)) if lines[i].startswith("  - "))
    path.write_text("".join(lines[:start] + lines[end:]) + RETIRED, encoding="utf-8")


@pytest.mark.parametrize(
    ("site", "reasons"),
    [
        (
            "core",
            [
                "core is the core; the city cannot do without",
                "is the way up of",
                "owns service mail",
                "owns service sms",
                "owns service network",
                "runs on core1",
                "owns service systems",
            ],
        ),
        (
            "hub-minqin",
            [
                "is the way up of offsite, minqin-education, minqin-health",
                "network-configuration still runs on hub-minqin",
                "systems still",
            ],
        ),
        ("minqin-education", ["still owns service documents", "still runs on minqin-education", "still runs on"]),
        ("backup", ["backup is the backup; the city cannot do without"]),
        ("offsite", ["offsite is the offsite; the city cannot do without"]),
    ],
)
def test_a_site_that_is_needed_is_refused_with_each_reason(inventory: Inventory, site: str, reasons: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        retire.retirement(inventory, site)
    said = str(caught.value).splitlines()
    assert len(said) == len(reasons)
    assert all(reason in line for reason, line in zip(reasons, said, strict=True)), said


def test_an_unknown_site_is_one_sentence(inventory: Inventory) -> None:
    with pytest.raises(UsageError, match="the plan has no site nowhere; check retire_site"):
        retire.retirement(inventory, "nowhere")
    with pytest.raises(UsageError, match="say which site: -e retire_site=NAME"):
        retire.retirement(inventory, "")


def test_a_site_that_a_word_covers_may_go(inventory: Inventory) -> None:
    services = inventory.plan_dir / "services.yml"
    text = services.read_text(encoding="utf-8")
    services.write_text(text.replace("hosts: [core1,", "hosts: [all-towns, core1,"), encoding="utf-8")
    gone = retire.retirement(inventory, NAME)
    assert (gone.number, gone.hosts, gone.repositories, gone.planned) == (2201, (NAME,), (NAME,), True)


def test_control_forgets_the_host_and_keeps_its_record_aside(inventory: Inventory) -> None:
    known = inventory.state / "first_contact_known_hosts" / NAME
    known.parent.mkdir()
    known.write_text("x")
    done = retire.forget(inventory, NAME)
    assert len(done) == 3 and not known.exists()
    assert read_record(inventory, NAME) == {}
    assert KEY in (inventory.enrolled_dir / "retired" / f"{NAME}.yml").read_text()
    assert list(yaml.safe_load(inventory.first_contact.read_text())["hosts"]) == ["noc"]
    assert inventory.first_contact.stat().st_mode & 0o777 == 0o600
    assert retire.forget(inventory, NAME) == []


def manifest(build: Path, host: str, *files: tuple[str, str, list[str]]) -> None:
    (build / host).mkdir(parents=True)
    entries = [{"path": path, "bundle": bundle, "secrets": secrets} for path, bundle, secrets in files]
    (build / host / "manifest.json").write_text(json.dumps({"files": entries}))


def test_only_secrets_of_its_own_go_and_never_what_opens_its_backups(tmp_path: Path) -> None:
    manifest(
        tmp_path,
        "a",
        ("/etc/x", "radius", ["radius_a", "shared"]),
        ("/etc/y", "borgmatic", ["borg_passphrase_a"]),
    )
    manifest(tmp_path, "b", ("/etc/x", "radius", ["radius_b", "shared"]))
    assert retire.own_secrets(tmp_path, "a") == ["radius_a"]
    assert retire.own_secrets(tmp_path, "c") == []


def test_the_record_says_what_went_and_what_is_kept(inventory: Inventory) -> None:
    retire.note_wiped(inventory, "r", NAME, {"removed": ["/etc/a"], "units": ["frr.service"], "files": ["/etc/b"]})
    gone = retire.retirement(inventory, NAME)
    rows = retire.record(inventory, gone, TODAY)
    told = "\n".join(retire.table(rows))
    assert f"/srv/borg/{NAME}" in told and f"borg_passphrase_{NAME}" in told and "not reached" not in told
    assert (inventory.secrets / f"borg_passphrase_{NAME}").exists()
    set_language("zh")
    try:
        assert all(any("\u4e00" <= letter <= "\u9fff" for letter in line) for line in retire.table(rows))
    finally:
        set_language(None)
    last = list(open_chain(inventory).records())[-1]
    assert (last.kind, last.body["site"], last.body["on"]) == ("site.retired", NAME, "2026-03-31")
    assert last.body["wiped"][NAME]["removed"] == ["/etc/a"] and last.body["not_reached"] == []
    assert open_chain(inventory).verify().ok
    assert RETIRED.splitlines()[1] in retire.plan_edit(gone, TODAY)


def test_a_host_that_was_never_reached_is_said_to_hold_its_keys(inventory: Inventory) -> None:
    gone = retire.retirement(inventory, NAME)
    told = "\n".join(retire.table(retire.record(inventory, gone, TODAY)))
    assert "not reached: destroy its disk" in told and "keys, units, files" not in told
    assert list(open_chain(inventory).records())[-1].body["not_reached"] == [NAME]


def test_a_visit_counts_for_this_life_of_the_host_alone(inventory: Inventory) -> None:
    """Interrupted after the visit, the next run goes on; a host that was enrolled again since is visited again."""
    assert retire.wiped(inventory, NAME) is None
    retire.note_wiped(inventory, "r", NAME, {"removed": ["/etc/a"]})
    assert retire.wiped(inventory, NAME) == {"removed": ["/etc/a"], "units": [], "sysctls": [], "secrets": []}
    retire.forget(inventory, NAME)
    assert retire.wiped(inventory, NAME) is not None
    write_record(inventory, NAME, {"borg_ed25519": OTHER})
    assert retire.wiped(inventory, NAME) is None


def test_a_site_that_left_the_plan_first_is_known_by_its_entry(inventory: Inventory) -> None:
    leave_the_plan(inventory)
    gone = retire.retirement(inventory, NAME)
    assert (gone.number, gone.hosts, gone.planned) == (2201, (NAME,), False)
    assert retire.plan_edit(gone, TODAY) == []


def test_the_part_of_a_manifest_is_what_its_bundles_have() -> None:
    raw = {
        "host": "a",
        "files": [{"path": "/a", "bundle": "base"}, {"path": "/b", "bundle": "snmpd"}],
        "units": [{"name": "b", "bundle": "snmpd"}],
        "sysctl": {"base": {"x": "1"}, "snmpd": {"y": "1"}},
        "confirm": ["base"],
    }
    part = farewell.part_of(raw, frozenset({"base"}))
    assert [item["path"] for item in part["files"]] == ["/a"]
    assert (part["units"], part["sysctl"], part["host"]) == ([], {"base": {"x": "1"}}, "a")


def request(tmp_path: Path, **more: Any) -> Request:
    return Request(build=tmp_path, host="a", secret=lambda name: "", **more)


def test_the_last_part_is_handed_over_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script that control sends is run by a real shell, with a folder and a systemd-run of the test."""
    monkeypatch.setattr(farewell, "FOLDER", str(tmp_path / "farewell"))
    runner = tmp_path / "systemd-run"
    runner.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\n')
    runner.chmod(0o755)

    def shell(command: str, data: bytes) -> Answer:
        done = subprocess.run(
            command.split(), input=data, capture_output=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    farewell.leave(request(tmp_path), shell, "egov-deploy")
    assert "--unit=egov-farewell" in (tmp_path / "asked").read_text()
    script = (tmp_path / "farewell/run").read_text()
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
    assert script.index("<job") < script.index("userdel"), "logins go after the files that name their owner"
    assert (tmp_path / "farewell").stat().st_mode & 0o777 == 0o700
    runner.write_text("#!/bin/sh\necho no bus >&2; exit 1\n")
    with pytest.raises(CannotMeasure, match="its last part did not begin: no bus"):
        farewell.leave(request(tmp_path), shell, "egov-deploy")


def test_a_host_that_comes_back_has_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Routing that restarts is silent, too: only silence that lasts counts."""
    clock = [0.0]
    monkeypatch.setattr(farewell.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(farewell.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))

    def knock(times: set[int]) -> Any:
        return lambda command: Answer(0, "", "") if int(clock[0]) in times else None

    farewell.await_silence(request(tmp_path, knock=knock({0, 1, 8})), seconds=60, still=15)
    assert 8 + 15 <= clock[0] <= 30
    clock[0] = 0.0
    with pytest.raises(CannotMeasure, match="it still lets control in after 20 s"):
        farewell.await_silence(request(tmp_path, knock=knock(set(range(0, 200, 7)))), seconds=20, still=15)


def test_secrets_that_stay_are_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farewell, "apply_host", lambda request, shell: {"changed": True, "removed": ["/etc/a"]})
    (tmp_path / "a" / "rootfs").mkdir(parents=True)
    (tmp_path / "a" / "manifest.json").write_text(json.dumps({"host": "a", "confirm": ["base"]}))
    good = farewell.clear(request(tmp_path), lambda command, data: Answer(0, "CLEAN\n", ""))
    assert good["removed"] == ["/etc/a"] and "/etc/egov/keys/borg_ed25519" in good["secrets"]
    with pytest.raises(CannotMeasure, match="could not remove /etc/egov/borg_passphrase"):
        farewell.clear(
            request(tmp_path), lambda command, data: Answer(0, "LEFT /etc/egov/borg_passphrase\nCLEAN\n", "")
        )
    asked: list[str] = []

    def shell(command: str, data: bytes) -> Answer:
        asked.append(command)
        return Answer(0, "", "")

    farewell.clear(replace(request(tmp_path), check=True), shell)
    assert asked == [], "check mode removes nothing"
