"""A restored system against the manifest of the one that was backed up: its files, and what moved on meanwhile.

A system that runs is never still: a log grows and a state file is renamed between the manifest and the backup. Such a
difference is told from a fault by the file's own time, or its folder's, which travel in the archive: a fault of the
backup does not change them. Programs are no such files: they stay as they are while a backup runs, or it is no
backup of one system.
"""

from __future__ import annotations

import calendar
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from egovctl.drill.compare import Comparison, NoManifest
from egovctl.i18n import told

STILL = ("/usr/", "/boot/", "/bin/", "/sbin/", "/lib")  # programs
TOLERANCE = 1.0  # seconds: a manifest's time is cut to whole ones


@dataclass(frozen=True)
class Described:
    """What a system's manifest has beside its files."""

    excluded: tuple[str, ...]
    packages: tuple[str, ...]
    units: frozenset[str]
    active: frozenset[str]
    failed: frozenset[str]
    taken_unix: float

    @classmethod
    def read(cls, path: Path) -> Described:
        """NoManifest when it is not that of a system."""
        try:
            data = json.loads(path.read_bytes())
            system = data["system"]
            taken = calendar.timegm(time.strptime(data["taken_at"], "%Y-%m-%dT%H:%M:%SZ"))
            units, active, failed = (frozenset(map(str, system[name])) for name in ("units", "active", "failed"))
            excluded, packages = tuple(map(str, data["excluded"])), tuple(map(str, system["packages"]))
            return cls(excluded, packages, units, active, failed, float(taken))
        except (OSError, ValueError, KeyError, TypeError):
            raise NoManifest(
                told(
                    "备份中没有系统清单，因此无从比对",
                    "the archive holds no manifest of a system, so there is nothing to compare with",
                )
            ) from None


@dataclass(frozen=True)
class MovedOn:
    """What differs because the system went on working while it was backed up."""

    paths: tuple[str, ...] = ()
    left: Comparison = field(default_factory=Comparison)


def sort_out(found: Comparison, tree: Path, described: Described) -> MovedOn:
    """Take from a comparison what is left out of the backup, and what moved on; `left` are the true differences."""
    moved = {path for path in (*found.changed, *found.missing, *found.extra) if _moved_on(tree, path, described)}
    left_out = {path for path in found.extra if is_left_out(path, described.excluded)}
    gone = moved | left_out
    left = Comparison(
        found.compared,
        [path for path in found.missing if path not in gone],
        [path for path in found.extra if path not in gone],
        {path: how for path, how in found.changed.items() if path not in gone},
    )
    return MovedOn(tuple(sorted(moved - left_out)), left)


def is_left_out(path: str, excluded: Iterable[str]) -> bool:
    """Whether a path is, or lies below, what the backup leaves out."""
    return any(path == top or path.startswith(f"{top.removesuffix('/*')}/") for top in excluded)


def _moved_on(tree: Path, path: str, described: Described) -> bool:
    """By its own time, or that of the folder in which it was made, renamed or removed."""
    if path.startswith(STILL):
        return False
    inside = tree / path.lstrip("/")
    since = described.taken_unix - TOLERANCE
    return any(_time_of(one) >= since for one in (inside, inside.parent))


def _time_of(path: Path) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0
