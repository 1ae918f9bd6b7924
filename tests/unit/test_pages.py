"""What pages are made of: tones and words, queries, charts, the drawing of the network, what may be asked."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egovctl.boards import Board, Panel, Shown, read_boards
from egovctl.boards.look import COLOURS, LABELS, SHAPES, Lang, labelled, number, tick, tone, words
from egovctl.boards.queries import expression, highest, of_rows
from egovctl.paths import Inventory
from egovctl.plan import load
from egovctl.report.assessment import VERDICTS
from egovctl.signals import Signal, read_catalogue
from egovctl.web import charts
from egovctl.web.atlas import CITY, Atlas
from egovctl.web.runbooks import runbook
from egovctl.web.schematic import ROW, schematic
from egovctl.web.view import RANGES, Refused, View

PROJECT = Path(__file__).resolve().parents[2]
CATALOGUE = read_catalogue(PROJECT / "dashboards")
BOARDS = read_boards(PROJECT / "dashboards", CATALOGUE)
ATLASES = {name: Atlas.of(*load(Inventory(PROJECT / "inventories" / name))) for name in ("lab", "wuwei")}
each_city = pytest.mark.parametrize("atlas", ATLASES.values(), ids=ATLASES)
TEXT = {"zh": "某", "en": "some"}


def signal(**fields: object) -> Signal:
    made = {"name": "a:b:c", "expr": "up", "unit": "ratio", "title": TEXT} | fields
    return Signal.model_validate(made)


def panel(**fields: object) -> Panel:
    made = {
        "name": "p",
        "kind": "table",
        "title": TEXT,
        "width": 4,
        "height": 4,
        "show": [{"signal": "a:b:c"}],
    } | fields
    return Panel.model_validate(made)


def test_thresholds_are_crossed_in_their_direction() -> None:
    busy = signal(thresholds={"warning": 0.8, "saturated": 0.9})
    assert [tone(busy, value) for value in (0.0, 0.8, 0.81, 0.9, 0.91)] == ["good", "good", "warning", "warning", "bad"]
    space = signal(thresholds={"low": 0.1, "full": 0.03})
    assert [tone(space, value) for value in (0.5, 0.1, 0.09, 0.03, 0.01)] == [
        "good",
        "good",
        "warning",
        "warning",
        "bad",
    ]
    assert tone(signal(), 0.99) == "quiet"
    none = signal(unit="count", thresholds={"warning": 0})
    assert (tone(none, 0), tone(none, 1)) == ("good", "warning")


@given(st.one_of(st.none(), st.just(math.nan), st.floats(min_value=2, max_value=9)))
def test_what_is_not_known_is_never_good(value: float | None) -> None:
    state = signal(unit="state", states={1: {**TEXT, "tone": "good"}, 0: {**TEXT, "tone": "bad"}})
    assert tone(state, value) == "unknown"
    if value is None or math.isnan(value):
        assert words(state, value, "zh") == "无数据" and tone(signal(thresholds={"warning": 1}), value) == "unknown"


def test_no_colour_is_green_and_each_has_a_shape() -> None:
    assert set(COLOURS) == set(SHAPES) and len(set(SHAPES.values())) == len(SHAPES)
    for colour in COLOURS.values():
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        assert green <= max(red, blue)


@pytest.mark.parametrize(
    ("unit", "value", "zh", "en"),
    [
        ("ratio", 0.0, "0 %", "0 %"), ("ratio", 0.0001, "< 0.1 %", "< 0.1 %"), ("ratio", 0.0123, "1.2 %", "1.2 %"),
        ("ratio", 0.954, "95 %", "95 %"), ("seconds", 0.25, "250 毫秒", "250 ms"), ("seconds", 5, "5 秒", "5 s"),
        ("seconds", 0.004, "4 毫秒", "4 ms"), ("seconds", 0.00123, "1.2 毫秒", "1.2 ms"),
        ("seconds", 0.0, "0 秒", "0 s"),
        ("seconds", 0.00002, "0.02 毫秒", "0.02 ms"), ("seconds", 1e-6, "< 0.01 毫秒", "< 0.01 ms"),
        ("seconds", 1.5, "1.50 秒", "1.50 s"),
        ("seconds", 3600, "60 分", "60 min"), ("seconds", 86400 * 3, "3 天", "3 d"),
        ("bits_per_second", 18_400_000, "18.4 Mbit/s", "18.4 Mbit/s"),
        ("bits_per_second", 2e8, "200 Mbit/s", "200 Mbit/s"),
        ("bits_per_second", 5e7, "50 Mbit/s", "50 Mbit/s"), ("bytes", 123456789, "118 MiB", "118 MiB"),
        ("celsius", 41.4, "41 °C", "41 °C"), ("count", 1234, "1,234", "1,234"),
        ("per_second", 1500, "1.5 k/s", "1.5 k/s"),
    ],
)  # fmt: skip
def test_numbers_are_short_and_have_their_unit(unit: str, value: float, zh: str, en: str) -> None:
    assert (number(unit, value, "zh"), number(unit, value, "en")) == (zh, en)  # type: ignore[arg-type]


def test_small_numbers_at_an_axis_stay_apart() -> None:
    assert len({tick("ratio", value, "en") for value in (0, 0.00001, 0.00002, 0.00003)}) == 4


@given(st.text(min_size=1, max_size=30))
def test_a_value_stays_inside_its_quotes(value: str) -> None:
    text = expression(panel(where="site"), Shown(signal="a:b:c"), value)
    match = re.fullmatch(r'a:b:c\{site="((?:[^"\\]|\\.)*)"\}', text, re.S)
    assert match and re.sub(r"\\(.)", r"\1", match[1], flags=re.S) == value


def test_a_query_is_a_signal_narrowed() -> None:
    shown = Shown(signal="a:b:c")
    assert expression(panel(), shown, None) == "a:b:c"
    assert expression(panel(top=3), shown, None) == "topk(3, a:b:c)"
    assert expression(panel(top=3, kind="lines"), shown, None) == "a:b:c and topk(3, a:b:c @ end())"
    assert expression(panel(changed="24h"), shown, None) == "a:b:c and changes(a:b:c[24h] @ end()) > 0"
    age = Shown.model_validate({"signal": "a:b:c", "as": "age"})
    assert expression(panel(where="site"), age, "x") == 'time() - max(timestamp(a:b:c{site="x"}))'


@given(st.floats(min_value=1e-9, max_value=1e15))
def test_an_axis_reaches_above_its_values_and_not_far(value: float) -> None:
    assert value * 0.999 <= charts._nice(value) <= value * 2.01


def test_a_line_is_broken_where_samples_are_missing() -> None:
    span = charts.Span(0, 1000, 10)
    points = [(float(at), 5.0) for at in range(0, 500, 10) if not 100 <= at < 200]
    svg = charts.lines([charts.Drawn("x", points)], span, 600, 200, str)
    assert svg.count("<polyline") == 2
    holes = [(0.0, 1.0), (10.0, math.nan), (20.0, 1.0)]
    assert charts.lines([charts.Drawn("x", holes)], span, 600, 200, str).count("<polyline") == 2
    assert "nan" not in charts.lines([charts.Drawn("x", holes)], span, 600, 200, str)
    assert (
        charts.strip([(0.0, 1.0), (10.0, 1.0), (20.0, 0.0), (900.0, 0.0)], span, lambda _: "good").count("<rect") == 3
    )


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(allow_nan=True, allow_infinity=True)), max_size=30))
def test_a_chart_is_drawn_of_whatever_comes(points: list[tuple[float, float]]) -> None:
    svg = charts.lines(
        [charts.Drawn("x", sorted(points))], charts.Span(0, 1000, 10), 600, 200, lambda value: f"{value:g}"
    )
    assert "nan" not in svg and "inf" not in svg and svg.endswith("</svg>")


@each_city
def test_the_drawing_has_every_site_and_link_and_nothing_lies_on_another(atlas: Atlas) -> None:
    drawing = schematic(atlas)
    assert {node.site for node in drawing.nodes} == set(atlas.sites)
    between = {link.name for link in atlas.topology.links if link.site != link.peer_site}
    assert {edge.link for edge in drawing.edges} == between
    assert len({edge.path for edge in drawing.edges}) == len(drawing.edges), "two links lie on one another"
    for one, other in itertools.combinations(drawing.nodes, 2):
        assert abs(one.x - other.x) >= 100 or abs(one.y - other.y) >= ROW - 1, (one, other)
    assert all(0 < node.x < drawing.width and 0 < node.y < drawing.height for node in drawing.nodes)


def bare(atlas: Atlas) -> Atlas:
    """The same city, whose plan says no short names."""
    places = tuple(dataclasses.replace(place, short=None) for place in atlas.topology.places)
    return dataclasses.replace(atlas, topology=dataclasses.replace(atlas.topology, places=places))


@each_city
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_tiles_are_called_shortly_and_by_all_that_differs(atlas: Atlas, lang: Lang) -> None:
    atlas = bare(atlas)
    for county in atlas.counties:
        sites = atlas.sites_of(county)
        short = [atlas.short(site, lang) for site in sites]
        assert all(short) and len(set(short)) == len({atlas.title("site", site, lang) for site in sites})
    assert sorted(site for county in atlas.counties for site in atlas.sites_of(county)) == sorted(atlas.sites)


@each_city
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_tiles_of_a_county_have_names_that_fit_and_differ(atlas: Atlas, lang: Lang) -> None:
    for county in atlas.counties:
        names = [atlas.short(site, lang) for site in atlas.sites_of(county)]
        assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
        assert all(len(name) <= {"zh": 3, "en": 7}[lang] for name in names)


@each_city
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_link_is_called_by_what_its_ends_are_on_tiles(atlas: Atlas, lang: Lang) -> None:
    """Of the whole city no two are called alike, none by a host, and all have room on the wall."""
    names = [atlas.line(link, lang) for link in atlas.links]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    assert all(len(name) <= {"zh": 14, "en": 26}[lang] for name in names), max(names, key=len)
    assert not [name for name in names if set(name.split()) & set(atlas.city.hosts)]


def test_a_link_says_its_county_and_which_of_several_it_is() -> None:
    atlas = ATLASES["wuwei"]
    assert atlas.line("hub-minqin:up1", "zh") == "民勤汇聚 → 核心 2"
    assert atlas.line("minqin-education:up0", "en") == "Minqin Edu → Hub"
    # Where the plan says no short names a title that begins with its county does not say it twice.
    assert bare(atlas).line("minqin-health:up0", "en").count("Minqin") == 1


def test_a_county_is_not_said_on_each_of_its_tiles() -> None:
    atlas = bare(ATLASES["wuwei"])
    assert (atlas.short("tianzhu-education", "zh"), atlas.short("tianzhu-education", "en")) == (
        "教育局",
        "Education Bureau",
    )
    assert atlas.label("county", CITY) == "" and atlas.label("county", "minqin") == "minqin"


def test_what_the_plan_calls_a_site_in_short_comes_first() -> None:
    atlas = ATLASES["wuwei"]
    assert (atlas.short("human-resources", "zh"), atlas.short("human-resources", "en")) == ("人社局", "HR")
    assert atlas.title("site", "human-resources", "zh") == "市人力资源和社会保障局"


def view(board: str, value: str = "", **asked: str) -> View:
    return View.of(BOARDS, ATLASES["lab"], board, value, asked, "zh")


def test_verdicts_have_the_words_of_reports() -> None:
    assert {name: zh for name, (_, zh, _) in LABELS["verdict"].items()} == {
        name: words["zh"] for name, words in VERDICTS.items()
    }
    assert labelled("verdict", "not_met", "zh") == "✖ 不符合" and labelled("verdict", "met", "en") == "● met"
    assert labelled("period", "day", "zh") == "今日"
    assert labelled("verdict", "odd", "zh") == "odd" and labelled("host", "met", "zh") == "met"


def test_a_page_keeps_how_it_looks() -> None:
    found = view("site", "hub-minqin", lang="en", theme="light", range="7d", kiosk="30")
    assert found.here() == "/page/site/hub-minqin?lang=en&theme=light&range=7d&kiosk=30"
    assert found.address("link", "hub-minqin:up0").startswith("/page/link/hub-minqin:up0?")
    assert view("wall").lang == "zh"


@pytest.mark.parametrize(
    ("board", "value", "asked", "status"),
    [
        ("gone", "", {}, 404),
        ("site", "", {}, 404),
        ("site", "gone", {}, 404),
        ("wall", "core", {}, 404),
        ("county", "", {}, 404),
        ("wall", "", {"lang": "de"}, 400),
        ("wall", "", {"range": "1y"}, 400),
        ("wall", "", {"theme": ""}, 400),
        ("wall", "", {"kiosk": "4"}, 400),
        ("wall", "", {"kiosk": "٣٠"}, 400),
        ("wall", "", {"kiosk": "-30"}, 400),
        ("wall", "", {"kiosk": "9999"}, 400),
    ],
)
def test_what_is_not_there_is_refused(board: str, value: str, asked: dict[str, str], status: int) -> None:
    with pytest.raises(Refused) as caught:
        view(board, value, **asked)
    assert caught.value.status == status and caught.value.why.zh != caught.value.why.en


def test_no_range_asks_for_more_than_a_screen_can_show() -> None:
    assert all(wide / step <= 400 for wide, step in RANGES.values())


def test_a_runbook_becomes_html_and_nothing_of_it_is_markup(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    text = (
        "# Title\nOne <b>`a < b`</b> **bold**, [a page](../x.md).\n\n## EgovSiteDown\n**en** What.\n**zh** 怎么办。\n"
    )
    (tmp_path / "room/runbook.md").write_text(text, encoding="utf-8")
    body = runbook(tmp_path, "room")
    assert body is not None and '<h2 id="egovsitedown">EgovSiteDown</h2>' in body
    assert "&lt;b&gt;<code>a &lt; b</code>&lt;/b&gt; <strong>bold</strong>, a page." in body
    assert body.count("<p>") == 3
    assert runbook(tmp_path, "../room") is None and runbook(tmp_path, "gone") is None


def test_every_board_of_a_thing_is_narrowed_to_it() -> None:
    """A page of one site whose panel forgot to say so would show all sites as if they were this one."""
    for board in BOARDS.values():
        for item in board.panels:
            assert bool(item.where) == bool(board.of), (board.name, item.name)
    assert isinstance(BOARDS["wall"], Board)


def test_of_the_highest_lines_no_others_are_read() -> None:
    chart = panel(kind="lines", by=["link"], top=2, where="county")
    assert highest(chart, chart.show[0], "c") == 'topk(2, a:b:c{county="c"})'
    assert of_rows(chart, chart.show[0], "c", ["x:up0", "y.z"]) == r'a:b:c{county="c",link=~"x:up0|y\\.z"}'
    everywhere = panel(kind="lines", by=["link"], top=2)
    assert of_rows(everywhere, everywhere.show[0], None, ["x"]) == 'a:b:c{link=~"x"}'
