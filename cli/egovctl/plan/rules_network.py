"""What must hold for tunnels, vertical networks, shares and leases.

Each rule yields (key path in city.yml, sentence).
"""

from __future__ import annotations

from collections.abc import Iterator

from egovctl.i18n import tr
from egovctl.plan.derive import LEASED, ZONE_OF_KIND
from egovctl.plan.models import Plan, Site
from egovctl.plan.source import KeyPath

Fault = tuple[KeyPath, str]


def verticals_known(plan: Plan) -> Iterator[Fault]:
    """Every vertical network is listed once, and only users belong to one."""
    known: set[str] = set()
    for i, vertical in enumerate(plan.verticals):
        if vertical.name in known:
            yield (
                ("verticals", i, "name"),
                tr(
                    f"纵向网 {vertical.name} 列了两次；请去掉一个",
                    f"vertical network {vertical.name} is listed twice; take one out",
                ),
            )
        known.add(vertical.name)
    for i, site in enumerate(plan.sites):
        if site.vertical is None:
            continue
        if site.vertical not in known:
            yield (
                ("sites", i, "vertical"),
                tr(
                    f"站点 {site.name} 属于纵向网 {site.vertical}，但 verticals 中没有它；请补上或改正",
                    f"site {site.name} is in vertical {site.vertical}, which is not in verticals; add or correct it",
                ),
            )
        if site.kind == "core" or site.kind in ZONE_OF_KIND:
            yield (
                ("sites", i, "vertical"),
                tr(
                    f"站点 {site.name}（{site.kind}）没有用户，不能属于纵向网；请去掉 vertical",
                    f"site {site.name} ({site.kind}) has no users that could be in a vertical network; take it out",
                ),
            )


def tunnels_have_ends(plan: Plan) -> Iterator[Fault]:
    """A tunnel goes from a router that is attached to one that is attached by a fixed address."""
    fixed = {name for site in plan.sites for name, item in site.internet.items() if item.v4 is not None}
    for i, site in enumerate(plan.sites):
        for name in site.internet:
            if name not in site.router_names:
                yield (
                    ("sites", i, "internet", name),
                    tr(
                        f"{name} 不是站点 {site.name} 的路由器；internet 应写路由器的名称",
                        f"{name} is no router of site {site.name}; internet goes by the router's name",
                    ),
                )
        for j, uplink in enumerate(site.uplinks):
            if uplink.via != "internet":
                continue
            if site.router_names[0] not in site.internet:
                yield (
                    ("sites", i, "uplinks", j, "via"),
                    tr(
                        f"站点 {site.name} 的上联经 internet，但站点没有写 internet；"
                        "请写上（地址由 DHCP 取得时写 {}）",
                        f"site {site.name} has an uplink via internet and no attachment; add internet "
                        "({} when its address comes by DHCP)",
                    ),
                )
            if uplink.to not in fixed:
                yield (
                    ("sites", i, "uplinks", j, "to"),
                    tr(
                        f"站点 {site.name} 要经 internet 上联到 {uplink.to}，但后者没有固定地址；"
                        "请在其站点写上 internet 的 v4",
                        f"site {site.name} is to call {uplink.to} via internet, which has no fixed address there; "
                        "give its site an internet v4",
                    ),
                )


def attachments_fit(plan: Plan) -> Iterator[Fault]:
    """An attachment's network is none of the city's own, and has room for its gateway."""
    pools = (plan.addressing.loopback_v4, plan.addressing.transit_v4, plan.addressing.lan_v4)
    seen: dict[str, str] = {}
    for i, site in enumerate(plan.sites):
        for name, item in site.internet.items():
            if item.v4 is None:
                continue
            where: KeyPath = ("sites", i, "internet", name)
            if any(item.v4.network.overlaps(pool) for pool in pools):
                yield (
                    where,
                    tr(
                        f"{name} 的外部地址 {item.v4} 落在本市地址池内；请用运营商给的地址",
                        f"{name}'s outside address {item.v4} lies in the city's own pools; use the carrier's",
                    ),
                )
            if item.gateway_v4 is not None and item.gateway_v4 not in item.v4.network:
                yield (
                    where,
                    tr(
                        f"{name} 的网关 {item.gateway_v4} 不在 {item.v4.network} 内",
                        f"{name}'s gateway {item.gateway_v4} is not inside {item.v4.network}",
                    ),
                )
            other = seen.setdefault(str(item.v4.ip), name)
            if other != name:
                yield (
                    where,
                    tr(
                        f"{name} 与 {other} 的外部地址相同：{item.v4.ip}",
                        f"{name} and {other} have the same outside address {item.v4.ip}",
                    ),
                )


def shares_add_up(plan: Plan) -> Iterator[Fault]:
    """Shares make up at most the whole link; one class, and only one, takes what has no code point of another."""
    classes = plan.shares.classes
    where: KeyPath = ("shares", "classes")
    if (total := sum(item.percent for item in classes)) > 100:
        yield (
            where,
            tr(f"各类带宽合计 {total}%；不能超过 100%", f"the shares add up to {total} %; 100 % is all there is"),
        )
    if sum(not item.dscp for item in classes) != 1:
        yield (
            where,
            tr(
                "应恰有一类不写 dscp，由它承载其余流量",
                "exactly one class has to be without dscp: it carries everything else",
            ),
        )
    points = [point for item in classes for point in item.dscp]
    names = [item.name for item in classes]
    if len(points) != len(set(points)) or len(names) != len(set(names)):
        yield where, tr("类名和 dscp 不能重复", "no name and no code point of the shares may be given twice")


def leases_leave_fixed_hosts(plan: Plan) -> Iterator[Fault]:
    """A host with a fixed place on a users' LAN is outside the addresses that are leased there."""
    for i, site in enumerate(plan.sites):
        if site.kind == "core" or site.kind in ZONE_OF_KIND:
            continue
        first, last = _leased(site)
        for j, host in enumerate(site.hosts):
            if first <= host.index <= last:
                yield (
                    ("sites", i, "hosts", j, "index"),
                    tr(
                        f"主机 {host.name} 的 index {host.index} 在 DHCP 分配范围 {first}-{last} 内；请另选",
                        f"host {host.name} has index {host.index}, which DHCP leases ({first}-{last}); take another",
                    ),
                )


def _leased(site: Site) -> tuple[int, int]:
    size = 256 if site.addresses.lan_v4 is None else site.addresses.lan_v4.num_addresses
    return size * LEASED[0] // 256, size * LEASED[1] // 256


NETWORK_RULES = (verticals_known, tunnels_have_ends, attachments_fit, shares_add_up, leases_leave_fixed_hosts)
