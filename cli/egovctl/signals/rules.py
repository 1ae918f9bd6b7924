"""From a room to Prometheus' rules: signals are recorded first, then the alerts that read them, in one group.

In one group everything is reckoned in this order and at one time: an alert never sees a parent's state from before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from egovctl.signals.model import COMPARE, QUIET, Alert, Room, Signal
from egovctl.signals.texts import template


def rules_of(room: Room) -> dict[str, Any]:
    """The content of dashboards/out/<room>.rules.yml."""
    alerts = [_alert(room, item) for item in room.alerts]
    return {"groups": [{"name": f"egov-{room.name}", "rules": [*_records(room.signals), *alerts]}]}


def records_of(name: str, signals: Iterable[Signal]) -> dict[str, Any]:
    """A group that records these signals and has no alerts: of a room whose alerts are Prometheus' own rules."""
    return {"name": f"egov-{name}-signals", "rules": _records(signals)}


def _records(signals: Iterable[Signal]) -> list[dict[str, Any]]:
    return [{"record": item.name, "expr": _flat(item.expr)} for item in signals]


def expression(room: Room, alert: Alert) -> str:
    """The alert's whole expression, with what it must not speak of taken off."""
    own = _flat(alert.expr) if alert.expr else f"{alert.signal} {_comparison(room, alert)}"
    if not alert.unless:
        return own
    return " ".join([f"({own})", *(QUIET[word] for word in alert.unless)])


def _comparison(room: Room, alert: Alert) -> str:
    match = COMPARE.match(alert.compare or "")
    assert match and alert.signal  # noqa: S101 - the reader has seen to it
    operator, word = match[1], match[2]
    number = room.signal(alert.signal).thresholds[word] if word.isalpha() else float(word)
    return f"{operator} {number:g}"


def _alert(room: Room, alert: Alert) -> dict[str, Any]:
    unit = room.unit(alert)
    rule: dict[str, Any] = {"alert": alert.name, "expr": expression(room, alert)}
    if alert.wait:
        rule["for"] = alert.wait
    if alert.keep_firing_for:
        rule["keep_firing_for"] = alert.keep_firing_for
    rule["labels"] = {"severity": alert.severity, "room": room.name}
    rule["annotations"] = {
        "summary_zh": template(alert.summary.zh, unit, "zh"),
        "summary": template(alert.summary.en, unit, "en"),
        "description_zh": template(alert.description.zh, unit, "zh"),
        "description": template(alert.description.en, unit, "en"),
        "runbook": f"dashboards/{room.name}/runbook.md#{alert.name.lower()}",
    }
    return rule


def _flat(expr: str) -> str:
    return " ".join(expr.split())
