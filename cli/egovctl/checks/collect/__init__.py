"""Collectors: each fetches, none judges. A new one is one module and one line here."""

from egovctl.checks.collect import alerts, drift, facts, host, prometheus, reach, reachability, registers
from egovctl.checks.collect.base import Collector

COLLECTORS: dict[str, Collector] = {
    "alerts": alerts.collect,
    "drift": drift.collect,
    "facts": facts.collect,
    "host": host.collect,
    "prometheus": prometheus.collect,
    "reach-from-lan": reach.from_lan,
    "reach-from-router": reach.from_router,
    "reachability": reachability.collect,
    "registers": registers.collect,
}
