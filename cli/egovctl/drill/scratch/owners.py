"""Giving files to users of a box: numbers on the disk that nobody on the machine has."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from egovctl.drill.scratch.room import IDS

NOBODY = 65534
GAINS = stat.S_ISUID | stat.S_ISGID


def give(path: Path, number: int) -> None:
    """Give a file, or a folder and all in it, to one user and its group. Links are not followed."""
    _chown_all(path, lambda _: (number, number))


def shift(tree: Path, base: int) -> int:
    """Move the owners of a whole restored tree up to the users of a box; how many files had owners that no box has
    (those go to nobody). What is moved already stays as it is.
    """
    strange = 0

    def owner(status: os.stat_result) -> tuple[int, int]:
        nonlocal strange
        moved = []
        for number in (status.st_uid, status.st_gid):
            if base <= number < base + IDS:
                moved.append(number)
            elif number < IDS:
                moved.append(base + number)
            else:
                strange += 1
                moved.append(base + NOBODY)
        return moved[0], moved[1]

    _chown_all(tree, owner)
    return strange


def _chown_all(top: Path, owner: Callable[[os.stat_result], tuple[int, int]]) -> None:
    """By descriptors of the folders, deepest first: whoever swaps a folder for a link meanwhile gains nothing."""
    parent = os.open(top.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.stat(top.name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            for _, folders, files, descriptor in os.fwalk(top.name, topdown=False, dir_fd=parent):
                for name in (*folders, *files):
                    _chown(name, descriptor, owner)
        _chown(top.name, parent, owner)
    finally:
        os.close(parent)


def _chown(name: str, descriptor: int, owner: Callable[[os.stat_result], tuple[int, int]]) -> None:
    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    user, group = owner(status)
    if (user, group) == (status.st_uid, status.st_gid):
        return
    os.chown(name, user, group, dir_fd=descriptor, follow_symlinks=False)
    if stat.S_ISREG(status.st_mode) and status.st_mode & GAINS:  # chown took it away; it means nothing in a room
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=descriptor)
