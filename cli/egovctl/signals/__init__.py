"""Signals and alerts: dashboards/<room>/*.yml read, checked and made into Prometheus rules; knows no city."""

from egovctl.signals.model import Alert, Room, Signal
from egovctl.signals.read import plain_rules, read_catalogue, read_room, read_signals
from egovctl.signals.rules import records_of, rules_of

__all__ = [
    "Alert",
    "Room",
    "Signal",
    "plain_rules",
    "read_catalogue",
    "read_room",
    "read_signals",
    "records_of",
    "rules_of",
]
