"""Make dashboards/out/*.rules.yml from the rooms beside this file: `python dashboards/build.py`, or with --check.

What is made depends on no city and is committed; a room whose alerts.yml holds Prometheus' own rules is taken as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from egovctl.errors import EgovError
from egovctl.signals import plain_rules, read_room, rules_of

HERE = Path(__file__).resolve().parent
HEADER = "# Made by dashboards/build.py from dashboards/{room}. Change those files and build again.\n"


def rooms() -> list[Path]:
    """The folders that have alerts."""
    return sorted(path.parent for path in HERE.glob("*/alerts.yml"))


def text_of(folder: Path) -> str:
    """What out/<room>.rules.yml shall say; PlanError with file and line for a bad room."""
    plain = plain_rules(folder)
    data: dict[str, Any] = rules_of(read_room(folder)) if plain is None else plain
    body = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=100_000)
    return HEADER.format(room=folder.name) + body


def main(arguments: list[str]) -> int:
    """0 when all is written (or, with --check, current), 1 when --check finds something old, 2 for a bad room."""
    try:
        wanted = {HERE / "out" / f"{folder.name}.rules.yml": text_of(folder) for folder in rooms()}
    except EgovError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    there = set((HERE / "out").glob("*.rules.yml"))
    old = [path for path, text in wanted.items() if path not in there or path.read_text(encoding="utf-8") != text]
    left = sorted(there - set(wanted))
    if "--check" in arguments:
        for path in [*old, *left]:
            print(f"{path.relative_to(HERE.parent)}: not as the rooms say; run python dashboards/build.py")
        return 1 if old or left else 0
    for path in old:
        path.parent.mkdir(exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    for path in left:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
