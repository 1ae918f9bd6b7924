"""Who restores, how it is measured, and whether what came back is right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from data import HOST, PASSPHRASE, SERVICE, Data, digest_of, settle

NEWEST = f"{SERVICE}-2026-01-02T00:00:00"
SAMPLE_SECONDS = 0.5  # looking holds up who is looked at: at 20 times a second the drill took twice as long
DRILL = """
import json, sys
from pathlib import Path
from egovctl.drill.borg import Repository
from egovctl.drill.judging import Promise
from egovctl.drill.model import Target
from egovctl.drill.restore_files import restore_files
repository, base, source, scratch, proof, passphrase, service, host = sys.argv[1:]
item = restore_files(
    Repository(repository, passphrase, Path(base)), Target(service, host), (source,), Promise(3600, 10**9),
    Path(scratch), lambda text: None, proof=proof,
)
print(json.dumps([item.verdict, item.files_compared, item.phases, [reason["en"] for reason in item.reasons]]))
"""


def measured(data: Data, rounds: int) -> list[dict[str, Any]]:
    """Every contender once a round, in turn, the first one changing with the round."""
    names = [
        "borg extract",
        "drill",
        *(["restic restore", "restic restore --verify"] if shutil.which("restic") else []),
    ]
    found = []
    for number in range(rounds):
        shift = number % len(names)
        for name in [*names[shift:], *names[:shift]]:
            one = _once(data, name)
            found.append(one)
            print(
                f"  {number + 1} {name}: {one['wall_s']:.2f} s, {one['cpu_s']:.2f} s CPU, {one['peak_mib']:.0f} MiB",
                flush=True,
            )
    return found


def _once(data: Data, name: str) -> dict[str, Any]:
    into = data.folder / "restored"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    settle()
    argv, cwd = _argv(data, name, into)
    load, before = round(os.getloadavg()[0], 2), os.times()
    begun = time.monotonic()
    with subprocess.Popen(
        argv, cwd=cwd, env=data.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        peak = _watch(process)
        out, said = process.communicate()
    wall = time.monotonic() - begun
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    fault = said.decode("utf-8", "replace")[-500:] if process.returncode else _fault(data, name, into, out)
    phases = json.loads(out)[2] if name == "drill" and not process.returncode else {}
    figures = {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "peak_mib": round(peak / 1024, 1), "load": load}
    return {"name": name, **figures, "phases": phases, "fault": fault}


def _argv(data: Data, name: str, into: Path) -> tuple[list[str], Path]:
    match name.split():
        case ["borg", _]:
            return ["borg", "extract", f"{data.repository}::{NEWEST}"], into
        case ["drill"]:
            paths = [data.repository, data.folder / "base", data.source, into, data.proof]
            return [sys.executable, "-c", DRILL, *map(str, paths), PASSPHRASE, SERVICE, HOST], data.folder
        case [_, _, *verify]:
            return ["restic", "-q", "restore", "latest", "--target", str(into), *verify], data.folder
    raise ValueError(name)


def _fault(data: Data, name: str, into: Path, out: bytes) -> str:
    """What is wrong with a result; "" when nothing is."""
    if name == "drill":
        verdict, compared, _, reasons = json.loads(out)
        left = list(into.iterdir())
        return "" if (verdict, compared, left) == ("met", data.files, []) else f"{verdict}, {compared} files, {reasons}"
    restored = into / str(data.source).lstrip("/")
    return "" if digest_of(restored) == data.digest else "what came back is not the source"


def _watch(process: subprocess.Popen[bytes]) -> int:
    """The highest memory of a process and all below it, in KiB, by their proportional shares."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_share, _below(process.pid))))
        time.sleep(SAMPLE_SECONDS)
    return peak


def _below(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


def _share(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
