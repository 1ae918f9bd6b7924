"""Bring a MariaDB dump back from a host's borg repository, load it into a real server, and prove that it is the one.

Phases: find (the archive), restore (dump, manifest and heartbeat), check (is the dump whole, and of a version that can
be loaded), start (an empty server), load, verify. RPO is the time from the last heartbeat row in the dump to the moment
when the archives were listed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from egovctl.drill.borg import Repository
from egovctl.drill.call import Deadline
from egovctl.drill.causes import Cause
from egovctl.drill.compare import Manifest, NoManifest
from egovctl.drill.database import GRACE, Case, OpenBox, Table, Wanted, credible, ended, fault, tables_of
from egovctl.drill.dumps import is_complete, looked_at, version_of
from egovctl.drill.judging import Finding, Promise, broken_promises, finding, heartbeat_age, judged
from egovctl.drill.mariadb import MariaDbServer
from egovctl.drill.mariadb_rows import Rows, verified
from egovctl.drill.model import Item, Progress, Target
from egovctl.drill.phases import Timer
from egovctl.drill.restore_files import PROOF, archives_of
from egovctl.drill.scratch import Box, Limits, Scratch
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

DUMP, MANIFEST, HEARTBEAT = "dump.sql.gz", "manifest.json", "heartbeat.json"
EXPANDS = 30  # times its packed size, at most: what a loaded dump takes
SPARE_DISK = 512 << 20
DATABASE = re.compile(r"^-- Host: .*Database: (\S+)", re.MULTILINE)
BLOCK = 1 << 20


@dataclass(kw_only=True)
class DumpCase(Case):
    """One restore of a dump. `listed`: when the archives were (Unix time)."""

    listed: float = 0.0


@dataclass(frozen=True)
class Dumped:
    """What the manifest says of the dump."""

    database: str
    version: str
    tables: Mapping[str, Table]
    manifest: Manifest


def restore_mariadb(
    repository: Repository,
    target: Target,
    promise: Promise,
    folder: Path,
    progress: Progress,
    *,
    wanted: Wanted,
    open_box: OpenBox = Scratch.programs,
    proof: str = PROOF,
    timer: Timer | None = None,
) -> Item:
    """Restore and judge one database; `folder` is made, and the dump is opened nowhere but in a box below it.

    `timer` has the phases that came before, if any: they count.
    """
    deadline, timer = Deadline.after(promise.limit), timer or Timer()
    case = DumpCase(target=target, promise=promise, wanted=wanted, timer=timer, deadline=deadline, progress=progress)
    try:
        folder.mkdir(mode=0o700, parents=True)
        came_back = _brought(case, repository, folder / "brought", f"{proof}/{target.service}".lstrip("/"))
        (folder / "load").mkdir(mode=0o700)
        size = (came_back / DUMP).lstat().st_size
        limits = Limits(disk=size * EXPANDS + SPARE_DISK, seconds=promise.limit + GRACE)
        with open_box(folder / "load", limits) as box:
            return _loaded(case, came_back, box)
    except (CannotMeasure, OSError) as error:
        return ended(target, promise, case.timer, error, case.findings)


def _brought(case: DumpCase, repository: Repository, into: Path, inside: str) -> Path:
    """The folder with what came back: dump, manifest, heartbeat."""
    case.say("find")
    with case.timer.phase("find"):
        newest = archives_of(repository, case.target, case.deadline)[-1]
        case.listed = time.time()
    case.details["archive"] = newest.name
    case.say(f"restore {newest.name}")
    with case.timer.phase("restore"):
        into.mkdir(mode=0o700)
        repository.extract(
            newest, [f"{inside}/{name}" for name in (DUMP, MANIFEST, HEARTBEAT)], into, case.deadline
        ).result()
    came_back = into / inside
    if not _plain(came_back / DUMP, into):
        raise fault(Cause.SOURCE_EMPTY, "备份中没有数据库转储", "there is no dump of the database in the archive")
    return came_back


def _plain(path: Path, top: Path) -> bool:
    """Whether it is a file, and lies below `top` without a link on the way."""
    return os.path.lexists(path) and stat.S_ISREG(path.lstat().st_mode) and path.resolve().is_relative_to(top.resolve())


def _loaded(case: DumpCase, came_back: Path, box: Box) -> Item:
    server = MariaDbServer(box, box.folder / "server", case.wanted.database, case.deadline)
    case.say("check")
    with case.timer.phase("check"):
        dumped = _manifest(case, came_back / MANIFEST)
        case.findings += _same_file(dumped.manifest, came_back / DUMP, case.target)
        path = box.folder / DUMP
        shutil.move(came_back / DUMP, path)
        _require_whole(case, box, server, box.owned(path, "mysql"), dumped.version)
    try:
        case.say("start")
        with case.timer.phase("start"):
            server.start()
        case.say("load")
        with case.timer.phase("load"):
            server.load(box.inside(path))
        case.say("verify")
        with case.timer.phase("verify"):
            rows = verified(server, dumped.tables, case.wanted.questions)
    finally:
        server.stop()
    return _judged(case, dumped, rows, heartbeat_age(came_back / HEARTBEAT, case.listed))


def _judged(case: DumpCase, dumped: Dumped, rows: Rows, of_file: float | None) -> Item:
    age = of_file if rows.heartbeat is None else round(case.listed - rows.heartbeat, 3)
    kept = [*case.findings, *rows.findings, *broken_promises(case.promise, case.timer.total, age)]
    details = {
        **case.details,
        "manifest_taken_at": dumped.manifest.taken_at,
        "tables": rows.tables,
        "tables_by_hash": rows.hashes,
        "version": dumped.version,
    }
    return credible(
        judged(
            case.target, case.promise, case.timer, kept, compared=rows.compared, age=age, details=details, unit="rows"
        )
    )


def _manifest(case: DumpCase, path: Path) -> Dumped:
    """What the manifest promises; whose it is, and of what, is held against the target."""
    manifest = Manifest.read(path)
    target = case.target
    if (manifest.service, manifest.host) != (target.service, target.host):
        other = f"{manifest.service}@{manifest.host}"
        sentence = (f"备份属于 {other}，不是 {target}", f"this is a backup of {other}, not of {target}")
        case.findings.append(finding(Cause.WRONG_SOURCE, *sentence))
    try:
        said = json.loads(path.read_bytes())["database"]
        dumped = Dumped(str(said["name"]), str(said["version"]), tables_of(said["tables"]), manifest)
    except (ValueError, KeyError, TypeError, OSError):
        raise NoManifest(
            told("备份中的清单没有数据库部分，因此无从比对", "the manifest says nothing of a database")
        ) from None
    if dumped.database != case.wanted.database:
        sentence = (f"转储的是数据库 {dumped.database}", f"the dump is of database {dumped.database}")
        case.findings.append(finding(Cause.WRONG_SOURCE, *sentence))
    return dumped


def _same_file(manifest: Manifest, dump: Path, target: Target) -> Iterator[Finding]:
    """Is the dump's file the one that the manifest tells of?"""
    entry = next((one for path, one in manifest.files.items() if path.endswith(f"/{target.service}/{DUMP}")), None)
    if entry is None:
        return
    found = hashlib.sha256()
    with dump.open("rb") as stream:
        while block := stream.read(BLOCK):
            found.update(block)
    if found.hexdigest() != entry["sha256"]:
        sentence = ("转储文件与清单不符", "the dump is not the file that the manifest tells of")
        yield finding(Cause.CONTENT_CHANGED, *sentence)


def _require_whole(case: DumpCase, box: Box, server: MariaDbServer, dump: str, version: str) -> None:
    """Fault unless the dump is whole, and of a version that the server here can load."""
    here = server.version()
    text = looked_at(box, dump, True, case.deadline, "mysql")
    if not is_complete(text):
        raise fault(Cause.DUMP_CUT, "转储不完整：结尾缺失", "the dump is not whole: its end is missing")
    newest = version_of(text) or version_of(f"-- Server version {version}") or here
    if newest > here:
        theirs, ours = ".".join(map(str, newest)), ".".join(map(str, here))
        raise fault(
            Cause.VERSION_MISMATCH,
            f"转储来自较新的 MariaDB {theirs}，控制机是 {ours}",
            f"the dump is of a newer MariaDB, {theirs}; control has {ours}",
        )
    named = DATABASE.search(text)
    if named and named.group(1) != case.wanted.database:
        other = named.group(1)
        sentence = (f"转储的是数据库 {other}", f"the dump is of database {other}")
        case.findings.append(finding(Cause.WRONG_SOURCE, *sentence))
