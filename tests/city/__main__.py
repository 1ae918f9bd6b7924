"""make lab-city: the whole of inventories/wuwei as hosts on this machine, converged and proven, with its figures.

    python tests/city [--inventory wuwei] [--keep]

Works in a project folder of its own (build/lab-city), so that no enrolment record or secret of it reaches the tree.
Prints a table, writes build/lab-city.json, and takes the lab down at its end, whatever happened (--keep leaves it up).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "lab"))

from conftest import make_project  # noqa: E402

from egovctl.paths import Inventory  # noqa: E402
from egovctl.plan import load  # noqa: E402

BIN = Path(sys.executable).parent
PORT_BASE = "39000"
UNCHANGED = ("second apply", "third apply")  # with nothing new in the plan, an apply that changes anything is a failure
TICKS = os.sysconf("SC_CLK_TCK")


def machine_cpu() -> float:
    """Seconds of processor time that the whole machine has used (user, nice, system, interrupts)."""
    words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    return sum(int(words[i]) for i in (1, 2, 3, 6, 7)) / TICKS


def memory_used() -> int:
    """MiB of the machine's memory that are neither free nor could be."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    return (int(lines["MemTotal"].split()[0]) - int(lines["MemAvailable"].split()[0])) // 1024


def steps(inventory: Path) -> list[tuple[str, list[str], tuple[int, ...]]]:
    """(name, command, exit codes that let the next step follow)."""
    egovctl, at = [sys.executable, "-m", "egovctl"], ["-i", str(inventory)]
    playbook = [str(BIN / "ansible-playbook"), *at]
    return [
        ("lab up", [*egovctl, "lab", "up", "--fresh", *at], (0,)),
        ("enrol", [*playbook, "playbooks/enrol.yml"], (0,)),
        ("first apply", [*playbook, "playbooks/site.yml"], (0,)),
        ("settle", [sys.executable, "-m", "egovctl.demo", "settle", str(inventory)], (0, 3)),
        ("second apply", [*playbook, "playbooks/site.yml"], (0,)),
        ("third apply", [*playbook, "playbooks/site.yml"], (0,)),
        ("assess", [*egovctl, "assess", "run", "as-planned", *at, "--format", "json"], (0,)),
        ("reachability", [*egovctl, "assess", "run", "as-planned", "--only", "reachability", *at], (0,)),
        ("level 3", [*egovctl, "assess", "run", "mlps-level-3", *at], (0, 1, 3)),
        ("level 3, cached", [*egovctl, "assess", "run", "mlps-level-3", "--max-age", "1h", *at], (0, 1, 3)),
    ]


def measured(name: str, command: list[str], project: Path, log: Path) -> dict[str, Any]:
    """Run one step; wall, processor time of control and of the rest of the machine, memory afterwards.

    `peak_mib` is the largest process of the step, its descendants included.
    """
    wall, cpu, own = time.monotonic(), machine_cpu(), sum(os.times()[2:4])
    with log.open("wb") as out:
        child = subprocess.Popen(command, cwd=project, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        code = child.returncode = os.waitstatus_to_exitcode(status)
    control = sum(os.times()[2:4]) - own
    return {
        "step": name,
        "exit": code,
        "wall_seconds": round(time.monotonic() - wall, 1),
        "control_cpu_seconds": round(control, 1),
        "hosts_cpu_seconds": round(machine_cpu() - cpu - control, 1),
        "memory_mib": memory_used(),
        "peak_mib": used.ru_maxrss // 1024,
    }


def changed(log: Path) -> str:
    """How many hosts a playbook changed, from its recap, and how many the look found to be as planned."""
    lines = log.read_text(errors="replace").splitlines()
    changed = sum("unreachable=" in line and "changed=0" not in line for line in lines)
    looked = next((line for line in lines if "as planned" in line), "")
    return f"{changed} hosts changed; {looked}"


def said(name: str, log: Path) -> str:
    if name.endswith("apply"):
        return changed(log)
    text = log.read_text(errors="replace")
    if name == "assess":
        start = text.find("{")
        totals = json.loads(text[start:])["totals"] if start >= 0 else {}
        return ", ".join(f"{key} {value}" for key, value in totals.items() if value)
    wanted = r"^rate " if name.startswith("level") else r"results:"
    return next((line for line in reversed(text.splitlines()) if re.search(wanted, line)), "")


def patient(plan: Path) -> None:
    """Ninety routers on two processors cannot all listen to each other five times a second: say it in the plan."""
    slower = "failover: {line_ms: 3000, tunnel_ms: 3000, multiplier: 5}\nsites:\n"
    plan.write_text(plan.read_text(encoding="utf-8").replace("\nsites:\n", f"\n{slower}", 1), encoding="utf-8")


def services(inventory: Path) -> None:
    """The operator's message centre of the plan is out of a lab's reach: its stand-in is at control. And ninety hosts
    on two processors cannot each make a backup four times an hour: once an hour, and twice what was promised."""
    _, city = load(Inventory(inventory))
    (control,) = [host.address_v4 for host in city.hosts.values() if host.role == "control"]
    path = inventory / "plan" / "services.yml"
    text = re.sub(r"(smsc: \{host: )[0-9.]+", rf"\g<1>{control}", path.read_text(encoding="utf-8"))
    begin = text.index("  - name: network-configuration\n")
    end = text.find("\n  - name:", begin)
    block = text[begin:end].replace("rpo: 1h", "rpo: 2h").replace('schedule: "*:0/15"', "schedule: hourly")
    path.write_text(text[:begin] + block + text[end:], encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inventory", default="wuwei")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    work = REPOSITORY / "build" / "lab-city"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    project = make_project(work, "lab-city", options.inventory)
    inventory = project / "inventories" / "lab-city"
    patient(inventory / "plan" / "city.yml")
    services(inventory)
    os.environ.update(
        EGOV_PROJECT=str(project),
        EGOV_LAB_PORT_BASE=PORT_BASE,
        ANSIBLE_CONFIG=str(project / "ansible.cfg"),
        LC_ALL="C.UTF-8",
        EGOV_LANG="en",
    )
    figures: list[dict[str, Any]] = []
    begun_with = memory_used()
    try:
        for name, command, good in steps(inventory):
            log = work / f"{name.replace(' ', '-')}.log"
            figure = measured(name, command, project, log)
            figures.append({**figure, "said": said(name, log)})
            print(
                f"{name:14} exit {figure['exit']}  wall {figure['wall_seconds']:7.1f} s  control "
                f"{figure['control_cpu_seconds']:6.1f} s  hosts {figure['hosts_cpu_seconds']:7.1f} s  memory "
                f"{figure['memory_mib'] - begun_with:6d} MiB  "
                f"largest {figure['peak_mib']:4d} MiB  {figures[-1]['said']}",
                flush=True,
            )
            disturbed = name in UNCHANGED and not figures[-1]["said"].startswith("0 hosts changed")
            if figure["exit"] not in good or disturbed:
                print("\n".join(log.read_text(errors="replace").splitlines()[-30:]))
                return 1
        return 0
    finally:
        result = {"inventory": options.inventory, "memory_before_mib": begun_with, "steps": figures}
        (REPOSITORY / "build" / "lab-city.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        if not options.keep:
            down = [sys.executable, "-m", "egovctl", "lab", "down", "-i", str(inventory)]
            subprocess.run(down, cwd=project, check=False, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
