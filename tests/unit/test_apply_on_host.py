"""The on-host program, one behaviour a test."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from apply_helpers import FakeHost

from egovctl.apply import on_host


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost.make(tmp_path / "h")


def test_it_is_one_file_for_python_3_9_and_the_standard_library() -> None:
    source = Path(on_host.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in imported if name.startswith(("egovctl", "yaml"))}
    assert "@secret:" not in source  # render would take it for a placeholder in the copy that hosts get


def test_first_apply_then_nothing_to_do(host: FakeHost) -> None:
    host.unit("a.service")
    host.sysctl("net.x", "0")
    wanted = {
        "files": {"/etc/a.service.conf": ("one\n", "0640", ["reload:a.service"], "")},
        "folders": {"/srv/data": "0750"},
        "units": {"a.service": (True, True)},
        "sysctls": {"net.x": "1"},
    }
    first = host.apply(wanted)
    assert (first["changed"], first["files"], first["folders"]) == (True, ["/etc/a.service.conf"], ["/srv/data"])
    assert (first["units"], first["sysctls"]) == (["a.service"], ["net.x"])
    assert host.tree()["/etc/a.service.conf"] == ("file", "one\n", 0o640)
    assert host.tree()["/srv/data"] == ("folder", "", 0o750)
    assert host.unit_state("a.service") == ("enabled", "active")
    assert host.units()["a.service.loaded"] == "one\n"
    assert host.sysctl("net.x") == "1"
    host.commands()
    again = host.apply(wanted)
    assert (again["changed"], again["files"], again["actions"]) == (False, [], [])
    assert host.commands() == []
    assert not (host.base / "staging").exists() or not list((host.base / "staging").iterdir())


def test_actions_run_once_in_the_manifests_order(host: FakeHost) -> None:
    for name in ("a.service", "b.service"):
        host.unit(name, "enabled", "active")
    wanted = {
        "files": {
            "/etc/b": ("1", "0644", ["restart:b.service", "daemon-reload"], ""),
            "/etc/a": ("1", "0644", ["reload:a.service", "restart:b.service"], ""),
        },
        "order": ["daemon-reload", "reload:a.service", "restart:b.service"],
    }
    result = host.apply(wanted)
    assert result["actions"] == ["daemon-reload", "reload:a.service", "restart:b.service"]
    assert [line for line in host.commands() if not line.startswith("reset-failed")] == [
        "daemon-reload ",
        "reload a.service",
        "restart b.service",
    ]


def test_a_refused_file_changes_nothing(host: FakeHost) -> None:
    before = host.tree()
    result = host.apply({"files": {"/etc/a": ("BAD", "0644", [], "! grep BAD %s"), "/etc/b": "new"}})
    assert (result["failed"], result["rolled_back"], result["stage"]) == (True, True, "validate")
    assert "h1: /etc/a:" in result["msg"] and "nothing was changed" in result["msg"]
    assert host.tree() == before
    assert not (host.base / "journal.json").exists()


def test_what_takes_too_long_ends_with_all_that_it_started(host: FakeHost) -> None:
    machine = on_host.Machine({**host.test})
    told = host.top / "told"
    begun = time.monotonic()
    code, said = machine.run(f"sh -c 'sleep 3; echo late >{told}' & wait", seconds=0.3)
    assert (code, said) == (124, "took longer than 0.3 s") and time.monotonic() - begun < 2
    time.sleep(3.5 - (time.monotonic() - begun))
    assert not told.exists()
    assert machine.run("echo yes; echo no >&2; exit 3") == (3, "yes\nno")
    assert machine.run(["/nowhere/program"])[0] == 127


def test_undoing_does_not_run_what_reads_a_file_that_was_not_there(host: FakeHost) -> None:
    host.apply({"files": {"/etc/b": "old"}})
    host.unit("a.service", "enabled", "active")
    runs = {name: f"run:cat {host.root}/etc/{name} >>{host.top}/read" for name in ("new", "b")}
    wanted = {
        "files": {
            "/etc/new": ("1", "0644", [runs["new"]], ""),
            "/etc/b": ("2", "0644", [runs["b"]], ""),
            "/etc/a.service.conf": ("BAD", "0644", ["reload:a.service"], ""),
        },
        "order": [runs["new"], runs["b"], "reload:a.service"],
    }
    before = host.tree()
    result = host.apply(wanted)
    assert result["failed"] and result["rolled_back"] and result["msg"].endswith("everything was put back")
    assert host.tree() == before and (host.top / "read").read_text() == "12old"


def test_a_check_of_the_merged_configuration_runs_after_the_swap(host: FakeHost) -> None:
    """A drop-in can be valid alone and still break the whole: a validator without %s sees the whole."""
    whole = f"test $(cat {host.root}/etc/d/* | wc -l) -lt 2"
    assert not host.apply({"files": {"/etc/d/1": ("x\n", "0644", [], whole)}}).get("failed")
    before = host.tree()
    wanted = {"files": {"/etc/d/1": ("x\n", "0644", [], whole), "/etc/d/2": ("y\n", "0644", [], whole)}}
    result = host.apply(wanted)
    assert (result["failed"], result["rolled_back"], result["stage"]) == (True, True, "validate")
    assert host.tree() == before


def test_a_unit_that_does_not_take_its_new_configuration_gets_the_old_one_back(host: FakeHost) -> None:
    host.unit("a.service", "enabled", "active")
    host.unit("new.service")
    good = {"files": {"/etc/a.service.conf": ("good\n", "0644", ["reload:a.service"], "")}}
    host.apply(good)
    tree, units = host.tree(), host.units()
    bad = {
        "files": {
            "/etc/a.service.conf": ("BAD\n", "0644", ["reload:a.service"], ""),
            "/etc/new.service.conf": ("x\n", "0644", ["restart:new.service"], ""),
            "/etc/made/here/file": "y",
        },
        "units": {"new.service": (True, True)},
        "order": ["restart:new.service", "reload:a.service"],
    }
    result = host.apply(bad)
    assert (result["failed"], result["rolled_back"], result["changed"]) == (True, True, False)
    assert "a.service" in result["msg"] and "everything was put back" in result["msg"]
    assert host.tree() == tree
    assert {name: text for name, text in host.units().items() if "new" not in name} == {
        name: text for name, text in units.items() if "new" not in name
    }
    assert host.unit_state("new.service") == ("disabled", "inactive")
    assert host.apply(good)["changed"] is False


def test_a_sysctl_that_cannot_be_set_rolls_back(host: FakeHost) -> None:
    host.sysctl("net.x", "0")
    before = host.tree()
    result = host.apply({"files": {"/etc/a": "x"}, "sysctls": {"net.x": "1", "net.none.y": "1"}})
    assert (result["failed"], result["rolled_back"], result["stage"]) == (True, True, "sysctl")
    assert host.tree() == before


def test_a_foreign_file_is_refused_unless_adopted(host: FakeHost) -> None:
    host.put("/etc/a", "somebody's work\n")
    for check in (True, False):
        result = host.apply({"files": {"/etc/a": "ours\n"}}, check=check)
        assert result["failed"] and "/etc/a" in result["msg"] and "adopt" in result["msg"]
        assert host.text("/etc/a") == "somebody's work\n"
    assert host.apply({"files": {"/etc/a": "ours\n"}}, adopt=True)["changed"]
    assert host.text("/etc/a") == "ours\n"
    assert host.apply({"files": {}})["removed"] == ["/etc/a"]
    assert host.text("/etc/a") == "somebody's work\n"


def test_a_link_is_a_foreign_file_too(host: FakeHost) -> None:
    host.put("/etc/target", "x")
    (host.root / "etc/a").symlink_to("target")
    assert "adopt" in host.apply({"files": {"/etc/a": "ours\n"}})["msg"]
    assert host.apply({"files": {"/etc/a": "ours\n"}}, adopt=True)["changed"]
    assert host.apply({"files": {}})["removed"] == ["/etc/a"]
    assert host.tree()["/etc/a"] == ("link", "target", 0)


@pytest.mark.parametrize("register", ["conffile", "md5sums", "ucf", "enrolment", "empty"])
def test_an_untouched_package_file_may_be_replaced_and_comes_back(host: FakeHost, register: str) -> None:
    text = "" if register == "empty" else "as packaged\n"
    host.put("/etc/a", text)
    digest = hashlib.md5(text.encode()).hexdigest()
    host.put("/var/lib/dpkg/status", "Package: p\nConffiles:\n /etc/b 0\n")
    host.put("/var/lib/dpkg/info/p.md5sums", "0  etc/b\n")
    match register:
        case "conffile":
            host.put("/var/lib/dpkg/status", f"Package: p\nConffiles:\n /etc/a {digest}\n")
        case "md5sums":
            host.put("/var/lib/dpkg/info/p.md5sums", f"{digest}  etc/a\n")
        case "ucf":
            host.put("/var/lib/ucf/hashfile", f"{digest}  /etc/a\n")
        case "enrolment":
            host.put("/var/lib/egov/enrol.sha256", f"{hashlib.sha256(text.encode()).hexdigest()}  /etc/a\n")
    assert host.apply({"files": {"/etc/a": "ours\n"}})["changed"]
    assert host.apply({"files": {}})["removed"] == ["/etc/a"]
    assert host.text("/etc/a") == text


def test_a_drifted_file_of_ours_is_repaired_and_only_it(host: FakeHost) -> None:
    wanted = {"files": {f"/etc/{i}": f"{i}\n" for i in range(5)}}
    host.apply(wanted)
    host.put("/etc/3", "by hand\n")
    (host.root / "etc/4").chmod(0o600)
    result = host.apply(wanted)
    assert result["files"] == ["/etc/3", "/etc/4"]
    assert result["why"] == {"/etc/3": "content", "/etc/4": "mode 0600, wanted 0644"}
    assert host.apply(wanted)["changed"] is False


def test_what_was_as_wanted_already_becomes_ours(host: FakeHost) -> None:
    host.put("/etc/a", "same\n")
    assert host.apply({"files": {"/etc/a": "same\n"}})["changed"] is False
    host.put("/etc/a", "drifted\n")
    assert host.apply({"files": {"/etc/a": "same\n"}})["files"] == ["/etc/a"]


def test_what_leaves_the_manifest_is_taken_back(host: FakeHost) -> None:
    host.unit("a.service")
    host.unit("b.service", "enabled", "active")
    host.sysctl("net.x", "0")
    before = host.tree()
    host.apply(
        {
            "files": {"/srv/f/a": ("x", "0644", ["reload:a.service"], ""), "/opt/deep/er/b": "x"},
            "folders": {"/srv": "0755", "/srv/f": "0700"},
            "units": {"a.service": (True, True), "b.service": (True, True)},
            "sysctls": {"net.x": "1"},
        }
    )
    result = host.apply({})
    assert result["changed"] and result["units"] == ["a.service", "b.service"]
    assert host.tree() == before
    assert host.unit_state("a.service") == ("disabled", "inactive")
    assert host.unit_state("b.service") == ("enabled", "active")
    assert host.apply({})["changed"] is False


@pytest.mark.parametrize(("stays", "code"), [(False, 0), (True, 1)])
def test_commands_of_a_bundle_that_goes_with_its_units_are_not_run(host: FakeHost, stays: bool, code: int) -> None:
    """A daemon that is stopped cannot be told to read a file that is gone. One that stays must be."""
    host.unit("a.service")
    mark = host.top / "ran"
    command = f"run:/bin/sh -c 'echo x >>{mark}'"
    units = {"a.service": (True, True)}
    host.apply({"files": {"/etc/a.cfg": ("x", "0644", [command], "")}, "units": units})
    assert mark.read_text().count("x") == 1
    result = host.apply({"units": units} if stays else {})
    assert not result.get("failed") and result["removed"] == ["/etc/a.cfg"]
    assert mark.read_text().count("x") == 1 + code


def test_absent_paths_go_and_stay_away(host: FakeHost) -> None:
    host.put("/root/.ssh/authorized_keys", "key\n", 0o600)
    host.put("/etc/old.d/x", "y")
    wanted = {"absent": ["/root/.ssh/authorized_keys", "/etc/old.d", "/etc/never-there"]}
    assert host.apply(wanted)["removed"] == ["/root/.ssh/authorized_keys", "/etc/old.d"]
    assert not (host.root / "etc/old.d").exists()
    assert host.apply(wanted)["changed"] is False
    kept = host.base / "original/root/.ssh/authorized_keys"
    assert kept.read_text() == "key\n"
    assert host.apply({})["changed"] is False


def test_an_absent_folder_comes_back_when_a_later_step_fails(host: FakeHost) -> None:
    host.put("/etc/old.d/x", "y")
    before = host.tree()
    result = host.apply({"absent": ["/etc/old.d"], "sysctls": {"net.none": "1"}})
    assert result["rolled_back"] and host.tree() == before


def test_check_mode_tells_the_same_and_writes_nothing(host: FakeHost) -> None:
    host.unit("a.service")
    host.sysctl("net.x", "0")
    wanted = {
        "files": {"/etc/a": ("new\n", "0644", ["restart:a.service"], "")},
        "folders": {"/srv/d": "0755"},
        "units": {"a.service": (True, True)},
        "sysctls": {"net.x": "1"},
    }
    everything = sorted((str(p), p.lstat().st_mtime_ns) for p in host.top.rglob("*"))
    told = host.apply(wanted, check=True, diff=True)
    assert sorted((str(p), p.lstat().st_mtime_ns) for p in host.top.rglob("*")) == everything
    did = host.apply(wanted, diff=True)
    assert told == did
    assert "+new" in told["diff"][0]["prepared"]


def test_a_bundle_alone_leaves_the_others(host: FakeHost) -> None:
    host.apply({"files": {"/etc/a": "x", "/etc/b": "x"}})
    result = host.apply({"files": {"/etc/c": "x"}}, bundles=["other"])
    assert result["removed"] == []
    assert host.text("/etc/a") == "x"


def test_secrets_are_nowhere_but_in_their_file(host: FakeHost) -> None:
    secrets = {"@secret:one@": "Canary-1-very-secret", "@secret:two@": "Canary-2-even-more"}
    old = {"@secret:one@": "Canary-0-the-old-one", "@secret:two@": "Canary-2-even-more"}
    wanted = {"files": {"/etc/s": ("user @secret:one@\npass @secret:two@\n", "0600", [], "")}}
    host.apply(wanted, secrets=old)
    host.put("/etc/s", (host.text("/etc/s") or "") + "forgotten Canary-3-by-hand\n", 0o600)
    told = host.apply(wanted, secrets=secrets, check=True, diff=True)
    did = host.apply(wanted, secrets=secrets, diff=True)
    assert host.text("/etc/s") == "user Canary-1-very-secret\npass Canary-2-even-more\n"
    shown = json.dumps([told, did])
    assert "Canary" not in shown and "@secret:one@" in shown and "with another value" in shown
    for place in host.base.rglob("*"):
        if place.is_file():
            assert b"Canary" not in place.read_bytes(), place
    for place in host.base.rglob("*"):
        assert not place.stat().st_mode & 0o077, place
    digest = json.loads((host.base / "managed.json").read_text())["files"]["/etc/s"]["digest"]
    assert digest.startswith("hmac-sha256:")


def test_a_validators_words_do_not_tell_the_secret(host: FakeHost) -> None:
    wanted = {"files": {"/etc/s": ("k @secret:one@\n", "0600", [], "cat %s; false")}}
    result = host.apply(wanted, secrets={"@secret:one@": "Canary-1-very-secret"})
    assert result["failed"] and "Canary" not in json.dumps(result) and "@secret:one@" in result["msg"]


def test_one_at_a_time(host: FakeHost) -> None:
    host.base.mkdir(parents=True)
    with (host.base / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        result = host.apply({"files": {"/etc/a": "x"}})
    assert result["failed"] and result["stage"] == "lock" and host.text("/etc/a") is None


def test_an_edit_between_probe_and_apply_is_noticed(host: FakeHost) -> None:
    wanted = {"files": {"/etc/a": "x", "/etc/b": "x"}}
    host.apply(wanted)
    job = host.job(wanted)
    job["files"][1]["data"] = None  # the probe saw it equal
    host.put("/etc/b", "edited\n")
    answer = host.start(job)
    assert json.loads(answer.stdout) == {"again": ["/etc/b"]}
    assert host.text("/etc/b") == "edited\n"


def test_no_room_on_the_disk_changes_nothing(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.apply({"files": {"/etc/a": "old\n"}})
    before = host.tree()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/var/lib/egov/staging")

    monkeypatch.setattr(on_host, "write_new", full)
    result = host.apply({"files": {"/etc/a": "new\n"}})
    assert result["failed"] and result["rolled_back"] and "No space left" in result["msg"]
    assert host.tree() == before


def test_across_file_systems_the_last_step_is_still_a_rename(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.rename

    def other_device(source: str, target: str) -> None:
        if ("/staging/" in source) != ("/staging/" in target):
            raise OSError(18, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "rename", other_device)
    host.apply({"files": {"/etc/a": ("new\n", "0640", [], "")}})
    assert host.tree()["/etc/a"] == ("file", "new\n", 0o640)
    assert not [path for path in host.tree() if ".egov-" in path]


def test_a_missing_unit_or_owner_is_one_sentence(host: FakeHost) -> None:
    result = host.apply({"files": {"/etc/a": "x"}, "units": {"none.service": (True, True)}})
    assert result["rolled_back"] and "none.service" in result["msg"] and "package" in result["msg"]
    assert host.text("/etc/a") is None


def test_a_folder_where_a_file_is_wanted_is_refused(host: FakeHost) -> None:
    (host.root / "etc/a").mkdir()
    assert "there is a folder" in host.apply({"files": {"/etc/a": "x"}})["msg"]
    host.put("/etc/f", "x")
    assert "a folder is wanted above it" in host.apply({"files": {"/etc/f/a": "x"}})["msg"]


def test_a_unit_that_keeps_crashing_is_put_back(host: FakeHost) -> None:
    """systemd starts it again and again, so that it looks active whenever it is asked."""
    host.unit("a.service")
    host.unit("b.timer")
    (host.state / "a.service.restarts").write_text("3\n")
    done = host.apply({"files": {"/etc/new": ("1", "0644", [], "")}, "units": {"a.service": (True, True)}})
    assert done["failed"] and done["rolled_back"] and "a.service: it keeps crashing" in done["msg"]
    assert host.unit_state("a.service") == ("disabled", "inactive") and host.text("/etc/new") is None


@pytest.mark.parametrize("said", ["", "0\n", "not set\n"])
def test_a_unit_of_which_systemd_counts_no_restarts_is_well(host: FakeHost, said: str) -> None:
    host.unit("a.timer")
    (host.state / "a.timer.restarts").write_text(said)
    assert host.apply({"units": {"a.timer": (True, True)}})["changed"]


def test_of_units_that_are_enabled_at_once_the_one_at_fault_is_named(host: FakeHost) -> None:
    for name in ("a.service", "b.service", "c.service"):
        host.unit(name)
    (host.state / "b.service.stuck").write_text("")
    done = host.apply({"units": dict.fromkeys(("a.service", "b.service", "c.service"), (True, True))})
    assert done["failed"] and done["rolled_back"] and "b.service: systemctl enable b.service failed" in done["msg"]
    assert host.unit_state("a.service") == ("disabled", "inactive")


def test_units_are_enabled_by_one_call(host: FakeHost) -> None:
    for name in ("a.service", "b.service"):
        host.unit(name)
    host.commands()
    host.apply({"units": dict.fromkeys(("a.service", "b.service"), (True, True))})
    assert [line for line in host.commands() if line.startswith("enable")] == ["enable a.service b.service"]
