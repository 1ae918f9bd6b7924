"""The scratch: a container for hostile content. Lab and scratch are two profiles that are never mixed.

    with Scratch.programs(folder, Limits()) as box:
        pgbackrest_restore(into=folder / "pgdata")      # the folder is a disk of limited size from here on
        box.owned(folder / "pgdata", "postgres")
        server = box.start(["/usr/lib/postgresql/15/bin/postgres", "-D", "/data/pgdata"], user="postgres")
        box.run(["/usr/lib/postgresql/15/bin/psql", "-h", "/data", "-c", "select 1"], user="postgres")

Inside there is a network of its own with nothing but lo, users of its own, no device of the machine, and no way to
gain privileges. Everything ends with the `with`, or with the process that entered it, however it ends; what that
cannot take along (a mount, an empty cgroup) `end_left(folder)` removes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from egovctl.drill.scratch.model import DATA, Box, Limits, Started, User
from egovctl.errors import CannotMeasure

__all__ = ["DATA", "Box", "Limits", "Scratch", "Started", "User", "end_left"]

MACHINE = Path("/")
NOTHING: Mapping[Path, str] = {}


class Scratch:
    """The two kinds of box, and the room (a disk of limited size) that both need."""

    @staticmethod
    @contextmanager
    def room(folder: Path, octets: int) -> Iterator[Path]:
        """Make the empty folder `folder` a disk of that size meanwhile. CannotMeasure when the machine has no room."""
        raise CannotMeasure("not yet")
        yield folder

    @staticmethod
    @contextmanager
    def programs(
        folder: Path, limits: Limits, *, root: Path = MACHINE, readonly: Mapping[Path, str] = NOTHING
    ) -> Iterator[Box]:
        """A box with the programs of a trusted root's /usr (read-only), and `folder` at /data.

        `folder` is an empty folder, which becomes a room of limits.disk, or lies in a room. `readonly` are further
        trusted folders: machine's path → path inside. CannotMeasure when this machine cannot have such a box.
        """
        raise CannotMeasure("not yet")
        yield

    @staticmethod
    @contextmanager
    def system(tree: Path, limits: Limits) -> Iterator[Box]:
        """Boot a restored root file system, which lies in a room, with its own systemd; `run` enters it as root."""
        raise CannotMeasure("not yet")
        yield


def end_left(folder: Path) -> bool:
    """End what a killed run left of boxes and rooms in its folder; whether nothing is left. Harmless when there is none."""
    return not folder.is_mount()
