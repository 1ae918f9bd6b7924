"""Planes side by side: the extranet's and the private network's plans may not use the same addresses or numbers.

There is no path between two planes, yet exported files, reports and people see both: one address means one thing.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.plan.models import CityFile, Plan
from egovctl.plan.source import KeyPath, PlanError, read_source

POOLS = ("loopback_v4", "transit_v4", "lan_v4", "v6")


def beside_faults(plan: Plan, inventory: Inventory) -> Iterator[tuple[KeyPath, str]]:
    """(key path in city.yml, sentence) for each way in which another plane's plan collides with this one."""
    for i, name in enumerate(plan.city.beside):
        where: KeyPath = ("city", "beside", i)
        other = _city_file(Inventory(inventory.root.parent / name))
        if other is None:
            yield (
                where,
                tr(
                    f"读不出旁边的规划 {name}；请先用 egovctl plan check -i {name} 查明",
                    f"the plan beside, {name}, cannot be read; egovctl plan check -i {name} says why",
                ),
            )
            continue
        if other.city.plane == plan.city.plane:
            yield (
                where,
                tr(
                    f"{name} 与本规划同属 {plan.city.plane} 平面；请改正 plane",
                    f"{name} is a plan of the same plane, {plan.city.plane}; correct plane",
                ),
            )
        if other.city.domain == plan.city.domain:
            yield where, tr(f"{name} 与本规划的 domain 相同", f"{name} has the same domain as this plan")
        for pool in POOLS:
            here, there = getattr(plan.addressing, pool), getattr(other.addressing, pool)
            if here.overlaps(there):
                yield (
                    ("addressing", pool),
                    tr(
                        f"地址池 {pool} {here} 与 {name} 的 {there} 重叠；两个平面不得共用地址",
                        f"pool {pool} {here} overlaps {there} of {name}; planes share no addresses",
                    ),
                )


def _city_file(inventory: Inventory) -> CityFile | None:
    try:
        return CityFile.model_validate(read_source(inventory.plan_dir / "city.yml").data)
    except (PlanError, ValidationError):
        return None
