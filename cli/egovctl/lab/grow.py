"""A lab that is up follows a changed plan: only what differs is made and removed, all other hosts keep running.

Killed in the middle, it goes on when it is run again: what may be there is on record before it is made.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from egovctl.errors import CannotMeasure, UsageError
from egovctl.i18n import tr
from egovctl.lab import facts, network, owner, preflight, state
from egovctl.lab.facts import PROCESSES, Fact, Steps, facts_of, steps
from egovctl.lab.gateway import listens_at
from egovctl.lab.image import Image
from egovctl.lab.lifecycle import Reporter, complete_file, exclusive, finish, heal, prepare
from egovctl.lab.names import FABRIC, LabNames, port_base
from egovctl.lab.processes import Booted
from egovctl.lab.run import readable_by_all
from egovctl.lab.runner import runner_for
from egovctl.lab.smsc import smsc_listens_at
from egovctl.lab.state import LabState
from egovctl.lab.users import PREFIX
from egovctl.lab.wiring import Wiring, forwards_of, wiring_of
from egovctl.paths import Inventory
from egovctl.plan import City
from egovctl.plan.load import load


@dataclass(frozen=True)
class Grown:
    """What `grow` did; nothing had to be done when `steps` has none and nobody was `booted`."""

    lab: LabState
    steps: Steps
    booted: dict[str, Booted]
    skipped: tuple[str, ...]
    seconds: float


def grow(inventory: Inventory, report: Reporter, anew: Sequence[str] = ()) -> Grown:
    """Bring a lab that is up to the plan as it is now; hosts named in `anew` are replaced by bare ones.

    Raises PlanError for a bad plan, UsageError when there is no lab up that could follow, EgovError that names the
    hosts that did not boot. Whatever it raises: run it again, or `down`.
    """
    begin = time.monotonic()
    preflight.need_root()
    names = LabNames.of(inventory)
    plan, city = load(inventory)
    wiring = wiring_of(city)
    with exclusive(names, report), readable_by_all():
        owner.need_own(inventory, names)
        before, (sure, maybe) = _recorded(names)
        _need_guests(wiring, anew)
        forwards = forwards_of(city, port_base())
        gateway, smsc = listens_at(plan, city), smsc_listens_at(plan, city)
        wanted = facts_of(wiring, forwards, gateway, smsc)
        todo = steps(sure, maybe, wanted, anew)
        after = replace(
            before,
            pid=os.getpid(),
            topology=wiring.digest,
            hosts=wiring.hosts,
            namespaces=wiring.namespaces,
            forwards=forwards,
            internet=wiring.internet,
            control=wiring.control,
            gateway=gateway,
            smsc=smsc,
        )
        image = Image(before.image)
        _preflight(image, before, after, todo)
        if todo.gone or todo.made or after.topology != before.topology:
            _note(names, before, after, sure - frozenset(todo.gone), maybe | wanted)
            _clear(names, city, todo, report)
            prepare(inventory, names, image, plan, after, _hosts(todo.made, "guest"), report)
            if fresh := [fact for fact in todo.made if fact.kind not in PROCESSES]:
                report.step(tr("连接网络", "network"))
                network.make(names, fresh)
                network.forget_neighbours(names, wiring.bare)
        booted = heal(inventory, names, after, report, tr("启动新的部分", "booting what is new"))
        facts.save(names, wanted, wanted)
        finish(inventory, names, after)
    return Grown(replace(after, phase="up"), todo, booted, wiring.skipped, time.monotonic() - begin)


def _recorded(names: LabNames) -> tuple[LabState, tuple[frozenset[Fact], frozenset[Fact]]]:
    lab, known = state.load(names), facts.load(names)
    if lab is None or lab.phase not in ("up", "growing"):
        up = f"egovctl lab up -i {names.inventory}"
        raise UsageError(
            tr(f"实验环境 {names.inventory} 没有运行：请运行 {up}", f"lab {names.inventory} is not up: run {up}")
        )
    if known is None or not names.netns_path(FABRIC).exists():
        fresh = f"egovctl lab up --fresh -i {names.inventory}"
        raise UsageError(
            tr(
                f"实验环境 {names.inventory} 没有可用的接线记录：请运行 {fresh}（主机会重新建立）",
                f"lab {names.inventory} has no record of its wiring to go by: run {fresh} (its hosts start anew)",
            )
        )
    return lab, known


def _need_guests(wiring: Wiring, anew: Sequence[str]) -> None:
    for name in anew:
        host = wiring.hosts.get(name)
        if host is None or host.kind != "guest":
            known = ", ".join(name for name, item in wiring.hosts.items() if item.kind == "guest")
            raise UsageError(
                tr(f"{name} 不是能更换的主机；可以是：{known}", f"{name} is no host to replace; it can be: {known}")
            )


def _preflight(image: Image, before: LabState, after: LabState, todo: Steps) -> None:
    """Everything that can be refused is refused before anything changes."""
    preflight.need_tools()
    known = {(item.name, item.port) for item in before.forwards}
    preflight.need_ports(tuple(item for item in after.forwards if (item.name, item.port) not in known))
    if guests := _hosts(todo.made, "guest"):
        if not image.exists:
            fresh = f"egovctl lab up --fresh -i {after.inventory}"
            raise CannotMeasure(
                tr(f"主机镜像 {image.hash} 已不在：请运行 {fresh}", f"the host image {image.hash} is gone: run {fresh}")
            )
        preflight.need_disk(len(guests), True)


def _hosts(found: Sequence[Fact], kind: facts.Kind) -> list[str]:
    return [fact.words[0] for fact in found if fact.kind == kind]


def _note(names: LabNames, before: LabState, after: LabState, sure: frozenset[Fact], maybe: frozenset[Fact]) -> None:
    """On record before anything changes: `down` clears all of both, a later `grow` goes on."""
    both = {**before.hosts, **after.hosts}
    namespaces = tuple(dict.fromkeys((*before.namespaces, *after.namespaces)))
    state.save(names, replace(after, phase="growing", hosts=both, namespaces=namespaces))
    complete_file(names).unlink(missing_ok=True)
    facts.save(names, sure, maybe)


def _clear(names: LabNames, city: City, todo: Steps, report: Reporter) -> None:
    """What goes: processes, then disks and interfaces. Of what is made anew any process is ended, too."""
    runner, places = runner_for(names), {lan.site for lan in city.lans}
    running = set(runner.running())
    ended = [_process(fact) for fact in (*todo.gone, *todo.made) if fact.kind in PROCESSES]
    users = [
        path.name.removeprefix(names.netns("")) for path in names.netns_path("").parent.glob(names.netns(PREFIX) + "*")
    ]
    lost = [names.netns(short) for short in users if short.removeprefix(PREFIX) not in places]
    if not (todo.gone or lost or running & set(ended)):
        return
    report.step(tr("移除", "removing"))
    for name in dict.fromkeys(ended):
        if name in running:
            report.detail(name)
            runner.stop(name)
    for host in {*_hosts(todo.gone, "guest"), *_hosts(todo.made, "guest")}:
        shutil.rmtree(names.disk(host), ignore_errors=True)
        names.console(host).unlink(missing_ok=True)
    network.remove(lost)
    network.unmake(names, todo.gone)


def _process(fact: Fact) -> str:
    """What the runner calls it, see processes.processes."""
    match fact.kind:
        case "forward":
            return f"_forward-{fact.words[0]}"
        case "leases":
            return "_internet"
        case "gateway":
            return "_gateway"
        case "smsc":
            return "_smsc"
        case _:
            return fact.words[0]
