"""Reading a room: dashboards/<room>/{signals,alerts}.yml → Room, with file and line for whatever is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from egovctl.i18n import tr
from egovctl.plan.sentences import sentences
from egovctl.plan.source import KeyPath, PlanError, Source, read_source
from egovctl.signals.model import COMPARE, Alert, AlertsFile, Room, Signal, SignalsFile
from egovctl.signals.texts import placeholders

M = TypeVar("M", bound=BaseModel)


def plain_rules(folder: Path) -> dict[str, Any] | None:
    """The room's alerts.yml where it holds Prometheus' own rules (`groups:`); else None."""
    data = yaml.safe_load((folder / "alerts.yml").read_text(encoding="utf-8"))
    return data if isinstance(data, dict) and "groups" in data else None


def read_signals(folder: Path) -> tuple[Signal, ...]:
    """The signals of this folder alone, none when it has no signals.yml; raises PlanError, one sentence a fault."""
    if not (folder / "signals.yml").is_file():
        return ()
    source = read_source(folder / "signals.yml")
    signals = _validated(SignalsFile, source).signals
    if faults := [f"{source.at(where)}: {sentence}" for where, sentence in _signals_wrong(signals)]:
        raise PlanError(faults)
    return signals


def read_catalogue(dashboards: Path) -> dict[str, Signal]:
    """All signals of all rooms by name, in the rooms' order; PlanError when two rooms have one of the same name."""
    found: dict[str, Signal] = {}
    for path in sorted(dashboards.glob("*/signals.yml")):
        for item in read_signals(path.parent):
            if item.name in found:
                raise PlanError(
                    [tr(f"{path}：信号 {item.name} 别处已有", f"{path}: signal {item.name} is in another room already")]
                )
            found[item.name] = item
    return found


def read_room(folder: Path) -> Room:
    """The room of this folder; raises PlanError, one sentence a fault."""
    sources = {name: read_source(folder / f"{name}.yml") for name in ("signals", "alerts")}
    signals = _validated(SignalsFile, sources["signals"]).signals
    alerts = _validated(AlertsFile, sources["alerts"]).alerts
    faults = [f"{sources['signals'].at(where)}: {sentence}" for where, sentence in _signals_wrong(signals)]
    faults += [f"{sources['alerts'].at(where)}: {sentence}" for where, sentence in _alerts_wrong(alerts, signals)]
    if faults:
        raise PlanError(faults)
    return Room(folder.name, signals, alerts)


def _validated(model: type[M], source: Source) -> M:
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        raise PlanError(list(sentences(source, error))) from None


def _signals_wrong(signals: tuple[Signal, ...]) -> Iterator[tuple[KeyPath, str]]:
    for i, name in _twice([item.name for item in signals]):
        yield (
            ("signals", i, "name"),
            tr(f"信号 {name} 写了两次；请去掉一个", f"signal {name} is there twice; take one out"),
        )


def _alerts_wrong(alerts: tuple[Alert, ...], signals: tuple[Signal, ...]) -> Iterator[tuple[KeyPath, str]]:
    for i, name in _twice([item.name for item in alerts]):
        yield (
            ("alerts", i, "name"),
            tr(f"告警 {name} 写了两次；请去掉一个", f"alert {name} is there twice; take one out"),
        )
    known = {item.name: item for item in signals}
    for i, alert in enumerate(alerts):
        for key, sentence in _alert_wrong(alert, known):
            yield ("alerts", i, key), sentence


def _alert_wrong(alert: Alert, known: dict[str, Signal]) -> Iterator[tuple[str, str]]:
    if (alert.signal is None) == (alert.expr is None):
        yield (
            "name",
            tr(
                f"告警 {alert.name} 应有 signal 或 expr 之一，且只有一个",
                f"alert {alert.name} needs either signal or expr, and not both",
            ),
        )
    elif alert.signal is not None and alert.signal not in known:
        yield (
            "signal",
            tr(
                f"告警 {alert.name} 的信号 {alert.signal} 不在本目录的 signals.yml 中",
                f"alert {alert.name} is of signal {alert.signal}, which signals.yml beside it has not",
            ),
        )
    elif (alert.signal is None) != (alert.compare is None):
        yield (
            "name",
            tr(
                f"告警 {alert.name}：signal 必须配 compare，expr 则自带比较",
                f"alert {alert.name}: a signal goes with compare, an expr has its comparison in it",
            ),
        )
    elif alert.signal is not None:
        yield from _threshold_wrong(alert, known[alert.signal])
    for key, text in (("summary", alert.summary), ("description", alert.description)):
        for word in (*placeholders(text.zh), *placeholders(text.en)):
            if not word.isidentifier():
                yield (
                    key,
                    tr(
                        f"告警 {alert.name} 的 {key} 中 {{{word}}} 不是标签名",
                        f"{{{word}}} in {key} of alert {alert.name} is no label's name",
                    ),
                )


def _threshold_wrong(alert: Alert, signal: Signal) -> Iterator[tuple[str, str]]:
    match = COMPARE.match(alert.compare or "")
    if match and match[2].isalpha() and match[2] not in signal.thresholds:
        yield (
            "compare",
            tr(
                f"信号 {signal.name} 没有名为 {match[2]} 的阈值",
                f"signal {signal.name} has no threshold {match[2]}",
            ),
        )


def _twice(names: list[str]) -> Iterator[tuple[int, str]]:
    """(place, name) of each name that stands there for the second time."""
    seen: Counter[str] = Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        if seen[name] == 2:
            yield i, name
