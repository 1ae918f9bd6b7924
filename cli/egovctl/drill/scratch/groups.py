"""The cgroups of a box: its limits of memory and processes, and the list by which all of it can be ended.

Where the machine's PID 1 is systemd, a transient scope; else a cgroup of the same name in each hierarchy that has a
controller which is needed, or that systemd-nspawn needs.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from egovctl.drill.scratch.model import Limits
from egovctl.errors import CannotMeasure, EgovError
from egovctl.i18n import told
from egovctl.lab.run import run
from egovctl.lab.runner import end_cgroup, pids_below

PARENT = "egov-scratch"
NEEDED = ("memory", "pids")
ENTERED = "entered"  # a leaf of its own: a cgroup that has children may hold no process


class Groups(Protocol):
    """How a box is limited, listed and ended. `name` is the box's."""

    def prepare(self, limits: Limits) -> None:
        """Make what is needed before anything is started. CannotMeasure when this machine has no such limits."""

    def prefix(self, limits: Limits) -> list[str]:
        """What the command that starts the box begins with."""

    def joining(self) -> list[str]:
        """The cgroup.procs files that the box's first process writes itself into."""

    def entering(self) -> list[str]:
        """The same for a process that enters later."""

    def pids(self) -> list[int]:
        """All processes of the box."""

    def end(self) -> bool:
        """Kill all of it and remove the cgroups; whether nothing is left. Harmless when there is nothing."""


def groups_for(name: str) -> Groups:
    """The one that fits this machine."""
    return ScopeGroups(name) if Path("/run/systemd/system").is_dir() else FolderGroups(name)


def hierarchies() -> dict[str, Path]:
    """Controller → where its hierarchy is mounted; `unified` and `systemd` are hierarchies without one."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, right = line.split(" - ")
        kind, options, folder = right.split()[0], right.split()[2].split(","), Path(left.split()[4])
        if kind == "cgroup2":
            found.setdefault("unified", folder)
        elif kind == "cgroup":
            for option in options:
                found.setdefault(option.removeprefix("name="), folder)
    if unified := found.get("unified"):
        for controller in (unified / "cgroup.controllers").read_text(encoding="ascii").split():
            found.setdefault(controller, unified)
    return found


@dataclass(frozen=True)
class FolderGroups:
    """Without systemd on the machine."""

    name: str

    def _folders(self) -> list[Path]:
        known = hierarchies()
        roots = [known[word] for word in (*NEEDED, "unified", "systemd") if word in known]
        return [root / PARENT / self.name for root in dict.fromkeys(roots)]

    def prepare(self, limits: Limits) -> None:
        known = hierarchies()
        missing = [word for word in (*NEEDED, "unified") if word not in known]
        if missing:
            raise CannotMeasure(
                told(
                    f"本机没有 cgroup {'、'.join(missing)}，因此无法限制演练容器",
                    f"this machine has no cgroup {', '.join(missing)}: a scratch container cannot be limited",
                )
            )
        for folder in self._folders():
            folder.mkdir(parents=True, exist_ok=True)
        for word in NEEDED:
            root = known[word]
            if root == known["unified"]:  # version 2: a controller is handed down from the root, level by level
                for level in (root, root / PARENT):
                    _write(level / "cgroup.subtree_control", f"+{word}")
        memory, pids = (known[word] / PARENT / self.name for word in NEEDED)
        _write(pids / "pids.max", str(limits.processes))
        if (memory / "memory.max").exists():
            _write(memory / "memory.max", str(limits.memory))
            if (memory / "memory.swap.max").exists():
                _write(memory / "memory.swap.max", "0")
            return
        _write(memory / "memory.limit_in_bytes", str(limits.memory))
        if (memory / "memory.memsw.limit_in_bytes").exists():
            _write(memory / "memory.memsw.limit_in_bytes", str(limits.memory))

    def prefix(self, limits: Limits) -> list[str]:
        return []

    def joining(self) -> list[str]:
        return [str(folder / "cgroup.procs") for folder in self._folders()]

    def entering(self) -> list[str]:
        return _leaves(self._folders())

    def pids(self) -> list[int]:
        known = hierarchies()
        return pids_below(known["pids"] / PARENT / self.name) if "pids" in known else []

    def end(self) -> bool:
        with contextlib.suppress(EgovError):
            for folder in self._folders():
                end_cgroup(folder)
                with contextlib.suppress(OSError):
                    folder.parent.rmdir()
            return True
        return False


@dataclass(frozen=True)
class ScopeGroups:
    """With systemd on the machine: a scope is gone when its last process is."""

    name: str

    @property
    def unit(self) -> str:
        return f"{PARENT}-{self.name}.scope"

    def prepare(self, limits: Limits) -> None:
        """Systemd makes it all."""

    def prefix(self, limits: Limits) -> list[str]:
        properties = ["Delegate=yes", f"MemoryMax={limits.memory}", "MemorySwapMax=0", f"TasksMax={limits.processes}"]
        words = [word for value in properties for word in ("-p", value)]
        return ["systemd-run", "--scope", "--quiet", "--collect", f"--unit={self.unit}", *words, "--"]

    def _folders(self) -> list[Path]:
        group = run(["systemctl", "show", "-p", "ControlGroup", "--value", self.unit], check=False).stdout.strip()
        if not group:
            return []
        roots = {root for word, root in hierarchies().items() if word in (*NEEDED, "unified", "systemd")}
        return [folder for root in sorted(roots) if (folder := root / group.lstrip("/")).is_dir()]

    def joining(self) -> list[str]:
        return []

    def entering(self) -> list[str]:
        return _leaves(self._folders())

    def pids(self) -> list[int]:
        return sorted({pid for folder in self._folders() for pid in pids_below(folder)})

    def end(self) -> bool:
        run(["systemctl", "kill", "--signal=KILL", self.unit], check=False)
        run(["systemctl", "stop", self.unit], check=False, timeout=120)
        run(["systemctl", "reset-failed", self.unit], check=False)
        return not self.pids()


def _leaves(folders: list[Path]) -> list[str]:
    """A child of each cgroup for those who enter: its limits are its parent's. In version 1 the cpuset needs none."""
    found = []
    for folder in folders:
        with contextlib.suppress(OSError):
            (folder / ENTERED).mkdir(exist_ok=True)
            found.append(str(folder / ENTERED / "cgroup.procs"))
    return found


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="ascii")
    except OSError as error:
        raise CannotMeasure(
            told(f"无法设置 {path}：{error.strerror}", f"{path} cannot be set: {os.strerror(error.errno or 0)}")
        ) from None
