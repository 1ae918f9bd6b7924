"""The method restore-offsite: the backup node is gone; bring a service back from the off-site node's generations.

A host's repository is fetched whole from the newest generation, then restored and judged as any (restore_files), with
nothing remembered of it. Where that generation holds no archive of the service any more, older ones are tried: what is
found there is restored and shown, and the verdict is not met, for somebody took history away.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from egovctl import transport
from egovctl.checks.context import Context
from egovctl.drill.borg import Repository, ScratchFull
from egovctl.drill.call import Call, Deadline, TookTooLong
from egovctl.drill.causes import Cause
from egovctl.drill.files_of_plan import ENGINE, targets_of
from egovctl.drill.judging import HEADROOM, Promise, failed, promised, too_slow
from egovctl.drill.model import Item, Target, Verdict, Work
from egovctl.drill.phases import Timer
from egovctl.drill.restore_files import PROOF, NoBackup, restore_files
from egovctl.errors import CannotMeasure, UsageError
from egovctl.i18n import told, tr
from egovctl.paths import Inventory
from egovctl.plan import Host
from egovctl.plan.rules_offsite import pull_seconds
from egovctl.secrets import Secrets

SOURCE = "borg"
STAMP = re.compile(r"\d{8}T\d{6}Z\Z")
LOOKED_BACK = 30  # states of the repository, newest first
VANISHED = 24  # rsync: a file was gone before it could be sent


class Unreachable(CannotMeasure):
    """The off-site node did not answer."""

    cause = Cause.UNREACHABLE


@dataclass(frozen=True)
class Generation:
    """One generation as it says of itself what it has of a repository: `head` is its last commit."""

    name: str
    head: int
    size: int


@dataclass(frozen=True)
class Store:
    """Where generations are: `place` as rsync reads it, without a slash at the end; `ssh` the way there, if any."""

    place: str
    ssh: tuple[str, ...] = ()

    def names(self, deadline: Deadline) -> list[str]:
        """The generations, newest first."""
        said = self._rsync(["--list-only", f"{self.place}/"], deadline)
        names = (line.split()[-1] for line in said.splitlines() if line.startswith("d") and line.split())
        return sorted((name for name in names if STAMP.match(name)), reverse=True)

    def generation(self, name: str, host: str, folder: Path, deadline: Deadline) -> Generation | None:
        """What one has of a host's repository; None when it has nothing."""
        note = folder / "generation.json"
        self._rsync([f"{self.place}/{name}/generation.json", str(note)], deadline)
        try:
            found: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))["repositories"]
            mine = found.get(f"{SOURCE}/{host}")
            if mine is None or mine["at"] is None:
                return None
            return Generation(name, int(mine["head"]), int(mine["bytes"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            text = (f"世代 {name} 的说明无法读取", f"what generation {name} says of itself cannot be read")
            raise NoBackup(told(*text)) from None
        finally:
            note.unlink(missing_ok=True)

    def fetch(self, generation: Generation, host: str, into: Path, deadline: Deadline) -> None:
        """Make `into` a copy of the repository; what is there of another generation is reused."""
        shape = ["--recursive", "--times", "--perms", "--chmod=Du=rwx,Fu=rw,go=", "--delete"]
        self._rsync([*shape, f"{self.place}/{generation.name}/{SOURCE}/{host}/", f"{into}/"], deadline)

    def _rsync(self, arguments: list[str], deadline: Deadline) -> str:
        way = ["-e", shlex.join(self.ssh)] if self.ssh else []
        with Call(["rsync", "--timeout=60", *way, *arguments], deadline) as call:
            ended = call.end()
        if ended.status in (0, VANISHED):
            return ended.out.decode("utf-8", "replace")
        said = ended.err.decode("utf-8", "replace").strip().splitlines() or [f"rsync exited {ended.status}"]
        if any("No space left on device" in line for line in said):
            raise ScratchFull.now()
        raise Unreachable(told(f"无法从异地节点取回：{said[0]}", f"nothing could be fetched from off-site: {said[0]}"))


class RestoreOffsite:
    """Restores from the off-site node; asks nothing of the backup node and of the live host."""

    def targets(self, context: Context, services: tuple[str, ...]) -> list[Target]:
        """Every service whose backups are files on the backup node, on each of its hosts, or only `services`.

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
        return targets_of(context, ENGINE, services)

    def steps(self, context: Context, target: Target) -> list[dict[str, str]]:
        """What would be done."""
        promise = _promise(context, Promise(context.service(target.service).rto, context.service(target.service).rpo))
        name = host.name if (host := _node(context)) else "-"
        return [
            {
                "zh": f"从 {name} 的最新世代取回 {target.host} 的整个仓库",
                "en": f"fetch the whole repository of {target.host} from the newest generation on {name}",
            },
            {
                "zh": f"从中恢复 {target.service} 的最近一次备份到临时目录",
                "en": f"restore the latest backup of {target.service} from it into the scratch",
            },
            {
                "zh": "逐个文件与备份时的清单比对",
                "en": "compare every file with the manifest taken at backup time",
            },
            {
                "zh": f"与承诺比较：RTO {promise.rto} 秒，RPO {promise.rpo} 秒（含一次拉取间隔）",
                "en": f"compare with the promise: RTO {promise.rto} s, RPO {promise.rpo} s with one interval of pulls",
            },
            {"zh": "删除临时目录", "en": "remove the scratch"},
        ]

    def rehearse(self, work: Work, target: Target) -> Item:
        """Fetch, restore and judge one target."""
        service = work.context.service(target.service)
        promise = _promise(work.context, promised(work, target))
        try:
            passphrase = Secrets(work.context.inventory).get(f"borg_passphrase_{target.host}")
            store = store_of(work.context)
        except CannotMeasure as error:
            return failed(target, promise, Timer(), error)
        paths = service.backup.paths if service.backup else ()
        return restore_offsite(store, passphrase, target, paths, promise, work)


def restore_offsite(
    store: Store,
    passphrase: str,
    target: Target,
    paths: tuple[str, ...],
    promise: Promise,
    work: Work,
    proof: str = PROOF,
) -> Item:
    """Restore a service from the newest generation that has an archive of it; never raises but for an interruption."""
    folder = work.folder / f"offsite-{target.service}-{target.host}"
    timer, deadline = Timer(), Deadline.after(promise.limit)
    item: Item | None = None
    try:
        copy = folder / "repository"
        copy.mkdir(mode=0o700, parents=True)
        for number, generation in enumerate(_states(store, target, folder, deadline)):
            work.progress(f"{target}: fetch {generation.name}")
            before = timer.phases.get("fetch", 0.0)
            _require_room(folder, generation)
            with timer.phase("fetch"):
                store.fetch(generation, target.host, copy, deadline)
            timer.phases["fetch"] = round(timer.phases["fetch"] + before, 3)
            # Nothing is remembered of it: an older state of what is known would be refused.
            repository = Repository(str(copy), passphrase, folder / "base")
            found = restore_files(repository, target, paths, promise, folder, work.progress, proof, timer)
            shutil.rmtree(folder / "base", ignore_errors=True)
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
                    f"异地节点的任何世代中都没有 {target.host} 的仓库：请等下一次拉取，"
                    "或在该节点上运行 systemctl start egov-offsite",
                    f"no generation on the off-site node has a repository of {target.host}:"
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


def store_of(context: Context) -> Store:
    """The off-site node's generations, reached with control's restore key."""
    host = _node(context)
    if host is None or not context.inventory.ssh_config.is_file():
        raise transport.not_rendered(context.inventory, context.inventory.ssh_config)
    return Store(f"{host.name}-restore:", _ssh(context.inventory))


def _ssh(inventory: Inventory) -> tuple[str, ...]:
    return ("ssh", *transport.ssh_options(inventory))


def _node(context: Context) -> Host | None:
    return next((host for host in context.city.hosts.values() if host.role == "offsite"), None)


def _promise(context: Context, promise: Promise) -> Promise:
    """What a pull comes late by is not the service's fault: one interval is added to the RPO."""
    host = _node(context)
    waiting = 0 if host is None else pull_seconds(context.plan.site(host.site))
    return replace(promise, rpo=promise.rpo + waiting)


def _states(store: Store, target: Target, folder: Path, deadline: Deadline) -> Iterator[Generation]:
    """Generations with the host's repository, newest first, each state of it once."""
    heads: set[int] = set()
    for name in store.names(deadline):
        generation = store.generation(name, target.host, folder, deadline)
        if generation is None or generation.head in heads:
            continue
        heads.add(generation.head)
        yield generation
        if len(heads) == LOOKED_BACK:
            return


def _older(item: Item, generation: Generation) -> Item:
    """What came back from an older generation: shown with all its figures, and not met."""
    at = generation.name
    text = {
        "zh": f"最新世代中已没有该服务的备份；以下来自较早的世代 {at}",
        "en": f"the newest generation holds no archive of it any more; this is from the older generation {at}",
    }
    causes = tuple(dict.fromkeys((Cause.NO_BACKUP, *item.causes)))
    return replace(item, verdict=Verdict.NOT_MET, reasons=(text, *item.reasons), causes=causes)


def _require_room(folder: Path, generation: Generation) -> None:
    free, needed = shutil.disk_usage(folder).free, generation.size + HEADROOM
    if free < needed:
        wanted, there = needed >> 20, free >> 20
        raise ScratchFull(
            told(
                f"临时目录太小：需要 {wanted} MiB，可用 {there} MiB；请用 --scratch 另给一个目录",
                f"the scratch is too small: {wanted} MiB are needed, {there} MiB are free; use --scratch DIR",
            )
        )
