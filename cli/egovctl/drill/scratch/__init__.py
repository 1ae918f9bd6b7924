"""The scratch: a container for hostile content. Lab and scratch are two profiles that are never mixed.

    with Scratch.programs(folder, Limits()) as box:
        pgbackrest_restore(into=folder / "pgdata")      # the folder is a disk of limited size from here on
        box.owned(folder / "pgdata", "postgres")
        server = box.start(["/usr/lib/postgresql/15/bin/postgres", "-D", "/data/pgdata"], user="postgres")
        box.run(["/usr/lib/postgresql/15/bin/psql", "-h", "/data", "-c", "select 1"], user="postgres")

Inside there is a network of its own with nothing but lo, users of its own, no device of the machine, and no way to
gain privileges. Everything ends with the `with`, or with the process that entered it, however it ends; what that
cannot take along (a mount, an empty cgroup) `end_left(folder)` removes.

A box dies with the thread that made it: use it where it was made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType

from egovctl.drill.scratch import container, record
from egovctl.drill.scratch import programs as of_programs
from egovctl.drill.scratch import room as rooms
from egovctl.drill.scratch import system as of_system
from egovctl.drill.scratch.model import DATA, Box, Limits, Started, User
from egovctl.drill.scratch.programs import Programs
from egovctl.drill.scratch.system import System

__all__ = ["DATA", "NOTHING", "Box", "Limits", "Programs", "Scratch", "Started", "System", "User", "end_left"]

MACHINE = Path("/")
NOTHING: Mapping[Path, str] = MappingProxyType({})


class Scratch:
    """The two kinds of box, and the room (a disk of limited size) that both need."""

    @staticmethod
    @contextmanager
    def room(folder: Path, octets: int) -> Iterator[Path]:
        """Make the empty folder `folder` a disk of that size meanwhile. ScratchFull when the machine has no room."""
        with rooms.room(folder, octets):
            yield folder

    @staticmethod
    @contextmanager
    def programs(
        folder: Path, limits: Limits, *, root: Path = MACHINE, readonly: Mapping[Path, str] = NOTHING
    ) -> Iterator[Programs]:
        """A box with the programs of a trusted root's /usr (read-only), and `folder` at /data.

        `folder` is an empty folder, which becomes a room of limits.disk, or lies in a room. `readonly` are further
        folders, which nobody in it writes to: machine's path → path inside (/srv, say). CannotMeasure when this machine
        cannot have such a box.
        """
        folder = Path(os.path.realpath(folder))
        there = record.room_of(folder)
        with (
            nullcontext(there) if there else rooms.room(folder, limits.disk) as note,
            of_programs.programs(note, folder, limits, root, readonly) as box,
        ):
            yield box

    @staticmethod
    @contextmanager
    def system(tree: Path, limits: Limits, *, masked: Sequence[str] = ()) -> Iterator[System]:
        """Boot a restored root file system, which lies in a room, with its own systemd; `run` enters it as root.

        Its files are given to the box's users first. `masked` are units that it shall not start.
        """
        note = record.room_of(tree)
        if note is None:
            raise ValueError(f"{tree} is not in a room")
        with of_system.system(note, tree, limits, masked) as box:
            yield box


def end_left(folder: Path) -> bool:
    """End what a killed run left of boxes and rooms at or below its folder; whether nothing is left. Harmless when
    there is nothing.
    """
    ended = [container.end(note) if note.group else rooms.remove(note) for note in record.below(folder)]
    return all(ended)
