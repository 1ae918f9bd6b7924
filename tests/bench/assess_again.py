"""What an assessment costs again, when nothing is asked: a city's plan, and hosts that answered as one good host.

    python tests/bench/assess_again.py [--inventory wuwei] [--rounds 3]

Hosts and all other collectors are played, so that only control's own work is measured: reading what is kept, judging,
scoring, recording. `alike`: all hosts say the same, and share all rulings. `real`: a fifth of the judgements are of
their own, as on the lab's 13 hosts (231 of 1,209). `apart`: no two judgements share a ruling. Each is measured when its
rulings are first made, and again; `changed` is `real` when one judgement in ten is of other facts than before.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
import good_hosts

from egovctl.assess.run import run_standard
from egovctl.checks import rulings
from egovctl.checks.collect import COLLECTORS, facts
from egovctl.checks.context import open_context
from egovctl.evidence import open_chain
from egovctl.paths import Inventory

REPOSITORY = Path(__file__).resolve().parents[2]


OWN = {"alike": 0.0, "real": 231 / 1209, "changed": 231 / 1209, "apart": 1.0}  # share of the judgements of their own
CHANGED = 0.1


def differing(own: float, changed: float) -> None:
    """So many judgements are of their own, the same in each run, and so many of something that never was before."""
    plain, chance = rulings.Rulings._key, random.Random(1)

    def key(self: rulings.Rulings, content: str, paths: Any, facts: Any) -> str:
        salt = f" {chance.random()}" if chance.random() < own else ""
        salt += f" {time.time_ns()}" if chance.random() < changed else ""
        return plain(self, content, paths, facts) + salt

    rulings.Rulings._key = key  # type: ignore[method-assign]


def played(inventory: Any, host: str, program: str, params: Any, **_: Any) -> Any:
    groups = {name: {"at": time.time(), "answers": good_hosts.fresh(name)} for name in params["groups"]}
    return {"protocol": 1, "at": time.time(), "cpu": 1.5, "groups": groups}


def nothing_amiss(context: Any, requests: list[Any]) -> list[dict[str, Any]]:
    return [{subject: {"planned": {}, "seen": {}} for subject in request.subjects} for request in requests]


def once(inventory: str, state: Path, max_age: timedelta | None, own: float, changed: float) -> None:
    """One assessment in this process; prints its processor time, and the memory at most."""
    import resource

    facts.transport.run_python = played
    COLLECTORS.update(dict.fromkeys(set(COLLECTORS) - {"facts", "registers"}, nothing_amiss))
    Inventory.state = property(lambda self: state)  # type: ignore[assignment]
    differing(own, changed)
    context = open_context(Inventory(REPOSITORY / "inventories" / inventory))
    begun, used = time.monotonic(), time.process_time()
    done = run_standard(
        context, "mlps-level-3", open_chain(context.inventory, context.city.plan_revision), max_age=max_age
    )
    assert bool(done.recalled) == bool(max_age), "nothing was kept"
    print(
        f"{len(done.results)} results, {len(done.reused)} hosts not asked: {time.monotonic() - begun:.1f} s, "
        f"{time.process_time() - used:.1f} s of CPU, the whole process {time.process_time():.1f} s, "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inventory", default="wuwei")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", nargs=2, metavar=("STATE", "WHAT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        state, what = options.once
        of = what.removeprefix("first ")
        age = None if what != of else timedelta(hours=1)
        once(options.inventory, Path(state), age, OWN[of], CHANGED if what == "changed" else 0.0)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for of in OWN:
            (Path(folder) / of).mkdir()
            for what in (f"first {of}", *[of] * options.rounds):
                print(f"{what}: ", end="", flush=True)
                command = [sys.executable, __file__, "--inventory", options.inventory, "--once", f"{folder}/{of}", what]
                subprocess.run(command, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
