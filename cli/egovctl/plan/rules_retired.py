"""What must hold between the sites of a plan and those that are gone: nobody takes their numbers or names."""

from __future__ import annotations

from collections.abc import Iterator

from egovctl.i18n import tr
from egovctl.plan.models import Plan
from egovctl.plan.source import KeyPath


def retired_stay_retired(plan: Plan) -> Iterator[tuple[KeyPath, str]]:
    """(key path in city.yml, sentence) for each fault."""
    numbers = {item.number: item for item in reversed(plan.retired)}
    names = {item.name: item for item in reversed(plan.retired)}
    for i, site in enumerate(plan.sites):
        if gone := numbers.get(site.number):
            yield (
                ("sites", i, "number"),
                tr(
                    f"站点 {site.name} 的编号 {site.number} 属于已于 {gone.on} 停用的 {gone.name}；"
                    "停用的编号不再使用，请选用空闲编号",
                    f"site {site.name} has number {site.number}, which was that of {gone.name}, retired on {gone.on}; "
                    "such a number is never used again, take one that is free",
                ),
            )
        places: list[tuple[str, KeyPath]] = [(site.name, ("sites", i, "name"))]
        places += [(name, ("sites", i, "routers", k)) for k, name in enumerate(site.routers) if name != site.name]
        places += [(host.name, ("sites", i, "hosts", j, "name")) for j, host in enumerate(site.hosts)]
        for name, where in places:
            if gone := names.get(name):
                yield (
                    where,
                    tr(
                        f"名称 {name} 属于已于 {gone.on} 停用的站点，其备份与证据仍用此名；请另取名称",
                        f"name {name} was that of a site retired on {gone.on}, whose backups and evidence go by it; "
                        "take another name",
                    ),
                )
    for i, item in enumerate(plan.retired):
        if numbers[item.number] is not item or names[item.name] is not item:
            yield (
                ("retired", i),
                tr(
                    f"停用站点 {item.name}（{item.number}）与另一停用站点的名称或编号相同；请去掉一个或改正",
                    f"retired site {item.name} ({item.number}) has the name or number of another one; take one out or "
                    "correct it",
                ),
            )
