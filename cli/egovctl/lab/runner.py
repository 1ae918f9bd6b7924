"""Long-running processes of the lab: guests, forwarders, the switch's agent. Two ways, one interface.

Each process is in a place of its own that the machine can list and kill whole, so that nothing is ever left behind:
a transient unit where PID 1 is systemd, else a cgroup in each hierarchy that systemd-nspawn needs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Literal, Protocol

from egovctl.errors import EgovError
from egovctl.i18n import tr
from egovctl.lab.names import LabNames
from egovctl.lab.run import run

Policy = Literal["reboot", "always"]
REBOOT = 133
KILL_PATIENCE = 15.0
POWER_OFF = signal.SIGRTMIN + 4  # to a container's systemd: power off in order


def data_file(name: str) -> Path:
    """A file of egovctl/lab/files/ on disk."""
    return Path(str(resources.files("egovctl.lab") / "files" / name))


class Runner(Protocol):
    """How processes are started, found and ended."""

    def start(self, name: str, argv: Sequence[str], policy: Policy) -> None:
        """Start `argv` detached from this process; what it prints goes to names.console(name)."""

    def pids(self, name: str) -> list[int]:
        """All processes of `name`, a guest's own included."""

    def running(self) -> list[str]:
        """Names of what is there, whether recorded or not."""

    def stop(self, name: str) -> None:
        """End all of it at once. Nothing happens when there is nothing."""

    def clear(self) -> None:
        """After all are stopped: remove what the runner itself needed."""


def runner_for(names: LabNames) -> Runner:
    """The one that fits this machine."""
    return SystemdRunner(names) if Path("/run/systemd/system").is_dir() else CgroupRunner(names)


def cgroup_mounts() -> tuple[Path | None, Path | None]:
    """Where cgroup v2 is mounted, and the `systemd` hierarchy of v1; None for one that is not."""
    unified = named = None
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, right = line.split(" - ")
        kind, options = right.split()[0], right.split()[2]
        if kind == "cgroup2":
            unified = unified or Path(left.split()[4])
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            named = named or Path(left.split()[4])
    return unified, named


def _tree(folder: Path) -> list[Path]:
    """A cgroup and all below it, deepest first; what vanishes meanwhile is left out."""
    return [Path(path) for path, _, _ in os.walk(folder, topdown=True)][::-1]


def pids_below(folder: Path) -> list[int]:
    """Processes in a cgroup and all below it."""
    found: list[int] = []
    for path in _tree(folder):
        with contextlib.suppress(OSError):
            found.extend(int(word) for word in (path / "cgroup.procs").read_text(encoding="ascii").split())
    return found


class CgroupRunner:
    """Without systemd on the machine: a supervising shell, in cgroups <hierarchy>/egov-lab/<inventory>/<name>."""

    def __init__(self, names: LabNames) -> None:
        self.names = names
        unified, named = cgroup_mounts()
        if unified is None:
            mount = "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
            raise EgovError(
                tr(f"本机没有挂载 cgroup v2：请运行 {mount}", f"this machine has no cgroup v2 mounted; run: {mount}")
            )
        self.roots = [root / "egov-lab" / names.inventory for root in (unified, named) if root is not None]

    def start(self, name: str, argv: Sequence[str], policy: Policy) -> None:
        folders = [root / name for root in self.roots]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        script = ["/bin/sh", str(data_file("supervise.sh")), policy, *map(str, folders), "--", *argv]
        shell = 'exec <"$1" >>"$2" 2>&1; shift 2; exec setsid --fork "$@"'
        empty = self.names.run / "empty"  # standard input: no device node of the machine is handed to a guest
        empty.touch()
        run(["/bin/sh", "-c", shell, "sh", empty, self.names.console(name), *script])

    def pids(self, name: str) -> list[int]:
        return pids_below(self.roots[0] / name)

    def running(self) -> list[str]:
        return sorted({path.name for root in self.roots if root.is_dir() for path in root.iterdir() if path.is_dir()})

    def stop(self, name: str) -> None:
        for root in self.roots:
            end_cgroup(root / name)

    def clear(self) -> None:
        for root in self.roots:
            for folder in (root, root.parent):
                with contextlib.suppress(OSError):
                    folder.rmdir()


def end_cgroup(folder: Path) -> None:
    """Kill what is in it, over and over, until the folder can be removed: nothing can then enter it any more.

    EgovError when for KILL_PATIENCE seconds they became no fewer: what was killed may take long to go on a busy
    machine, but what forks as fast as it is killed must not keep us here.
    """
    fewest, deadline = sys.maxsize, 0.0
    while folder.is_dir():
        pids = pids_below(folder)
        if len(pids) < fewest:
            fewest, deadline = len(pids), time.monotonic() + KILL_PATIENCE
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for path in _tree(folder):
            with contextlib.suppress(OSError):
                path.rmdir()
        if time.monotonic() > deadline:
            zh, en = (
                (f"进程 {pids} 无法结束", f"processes {pids} do not end") if pids else ("无法删除", "cannot be removed")
            )
            raise EgovError(
                tr(f"{folder}：{zh}；请查明原因后再次运行 down", f"{folder}: {en}; look at it, then run down again")
            )
        time.sleep(0.02)


class SystemdRunner:
    """With systemd on the machine: one transient service each, egov-lab.<inventory>.<name>.service."""

    def __init__(self, names: LabNames) -> None:
        self.names = names
        self.prefix = f"egov-lab.{names.inventory}."

    def unit(self, name: str) -> str:
        return f"{self.prefix}{name}.service"

    def start(self, name: str, argv: Sequence[str], policy: Policy) -> None:
        console = self.names.console(name)
        properties = [
            f"StandardOutput=append:{console}",
            f"StandardError=append:{console}",
            "KillMode=mixed",
            "TasksMax=infinity",
        ]
        if policy == "reboot":
            properties += ["Delegate=yes", f"RestartForceExitStatus={REBOOT}", f"SuccessExitStatus={REBOOT}"]
        else:
            properties += ["Restart=always", "RestartSec=1"]
        words = [word for value in properties for word in ("-p", value)]
        run(["systemd-run", "--quiet", "--collect", f"--unit={self.unit(name)}", *words, "--", *argv])

    def pids(self, name: str) -> list[int]:
        group = run(["systemctl", "show", "-p", "ControlGroup", "--value", self.unit(name)], check=False).stdout.strip()
        unified, named = cgroup_mounts()
        root = unified if unified and (unified / group.lstrip("/")).is_dir() else named
        return pids_below(root / group.lstrip("/")) if group and root else []

    def running(self) -> list[str]:
        listed = run(["systemctl", "list-units", "--all", "--plain", "--no-legend", f"{self.prefix}*"], check=False)
        units = [line.split()[0] for line in listed.stdout.splitlines() if line.strip()]
        return sorted(unit.removeprefix(self.prefix).removesuffix(".service") for unit in units)

    def stop(self, name: str) -> None:
        run(["systemctl", "kill", "--signal=KILL", self.unit(name)], check=False)
        run(["systemctl", "stop", self.unit(name)], check=False, timeout=120)
        run(["systemctl", "reset-failed", self.unit(name)], check=False)

    def clear(self) -> None:
        """Transient units vanish by themselves."""


def init_pid(pids: Sequence[int]) -> int | None:
    """Among a guest's processes as the machine sees them, the one that is PID 1 inside (not one nested deeper)."""
    found: list[tuple[int, int]] = []
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
                inside = line.split()[1:] if line.startswith("NSpid:") else []
                if len(inside) > 1 and inside[-1] == "1":
                    found.append((len(inside), pid))
    return min(found)[1] if found else None
