"""The plan as pages need it: what a page can be of, how each thing is called, and which rows there must be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from egovctl.boards.look import LANGUAGES, Lang
from egovctl.boards.model import Variable
from egovctl.plan import City, Plan
from egovctl.plan.models import Text
from egovctl.render.topology import Contract, Place, Topology, topology_for_rules

# The sites of no county; as a label's value it is "".
CITY = "_city"
CITY_TITLE = Text(zh="市本级", en="City")


def _parts(text: str, lang: Lang) -> list[str]:
    """By characters in Chinese, by words in English."""
    return list(text) if lang == "zh" else [f"{word} " for word in text.split()]


def _common(parts: Sequence[Sequence[str]]) -> str:
    """What all of these begin with."""
    found = ""
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        found += column[0]
    return found


@dataclass(frozen=True)
class Atlas:
    """One city's plan, looked up by name."""

    plan: Plan
    city: City
    topology: Topology

    @classmethod
    def of(cls, plan: Plan, city: City) -> Atlas:
        return cls(plan, city, topology_for_rules(plan, city))

    @cached_property
    def sites(self) -> Mapping[str, Place]:
        return {place.name: place for place in self.topology.places}

    @cached_property
    def links(self) -> Mapping[str, Contract]:
        return {link.name: link for link in self.topology.links}

    @cached_property
    def counties(self) -> Mapping[str, Text]:
        """The city's own sites first, where it has any, then the counties as planned."""
        own = {CITY: CITY_TITLE} if any(place.county is None for place in self.topology.places) else {}
        return own | {county.name: county.title for county in self.plan.counties}

    def values(self, variable: Variable) -> Iterable[str]:
        """What a page of this kind can be of."""
        return {"county": self.counties, "site": self.sites, "link": self.links}[variable]

    def label(self, variable: Variable, value: str) -> str:
        """The value as Prometheus' label has it."""
        return "" if (variable, value) == ("county", CITY) else value

    def title(self, variable: Variable, value: str, lang: Lang) -> str:
        """What a person calls it; a name that the plan has not stays as it is."""
        if variable == "county" and value in self.counties:
            return str(getattr(self.counties[value], lang))
        if variable == "site" and value in self.sites:
            return str(getattr(self.sites[value].title, lang))
        if variable == "link" and value in self.links:
            link = self.links[value]
            ends = [self.title("site", name, lang) for name in (link.site, link.peer_site)]
            same = [one for one in self.links.values() if (one.site, one.peer_site) == (link.site, link.peer_site)]
            return f"{ends[0]} → {ends[1]}" + (f" ({link.ends[1].host.name})" if len(same) > 1 else "")
        return value

    def short(self, site: str, lang: Lang) -> str:
        """What the plan calls it in short; else its title without what all titles of its county begin with.

        It is for tiles, and the county is said beside them.
        """
        place = self.sites[site]
        if place.short is not None:
            return str(getattr(place.short, lang))
        title = str(getattr(place.title, lang))
        return title.removeprefix(self._beginnings[place.county, lang]) or title

    @cached_property
    def _beginnings(self) -> Mapping[tuple[str | None, Lang], str]:
        """What the titles of a county's sites have in common before they differ: 民勤县, "Minqin "; of the city: 市."""
        found: dict[tuple[str | None, Lang], str] = {}
        for county in (None, *(item.name for item in self.plan.counties)):
            for lang in LANGUAGES:
                own = [
                    _parts(getattr(place.title, lang), lang) for place in self.sites.values() if place.county == county
                ]
                if county is None:
                    first = Counter(part[0] for part in own).most_common(1)[0] if own else ("", 0)
                    found[county, lang] = first[0] if first[1] * 2 > len(own) else ""
                else:
                    begin = _parts(getattr(self.counties[county], lang), lang)[: 2 if lang == "zh" else 1]
                    same = [part for part in own if part[: len(begin)] == begin and len(part) > len(begin)]
                    found[county, lang] = _common(same) if len(same) > 1 else ""
        return found

    def sites_of(self, county: str) -> list[str]:
        """The county's sites, in plan order."""
        wanted = None if county == CITY else county
        return [place.name for place in self.topology.places if place.county == wanted]

    def line(self, link: str, lang: Lang) -> str:
        """A link in few words, as on the wall: both ends as tiles call them, the lower one with its county.

        Of several links between the same two sites each has its number, in the plan's order.
        """
        found = self.links[link]
        lower = self.short(found.site, lang)
        if (county := self.sites[found.site].county) is not None:
            begin = self._county(county, lang)
            lower = lower if lower.startswith(begin) else begin + lower
        same = [one.name for one in self.links.values() if (one.site, one.peer_site) == (found.site, found.peer_site)]
        number = f" {same.index(link) + 1}" if len(same) > 1 else ""
        return f"{lower} → {self.short(found.peer_site, lang)}{number}"

    def _county(self, county: str, lang: Lang) -> str:
        """What its name begins with, 民勤 or "Minqin "; the whole where another one begins so too."""
        size = 2 if lang == "zh" else 1
        begin, *others = (
            "".join(_parts(str(getattr(self.counties[name], lang)), lang)[:size])
            for name in (county, *(item.name for item in self.plan.counties if item.name != county))
        )
        whole = str(getattr(self.counties[county], lang))
        return begin if begin not in others else whole if lang == "zh" else f"{whole} "

    def planned(self, keys: tuple[str, ...], where: str | None, value: str) -> list[tuple[str, ...]]:
        """The rows that a table must have whatever Prometheus says: of hosts and of links the plan knows them all."""
        if keys == ("host",):
            return [(host.name,) for host in self.topology.hosts if where is None or getattr(host, where, "") == value]
        if keys == ("link",):
            return [
                (link.name,)
                for link in self.topology.links
                if where is None or (link.name if where == "link" else getattr(link, where) or "") == value
            ]
        return []
