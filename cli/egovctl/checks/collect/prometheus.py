"""The Prometheus collector: instant queries, as seen."""

from __future__ import annotations

import math
from typing import Any

from egovctl.checks.collect.base import Facts, Observed, Request
from egovctl.checks.context import Context
from egovctl.checks.expected import planned_city, planned_service
from egovctl.checks.model import NotApplicable, Query
from egovctl.errors import CannotMeasure
from egovctl.prometheus import prometheus_url, query


def collect(context: Context, requests: list[Request]) -> list[Observed]:
    """seen.NAME = {"by": key → value, "keys": [...]} for each query, key being the labels joined by a space."""
    url = prometheus_url(context.inventory, context.city)
    return [{name: _facts(context, url, request, name) for name in request.subjects} for request in requests]


def _facts(context: Context, url: str, request: Request, name: str) -> Facts:
    try:
        seen = {key: _series(url, item, name) for key, item in request.collect.queries.items()}
        city = context.city
        if request.kind == "service":
            planned = planned_service(city, next(one for one in context.plan.services if one.name == name))
        else:
            planned = planned_city(city)
    except (CannotMeasure, NotApplicable) as error:
        return error
    return {"planned": planned, "seen": seen}


def _series(url: str, item: Query, subject: str) -> dict[str, Any]:
    by: dict[str, float] = {}
    for sample in query(url, item.expr.replace("$subject", subject)):
        key = " ".join(sample["metric"].get(label, "?") for label in item.key)
        value = float(sample["value"][1])
        if math.isfinite(value):
            by[key] = value
    return {"by": by, "keys": sorted(by)}
