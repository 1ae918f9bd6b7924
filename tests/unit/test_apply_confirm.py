"""What can cut a host off is kept only when control gets through anew; otherwise the host puts it back by itself.

If one of these fails, a wrong firewall rule on a county's hub means a drive to that county.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from apply_helpers import FakeHost
from test_apply_crash import NEW, OLD, assert_no_leftovers, copy, snapshot

WAITING: dict[str, Any] = {"confirm": ["base"], "confirm_seconds": 30.0}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> FakeHost:
    host = FakeHost.make(tmp_path_factory.mktemp("confirm") / "before")
    for name in ("a.service", "gone.service", "n.service"):
        host.unit(name)
    host.sysctl("net.x", "0")
    host.sysctl("net.y", "0")
    assert not host.apply(OLD).get("failed")
    host.commands()
    return host


@pytest.fixture
def host(before: FakeHost, tmp_path: Path) -> FakeHost:
    return copy(before, tmp_path / "h")


def journal(host: FakeHost) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((host.base / "journal.json").read_text())
    return found


def time_is_up(host: FakeHost) -> None:
    (host.base / "journal.json").write_text(json.dumps({**journal(host), "deadline": 0.0}))


def test_it_waits_and_is_kept_when_confirmed(host: FakeHost) -> None:
    result = host.apply(NEW, **WAITING)
    assert (result["confirm_seconds"], journal(host)["phase"]) == (30.0, "confirming")
    assert host.text("/etc/b") == "new b\n"
    timers = [line for line in host.commands() if line.startswith("systemd-run")]
    assert len(timers) == 2 and "--on-active=210s" in timers[0] and "--on-active=30s" in timers[1]
    assert all(f"recover --unconfirmed {result['confirm']}" in line for line in timers)
    assert host.confirm(result["confirm"]) == {"confirmed": True}
    assert f"stop egov-unconfirmed-{result['confirm']}-*.timer" in host.commands()
    assert_no_leftovers(host)
    assert host.apply(NEW, **WAITING)["changed"] is False
    assert not [line for line in host.commands() if line.startswith("systemd-run")]


def test_the_program_that_undoes_is_kept_aside_and_whole(host: FakeHost) -> None:
    done = host.start(host.job(NEW, **WAITING))
    name = json.loads(done.stdout.splitlines()[-1])["confirm"]
    kept = host.base / "tx" / name / "egov-apply"
    assert kept.stat().st_mode & 0o777 == 0o700
    assert kept.read_text().startswith("#!/usr/bin/env python3") and "def recover(" in kept.read_text()


def test_the_timer_puts_everything_back(host: FakeHost) -> None:
    old = snapshot(host)
    result = host.apply(NEW, **WAITING)
    assert host.recover("--unconfirmed", "another").returncode == 0
    assert host.recover("--unconfirmed", result["confirm"]).returncode == 0
    assert journal(host)["phase"] == "confirming", "the first timer came before the time was up"
    time_is_up(host)
    assert host.recover("--unconfirmed", result["confirm"]).returncode == 0
    assert snapshot(host) == old
    assert_no_leftovers(host)
    late = host.confirm(result["confirm"])
    assert late["confirmed"] is False and late["rolled_back"] and "put everything back by itself" in late["msg"]


def test_a_boot_before_the_confirmation_brings_the_old_state(host: FakeHost) -> None:
    files = snapshot(host)[0]
    host.apply(NEW, **WAITING)
    assert host.recover("--boot").returncode == 0
    assert snapshot(host)[0] == files
    assert_no_leftovers(host)


def test_nobody_changes_what_still_waits(host: FakeHost) -> None:
    host.apply(NEW, **WAITING)
    refused = host.apply(OLD)
    assert refused["failed"] and "waits" in refused["msg"] and "nothing was changed" in refused["msg"]
    assert host.text("/etc/b") == "new b\n"
    time_is_up(host)
    assert host.apply(NEW, **WAITING)["recovered"] == "undone"


def test_a_clock_of_another_boot_counts_for_nothing(host: FakeHost) -> None:
    old = snapshot(host)
    host.apply(NEW, **WAITING)
    later = {**journal(host), "boot": "another", "deadline": 1e12}
    (host.base / "journal.json").write_text(json.dumps(later))
    assert host.recover().returncode == 0
    assert snapshot(host) == old


def test_what_cannot_cut_off_does_not_wait(host: FakeHost) -> None:
    result = host.apply(NEW, confirm=["frr"], confirm_seconds=30.0)
    assert result["changed"] and "confirm" not in result
    assert_no_leftovers(host)


def test_no_timer_no_change(host: FakeHost) -> None:
    old = snapshot(host)
    timer = host.top / "bin/systemd-run"
    timer.write_text("#!/bin/sh\necho no bus; exit 1\n")
    result = host.apply(NEW, **WAITING)
    assert result["failed"] and result["stage"] == "confirm" and "no bus" in result["msg"]
    assert snapshot(host) == old
    assert_no_leftovers(host)


def test_killed_at_every_step_the_timer_brings_the_old_state(before: FakeHost, tmp_path: Path) -> None:
    """The program dies at any moment; nobody confirms; the timer that was set before the swap finds the journal."""
    old = snapshot(before)
    phases: Counter[str] = Counter()
    step = 0
    while True:
        step += 1
        host = copy(before, tmp_path / str(step))
        job = host.job(NEW, **WAITING, test={**host.test, "kill_at": step})
        if host.start(job).returncode != -signal.SIGKILL:
            break
        if (host.base / "journal.json").exists():
            phases[journal(host)["phase"]] += 1
            time_is_up(host)
        else:
            phases["none"] += 1
        assert host.recover("--unconfirmed", job["id"]).returncode == 0
        assert snapshot(host) == old, f"not the old state after step {step}"
        assert not (host.base / "journal.json").exists()
        shutil.rmtree(host.top)
    print(dict(phases))
    assert set(phases) == {"none", "swapping", "swapped", "confirming"}


def test_what_was_right_before_a_change_that_waits_is_entered_with_it(host: FakeHost) -> None:
    """Left out, it would not be repaired when it drifts, and the next run would still have something to do."""
    host.unit("right.service", "enabled", "active")
    host.sysctl("net.right", "1")
    host.put("/etc/right", "right\n")
    wanted = {
        **NEW,
        "files": {**NEW["files"], "/etc/right": ("right\n", "0644", [], "")},
        "units": {**NEW["units"], "right.service": (True, True)},
        "sysctls": {**NEW["sysctls"], "net.right": "1"},
    }

    def entered() -> dict[str, set[str]]:
        known = json.loads((host.base / "managed.json").read_text())
        return {kind: set(known[kind]) for kind in ("files", "units", "sysctls")}

    job = host.apply(wanted, **WAITING)["confirm"]
    assert {("files", "/etc/right"), ("units", "right.service"), ("sysctls", "net.right")} <= {
        (kind, name) for kind, names in entered().items() for name in names
    }
    assert host.confirm(job) == {"confirmed": True}
    assert entered() == {kind: set(wanted[kind]) for kind in ("files", "units", "sysctls")}
