"""From a panel to PromQL: a signal's recorded name, narrowed by what the page is of, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable

from egovctl.boards.model import Panel, Shown
from egovctl.render.topology import label_value


def expression(panel: Panel, shown: Shown, value: str | None) -> str:
    """What to ask for one signal of the panel; `value` is what the page is of, as a label has it.

    Grafana's `$site` is such a value as well.
    """
    text = selector(shown.signal, panel.where, value)
    if shown.as_ == "age":
        return f"time() - max(timestamp({text}))"
    if panel.changed:
        # Of the whole range, not of each of its steps: who changed is decided at its end.
        return f"{text} and changes({text}[{panel.changed}] @ end()) > 0"
    if panel.top and panel.kind == "lines":
        # The same ones over the whole range: those that are highest at its end.
        return f"{text} and topk({panel.top}, {text} @ end())"
    return f"topk({panel.top}, {text})" if panel.top else text


def selector(signal: str, label: str | None, value: str | None) -> str:
    """The signal, where the label has the value."""
    return signal if label is None else f"{signal}{{{label}={label_value(value or '')}}}"


def highest(panel: Panel, shown: Shown, value: str | None) -> str:
    """What to ask now for the rows that are highest now."""
    return f"topk({panel.top}, {selector(shown.signal, panel.where, value)})"


def of_rows(panel: Panel, shown: Shown, value: str | None, rows: Iterable[str]) -> str:
    """What to ask for these rows alone, by the first label that names a row: others are not read."""
    one_of = label_value("|".join(re.escape(row) for row in rows))
    where = f"{panel.where}={label_value(value or '')}," if panel.where is not None else ""
    return f"{shown.signal}{{{where}{panel.by[0]}=~{one_of}}}"
