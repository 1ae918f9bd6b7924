"""A box of programs: those of a trusted root, on hostile data."""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from subprocess import CompletedProcess

from egovctl.drill.borg import Deadline, TookTooLong
from egovctl.drill.scratch import container as containers
from egovctl.drill.scratch.container import HERE, START_PATIENCE, Container
from egovctl.drill.scratch.model import DATA, NO_MORE, Limits, User
from egovctl.drill.scratch.owners import give
from egovctl.drill.scratch.pump import Pipes, Tail, TooMuch, exchange
from egovctl.drill.scratch.record import Note
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

NUMBERS: dict[str, int] = {"postgres": 100, "mysql": 101, "nobody": 65534}
AGENT = "/etc/egov-agent.py"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/usr/sbin", "HOME": "/tmp", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}  # noqa: S108 - the box's own
# What the agent needs to become another user and to end its programs; nobody else in the box has any.
KEPT = {"CAP_SETUID", "CAP_SETGID", "CAP_KILL"}
CAPABILITIES = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
]


@dataclass
class Program:
    """One that the agent has started (see model.Started)."""

    box: Programs
    number: int
    tail: Tail | None = None
    done: threading.Event = field(default_factory=threading.Event)
    code: int | None = None

    @property
    def alive(self) -> bool:
        return not self.done.is_set()

    @property
    def returncode(self) -> int | None:
        return self.code

    @property
    def said(self) -> str:
        return self.tail.text if self.tail else ""

    def send(self, number: int) -> None:
        """A signal to its process group."""
        self.box.tell({"signal": int(number), "to": self.number})

    def stop(self, patience: float = 30.0, number: int = signal.SIGTERM) -> int:
        if self.alive:
            self.send(number)
        if not self.done.wait(patience):
            self.send(signal.SIGKILL)
            self.done.wait(START_PATIENCE)
        return -signal.SIGKILL if self.code is None else self.code


class Programs:
    """See model.Box. One thread listens to the agent; programs may be run from several."""

    def __init__(self, folder: Path, base: int, channel: socket.socket) -> None:
        self.folder = folder
        self.base = base
        self.channel = channel
        self.container: Container | None = None
        self.ready = threading.Event()
        self._numbers = count(1)
        self._programs: dict[int, Program] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def run(
        self,
        argv: Sequence[str],
        *,
        user: User = "nobody",
        input: bytes | None = None,
        timeout: float = 60.0,
        environment: Mapping[str, str] = NO_MORE,
    ) -> CompletedProcess[bytes]:
        deadline, pipes = Deadline.after(timeout), Pipes.made()
        program = self._start(argv, user, environment, pipes)
        try:
            out, error = exchange(pipes, input or b"", deadline)
            if not program.done.wait(deadline.left):
                raise TimeoutError
        except TimeoutError:
            program.send(signal.SIGKILL)
            raise TookTooLong(
                told(f"{argv[0]} 超过 {timeout:.0f} 秒，已停止", f"{argv[0]} took more than {timeout:.0f} s: stopped")
            ) from None
        except TooMuch:
            program.send(signal.SIGKILL)
            raise CannotMeasure(told(f"{argv[0]} 输出过多，已停止", f"{argv[0]} printed too much: stopped")) from None
        if program.code is None:
            raise self._ended()
        return CompletedProcess(list(argv), program.code, out, error)

    def start(self, argv: Sequence[str], *, user: User = "nobody", environment: Mapping[str, str] = NO_MORE) -> Program:
        pipes = Pipes.made()
        writing, reading, other = pipes.ours
        theirs = (pipes.theirs[0], pipes.theirs[1], pipes.theirs[1])
        program = self._start(argv, user, environment, pipes, theirs)
        os.close(writing)
        os.close(other)
        program.tail = Tail(reading)
        return program

    def owned(self, path: Path, user: User) -> str:
        where = self.inside(path)
        give(path, self.base + _number(user))
        return where

    def inside(self, path: Path) -> str:
        parent = Path(os.path.realpath(path.parent)) / path.name
        return f"{DATA}/{parent.relative_to(self.folder)}".removesuffix("/.")

    def tell(self, message: dict[str, object], descriptors: Sequence[int] = ()) -> None:
        """A message to the agent; CannotMeasure when there is none any more."""
        data = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self.channel.sendmsg([json.dumps(message).encode()], data)
        except OSError:
            raise self._ended() from None

    def _start(
        self,
        argv: Sequence[str],
        user: User,
        environment: Mapping[str, str],
        pipes: Pipes,
        theirs: tuple[int, int, int] | None = None,
    ) -> Program:
        program = Program(self, next(self._numbers))
        with self._lock:
            self._programs[program.number] = program
        message = {
            "start": program.number,
            "argv": [str(word) for word in argv],
            "user": _number(user),
            "environment": {**ENVIRONMENT, **environment},
        }
        try:
            self.tell(message, theirs or pipes.theirs)
        except CannotMeasure:
            for descriptor in pipes.ours:
                os.close(descriptor)
            raise
        finally:
            pipes.close_theirs()
        return program

    def _listen(self) -> None:
        with suppress(OSError, ValueError):
            while data := self.channel.recv(1 << 16):
                message = json.loads(data)
                if "ready" in message:
                    self.ready.set()
                    continue
                with self._lock:
                    program = self._programs.pop(message["ended"], None)
                if program:
                    program.code = message["code"]
                    program.done.set()
        with self._lock:
            left = list(self._programs.values())
            self._programs.clear()
        for program in left:
            program.done.set()

    def _ended(self) -> CannotMeasure:
        if self.container is not None:
            return self.container.ended()
        return CannotMeasure(told("演练容器已终止", "the scratch container has ended"))


@contextmanager
def programs(note: Note, folder: Path, limits: Limits, root: Path, readonly: Mapping[Path, str]) -> Iterator[Programs]:
    """The box, ready. `folder` lies in the room that `note` tells of."""
    python = root / "usr/bin/python3"
    if not python.exists():
        raise CannotMeasure(told(f"{root} 中没有 /usr/bin/python3", f"there is no /usr/bin/python3 in {root}"))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shown = {root / "usr": "/usr", **readonly}
    argv = [
        "--read-only",
        "--hostname=scratch",
        "--as-pid2",
        "--console=pipe",
        f"--bind={folder}:{DATA}",
        *(f"--bind-ro={source}:{target}" for source, target in shown.items()),
        f"--drop-capability={','.join(sorted(set(CAPABILITIES) - KEPT))}",
        "--system-call-filter=~@mount @swap @reboot @raw-io @module @keyring @privileged",
        "--",
        "/usr/bin/python3",
        *("-I", "-S", AGENT),
    ]
    box = Programs(folder, note.base, ours)
    try:
        begun, seen = lambda _: box.ready.is_set(), list(shown.values())
        with containers.running(note, limits, argv, _files(root), seen, begun, theirs.fileno()) as container:
            theirs.close()
            box.container = container
            containers.no_namespaces(container)
            yield box
    finally:
        theirs.close()
        with suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)
        ours.close()


def _number(user: User) -> int:
    if user not in NUMBERS:
        raise ValueError(f"a box of programs has no user {user}")
    return NUMBERS[user]


def _files(root: Path) -> dict[str, str | None]:
    """The box's root beside /usr: who there is, where libraries are, and the agent."""
    users = {"root": 0, **NUMBERS}
    found: dict[str, str | None] = {
        "etc/passwd": "".join(f"{name}:x:{number}:{number}::{DATA}:/bin/sh\n" for name, number in users.items()),
        "etc/group": "".join(f"{name}:x:{number}:\n" for name, number in users.items()),
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "etc/hosts": "127.0.0.1 localhost scratch\n::1 localhost\n",
        "etc/os-release": "ID=scratch\n",
        "etc/machine-id": "",
        AGENT.lstrip("/"): (HERE / "agent.py").read_text(encoding="utf-8"),
    }
    for name in ("usr", "dev", "proc", "sys", "run", "srv", "tmp", "var", "root", DATA.strip("/")):
        found[name] = None
    for name in ("bin", "sbin", "lib", "lib64"):
        if (root / "usr" / name).is_dir():
            found[name] = f"->usr/{name}"
    return found
