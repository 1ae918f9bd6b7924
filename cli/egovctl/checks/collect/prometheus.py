"""The Prometheus collector: instant queries over its HTTP API."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from egovctl.checks.collect.base import Facts, Observed, Request
from egovctl.checks.context import Context
from egovctl.checks.expected import planned_city, planned_service
from egovctl.checks.model import NotApplicable, Query
from egovctl.errors import CannotMeasure
from egovctl.i18n import told
from egovctl.lab import state
from egovctl.lab.names import PROMETHEUS_OFFSET, LabNames, port_base
from egovctl.paths import Inventory
from egovctl.plan import City

PORT = 9090
SECONDS = 15.0


def prometheus_url(inventory: Inventory, city: City) -> str:
    """Where this city's Prometheus is for control: the lab's forwarder on this machine, else the NOC's loopback."""
    names = LabNames(inventory.name)
    if names.run.is_dir():
        lab = state.load(names)
        ports = [item.port for item in lab.forwards if item.name == "prometheus"] if lab else []
        return f"http://127.0.0.1:{ports[0] if ports else port_base() + PROMETHEUS_OFFSET}"
    for host in city.hosts.values():
        if host.role == "noc":
            return f"http://{host.address_v4}:{PORT}"
    raise CannotMeasure(
        told(
            f"清单 {inventory.name} 中没有 noc 主机，因此没有 Prometheus 可查",
            f"inventory {inventory.name} has no host of role noc, so there is no Prometheus to ask",
        )
    )


def query(url: str, expression: str, *, timeout: float = SECONDS) -> list[dict[str, Any]]:
    """The samples of an instant vector: [{"metric": {...}, "value": [time, "text"]}]; CannotMeasure when refused."""
    result = ask(url, "query", {"query": expression}, timeout=timeout)
    if result.get("resultType") != "vector":
        raise CannotMeasure(told(f"{expression!r} 的结果不是瞬时向量", f"{expression!r} gives no instant vector"))
    return list(result["result"])


def ask(url: str, path: str, fields: Mapping[str, str], *, timeout: float = SECONDS) -> dict[str, Any]:
    """The `data` of Prometheus' answer on /api/v1/<path>; CannotMeasure when it refuses or does not answer."""
    data = urllib.parse.urlencode(fields).encode() if fields else None
    request = urllib.request.Request(f"{url}/api/v1/{path}", data=data)  # noqa: S310 - an http address of our own
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    what = fields.get("query", path)
    try:
        with opener.open(request, timeout=timeout) as answer:
            return dict(json.load(answer)["data"])
    except urllib.error.HTTPError as error:
        why = f"{error.code} {error.reason}"
        raise CannotMeasure(
            told(f"{url} 的 Prometheus 拒绝 {what!r}：{why}", f"Prometheus at {url} refuses {what!r}: {why}")
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", None) or error
        raise CannotMeasure(
            told(
                f"{url} 的 Prometheus 无应答：{reason}；网管主机是否在运行？",
                f"Prometheus at {url} does not answer: {reason}; is the NOC's host up?",
            )
        ) from None


def collect(context: Context, requests: list[Request]) -> list[Observed]:
    """seen.NAME = {"by": key → value, "keys": [...]} for each query, key being the labels joined by a space."""
    url = prometheus_url(context.inventory, context.city)
    return [{name: _facts(context, url, request, name) for name in request.subjects} for request in requests]


def _facts(context: Context, url: str, request: Request, name: str) -> Facts:
    try:
        seen = {key: _series(url, item, name) for key, item in request.collect.queries.items()}
        services = {service.name: service for service in context.plan.services}
        city = context.city
        planned = planned_service(city, services[name]) if name in services else planned_city(city)
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
