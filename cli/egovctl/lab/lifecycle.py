"""Up and down. Whatever a crash, a kill or Ctrl-C leaves half made, the next `up` or `down` finds and clears."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from egovctl.errors import EgovError, UsageError
from egovctl.i18n import tr
from egovctl.lab import access, facts, guest, image, machine, network, owner, preflight, samples, state
from egovctl.lab.facts import facts_of
from egovctl.lab.gateway import listens_at
from egovctl.lab.image import Image
from egovctl.lab.names import DISKS, RUN, LabNames, port_base
from egovctl.lab.processes import Booted, processes, wait_for_guests
from egovctl.lab.run import readable_by_all, run
from egovctl.lab.runner import POWER_OFF, Runner, init_pid, runner_for
from egovctl.lab.smsc import smsc_listens_at
from egovctl.lab.state import LabState
from egovctl.lab.wiring import Wiring, forwards_of, wiring_of
from egovctl.paths import Inventory, project_root
from egovctl.plan import Plan
from egovctl.plan.load import load
from egovctl.secrets import Secrets

POWER_OFF_SECONDS = 20


class Reporter(Protocol):
    """Who is told of progress."""

    def step(self, text: str) -> None:
        """A new step has begun."""

    def detail(self, text: str) -> None:
        """Where the current step is."""

    def host(self, booted: Booted, total: int) -> None:
        """One guest has come up, or has not."""


@dataclass(frozen=True)
class Up:
    """What `up` did. `already` means that nothing had to be done."""

    lab: LabState
    already: bool
    booted: dict[str, Booted]
    skipped: tuple[str, ...]
    seconds: float


def up(inventory: Inventory, report: Reporter, *, fresh: bool = False) -> Up:
    """Bring the lab of this inventory up; a lab that is up already is left alone.

    Raises PlanError for a bad plan, UsageError for another project's lab (`fresh` takes it), UsageError or EgovError
    with one sentence for whatever is missing, and EgovError that names the hosts that did not boot (others stay up).
    """
    begin = time.monotonic()
    preflight.need_root()
    names = LabNames.of(inventory)
    plan, city = load(inventory)
    wiring = wiring_of(city)
    with exclusive(names, report), readable_by_all():
        lab = state.load(names)
        if not fresh:
            owner.need_own(inventory, names)
        if lab is not None and not fresh and is_laid(names, lab):
            _same_plan(lab, wiring)
            booted = heal(inventory, names, lab, report)
            return Up(lab, not booted, booted, wiring.skipped, time.monotonic() - begin)
        if lab is not None and lab.phase == "growing" and not fresh:
            raise UsageError(
                tr(
                    f"实验环境 {names.inventory} 的调整被打断：请运行 egovctl lab grow -i {names.inventory} 完成它",
                    f"lab {names.inventory} was interrupted while it grew: run egovctl lab grow -i {names.inventory}, "
                    "which goes on from there",
                )
            )
        _preflight(wiring)
        resumable = not fresh and _resumable(names, wiring)
        _clear(names, report, keep_disks=resumable)
        forwards = forwards_of(city, port_base())
        preflight.need_ports(forwards)
        report.step(tr("准备主机镜像", "host image"))
        built = image.ensure(report.detail)
        lab = LabState(
            inventory=inventory.name,
            phase="starting",
            pid=os.getpid(),
            image=built.hash,
            topology=wiring.digest,
            started_at=time.time(),
            hosts=wiring.hosts,
            namespaces=wiring.namespaces,
            forwards=forwards,
            internet=wiring.internet,
            control=wiring.control,
            gateway=(gateway := listens_at(plan, city)),
            smsc=(smsc := smsc_listens_at(plan, city)),
            project=str(project_root()),
        )
        state.save(names, lab)
        machine.claim(names)
        prepare(inventory, names, built, plan, lab, [] if resumable else lab.guests, report)
        report.step(tr("连接网络", "network"))
        network.lay(names, wiring)
        booted = _start(inventory, names, lab, report)
        facts.save(names, everything := facts_of(wiring, forwards, gateway, smsc), everything)
        finish(inventory, names, lab)
    return Up(replace(lab, phase="up"), False, booted, wiring.skipped, time.monotonic() - begin)


def down(inventory: Inventory, report: Reporter, *, keep_disks: bool = False) -> bool:
    """Take everything of this lab away, from any half-up state; returns whether there was anything.

    With `keep_disks` the guests are powered off in order, and the next `up` boots them as they were. It may be another
    project's lab: what that one noted for first contact goes too.
    """
    preflight.need_root()
    there = _take_down(LabNames.of(inventory), report, keep_disks=keep_disks)
    if not keep_disks:
        inventory.first_contact.unlink(missing_ok=True)
    return there


def down_all(report: Reporter) -> list[str]:
    """Take down every lab on this machine, also one whose inventory is gone; returns their names."""
    preflight.need_root()
    found = machine.labs() | {path.name for folder in (RUN, DISKS) for path in folder.glob("[!.]*") if path.is_dir()}
    for name in sorted(found):
        _take_down(LabNames(name), report, keep_disks=False)
    return sorted(found)


def _take_down(names: LabNames, report: Reporter, *, keep_disks: bool) -> bool:
    with exclusive(names, report):
        there = _clear(names, report, keep_disks=keep_disks)
    machine.tidy()
    return there


def exclusive(names: LabNames, report: Reporter) -> contextlib.AbstractContextManager[None]:
    """Nobody else is at work on this lab meanwhile; EgovError when somebody is for half a minute."""
    text = tr("另一个 egovctl lab 正在处理这个实验环境", "another egovctl lab is at work on this lab")
    return state.locked(names.lock_file, wait=30, busy=text, say=report.step)


def _preflight(wiring: Wiring) -> None:
    preflight.need_debian()
    preflight.need_tools()
    guests = sum(host.kind == "guest" for host in wiring.hosts.values())
    preflight.need_disk(guests, image.defined().exists)


def is_laid(names: LabNames, lab: LabState) -> bool:
    """Whether `up` once came to its end and the network is still there."""
    return lab.phase == "up" and all(names.netns_path(short).exists() for short in lab.namespaces)


def _same_plan(lab: LabState, wiring: Wiring) -> None:
    if lab.topology != wiring.digest:
        raise UsageError(
            tr(
                f"规划在实验环境启动之后变了：请运行 egovctl lab grow -i {lab.inventory}（运行中的主机保持不变），"
                f"或 egovctl lab up --fresh -i {lab.inventory}（主机会重新建立）",
                f"the plan has changed since this lab came up: run egovctl lab grow -i {lab.inventory} (running hosts "
                f"stay), or egovctl lab up --fresh -i {lab.inventory} (its hosts start anew)",
            )
        )


def heal(inventory: Inventory, names: LabNames, lab: LabState, report: Reporter, title: str = "") -> dict[str, Booted]:
    """Start whatever process is not there (`title` says why); returns the guests among them."""
    runner = runner_for(names)
    missing = [item for item in processes(inventory, names, lab) if not runner.pids(item.name)]
    if not missing:
        return {}
    report.step(title or tr("重新启动已停止的部分", "starting what has ended"))
    for item in missing:
        runner.stop(item.name)
        runner.start(item.name, item.argv, item.policy)
    return _wait_all(names, runner, [item.name for item in missing if item.name in lab.guests], report)


def prepare(
    inventory: Inventory,
    names: LabNames,
    built: Image,
    plan: Plan,
    lab: LabState,
    guests: Sequence[str],
    report: Reporter,
) -> None:
    """Keys and secrets on control, disks for these guests."""
    report.step(tr("密钥与磁盘", "keys and disks"))
    from egovctl.render import secret_names

    switches = [access.SWITCH_SECRET] if any(host.kind == "switch" for host in lab.hosts.values()) else []
    Secrets(inventory).ensure_random([*secret_names(inventory), *switches])
    access.ensure_key(inventory.deploy_key, f"control@{inventory.name}")
    authorized = access.ensure_key(access.bootstrap_key(inventory), f"first-contact@{inventory.name}")
    for host in guests:
        report.detail(host)
        guest.clone(names, built, host, authorized)
        for folder in samples.seeded_paths(plan, host):
            samples.seed(names, built, host, folder)
        samples.seed_databases(names, built, host, plan)


def _start(inventory: Inventory, names: LabNames, lab: LabState, report: Reporter) -> dict[str, Booted]:
    report.step(tr(f"启动 {len(lab.guests)} 台主机", f"booting {len(lab.guests)} hosts"))
    runner = runner_for(names)
    for item in processes(inventory, names, lab):
        runner.start(item.name, item.argv, item.policy)
    return _wait_all(names, runner, lab.guests, report)


def _wait_all(names: LabNames, runner: Runner, hosts: list[str], report: Reporter) -> dict[str, Booted]:
    booted = wait_for_guests(names, runner, hosts, lambda item: report.host(item, len(hosts)))
    bad = [item for item in booted.values() if not item.good]
    if bad:
        words = "; ".join(f"{item.host}: {item.reason or item.state} ({names.console(item.host)})" for item in bad)
        raise EgovError(tr(f"有主机没有启动成功：{words}", f"hosts that did not boot: {words}"))
    return booted


def finish(inventory: Inventory, names: LabNames, lab: LabState) -> None:
    """Everything is there: the note for first contact, and the record that says so."""
    access.write_first_contact(inventory, names, lab)
    state.write_json(complete_file(names), _complete(lab.image, lab.topology))
    state.save(names, replace(lab, phase="up"))


def _resumable(names: LabNames, wiring: Wiring) -> bool:
    """Whether complete disks of the same image and plan are there (kept by `down --keep-disks`, or a reboot)."""
    wanted, complete = image.defined(), state.read_json(complete_file(names))
    if not isinstance(complete, dict):
        return False
    known = {"project": str(project_root()), **complete}  # a record of an older version does not name the project
    return known == _complete(wanted.hash, wiring.digest) and wanted.exists


def complete_file(names: LabNames) -> Path:
    """The note that all disks of a lab are there, beside them."""
    return names.disks / "complete.json"


def _complete(image_hash: str, topology: str) -> dict[str, str]:
    """What complete disks say of themselves."""
    return {"image": image_hash, "topology": topology, "project": str(project_root())}


def _clear(names: LabNames, report: Reporter, *, keep_disks: bool) -> bool:
    """Remove all that has this lab's name, recorded or not; returns whether there was anything."""
    lab, project = state.load(names), owner.project_of(names)
    runner = runner_for(names)
    known = lab.namespaces if lab else ()
    namespaces = network.leftovers(names, known, _of_others(names))
    running = runner.running()
    there = bool(running or namespaces or names.run.is_dir() or (names.disks.is_dir() and not keep_disks))
    if there:
        report.step(tr("清理", "clearing"))
        if lab is not None:
            state.save(names, replace(lab, phase="stopping"))
        _stop_all(runner, running, gently=keep_disks)
        network.remove(namespaces)
    runner.clear()
    if not keep_disks:
        owner.forget_first_contact(names, project)
    _remove_files(names, keep_disks=keep_disks)
    machine.release(names)
    return there


def _of_others(names: LabNames) -> set[str]:
    """Full names of the namespaces that belong to other labs: `egov-a-b` is host b of lab a, or a host of lab a-b."""
    found: set[str] = set()
    for inventory in machine.labs() - {names.inventory}:
        other = LabNames(inventory)
        if (lab := state.load(other)) is not None:
            found.update(other.netns(short) for short in lab.namespaces)
    return found


def _stop_all(runner: Runner, running: list[str], *, gently: bool) -> None:
    inits = {name: init_pid(runner.pids(name)) for name in running} if gently else {}
    waiting = {name: pid for name, pid in inits.items() if pid is not None}
    for pid in waiting.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, POWER_OFF)
    deadline = time.monotonic() + POWER_OFF_SECONDS
    while any(Path(f"/proc/{pid}").is_dir() for pid in waiting.values()) and time.monotonic() < deadline:
        time.sleep(0.1)
    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(runner.stop, running))


def _remove_files(names: LabNames, *, keep_disks: bool) -> None:
    for line in reversed(Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()):
        if line.split()[4].startswith(f"{names.disks}/"):
            run(["umount", "-l", line.split()[4]])
    if not keep_disks and names.disks.is_dir():
        shutil.rmtree(names.disks)
    if names.run.is_dir():
        shutil.rmtree(names.run)
