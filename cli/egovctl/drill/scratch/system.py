"""A box that is a whole restored system: its own systemd is PID 1."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from egovctl.drill.borg import Deadline, TookTooLong
from egovctl.drill.scratch import container as containers
from egovctl.drill.scratch.container import Container
from egovctl.drill.scratch.model import NO_MORE, Limits, User
from egovctl.drill.scratch.owners import give, shift
from egovctl.drill.scratch.pump import Pipes, Tail, TooMuch, exchange
from egovctl.drill.scratch.record import Note
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
}
NSPAWN = Path("/usr/bin/systemd-nspawn")
NUMBERS: dict[str, int] = {"root": 0, "nobody": 65534}


@dataclass
class Entered:
    """A program that was started in the system (see model.Started)."""

    process: subprocess.Popen[bytes]
    tail: Tail

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def returncode(self) -> int | None:
        return self.process.poll()

    @property
    def said(self) -> str:
        return self.tail.text

    def stop(self, patience: float = 30.0, number: int = signal.SIGTERM) -> int:
        if self.alive:
            self.process.send_signal(number)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)  # launch.py: all of its process group
            return self.process.wait(patience)


@dataclass
class System:
    """See model.Box. Programs are the restored system's own: what they say is its word, not a proof."""

    folder: Path
    base: int
    container: Container

    def run(
        self,
        argv: Sequence[str],
        *,
        user: User = "root",
        input: bytes | None = None,
        timeout: float = 60.0,
        environment: Mapping[str, str] = NO_MORE,
    ) -> CompletedProcess[bytes]:
        deadline, pipes = Deadline.after(timeout), Pipes.made()
        process = self._enter(argv, user, environment, pipes, pipes.theirs)
        try:
            out, error = exchange(pipes, input or b"", deadline)
            code = process.wait(deadline.left)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise TookTooLong(
                told(f"{argv[0]} 超过 {timeout:.0f} 秒，已停止", f"{argv[0]} took more than {timeout:.0f} s: stopped")
            ) from None
        except TooMuch:
            raise CannotMeasure(told(f"{argv[0]} 输出过多，已停止", f"{argv[0]} printed too much: stopped")) from None
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGUSR1)
                process.wait()
        if not self.container.alive:
            raise self.container.ended()
        return CompletedProcess(list(argv), code, out, error)

    def start(self, argv: Sequence[str], *, user: User = "root", environment: Mapping[str, str] = NO_MORE) -> Entered:
        pipes = Pipes.made()
        writing, reading, other = pipes.ours
        process = self._enter(argv, user, environment, pipes, (pipes.theirs[0], pipes.theirs[1], pipes.theirs[1]))
        os.close(writing)
        os.close(other)
        return Entered(process, Tail(reading))

    def owned(self, path: Path, user: User) -> str:
        where = self.inside(path)
        give(path, self.base + NUMBERS[user])
        return where

    def inside(self, path: Path) -> str:
        parent = Path(os.path.realpath(path.parent)) / path.name
        return f"/{parent.relative_to(self.folder)}"

    @property
    def console(self) -> str:
        """The last that the system printed while it booted."""
        return self.container.console.text

    def _enter(
        self,
        argv: Sequence[str],
        user: User,
        environment: Mapping[str, str],
        pipes: Pipes,
        theirs: tuple[int, int, int],
    ) -> subprocess.Popen[bytes]:
        words = [str(word) for word in argv]
        if user not in NUMBERS:
            raise ValueError(f"a restored system is entered as root or nobody, not as {user}")
        try:
            if not self.container.alive:
                raise self.container.ended()
            stdin, stdout, stderr = theirs
            entered: subprocess.Popen[bytes] = containers.enter(
                self.container,
                words,
                NUMBERS[user],
                {**ENVIRONMENT, **environment},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )
            return entered
        except BaseException:
            for descriptor in pipes.ours:
                os.close(descriptor)
            raise
        finally:
            pipes.close_theirs()


@contextmanager
def system(note: Note, tree: Path, limits: Limits, masked: Sequence[str] = ()) -> Iterator[System]:
    """Boot it. `tree` lies in the room that `note` tells of; its owners are moved to the box's users first."""
    tree = Path(os.path.realpath(tree))
    shift(tree, note.base)
    argv = [f"--directory={tree}", "--boot", "--console=read-only", "--"]
    argv += [f"systemd.mask={unit}" for unit in masked]
    with containers.running(note, limits, argv, {}, [], _booting) as container:
        yield System(tree, note.base, container)


def _booting(pid: int) -> bool:
    """Whether its PID 1 is the tree's own by now, no longer systemd-nspawn."""
    return not Path(f"/proc/{pid}/exe").samefile(NSPAWN)
