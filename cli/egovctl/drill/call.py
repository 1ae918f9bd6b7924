"""A program that a drill calls: it ends at the deadline, dies with its drill, and is read while it runs.

Several may run side by side; leaving the `with` of one that still runs kills it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import IO

from egovctl.drill.causes import Cause
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
Line = Callable[[bytes], None]


class TookTooLong(CannotMeasure):
    """The time for all of it has passed."""

    cause = Cause.TOO_SLOW


@dataclass(frozen=True)
class Deadline:
    """A moment (monotonic seconds) after which nothing goes on."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        return max(0.1, self.at - time.monotonic())


@dataclass(frozen=True)
class Ended:
    """How a program ended. `out` and `err` are what no line function took."""

    status: int
    out: bytes
    err: bytes


class Call:
    """A running program. `on_out` and `on_err` get its lines as they come, in threads of their own."""

    def __init__(
        self,
        argv: Sequence[str],
        deadline: Deadline,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        on_out: Line | None = None,
        on_err: Line | None = None,
    ) -> None:
        """Start it; FileNotFoundError when setpriv is missing."""
        self._name, self._deadline = " ".join(argv[:2]), deadline
        self._process = subprocess.Popen(
            [*DIES_WITH_US, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            pass_fds=pass_fds,
        )
        self._read: tuple[list[bytes], list[bytes]] = ([], [])
        streams = ((self._process.stdout, on_out), (self._process.stderr, on_err))
        self._readers = [
            Thread(target=_drain, args=(stream, on_line, kept), daemon=True)
            for (stream, on_line), kept in zip(streams, self._read, strict=True)
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def end(self) -> Ended:
        """Wait for it; TookTooLong, once it is killed, when the deadline comes first."""
        try:
            status = self._process.wait(self._deadline.left)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise TookTooLong(
                told(
                    f"{self._name} 已停止：本次演练的时限已过",
                    f"{self._name} was stopped: the time for this drill has passed",
                )
            ) from None
        for reader in self._readers:
            reader.join(self._deadline.left)
        return Ended(status, b"".join(self._read[0]), b"".join(self._read[1]))


def _drain(stream: IO[bytes] | None, on_line: Line | None, kept: list[bytes]) -> None:
    """Read to the end; a pipe that is closed under us is an end, too."""
    if stream is None:
        return
    with stream, suppress(ValueError, OSError):
        if on_line is None:
            kept.append(stream.read())
            return
        for line in stream:
            on_line(line.rstrip(b"\n"))
