"""The alerts collector: which alert rules Prometheus runs, and whom it passes them to."""

from __future__ import annotations

from typing import Any

from egovctl.checks.collect.base import Facts, Observed, Request
from egovctl.checks.context import Context
from egovctl.errors import CannotMeasure
from egovctl.i18n import told
from egovctl.prometheus import ask, prometheus_url


def collect(context: Context, requests: list[Request]) -> list[Observed]:
    """seen.alerts: names of all alert rules; seen.ill of those that cannot be evaluated, seen.firing of those that
    fire; seen.managers: how many Alertmanagers it has. Asked once for all."""
    url = prometheus_url(context.inventory, context.city)
    facts: Facts
    try:
        facts = {"planned": {}, "seen": seen(ask(url, "rules", {}), ask(url, "alertmanagers", {}))}
    except CannotMeasure as error:
        facts = error
    return [dict.fromkeys(request.subjects, facts) for request in requests]


def seen(rules: dict[str, Any], managers: dict[str, Any]) -> dict[str, Any]:
    """From the data of both answers; CannotMeasure when they are not what Prometheus says."""
    try:
        alerts = [rule for group in rules["groups"] for rule in group["rules"] if rule["type"] == "alerting"]
        return {
            "alerts": sorted({str(rule["name"]) for rule in alerts}),
            "ill": sorted({str(rule["name"]) for rule in alerts if rule["health"] == "err"}),
            "firing": sorted({str(rule["name"]) for rule in alerts if rule["state"] == "firing"}),
            "managers": len(list(managers["activeAlertmanagers"])),
        }
    except (KeyError, TypeError) as error:
        raise CannotMeasure(
            told(f"Prometheus 关于规则的应答无法理解：{error!r}", f"Prometheus' answer about rules is none: {error!r}")
        ) from None
