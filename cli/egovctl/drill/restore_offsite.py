"""The method restore-offsite: the backup node is gone; bring a service back from the off-site node's generations.

The repository is fetched whole from the newest generation, then restored and judged as any, with nothing remembered of
it: files, dumps and systems from the host's borg repository, a cluster from its stanza. Where that generation has no
backup of the service any more, older ones are tried: what is found there is restored and shown, and the verdict is not
met, for somebody took history away.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from egovctl import transport
from egovctl.checks.context import Context
from egovctl.drill.call import Deadline, TookTooLong
from egovctl.drill.causes import Cause
from egovctl.drill.files_of_plan import targets_of
from egovctl.drill.generations import Generation, Store
from egovctl.drill.judging import Promise, failed, promised, too_slow
from egovctl.drill.model import Item, Target, Verdict, Work
from egovctl.drill.offsite_engines import ENGINES, Kept, steps_of
from egovctl.drill.phases import Timer
from egovctl.drill.restore_files import NoBackup
from egovctl.errors import CannotMeasure, EgovError, UsageError
from egovctl.i18n import told, tr
from egovctl.plan import Host
from egovctl.plan.rules_offsite import pull_seconds

LOOKED_BACK = 30  # states of the repository, newest first


class RestoreOffsite:
    """Restores from the off-site node; asks nothing of the backup node and of the live host."""

    def targets(self, context: Context, services: tuple[str, ...]) -> list[Target]:
        """Every service with a backup, on each of its hosts, or only `services`.

        None in a plan without an off-site node; UsageError for a service that is asked for there.
        """
        if _node(context) is None:
            if not services:
                return []
            name = context.inventory.name
            raise UsageError(
                tr(
                    f"清单 {name} 的规划中没有 offsite 站点，因此没有可从那里恢复的",
                    f"the plan of {name} has no site of kind offsite, so nothing can be restored from there",
                )
            )
        return targets_of(context, tuple(ENGINES), services)

    def steps(self, context: Context, target: Target) -> list[dict[str, str]]:
        """What would be done."""
        service = context.service(target.service)
        promise = _promise(context, Promise(service.rto, service.rpo))
        name = host.name if (host := _node(context)) else "-"
        return [
            {
                "zh": f"从 {name} 的最新世代取回 {target} 的整个备份库",
                "en": f"fetch the whole repository with {target} from the newest generation on {name}",
            },
            *steps_of(_engine(context, target)),
            {
                "zh": f"与承诺比较：RTO {promise.rto} 秒，RPO {promise.rpo} 秒（含一次拉取间隔）",
                "en": f"compare with the promise: RTO {promise.rto} s, RPO {promise.rpo} s with one interval of pulls",
            },
            {"zh": "删除临时目录", "en": "remove the scratch"},
        ]

    def rehearse(self, work: Work, target: Target) -> Item:
        """Fetch, restore and judge one target."""
        promise = _promise(work.context, promised(work, target))
        try:
            kept = ENGINES[_engine(work.context, target)](work, target, promise)
            store = store_of(work.context)
        except EgovError as error:
            return failed(target, promise, Timer(), error)
        return restore_offsite(store, kept, target, promise, work)


def restore_offsite(store: Store, kept: Kept, target: Target, promise: Promise, work: Work) -> Item:
    """Restore a service from the newest generation that has a backup of it; never raises but for an interruption."""
    folder = work.folder / f"offsite-{target.service}-{target.host}"
    timer, deadline = Timer(), Deadline.after(promise.limit)
    item: Item | None = None
    try:
        copy = folder / "repository"
        folder.mkdir(mode=0o700, parents=True)
        copy.mkdir(mode=0o755)
        for number, generation in enumerate(_states(store, kept, folder, deadline)):
            work.progress(f"{target}: fetch {generation.name}")
            before = timer.phases.get("fetch", 0.0)
            try:
                with timer.phase("fetch"):
                    store.fetch(generation, kept.folders, copy, deadline)
                timer.phases["fetch"] = round(timer.phases["fetch"] + before, 3)
                found = _restored(kept, copy, folder / "restored", timer)
            except NoBackup as error:
                found = failed(target, promise, timer, error)
            found = replace(found, details={**found.details, "generation": generation.name})
            if number == 0:
                item = found
            elif Cause.NO_BACKUP not in found.causes:
                return _older(found, generation)
            if Cause.NO_BACKUP not in found.causes:
                return found
            timer = Timer({"fetch": timer.phases["fetch"]})
        if item is None:
            raise NoBackup(
                told(
                    f"异地节点的任何世代中都没有 {target} 的备份库：请等下一次拉取，"
                    "或在该节点上运行 systemctl start egov-offsite",
                    f"no generation on the off-site node has a repository with {target}:"
                    " wait for its next pull, or run systemctl start egov-offsite there",
                )
            )
        return item
    except TookTooLong:
        return too_slow(target, promise, timer)
    except (CannotMeasure, OSError) as error:
        return item or failed(target, promise, timer, error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _restored(kept: Kept, copy: Path, folder: Path, timer: Timer) -> Item:
    folder.mkdir(mode=0o700)
    try:
        return kept.restore(copy, folder, timer)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def store_of(context: Context) -> Store:
    """The off-site node's generations, reached with control's restore key."""
    host = _node(context)
    if host is None or not context.inventory.ssh_config.is_file():
        raise transport.not_rendered(context.inventory, context.inventory.ssh_config)
    return Store(f"{host.name}-restore:", ("ssh", *transport.ssh_options(context.inventory)))


def _node(context: Context) -> Host | None:
    return next((host for host in context.city.hosts.values() if host.role == "offsite"), None)


def _engine(context: Context, target: Target) -> str:
    backup = context.service(target.service).backup
    if backup is None:  # no target of this method
        raise ValueError(str(target))
    return backup.engine


def _promise(context: Context, promise: Promise) -> Promise:
    """What a pull comes late by is not the service's fault: one interval is added to the RPO."""
    host = _node(context)
    waiting = 0 if host is None else pull_seconds(context.plan.site(host.site))
    return replace(promise, rpo=promise.rpo + waiting)


def _states(store: Store, kept: Kept, folder: Path, deadline: Deadline) -> Iterator[Generation]:
    """Generations with the repository, newest first, each state of it once."""
    seen: set[tuple[int, ...]] = set()
    for name in store.names(deadline):
        generation = store.generation(name, kept.parts, folder, deadline)
        if generation is None or generation.state in seen:
            continue
        seen.add(generation.state)
        yield generation
        if len(seen) == LOOKED_BACK:
            return


def _older(item: Item, generation: Generation) -> Item:
    """What came back from an older generation: shown with all its figures, and not met."""
    at = generation.name
    text = {
        "zh": f"最新世代中已没有该服务的备份；以下来自较早的世代 {at}",
        "en": f"the newest generation holds no backup of it any more; this is from the older generation {at}",
    }
    causes = tuple(dict.fromkeys((Cause.NO_BACKUP, *item.causes)))
    return replace(item, verdict=Verdict.NOT_MET, reasons=(text, *item.reasons), causes=causes)
