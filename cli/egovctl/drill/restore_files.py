"""The method restore-files: bring a service's files back from its latest backup and prove that they are the ones.

Phases: find (the archive, and whether there is room), restore (borg extract), verify (every file against the manifest).
RTO is the wall time of all three; RPO is the time from the heartbeat in the archive to the
moment when the archives were listed: what would be lost if the host were gone then.
"""

from __future__ import annotations

import errno
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from egovctl import transport
from egovctl.checks.context import Context
from egovctl.drill.borg import Archive, Deadline, Repository, ScratchFull, TookTooLong
from egovctl.drill.causes import Cause
from egovctl.drill.compare import Comparison, Manifest, compare
from egovctl.drill.judging import (
    HEADROOM,
    Finding,
    Promise,
    broken_promises,
    finding,
    heartbeat_age,
    hindered,
    judged,
    not_possible,
    too_slow,
)
from egovctl.drill.model import Item, Outcome, Target, Verdict, Work
from egovctl.drill.phases import Timer
from egovctl.errors import CannotMeasure, UsageError
from egovctl.i18n import told, tr
from egovctl.plan import Service
from egovctl.secrets import Secrets

PROOF = "/var/lib/egov/backup"  # <service>/manifest.json and heartbeat.json, written before each backup
REPOSITORIES = "/srv/borg"
NAMES_KEPT = 50
METADATA = ("mode", "owner")


class RestoreFiles:
    """Restores from borg repositories on the backup node; never touches the live host or the repository's content."""

    def targets(self, context: Context, services: tuple[str, ...]) -> list[Target]:
        """Every service with a borg backup on each of its hosts, or only `services`."""
        known = {service.name: service for service in context.plan.services}
        for name in services:
            if name not in known:
                has = ", ".join(known)
                raise UsageError(
                    tr(
                        f"规划中没有服务 {name}；其中有：{has}",
                        f"service {name} is not in the plan; it has: {has}",
                    )
                )
            if not _in_files(known[name]):
                raise UsageError(
                    tr(
                        f"规划中服务 {name} 没有备份，因此无可恢复",
                        f"service {name} has no backup in the plan, so there is nothing to restore",
                    )
                )
        chosen = [
            service for service in known.values() if _in_files(service) and (not services or service.name in services)
        ]
        return [Target(service.name, host) for service in chosen for host in context.city.backed_up(service.hosts)]

    def steps(self, context: Context, target: Target) -> list[dict[str, str]]:
        """What would be done."""
        service = context.service(target.service)
        where, paths = f"{_backup_node(context)}:{REPOSITORIES}/{target.host}", " ".join(_paths(service))
        return [
            {
                "zh": f"在 {where} 找到 {target} 的最近一次备份",
                "en": f"find the latest backup of {target} in {where}",
            },
            {"zh": f"把 {paths} 恢复到临时目录", "en": f"restore {paths} into the scratch"},
            {
                "zh": "逐个文件与备份时的清单比对",
                "en": "compare every file with the manifest taken at backup time",
            },
            {
                "zh": f"与承诺比较：RTO {service.rto} 秒，RPO {service.rpo} 秒",
                "en": f"compare with the promise: RTO {service.rto} s, RPO {service.rpo} s",
            },
            {"zh": "删除临时目录", "en": "remove the scratch"},
        ]

    def rehearse(self, work: Work, target: Target) -> Item:
        """Restore and judge one target. A fault of the backup is a verdict; what hinders the drill is an outcome."""
        service, timer = work.context.service(target.service), Timer()
        promise = Promise(service.rto, service.rpo)
        root = work.folder / f"{target.service}-{target.host}"
        try:
            return self._rehearse(work, target, service, promise, root, timer)
        except TookTooLong:
            return too_slow(target, promise, timer)
        except CannotMeasure as error:
            return _hindered(target, promise, timer, error)
        except OSError as error:
            return _hindered(target, promise, timer, ScratchFull.now() if error.errno == errno.ENOSPC else error)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def _rehearse(
        self, work: Work, target: Target, service: Service, promise: Promise, root: Path, timer: Timer
    ) -> Item:
        deadline = Deadline.after(promise.limit)
        repository = repository_of(work.context, target.host)
        wanted = [path.lstrip("/") for path in (*_paths(service), f"{PROOF}/{target.service}")]
        work.progress(f"{target}: find")
        with timer.phase("find"):
            archive = latest(repository, target, deadline)
            listed_unix = time.time()
            archived = {f"/{item['path']}": item for item in repository.entries(archive, wanted, deadline)}
            root.mkdir(mode=0o700, parents=True)
            _require_room(root, archived)
        work.progress(f"{target}: restore {archive.name}")
        with timer.phase("restore"):
            repository.extract(archive, wanted, root, deadline)
        with timer.phase("verify"):
            manifest = Manifest.read(root / PROOF.lstrip("/") / target.service / "manifest.json")
            comparison = compare(
                manifest,
                root,
                _paths(service),
                archived,
                lambda done, total: work.progress(f"{target}: verify {done}/{total}"),
            )
        age = heartbeat_age(root / PROOF.lstrip("/") / target.service / "heartbeat.json", listed_unix)
        findings = [
            *_wrong_source(target, manifest),
            *_differences(comparison),
            *broken_promises(promise, timer.total, age),
        ]
        details = {
            "archive": archive.name,
            "manifest_taken_at": manifest.taken_at,
            "missing": comparison.missing[:NAMES_KEPT],
            "extra": comparison.extra[:NAMES_KEPT],
            "changed": dict(list(comparison.changed.items())[:NAMES_KEPT]),
            "differences": len(comparison.missing) + len(comparison.extra) + len(comparison.changed),
        }
        return judged(target, promise, timer, findings, compared=comparison.compared, age=age, details=details)


def _hindered(target: Target, promise: Promise, timer: Timer, error: Exception) -> Item:
    found = not_possible(getattr(error, "cause", Cause.UNREACHABLE), error)
    return hindered(target, promise, timer, Outcome.ERROR, Verdict.UNKNOWN, [found])


def repository_of(context: Context, host: str) -> Repository:
    """A host's repository on the backup node, reached with control's restore key; CannotMeasure without a secret."""
    passphrase = Secrets(context.inventory).get(f"borg_passphrase_{host}")
    location = f"ssh://{_backup_node(context)}-borg{REPOSITORIES}/{host}"
    if not context.inventory.ssh_config.is_file():
        raise transport.not_rendered(context.inventory, context.inventory.ssh_config)
    ssh = ("ssh", *transport.ssh_options(context.inventory))
    return Repository(location, passphrase, context.inventory.state / "borg", ssh)


def latest(repository: Repository, target: Target, deadline: Deadline) -> Archive:
    """The newest archive of the service; CannotMeasure when there is none."""
    pattern = re.compile(re.escape(target.service) + r"-\d{4}-\d\d-\d\dT")
    for archive in reversed(repository.archives(deadline)):
        if pattern.match(archive.name):
            return archive
    raise CannotMeasure(
        told(
            f"备份节点上没有 {target} 的备份：无可恢复",
            f"there is no backup of {target} on the backup node: nothing to restore",
        )
    )


def _backup_node(context: Context) -> str:
    for host in context.city.hosts.values():
        if host.role == "backup":
            return host.name
    raise CannotMeasure(told("规划中没有备份节点", "the plan has no backup node"))


def _in_files(service: Service) -> bool:
    return service.backup is not None and service.backup.engine == "borg"


def _paths(service: Service) -> tuple[str, ...]:
    return service.backup.paths if service.backup else ()


def _require_room(root: Path, archived: dict[str, dict[str, Any]]) -> None:
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


def _differences(comparison: Comparison) -> Iterator[Finding]:
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


def _wrong_source(target: Target, manifest: Manifest) -> Iterator[Finding]:
    if (manifest.service, manifest.host) != (target.service, target.host):
        other = f"{manifest.service}@{manifest.host}"
        sentence = (f"备份属于 {other}，不是 {target}", f"this is a backup of {other}, not of {target}")
        yield finding(Cause.WRONG_SOURCE, *sentence)
