"""Plant on demand: one JSON request a line on standard input, one JSON answer a line on standard output.

    {"do": "schedule"}             → {"cases": how many}
    {"do": "plant", "number": N}   → {"number", "case": what a drill is told, "commitment"}
    {"do": "reveal", "number": N}  → {"number", "label", "nonce"}, and the world is taken away

What was planted is in this process's memory only until it is asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

from egovctl.drill.calibration.seal import commitment
from egovctl.drill.planter import faults_around, faults_repository, faults_source, world
from egovctl.drill.planter.kinds import REGISTRY, Kind, Stage
from egovctl.drill.planter.world import World

LOCK_WAIT = 3
EARLIER = (1, 2, 3)
__all__ = ["faults_around", "faults_repository", "faults_source"]  # they register their kinds


class Planter:
    """The cases of one seed, in a shuffled order, so that nobody can tell a case's kind by its number."""

    def __init__(self, folder: Path, seed: int, kinds: list[str], instances: int, clean: int) -> None:
        self.folder, self.seed = folder, seed
        self.order: list[Kind | None] = [REGISTRY[name] for name in kinds for _ in range(instances)]
        self.order += [None] * clean
        Random(f"{seed} order").shuffle(self.order)
        self.sealed: dict[int, tuple[str, dict[str, Any], World]] = {}

    def plant(self, number: int) -> dict[str, Any]:
        """Build the world of a case and plant its fault, if any."""
        kind = self.order[number]
        made = world.make(Random(f"{self.seed} world {number}"), self.folder / f"case-{number}")
        made.age = made.rng.uniform(0, made.rpo / 2)
        parameters = build(made, kind)
        label = {
            "number": number,
            "seed": self.seed,
            "kind": kind.id if kind else None,
            "title": {"zh": kind.zh, "en": kind.en} if kind else {"zh": "无故障", "en": "no fault"},
            "causes": list(kind.causes) if kind else [],
            "verdict": kind.verdict if kind else "met",
            "parameters": parameters,
            "quirks": made.quirks,
        }
        nonce = secrets.token_hex(16)
        self.sealed[number] = (nonce, label, made)
        return {"number": number, "case": case_of(made), "commitment": commitment(nonce, label)}

    def reveal(self, number: int) -> dict[str, Any]:
        """Open the seal, and take the world away."""
        nonce, label, made = self.sealed.pop(number)
        made.gone.set()
        scratch = made.folder / "scratch"
        if made.scratch_octets:
            subprocess.run(["umount", "--lazy", str(scratch)], check=False)
        world.remove(made.folder)
        return {"number": number, "label": label, "nonce": nonce}


def build(made: World, kind: Kind | None) -> dict[str, Any]:
    """The backups of a world, the older ones first, with the fault planted at its stage; returns its parameters."""

    def plant(stage: Stage) -> None:
        if kind and kind.stage is stage:
            parameters.update(kind.plant(made))

    parameters: dict[str, Any] = {}
    if kind:
        kind.prepare(made)
    plant(Stage.FIRST)
    newest, named = made.age, made.hostname
    for back in range(made.rng.choice(EARLIER), 0, -1):
        made.age = newest + back * made.interval
        made.hostname = f"{named}-2019" if "renamed" in made.quirks and back > 1 else named
        made.backup()
        made.evolve()
    made.age, made.hostname = newest, named
    if "others" in made.quirks:
        made.create(next(name for name in world.SERVICES if name != made.service))
    if made.primed:
        made.prime()
    plant(Stage.SOURCE)
    made.prove()
    plant(Stage.BETWEEN)
    if not made.done:
        made.create()
    plant(Stage.AFTER)
    return parameters


def case_of(made: World) -> dict[str, Any]:
    """What a drill is told, and nothing else; the link and the scratch are set up."""
    (made.folder / "link.json").write_text(json.dumps(made.link or {}))
    scratch = made.folder / "scratch"
    scratch.mkdir(mode=0o700)
    if made.scratch_octets:
        size = f"size={made.scratch_octets}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(scratch)], check=True)
        if made.filled:
            threading.Thread(target=_fill, args=(made, scratch), daemon=True).start()
    return {
        "method": "restore-files",
        "service": made.service,
        "host": made.host,
        "paths": [str(path) for path in made.paths],
        "rto": made.rto,
        "rpo": made.rpo,
        "proof": str(made.proof),
        "location": made.location,
        "passphrase": made.passphrase,
        "base": str(made.folder / "of-control"),
        "ssh": made.ssh,
        "lock_wait": LOCK_WAIT,
        "scratch": str(scratch),
    }


def _fill(made: World, scratch: Path) -> None:
    """Take all the room once the first file is restored."""
    while not made.gone.is_set():
        if any(path.is_file() for path in scratch.rglob("*") if ".earlier" not in path.parts):
            with (scratch / "taken").open("wb") as stream:
                free = os.statvfs(scratch)
                octets = free.f_bavail * free.f_frsize
                while octets > 4096:
                    try:
                        os.posix_fallocate(stream.fileno(), stream.seek(0, 2), octets)
                    except OSError:
                        octets //= 2
            return
        time.sleep(0.002)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--instances", type=int, required=True)
    parser.add_argument("--clean", type=int, required=True)
    parser.add_argument("--kind", action="append", default=[])
    wanted = parser.parse_args()
    if unknown := [name for name in wanted.kind if name not in REGISTRY]:
        parser.error(f"unknown kinds: {', '.join(unknown)}; there are: {', '.join(REGISTRY)}")
    planter = Planter(wanted.folder, wanted.seed, wanted.kind or list(REGISTRY), wanted.instances, wanted.clean)
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "schedule":
            answer: dict[str, Any] = {"cases": len(planter.order)}
        else:
            answer = getattr(planter, request["do"])(request["number"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
