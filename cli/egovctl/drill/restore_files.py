"""The method restore-files: bring a service's files back from its latest backup and prove that they are the ones.

Phases: find (the archive, what is in it, an older one's manifest, and whether there is room), restore (borg extract),
verify (every file against the manifest). RTO is the wall time of all three; RPO is the time from the heartbeat in the
archive to the moment when the archives were listed: what would be lost if the host were gone then.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from egovctl.drill import signs
from egovctl.drill.borg import Archive, Deadline, Repository, ScratchFull, TookTooLong
from egovctl.drill.causes import Cause
from egovctl.drill.compare import Comparison, Manifest, NoManifest, compare
from egovctl.drill.follow import Follower
from egovctl.drill.judging import (
    HEADROOM,
    Finding,
    Promise,
    broken_promises,
    failed,
    finding,
    heartbeat_age,
    judged,
    too_slow,
)
from egovctl.drill.model import Item, Target
from egovctl.drill.phases import Timer
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

PROOF = "/var/lib/egov/backup"  # <service>/manifest.json and heartbeat.json, written before each backup
NAMES_KEPT = 50
METADATA = ("mode", "owner")
TURNS_LOOKED_AT = 20  # of the last archives, by which hosts
EARLIER_AT_MOST = 32 << 20  # octets of a file that is looked at as it was


class NoBackup(CannotMeasure):
    """The repository holds no archive of this service."""

    cause = Cause.NO_BACKUP


def restore_files(
    repository: Repository,
    target: Target,
    paths: tuple[str, ...],
    promise: Promise,
    folder: Path,
    progress: Callable[[str], None],
    proof: str = PROOF,
    timer: Timer | None = None,
) -> Item:
    """Restore these paths from a service's newest archive below `folder` (which exists), judge them, remove them.

    `timer` has the phases that came before, if any: they count. A fault of the backup is a verdict; what hinders the
    drill leaves it unknown. Never raises but for an interruption.
    """
    timer, root = timer or Timer(), folder / f"{target.service}-{target.host}"
    try:
        root.mkdir(mode=0o700, parents=True)
        return _Restore(repository, target, paths, promise, root, progress, f"{proof}/{target.service}").run(timer)
    except TookTooLong:
        return too_slow(target, promise, timer)
    except (CannotMeasure, OSError) as error:
        return failed(target, promise, timer, error)
    finally:
        shutil.rmtree(root, ignore_errors=True)


class _Restore:
    """One restore under way."""

    def __init__(
        self,
        repository: Repository,
        target: Target,
        paths: tuple[str, ...],
        promise: Promise,
        root: Path,
        progress: Callable[[str], None],
        proof: str,
    ) -> None:
        self.repository, self.target, self.paths, self.promise = repository, target, paths, promise
        self.progress, self.proof, self.root = progress, proof, root
        self.deadline = Deadline.after(promise.limit)
        self.before: tuple[Archive, Manifest] | None = None

    def run(self, timer: Timer) -> Item:
        wanted = [path.lstrip("/") for path in (*self.paths, self.proof)]
        with ExitStack() as stack:
            with timer.phase("find"):
                self.progress(f"{self.target}: find")
                archives = archives_of(self.repository, self.target, self.deadline)
                newest, listed_unix = archives[-1], time.time()
                listing = stack.enter_context(self.repository.entries(newest, wanted, self.deadline))
                self.before = self._reference(archives)
                archived = listing.result()
                require_room(self.root, archived)
            with timer.phase("restore"), Follower(self.root) as follower:
                self.progress(f"{self.target}: restore {newest.name}")
                hosts = stack.enter_context(self.repository.hosts(TURNS_LOOKED_AT, self.deadline))
                self.repository.extract(newest, wanted, self.root, self.deadline, follower.begun).result()
            with timer.phase("verify"):
                manifest, comparison = self._compare(archived, follower)
                by_turns = list(signs.mixed_hosts(hosts.result()))
                found = [*by_turns, *self._findings(manifest, comparison, archived)]
        age = heartbeat_age(self.root / self.proof.lstrip("/") / "heartbeat.json", listed_unix)
        found += broken_promises(self.promise, timer.total, age)
        details = self._details(newest, manifest, comparison)
        return judged(self.target, self.promise, timer, found, compared=comparison.compared, age=age, details=details)

    def _reference(self, archives: list[Archive]) -> tuple[Archive, Manifest] | None:
        """The older archive that the newest is compared with; one whose manifest is no manifest does not help."""
        if (older := signs.reference(archives, archives[-1])) is None:
            return None
        try:
            path = f"{self.proof}/manifest.json".lstrip("/")
            return older, Manifest.parse(self.repository.read(older, [path], self.deadline).result())
        except NoManifest:
            return None

    def _compare(self, archived: dict[str, dict[str, Any]], follower: Follower) -> tuple[Manifest, Comparison]:
        manifest = Manifest.read(self.root / self.proof.lstrip("/") / "manifest.json")

        def told_how_far(done: int, total: int) -> None:
            self.progress(f"{self.target}: verify {done}/{total}")

        return manifest, compare(manifest, self.root, self.paths, archived, told_how_far, follower.digest)

    def _findings(
        self, manifest: Manifest, comparison: Comparison, archived: dict[str, dict[str, Any]]
    ) -> Iterator[Finding]:
        before = self.before[1] if self.before else None
        yield from wrong_source(self.target, manifest)
        yield from signs.left_out(self.paths, manifest, archived, before)
        yield from differences(comparison)
        yield from signs.turned_random(self.root, manifest, before, self._earlier)
        if self.repository.healed:
            zh, en = (
                "备份库的索引丢失或损坏，borg 已重建",
                "the repository's index was lost or damaged; borg rebuilt it",
            )
            yield finding(Cause.REPOSITORY_DAMAGED, zh, en)

    def _earlier(self, paths: list[str]) -> list[bytes]:
        """The first bytes of these files as the older archive has them; only of those that are not too large."""
        if self.before is None:
            return []
        archive, manifest = self.before
        small = [path for path in paths if manifest.files[path]["size"] <= EARLIER_AT_MOST]
        into = self.root / ".earlier"
        into.mkdir()
        names = [path.lstrip("/") for path in small]
        self.repository.extract(archive, names, into, self.deadline).result()
        return [signs.head(into / name) for name in names]

    def _details(self, newest: Archive, manifest: Manifest, comparison: Comparison) -> dict[str, Any]:
        return {
            "archive": newest.name,
            "compared_with": self.before[0].name if self.before else None,
            "manifest_taken_at": manifest.taken_at,
            "missing": comparison.missing[:NAMES_KEPT],
            "extra": comparison.extra[:NAMES_KEPT],
            "changed": dict(list(comparison.changed.items())[:NAMES_KEPT]),
            "differences": len(comparison.missing) + len(comparison.extra) + len(comparison.changed),
        }


def archives_of(repository: Repository, target: Target, deadline: Deadline) -> list[Archive]:
    """The archives of the service, oldest first, at least one; NoBackup when there is none."""
    pattern = re.compile(re.escape(target.service) + r"-\d{4}-\d\d-\d\dT[\d:.]+$")
    if found := [archive for archive in repository.archives(deadline) if pattern.match(archive.name)]:
        return found
    raise NoBackup(
        told(
            f"备份节点上没有 {target} 的备份：无可恢复",
            f"there is no backup of {target} on the backup node: nothing to restore",
        )
    )


def latest(repository: Repository, target: Target, deadline: Deadline) -> Archive:
    """The newest archive of the service; NoBackup when there is none."""
    return archives_of(repository, target, deadline)[-1]


def require_room(root: Path, archived: dict[str, dict[str, Any]]) -> None:
    """ScratchFull unless what is archived fits below `root`, with headroom."""
    needed = sum(int(item.get("size") or 0) for item in archived.values()) + HEADROOM
    free = shutil.disk_usage(root).free
    if free < needed:
        wanted, there = needed >> 20, free >> 20
        raise ScratchFull(
            told(
                f"临时目录太小：需要 {wanted} MiB，可用 {there} MiB；请用 --scratch 另给一个目录",
                f"the scratch is too small: {wanted} MiB are needed, {there} MiB are free; use --scratch DIR",
            )
        )


def differences(comparison: Comparison) -> Iterator[Finding]:
    """What differs, by cause."""
    content = [f"{path} ({how})" for path, how in comparison.changed.items() if how not in METADATA]
    metadata = [f"{path} ({how})" for path, how in comparison.changed.items() if how in METADATA]
    named = (
        (Cause.FILES_MISSING, "缺少", "missing", comparison.missing),
        (Cause.FILES_EXTRA, "多出", "extra", comparison.extra),
        (Cause.CONTENT_CHANGED, "内容不同", "changed", content),
        (Cause.METADATA_CHANGED, "属性不同", "with other attributes", metadata),
    )
    for cause, zh, en, names in named:
        if names:
            shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
            yield finding(cause, f"{zh} {len(names)} 个文件：{shown}", f"{len(names)} files {en}: {shown}")


def wrong_source(target: Target, manifest: Manifest) -> Iterator[Finding]:
    """Whether it is the backup of something else."""
    if (manifest.service, manifest.host) != (target.service, target.host):
        other = f"{manifest.service}@{manifest.host}"
        sentence = (f"备份属于 {other}，不是 {target}", f"this is a backup of {other}, not of {target}")
        yield finding(Cause.WRONG_SOURCE, *sentence)
