"""Two libraries for scale: fetch and decode only, of one 48-port switch, each in an environment of the bench's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from agents import PORTS, SMALL, mibs
from cases import Bench, Different
from figures import REPOSITORY
from fleet import HERE
from mib import Mib
from rivals import BANDWIDTH, FULL, OURS

from egov_exporters.snmp.oid import dotted
from egov_exporters.snmp.profiles import load_profiles

NAMES = ("pysnmp", "gufo-snmp")
LOCK = HERE / "requirements-libraries.lock"
ENVIRONMENT = REPOSITORY / ".tools" / "bench-snmp-libraries"


def environment() -> Path:
    """The Python of their environment, made from the lock at first use."""
    mark = ENVIRONMENT / ".ready"
    if not mark.is_file() or mark.read_bytes() != LOCK.read_bytes():
        print("== Python environment of the libraries", flush=True)
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        pip = [str(ENVIRONMENT / "bin" / "pip"), "install", "-qq", "--require-hashes", "-r", str(LOCK)]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        shutil.copyfile(LOCK, mark)
    return ENVIRONMENT / "bin" / "python"


def columns(module: str) -> list[str]:
    """The columns that a module reads, as a library's user would list them."""
    (table,) = load_profiles()[module].tables
    return sorted(dotted(one.oid) for one in (*table.columns, *table.labels))


def compare(bench: Bench) -> dict[str, Any]:
    """ms of processor time of each; Different when one of them did not read every value as it is."""
    python = environment()
    bench.fleet.tell("freeze")
    found: dict[str, Any] = {}
    try:
        for name in NAMES:
            found[name] = {}
            for module in (FULL, BANDWIDTH):
                target = next(bench.new_targets(SMALL))
                found[name][module] = _run(python, name, target, module, bench.rounds)
            print(f"  {name}: " + ", ".join(f"{module} {ms:.1f} ms" for module, ms in found[name].items()), flush=True)
    finally:
        bench.fleet.tell("thaw")
    return {"found": found}


def _run(python: Path, name: str, target: str, module: str, rounds: int) -> float:
    wanted = columns(module)
    argv = [str(python), str(HERE / "library_walk.py"), name, target, OURS, str(rounds), *wanted]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    if said.returncode:
        raise Different(f"{name}: {said.stderr[-1000:]}")
    answer = json.loads(said.stdout)
    still = _still(mibs()[SMALL], wanted)
    if answer["cells"] != len(wanted) * PORTS[SMALL] or any(answer["still"].get(oid) != text for oid, text in still):
        raise Different(f"{name} did not read all of {module} as it is: {answer['cells']} values")
    return float(answer["cpu_ms"])


def _still(holder: Mib, wanted: list[str]) -> list[tuple[str, str]]:
    """Numbers that do not move, by OID: what a library must have read."""
    pairs = ((dotted(oid), value) for oid, value in zip(holder.oids, holder.values, strict=True))
    return [
        (oid, str(value.start))
        for oid, value in pairs
        if isinstance(value.start, int) and not value.rate and oid.rpartition(".")[0] in wanted
    ]
