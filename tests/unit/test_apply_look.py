"""The look: a host counts as the same only when nothing at all differs, whatever it is; all else is the apply's."""

from __future__ import annotations

import getpass
import grp
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from apply_helpers import FakeHost
from test_apply_library import KEY, Wire, write_build

from egovctl import transport
from egovctl.apply import look, unproven
from egovctl.apply.manifest import Manifest
from egovctl.apply.on_host import BASE
from egovctl.apply.transaction import Request, apply_host
from egovctl.errors import CannotMeasure
from egovctl.paths import Inventory, project_root

SETTLED = f"test -e {BASE}/made-{{wheelhouse}}"


def built(tmp_path: Path, **changes: Any) -> Path:
    """A build that a host of this very user can be brought to."""
    given = {"packages": {"base": ["bash"]}, "users": {}, "settled": {"base": SETTLED}, **changes}
    build = write_build(tmp_path / "build", **given)
    place = build / "h1/manifest.json"
    manifest = json.loads(place.read_text())
    owner = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getegid()).gr_name}
    for item in (*manifest["files"], *manifest["folders"]):
        item.update(owner)
    place.write_text(json.dumps(manifest))
    return build


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost.make(tmp_path / "h")
    host.unit("a.service")
    host.sysctl("net.x", "0\t0")
    host.put("/etc/ssh/ssh_host_ed25519_key.pub", f"{KEY} root@h1\n")
    return host


def same(host: FakeHost, build: Path, key: str = KEY) -> bool:
    def ask(name: str, script: str) -> str:
        assert name == "h1"
        return Wire(host)("/bin/sh -s", script.encode()).stdout

    secret = {"one": "Canary-one"}.__getitem__
    return look.is_same(Manifest.load(build, "h1"), None, key, secret, {"wheelhouse": "w1"}, ask)


def applied(host: FakeHost, build: Path) -> None:
    apply_host(Request(build, "h1", {"one": "Canary-one"}.__getitem__, test=host.test), Wire(host))
    host.put(f"{BASE}/made-w1", "")
    wants = host.root / "etc/systemd/system/multi-user.target.wants"  # the fake systemctl makes no links
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "a.service").symlink_to("/lib/systemd/system/a.service")


def spoil_registry(host: FakeHost) -> None:
    place = host.base / "managed.json"
    known = json.loads(place.read_text())
    del known["files"]["/etc/plain"]
    place.write_text(json.dumps(known))


def mask(host: FakeHost) -> None:
    (host.root / "etc/systemd/system/a.service").symlink_to("/dev/null")


SPOILS: dict[str, Callable[[FakeHost], Any]] = {
    "content": lambda host: host.put("/etc/plain", "other\n"),
    "secret content": lambda host: host.put("/etc/hidden", "key Canary-two\n"),
    "mode": lambda host: (host.root / "etc/plain").chmod(0o600),
    "file gone": lambda host: (host.root / "etc/hidden").unlink(),
    "link instead of a file": lambda host: (
        (host.root / "etc/plain").rename(host.root / "etc/aside"),
        (host.root / "etc/plain").symlink_to("aside"),
    ),
    "folder gone": lambda host: (host.root / "srv/f").rmdir(),
    "unwanted file": lambda host: host.put("/etc/gone", "here\n"),
    "stopped": lambda host: host.unit("a.service", "enabled", "inactive"),
    "failed": lambda host: host.unit("a.service", "enabled", "failed"),
    "coming up": lambda host: host.unit("a.service", "enabled", "activating"),
    "disabled": lambda host: (host.root / "etc/systemd/system/multi-user.target.wants/a.service").unlink(),
    "masked": mask,
    "kernel setting": lambda host: host.sysctl("net.x", "1\t3"),
    "work left open": lambda host: host.put(f"{BASE}/journal.json", "{}"),
    "not registered": spoil_registry,
    "not settled": lambda host: (host.base / "made-w1").unlink(),
}


def test_an_applied_host_is_the_same(host: FakeHost, tmp_path: Path) -> None:
    build = built(tmp_path)
    assert not same(host, build)
    applied(host, build)
    assert same(host, build)


@pytest.mark.parametrize("what", SPOILS)
def test_whatever_differs_is_seen(host: FakeHost, tmp_path: Path, what: str) -> None:
    build = built(tmp_path)
    applied(host, build)
    SPOILS[what](host)
    assert not same(host, build)


@pytest.mark.parametrize(
    "changes",
    [
        {"packages": {"base": ["bash", "no-such-package"]}},
        {"users": {"base": ["u egov-nobody - - - -"]}},
        {"users": {"base": ["g egov-none"]}},
        {"settled": {"base": "test {wheelhouse} = w2"}},
    ],
)
def test_what_is_wanted_beside_files_is_seen(host: FakeHost, tmp_path: Path, changes: dict[str, Any]) -> None:
    applied(host, built(tmp_path))
    assert not same(host, built(tmp_path, **changes))


def test_another_host_is_refused(host: FakeHost, tmp_path: Path) -> None:
    build = built(tmp_path)
    applied(host, build)
    with pytest.raises(CannotMeasure, match="another host key"):
        same(host, build, KEY.replace("A", "B"))


@pytest.mark.parametrize("keep", [0, 40, 400])
def test_half_an_answer_is_never_the_same(host: FakeHost, tmp_path: Path, keep: int) -> None:
    build = built(tmp_path)
    applied(host, build)

    def ask(name: str, script: str) -> str:
        return Wire(host)("/bin/sh -s", script.encode()).stdout[:keep]

    with pytest.raises(CannotMeasure, match="not answered"):
        look.is_same(
            Manifest.load(build, "h1"), None, KEY, {"one": "Canary-one"}.__getitem__, {"wheelhouse": "w1"}, ask
        )


def test_systemd_that_says_nothing_is_not_the_same() -> None:
    assert look.units_of(["a.service"], "") == {"a.service": ("unknown", "inactive")}


def test_a_unit_that_shall_be_off_is_not_taken_for_so_when_systemd_does_not_answer(
    host: FakeHost, tmp_path: Path
) -> None:
    off = [{"name": "a.service", "enabled": False, "active": False, "bundle": "base"}]
    build = built(tmp_path, units=off)
    applied(host, build)
    (host.root / "etc/systemd/system/multi-user.target.wants/a.service").unlink()
    assert same(host, build)
    (host.top / "bin/systemctl").write_text("#!/bin/sh\nexit 1\n")
    assert not same(host, build)


def test_a_host_that_was_never_proven_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    inventory = Inventory(tmp_path / "inventories/town")
    asked: list[str] = []
    monkeypatch.setattr(look, "same_as_built", lambda inventory, manifest, *rest: asked.append(manifest.host) or True)
    build = built(tmp_path)
    assert look.look(inventory, build, ["h1"], []) == look.Looked(("h1",), ()) and asked == ["h1"]
    unproven.mark(inventory, "h1")
    assert look.look(inventory, build, ["h1"], []) == look.Looked((), ("h1",)) and asked == ["h1"]
    unproven.clear(inventory, "h1")
    assert look.look(inventory, build, ["h1"], []).same == ("h1",)


def test_a_fault_of_the_program_is_not_taken_for_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))

    def broken(*given: Any) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(look, "same_as_built", broken)
    with pytest.raises(ZeroDivisionError):
        look.look(Inventory(tmp_path / "inventories/town"), built(tmp_path), ["h1"], [])


def test_links_of_the_running_system_only_do_not_outlast_a_boot() -> None:
    said = "L /run/systemd/system/m.wants/a.service\na.service loaded active running A\n"
    assert look.units_of(["a.service"], said) == {"a.service": ("enabled-runtime", "active")}
    said += "L /etc/systemd/system/m.wants/a.service\n"
    assert look.units_of(["a.service"], said) == {"a.service": ("enabled", "active")}


def test_who_cannot_be_asked_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    monkeypatch.setattr(transport, "run", lambda *given, **more: pytest.fail("nothing is rendered, nobody to ask"))
    found = look.look(Inventory(tmp_path / "inventories/town"), tmp_path / "build", ["h1", "control"], [], ["control"])
    assert found == look.Looked((), ("h1", "control"))
    assert "to apply: h1, control" in look.told(found)


def test_a_role_that_does_more_than_its_bundle_says_when_that_is_done() -> None:
    """Otherwise its tasks would not run on a host where nothing else differs."""
    for place in (project_root() / "playbooks/roles").glob("*/bundle.yml"):
        spec = yaml.safe_load(place.read_text(encoding="utf-8"))
        if (place.parent / "tasks").is_dir() and spec["hosts"] != "control":  # control is never left out
            assert spec.get("settled"), f"{place}: the role has tasks of its own and no `settled`"
