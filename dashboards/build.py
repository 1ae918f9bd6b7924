"""Make dashboards/out/ from the rooms and boards beside this file: `python dashboards/build.py`, or with --check.

out/*.rules.yml are Prometheus' rules, out/grafana/*.json Grafana's dashboards. What is made depends on no city and is
committed; a room whose alerts.yml holds Prometheus' own rules is taken as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from egovctl.boards import read_boards
from egovctl.boards.grafana import dashboard_of, drawn
from egovctl.boards.look import LANGUAGES
from egovctl.errors import EgovError
from egovctl.signals import plain_rules, read_catalogue, read_room, read_signals, records_of, rules_of

HERE = Path(__file__).resolve().parent
HEADER = "# Made by dashboards/build.py from dashboards/{room}. Change those files and build again.\n"


def rooms() -> list[Path]:
    """The folders that have alerts."""
    return sorted(path.parent for path in HERE.glob("*/alerts.yml"))


def text_of(folder: Path) -> str:
    """What out/<room>.rules.yml shall say; PlanError with file and line for a bad room."""
    plain = plain_rules(folder)
    data: dict[str, Any] = rules_of(read_room(folder)) if plain is None else plain
    if plain is not None and (signals := read_signals(folder)):
        data = {**plain, "groups": [records_of(folder.name, signals), *plain["groups"]]}
    body = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=100_000)
    return HEADER.format(room=folder.name) + body


def wanted_files() -> dict[Path, str]:
    """Every file of out/ with what it shall say; PlanError for a bad room or board."""
    wanted = {HERE / "out" / f"{folder.name}.rules.yml": text_of(folder) for folder in rooms()}
    catalogue = read_catalogue(HERE)
    boards = read_boards(HERE, catalogue)
    for name, board in boards.items():
        if drawn(board):
            for lang in LANGUAGES:
                wanted[HERE / "out/grafana" / f"{name}.{lang}.json"] = dashboard_of(board, boards, catalogue, lang)
    return wanted


def main(arguments: list[str]) -> int:
    """0 when all is written (or, with --check, current), 1 when --check finds something old, 2 for a bad room."""
    try:
        wanted = wanted_files()
    except EgovError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    there = {*(HERE / "out").glob("*.rules.yml"), *(HERE / "out/grafana").glob("*.json")}
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
