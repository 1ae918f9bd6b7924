"""Plant on demand: one JSON request a line on standard input, one JSON answer a line on standard output.

    {"do": "schedule"}             → {"cases": how many}
    {"do": "plant", "number": N}   → {"number", "case": what a drill is told, "commitment"}
    {"do": "reveal", "number": N}  → {"number", "label", "nonce"}, and the world is taken away

What was planted is in this process's memory only until it is asked for. It ends with its standard input.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Any

from egovctl.drill.calibration.seal import commitment
from egovctl.drill.planter import (
    faults_around,
    faults_cluster,
    faults_database,
    faults_repository,
    faults_source,
    world,
)
from egovctl.drill.planter.bench import missing
from egovctl.drill.planter.databases import Dumps, Mariadb, Postgresql
from egovctl.drill.planter.family import DUMPS, MARIADB, POSTGRESQL, Family, Made
from egovctl.drill.planter.files import Files
from egovctl.drill.planter.kinds import FILES, REGISTRY, Kind
from egovctl.drill.printable import printable
from egovctl.i18n import tr

__all__ = [
    "faults_around",
    "faults_cluster",
    "faults_database",
    "faults_repository",
    "faults_source",
]  # they register their kinds


class Planter:
    """The cases of one seed, in a shuffled order, so that nobody can tell a case's kind by its number.

    Clean cases are of the same families as the kinds, in their proportion.
    """

    def __init__(self, folder: Path, seed: int, kinds: Sequence[Kind], instances: int, clean: int) -> None:
        self.folder, self.seed = folder, seed
        rng = Random(f"{seed} order")
        self.order: list[tuple[str, Kind | None]] = [(kind.family, kind) for kind in kinds for _ in range(instances)]
        self.order += [(rng.choice(kinds).family if kinds else FILES, None) for _ in range(clean)]
        rng.shuffle(self.order)
        self.families: dict[str, Family] = {
            FILES: Files(),
            POSTGRESQL: Postgresql(),
            MARIADB: Mariadb(),
            DUMPS: Dumps(),
        }
        self.sealed: dict[int, tuple[str, dict[str, Any], Made]] = {}

    def plant(self, number: int) -> dict[str, Any]:
        """Build the world of a case and plant its fault, if any."""
        family, kind = self.order[number]
        made = self.families[family].make(Random(f"{self.seed} world {number}"), self.folder / f"case-{number}", kind)
        label = {
            "number": number,
            "seed": self.seed,
            "family": family,
            "kind": kind.id if kind else None,
            "title": {"zh": kind.zh, "en": kind.en} if kind else {"zh": "无故障", "en": "no fault"},
            "causes": [cause.value for cause in kind.causes] if kind else [],
            "verdict": kind.verdict if kind else "met",
            "parameters": printable(made.parameters),
            "quirks": made.quirks,
        }
        nonce = secrets.token_hex(16)
        self.sealed[number] = (nonce, label, made)
        return {"number": number, "case": made.case, "commitment": commitment(nonce, label)}

    def reveal(self, number: int) -> dict[str, Any]:
        """Open the seal, and take the world away."""
        nonce, label, made = self.sealed.pop(number)
        made.close()
        world.remove(self.folder / f"case-{number}")
        return {"number": number, "label": label, "nonce": nonce}

    def close(self) -> None:
        """Let go of what the worlds share."""
        for family in self.families.values():
            family.close()


def chosen(patterns: Sequence[str]) -> list[Kind]:
    """The kinds that these patterns name, all without any; ValueError, with a sentence, when one names none."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in REGISTRY):
            there = ", ".join(REGISTRY)
            raise ValueError(
                tr(f"未知的故障类型 {pattern}；现有：{there}", f"unknown kinds: {pattern}; there are: {there}")
            )
    found = [kind for name, kind in REGISTRY.items() if not patterns or any(fnmatchcase(name, one) for one in patterns)]
    if any(kind.family != FILES for kind in found) and (lacking := missing()):
        names = ", ".join(kind.id for kind in found if kind.family == FILES)
        raise ValueError(
            tr(
                f"数据库类故障需要 {lacking}；文件类不需要：{names}",
                f"kinds of databases need {lacking}; those of files do not: {names}",
            )
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--instances", type=int, required=True)
    parser.add_argument("--clean", type=int, required=True)
    parser.add_argument("--kind", action="append", default=[])
    wanted = parser.parse_args()
    try:
        kinds = chosen(wanted.kind)
    except ValueError as error:
        parser.error(str(error))
    planter = Planter(wanted.folder, wanted.seed, kinds, wanted.instances, wanted.clean)
    try:
        for line in sys.stdin:
            request = json.loads(line)
            if request["do"] == "schedule":
                answer: dict[str, Any] = {"cases": len(planter.order)}
            else:
                answer = getattr(planter, request["do"])(request["number"])
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        planter.close()


if __name__ == "__main__":
    main()
