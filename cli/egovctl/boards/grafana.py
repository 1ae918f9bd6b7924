"""From a board to a dashboard of Grafana 11, in one language. Needs grafana-foundation-sdk, which only building does.

What is made depends on no city: what the pages are of comes from variables, whose values Prometheus knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import LineStyle, ReduceDataOptions, TableSortByFieldState
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from egovctl.boards.look import COLOURS, LABELS, NO_DATA, NOWHERE, SHAPES, Lang, downward, steps
from egovctl.boards.model import Board, Panel, Shown
from egovctl.boards.queries import expression
from egovctl.signals.model import Signal, Tone, Unit

UNITS: Mapping[Unit, str] = {
    "ratio": "percentunit",
    "seconds": "s",
    "bits_per_second": "bps",
    "bytes": "bytes",
    "per_second": "cps",
    "celsius": "celsius",
    "count": "short",
    "state": "short",
}
# A variable's values: what the NOC's rules tell of the plan.
SOURCES = {
    "county": "label_values(egov_site_info, county)",
    "site": "label_values(egov_site_info, site)",
    "link": "label_values(egov_link_contract_bits_per_second, link)",
}
ALERT_KEYS = ("severity", "alertname", "county", "site", "host", "link", "room")
DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WORDS = {
    "datasource": {"zh": "数据源", "en": "Data source"},
    "county": {"zh": "县区", "en": "County"},
    "site": {"zh": "站点", "en": "Site"},
    "link": {"zh": "链路", "en": "Link"},
    "runbooks": {"zh": "处置手册地址", "en": "Address of the runbooks"},
    "city": {"zh": "市本级", "en": "City"},
}


def uid(name: str, lang: Lang) -> str:
    """By what Grafana knows the dashboard."""
    return f"egov-{name}-{lang}"


def drawn(board: Board) -> tuple[Panel, ...]:
    """The panels that Grafana can show: it has none for a map of ours."""
    return tuple(panel for panel in board.panels if panel.kind != "map")


def dashboard_of(board: Board, boards: Mapping[str, Board], catalogue: Mapping[str, Signal], lang: Lang) -> str:
    """The dashboard's JSON; `boards` are all boards, to lead from one to another."""
    page = (
        dashboard.Dashboard(getattr(board.title, lang))
        .uid(uid(board.name, lang))
        .tags(["egov", f"egov-{lang}"])
        .readonly()
        .refresh("15s")
        .time("now-6h", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label(WORDS["datasource"][lang]).type("prometheus"))
    )
    on_wall = board.of is None and any(panel.kind == "tiles" for panel in board.panels)
    for name in [board.of] if board.of else ["county"] if on_wall else []:
        page.with_variable(_variable(str(name), lang, repeated=on_wall))
    if any(panel.kind == "alerts" for panel in board.panels):
        page.with_variable(
            dashboard.TextBoxVariable("runbooks").label(WORDS["runbooks"][lang]).default_value("dashboards")
        )
    for other in boards.values():
        if drawn(other) and other.name != board.name:
            page.link(_link(getattr(other.title, lang), f"/d/{uid(other.name, lang)}"))
    makers: dict[str, Callable[[Panel, _Making], Any]] = {
        "numbers": _numbers, "tiles": _tiles, "bars": _bars, "lines": _lines,
        "timeline": _timeline, "table": _table, "alerts": _table,
    }  # fmt: skip
    making = _Making(catalogue, f"${board.of}" if board.of else None, lang)
    grid = _Grid()
    for panel in drawn(board):
        if panel.kind == "tiles" and on_wall:
            for made in _tiles_by_county(panel, making):
                page.with_panel(grid.place(made, 24, max(2, panel.height // 2)))
        else:
            made = _labelled(makers[panel.kind](panel, making), panel, lang)
            page.with_panel(grid.place(made, panel.width, panel.height))
    return json.dumps(page.build(), cls=JSONEncoder, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


class _Making:
    """What the making of one dashboard needs everywhere."""

    def __init__(self, catalogue: Mapping[str, Signal], value: str | None, lang: Lang) -> None:
        self.catalogue, self.value, self.lang = catalogue, value, lang

    def signal(self, shown: Shown) -> Signal:
        return self.catalogue[shown.signal]

    def title(self, shown: Shown) -> str:
        return str(getattr(shown.title or self.signal(shown).title, self.lang))


class _Grid:
    """Where the next panel goes: beside the one before while there is room, else below."""

    def __init__(self) -> None:
        self.number = self.left = self.top = self.tallest = 0

    def place(self, made: Any, width: int, height: int) -> Any:
        if self.left + width > 24:
            self.left, self.top, self.tallest = 0, self.top + self.tallest, 0
        self.number += 1
        made.id(self.number).grid_pos(models.GridPos(h=height, w=width, x=self.left, y=self.top))
        self.left, self.tallest = self.left + width, max(self.tallest, height)
        return made


def _variable(name: str, lang: Lang, *, repeated: bool) -> Any:
    made = (
        dashboard.QueryVariable(name)
        .label(WORDS[name][lang])
        .datasource(DATASOURCE)
        .query(SOURCES[name])
        .refresh(models.VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if repeated:
        made.multi(True).include_all(True).current(models.VariableOption(text=["All"], value=["$__all"]))
    return made


def _link(title: str, url: str) -> Any:
    return dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url).keep_time(True)


def _labelled(made: Any, panel: Panel, lang: Lang) -> Any:
    made.title(getattr(panel.title, lang))
    return made.datasource(DATASOURCE).no_value("—" if panel.may_be_empty else NO_DATA[lang])


def _target(number: int, expr: str, legend: str = "", *, instant: bool = True, rows: bool = False) -> Any:
    made = prometheus.Dataquery().ref_id(chr(ord("A") + number)).expr(expr).datasource(DATASOURCE).legend_format(legend)
    if rows:
        made.format(PromQueryFormat.TABLE)
    return made.instant() if instant else made.range()


def _legend(panel: Panel, title: str, *, several: bool) -> str:
    keys = " ".join(f"{{{{{key}}}}}" for key in panel.by)
    return f"{title} {keys}".strip() if several or not keys else keys


def _looks(signal: Signal, lang: Lang) -> list[models.DynamicConfigValue]:
    """Unit, words and colours of a signal, as the properties of a field."""
    found = [models.DynamicConfigValue("unit", UNITS[signal.unit])]
    if signal.states:
        options = {
            str(value): models.ValueMappingResult(
                text=f"{SHAPES[state.tone]} {getattr(state, lang)}", color=COLOURS[state.tone]
            )
            for value, state in signal.states.items()
        }
        found.append(models.DynamicConfigValue("mappings", [models.ValueMap(options)]))
        found.append(models.DynamicConfigValue("thresholds", _levels([("unknown", 0)])))
    elif signal.thresholds:
        found.append(models.DynamicConfigValue("thresholds", _levels(_steps(signal))))
    else:
        found.append(models.DynamicConfigValue("thresholds", _levels([("quiet", 0)])))
    return found


def _steps(signal: Signal) -> list[tuple[Tone, float]]:
    """From the lowest. Grafana's thresholds are reached and ours crossed, which for a count is one more."""
    levels = steps(signal)
    if downward(signal):
        tones: list[Tone] = ["good", *(tone for tone, _ in levels)]
        limits = [limit for _, limit in levels]
        return list(zip(reversed(tones), [0.0, *reversed(limits)], strict=True))
    more = 1 if signal.unit == "count" else 0
    return [("good", 0.0), *((tone, limit + more) for tone, limit in levels)]


def _levels(levels: list[tuple[Tone, float]]) -> dict[str, Any]:
    steps_made = [
        models.Threshold(value=None if i == 0 else limit, color=COLOURS[tone]) for i, (tone, limit) in enumerate(levels)
    ]
    return {"mode": "absolute", "steps": [{"value": step.value, "color": step.color} for step in steps_made]}


def _override(made: Any, matcher: tuple[str, str], properties: list[models.DynamicConfigValue]) -> None:
    made.with_override(models.MatcherConfig(id_val=matcher[0], options=matcher[1]), properties)


def _numbers(panel: Panel, making: _Making) -> Any:
    made = (
        stat.Panel()
        .color_mode(common.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    )
    number = 0
    for shown in panel.show:
        asked = [shown] if shown.of is None else [shown, Shown(signal=shown.of)]
        for item in asked:
            made.with_target(_target(number, expression(panel, item, making.value), making.title(item)))
            letter = chr(ord("A") + number)
            looks = _looks(making.signal(item), making.lang)
            if item.as_ == "age":
                looks = [models.DynamicConfigValue("unit", "s"), models.DynamicConfigValue("thresholds", _age())]
            _override(made, ("byFrameRefID", letter), looks)
            number += 1
    return made


def _age() -> dict[str, Any]:
    return _levels([("good", 0), ("warning", 45), ("bad", 120)])


def _tiles(panel: Panel, making: _Making) -> Any:
    made = (
        stat.Panel()
        .color_mode(common.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    )
    (shown,) = panel.show
    made.with_target(_target(0, expression(panel, shown, making.value), f"{{{{{making.lang}}}}}"))
    _override(made, ("byFrameRefID", "A"), _looks(making.signal(shown), making.lang))
    made.data_links([_link(WORDS["site"][making.lang], _page("site", "${__field.labels.site}", making.lang))])
    return made


def _tiles_by_county(panel: Panel, making: _Making) -> list[Any]:
    """The city's own sites, then a panel for each county; sites stay where they are."""
    by_county = panel.model_copy(update={"where": "county"})
    own = _labelled(_tiles(by_county, _Making(making.catalogue, "", making.lang)), panel, making.lang)
    own.title(WORDS["city"][making.lang])
    each = _labelled(_tiles(by_county, _Making(making.catalogue, "$county", making.lang)), panel, making.lang)
    each.title("$county").repeat("county").repeat_direction("h").max_per_row(4)
    return [own, each]


def _bars(panel: Panel, making: _Making) -> Any:
    made = bargauge.Panel().orientation(common.VizOrientation.HORIZONTAL)
    made.display_mode(common.BarGaugeDisplayMode.BASIC).reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    (shown,) = panel.show
    made.with_target(_target(0, expression(panel, shown, making.value), _legend(panel, "", several=False)))
    _override(made, ("byFrameRefID", "A"), _looks(making.signal(shown), making.lang))
    made.min(0)
    for key in panel.by:
        if key in SOURCES:
            made.data_links([_link(WORDS[key][making.lang], _page(key, f"${{__field.labels.{key}}}", making.lang))])
    return made


def _lines(panel: Panel, making: _Making) -> Any:
    made = timeseries.Panel().min(0).fill_opacity(0).span_nulls(False)
    several = len(panel.show) > 1
    for number, shown in enumerate(panel.show):
        legend = _legend(panel, making.title(shown), several=several)
        made.with_target(_target(number, expression(panel, shown, making.value), legend, instant=False))
        looks = [models.DynamicConfigValue("unit", UNITS[making.signal(shown).unit])]
        if shown.as_ == "limit":
            dashed = LineStyle().fill("dash").dash([8, 8]).build()
            looks.append(models.DynamicConfigValue("custom.lineStyle", dashed))
        _override(made, ("byFrameRefID", chr(ord("A") + number)), looks)
    return made


def _timeline(panel: Panel, making: _Making) -> Any:
    made = statetimeline.Panel().time_from(panel.changed or "24h").show_value(common.VisibilityMode.AUTO)
    (shown,) = panel.show
    made.with_target(_target(0, expression(panel, shown, making.value), f"{{{{{making.lang}}}}}", instant=False))
    _override(made, ("byFrameRefID", "A"), _looks(making.signal(shown), making.lang))
    return made


def _table(panel: Panel, making: _Making) -> Any:
    """One row for each combination of the labels `by`: signals that have others besides are brought down to these."""
    keys = panel.by or ALERT_KEYS
    made = table.Panel().cell_height(common.TableCellHeight.SM)
    renamed = {}
    for number, shown in enumerate(panel.show):
        expr = f"max by ({', '.join(keys)}) ({expression(panel, shown, making.value)})"
        made.with_target(_target(number, expr, rows=True))
        column = "Value" if len(panel.show) == 1 else f"Value #{chr(ord('A') + number)}"
        renamed[column] = making.title(shown)
        looks = [*_looks(making.signal(shown), making.lang)]
        looks.append(models.DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
        _override(made, ("byName", renamed[column]), looks)
    made.with_transformation(models.DataTransformerConfig("merge", options={}))
    order = {name: number for number, name in enumerate([*keys, *renamed])}
    organized = {"excludeByName": {"Time": True}, "renameByName": renamed, "indexByName": order}
    made.with_transformation(models.DataTransformerConfig("organize", options=organized))
    for key in keys:
        page = "site" if key.endswith("_site") else key
        if page in SOURCES:
            links = [{"title": WORDS[page][making.lang], "url": _page(page, "${__value.text}", making.lang)}]
            properties = [models.DynamicConfigValue("links", links)]
            if page != key:
                properties.append(models.DynamicConfigValue("mappings", [_nowhere(making.lang)]))
            _override(made, ("byName", key), properties)
        elif key in LABELS:
            mappings = models.DynamicConfigValue("mappings", [_worded(key, making.lang)])
            _override(made, ("byName", key), [mappings])
    if panel.top:
        made.sort_by([TableSortByFieldState().display_name(making.title(panel.show[0])).desc(True)])
    if panel.kind == "alerts":
        url = "${runbooks}/${__data.fields.room}/runbook.md#${__data.fields.alertname}"
        links = [{"title": WORDS["runbooks"][making.lang], "url": url}]
        _override(made, ("byName", "alertname"), [models.DynamicConfigValue("links", links)])
    return made


def _nowhere(lang: Lang) -> models.ValueMap:
    """Words in place of what is no site's name."""
    options = {}
    for value, (zh, en) in NOWHERE.items():
        text = f"{SHAPES['unknown']} {zh if lang == 'zh' else en}"
        options[value] = models.ValueMappingResult(text=text, color=COLOURS["unknown"])
    return models.ValueMap(options)


def _worded(key: str, lang: Lang) -> models.ValueMap:
    """Words in place of a label's values, each with its shape."""
    options = {}
    for value, (looks, zh, en) in LABELS[key].items():
        text = f"{SHAPES[looks]} {zh if lang == 'zh' else en}"
        options[value] = models.ValueMappingResult(text=text, color=COLOURS[looks])
    return models.ValueMap(options)


def _page(name: str, value: str, lang: Lang) -> str:
    return f"/d/{uid(name, lang)}?var-{name}={value}"
