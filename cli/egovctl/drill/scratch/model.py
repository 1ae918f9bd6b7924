"""What a scratch is to those who use it: limits, a box to run programs in, and a program that keeps running."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Literal, Protocol

DATA = "/data"  # where the run's folder is inside a box of programs
User = Literal["postgres", "mysql", "nobody", "root"]
NO_MORE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Limits:
    """What hostile content may use, all of it together: octets of memory and disk, processes, seconds of wall time."""

    memory: int = 1 << 30
    disk: int = 4 << 30
    processes: int = 512
    seconds: float = 3600.0


class Started(Protocol):
    """A program that keeps running in a box."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""

    @property
    def returncode(self) -> int | None:
        """How it ended: its exit code, negative for a signal; None while it runs."""

    @property
    def said(self) -> str:
        """The last of what it printed (standard output and error together), for messages."""

    def stop(self, patience: float = 30.0, number: int = signal.SIGTERM) -> int:
        """Send the signal, SIGKILL after `patience` seconds; returns the exit code. A second time does no harm."""


class Box(Protocol):
    """A container for hostile content. Whatever runs in it can reach nothing but the run's folder."""

    folder: Path  # the run's folder on the machine: its disk is limited too, restore into it

    def run(
        self,
        argv: Sequence[str],
        *,
        user: User = "nobody",
        input: bytes | None = None,
        timeout: float = 60.0,
        environment: Mapping[str, str] = NO_MORE,
    ) -> CompletedProcess[bytes]:
        """Run a program inside to its end; never raises for its exit code (127: there is no such program).

        Raises TookTooLong after `timeout` seconds (it is killed, with all that it started), CannotMeasure when the box
        itself has ended (a limit, say).
        """

    def start(self, argv: Sequence[str], *, user: User = "nobody", environment: Mapping[str, str] = NO_MORE) -> Started:
        """Start a program that keeps running; it ends with the box at the latest."""

    def owned(self, path: Path, user: User) -> str:
        """Give a file, or a folder and all in it, below `folder` to a user of the box; returns its path inside.

        Links are given themselves, never what they point to. ValueError for a path that is not below `folder`.
        """

    def inside(self, path: Path) -> str:
        """The path inside of what is `path` on the machine. ValueError for one that is not below `folder`."""
