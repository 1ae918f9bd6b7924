"""Boards: every panel shows signals that are recorded, what Grafana gets is whole, and no panel has a query of its own.

If these fail, somebody looks at a panel that can never show anything, or at two boards that say different things.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard
from promtool import PROJECT, promtool, series, stories
from test_alerts import metrics

from egovctl.boards import Board, read_boards
from egovctl.boards.doctor import DATASOURCE
from egovctl.boards.grafana import drawn, uid
from egovctl.boards.look import LANGUAGES
from egovctl.boards.model import WALL_PANELS
from egovctl.boards.queries import expression
from egovctl.paths import Inventory
from egovctl.plan import PlanError
from egovctl.render import render_city
from egovctl.signals import read_catalogue

DASHBOARDS = PROJECT / "dashboards"
CATALOGUE = read_catalogue(DASHBOARDS)
BOARDS = read_boards(DASHBOARDS, CATALOGUE)
RECORDED = {
    rule["record"]
    for path in (DASHBOARDS / "out").glob("*.rules.yml")
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "record" in rule
}
# Of Grafana 11: the kinds of panels that come with it and are used here.
PANEL_TYPES = {"stat", "bargauge", "timeseries", "state-timeline", "table"}
WONG = {"#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#808080"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def made() -> Iterator[tuple[Board, str, dict[str, Any]]]:
    for board in BOARDS.values():
        for lang in LANGUAGES if drawn(board) else ():
            path = DASHBOARDS / "out/grafana" / f"{board.name}.{lang}.json"
            yield board, lang, json.loads(path.read_text(encoding="utf-8"))


each_dashboard = pytest.mark.parametrize(("board", "lang", "data"), list(made()), ids=lambda value: str(value)[:8])


def test_all_pages_are_there() -> None:
    pages = ["wall", "map", "changes", "county", "site", "link", "backups", "services", "websites"]
    assert list(BOARDS) == [*pages, "checks", "assessment", "exporters"]
    assert len(BOARDS["wall"].panels) <= WALL_PANELS


def test_panels_show_signals_that_are_recorded() -> None:
    for board in BOARDS.values():
        for panel in board.panels:
            for shown in panel.show:
                assert {shown.signal, *([shown.of] if shown.of else [])} <= RECORDED, panel.name


def test_promtool_parses_every_query_as_it_is_sent(tmp_path: Path) -> None:
    """Ours with a value of the plan, Grafana's with its variables' names in place of values."""
    asked = {
        expression(panel, shown, "hub-minqin")
        for board in BOARDS.values()
        for panel in board.panels
        for shown in panel.show
    }
    asked |= {target["expr"] for _, _, data in made() for panel in data["panels"] for target in panel["targets"]}
    rules = [{"record": f"asked:{number}:x", "expr": expr} for number, expr in enumerate(sorted(asked))]
    path = tmp_path / "asked.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}), encoding="utf-8")
    assert "SUCCESS" in promtool("check", "rules", path)
    assert len(asked) > 60


@each_dashboard
def test_a_dashboard_is_one_of_grafana_11(board: Board, lang: str, data: dict[str, Any]) -> None:
    again = Dashboard.from_json(data)
    assert again.uid == data["uid"] == uid(board.name, lang)  # type: ignore[arg-type]
    assert data["schemaVersion"] >= 39 and "id" not in data
    assert {panel["type"] for panel in data["panels"]} <= PANEL_TYPES
    assert len({panel["id"] for panel in data["panels"]}) == len(data["panels"])
    variables = {item["name"] for item in data["templating"]["list"]}
    for panel in data["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24 and panel["title"] and panel["fieldConfig"]["defaults"]["noValue"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert set(re.findall(r'"\$(\w+)"', target["expr"])) <= variables
            assert metrics(target["expr"]) <= RECORDED
    squares = [set(_cells(panel["gridPos"])) for panel in data["panels"]]
    assert sum(map(len, squares)) == len(set().union(*squares)), "panels lie on one another"


def _cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


@each_dashboard
def test_a_dashboard_speaks_its_language_and_has_wongs_colours(board: Board, lang: str, data: dict[str, Any]) -> None:
    for panel in data["panels"]:
        if panel["title"].startswith("$") or panel["title"] == "Prometheus":
            continue
        assert bool(CHINESE.search(panel["title"])) == (lang == "zh"), panel["title"]
    text = json.dumps(data, ensure_ascii=False)
    if lang == "en":
        assert not CHINESE.search(text)
    assert set(re.findall(r"#[0-9A-Fa-f]{6}\b", text)) <= WONG
    assert '"green"' not in text
    # A colour never stands alone: each state has a shape and a word.
    for value in re.findall(r'"text": "([^"]+)"', text):
        if value != "All":
            assert re.match(r"[●▲✖◆?] \S", value), value


def test_a_tile_tells_what_is_the_matter_with_its_site(tmp_path: Path) -> None:
    """Eight sites of which each is another case; the one that nothing is known of is there, and is not well."""
    info = [
        series("egov_site_info", site=name, zh="站", en=name)
        for name in ("well", "half", "torn", "dead", "below", "works", "dark", "both")
    ]
    given = {
        series("up", job="node", host="a", site="well"): "1",
        series("up", job="node", host="b1", site="half"): "1",
        series("up", job="node", host="b2", site="half"): "0",
        series("up", job="node", host="c", site="torn"): "1",
        series("egov_link_end", link="c:up0", host="c", ifName="up0", site="torn", end="lower"): "1",
        series("egov_link_contract_bits_per_second", link="c:up0", site="torn", peer_site="well"): "1000000",
        series("ifOperStatus", host="c", ifName="up0", site="torn"): "2",
        series("up", job="node", host="d", site="dead"): "0",
        series("up", job="node", host="e", site="below"): "0",
        series("egov_site_parent", site="below", host="d"): "1",
        series("up", job="node", host="f", site="works"): "0",
        series("egov_maintenance", site="works"): "1",
        series("up", job="node", host="g", site="both"): "0",
        series("up", job="snmp_egov_v3", host="g", site="both"): "1",
    } | dict.fromkeys(info, "1")
    states = {"well": 1, "half": 4, "torn": 4, "dead": 0, "below": 2, "works": 3, "dark": -1, "both": 1}
    samples = [{"labels": series("site:state:max", site=n, zh="站", en=n), "value": v} for n, v in states.items()]
    checks = [{"eval_time": "5m", "expr": "site:state:max", "exp_samples": samples}]
    for name, value in (("planned", 8), ("up", 4), ("suppressed", 1)):
        expr = f"city:sites_{name}:count"
        checks.append({"eval_time": "5m", "expr": expr, "exp_samples": [{"labels": expr, "value": value}]})
    tale = {
        "interval": "15s",
        "input_series": [{"series": name, "values": f"{value}x40"} for name, value in given.items()],
        "promql_expr_test": checks,
    }
    stories(tmp_path / "states.yml", [DASHBOARDS / "out/sites.rules.yml"], [tale])


def test_none_lost_is_0_while_the_host_tells_of_its_sessions(tmp_path: Path) -> None:
    """Of four hosts one has lost a session, one none, one has told nothing for long, and one has no such sessions."""

    def told(host: str, watch: str, **up: str) -> dict[str, str]:
        found = {series("egov_watch_timestamp_seconds", host=host, site=host): watch}
        for protocol, value in up.items():
            name = series("egov_neighbour_up", host=host, site=host, protocol=protocol, family="ipv4", peer="p")
            found[name] = f"{value}x80"
        return found

    fresh, old = "0+15x80", "0+15x8 120x72"
    given = told("torn", fresh, bgp="0", bfd="0") | told("well", fresh, bgp="1", ospf="1", bfd="1")
    given |= told("dark", old, bgp="1", bfd="1") | told("plain", fresh)
    checks = []
    for kind in ("neighbours", "bfd"):
        samples = [
            {"labels": series(f"host:{kind}_lost:count", host=host, site=host), "value": value}
            for host, value in (("torn", 1), ("well", 0))
        ]
        expr = f"host:{kind}_lost:count"
        # What has an end: its count is from then on not known, whatever its last words were.
        dark = {"labels": series(expr, host="dark", site="dark"), "value": 0}
        checks += [
            {"eval_time": "6m", "expr": expr, "exp_samples": [*samples, dark]},
            {"eval_time": "12m", "expr": expr, "exp_samples": samples},
        ]
    tale = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in given.items()],
        "promql_expr_test": checks,
    }
    stories(tmp_path / "lost.yml", [DASHBOARDS / "out/sites.rules.yml"], [tale])


def test_a_rate_ends_with_what_it_is_of(tmp_path: Path) -> None:
    """Two scrapes after the exporter stopped nothing is shown, though the rate's range still has samples."""
    ends = series("egov_link_end", link="h:up0", host="h", ifName="up0", site="s", end="lower")
    contract = series("egov_link_contract_bits_per_second", link="h:up0", site="s")
    told = {ends: "1x40", contract: "1000x40"} | {
        series(name, host="h", ifName="up0", site="s"): "0+1500x10 stale" for name in ("ifHCInOctets", "ifHCOutOctets")
    }
    said = [{"labels": series("link:receive_bits:rate2m", link="h:up0", site="s"), "value": 800}]
    tale = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in told.items()],
        "promql_expr_test": [
            {"eval_time": "2m30s", "expr": "link:receive_bits:rate2m", "exp_samples": said},
            {"eval_time": "3m", "expr": "link:receive_bits:rate2m", "exp_samples": []},
        ],
    }
    stories(tmp_path / "rate.yml", [DASHBOARDS / "out/sites.rules.yml"], [tale])


def test_links_lead_from_a_tile_to_the_site_and_on_to_the_link() -> None:
    pages = {(board.name, lang): data for board, lang, data in made()}
    uids = {data["uid"] for data in pages.values()}
    for (name, lang), data in pages.items():
        links = re.findall(r'"/d/([\w-]+)', json.dumps(data))
        assert set(links) <= uids and all(link.endswith(lang) for link in links), name
    wall = json.dumps(pages["wall", "zh"])
    assert "/d/egov-site-zh?var-site=${__field.labels.site}" in wall
    assert "/d/egov-link-zh?var-link=${__value.text}" in json.dumps(pages["site", "zh"])
    assert "runbook.md#${__data.fields.alertname}" in wall


def test_the_noc_carries_every_dashboard_for_grafana() -> None:
    bundle = yaml.safe_load((PROJECT / "playbooks/roles/noc/bundle.yml").read_text(encoding="utf-8"))
    carried = {
        (PROJECT / "playbooks/roles/noc/files" / entry["copy"]).resolve(): entry["path"]
        for entry in bundle["files"]
        if "/grafana/dashboards/" in entry["path"]
    }
    assert set(carried) == set((DASHBOARDS / "out/grafana").glob("*.json"))
    assert all(path == f"/etc/egov/grafana/dashboards/{source.name}" for source, path in carried.items())
    files = render_city(Inventory(PROJECT / "inventories/lab")).hosts["noc"].files
    provider = yaml.safe_load(files["/etc/egov/grafana/dashboards.yml"])["providers"][0]
    source = yaml.safe_load(files["/etc/egov/grafana/datasource.yml"])["datasources"][0]
    assert provider["options"]["path"] == "/etc/egov/grafana/dashboards" and not provider["allowUiUpdates"]
    assert (source["uid"], source["type"]) == (DATASOURCE, "prometheus") and source["url"].endswith(":9090")


def test_what_is_nothing_known_of_is_never_good() -> None:
    for signal in CATALOGUE.values():
        assert signal.states.get(-1) is None or signal.states[-1].tone == "unknown"
    assert CATALOGUE["link:usage:ratio"].thresholds["saturated"] == 0.9
    assert "> bool 0.9" in CATALOGUE["city:links_saturated:count"].expr


PAGE = """\
title: {zh: 页, en: Page}
panels:
  - name: one
    kind: table
    title: {zh: 一, en: One}
    width: 12
    height: 5
    show: [{signal: "host:up:max"}]
"""


@pytest.mark.parametrize(
    ("find", "put", "said"),
    [
        ("host:up:max", "host:gone:max", ":8: panel one shows signal host:gone:max, which no signals.yml has"),
        ("host:up:max", "target:odd:min", ":8: panel one shows signal target:odd:min, a state without the words"),
        ("    height: 5\n", "    height: 5\n    where: site\n", ":8: panel one has where, and the page is of nothing"),
        ("kind: table", "kind: pie", ":4: kind of "),
        ("signal: ", "expr: up, signal: ", ":8: "),
        ("width: 12", "width: 25", ":6: "),
    ],
)
def test_what_is_wrong_with_a_board_is_a_sentence_with_its_line(tmp_path: Path, find: str, put: str, said: str) -> None:
    (tmp_path / "boards").mkdir()
    assert find in PAGE
    (tmp_path / "boards/page.yml").write_text(PAGE.replace(find, put, 1), encoding="utf-8")
    odd = CATALOGUE["host:up:max"].model_copy(update={"name": "target:odd:min", "states": {}})
    with pytest.raises(PlanError) as caught:
        read_boards(tmp_path, {**CATALOGUE, odd.name: odd})
    assert f"boards/page.yml{said}" in caught.value.faults[0]
