"""Reading dashboards/boards/*.yml, with file and line for whatever is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from egovctl.boards.model import WALL_PANELS, Board, BoardFile, Panel
from egovctl.i18n import tr
from egovctl.plan.sentences import sentences
from egovctl.plan.source import KeyPath, PlanError, read_source
from egovctl.signals.model import Signal

# Pages that people go through, in this order; whatever else there is follows by name.
ORDER = (
    *("wall", "map", "changes", "county", "site", "link"),
    *("backups", "services", "websites", "checks", "assessment", "exporters"),
)


def read_boards(dashboards: Path, catalogue: Mapping[str, Signal]) -> dict[str, Board]:
    """All boards by name, in the order of ORDER; PlanError, one sentence a fault."""
    found: dict[str, Board] = {}
    faults: list[str] = []
    for path in sorted((dashboards / "boards").glob("*.yml")):
        source = read_source(path)
        try:
            board = BoardFile.model_validate(source.data)
        except ValidationError as error:
            faults += sentences(source, error)
            continue
        faults += [f"{source.at(where)}: {sentence}" for where, sentence in _wrong(path.stem, board, catalogue)]
        found[path.stem] = Board(name=path.stem, **{key: getattr(board, key) for key in BoardFile.model_fields})
    if faults:
        raise PlanError(faults)
    places = {name: number for number, name in enumerate(ORDER)}
    return dict(sorted(found.items(), key=lambda item: (places.get(item[0], len(places)), item[0])))


def _wrong(name: str, board: BoardFile, catalogue: Mapping[str, Signal]) -> Iterator[tuple[KeyPath, str]]:
    seen: set[str] = set()
    for i, panel in enumerate(board.panels):
        if panel.name in seen:
            yield (
                ("panels", i, "name"),
                tr(f"面板 {panel.name} 写了两次", f"panel {panel.name} is there twice"),
            )
        seen.add(panel.name)
        if panel.where and not board.of:
            yield (
                ("panels", i, "where"),
                tr(
                    f"面板 {panel.name} 有 where，而本页不针对任何对象（缺 of）",
                    f"panel {panel.name} has where, and the page is of nothing (it has no of)",
                ),
            )
        yield from _signals_wrong(i, panel, catalogue)
    if name == "wall" and len(board.panels) > WALL_PANELS:
        yield (
            ("panels",),
            tr(f"大屏最多 {WALL_PANELS} 个面板", f"the wall has {WALL_PANELS} panels at most"),
        )


def _signals_wrong(i: int, panel: Panel, catalogue: Mapping[str, Signal]) -> Iterator[tuple[KeyPath, str]]:
    for j, shown in enumerate(panel.show):
        for key, signal in (("signal", shown.signal), ("of", shown.of)):
            if signal is not None and signal not in catalogue:
                yield (
                    ("panels", i, "show", j, key),
                    tr(
                        f"面板 {panel.name} 的信号 {signal} 不在任何 signals.yml 中",
                        f"panel {panel.name} shows signal {signal}, which no signals.yml has",
                    ),
                )
            elif signal is not None and catalogue[signal].unit == "state" and not catalogue[signal].states:
                yield (
                    ("panels", i, "show", j, key),
                    tr(
                        f"面板 {panel.name} 的信号 {signal} 是状态，却没有 states 说明各值",
                        f"panel {panel.name} shows signal {signal}, a state without the words of its values (states)",
                    ),
                )
