"""Looking at a lab that is up: into its hosts, and at all of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from egovctl.errors import CannotMeasure, UsageError
from egovctl.i18n import tr
from egovctl.lab import guest, preflight, state
from egovctl.lab.names import LabNames
from egovctl.lab.runner import Runner, init_pid, runner_for
from egovctl.lab.state import LabState
from egovctl.paths import Inventory


def recorded(inventory: Inventory) -> LabState:
    """The lab's record; raises CannotMeasure when there is no lab."""
    lab = state.load(LabNames.of(inventory))
    if lab is None:
        raise CannotMeasure(
            tr(
                f"实验环境 {inventory.name} 没有运行：请运行 egovctl lab up -i {inventory.name}",
                f"lab {inventory.name} is not up: run egovctl lab up -i {inventory.name}",
            )
        )
    return lab


def command_in(inventory: Inventory, host: str, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` in a host; UsageError when it is unknown, CannotMeasure when not up."""
    preflight.need_root()
    lab = recorded(inventory)
    names = LabNames.of(inventory)
    if host not in lab.hosts:
        known = ", ".join(lab.hosts)
        raise UsageError(
            tr(f"实验环境中没有主机 {host}，只有：{known}", f"the lab has no host {host}; it has: {known}")
        )
    if lab.hosts[host].kind != "guest":
        return ["nsenter", f"--net={names.netns_path(host)}", "--", *argv]
    pid = init_pid(runner_for(names).pids(host))
    if pid is None:
        raise CannotMeasure(
            tr(
                f"主机 {host} 没有运行：请运行 egovctl lab up -i {inventory.name}",
                f"host {host} is not running: run egovctl lab up -i {inventory.name}",
            )
        )
    return guest.enter(pid, argv)


def is_up(inventory: Inventory) -> bool:
    """Whether `up` came to its end and every guest has its PID 1."""
    names = LabNames.of(inventory)
    lab = state.load(names)
    if lab is None or lab.phase != "up":
        return False
    runner = runner_for(names)
    return all(init_pid(runner.pids(host)) is not None for host in lab.guests)


@dataclass(frozen=True)
class HostStatus:
    """One line of `lab status`. `memory_bytes` is PSS; `failed` are systemd units."""

    host: str
    kind: str
    state: str
    management: str
    loopback: str
    memory_bytes: int
    failed: tuple[str, ...]


def statuses(inventory: Inventory) -> tuple[LabState, list[HostStatus]]:
    """The record, and what each host is like now. Raises CannotMeasure when there is no lab, UsageError unless root."""
    preflight.need_root()
    lab = recorded(inventory)
    names = LabNames.of(inventory)
    runner = runner_for(names)
    with ThreadPoolExecutor(max_workers=16) as pool:
        return lab, list(pool.map(lambda host: _status(names, runner, lab, host), lab.hosts))


def _status(names: LabNames, runner: Runner, lab: LabState, name: str) -> HostStatus:
    host = lab.hosts[name]
    pids = runner.pids(name)
    failed: tuple[str, ...] = ()
    if host.kind == "guest":
        pid = init_pid(pids)
        word = guest.system_state(pid) if pid is not None else "dead"
        if pid is not None and word == "degraded":
            failed = tuple(guest.failed_units(pid))
    elif not names.netns_path(name).exists():
        word = "dead"
    else:
        word = "running" if pids else "no agent"
    return HostStatus(name, host.kind, word, host.management, host.loopback, guest.memory_bytes(pids), failed)
