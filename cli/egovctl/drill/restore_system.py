"""The method restore-system: bring a node's whole system back, boot it, and ask it what the live one answers.

Phases: find (the archive and its size), restore (borg extract into a room of limited size), verify (every file against
the manifest), boot (its own systemd, until it is ready), ask (system_probes.py). RTO is the wall time of all; RPO is
the time from the heartbeat in the archive to the moment when the archives were listed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from egovctl.checks.context import Context
from egovctl.drill.borg import Archive, Deadline, Repository, TookTooLong
from egovctl.drill.compare import Manifest, compare
from egovctl.drill.files_of_plan import REPOSITORIES, backup_node, repository_of, targets_of
from egovctl.drill.follow import Follower
from egovctl.drill.judging import Promise, broken_promises, failed, heartbeat_age, judged, promised, too_slow
from egovctl.drill.model import Item, Target, Work
from egovctl.drill.phases import Timer
from egovctl.drill.restore_files import NAMES_KEPT, PROOF, archives_of, differences, wrong_source
from egovctl.drill.scratch import Limits, Scratch
from egovctl.drill.system_manifest import Described, MovedOn, sort_out
from egovctl.drill.system_probes import MASKED, READY, Answers, ask, findings, wait_until_ready
from egovctl.errors import CannotMeasure

ENGINE = "system"
PER_FILE = 6 << 10  # octets of a room beside a file's own: blocks are whole ones, folders and inodes take some
BESIDE = 256 << 20  # for what the system writes while it runs
LIMITS = Limits(memory=1 << 30, processes=1024)
BOOT_PATIENCE = 180.0
ENDED = "ended"


class RestoreSystem:
    """Restores from borg repositories on the backup node; what is booted can reach nothing but its own folder."""

    def targets(self, context: Context, services: tuple[str, ...]) -> list[Target]:
        """Every host whose whole system is backed up, by service."""
        return targets_of(context, (ENGINE,), services)

    def steps(self, context: Context, target: Target) -> list[dict[str, str]]:
        """What would be done."""
        service = context.service(target.service)
        where = f"{backup_node(context)}:{REPOSITORIES}/{target.host}"
        return [
            {
                "zh": f"在 {where} 找到 {target} 的最近一次备份",
                "en": f"find the latest backup of {target} in {where}",
            },
            {
                "zh": "把整个系统恢复到大小受限的临时目录",
                "en": "restore the whole system into a scratch of limited size",
            },
            {
                "zh": "逐个文件与备份时的清单比对",
                "en": "compare every file with the manifest taken at backup time",
            },
            {
                "zh": "在没有网络的隔离容器中用它自己的 systemd 启动",
                "en": "boot it with its own systemd in a container without a network",
            },
            {
                "zh": "核对主机名、软件包、单元和各服务的配置",
                "en": "ask it for its name, packages, units and the configuration of its services",
            },
            {
                "zh": f"与承诺比较：RTO {service.rto} 秒，RPO {service.rpo} 秒",
                "en": f"compare with the promise: RTO {service.rto} s, RPO {service.rpo} s",
            },
            {"zh": "停止容器，删除临时目录", "en": "end the container, remove the scratch"},
        ]

    def rehearse(self, work: Work, target: Target) -> Item:
        """Restore and judge one target."""
        promise, host = promised(work, target), work.context.city.hosts[target.host]
        try:
            repository = repository_of(work.context, target.host)
        except CannotMeasure as error:
            return failed(target, promise, Timer(), error)
        address = host.address_v4 if host.router else None
        return restore_system(repository, target, promise, work.folder, work.progress, address)


def restore_system(
    source: Repository,
    target: Target,
    promise: Promise,
    folder: Path,
    progress: Callable[[str], None],
    address: str | None = None,
    limits: Limits = LIMITS,
    timer: Timer | None = None,
) -> Item:
    """Restore a host's newest system backup below `folder` (which exists), boot it, judge it, remove it.

    `timer` has the phases that came before, if any: they count. A fault of the backup is a verdict; what hinders the
    drill leaves it unknown. Never raises but for an interruption.
    """
    timer, room = timer or Timer(), folder / f"{target.service}-{target.host}"
    try:
        room.mkdir(mode=0o700)
        return _Restore(source, target, promise, room, progress, address, limits).run(timer)
    except TookTooLong:
        return too_slow(target, promise, timer)
    except (CannotMeasure, OSError) as error:
        return failed(target, promise, timer, error)
    finally:
        if room.is_dir():
            room.rmdir()  # what was in it went with the room


class _Restore:
    """One restore under way."""

    def __init__(
        self,
        source: Repository,
        target: Target,
        promise: Promise,
        room: Path,
        progress: Callable[[str], None],
        address: str | None,
        limits: Limits,
    ) -> None:
        self.source, self.target, self.promise, self.room = source, target, promise, room
        self.progress, self.address, self.limits = progress, address, limits
        self.deadline = Deadline.after(promise.limit)
        self.tree = room / "tree"

    def run(self, timer: Timer) -> Item:
        with timer.phase("find"):
            self.progress(f"{self.target}: find")
            newest = archives_of(self.source, self.target, self.deadline)[-1]
            listed_unix = time.time()
            with self.source.entries(newest, [], self.deadline) as listing:
                archived = listing.result()
        with Scratch.room(self.room, _room_for(archived)):
            return self._in_room(timer, newest, archived, listed_unix)

    def _in_room(self, timer: Timer, newest: Archive, archived: dict[str, dict[str, Any]], listed_unix: float) -> Item:
        with timer.phase("restore"), Follower(self.tree) as follower:
            self.progress(f"{self.target}: restore {newest.name}")
            self.tree.mkdir(mode=0o755)
            extracting = self.source.extract(newest, [], self.tree, self.deadline, follower.begun, numbers=True)
            extracting.result()
        proof = self.tree / PROOF.lstrip("/") / self.target.service
        with timer.phase("verify"):
            manifest, described, moved = self._compare(proof / "manifest.json", archived, follower)
        age = heartbeat_age(proof / "heartbeat.json", listed_unix)
        answers = self._boot(timer, described)
        found = [
            *wrong_source(self.target, manifest),
            *differences(moved.left),
            *findings(answers, described),
            *broken_promises(self.promise, timer.total, age),
        ]
        details = _details(newest, manifest, moved, answers)
        return judged(self.target, self.promise, timer, found, compared=moved.left.compared, age=age, details=details)

    def _compare(
        self, path: Path, archived: dict[str, dict[str, Any]], follower: Follower
    ) -> tuple[Manifest, Described, MovedOn]:
        manifest, described = Manifest.read(path), Described.read(path)

        def told_how_far(done: int, total: int) -> None:
            self.progress(f"{self.target}: verify {done}/{total}")

        found = compare(manifest, self.tree, ["/"], archived, told_how_far, follower.digest)
        return manifest, described, sort_out(found, self.tree, described)

    def _boot(self, timer: Timer, described: Described) -> Answers:
        """Two phases: until it is ready, and what it is asked then. One that does not come up is not asked.

        Whether a box that ended is the system's fault or the machine's, a box of trusted programs tells.
        """
        try:
            return self._asked(timer, described)
        except TookTooLong:
            raise
        except CannotMeasure as error:
            self._require_machine()
            return Answers(ENDED, {"boot": error.args[0] if error.args else str(error)})

    def _asked(self, timer: Timer, described: Described) -> Answers:
        self.progress(f"{self.target}: boot")
        limits = replace(self.limits, seconds=self.deadline.left)
        with ExitStack() as stack:
            with timer.phase("boot"):
                box = stack.enter_context(Scratch.system(self.tree, limits, masked=MASKED))
                until = Deadline(min(self.deadline.at, Deadline.after(BOOT_PATIENCE).at))
                state = wait_until_ready(box, until)
            if state not in READY:
                return Answers(state)
            with timer.phase("ask"):
                self.progress(f"{self.target}: ask")
                return ask(box, described, self.target.host, self.address, state, self.deadline)

    def _require_machine(self) -> None:
        """CannotMeasure when nothing else could be started here either."""
        folder = self.room / "trusted"
        folder.mkdir()
        with Scratch.programs(folder, Limits(memory=128 << 20)) as box:
            box.run(["true"])


def _room_for(archived: dict[str, dict[str, Any]]) -> int:
    """Octets of a room in which this fits, with what it writes while it runs."""
    return sum(int(item.get("size") or 0) + PER_FILE for item in archived.values()) + BESIDE


def _details(newest: Archive, manifest: Manifest, moved: MovedOn, answers: Answers) -> dict[str, Any]:
    left = moved.left
    return {
        "archive": newest.name,
        "manifest_taken_at": manifest.taken_at,
        "missing": left.missing[:NAMES_KEPT],
        "extra": left.extra[:NAMES_KEPT],
        "changed": dict(list(left.changed.items())[:NAMES_KEPT]),
        "differences": len(left.missing) + len(left.extra) + len(left.changed),
        "moved_on": list(moved.paths[:NAMES_KEPT]),
        "state": answers.state,
        "failed": list(answers.failed),
        "not_in_a_scratch": list(answers.outside),
        "asked": {name: wrong or "as it must be" for name, wrong in answers.said.items()},
    }
