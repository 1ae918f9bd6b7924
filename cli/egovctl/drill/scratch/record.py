"""What there is of boxes and rooms on this machine, noted before it is made: so that a later process can end it.

The notes are in /run: after a reboot of the machine neither they nor what they tell of exist. They are not in the
run's folder, because hostile content could write notes there that send `end_left` to other things.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

NOTES = Path("/run/egov-scratch")


@dataclass(frozen=True)
class Note:
    """A room (`image` is its disk) or a box (`group` names its cgroups), and the folder that it belongs to."""

    name: str
    folder: str
    base: int
    image: str = ""
    group: str = ""

    @property
    def path(self) -> Path:
        """Where it is noted."""
        return NOTES / f"{self.name}.json"

    @property
    def staging(self) -> Path:
        """A box's mount point; what is mounted there is in the box's own mount namespace.

        No two boxes share one: removing it for one would take it from the other, whose namespace does not hold it.
        """
        return NOTES / self.name

    def write(self) -> None:
        """On record when this returns."""
        temporary = self.path.with_suffix(".new")
        while True:
            NOTES.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):  # another drill has ended just now and removed the empty folder
                temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
                temporary.replace(self.path)
                return

    def remove(self) -> None:
        """What it told of is gone."""
        self.path.unlink(missing_ok=True)
        with suppress(OSError):
            NOTES.rmdir()


def notes() -> Iterator[Note]:
    """All that are there. One that cannot be read is of an older suite: it is left alone."""
    for path in sorted(NOTES.glob("*.json")):
        with suppress(OSError, ValueError, TypeError):
            yield Note(**json.loads(path.read_text(encoding="utf-8")))


def below(folder: Path) -> list[Note]:
    """Those that belong to a folder or one below it; boxes before rooms: a room is busy while its box is there."""
    top = os.path.realpath(folder)
    found = [note for note in notes() if note.folder == top or note.folder.startswith(f"{top}/")]
    return sorted(found, key=lambda note: not note.group)


def room_of(path: Path) -> Note | None:
    """The room that a path lies in, or is."""
    wanted = os.path.realpath(path)
    rooms = [note for note in notes() if note.image and (wanted == note.folder or wanted.startswith(f"{note.folder}/"))]
    return max(rooms, key=lambda note: len(note.folder), default=None)
