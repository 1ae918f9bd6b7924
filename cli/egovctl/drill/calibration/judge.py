"""Judge one case as a drill judges a backup: by what it is told, with the same code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from egovctl.drill.borg import Repository
from egovctl.drill.calibration.tools import boxes
from egovctl.drill.call import Deadline
from egovctl.drill.database import Wanted, ended
from egovctl.drill.dumps import Kind, check_dump
from egovctl.drill.judging import Promise, judged
from egovctl.drill.model import Item, Target
from egovctl.drill.pgbackrest import PgRepository
from egovctl.drill.phases import Timer
from egovctl.drill.restore_files import restore_files
from egovctl.drill.restore_mariadb import restore_mariadb
from egovctl.drill.restore_postgresql import restore_postgresql
from egovctl.drill.scratch import Limits
from egovctl.errors import CannotMeasure

Judge = Callable[[dict[str, Any], Path], Item]
POSTGRESQL = (15, 0)  # what control has, and what the dumps of the planter are of
DUMP_DISK = 256 << 20


def judge_files(case: dict[str, Any], folder: Path) -> Item:
    """restore-files on a copy."""
    repository = Repository(
        case["location"], case["passphrase"], Path(case["base"]), tuple(case["ssh"]), lock_wait=case["lock_wait"]
    )
    paths = tuple(case["paths"])
    return restore_files(repository, _target(case), paths, _promise(case), folder, _nobody, proof=case["proof"])


def judge_postgresql(case: dict[str, Any], folder: Path) -> Item:
    """restore-postgresql on a copy."""
    source = PgRepository(case["stanza"], case["passphrase"], case["repository"], (), tuple(case["program"]))
    wanted, open_box = Wanted(case["database"]), boxes(Path(case["tools"]))
    return restore_postgresql(
        source, _target(case), _promise(case), folder / "work", _nobody, wanted=wanted, open_box=open_box
    )


def judge_mariadb(case: dict[str, Any], folder: Path) -> Item:
    """restore-mariadb on a copy."""
    repository = Repository(case["location"], case["passphrase"], Path(case["base"]))
    wanted, open_box = Wanted(case["database"]), boxes(Path(case["tools"]))
    return restore_mariadb(
        repository,
        _target(case),
        _promise(case),
        folder / "work",
        _nobody,
        wanted=wanted,
        open_box=open_box,
        proof=case["proof"],
    )


def judge_dump(case: dict[str, Any], folder: Path) -> Item:
    """Whether a dump alone is whole, as the drills of databases look at one."""
    promise, timer, work = _promise(case), Timer(), folder / "work"
    deadline = Deadline.after(promise.limit)
    work.mkdir(mode=0o700)
    try:
        with (
            timer.phase("verify"),
            boxes(Path(case["tools"]))(work, Limits(disk=DUMP_DISK, seconds=promise.limit)) as box,
        ):
            path = box.folder / "dump"
            path.write_bytes(Path(case["dump"]).read_bytes())
            inside = box.owned(path, "nobody")
            found = list(check_dump(box, inside, Kind(case["how"]), POSTGRESQL, deadline))
    except (CannotMeasure, OSError) as error:
        return ended(_target(case), promise, timer, error, [])
    return judged(_target(case), promise, timer, found, compared=1, age=0.0, details={})


def _target(case: dict[str, Any]) -> Target:
    return Target(case["service"], case["host"])


def _promise(case: dict[str, Any]) -> Promise:
    return Promise(case["rto"], case["rpo"])


def _nobody(text: str) -> None:
    """Progress that nobody looks at."""


JUDGES: dict[str, Judge] = {
    "restore-files": judge_files,
    "restore-postgresql": judge_postgresql,
    "restore-mariadb": judge_mariadb,
    "check-dump": judge_dump,
}
