"""The lab's own record, written before each thing is made, and the locks around it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from egovctl.errors import EgovError
from egovctl.i18n import tr
from egovctl.lab.names import LabNames

Phase = Literal["starting", "up", "growing", "stopping"]
Kind = Literal["guest", "switch"]


@dataclass(frozen=True)
class LabHost:
    """One booted thing: a guest (systemd container), or a switch: a namespace with its agent."""

    kind: Kind
    management: str
    loopback: str


@dataclass(frozen=True)
class Forward:
    """127.0.0.1:`port` on the machine leads to `target_port` of `host`, at its loopback address or its 127.0.0.1."""

    name: str
    port: int
    host: str
    target: str
    target_port: int


@dataclass(frozen=True)
class LabState:
    """What `up` set out to make. Everything in it may or may not exist while the phase is not `up`."""

    inventory: str
    phase: Phase
    pid: int
    image: str
    topology: str
    started_at: float
    hosts: dict[str, LabHost] = field(default_factory=dict)
    namespaces: tuple[str, ...] = ()
    forwards: tuple[Forward, ...] = ()
    internet: str | None = None  # the lab's address on the untrusted network, where it leases addresses
    control: str = ""  # the host whose network leads to all others
    gateway: str = ""  # where the stand-in for the city's gateway of text messages listens, in control's network
    smsc: str = ""  # where the stand-in for an operator's message centre listens, there too
    project: str = ""  # the folder that has its keys; "" in a record of an older version

    @property
    def guests(self) -> list[str]:
        """The hosts that boot systemd, in plan order."""
        return [name for name, host in self.hosts.items() if host.kind == "guest"]


def write_json(path: Path, data: Any, mode: int = 0o644) -> None:
    """Replace the file in one step, so that a reader or a crash never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(data, indent=1), encoding="utf-8")
    temporary.chmod(mode)
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """What `write_json` wrote; None when it is not there or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def save(names: LabNames, state: LabState) -> None:
    """Record what is about to be made, or that it is."""
    write_json(names.state_file, asdict(state))


def load(names: LabNames) -> LabState | None:
    """The record; None when there is none, or none that can be read (a crash while the machine was full, say)."""
    try:
        data = json.loads(names.state_file.read_text(encoding="utf-8"))
        data["hosts"] = {name: LabHost(**host) for name, host in data["hosts"].items()}
        data["namespaces"] = tuple(data["namespaces"])
        data["forwards"] = tuple(Forward(**item) for item in data["forwards"])
        return LabState(**data)
    except (OSError, ValueError, TypeError, KeyError):
        return None


@contextlib.contextmanager
def locked(path: Path, wait: float = 60.0, busy: str = "", say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the file is removed again at the end. No child inherits the lock.

    Raises EgovError when another process holds it for longer than `wait` seconds; `busy` says what that one is doing.
    `say` is told once when that takes more than a second.
    """
    begun = time.monotonic()
    deadline, quiet = begun + wait, begun + 1
    while (descriptor := _try_lock(path)) is None:
        if time.monotonic() >= deadline:
            raise EgovError(f"{busy or path}{_holder(path)}")
        if say is not None and time.monotonic() >= quiet:
            say(f"{busy or path}{_holder(path)}")
            say = None
        time.sleep(0.05)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    """The locked file's descriptor; None when it is held, or was removed under us by the one who held it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:  # the last lab's `down` removed the folder in between
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError):
        pid = path.read_text(encoding="utf-8").strip()
        return tr(f"（进程 {pid}）；请等它结束", f" (process {pid}); wait until it ends")
    return ""
