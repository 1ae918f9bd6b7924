"""Addresses from site numbers. A formula of the number alone: adding or removing a site renumbers nobody.

For site number n (1..9999), router k (1..7) and uplink slot u (0..3):
loopback v4 = pool + 8n + k; transit v4 = the /31 at pool + 2(4n + u), the parent has the even address;
LAN v4 = the n-th /24 of the pool. IPv6 is all inside the site's /48 of the city's prefix, whose number reads as n
does in decimal (site 221 is 2001:db8:221::/48, so that people can read it): LAN = subnet 1,
loopbacks = subnet ffff (interface id k, /128), transit = subnet fe00 + u (/127, RFC 6164).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from egovctl.i18n import tr
from egovctl.plan.models import MAX_UPLINKS, Addressing, Site, Uplink

ROUTERS_PER_SITE = 8
LAN_SUBNET, TRANSIT_SUBNET, LOOPBACK_SUBNET = 0x0001, 0xFE00, 0xFFFF


class PoolTooSmall(ValueError):
    """A site number does not fit into the pool called `pool`; the message is a sentence."""

    def __init__(self, pool: str, sentence: str) -> None:
        self.pool = pool
        super().__init__(sentence)


@dataclass(frozen=True)
class Numbering:
    """The formulas over one city's pools."""

    pools: Addressing

    def loopback_v4(self, site: Site, router_index: int) -> IPv4Address:
        """The router's loopback; the site's override moves its first router, the next ones follow it."""
        if site.addresses.loopback_v4 is not None:
            return site.addresses.loopback_v4 + (router_index - 1)
        return self._v4("loopback_v4", self.pools.loopback_v4, site, site.number * ROUTERS_PER_SITE + router_index)

    def loopback_v6(self, site: Site, router_index: int) -> IPv6Address:
        return self._subnet_v6(site, LOOPBACK_SUBNET).network_address + router_index

    def lan_v4(self, site: Site) -> IPv4Network:
        if site.addresses.lan_v4 is not None:
            return site.addresses.lan_v4
        return IPv4Network((self._v4("lan_v4", self.pools.lan_v4, site, site.number * 256), 24))

    def lan_v6(self, site: Site) -> IPv6Network:
        return site.addresses.lan_v6 or self._subnet_v6(site, LAN_SUBNET)

    def transit_v4(self, site: Site, uplink: Uplink | None, slot: int) -> IPv4Network:
        if uplink is not None and uplink.v4 is not None:
            return uplink.v4
        offset = (site.number * MAX_UPLINKS + slot) * 2
        return IPv4Network((self._v4("transit_v4", self.pools.transit_v4, site, offset), 31))

    def transit_v6(self, site: Site, uplink: Uplink | None, slot: int) -> IPv6Network:
        if uplink is not None and uplink.v6 is not None:
            return uplink.v6
        return IPv6Network((self._subnet_v6(site, TRANSIT_SUBNET + slot).network_address, 127))

    def _v4(self, name: str, pool: IPv4Network, site: Site, offset: int) -> IPv4Address:
        if offset >= pool.num_addresses:
            sentence = tr(
                f"站点编号 {site.number} 超出地址池 {name} {pool}；请扩大地址池",
                f"site number {site.number} does not fit into {name} {pool}; enlarge the pool",
            )
            raise PoolTooSmall(name, sentence)
        return pool.network_address + offset

    def _subnet_v6(self, site: Site, subnet: int) -> IPv6Network:
        pool = self.pools.v6
        number = int(str(site.number), 16)
        if pool.prefixlen > 48 or number >= 1 << (48 - pool.prefixlen):
            sentence = tr(
                f"站点编号 {site.number} 超出 v6 {pool}；每个站点需要其中一个 /48",
                f"site number {site.number} does not fit into v6 {pool}; each site needs a /48 of it",
            )
            raise PoolTooSmall("v6", sentence)
        base = int(pool.network_address) + (number << 80) + (subnet << 64)
        return IPv6Network((base, 64))
