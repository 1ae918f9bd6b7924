"""The seeds: misconfigurations, how each is planted on a host of the lab, and how it is taken away again."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("seeds.yml")
KEEP = "/run/egov-seed"  # where a host's files wait meanwhile
SOURCE = re.compile(r"own|lynis:[A-Z]{3,4}-\d{4}|ssg:[a-z0-9_]+")


@dataclass(frozen=True)
class Seed:
    """One misconfiguration. `files` are kept before it is planted and put back before `undo` runs."""

    id: str
    what: str
    source: str
    area: str
    host: str
    plant: str
    undo: str = ""
    files: tuple[str, ...] = ()

    @property
    def planting(self) -> str:
        """The shell program, run by root on the host, that plants it."""
        lines = ["set -eu", f"rm -rf {KEEP}", f"mkdir -m 700 {KEEP}"]
        for number, path in enumerate(map(shlex.quote, self.files)):
            lines.append(f"if [ -e {path} ]; then cp -a {path} {KEEP}/{number}; fi")
        return "\n".join([*lines, self.plant, ""])

    @property
    def removal(self) -> str:
        """The shell program that takes it away; what could not be planted whole is taken away whole."""
        lines = []
        for number, path in enumerate(map(shlex.quote, self.files)):
            kept = f"{KEEP}/{number}"
            # Put in place by one rename, so that a program that reads it meanwhile finds a whole file.
            lines.append(f"if [ -d {kept} ] || [ ! -e {kept} ]; then rm -rf {path}; fi")
            lines.append(f"if [ -e {kept} ]; then cp -a {kept} {path}.seed && mv -fT {path}.seed {path}; fi")
        return "\n".join([*lines, self.undo, f"rm -rf {KEEP}", ""])


def read(path: Path = FILE) -> list[Seed]:
    """All seeds of the file. ValueError for one that is told wrongly or twice."""
    found: list[Seed] = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["seeds"]:
        found.append(_seed(entry))
    names = [seed.id for seed in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{path.name}: {sorted(twice)[0]} is there twice")
    return found


def _seed(entry: dict[str, Any]) -> Seed:
    seed = Seed(**{**entry, "files": tuple(entry.get("files", ()))})
    if not SOURCE.fullmatch(seed.source):
        raise ValueError(f"{seed.id}: its source {seed.source!r} is none")
    if not (seed.files or seed.undo):
        raise ValueError(f"{seed.id}: nothing says how it is taken away")
    return seed
