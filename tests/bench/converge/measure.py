"""One run of one program: how long it took, and whose processor time it was."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from egovctl.lab.runner import cgroup_mounts

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """Seconds. `controller`: the program and its children; `hosts`: the lab's, or what else the machine did.

    An ssh that stays in the background for the next run is in neither.
    """

    wall: float
    controller: float
    hosts: float
    code: int


def machine_cpu() -> float:
    """Seconds of processor time that the whole machine has used (user, nice, system, interrupts)."""
    words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    return sum(int(words[i]) for i in (1, 2, 3, 6, 7)) / TICKS


def lab_cpu(inventory: str) -> float | None:
    """Seconds that the lab's hosts have used, by their cgroup; None where they are not below one (systemd as PID 1)."""
    unified, _ = cgroup_mounts()
    stat = None if unified is None else unified / "egov-lab" / inventory / "cpu.stat"
    if stat is None or not stat.is_file():
        return None
    return int(stat.read_text(encoding="ascii").split()[1]) / 1e6


def measured(argv: Sequence[str], cwd: Path, environment: Mapping[str, str], log: Path, inventory: str) -> Run:
    """Run `argv` to its end; what it prints is added to `log`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    lab, machine, start = lab_cpu(inventory), machine_cpu(), time.monotonic()
    with log.open("ab") as out:
        out.write(f"\n== {' '.join(argv[-4:])}\n".encode())
        out.flush()
        code = subprocess.run(
            argv, cwd=cwd, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        ).returncode
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    controller = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    lab_after = lab_cpu(inventory)
    hosts = machine_cpu() - machine - controller if lab is None or lab_after is None else lab_after - lab
    return Run(round(wall, 2), round(controller, 2), round(hosts, 2), code)
