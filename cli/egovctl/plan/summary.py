"""A plan in figures: what `egovctl plan show` prints, as plain data with stable keys."""

from __future__ import annotations

from typing import Any

from egovctl.plan.derived import City
from egovctl.plan.models import Plan, Site, Text
from egovctl.plan.survive import survival

CENTRE = Text(zh="市中心", en="City centre")
CITY_DEPARTMENTS = Text(zh="市直部门", en="City departments")


def summary(plan: Plan, city: City) -> dict[str, Any]:
    """Areas, services with their promises, and what survives the loss of each link and router."""
    return {
        "inventory": city.inventory,
        "revision": plan.revision,
        "city": plan.city.model_dump(mode="json"),
        "counts": counts(plan, city),
        "areas": _areas(plan, city),
        "services": [
            {
                "name": service.name,
                "title": service.title.model_dump(),
                "owner": service.owner,
                "grade": service.grade,
                "availability_percent": service.availability,
                "rto_seconds": service.rto,
                "rpo_seconds": service.rpo,
                "hosts": list(service.hosts),
                "backup": None if service.backup is None else service.backup.engine,
            }
            for service in plan.services
        ],
        "survival": _survival(city),
    }


def counts(plan: Plan, city: City) -> dict[str, int]:
    """How many of each thing there are."""
    return {
        "counties": len(plan.counties),
        "sites": len(plan.sites),
        "hosts": len(city.hosts),
        "managed": sum("managed" in host.groups for host in city.hosts.values()),
        "links": len(city.links),
        "lans": len(city.lans),
        "services": len(plan.services),
    }


def _areas(plan: Plan, city: City) -> list[dict[str, Any]]:
    """The centre, the city's departments, then each county; an area without sites is left out."""
    centre = [site for site in plan.sites if site.county is None and site.kind != "department"]
    departments = [site for site in plan.sites if site.county is None and site.kind == "department"]
    areas = [_area(city, "centre", CENTRE, centre), _area(city, "city-departments", CITY_DEPARTMENTS, departments)]
    for county in plan.counties:
        sites = [site for site in plan.sites if site.county == county.name]
        areas.append(_area(city, f"county-{county.name}", county.title, sites))
    return [area for area in areas if area["sites"]]


def _area(city: City, name: str, title: Text, sites: list[Site]) -> dict[str, Any]:
    hosts = [host for site in sites for host in city.hosts.values() if host.site == site.name]
    hubs = [site for site in sites if site.kind == "hub"]
    return {
        "area": name,
        "title": title.model_dump(),
        "sites": [site.name for site in sites],
        "hubs": [site.name for site in hubs],
        "hosts": len(hosts),
        "uplinks": sum(len(site.uplinks) for site in sites),
        "mbps_to_core": sum(uplink.mbps for site in hubs or sites for uplink in site.uplinks),
    }


def _survival(city: City) -> dict[str, Any]:
    result = survival(city)
    return {
        "links": len(result.links),
        "links_that_cut_nobody_off": sum(not loss.cut_off for loss in result.links),
        "link_losses": [
            {"child": loss.link.child, "parent": loss.link.parent, "cut_off": list(loss.cut_off)}
            for loss in result.links
            if loss.cut_off
        ],
        "router_losses": [
            {"router": loss.router, "cut_off": list(loss.cut_off)} for loss in result.routers if loss.cut_off
        ],
        "single_homed": list(result.single_homed),
    }


def address_table(city: City) -> dict[str, Any]:
    """Hosts (with their interfaces), LANs and links with both families, as `egovctl plan addresses` gives them."""
    return {
        "inventory": city.inventory,
        "revision": city.plan_revision,
        "hosts": [
            {
                "name": host.name,
                "site": host.site,
                "role": host.role,
                "v4": host.address_v4,
                "v6": host.address_v6,
                "gateway_v4": host.gateway_v4,
                "gateway_v6": host.gateway_v6,
                "interfaces": [
                    {"name": item.name, "role": item.role, "v4": str(item.v4), "v6": str(item.v6)}
                    for item in host.interfaces
                ],
            }
            for host in city.hosts.values()
        ],
        "lans": [{"site": lan.site, "zone": lan.zone, "v4": str(lan.v4), "v6": str(lan.v6)} for lan in city.lans],
        "links": [
            {
                "child": link.child,
                "child_interface": link.child_interface,
                "parent": link.parent,
                "parent_interface": link.parent_interface,
                "mbps": link.mbps,
                "v4": str(link.v4),
                "v6": str(link.v6),
            }
            for link in city.links
        ],
    }
