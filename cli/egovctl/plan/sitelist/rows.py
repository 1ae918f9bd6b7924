"""A row of the list → a site of the plan, as plain data; what is wrong with a cell is a sentence with its heading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from egovctl.i18n import tr
from egovctl.plan.models import LABEL
from egovctl.plan.sitelist import cells
from egovctl.plan.sitelist.columns import Line, Listed
from egovctl.plan.sitelist.labels import Labels
from egovctl.plan.sitelist.numbering import Unnumbered

T = TypeVar("T")
CONTROL = {"name": "control", "role": "control", "index": 10}
COPIED = ("platform",)
ADDRESSES = ("lan_v4", "lan_v6", "loopback_v4")


@dataclass
class Draft:
    """A site while the plan is being made: `site` as in city.yml but for its number, and the row that it comes from."""

    row: int
    site: dict[str, Any]
    county: str = ""
    vertical: str = ""
    number: int | None = None

    @property
    def kind(self) -> str:
        return str(self.site["kind"])

    def unnumbered(self, county: str) -> Unnumbered:
        """What its number follows from; `county` is the label of its county."""
        name = str(self.site["name"])
        return Unnumbered(self.kind, county, name.removeprefix(f"{county}-").removeprefix("county-"), self.number)


@dataclass
class Reading:
    """All rows as drafts, with the counties and vertical networks that they name, and every fault of a cell."""

    listed: Listed
    drafts: list[Draft] = field(default_factory=list)
    counties: Labels = field(default_factory=Labels)
    verticals: Labels = field(default_factory=Labels)
    faults: list[str] = field(default_factory=list)
    titles_made: int = 0

    def fault(self, row: int, sentence: str) -> None:
        self.faults.append(f"{self.listed.sheet.at(row)}: {' '.join(sentence.split())}")


def read_rows(listed: Listed) -> Reading:
    """Every row of the list; the faults of all of them at once."""
    reading = Reading(listed, faults=list(listed.faults))
    for line in listed.lines:
        if (draft := _draft(reading, line)) is not None:
            reading.drafts.append(draft)
    _label(reading, "county", reading.counties)
    _label(reading, "vertical", reading.verticals)
    _give_control(reading.drafts)
    _resolve_uplinks(reading)
    return reading


def _draft(reading: Reading, line: Line) -> Draft | None:
    before = len(reading.faults)

    def take(name: str, parse: Callable[[str], T], otherwise: T) -> T:
        if not line.get(name):
            return otherwise
        try:
            return parse(line.lines(name))
        except ValueError as error:
            reading.fault(line.number, f"{reading.listed.headings[name]}: {error}")
            return otherwise

    kind = take("kind", cells.kind, "")
    if not line.get("kind"):
        reading.fault(line.number, tr("没有写类别", "the kind is missing"))
    number = take("number", cells.whole, None)
    name = _name(reading, line)
    site: dict[str, Any] = {"name": name, "kind": kind, "title": _title(reading, line, name)}
    short = {lang: line.get(f"short_{lang}") for lang in ("zh", "en")}
    if all(short.values()):
        site["short"] = short
    elif any(short.values()):
        reading.fault(line.number, tr("简称须中英文都写或都不写", "a short name is in both languages or in none"))
    site |= {key: cells.plain(line.get(key)) for key in COPIED if line.get(key)}
    routers: list[str] = take("routers", cells.names, [])
    if kind == "core" and not routers and name:
        routers = [f"{name}1", f"{name}2"]  # a core has two; the list need not say so
    if routers:
        site["routers"] = routers
    if kind == "core" and not line.get("uplinks"):
        if (width := take("mbps", cells.mbps, None)) is not None:
            site["interconnect_mbps"] = width
    elif (uplinks := take("uplinks", lambda text: cells.uplinks(text, line.lines("mbps")), None)) is not None:
        site["uplinks"] = uplinks
    site |= _more(line, take, routers or [name])
    for labels, field_name in ((reading.counties, "county"), (reading.verticals, "vertical")):
        try:
            said = [line.get(field_name + ending) for ending in ("", "_zh", "_en")]
            if any(said):
                labels.say(line.number, *said)
        except ValueError as error:
            reading.fault(line.number, str(error))
    if len(reading.faults) > before:
        return None
    return Draft(line.number, site, _key(line, "county"), _key(line, "vertical"), number)


def _more(line: Line, take: Callable[..., Any], routers: list[str]) -> dict[str, Any]:
    """What most sites have none of."""
    more: dict[str, Any] = {}
    if (attached := take("internet", lambda text: cells.internet(text, routers), None)) is not None:
        more["internet"] = attached
    if hosts := take("hosts", cells.hosts, []):
        more["hosts"] = hosts
    if addresses := {key: cells.plain(line.get(key)) for key in ADDRESSES if line.get(key)}:
        more["addresses"] = addresses
    if (bundles := take("manage", cells.manage, None)) is not None:
        more["manage"] = bundles
    return more


def _key(line: Line, name: str) -> str:
    """What a row calls its county or vertical network."""
    return line.get(name) or line.get(f"{name}_zh") or line.get(f"{name}_en")


def _name(reading: Reading, line: Line) -> str:
    name = cells.plain(line.get("name")) or cells.slug(line.get("title_en"))
    if not name:
        title = line.get("title_en") or line.get("title_zh")
        reading.fault(
            line.number,
            tr(
                f"{title or '该站点'} 没有字母名称；请填写名称标识（a-z、0-9、-）或英文名称",
                f"{title or 'this site'} has no name in letters; fill in name (a-z, 0-9, -) or the English title",
            ),
        )
    elif not LABEL.match(name):
        reading.fault(
            line.number,
            tr(
                f"{name} 不能作名称标识；请用 a-z、0-9 和 -，最多 32 个字符",
                f"{name} cannot be a name; use a-z, 0-9 and -, 32 characters at most",
            ),
        )
    return name


def _title(reading: Reading, line: Line, name: str) -> dict[str, str]:
    """Both titles; one that the list does not have is the other one, or the name."""
    zh, en = line.get("title_zh"), line.get("title_en")
    if not (zh and en):
        reading.titles_made += 1
    return {"zh": zh or en or name, "en": en or name.replace("-", " ").capitalize()}


def _label(reading: Reading, name: str, labels: Labels) -> None:
    """Replace what rows call their county or vertical network by its label."""
    for draft in reading.drafts:
        key = getattr(draft, name)
        item = labels.find(key) if key else None
        setattr(draft, name, "" if item is None else item.name)
    for item in labels.items:
        if not item.name and not reading.listed.faults:
            heading = {"county": ("县区英文名", "county en"), "vertical": ("纵向网英文名", "vertical en")}[name]
            reading.fault(
                item.row,
                tr(
                    f"{item.zh} 没有字母名称；请在任一行的“{heading[0]}”列写上英文名，不会由汉字猜拼音",
                    f"{item.zh} has no name in letters; give its English name in the column {heading[1]} of any row, "
                    "as names are not guessed from Chinese",
                ),
            )


def _give_control(drafts: list[Draft]) -> None:
    """The NOC's control node, which offices do not list among their sites."""
    given = any(host["role"] == "control" for draft in drafts for host in draft.site.get("hosts", ()))
    nocs = [draft for draft in drafts if draft.kind == "noc"]
    if not given and len(nocs) == 1:
        nocs[0].site["hosts"] = [dict(CONTROL), *nocs[0].site.get("hosts", ())]


def _resolve_uplinks(reading: Reading) -> None:
    """Uplinks may name a router, a site or a title; the plan names routers.

    Where rows were left out, an uplink to a title that is not found is left out too: it is no fault of its own row.
    """
    whole = not reading.faults
    routers: dict[str, str | None] = {}
    several: dict[str, list[str]] = {}
    for draft in reading.drafts:
        own = draft.site.get("routers") or [draft.site["name"]]
        for text in (draft.site["name"], *draft.site["title"].values()):
            key = cells.word(text)
            routers[key] = None if key in routers and routers[key] != own[0] else own[0]
            if len(own) > 1:
                several[key] = own
    exact = {name for draft in reading.drafts for name in draft.site.get("routers") or [draft.site["name"]]}
    for draft in reading.drafts:
        for uplink in list(draft.site.get("uplinks", ())):
            to = uplink["to"]
            if to in exact:
                continue
            key = cells.word(to)
            if key in several:
                reading.fault(
                    draft.row,
                    tr(
                        f"{to} 有多台路由器；上联请写 {' 或 '.join(several[key])}",
                        f"{to} has several routers; write the uplink to {' or '.join(several[key])}",
                    ),
                )
            elif (found := routers.get(key)) is not None:
                uplink["to"] = found
            elif not LABEL.match(to) and not whole:
                draft.site["uplinks"].remove(uplink)
            elif not LABEL.match(to):
                reading.fault(
                    draft.row,
                    tr(
                        f"上联到 {to}，但表中没有唯一的站点叫这个名称",
                        f"the uplink leads to {to}, and no one site of the list is called that",
                    ),
                )
