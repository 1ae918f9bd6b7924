"""No prefix of the city may lie inside another, and no two interfaces may share an address."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from itertools import combinations
from typing import Any

from egovctl.i18n import tr
from egovctl.plan.derived import City
from egovctl.plan.models import Plan
from egovctl.plan.source import KeyPath


def overlaps(plan: Plan, city: City) -> Iterator[tuple[KeyPath, str]]:
    """(key path in city.yml, sentence) for each overlap of pools and of what is made from them."""
    pools = {name: getattr(plan.addressing, name) for name in ("loopback_v4", "transit_v4", "lan_v4")}
    for (first, one), (second, other) in combinations(pools.items(), 2):
        if one.overlaps(other):
            yield (
                ("addressing", second),
                tr(
                    f"地址池 {second} {other} 与 {first} {one} 重叠；各池不得重叠",
                    f"pool {second} {other} overlaps {first} {one}; pools must be disjoint",
                ),
            )
            return
    index = {site.name: i for i, site in enumerate(plan.sites)}
    for family in (4, 6):
        yield from _overlapping(sorted(_prefixes(city, family), key=_by_address), index)


def _by_address(entry: tuple[Any, str, str]) -> tuple[int, int]:
    return int(entry[0].network_address), entry[0].prefixlen


def _prefixes(city: City, family: int) -> Iterator[tuple[IPv4Network | IPv6Network, str, str]]:
    """(prefix, site it belongs to, what it is)."""
    for lan in city.lans:
        yield (lan.v4 if family == 4 else lan.v6), lan.site, tr(f"{lan.site} 的局域网", f"LAN of {lan.site}")
    for link in city.links:
        site = city.hosts[link.child].site
        yield (
            (link.v4 if family == 4 else link.v6),
            site,
            tr(f"链路 {link.child}-{link.parent}", f"link {link.child}-{link.parent}"),
        )
    for host in city.hosts.values():
        if host.router:
            loopback = host.interfaces[0]
            network = loopback.v4.network if family == 4 else loopback.v6.network
            yield network, host.site, tr(f"{host.name} 的环回地址", f"loopback of {host.name}")


def _overlapping(
    ordered: list[tuple[IPv4Network | IPv6Network, str, str]], index: dict[str, int]
) -> Iterator[tuple[KeyPath, str]]:
    # Sorted by address, a prefix that overlaps any earlier one overlaps the widest-reaching of them.
    reach: tuple[int, Any, str] | None = None
    for prefix, site, what in ordered:
        if reach is not None and int(prefix.network_address) <= reach[0]:
            yield (
                ("sites", index[site]),
                tr(
                    f"{what} {prefix} 与 {reach[2]} {reach[1]} 重叠；请给其中一个换地址",
                    f"{what} {prefix} overlaps {reach[2]} {reach[1]}; give one of them another address",
                ),
            )
        last = int(prefix.broadcast_address)
        if reach is None or last > reach[0]:
            reach = (last, prefix, what)
