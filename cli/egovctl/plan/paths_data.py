"""Paths and losses as plain data with stable keys: what `egovctl plan paths` prints."""

from __future__ import annotations

from typing import Any

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.plan.derived import City
from egovctl.plan.loss import Load, Move, link_names, loss_of
from egovctl.plan.paths import CORE, Path, SitePaths, destinations, site_paths
from egovctl.plan.routing import Element


def path_table(city: City, site: str | None = None) -> dict[str, Any]:
    """Every site's paths to the core, or one site's to the core, each core and each central LAN.

    Raises UsageError for a site that is not in the plan.
    """
    routed = {host.site for host in city.hosts.values() if host.router}
    if site is not None and site not in routed:
        raise UsageError(tr(f"规划中没有站点 {site}", f"the plan has no site {site}"))
    to = [item for item in destinations(city) if site is not None or item.name == CORE]
    names = link_names(city)
    return {
        **_head(city),
        "destinations": [{"name": item.name, "routers": list(item.routers)} for item in to],
        "paths": [_paths(item, names) for item in site_paths(city, to, None if site is None else (site,))],
    }


def loss_table(city: City, lost: Element) -> dict[str, Any]:
    """What the loss of one thing changes. Loads are planned, none is measured."""
    loss, names = loss_of(city, lost), link_names(city)
    return {
        **_head(city),
        "lost": _element(lost, names),
        "cut_off": list(loss.cut_off),
        "moved": [_move(move) for move in loss.moves],
        "overloads": [_load(load, names) for load in loss.overloads],
        "overloads_with_nothing_lost": [_load(load, names) for load in loss.planned],
    }


def _head(city: City) -> dict[str, Any]:
    return {"inventory": city.inventory, "revision": city.plan_revision}


def _element(element: Element, names: dict[str, str]) -> dict[str, Any]:
    return {"kind": element.kind, "name": names[element.name] if element.kind == "link" else element.name}


def _paths(item: SitePaths, names: dict[str, str]) -> dict[str, Any]:
    return {
        "site": item.site,
        "router": item.router,
        "destination": item.destination,
        "single_homed": item.single_homed,
        "link_disjoint": item.link_disjoint,
        "node_disjoint": item.node_disjoint,
        "primary": _path(item.primary),
        "blocked_by": item.blocked_by,
        "narrowest_backup": _path(item.narrowest),
        "cut_by": [_element(lost, names) for lost in item.cut_by],
        "backups": [{"lost": _element(backup.lost, names), "path": _path(backup.path)} for backup in item.backups],
    }


def _path(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    return {
        "routers": list(path.routers),
        "interfaces": [f"{hop.here}:{hop.interface}" for hop in path.hops],
        "cost": path.cost,
        "mbps": path.mbps,
        "equal": path.equal,
        "tunnel": path.tunnel,
    }


def _move(move: Move) -> dict[str, Any]:
    return {
        "site": move.site,
        "router": move.router,
        "narrower": move.narrower,
        "before": _path(move.before),
        "after": _path(move.after),
    }


def _load(load: Load, names: dict[str, str]) -> dict[str, Any]:
    return {
        "link": names[load.edge.link],
        "from": load.edge.here,
        "to": load.edge.there,
        "mbps": load.edge.mbps,
        "contracted_behind_mbps": round(load.after, 2),
        "ratio": round(load.ratio, 2),
        "ratio_before": round(load.ratio_before, 2),
    }
