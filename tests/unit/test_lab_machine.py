"""What the lab takes from the machine, refuses, writes down and puts back: everything that needs no root."""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from egovctl.errors import EgovError, UsageError
from egovctl.i18n import set_language
from egovctl.lab import guest, image, inside, lifecycle, machine, network, owner, preflight, samples, sources, state
from egovctl.lab.names import LabNames
from egovctl.lab.processes import _forward, processes
from egovctl.lab.run import readable_by_all
from egovctl.lab.runner import cgroup_mounts, init_pid, pids_below
from egovctl.lab.state import Forward, LabHost, LabState
from egovctl.paths import Inventory


@pytest.fixture(autouse=True)
def english() -> None:
    set_language("en")


def _sources(folder: Path, **files: str) -> Path:
    (folder / "sources.list.d").mkdir(parents=True)
    for name, text in files.items():
        path = folder / "sources.list.d" / name.replace("_", ".")
        path.write_text(text, encoding="utf-8")
    return folder


def test_debian_entries_are_kept_and_other_vendors_left_out(tmp_path: Path) -> None:
    debian = "# mine\nTypes: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-backports\n"
    debian += "Components: main contrib\nSigned-By:\n -----BEGIN\n .\n x\n"
    vendor = "Types: deb\nURIs: https://vendor.example/apt\nSuites: bookworm\nComponents: stable\n"
    text = sources.debian_sources(_sources(tmp_path, debian_sources=debian, vendor_sources=vendor))
    assert text == (
        "Types: deb\nUris: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n"
        "Signed-By: \n -----BEGIN\n .\n x\n"
    )


def test_one_line_entries_with_options(tmp_path: Path) -> None:
    folder = _sources(tmp_path)
    lines = "deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian bookworm main # x\n"
    lines += "deb http://m.example/security bookworm-security main\ndeb http://m.example/debian trixie main\n"
    (folder / "sources.list").write_text(lines, encoding="utf-8")
    text = sources.debian_sources(folder)
    assert "Signed-By: /k.gpg" in text and "bookworm-security" in text and "trixie" not in text


def test_a_disabled_or_absent_debian_is_said(tmp_path: Path) -> None:
    off = "Enabled: no\nTypes: deb\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main\n"
    with pytest.raises(EgovError, match="no source of Debian 12"):
        sources.debian_sources(_sources(tmp_path, off_sources=off))


def test_the_image_changes_name_with_its_definition(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = image.defined()
    for name in ("packages.txt", "lab_only.yml"):
        (tmp_path / name).write_bytes(image.data_file(name).read_bytes())
    monkeypatch.setattr(image, "data_file", lambda name: tmp_path / name)
    assert image.defined() == first
    (tmp_path / "packages.txt").write_text("systemd\n", encoding="utf-8")
    assert image.defined() != first


def test_whatever_is_lab_only_has_a_reason() -> None:
    definition = image.lab_only()
    assert all(item["reason"] and item["content"] and item["path"].startswith("/") for item in definition["files"])
    for section in ("disabled", "masked", "excluded"):
        assert all(isinstance(reason, str) and reason for reason in definition[section].values())


def test_not_debian_12_is_one_sentence(tmp_path: Path) -> None:
    other = tmp_path / "os-release"
    other.write_text('ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04"\n', encoding="utf-8")
    with pytest.raises(EgovError, match=r"needs Debian 12 \(this is Ubuntu 24.04\)"):
        preflight.need_debian(other)
    with pytest.raises(EgovError, match="this is unknown"):
        preflight.need_debian(tmp_path / "none")


def test_missing_tools_are_named_by_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda tool, **_: None if tool in ("socat", "tc", "ip") else "/x")
    with pytest.raises(EgovError, match="apt-get install iproute2 socat"):
        preflight.need_tools()


def test_no_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="as root"):
        preflight.need_root()


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(EgovError, match=f"127.0.0.1:{port} .*EGOV_LAB_PORT_BASE"):
            preflight.need_ports((Forward("prometheus", port, "noc", "10.0.0.1", 9090),))


def test_a_full_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EgovError, match="MB are needed"):
        preflight.need_disk(10**9, True, tmp_path / "not" / "yet", tmp_path)


def test_samples_are_the_same_every_time_and_differ_from_each_other() -> None:
    documents = [samples.document("noc", "/srv/x", number) for number in range(1, samples.DOCUMENTS + 1)]
    assert documents == [samples.document("noc", "/srv/x", number) for number in range(1, samples.DOCUMENTS + 1)]
    assert len({name for name, _ in documents}) == len({text for _, text in documents}) == samples.DOCUMENTS


def _lab() -> LabState:
    return LabState(
        inventory="x",
        phase="up",
        pid=1,
        image="i",
        topology="t",
        started_at=1.0,
        hosts={"a": LabHost("guest", "198.18.0.1", "10.0.0.1"), "c": LabHost("switch", "198.18.0.2", "10.0.0.2")},
        namespaces=("fabric", "a", "c"),
        forwards=(Forward("prometheus", 1, "a", "10.0.0.1", 9090),),
    )


def test_the_record_reads_back_and_a_broken_one_reads_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egovctl.lab.names.RUN", tmp_path)
    names = LabNames("x")
    assert state.load(names) is None
    state.save(names, _lab())
    assert state.load(names) == _lab()
    assert _lab().guests == ["a"]
    names.state_file.write_text(names.state_file.read_text()[:40])
    assert state.load(names) is None


def test_a_lock_is_exclusive_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.lock"
    seen = []

    def other() -> None:
        try:
            with state.locked(path, wait=0.1, busy="somebody is at work"):
                seen.append("in")
        except EgovError as error:
            seen.append(str(error))

    with state.locked(path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen and seen[0].startswith("somebody is at work (process ")
    assert not path.exists()
    other()
    assert seen[1] == "in"


def test_who_waits_for_a_lock_is_told_once(tmp_path: Path) -> None:
    path, told = tmp_path / "x.lock", list[str]()
    with state.locked(path, say=told.append):
        held = threading.Event()

        def wait() -> None:
            with state.locked(path, wait=30, busy="somebody is at work", say=told.append):
                held.set()

        thread = threading.Thread(target=wait)
        thread.start()
        limit = time.monotonic() + 20
        while not told and time.monotonic() < limit:
            time.sleep(0.05)
        assert not held.is_set() and told == [f"somebody is at work (process {os.getpid()}); wait until it ends"]
    thread.join()
    assert held.is_set() and len(told) == 1


def test_the_last_lab_puts_the_machine_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "limit"
    limit.write_text("128\n")
    for name, value in (
        ("INOTIFY", limit),
        ("RECORD", tmp_path / "run/machine.json"),
        ("LOCK", tmp_path / "run/machine.lock"),
        ("NETNS", tmp_path / "netns"),
        ("NSPAWN_RUN", tmp_path / "nspawn"),
    ):
        monkeypatch.setattr(machine, name, value)
    machine.claim(LabNames("one"))
    machine.claim(LabNames("two"))
    assert limit.read_text() == str(machine.INOTIFY_WANTED) and machine.labs() == {"one", "two"}
    machine.release(LabNames("one"))
    machine.release(LabNames("one"))
    assert limit.read_text() == str(machine.INOTIFY_WANTED)
    machine.release(LabNames("two"))
    assert limit.read_text() == "128" and not (tmp_path / "nspawn").exists()
    machine.claim(LabNames("one"))
    limit.write_text("9999")
    machine.release(LabNames("one"))
    assert limit.read_text() == "9999", "set by somebody else in the meantime: not ours to put back"


def test_prefixes_of_other_labs_are_not_taken_for_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "NETNS", tmp_path)
    monkeypatch.setattr("egovctl.lab.names.NETNS", tmp_path)
    for name in ("egov-lab-a", "egov-lab-2-a", "egov-labs-a"):
        (tmp_path / name).touch()
    assert network.leftovers(LabNames("lab"), ("a",), {"egov-lab-2-a"}) == ["egov-lab-a"]
    assert network.leftovers(LabNames("lab"), (), set()) == ["egov-lab-2-a", "egov-lab-a"]


def test_entering_a_guest_drops_what_a_guest_must_not_have() -> None:
    words = guest.enter(42, ["true"])
    drop = next(word for word in words if word.startswith("--bounding-set="))
    assert {f"-{name.removeprefix('CAP_').lower()}" for name in guest.DROPPED} == set(drop.split("=")[1].split(","))
    assert words[-1] == "true"


def test_a_forward_listens_only_on_the_machine_itself() -> None:
    words = _forward(LabNames("x"), Forward("prometheus", 19090, "noc", "10.0.0.1", 9090))
    assert any("bind=127.0.0.1" in word for word in words)


def test_cgroups_of_this_machine_are_found() -> None:
    assert cgroup_mounts() != (None, None)
    assert pids_below(Path("/nowhere")) == []
    assert init_pid([]) is None


def test_down_all_finds_labs_whose_inventory_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("run/one", "disks/two", "disks/.hidden"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(lifecycle, "RUN", tmp_path / "run")
    monkeypatch.setattr(lifecycle, "DISKS", tmp_path / "disks")
    monkeypatch.setattr(lifecycle.machine, "labs", lambda: {"three"})
    monkeypatch.setattr(lifecycle.preflight, "need_root", lambda: None)
    gone: list[str] = []
    monkeypatch.setattr(lifecycle, "_take_down", lambda names, report, keep_disks: gone.append(names.inventory))
    assert lifecycle.down_all(None) == gone == ["one", "three", "two"]


def test_who_is_not_on_debian_12_is_not_sent_to_apt_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> None:
        raise EgovError("not Debian 12")

    monkeypatch.setattr(preflight, "need_debian", wrong)
    monkeypatch.setattr("shutil.which", lambda tool, **_: None)
    with pytest.raises(EgovError, match="not Debian 12"):
        lifecycle._preflight(None)  # type: ignore[arg-type]


def test_looking_into_a_lab_needs_root_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for look in (lambda i: inside.command_in(i, "a", ["true"]), inside.statuses):
        with pytest.raises(UsageError, match="as root"):
            look(Inventory(tmp_path / "x"))


def test_a_switch_always_has_its_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    lab = LabState("x", "up", 1, "i", "t", 1.0, hosts={"sw": LabHost("switch", "198.18.0.1", "10.0.0.9")})
    (agent,) = processes(Inventory(tmp_path / "x"), LabNames("x"), lab)
    assert agent.name == "sw" and "egovctl.lab.switch" in agent.argv


def _image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> image.Image:
    monkeypatch.setattr("egovctl.lab.names.DISKS", folder / "disks")
    monkeypatch.setattr(image, "IMAGES", folder)
    built = image.Image("0")
    (built.root / "srv").mkdir(parents=True)
    return built


def test_a_narrow_umask_does_not_reach_the_guests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, under root's umask of 077 no daemon of a guest can read its own /."""
    before = os.umask(0o077)
    try:
        built, names = _image(tmp_path, monkeypatch), LabNames("x")
        guest.clone(names, built, "a", "ssh-ed25519 AAAA")
        with readable_by_all():
            (tmp_path / "open").touch()
            guest.put(names, built, "a", "/opt/deep/file", "text")
        assert os.umask(0o077) == 0o077, "put back"
    finally:
        os.umask(before)
    upper = names.disk("a") / "upper"
    modes = {path: (upper / path).stat().st_mode & 0o777 for path in ("", "etc", "root/.ssh", "opt", "opt/deep")}
    assert modes == {"": 0o755, "etc": 0o755, "root/.ssh": 0o700, "opt": 0o755, "opt/deep": 0o755}
    assert (upper / "etc/hostname").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("path", ["/srv/../../../../outside", "/../x", "/out/file"])
def test_no_file_is_put_outside_of_a_host_s_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    built, names = _image(tmp_path, monkeypatch), LabNames("x")
    upper = names.disk("a") / "upper"
    upper.mkdir(parents=True)
    (upper / "out").symlink_to(tmp_path)
    with pytest.raises(EgovError, match="leads out of the host's disk"):
        guest.put(names, built, "a", path, "text")
    assert not (tmp_path / "file").exists() and list(upper.iterdir()) == [upper / "out"]


@pytest.fixture
def owned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Inventory, LabNames]:
    """A lab of inventory x on record as up and this project's, with its keys."""
    monkeypatch.setattr("egovctl.lab.names.RUN", tmp_path / "run")
    monkeypatch.setattr("egovctl.lab.names.DISKS", tmp_path / "disks")
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path / "one"))
    inventory, names = Inventory(tmp_path / "one/inventories/x"), LabNames("x")
    for path in (inventory.first_contact, inventory.deploy_key, owner.bootstrap_key(inventory)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    state.save(names, replace(_lab(), project=str(tmp_path / "one")))
    return inventory, names


def test_a_lab_of_another_clone_is_not_ours(
    owned: tuple[Inventory, LabNames], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.need_own(*owned)
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path / "two"))
    there = f"another project, {tmp_path / 'one'}: run egovctl lab down -i x there, or egovctl lab up --fresh -i x here"
    with pytest.raises(UsageError, match=there):
        owner.need_own(*owned)
    names = owned[1]
    state.write_json(names.disks / "complete.json", {"project": str(tmp_path / "one")})
    names.state_file.unlink()
    with pytest.raises(UsageError, match=there):
        owner.need_own(*owned)


@pytest.mark.parametrize("lost", ["first_contact.yml", "control/id_ed25519", "lab/bootstrap_ed25519"])
def test_a_lab_whose_keys_are_lost_is_not_called_up(owned: tuple[Inventory, LabNames], lost: str) -> None:
    inventory, names = owned
    (inventory.state / lost).unlink()
    with pytest.raises(UsageError, match=f"{lost} is missing.* run egovctl lab up --fresh -i x"):
        owner.need_own(inventory, names)
    state.save(names, replace(_lab(), phase="starting"))
    owner.need_own(inventory, names)  # half up: `up` starts over anyway


def test_a_record_of_an_older_version_is_taken_for_ours(owned: tuple[Inventory, LabNames]) -> None:
    data = state.read_json(owned[1].state_file)
    del data["project"]
    state.write_json(owned[1].state_file, data)
    owner.need_own(*owned)


def test_hosts_that_are_gone_are_forgotten_where_they_were_known(
    owned: tuple[Inventory, LabNames], tmp_path: Path
) -> None:
    owner.forget_first_contact(owned[1], str(tmp_path / "one"))
    assert not owned[0].first_contact.exists()
    owner.forget_first_contact(owned[1], str(tmp_path / "no such project"))
    owner.forget_first_contact(owned[1], "")
