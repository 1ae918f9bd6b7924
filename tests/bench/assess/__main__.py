"""make bench-assess: what the self-assessment notices of misconfigurations planted on hosts, and Lynis beside it.

    python tests/bench/assess [--inventory NAME] [--only ID,ID] [--lynis lynis,ssg,own] [--rounds 5]
    python tests/bench/assess --to-docs build/bench-assess.json

Builds the city of inventories/lab on this machine and applies it (or takes the lab that is up, by --inventory), looks
at every host twice, then plants the seeds of seeds.yml one at a time: looks at that host, lets Lynis look, takes the
seed away. At the end the hosts must be as they were. Root, and `make .tools/.ready` for Lynis.
Docs: docs/assessment-measured.md. Exit codes: 0 measured, 1 a goal is missed or a host is not as it was, 2 wrong call.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lynis
import planting
import seed_figures
import seeds

from egovctl.checks.context import open_context
from egovctl.errors import EgovError
from egovctl.paths import Inventory

PORT_BASE = "38000"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inventory", help="a lab that is up and applied; else one is built")
    parser.add_argument("--only", default="", help="seeds by name, with commas between them")
    kinds = "whose seeds Lynis looks at, too (half a minute each and more)"
    parser.add_argument("--lynis", default="lynis,ssg,own", help=kinds)
    parser.add_argument("--rounds", type=int, default=5, help="alternating looks and audits for the costs; 0: none")
    parser.add_argument("--out", type=Path, default=seed_figures.REPOSITORY / "build" / "bench-assess.json")
    parser.add_argument("--to-docs", type=Path)
    return parser.parse_args()


@contextmanager
def city(name: str | None) -> Iterator[Inventory]:
    """The lab to plant in: one that is up, or one that is built now and taken down at the end."""
    if name:
        yield Inventory(seed_figures.REPOSITORY / "inventories" / name)
        return
    sys.path.insert(0, str(seed_figures.REPOSITORY / "tests" / "lab"))
    from conftest import CityLab, build, make_project

    build_folder = seed_figures.REPOSITORY / "build"
    build_folder.mkdir(exist_ok=True)
    # A short name: ssh keeps connections by sockets, whose paths are no longer than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="seeds-", dir=build_folder) as folder:
        project = make_project(Path(folder), "seedlab")
        os.environ |= {
            "EGOV_PROJECT": str(project),
            "EGOV_LAB_PORT_BASE": PORT_BASE,
            "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
        }
        made = CityLab(Inventory(project / "inventories" / "seedlab"), project, PORT_BASE)
        try:
            build(made)
            yield made.inventory
        finally:
            made.egovctl("lab", "down", "-i", str(made.inventory.root), check=False)


def measured(options: argparse.Namespace, chosen: list[seeds.Seed]) -> dict[str, Any]:
    """Everything, as it goes into the file of figures."""
    kinds = [word for word in options.lynis.split(",") if word]
    tools = seed_figures.REPOSITORY / ".tools" if kinds else None
    if tools and not lynis.available(tools):
        raise SystemExit("error: .tools has no lynis: run make .tools/.ready, or give --lynis ''")
    with city(options.inventory) as inventory:
        context = open_context(inventory)
        return seed_figures.about() | planting.run(context, chosen, tools, options.rounds, kinds)


def main() -> int:
    options = arguments()
    if options.to_docs:
        seed_figures.write_page(json.loads(options.to_docs.read_text(encoding="utf-8")))
        return 0
    wanted = {name for name in options.only.split(",") if name}
    chosen = [seed for seed in seeds.read() if not wanted or seed.id in wanted]
    if strange := wanted - {seed.id for seed in chosen}:
        print(f"error: there is no seed {sorted(strange)[0]}", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("error: only root can plant in a lab", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a seed is taken away, and the lab down
    try:
        results = measured(options, chosen)
    except EgovError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(seed_figures.table(results))
    goals = seed_figures.goals(results)
    print("\n".join(map(str, goals)))
    return 0 if all(goal.met for goal in goals) and not results["left_behind"] else 1


if __name__ == "__main__":
    sys.exit(main())
