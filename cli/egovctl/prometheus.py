"""The one way to ask Prometheus: where it is, how it is asked, what its answers mean, and what is said without one.

Checks, reports and `demo` ask and wait (`ask`, `query`); pages ask many things at a time (egovctl.web.prometheus), and
read the answers with what is here.
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import yaml

from egovctl.errors import CannotMeasure
from egovctl.i18n import told
from egovctl.lab import state
from egovctl.lab.names import PROMETHEUS_OFFSET, LabNames, port_base
from egovctl.paths import Inventory
from egovctl.plan import City

PORT = 9090
SECONDS = 15.0
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
EVALUATION = "1m"  # Prometheus' own, where its configuration says nothing


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
    return result_of(url, ask(url, "query", {"query": expression}, timeout=timeout), "vector")


def ask(url: str, path: str, fields: Mapping[str, str], *, timeout: float = SECONDS) -> Any:
    """The `data` of Prometheus' answer on /api/v1/<path>; CannotMeasure when it refuses or does not answer."""
    data = urllib.parse.urlencode(fields).encode() if fields else None
    request = urllib.request.Request(f"{url}/api/v1/{path}", data=data)  # noqa: S310 - an http address of our own
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()  # a refusal has a body that says why
    except (OSError, http.client.HTTPException) as error:
        raise silent(url, str(getattr(error, "reason", None) or error)) from None
    return data_of(url, body, fields.get("query", path))


def data_of(url: str, body: bytes, what: str) -> Any:
    """The `data` of an answer's body to the question `what`; CannotMeasure with Prometheus' own reason."""
    try:
        answer = json.loads(body)
        if answer["status"] == "success":
            return answer["data"]
        why = str(answer.get("error", "")) or str(answer["status"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _strange(url, what) from None
    raise CannotMeasure(
        told(f"{url} 的 Prometheus 拒绝 {what!r}：{why}", f"Prometheus at {url} refuses {what!r}: {why}")
    )


def result_of(url: str, data: Any, kind: str) -> list[Any]:
    """The series of an answer that has to be a `vector` or a `matrix`."""
    if not isinstance(data, dict) or data.get("resultType") != kind or not isinstance(data.get("result"), list):
        raise _strange(url, kind)
    return list(data["result"])


def alerts_of(url: str, data: Any) -> list[dict[str, Any]]:
    """All alerts of an answer, pending ones too."""
    found = data.get("alerts") if isinstance(data, dict) else None
    if not isinstance(found, list):
        raise _strange(url, "alerts")
    return found


def evaluated_each(data: Any) -> tuple[str, float | None]:
    """How often rules are evaluated, by what `status/config` answers: as it is written, and in seconds if known."""
    text = data.get("yaml", "") if isinstance(data, dict) else ""
    try:
        every = str(((yaml.safe_load(text) or {}).get("global") or {}).get("evaluation_interval", EVALUATION))
    except (yaml.YAMLError, AttributeError):
        return "?", None
    if not re.fullmatch(r"(?:[0-9]+(?:ms|s|m|h|d))+", every):
        return every, None
    return every, sum(int(number) * UNITS[unit] for number, unit in re.findall(r"([0-9]+)(ms|s|m|h|d)", every))


def silent(url: str, why: str) -> CannotMeasure:
    """That it does not answer."""
    return CannotMeasure(
        told(
            f"{url} 的 Prometheus 无应答：{why}；网管主机是否在运行？",
            f"Prometheus at {url} does not answer: {why}; is the NOC's host up?",
        )
    )


def _strange(url: str, what: str) -> CannotMeasure:
    return CannotMeasure(
        told(f"{url} 对 {what!r} 的回答无法理解", f"{url} answers {what!r} with what cannot be understood")
    )
