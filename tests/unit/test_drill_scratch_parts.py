"""The parts of the scratch that need no container, and the judging of system backups.

A failure here means that a limit does not hold, that a killed drill's notes lead astray, or that what a system backup
leaves out is compared or what it holds is not.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egovctl.drill.borg import Deadline
from egovctl.drill.compare import Comparison, NoManifest
from egovctl.drill.scratch import end_left, owners, pump, record
from egovctl.drill.scratch.record import Note
from egovctl.drill.system_manifest import Described, is_left_out, sort_out
from egovctl.drill.system_probes import Answers, findings
from egovctl.paths import Inventory
from egovctl.plan import load
from egovctl.render.lookups import NOT_OF_A_SYSTEM, left_out

REPOSITORY = Path(__file__).resolve().parents[2]
TOOL = REPOSITORY / "playbooks/roles/borgmatic/files/egov-backup-manifest"
BASE = 0x7000_0000


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(record, "NOTES", tmp_path / "notes")
    return tmp_path


def test_notes_lead_to_a_folder_and_what_is_below_and_nowhere_else(notes: Path) -> None:
    run = notes / "run"
    for name, folder, group in (
        ("room-1", run / "a", ""),
        ("box-1", run / "a", "box-1"),
        ("room-2", notes / "run2" / "a", ""),
    ):
        Note(name, str(folder), BASE, "" if group else f"{folder}.disk", group).write()
    (notes / "notes" / "torn.json").write_text('{"name": "x"')
    (notes / "notes" / "older.json").write_text('{"other": 1}')
    assert [note.name for note in record.below(run)] == ["box-1", "room-1"], "a box before the room that it keeps busy"
    assert record.room_of(run / "a" / "deep" / "er").name == "room-1"
    assert record.room_of(run) is None
    assert record.room_of(notes / "run" / "ab") is None


def test_nothing_left_is_no_harm(notes: Path) -> None:
    assert end_left(notes / "never") and end_left(notes)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_owners_are_moved_once_and_links_are_not_followed(tmp_path: Path) -> None:
    victim, tree = tmp_path / "victim", tmp_path / "tree"
    victim.write_text("the machine's")
    (tree / "sub").mkdir(parents=True)
    (tree / "sub/file").write_text("x")
    os.chown(tree / "sub/file", 33, 1000)
    (tree / "sub/file").chmod(0o4755)
    (tree / "link").symlink_to(victim)
    (tree / "strange").write_text("x")
    os.chown(tree / "strange", 70000, 0)
    assert owners.shift(tree, BASE) == 1
    status = (tree / "sub/file").lstat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (BASE + 33, BASE + 1000, 0o4755)
    assert (tree / "link").lstat().st_uid == BASE and victim.stat().st_uid == 0
    assert (tree / "strange").stat().st_uid == BASE + owners.NOBODY
    assert owners.shift(tree, BASE) == 0
    assert (tree / "sub/file").lstat().st_uid == BASE + 33, "a second time moves nothing"


def shell(command: str, given: bytes = b"", seconds: float = 10.0) -> tuple[bytes, bytes]:
    pipes = pump.Pipes.made()
    process = subprocess.Popen(
        ["sh", "-c", command], stdin=pipes.theirs[0], stdout=pipes.theirs[1], stderr=pipes.theirs[2]
    )
    pipes.close_theirs()
    try:
        return pump.exchange(pipes, given, Deadline.after(seconds))
    finally:
        process.kill()
        process.wait()


def test_what_is_given_and_printed_goes_through_whole(tmp_path: Path) -> None:
    given = os.urandom(3 << 20)
    assert shell("cat; echo end >&2", given) == (given, b"end\n")
    assert shell("exec <&-; echo deaf", given) == (b"deaf\n", b""), "nobody reads: that is no fault"


def test_a_program_that_is_silent_or_prints_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "MOST", 1 << 20)
    before = {path.name for path in Path("/proc/self/fd").iterdir()}
    with pytest.raises(TimeoutError):
        shell("sleep 5", seconds=0.2)
    with pytest.raises(pump.TooMuch):
        shell("cat /dev/zero")
    assert {path.name for path in Path("/proc/self/fd").iterdir()} == before, "no descriptor stays open"


def test_the_tail_keeps_the_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    tail = pump.Tail(reading)
    threading.Thread(target=lambda: (os.write(writing, b"x" * (200 << 10) + b"last"), os.close(writing))).start()
    tail.wait(5)
    assert tail.text.endswith("last") and len(tail.text) == pump.TAIL


def tool():
    loader = SourceFileLoader("egov_backup_manifest", str(TOOL))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(paths, st.sets(st.tuples(paths, st.booleans()), max_size=4))
def test_manifest_and_drill_leave_out_the_same(path: str, chosen: set[tuple[str, bool]]) -> None:
    """What the host's tool would not walk into is what the drill does not miss, but for kept folders themselves."""
    without = {f"{top}/*" if inside else top for top, inside in chosen}
    parts = path.strip("/").split("/")
    above = ["/" + "/".join(parts[: end + 1]) for end in range(len(parts))]
    walked = not any(tool_left_out(one, without) for one in above)
    kept_folder = f"{path}/*" in without
    assert is_left_out(path, without) == (not walked) or kept_folder


tool_left_out = tool().is_left_out


def test_the_manifest_of_a_system_says_what_is_there(tmp_path: Path) -> None:
    """The tool itself, on a small tree, with a systemctl that says what one says."""
    tree, programs = tmp_path / "tree", tmp_path / "bin"
    for name in ("etc/hostname", "proc/1/stat", "var/cache/x", "srv/data/doc", "usr/bin/ls"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    programs.mkdir()
    said = {"dpkg-query": "zlib 1\nbash 5\n", "systemctl": "ssh.service enabled enabled\n"}
    for name, text in said.items():
        (programs / name).write_text(f"#!/bin/sh\nprintf %s {shlex.quote(text)}\n")
        (programs / name).chmod(0o755)
    spool = tree / "var/lib/egov/backup"
    argv = [sys.executable, "-I", str(TOOL), "systems", str(tree), "--system"]
    for path in ("proc/*", "var/cache/*", "srv/data"):
        argv += ["--without", str(tree / path)]
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "EGOV_BACKUP_DIR": str(spool)}
    subprocess.run(argv, check=True, env=environment, capture_output=True)
    data = json.loads((spool / "systems/manifest.json").read_text())
    assert sorted(item["path"] for item in data["files"]) == [str(tree / "etc/hostname"), str(tree / "usr/bin/ls")]
    assert data["system"]["packages"] == ["bash 5", "zlib 1"] and data["system"]["units"] == ["ssh.service"]
    described = Described.read(spool / "systems/manifest.json")
    assert str(spool) in described.excluded and abs(described.taken_unix - time.time()) < 60
    (programs / "dpkg-query").write_text("#!/bin/sh\nexit 2\n")
    failing = subprocess.run(argv, check=False, env=environment, capture_output=True)
    assert failing.returncode != 0, "a manifest without packages would prove nothing"


def test_a_manifest_of_files_is_none_of_a_system(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"taken_at": "2026-01-01T00:00:00Z", "files": []}))
    with pytest.raises(NoManifest):
        Described.read(tmp_path / "manifest.json")


def described(taken: float, **more: frozenset[str]) -> Described:
    empty: frozenset[str] = frozenset()
    return Described(
        ("/proc/*", "/srv/data"),
        (),
        more.get("units", empty),
        more.get("active", empty),
        more.get("failed", empty),
        taken,
    )


def test_only_what_changed_after_the_manifest_moved_on(tmp_path: Path) -> None:
    taken = time.time() - 1000
    names = ("var/old", "var/new", "usr/bin/ls", "var/dir/old", "etc/passwd")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for name in (*names, "var", "var/dir", "usr/bin", "etc"):
        os.utime(tmp_path / name, (taken - 100, taken - 100))
    os.utime(tmp_path / "var/new", (taken + 10, taken + 10))
    os.utime(tmp_path / "usr/bin/ls", (taken + 10, taken + 10))
    os.utime(tmp_path / "var/dir", (taken + 10, taken + 10))
    changed = {"/var/old": "content", "/var/new": "content", "/usr/bin/ls": "content", "/etc/passwd": "owner"}
    found = Comparison(9, ["/var/dir/gone", "/etc/lost"], ["/proc/1/x", "/srv/data/y", "/etc/extra"], changed)
    moved = sort_out(found, tmp_path, described(taken))
    assert moved.paths == ("/var/dir/gone", "/var/new")
    assert moved.left.changed == {"/var/old": "content", "/usr/bin/ls": "content", "/etc/passwd": "owner"}
    assert moved.left.missing == ["/etc/lost"] and moved.left.extra == ["/etc/extra"] and moved.left.compared == 9


def test_a_unit_that_had_failed_before_is_no_fault_of_the_backup() -> None:
    was = described(0, failed=frozenset({"old.service"}))
    assert not list(findings(Answers("degraded", {"host name": ""}, ("old.service",), ("chrony.service",)), was))
    assert len(list(findings(Answers("degraded", {"host name": "more: x"}, ("new.service",)), was))) == 2
    assert len(list(findings(Answers("starting"), was))) == 1


def test_a_system_leaves_out_what_others_back_up_but_not_its_configuration(tmp_path: Path) -> None:
    root = tmp_path / "inventories" / "lab"
    (root / "plan").mkdir(parents=True)
    for path in (REPOSITORY / "inventories/lab/plan").iterdir():
        (root / "plan" / path.name).write_bytes(path.read_bytes())
    services = root / "plan/services.yml"
    text = services.read_text()
    assert text.count("hosts: [hub-minqin]\n") == 1, "of the service systems"
    services.write_text(text.replace("hosts: [hub-minqin]\n", "hosts: [minqin-education, shared-services]\n"))
    plan, _ = load(Inventory(root))
    found = left_out(plan)
    assert set(found) == {"minqin-education", "shared-services"}
    assert "/srv/documents" in found["minqin-education"] and "/etc/frr" not in found["minqin-education"]
    assert "/var/lib/postgresql/*" not in found["minqin-education"]
    assert {"/var/lib/postgresql/*", "/var/lib/mysql/*"} <= set(found["shared-services"])
    assert set(NOT_OF_A_SYSTEM) <= set(found["shared-services"])
