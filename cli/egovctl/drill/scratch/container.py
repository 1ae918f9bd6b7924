"""The container of both kinds of box: systemd-nspawn with the scratch profile, around it launch.py, in it hostility.

Not shared with the lab's guests: those are the suite's own images and may do what a server may. Here users are
mapped, privileges cannot be gained, the network is empty, and the machine's own folders are not there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from egovctl.drill.borg import Deadline
from egovctl.drill.scratch.groups import Groups, groups_for
from egovctl.drill.scratch.model import Limits
from egovctl.drill.scratch.proof import Expected, faults
from egovctl.drill.scratch.pump import Tail
from egovctl.drill.scratch.record import Note
from egovctl.drill.scratch.room import IDS
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

HERE = Path(__file__).parent
START_PATIENCE = 30.0
LEAST_MEMORY = 128 << 20  # octets of the machine that stay free beside a box
# Of what systemd-nspawn leaves: device nodes and attributes that no restored system needs to set.
DROPPED = "CAP_MKNOD,CAP_LINUX_IMMUTABLE,CAP_SYS_TTY_CONFIG,CAP_AUDIT_CONTROL,CAP_AUDIT_WRITE"


@dataclass(frozen=True)
class Container:
    """One that runs. `pid` is its PID 1 as the machine sees it."""

    process: subprocess.Popen[bytes]
    pid: int
    groups: Groups
    console: Tail
    deadline: Deadline

    @property
    def alive(self) -> bool:
        """Whether it has not ended, by itself or at a limit."""
        return self.process.poll() is None and Path(f"/proc/{self.pid}").exists()

    def ended(self) -> CannotMeasure:
        """The error for one that has ended while it was needed."""
        last = " | ".join(line.strip() for line in self.console.text.splitlines()[-3:] if line.strip())
        if self.deadline.at <= time.monotonic():
            return CannotMeasure(told("演练容器已到时限，已终止", "the scratch container reached its time limit"))
        return CannotMeasure(told(f"演练容器已终止：{last}", f"the scratch container has ended: {last or 'silently'}"))


def profile(note: Note, name: str) -> list[str]:
    """What all boxes have in common."""
    return [
        *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit"),
        f"--machine={name}",
        f"--private-users={note.base}:{IDS}",
        "--private-users-ownership=off",
        "--private-network",
        "--no-new-privileges=yes",
        f"--drop-capability={DROPPED}",
        "--rlimit=CORE=1",  # as launch.py does for who enters
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
    ]


@contextmanager
def running(
    note: Note,
    limits: Limits,
    argv: Sequence[str],
    files: Mapping[str, str | None],
    readonly: Sequence[str],
    begun: Callable[[int], bool],
    stdin: int | None = None,
) -> Iterator[Container]:
    """A container in the room of `note`, proven to be closed; all of it is gone afterwards.

    `argv` is what follows the profile; `files` are a staged root's, which is the box's if there are any; `begun` says
    whether what runs as PID 1 is no longer systemd-nspawn's preparation. CannotMeasure when it does not start, or is
    not closed.
    """
    name = f"box-{uuid4().hex[:12]}"
    groups = groups_for(name)
    _require_memory(limits)
    box = Note(name, note.folder, note.base, group=name)
    box.write()
    process = None
    try:
        box.staging.mkdir(mode=0o700)
        staged = [f"--directory={box.staging}/root"] if files else []
        groups.prepare(limits)
        specification = {
            "seconds": limits.seconds,
            "staging": str(box.staging),
            "files": dict(files),
            "argv": [*profile(note, name), *staged, *argv],
        }
        reading, writing = os.pipe()
        console = Tail(reading)
        deadline = Deadline.after(limits.seconds)
        process = _launch(
            {"groups": groups.joining(), "boot": specification},
            prefix=groups.prefix(limits),
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=writing,
            stderr=writing,
        )
        os.close(writing)
        container = Container(process, _first(process, groups, console, begun), groups, console, deadline)
        expected = Expected(note.base, Path(note.folder), frozenset(readonly), name)
        if wrong := faults(container.pid, expected):
            listed = "; ".join(wrong)
            raise CannotMeasure(
                told(f"演练容器没有隔离好：{listed}", f"the scratch container is not closed off: {listed}")
            )
        yield container
    finally:
        end(box)
        if process is not None:
            process.wait()


def end(box: Note) -> bool:
    """End a box, whoever started it; whether nothing of it is left."""
    if not groups_for(box.group).end():
        return False
    with suppress(OSError):
        box.staging.rmdir()
    box.remove()
    return True


def enter(container: Container, argv: Sequence[str], user: int, environment: Mapping[str, str], **pipes: Any) -> Any:
    """A process in the container, within its limits, as this user of it."""
    wanted = {
        "pid": container.pid,
        "user": user,
        "group": user,
        "argv": list(argv),
        "environment": dict(environment),
    }
    return _launch({"groups": container.groups.entering(), "enter": wanted}, **pipes)


def no_namespaces(container: Container) -> None:
    """Nobody in the container may make a user namespace any more."""
    process = _launch({"groups": [], "no_namespaces": {"pid": container.pid}}, stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=START_PATIENCE)
    if process.returncode:
        raise CannotMeasure(told("无法限制演练容器", f"the container's limits could not be set: {said.decode()}"))


def _launch(specification: dict[str, Any], prefix: Sequence[str] = (), **pipes: Any) -> subprocess.Popen[bytes]:
    """launch.py; what it shall do is no command line, which everybody on the machine could read."""
    descriptor = os.memfd_create("launch", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, json.dumps({"parent": os.getpid(), **specification}).encode())
        argv = [*prefix, sys.executable, "-I", "-S", str(HERE / "launch.py"), str(descriptor)]
        pipes = {"stdin": subprocess.DEVNULL, **pipes}
        return subprocess.Popen(argv, start_new_session=True, pass_fds=(descriptor,), **pipes)
    finally:
        os.close(descriptor)


def _require_memory(limits: Limits) -> None:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    if available < limits.memory + LEAST_MEMORY:
        wanted, there = (limits.memory + LEAST_MEMORY) >> 20, available >> 20
        raise CannotMeasure(
            told(
                f"内存不足：演练容器需要 {wanted} MiB，可用 {there} MiB",
                f"too little memory: the scratch container needs {wanted} MiB, {there} MiB are available",
            )
        )


def _first(process: subprocess.Popen[bytes], groups: Groups, console: Tail, begun: Callable[[int], bool]) -> int:
    """The box's PID 1, as soon as it is there: two PID namespaces below this process, the launcher's and its own."""
    until, depth = time.monotonic() + START_PATIENCE, len(_ids(os.getpid())) + 2
    while time.monotonic() < until and process.poll() is None:
        for pid in groups.pids():
            with suppress(OSError, StopIteration):
                ids = _ids(pid)
                if len(ids) == depth and ids[-1] == 1 and begun(pid):
                    return pid
        time.sleep(0.01)
    console.wait(0.5)
    last = " | ".join(line.strip() for line in console.text.splitlines()[-3:] if line.strip())
    raise CannotMeasure(told(f"本机无法启动演练容器：{last}", f"this machine cannot start a scratch container: {last}"))


def _ids(pid: int) -> list[int]:
    """A process's numbers, from this PID namespace to its own."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    return next([int(word) for word in line.split()[1:]] for line in lines if line.startswith("NSpid:"))
