"""A room of dashboards/: its signals, and the alerts that are made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from egovctl.plan.models import Model, Text

Unit = Literal["ratio", "seconds", "bits_per_second", "bytes", "per_second", "celsius", "count", "state"]
# How a value is to be taken: shown by colour, shape and word together. `unknown` is what nothing is known of.
Tone = Literal["good", "warning", "bad", "quiet", "unknown"]
Severity = Literal["critical", "warning", "info", "none"]
# level:metric:operations, or for a fact that stands for itself egov_<fact>.
SIGNAL = r"^([a-z][a-z0-9_]*:[a-z][a-z0-9_]*:[a-z][a-z0-9_]*|egov_[a-z0-9_]+)$"
COMPARE = re.compile(r"(==|!=|>=|<=|>|<) (-?[0-9]+(?:\.[0-9]+)?|[a-z]+)\Z")
# What an alert must not speak of, because something else speaks for it or somebody works there. `unless` names these.
QUIET = {
    "maintenance": "unless on (site) egov_maintenance",
    "link-maintenance": "unless on (link) (link:maintenance:max > 0)",
    "dead-host": "unless on (host) (host:up:max == 0)",
    "dead-end": "unless on (link) (link:dead_ends:sum > 0)",
    "dead-link": "unless on (link) (link:up:min == 0)",
}
Quiet = Literal["maintenance", "link-maintenance", "dead-host", "dead-end", "dead-link"]
Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]*[smhd]$")]
Expression = Annotated[str, Field(min_length=1, max_length=4000)]


class State(Model):
    """What one value of a state means: its word, and how it is to be taken."""

    zh: str
    en: str
    tone: Tone


class Signal(Model):
    """One named expression. `thresholds` are written once: boards colour by them, alerts compare with them.

    The first threshold is a warning and the second is bad; `low` and `full` are crossed downwards. `states` are the
    words of a state's values, for boards.
    """

    name: Annotated[str, Field(pattern=SIGNAL)]
    expr: Expression
    unit: Unit
    title: Text
    thresholds: dict[Annotated[str, Field(pattern=r"^[a-z]+$")], float] = Field(default_factory=dict)
    states: dict[int, State] = Field(default_factory=dict)


class Alert(Model):
    """When somebody is told, and what. Either a signal with its comparison or an expression of its own, with a unit.

    `compare` is an operator and a number, or one of the signal's thresholds by name. In texts `{site}` and
    `{peer_site}` are the site's title, `{value}` the value in its unit, `{more}` " (+16)" when the value is more than
    0, and any other `{word}` the label of that name.
    """

    name: Annotated[str, Field(pattern=r"^(Egov[A-Z][A-Za-z]+|Watchdog)$")]
    signal: str | None = None
    compare: Annotated[str, Field(pattern=COMPARE.pattern.replace(r"\Z", "$"))] | None = None
    expr: Expression | None = None
    unit: Unit | None = None
    unless: tuple[Quiet, ...] = ()
    wait: Annotated[Duration | None, Field(alias="for")] = None
    keep_firing_for: Duration | None = None
    severity: Severity
    summary: Text
    description: Text


class SignalsFile(Model):
    """dashboards/<room>/signals.yml."""

    signals: Annotated[tuple[Signal, ...], Field(min_length=1)]


class AlertsFile(Model):
    """dashboards/<room>/alerts.yml."""

    alerts: Annotated[tuple[Alert, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Room:
    """One folder of dashboards/, read and found whole."""

    name: str
    signals: tuple[Signal, ...]
    alerts: tuple[Alert, ...]

    def signal(self, name: str) -> Signal:
        """The signal called `name`; KeyError when the room has none."""
        for item in self.signals:
            if item.name == name:
                return item
        raise KeyError(name)

    def unit(self, alert: Alert) -> Unit:
        """What the alert's value is measured in."""
        return alert.unit or (self.signal(alert.signal).unit if alert.signal else "state")
