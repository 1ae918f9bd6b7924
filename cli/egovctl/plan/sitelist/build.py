"""A list that was read → the files of an inventory, checked as `plan check` does, with the row of every fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from egovctl.i18n import pick, tr
from egovctl.paths import Inventory
from egovctl.plan.addresses import Numbering, PoolTooSmall
from egovctl.plan.beside import beside_faults
from egovctl.plan.derived import City
from egovctl.plan.load import check
from egovctl.plan.models import MAX_UPLINKS, Addressing, CityFile, Plan, Site, Text
from egovctl.plan.sentences import sentences
from egovctl.plan.sitelist.columns import listed
from egovctl.plan.sitelist.emit import city_yml, inventory_yml, services_yml
from egovctl.plan.sitelist.numbering import Assigned, assign
from egovctl.plan.sitelist.promises import services_data
from egovctl.plan.sitelist.read import Sheet, read_sheets, shown_name
from egovctl.plan.sitelist.rows import Draft, Reading, read_rows
from egovctl.plan.source import KeyPath, PlanError, Source, parse_source

MAX_FAULTS = 50
POOLS = {
    "loopback_v4": "10.240.0.0/16",
    "transit_v4": "10.241.0.0/16",
    "lan_v4": "10.64.0.0/11",
    "v6": "2001:db8::/32",
}
GROUPS = ("centre", "hub", "city", "county", "below", "mobile")
GROUP_OF_KIND = {"hub": "hub", "offsite": "hub", "town": "below", "village": "below", "mobile": "mobile"}


@dataclass(frozen=True)
class Wanted:
    """What the list does not say: the city's own facts. `sheet` is the one to read, the first with a list if None."""

    name: str
    city: Mapping[str, Any]
    addressing: Mapping[str, str] = field(default_factory=lambda: dict(POOLS))
    sheet: str | None = None


@dataclass(frozen=True)
class Imported:
    """The files to write, by their path in the inventory, what they mean, and what a person should know of them."""

    files: Mapping[str, str]
    plan: Plan
    city: City
    ignored: tuple[str, ...]
    numbered: Assigned
    titles_made: int


@dataclass
class ListSource(Source):
    """The plan's data with its places in the list: a site's faults are at its row, an option's at the option."""

    sheet: Sheet = field(default_factory=lambda: Sheet("", None, ()))
    rows: Mapping[KeyPath, int] = field(default_factory=dict)

    def at(self, where: KeyPath) -> str:
        for length in range(len(where), 0, -1):
            if (row := self.rows.get(where[:length])) is not None:
                return self.sheet.at(row)
        match where:
            case ("addressing", str(pool)):
                return f"--{pool.replace('_', '-')}"
            case ("city", "name", *_):
                return "--name-zh, --name-en"
            case ("city", str(key), *_):
                return f"--{key}"
        return self.sheet.at()


def build(path: Path, wanted: Wanted, inventory: Inventory) -> Imported:
    """The inventory that the list at `path` means; PlanError with each fault and its row. Writes nothing."""
    found = listed(shown_name(path), read_sheets(path), wanted.sheet)
    reading = read_rows(found)
    reading.drafts.sort(key=_group(reading))
    numbered = assign([draft.unnumbered(draft.county) for draft in reading.drafts], _fits(wanted.addressing))
    sources = _sources(reading, wanted, numbered)
    _raise_for(reading.faults + (_model_faults(sources["city"]) if reading.faults else []))
    try:
        plan, _ = check(sources, wanted.name)
    except PlanError as error:
        _raise_for(error.faults)
        raise
    _raise_for([f"{sources['city'].at(where)}: {sentence}" for where, sentence in beside_faults(plan, inventory)])
    data = {name: source.data for name, source in sources.items()}
    texts = {
        "city.yml": inventory_yml(),
        "plan/city.yml": city_yml(data["city"], found.sheet.at(), date.today(), _comments(reading)),
        "plan/services.yml": services_yml(data["services"]),
    }
    written = {name: parse_source(f"plan/{name}.yml", texts[f"plan/{name}.yml"]) for name in data}
    for name, source in written.items():
        if source.data != data[name]:
            raise AssertionError(f"plan/{name}.yml does not say what the list says")
    return Imported(texts, *check(written, wanted.name), found.ignored, numbered, reading.titles_made)


def _group(reading: Reading) -> Callable[[Draft], tuple[int, int]]:
    """The order of the plan: the centre, hubs, the city's departments, each county's, towns and villages, mobile."""
    counties = [item.name for item in reading.counties.items]

    def key(draft: Draft) -> tuple[int, int]:
        group = GROUP_OF_KIND.get(draft.kind, "centre")
        if draft.kind == "department":
            group = "county" if draft.county else "city"
        return GROUPS.index(group), counties.index(draft.county) if group == "county" else 0

    return key


def _comments(reading: Reading) -> dict[int, str]:
    """What stands above the first site of each group, by the site's place."""
    titles = {item.name: item.entry()["title"] for item in reading.counties.items}
    words = {
        0: tr("市中心", "The centre"),
        1: tr("县区汇聚节点", "County hubs"),
        2: tr("市直部门", "City departments"),
        4: tr("乡镇与村", "Towns and villages"),
        5: tr("移动应急", "What drives to where it is needed"),
    }
    key = _group(reading)
    comments: dict[int, str] = {}
    before: tuple[int, int] | None = None
    for place, draft in enumerate(reading.drafts):
        if (group := key(draft)) != before:
            title = titles.get(draft.county, {"zh": "", "en": ""})
            comments[place] = words.get(group[0]) or pick(title)
        before = group
    return comments


def _fits(pools: Mapping[str, str]) -> Callable[[int], bool]:
    """Whether the pools have room for a site's number; always, when they are no pools, which `check` will say."""
    try:
        numbering = Numbering(Addressing.model_validate(dict(pools)))
    except ValidationError:
        return lambda _: True

    def fits(number: int) -> bool:
        site = Site(name="x", number=number, kind="department", title=Text(zh="x", en="x"))
        try:
            numbering.loopback_v4(site, 2)
            numbering.lan_v4(site)
            numbering.lan_v6(site)
            numbering.transit_v4(site, None, MAX_UPLINKS - 1)
        except PoolTooSmall:
            return False
        return True

    return fits


def _sources(reading: Reading, wanted: Wanted, numbered: Assigned) -> dict[str, Source]:
    """The plan's data as if it had been read from its files."""
    sheet = reading.listed.sheet
    rows: dict[KeyPath, int] = {}
    sites: list[dict[str, Any]] = []
    for draft, number in zip(reading.drafts, numbered.numbers, strict=True):
        if number is None:
            reading.fault(draft.row, tr("没有可用的编号了；请填写编号", "no number is left for it; fill in the number"))
            continue
        rows["sites", len(sites)] = draft.row
        more = {key: value for key in ("county", "vertical") if (value := getattr(draft, key))}
        sites.append({"number": number, **draft.site, **more})
    city: dict[str, Any] = {"schema": 1, "city": dict(wanted.city), "addressing": dict(wanted.addressing)}
    for key, labels in (("counties", reading.counties), ("verticals", reading.verticals)):
        rows |= {(key, place): item.row for place, item in enumerate(labels.items)}
        if labels.items or key == "counties":
            city[key] = [item.entry() for item in labels.items]
    city["sites"] = sites
    services = {"schema": 1, "services": services_data(sites)}
    return {
        "city": ListSource(sheet.file, city, sheet=sheet, rows=rows),
        "services": ListSource(sheet.file, services, sheet=sheet),
    }


def _model_faults(source: Source) -> list[str]:
    """What is wrong with single rows, beside the faults of cells; rules across rows have to wait for all of them."""
    if not source.data["sites"]:
        return []
    try:
        CityFile.model_validate(source.data)
    except ValidationError as error:
        return list(sentences(source, error))
    return []


def _raise_for(faults: Sequence[str]) -> None:
    if not faults:
        return
    shown = list(dict.fromkeys(faults))
    if (more := len(shown) - MAX_FAULTS) > 0:
        rest = tr(f"另有 {more} 处错误；改正以上各处后再运行", f"{more} more faults; correct these and run it again")
        shown = [*shown[:MAX_FAULTS], rest]
    raise PlanError(shown)
