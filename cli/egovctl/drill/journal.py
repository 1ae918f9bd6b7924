"""The journal of a run, on the disk before anything is begun: what a later start needs to clean up after a kill.

While a run lives it holds a lock on its journal; a journal that nobody holds belongs to a run that was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from egovctl.drill.model import Target
from egovctl.drill.scratch import end_left
from egovctl.errors import EgovError
from egovctl.paths import Inventory

PREFIX = "egov-drill-"
TRIES = 20
BETWEEN_TRIES = 0.25
MOUNTS = Path("/proc/self/mountinfo")
ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Journal:
    """What is needed to undo and to record a run that was killed."""

    run: str
    drill: str
    scratch: str
    targets: tuple[Target, ...]
    started_at: str


def folder(inventory: Inventory) -> Path:
    """Where the journals of runs under way are."""
    return inventory.state / "drill"


def scratch_of(parent: Path, run: str) -> Path:
    """The run's own folder in the scratch."""
    return parent / f"{PREFIX}{run}"


@contextmanager
def held(inventory: Inventory, journal: Journal) -> Iterator[None]:
    """Write the journal, hold it while inside, remove it at the end. A kill leaves it there, held by nobody."""
    path = folder(inventory) / f"{journal.run}.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, json.dumps(asdict(journal)).encode())
        os.fsync(descriptor)
        yield
        path.unlink()
    finally:
        os.close(descriptor)


def orphans(inventory: Inventory) -> list[tuple[Path, Journal]]:
    """The journals of runs that were killed. One cut short in its writing had begun nothing: it has no targets."""
    found = []
    for path in sorted(folder(inventory).glob("*.json")):
        with suppress(FileNotFoundError), path.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            found.append((path, _parse(path, stream.read())))
    return found


def _parse(path: Path, text: bytes) -> Journal:
    try:
        data = json.loads(text)
        targets = tuple(Target(**item) for item in data.pop("targets"))
        return Journal(targets=targets, **data)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Journal(path.stem, "", "", (), "")


def undo(scratch: Path) -> bool:
    """Undo what a run did in its own folder, and only in such a one; whether nothing is left.

    A second time does no harm, nor does another process that does the same just now: a killed run's dead-man and the
    next start may meet.
    """
    if not scratch.name.startswith(PREFIX) or scratch.is_symlink():
        return not scratch.exists()
    for _ in range(TRIES):
        with suppress(EgovError, OSError):
            end_left(scratch)
        _unmount_below(scratch)
        if scratch.exists():
            shutil.rmtree(scratch, onerror=_make_writable_and_retry)
        if not scratch.exists():
            return True
        time.sleep(BETWEEN_TRIES)  # what was killed with the run may have written a moment longer
    return False


def _unmount_below(folder: Path) -> None:
    """Take off what is mounted in a folder, the last one first; without root there is nothing."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    points = [ESCAPE.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4]) for line in lines]
    for point in reversed(points):
        if point.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def _make_writable_and_retry(function: object, name: str, _error: object) -> None:
    """A folder restored as read-only keeps its content from being removed by anyone but root."""
    with suppress(OSError):
        path = Path(name)
        path.parent.chmod(stat.S_IRWXU)
        if path.is_dir() and not path.is_symlink():
            path.chmod(stat.S_IRWXU)
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
