"""Power goes at any moment: after the recovery the host is all old or all new, never between."""

from __future__ import annotations

import json
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from apply_helpers import FakeHost

OLD: dict[str, Any] = {
    "files": {
        "/etc/a.service.conf": ("old\n", "0644", ["reload:a.service"], ""),
        "/etc/b": ("old b\n", "0600", [], ""),
        "/srv/gone/x": ("dropped later\n", "0644", [], ""),
    },
    "folders": {"/srv": "0755", "/srv/gone": "0700"},
    "units": {"a.service": (True, True), "gone.service": (True, True)},
    "sysctls": {"net.x": "1"},
}
NEW: dict[str, Any] = {
    "files": {
        "/etc/a.service.conf": ("new\n", "0640", ["reload:a.service"], ""),
        "/etc/b": ("new b\n", "0600", ["run:true"], ""),
        "/etc/deep/er/c": ("made\n", "0644", ["daemon-reload", "restart:n.service"], ""),
    },
    "folders": {"/srv": "0700"},
    "units": {"a.service": (True, True), "n.service": (True, True)},
    "sysctls": {"net.x": "2", "net.y": "5"},
    "absent": ["/etc/old.d", "/etc/old-file"],
    "order": ["daemon-reload", "run:true", "reload:a.service", "restart:n.service"],
}
BROKEN: dict[str, Any] = {**NEW, "files": {**NEW["files"], "/etc/n.service.conf": ("BAD\n", "0644", [], "")}}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> FakeHost:
    host = FakeHost.make(tmp_path_factory.mktemp("crash") / "before")
    for name in ("a.service", "gone.service", "n.service"):
        host.unit(name)
    host.sysctl("net.x", "0")
    host.sysctl("net.y", "0")
    host.put("/etc/old.d/x", "x")
    host.put("/etc/old-file", "x")
    assert not host.apply(OLD).get("failed")
    host.commands()
    return host


def copy(host: FakeHost, top: Path) -> FakeHost:
    shutil.copytree(host.top, top, symlinks=True)
    other = FakeHost(top, counter=host.counter)
    other.wire()
    return other


def snapshot(host: FakeHost) -> tuple[Any, Any]:
    units = {name: text for name, text in host.units().items() if not name.endswith(".loaded")}
    return host.tree(), units


def killed_at(host: FakeHost, wanted: dict[str, Any], step: int) -> bool:
    """Apply and die at the n-th step; False when the program ended before it got there."""
    done = host.start(host.job(wanted, test={**host.test, "kill_at": step}))
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def assert_no_leftovers(host: FakeHost) -> None:
    assert not (host.base / "journal.json").exists()
    assert not [path for path in host.tree() if ".egov-" in path]


@pytest.mark.parametrize("wanted", [NEW, BROKEN], ids=["good", "broken"])
def test_killed_at_every_step_then_recovered(before: FakeHost, tmp_path: Path, wanted: dict[str, Any]) -> None:
    old = snapshot(before)
    done = copy(before, tmp_path / "done")
    done.apply(wanted)
    new = snapshot(done)
    assert (old == new) == (wanted is BROKEN)
    seen = set()
    step = 0
    while True:
        step += 1
        host = copy(before, tmp_path / str(step))
        if not killed_at(host, wanted, step):
            break
        assert host.recover().returncode == 0
        after = snapshot(host)
        assert after in (old, new), f"between at step {step}"
        seen.add("old" if after == old else "new")
        assert_no_leftovers(host)
        if step % 6 == 0:
            assert host.apply(NEW).get("failed") is None
            assert snapshot(host)[0] == snapshot(_applied(before, tmp_path / f"{step}-new"))[0]
            assert host.apply(NEW)["changed"] is False
        shutil.rmtree(host.top)
    assert step > 20
    assert seen == ({"old"} if wanted is BROKEN else {"old", "new"})


_cache: dict[str, FakeHost] = {}


def _applied(before: FakeHost, top: Path) -> FakeHost:
    if "new" not in _cache:
        _cache["new"] = copy(before, top)
        _cache["new"].apply(NEW)
    return _cache["new"]


def test_killed_again_while_it_recovers(before: FakeHost, tmp_path: Path) -> None:
    old = snapshot(before)
    new = snapshot(_applied(before, tmp_path / "new"))
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    for number in range(12):
        host = copy(before, tmp_path / str(number))
        if not killed_at(host, NEW, chance.randint(6, 30)):
            continue
        kind = dict(host.test)
        for _ in range(3):
            host.test = {**kind, "kill_at": chance.randint(1, 12)}
            host.recover()
        host.test = kind
        assert host.recover().returncode == 0
        assert snapshot(host) in (old, new), f"seed {seed}, run {number}"
        assert_no_leftovers(host)


def test_the_next_apply_recovers_by_itself(before: FakeHost, tmp_path: Path) -> None:
    host = copy(before, tmp_path / "h")
    assert killed_at(host, NEW, 14)
    assert (host.base / "journal.json").exists()
    told = host.apply(NEW, check=True)
    assert told["changed"] and "recovered" in told
    result = host.apply(NEW)
    assert result["recovered"] in ("undone", "finished") and result["changed"]
    assert snapshot(host) == snapshot(_applied(before, tmp_path / "new"))


def test_power_lost_between_swap_and_reload_is_not_ok_next_time(before: FakeHost, tmp_path: Path) -> None:
    host = copy(before, tmp_path / "h")
    phase = ""
    for step in range(10, 40):
        shutil.rmtree(host.top)
        host = copy(before, tmp_path / "h")
        assert killed_at(host, NEW, step)
        phase = json.loads((host.base / "journal.json").read_text())["phase"]
        if phase == "swapped":
            break
    assert phase == "swapped"
    assert host.recover("--boot").returncode == 0
    assert host.text("/etc/b") == "new b\n"
    assert json.loads((host.base / "pending.json").read_text()) == NEW["order"]
    told = host.apply(NEW, check=True)
    assert told["changed"] and told["actions"] == NEW["order"] and told["files"] == []
    host.commands()
    result = host.apply(NEW)
    assert result["changed"] and "reload a.service" in host.commands()
    assert host.units()["a.service.loaded"] == "new\n"
    assert host.apply(NEW)["changed"] is False


def test_boot_while_an_apply_runs_leaves_its_journal_alone(before: FakeHost, tmp_path: Path) -> None:
    import fcntl

    host = copy(before, tmp_path / "h")
    assert killed_at(host, NEW, 14)
    with (host.base / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert host.recover("--boot").returncode == 0
    assert (host.base / "journal.json").exists()
