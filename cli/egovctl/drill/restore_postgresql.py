"""Bring a PostgreSQL cluster back from pgBackRest, start it, and prove that it is the one, whole and recent.

Phases: find (catalogue, backup, list of WAL), restore (the backup), wal (the segments up to the end of the archive),
start (recovery until the server is ready), verify. RPO is the time from the last heartbeat row that came back to the
moment when the archive was listed; for a moment in the past, to that moment.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from egovctl.drill.aside import Aside
from egovctl.drill.call import Deadline
from egovctl.drill.causes import Cause
from egovctl.drill.database import GRACE, Case, OpenBox, Wanted, credible, ended, fault
from egovctl.drill.judging import CLOCK_TOLERANCE, Finding, Promise, broken_promises, finding, judged
from egovctl.drill.model import Item, Progress, Target
from egovctl.drill.pgbackrest import Backup, Catalogue, PgBackRest, PgRepository
from egovctl.drill.phases import Timer
from egovctl.drill.postgresql import BROKEN_RECORD, STOPPED, PgServer
from egovctl.drill.postgresql_rows import Rows, verified
from egovctl.drill.scratch import Box, Limits, Scratch
from egovctl.drill.wal import SEGMENT_OCTETS, Archive, Place, Way, before, lsn, lsn_text, names, parse_history, way
from egovctl.errors import CannotMeasure

FIND_DISK = 64 << 20
SPARE_DISK = 768 << 20  # the WAL that recovery keeps, a chunk of segments under way, what amcheck and probes write
WAL_EXPANDS = 10  # times, at most a segment: what an archived one needs here
PITR_SLACK = 900.0  # a commit after the moment wanted comes with the next heartbeat, in a segment archived after it


@dataclass(frozen=True)
class Found:
    """What the repository has for it. `listed` is when that was asked."""

    catalogue: Catalogue
    backup: Backup
    archive: Archive
    listed: float


@dataclass(frozen=True)
class Brought:
    """The WAL that came: the way that it is on, what was wrong with it, how many segments."""

    way: Way
    findings: list[Finding]
    segments: int


@dataclass(kw_only=True)
class ClusterCase(Case):
    """One restore of a cluster."""

    source: PgRepository


def restore_postgresql(
    source: PgRepository,
    target: Target,
    promise: Promise,
    folder: Path,
    progress: Progress,
    *,
    wanted: Wanted,
    open_box: OpenBox = Scratch.programs,
    timer: Timer | None = None,
) -> Item:
    """Restore and judge one cluster; `folder` is made, and all that is restored is below it, in boxes.

    `timer` has the phases that came before, if any: they count.
    """
    deadline = Deadline.after(promise.limit)
    case = ClusterCase(
        source=source,
        target=target,
        promise=promise,
        wanted=wanted,
        timer=timer or Timer(),
        deadline=deadline,
        progress=progress,
    )
    try:
        folder.mkdir(mode=0o700, parents=True)
        found = _find(case, folder / "find", open_box)
        (folder / "restore").mkdir(mode=0o700)
        with open_box(folder / "restore", _limits(case, found)) as box:
            return _restored(case, found, box)
    except (CannotMeasure, OSError) as error:
        return ended(target, promise, case.timer, error, case.findings)


def _find(case: ClusterCase, folder: Path, open_box: OpenBox) -> Found:
    case.say("find")
    with case.timer.phase("find"):
        folder.mkdir(mode=0o700)
        limits = Limits(disk=FIND_DISK, seconds=case.promise.limit + GRACE)
        with open_box(folder, limits) as box, case.source.relay(box, box.folder / "relay") as relay:
            tool = PgBackRest(box, case.source, relay, box.folder / "backup", case.deadline)
            folders, archives = Aside(tool.folders), Aside(tool.archives)
            catalogue = tool.catalogue()
            backup = _chosen(catalogue, case.wanted.until)
            case.findings += _doubts(catalogue, backup)
            _require_chain(backup, catalogue, folders.result(case.deadline))
            listed = archives.result(case.deadline)
            archive = listed.get(catalogue.archives.get(backup.database, ""), Archive())
            return Found(catalogue, backup, archive, time.time())


def _restored(case: ClusterCase, found: Found, box: Box) -> Item:
    backup = found.backup
    with case.source.relay(box, box.folder / "relay") as relay:
        tool = PgBackRest(box, case.source, relay, box.folder / "backup", case.deadline)
        case.say(f"restore {backup.label}")
        with case.timer.phase("restore"):
            tool.restore(backup)
        case.say("wal")
        with case.timer.phase("wal"):
            brought = _bring_wal(found, tool, case.wanted.until)
    case.findings += brought.findings
    end = brought.way.last
    case.details |= {"segments": brought.segments, "archive_end": end.name if end else None}
    version = found.catalogue.versions[backup.database]
    server = PgServer(box, tool.data, tool.wal, box.folder / "server", version, case.deadline)
    try:
        case.say("start")
        with case.timer.phase("start"):
            control = server.control()
            server.start(control, case.wanted.until)
        if control.system != found.catalogue.systems[backup.database]:
            sentence = ("恢复的不是目录所说的数据库", "this is not the cluster that the catalogue speaks of")
            case.findings.append(finding(Cause.WRONG_SOURCE, *sentence))
        case.say("verify")
        with case.timer.phase("verify"):
            case.findings += _end_of_recovery(case, server, brought.way)
            rows = verified(server, case.wanted.database, case.wanted.questions)
    finally:
        server.stop()
    return _judged(case, found, rows)


def _judged(case: ClusterCase, found: Found, rows: Rows) -> Item:
    moment = found.listed if case.wanted.until is None else case.wanted.until
    age = None if rows.heartbeat is None else round(moment - rows.heartbeat, 3)
    skew = list(_clock(rows, found.backup))
    kept = [*case.findings, *rows.findings, *skew]
    kept += broken_promises(case.promise, case.timer.total, None if skew else age)
    details = {**case.details, **rows.details, "backup": found.backup.label, "kind": found.backup.kind}
    return credible(
        judged(
            case.target, case.promise, case.timer, kept, compared=rows.compared, age=age, details=details, unit="rows"
        )
    )


def _chosen(catalogue: Catalogue, until: float | None) -> Backup:
    """The newest backup, or the newest that ended before `until`."""
    there = [one for one in catalogue.backups if until is None or one.stopped <= until]
    if not there:
        first = min((one.stopped for one in catalogue.backups), default=None)
        if until is None or first is None:
            raise fault(Cause.NO_BACKUP, "没有备份", "there is no backup")
        at, since = (datetime.fromtimestamp(int(one), UTC).isoformat() for one in (until, first))
        raise fault(
            Cause.NO_BACKUP,
            f"{at} 之前没有备份；最早的备份完成于 {since}，请用 --at 给出其后的时刻",
            f"there is no backup from before {at}; the first one ended at {since}: give a later moment with --at",
        )
    return there[-1]


def _doubts(catalogue: Catalogue, backup: Backup) -> Iterator[Finding]:
    if backup.damaged_source:
        sentence = ("备份时已发现数据页损坏", "pages were damaged already when it was backed up")
        yield finding(Cause.DATABASE_DAMAGED, *sentence)
    if backup.database != catalogue.newest_database:
        sentence = ("数据库已更换，此后没有备份", "the cluster was replaced, and there is no backup since")
        yield finding(Cause.VERSION_MISMATCH, *sentence)


def _require_chain(backup: Backup, catalogue: Catalogue, there: frozenset[str]) -> None:
    known = {one.label for one in catalogue.backups}
    missing = [label for label in backup.references if label not in there or label not in known]
    if missing:
        raise fault(
            Cause.CHAIN_EXPIRED,
            f"增量备份 {backup.label} 所依赖的备份已不在：{', '.join(missing)}",
            f"backup {backup.label} builds on what is not there any more: {', '.join(missing)}",
        )
    if backup.label not in there:
        raise fault(
            Cause.REPOSITORY_DAMAGED,
            f"目录中的备份 {backup.label} 不存在",
            f"backup {backup.label} is in the catalogue, and not there",
        )


def _limits(case: ClusterCase, found: Found) -> Limits:
    wal = [one for place, one in found.archive.segments.items() if place.number >= found.backup.first.number]
    needed = sum(min(SEGMENT_OCTETS, (1 << 20) + one.octets * WAL_EXPANDS) for one in wal)
    disk = found.backup.octets + found.backup.octets // 8 + needed + SPARE_DISK
    return Limits(disk=disk, seconds=case.promise.limit + GRACE)


def _bring_wal(found: Found, tool: PgBackRest, until: float | None) -> Brought:
    """Bring all WAL from the backup's first segment to the end; what is not whole is a finding."""
    archive, first = found.archive, found.backup.first
    timeline = archive.newest_timeline(first.timeline)
    ancestors: list[tuple[int, int]] = []
    for number in range(max(2, first.timeline), timeline + 1):
        if number in archive.histories:
            ancestors = parse_history(tool.history(number))
    there = way(archive, first, timeline, ancestors)
    if until is not None:
        there = before(there, archive, until, PITR_SLACK)
    findings = [*_gaps(found, there), *_gaps_before(found, way(archive, _oldest(found), timeline, ancestors))]
    got = tool.fetch([archive.segments[place] for place in there.usable])
    if got.broken:
        name = got.broken.name
        sentence = (f"WAL 段 {name} 已损坏：{got.why}", f"WAL segment {name} is damaged: {got.why}")
        findings.append(finding(Cause.WAL_GAP, *sentence))
    return Brought(there, findings, got.segments)


def _gaps(found: Found, there: Way) -> Iterator[Finding]:
    if lost := found.archive.unreachable(found.backup.first.timeline):
        shown = ", ".join(map(str, lost))
        yield finding(Cause.WAL_GAP, f"时间线 {shown} 的历史文件缺失", f"the history of timeline {shown} is missing")
    if there.missing:
        shown = names(there.missing)
        yield finding(Cause.WAL_GAP, f"缺少 WAL 段：{shown}", f"WAL segments are missing: {shown}")


def _oldest(found: Found) -> Place:
    """Where the WAL of the oldest backup begins: from there to now every moment can be brought back."""
    return min(one.first for one in found.catalogue.backups if one.database == found.backup.database)


def _gaps_before(found: Found, whole: Way) -> Iterator[Finding]:
    """Segments missing before the backup that is restored: only moments in between are lost."""
    if lost := [place for place in whole.missing if place.number < found.backup.first.number]:
        shown = names(lost)
        yield finding(
            Cause.WAL_GAP,
            f"较早的 WAL 段缺失，其后的一段时间无法恢复到：{shown}",
            f"older WAL segments are missing, and with them the moments up to the next backup: {shown}",
        )


def _end_of_recovery(case: ClusterCase, server: PgServer, there: Way) -> Iterator[Finding]:
    """Did recovery come to the end of the archive, or to the moment that was wanted?"""
    ended_at = server.recovered()
    case.details |= {"timeline": ended_at.timeline, "replayed": ended_at.replayed}
    said = server.said
    if BROKEN_RECORD in said:
        sentence = ("WAL 记录的校验和不符", "a WAL record has a wrong checksum")
        yield finding(Cause.WAL_GAP, *sentence)
    if case.wanted.until is not None:
        if not STOPPED.search(said):
            sentence = ("没有恢复到指定时刻", "recovery did not come to the moment that was wanted")
            yield finding(Cause.WAL_GAP, *sentence)
        return
    last = there.last
    if last is not None and (ended_at.timeline != last.timeline or lsn(ended_at.replayed) <= last.start):
        reached, end = f"{ended_at.timeline}:{ended_at.replayed}", f"{last.timeline}:{lsn_text(last.start)}"
        yield finding(
            Cause.WAL_GAP,
            f"只恢复到 {reached}，而备份库中的 WAL 到 {end} 之后",
            f"recovery ended at {reached}, and the archive goes beyond {end}",
        )


def _clock(rows: Rows, backup: Backup) -> Iterator[Finding]:
    """The database's clock against the repository's, by rows that were certainly written before or after a backup."""
    early = [at for at, where in rows.heartbeats if where is not None and where <= backup.lsn_start]
    late = [at for at, where in rows.heartbeats if where is not None and where > backup.lsn_stop]
    ahead = max(early, default=backup.started) - backup.started
    behind = backup.stopped - min(late, default=backup.stopped)
    if max(ahead, behind) > CLOCK_TOLERANCE:
        wrong, zh, en = (ahead, "快", "fast") if ahead > behind else (behind, "慢", "slow")
        yield finding(
            Cause.CLOCK_WRONG,
            f"数据库主机的时钟至少{zh} {wrong:.0f} 秒，RPO 不可信",
            f"the database host's clock is at least {wrong:.0f} s {en}: the RPO cannot be told",
        )
