"""make bench-converge: bringing many hosts to many files, ours against Ansible, mitogen and pyinfra, in one lab.

    python tests/bench/converge --hosts 12 [--rounds 3] [--slow-rounds 1] [--only ours,pyinfra-bulk] [--keep | --reuse]
    python tests/bench/converge --to-docs build/bench-converge-*.json

All bring the same rendered files, at least 30 a host, to the same hosts, with what follows from them; the result is
compared with what was asked for after each run, and a contender whose result differs is disqualified. Docs:
docs/measured.md. Exit codes: 0 measured, 1 somebody was disqualified, 2 wrong call, 3 the lab could not be made.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import city
import contenders
import hosts
import measure
import peers
import report
from contenders import Arena, Contender
from desired import Wanted, wanted_hosts, write_for_peers

from egovctl.paths import Inventory
from egovctl.render import render_city
from egovctl.render.enrolled import CONTROL

WORK = city.REPOSITORY / "build" / "bench"
PORT_BASE = "48000"
# What changes nothing takes seconds, and a moment's other work on the machine shows in it: measured several times.
REPEATED, REPEATS = ("unchanged", "cold"), 3
VERSIONS = {"a": 1, "b": 2}  # which line stands in chrony.conf
# A lab at rest uses some processor time too, the more the larger it is: quiet is not much more than that.
QUIET_MARGIN, QUIET_SECONDS = 0.3, 60  # of one core, for a second; and how long that is waited for
REST_SECONDS = 20


class NoLab(Exception):
    """The lab could not be brought to where the measurements begin."""


def step(name: str, argv: list[str], project: Path, good: Collection[int] = (0,), tries: int = 1) -> None:
    """Run one command of the product, again if it fails and `tries` says so; NoLab with its last words."""
    print(f"== {name}", flush=True)
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode not in good:
        if tries > 1:
            return step(name, argv, project, good, tries - 1)
        raise NoLab(f"{name} exited {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")


def build_city(count: int) -> Inventory:
    """Boot, enrol, apply, settle; then keep both versions of what is rendered."""
    inventory = city.lay_out(WORK, count)
    least = min(len(host.files) for name, host in render_city(inventory).hosts.items() if name != CONTROL)
    city.add_extra_files(WORK, max(0, city.FILES_A_HOST - least))
    city.change_a_line(WORK, VERSIONS["a"])
    egovctl, at = [sys.executable, "-m", "egovctl"], ["-i", str(inventory.root)]
    playbook = [str(contenders.BIN / "ansible-playbook"), *at]
    step("lab up", [*egovctl, "lab", "up", "--fresh", *at], WORK)
    step("enrol", [*playbook, "playbooks/enrol.yml"], WORK, tries=2)
    step("site", [*playbook, "playbooks/site.yml"], WORK, tries=2)
    step("settle", [sys.executable, "-m", "egovctl.demo", "settle", str(inventory.root)], WORK, good=(0, 3))
    for version in ("b", "a"):  # a last: it is what stands in build/
        city.change_a_line(WORK, VERSIONS[version])
        step(f"render {version}", [*egovctl, "render", *at], WORK)
        shutil.copytree(inventory.build, WORK / "build" / version)
    return inventory


def cores_in_use(inventory: Inventory, seconds: float) -> float:
    """What the lab's hosts use, or all of the machine where they are not counted apart."""

    def used() -> float:
        lab = measure.lab_cpu(inventory.name)
        return measure.machine_cpu() if lab is None else lab

    before, begun = used(), time.monotonic()
    time.sleep(seconds)
    return (used() - before) / (time.monotonic() - begun)


def wait_for_quiet(inventory: Inventory, at_rest: float) -> None:
    """Until the lab's hosts have done what the last run left them to do; not for ever."""
    limit = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < limit and cores_in_use(inventory, 1) > at_rest + QUIET_MARGIN:
        pass


def block(
    arena: Arena, contender: Contender, number: int, wanted: Mapping[str, Mapping[str, Wanted]], at_rest: float
) -> Iterator[dict[str, Any]]:
    """One contender's part of a round: reset, then each phase with a look at its result."""
    log = WORK / f"{contender.name}.log"
    commands = {
        version: contenders.prepare(arena, contender, version, wanted[version], WORK / "build" / version)
        for version in VERSIONS
    }
    city.change_a_line(WORK, VERSIONS["a"])
    if not arena.converged:
        hosts.reset(arena.inventory, wanted["a"])
    for version, phase in (("a", "first"), ("a", "unchanged"), ("a", "cold"), ("b", "changed")):
        if phase == "cold" and contender.slow:
            continue  # the connections are a small part of it
        command = commands[version]
        city.change_a_line(WORK, VERSIONS[version])
        if phase == "first" and arena.converged:  # not counted: brings the hosts to this program's own bookkeeping
            measure.measured(command.argv, command.cwd, command.environment, log, arena.inventory.name)
            continue
        before = hosts.look(arena.inventory, wanted[version])
        wait_for_quiet(arena.inventory, at_rest)
        runs = []
        for _ in range(REPEATS if phase in REPEATED and not contender.slow else 1):
            if phase in ("first", "cold"):
                contenders.hang_up(command)
            runs.append(measure.measured(command.argv, command.cwd, command.environment, log, arena.inventory.name))
        after = hosts.look(arena.inventory, wanted[version])
        faults = hosts.wrong(wanted[version], after)
        faults += hosts.touched(before, after) if phase in REPEATED else []
        for run in runs:
            failed = [f"exit code {run.code}, see {log}"] if run.code else []
            all_of_them = failed + faults
            more = f" (and {len(all_of_them) - 1} more)" if len(all_of_them) > 1 else ""
            yield {
                "contender": contender.name,
                "phase": phase,
                "round": number,
                **asdict(run),
                "wrong": all_of_them[0] + more if all_of_them else "",
            }
    contenders.hang_up(commands["b"])
    contenders.forget(arena, contender)


def measure_all(arena: Arena, chosen: list[Contender], rounds: int, slow_rounds: int) -> dict[str, Any]:
    """All rounds, each beginning with another contender; what there is so far is kept after each contender's part."""
    wanted = {version: wanted_hosts(arena.inventory, WORK / "build" / version) for version in VERSIONS}
    for version, found in wanted.items():
        write_for_peers(found, arena.private / version)
    at_rest = cores_in_use(arena.inventory, REST_SECONDS)
    print(f"the lab at rest uses {at_rest:.2f} cores", flush=True)
    result = {**about(wanted["a"], chosen), "cores_at_rest": round(at_rest, 2), "runs": []}
    for number in range(rounds):
        present = [item for item in chosen if number < (slow_rounds if item.slow else rounds)]
        first = number % len(present) if present else 0
        for contender in present[first:] + present[:first]:
            for run in block(arena, contender, number, wanted, at_rest):
                print(
                    f"round {number + 1} {contender.name:15} {run['phase']:10} {run['wall']:7.1f} s  "
                    f"controller {run['controller']:6.1f}  hosts {run['hosts']:6.1f}  {run['wrong']}",
                    flush=True,
                )
                result["runs"].append(run)
            report.save(result)
    return result


def about(wanted: Mapping[str, Wanted], chosen: list[Contender]) -> dict[str, Any]:
    """What is kept beside the runs."""
    sizes = [len(host.files) for host in wanted.values()]
    revision = subprocess.run(
        ["git", "-C", str(city.REPOSITORY), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "hosts": len(wanted),
        "cpus": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
        "revision": revision,
        "files": {"least": min(sizes), "most": max(sizes), **hosts.reset_counts(wanted)},
        "contenders": {
            item.name: {"form": item.form, "unproven": item.unproven, "bulk": item.bulk, "version": versions(item)}
            for item in chosen
        },
    }


def versions(contender: Contender) -> str:
    """What was run, with its version."""
    if contender.name.startswith(contenders.OURS):
        return ""
    binary = peers.environment(contender.peer) if contender.peer else contenders.BIN
    names = {"pyinfra": ["pyinfra"], "mitogen": ["mitogen", "ansible-core"], "": ["ansible-core"]}[contender.peer]
    return "(" + ", ".join(f"{name} {peers.version(binary, name)}" for name in names) + ")"


@contextmanager
def private_folder() -> Iterator[Path]:
    """For files with their secrets put in: 0700, outside the tree, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="egov-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/converge")
    parser.add_argument("--hosts", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-rounds", type=int, default=1, help="of what goes file by file over Ansible")
    parser.add_argument("--only", default="", help="names of contenders, with commas")
    parser.add_argument("--wait", action="store_true", help="pyinfra without --no-wait")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    parser.add_argument("--reuse", action="store_true", help="measure in the lab that --keep left up")
    parser.add_argument("--converged", action="store_true", help="leave the first run out (with --reuse)")
    parser.add_argument("--to-docs", nargs="+", type=Path, metavar="JSON")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.to_docs:
        report.to_docs(options.to_docs)
        return 0
    names = [name for name in options.only.split(",") if name] or [item.name for item in contenders.ALL]
    known = {item.name: item for item in contenders.ALL}
    if strange := [name for name in names if name not in known]:
        print(f"no contender {', '.join(strange)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("the lab needs root", file=sys.stderr)
        return 2
    chosen = [known[name] for name in names]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that files with secrets are deleted, and the lab goes
    os.environ.setdefault("EGOV_LAB_PORT_BASE", PORT_BASE)
    os.environ.update(
        EGOV_PROJECT=str(WORK), ANSIBLE_CONFIG=str(WORK / "ansible.cfg"), LC_ALL="C.UTF-8", EGOV_LANG="en"
    )
    for peer in {item.peer for item in chosen if item.peer}:
        peers.environment(peer)
    inventory = Inventory(WORK / "inventories" / city.NAME)
    try:
        if not options.reuse:
            inventory = build_city(options.hosts)
        with private_folder() as private:
            arena = Arena(inventory, WORK, private, no_wait=not options.wait, converged=options.converged)
            result = measure_all(arena, chosen, options.rounds, options.slow_rounds)
        print(f"{report.terminal(result)}\n-> {report.save(result)}")
        return 1 if any(run["wrong"] for run in result["runs"]) else 0
    except NoLab as problem:
        print(problem, file=sys.stderr)
        return 3
    finally:
        if not (options.keep or options.reuse):
            down = [sys.executable, "-m", "egovctl", "lab", "down", "-i", str(inventory.root)]
            subprocess.run(down, cwd=WORK, check=False, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
