"""Proof on the operator's own Grafana: each board is there as it was made, and each of its panels gets data.

Grafana is asked over its HTTP API, and asks its own data source: what is tried is the way that a person's browser goes.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from egovctl.boards.model import Board
from egovctl.errors import CannotMeasure, UsageError
from egovctl.i18n import Told, told, tr
from egovctl.plan import City, Plan
from egovctl.render.topology import topology_for_rules

# The data source that playbooks/roles/noc provisions.
DATASOURCE = "egov-prometheus"
OLDEST = 11
SECONDS = 30.0
Outcome = Literal["ok", "empty", "no_data", "differs", "missing", "error"]
BAD: tuple[Outcome, ...] = ("no_data", "differs", "missing", "error")


@dataclass(frozen=True)
class Finding:
    """What was seen of one panel; of a whole board where that is not there (`panel` is "")."""

    board: str
    panel: str
    outcome: Outcome
    why: Told | str = ""


@dataclass(frozen=True)
class Grafana:
    """One Grafana. `token` is a service account's, with the role Viewer."""

    url: str
    token: str
    datasource: str = DATASOURCE

    def version(self) -> str:
        """Its version; CannotMeasure when it is none, or too old for the boards."""
        found = str(self._ask("/api/health").get("version", ""))
        match = re.match(r"([0-9]+)\.", found)
        if match is None:
            raise CannotMeasure(told(f"{self.url} 不是 Grafana", f"{self.url} is no Grafana"))
        if int(match[1]) < OLDEST:
            raise CannotMeasure(
                told(
                    f"{self.url} 是 Grafana {found}；面板需要 {OLDEST} 或更新",
                    f"{self.url} is Grafana {found}; the boards need {OLDEST} or newer",
                )
            )
        return found

    def dashboard(self, uid: str) -> dict[str, Any] | None:
        """The dashboard as it has it, None when it has none of that name."""
        try:
            found = self._ask(f"/api/dashboards/uid/{urllib.parse.quote(uid)}").get("dashboard")
        except _NotThere:
            return None
        return found if isinstance(found, dict) else None

    def query(self, target: Mapping[str, Any], expr: str) -> int:
        """How many values one query of a panel gets from Grafana's data source; CannotMeasure with its error."""
        asked = {
            **target,
            "expr": expr,
            "datasource": {"type": "prometheus", "uid": self.datasource},
            "intervalMs": 15000,
            "maxDataPoints": 500,
        }
        answer = self._ask("/api/ds/query", {"queries": [asked], "from": "now-1h", "to": "now"})
        result = answer.get("results", {}).get(target["refId"], {})
        if result.get("error"):
            raise CannotMeasure(str(result["error"]))
        return sum(_values(frame) for frame in result.get("frames", []))

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310 - http or https, as was checked
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
        try:
            with opener.open(request, timeout=SECONDS) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404 and body is None:
                raise _NotThere from None
            if error.code in (400, 422, 500) and body is not None and (said := _said(error)):
                raise CannotMeasure(said) from None
            if error.code in (401, 403):
                raise CannotMeasure(
                    told(
                        f"{self.url} 拒绝访问（{error.code}）：需要角色为 Viewer 的服务账号令牌（--token-file）",
                        f"{self.url} refuses ({error.code}): a token of a service account with role Viewer is needed "
                        "(--token-file)",
                    )
                ) from None
            raise CannotMeasure(
                told(f"{self.url}{path} 回答 {error.code}", f"{self.url}{path} answers {error.code}")
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise CannotMeasure(told(f"{self.url} 无应答：{reason}", f"{self.url} does not answer: {reason}")) from None
        return found if isinstance(found, dict) else {}


class _NotThere(CannotMeasure):
    """Grafana has nothing of that name."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes nowhere but to whom it is for."""

    def redirect_request(self, *_: Any) -> None:
        return None


def examine(grafana: Grafana, boards: Mapping[str, Board], out: Path, values: Mapping[str, str]) -> Iterator[Finding]:
    """A finding for each panel of each dashboard under out/grafana; `values` are what pages are of."""
    counted: dict[tuple[str, str], int] = {}
    for path in sorted((out / "grafana").glob("*.json")):
        made = json.loads(path.read_text(encoding="utf-8"))
        found = grafana.dashboard(made["uid"])
        if found is None:
            yield Finding(path.stem, "", "missing", told("Grafana 中没有", "Grafana does not have it"))
            continue
        theirs = {panel.get("title"): _expressions(panel) for panel in found.get("panels", [])}
        board = boards[path.name.partition(".")[0]]
        optional = {getattr(panel.title, path.stem.partition(".")[2]) for panel in board.panels if panel.may_be_empty}
        for panel in made["panels"]:
            if theirs.get(panel["title"]) != _expressions(panel):
                why = told("与生成的不同；请重新置备", "it is not as it was made; provision it again")
                yield Finding(path.stem, panel["title"], "differs", why)
            else:
                yield _asked(grafana, path.stem, panel, values, counted, may_be_empty=panel["title"] in optional)


def _asked(
    grafana: Grafana,
    board: str,
    panel: Mapping[str, Any],
    values: Mapping[str, str],
    counted: dict[tuple[str, str], int],
    *,
    may_be_empty: bool,
) -> Finding:
    """What the panel gets; the same query, which both languages have, is asked once."""
    count = 0
    for target in panel["targets"]:
        key = (filled(target["expr"], values), str(target.get("instant")))
        try:
            if key not in counted:
                counted[key] = grafana.query(target, key[0])
            count += counted[key]
        except CannotMeasure as error:
            return Finding(board, panel["title"], "error", str(error))
    if count:
        return Finding(board, panel["title"], "ok")
    return Finding(board, panel["title"], "empty" if may_be_empty else "no_data")


def _expressions(panel: Mapping[str, Any]) -> list[str]:
    return [str(target.get("expr")) for target in panel.get("targets") or []]


def filled(expr: str, values: Mapping[str, str]) -> str:
    """The expression with values of the plan in place of Grafana's variables."""
    return re.sub(r'"\$(\w+)"', lambda match: json.dumps(values[match[1]]), expr)


def values_of(plan: Plan, city: City) -> dict[str, str]:
    """What pages are tried on: the site of a county with the most links below it, that county, and its first uplink."""
    topology = topology_for_rules(plan, city)
    below: dict[str, int] = {}
    for link in topology.links:
        below[link.peer_site] = below.get(link.peer_site, 0) + 1
    own = {link.site: link for link in reversed(topology.links)}
    sites = sorted((place for place in topology.places if place.name in own), key=lambda place: place.county is None)
    if not sites:
        raise UsageError(
            tr("规划中没有链路，无从检查面板", "the plan has no link, so there is nothing to try boards on"),
        )
    site = max(sites, key=lambda place: (place.county is not None, below.get(place.name, 0)))
    return {"site": site.name, "county": site.county or "", "link": own[site.name].name}


def _values(frame: Any) -> int:
    """How many values a frame has, times left out."""
    fields = frame.get("schema", {}).get("fields", [])
    columns = frame.get("data", {}).get("values", [])
    return sum(
        sum(value is not None for value in column)
        for field, column in zip(fields, columns, strict=False)
        if field.get("type") == "number"
    )


def _said(error: urllib.error.HTTPError) -> str:
    """The error of a query, as Grafana tells it in the body of its refusal."""
    try:
        body = json.loads(error.read())
        results = list(body.get("results", {}).values())
        return str(results[0].get("error", "")) if results else str(body.get("message", ""))
    except (ValueError, AttributeError, OSError):
        return ""
