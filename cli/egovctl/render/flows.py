"""What a router that counts flows knows of the city: whose addresses are whose, and which sites are right below it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any

from egovctl.plan import City, Host, Plan
from egovctl.plan.routing import TRANSIT_ROLES


class SitePrefixes:
    """The prefixes of each site, found once for the whole city: its LAN, and its routers' own addresses.

    Addresses of links are nobody's: what has one at each end are routers' hellos.
    """

    def __init__(self, plan: Plan, city: City) -> None:
        self.city_pools = [
            str(pool) for pool in (plan.addressing.loopback_v4, plan.addressing.lan_v4, plan.addressing.v6)
        ]
        self._counties = {site.name: site.county for site in plan.sites}
        routers: dict[str, list[Host]] = {site.name: [] for site in plan.sites}
        for host in city.hosts.values():
            if host.router:
                routers[host.site].append(host)
        lans = {lan.site: lan for lan in city.lans}
        self._of: dict[str, list[str]] = {}
        for name, own in routers.items():
            v4 = [IPv4Network(host.address_v4) for host in own]
            v6 = [IPv6Network(host.address_v6) for host in own]
            if name in lans:
                v4.append(lans[name].v4)
                v6.append(lans[name].v6)
            self._of[name] = [*_text(collapse_addresses(v4)), *_text(collapse_addresses(v6))]
        self._below: dict[str, dict[str, None]] = {}
        for host in city.hosts.values():
            if host.role not in TRANSIT_ROLES:
                for interface in host.interfaces:
                    if interface.upward and interface.peer_host:
                        self._below.setdefault(interface.peer_host, {})[host.site] = None

    def seen_from(self, host: Host) -> dict[str, Any]:
        """What a core or hub is given: a core knows every site, a hub those of its county and the city's own.

        Not all everywhere: then the files of a city would grow with the square of its sites. `below` are the sites
        whose uplinks lead to this router, in plan order.
        """
        known = {
            name: prefixes
            for name, prefixes in self._of.items()
            if host.role == "core" or self._counties[name] in (None, host.county)
        }
        return {
            "site": host.site,
            "below": list(self._below.get(host.name, {})),
            "city": self.city_pools,
            "places": known,
        }


def _text(networks: Iterable[IPv4Network | IPv6Network]) -> list[str]:
    return [str(network) for network in networks]
