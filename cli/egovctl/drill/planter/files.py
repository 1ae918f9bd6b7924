"""Worlds of files: a host's data in a borg repository, with the fault planted at its stage."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from egovctl.drill.planter import world
from egovctl.drill.planter.family import Made
from egovctl.drill.planter.kinds import Kind, Stage
from egovctl.drill.planter.world import World

LOCK_WAIT = 3
EARLIER = (1, 2, 3)


@dataclass
class OfFiles(Made):
    """`gone` ends whoever fills its scratch."""

    mounted: Path | None = None
    gone: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        self.gone.set()
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.mounted)], check=False)


class Files:
    """The family."""

    def make(self, rng: Random, folder: Path, kind: Kind | None) -> Made:
        made = world.make(rng, folder)
        made.age = rng.uniform(0, made.rpo / 2)
        result = OfFiles(build(made, kind), made.quirks)
        scratch = folder / "scratch"
        scratch.mkdir(mode=0o700)
        (folder / "link.json").write_text(json.dumps(made.link or {}))
        if made.scratch_octets:
            size = f"size={made.scratch_octets}"
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(scratch)], check=True)
            result.mounted = scratch
            if made.filled:
                threading.Thread(target=_fill, args=(result.gone, scratch), daemon=True).start()
        result.case = case_of(made, scratch)
        return result

    def close(self) -> None:
        """Nothing is shared."""


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


def case_of(made: World, scratch: Path) -> dict[str, Any]:
    """What a drill is told, and nothing else."""
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


def _fill(gone: threading.Event, scratch: Path) -> None:
    """Take all the room once the first file is restored."""
    while not gone.is_set():
        if any(path.is_file() for path in scratch.rglob("*")):
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
