"""The city's websites as what visits them reads them: home pages, columns, and the networks that may be asked."""

from __future__ import annotations

from ipaddress import collapse_addresses
from typing import Any

from egovctl.plan import City, Plan
from egovctl.plan.policy import lans_of_websites

PORTS = (80, 443)


def websites_config(plan: Plan, city: City) -> dict[str, Any] | None:
    """The whole of websites.json; None when the plan names no website.

    `closed` is all that the city has: what a page of somebody else's names there is not asked, but for the LANs of
    services and the networks that the plan opens.
    """
    if plan.websites is None:
        return None
    pools = plan.addressing
    services = lans_of_websites(city)
    interfaces = [item for host in city.hosts.values() for item in host.interfaces]
    own4 = [pools.loopback_v4, pools.transit_v4, pools.lan_v4, *(lan.v4 for lan in city.lans)]
    own6 = [pools.v6, *(lan.v6 for lan in city.lans)]
    own4 += [item.v4.network for item in interfaces if item.v4 is not None]
    own6 += [item.v6.network for item in interfaces if item.v6 is not None]
    inside = [*(lan.v4 for lan in services), *(lan.v6 for lan in services), *plan.websites.networks]
    return {
        "websites": [
            {
                "name": website.name,
                "url": website.url,
                "columns": [
                    {"name": column.name, "path": column.path, "fresh": column.promised} for column in website.columns
                ],
            }
            for website in plan.websites.websites
        ],
        "inside": [str(network) for network in inside],
        "closed": [str(network) for network in (*collapse_addresses(own4), *collapse_addresses(own6))],
        "ports": list(PORTS),
    }
