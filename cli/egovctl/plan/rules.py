"""What must hold across the sites of a plan. Each rule yields (key path in city.yml, sentence)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from egovctl.i18n import tr
from egovctl.plan.models import Plan, Site
from egovctl.plan.names import CONTROL, HOST_WORDS, NOT_HOSTS, downward_name
from egovctl.plan.rules_calendar import maintenance_known
from egovctl.plan.rules_contacts import contacts_reachable
from egovctl.plan.rules_network import NETWORK_RULES
from egovctl.plan.rules_offsite import offsite_fits
from egovctl.plan.rules_people import people_separated
from egovctl.plan.rules_retired import retired_stay_retired
from egovctl.plan.rules_services import services_known
from egovctl.plan.rules_websites import websites_known
from egovctl.plan.source import KeyPath

Fault = tuple[KeyPath, str]
File = Literal["city", "services", "people", "calendar", "contacts", "websites"]
# Linux forwards multicast on at most 32 virtual interfaces a router (MAXVIFS); the PIM register and loopback take two.
MULTICAST_INTERFACES = 30
UPLINKS_NEEDED = {
    "core": 0,
    "hub": 2,
    "department": 1,
    "town": 1,
    "village": 1,
    "mobile": 1,
    "noc": 2,
    "backup": 2,
    "offsite": 1,
    "video": 2,
    "services": 2,
}


def faults(plan: Plan) -> Iterator[tuple[File, KeyPath, str]]:
    """All that is wrong, with the file it is in; nothing when the plan is good."""
    for rule in SITE_RULES:
        for where, sentence in rule(plan):
            yield "city", where, sentence
    for where, sentence in services_known(plan):
        yield "services", where, sentence
    for where, sentence in people_separated(plan):
        yield "people", where, sentence
    for where, sentence in maintenance_known(plan):
        yield "calendar", where, sentence
    for where, sentence in contacts_reachable(plan):
        yield "contacts", where, sentence
    for where, sentence in websites_known(plan):
        yield "websites", where, sentence


def _unique_sites(plan: Plan) -> Iterator[Fault]:
    names: set[str] = set()
    numbers: dict[int, str] = {}
    for i, site in enumerate(plan.sites):
        if site.name in names:
            yield (
                ("sites", i, "name"),
                tr(
                    f"站点 {site.name} 出现两次；请给其中一个改名",
                    f"site {site.name} is planned twice; give one of them another name",
                ),
            )
        names.add(site.name)
        if site.number in numbers:
            other = numbers[site.number]
            yield (
                ("sites", i, "number"),
                tr(
                    f"站点 {site.name} 的编号 {site.number} 已属于 {other}；请选用空闲编号",
                    f"site {site.name} has number {site.number}, which {other} has already; take one that is free",
                ),
            )
        numbers.setdefault(site.number, site.name)


def _unique_hosts(plan: Plan) -> Iterator[Fault]:
    places: dict[str, str] = {}
    seen: set[str] = set()
    for i, site in enumerate(plan.sites):
        if site.name in seen:
            continue  # _unique_sites has said so
        seen.add(site.name)
        names: list[tuple[str, KeyPath]] = [(n, ("sites", i, "routers", k)) for k, n in enumerate(site.router_names)]
        names.extend((host.name, ("sites", i, "hosts", j, "name")) for j, host in enumerate(site.hosts))
        for name, where in names:
            if name in places:
                yield (
                    where,
                    tr(
                        f"主机 {name} 已规划在 {places[name]}，又规划在 {site.name}；一台主机只能在一处",
                        f"host {name} is planned at {places[name]} and again at {site.name}; a host has one place",
                    ),
                )
            if name in HOST_WORDS:
                yield (
                    where,
                    tr(
                        f"{site.name} 的主机名 {name} 是代表多台主机的保留字；请改名",
                        f"host {name} of {site.name} has a name that stands for many hosts; rename it",
                    ),
                )
            places.setdefault(name, site.name)


def _host_names_free(plan: Plan) -> Iterator[Fault]:
    given = any(host.name == host.role == CONTROL for site in plan.sites for host in site.hosts)
    for i, site in enumerate(plan.sites):
        for k, name in enumerate(site.router_names):
            if sentence := _taken_name(name, "router", given):
                yield (("sites", i, "routers", k) if site.routers else ("sites", i, "name")), sentence
        for j, host in enumerate(site.hosts):
            if sentence := _taken_name(host.name, host.role, given):
                yield ("sites", i, "hosts", j, "name"), sentence


def _taken_name(name: str, role: str, control_has_it: bool) -> str:
    """What is wrong with this name for a host of this role; "" when nothing is, or _unique_hosts says it."""
    if name in NOT_HOSTS:
        return tr(
            f"主机名 {name} 已由 Ansible 或实验环境使用；请改名",
            f"host name {name} is taken by Ansible or by the lab; rename the host",
        )
    if name == CONTROL and role != CONTROL and not control_has_it:
        return tr(
            f"主机名 {name} 留给 role 为 {CONTROL} 的主机；请改名",
            f"host name {name} is kept for the host with role {CONTROL}; rename this one",
        )
    return ""


def _lan_hosts_fit(plan: Plan) -> Iterator[Fault]:
    for i, site in enumerate(plan.sites):
        where: KeyPath = ("sites", i, "hosts")
        indexes = [host.index for host in site.hosts]
        if len(indexes) != len(set(indexes)):
            yield (
                where,
                tr(
                    f"{site.name} 有两台主机的 index 相同；请各用各的",
                    f"two hosts of {site.name} have the same index; each needs its own",
                ),
            )
        if site.kind == "core" and site.hosts:
            name = site.hosts[0].name
            yield (
                where,
                tr(
                    f"核心站点 {site.name} 没有局域网可接 {name}；请放到其他站点",
                    f"core {site.name} has no LAN for {name}; put it at another site",
                ),
            )
        lan = site.addresses.lan_v4
        for j, host in enumerate(site.hosts):
            if lan is not None and host.index >= lan.num_addresses - 1:
                yield (
                    (*where, j, "index"),
                    tr(
                        f"主机 {host.name} 的 index {host.index} 超出 {lan}",
                        f"host {host.name} has index {host.index}, for which {lan} has no room",
                    ),
                )


def _counties_known(plan: Plan) -> Iterator[Fault]:
    known: set[str] = set()
    for i, county in enumerate(plan.counties):
        if county.name in known:
            yield (
                ("counties", i),
                tr(f"县区 {county.name} 列了两次；请去掉一个", f"county {county.name} is listed twice; take one out"),
            )
        known.add(county.name)
    for i, site in enumerate(plan.sites):
        if site.county is not None and site.county not in known:
            yield (
                ("sites", i, "county"),
                tr(
                    f"站点 {site.name} 属于县区 {site.county}，但 counties 中没有它；请补上或改正",
                    f"site {site.name} is in county {site.county}, which is not in counties; add or correct it",
                ),
            )
        if site.kind == "hub" and site.county is None:
            yield (
                ("sites", i),
                tr(
                    f"汇聚站点 {site.name} 没有写明县区；请写上 county",
                    f"hub {site.name} needs a county; say which one it serves",
                ),
            )


def _uplinks_lead_up(plan: Plan) -> Iterator[Fault]:
    routers = {name: site for site in plan.sites for name in site.router_names}
    for i, site in enumerate(plan.sites):
        yield from _uplink_count(site, ("sites", i))
        targets: set[str] = set()
        for j, uplink in enumerate(site.uplinks):
            sentence = _wrong_target(site, uplink.to, routers.get(uplink.to))
            if uplink.to in targets:
                sentence = tr(
                    f"站点 {site.name} 有两条上联到 {uplink.to}；第二条起不到保护作用",
                    f"site {site.name} has two uplinks to {uplink.to}; a second one protects nothing",
                )
            targets.add(uplink.to)
            if sentence:
                yield ("sites", i, "uplinks", j, "to"), sentence


def _wrong_target(site: Site, to: str, parent: Site | None) -> str:
    """What is wrong with an uplink of `site` to the router `to`, which is at `parent`; "" when it is good."""
    if parent is None:
        return tr(
            f"站点 {site.name} 上联到 {to}，但规划中没有这台路由器",
            f"site {site.name} has an uplink to {to}, which is no router of the plan",
        )
    if parent.kind not in ("core", "hub") or parent is site or (site.kind == "hub" and parent.kind == "hub"):
        return tr(
            f"站点 {site.name} 上联到 {to}；上联只能通往核心或汇聚",
            f"site {site.name} has an uplink to {to}; uplinks lead to a core or to a hub",
        )
    return ""


def _uplink_count(site: Site, here: KeyPath) -> Iterator[Fault]:
    needed = UPLINKS_NEEDED[site.kind]
    where = (*here, "uplinks")
    if site.kind == "core" and site.uplinks:
        yield where, tr(f"核心站点 {site.name} 不能有上联", f"core site {site.name} can have no uplinks")
    if site.kind != "core" and len(site.router_names) > 1:
        yield (
            (*here, "routers"),
            tr(
                f"站点 {site.name} 只能有一台路由器；多台仅限核心",
                f"site {site.name} can have one router; only the core has several",
            ),
        )
    if len(site.uplinks) < needed:
        count = "one uplink" if len(site.uplinks) == 1 else f"{len(site.uplinks)} uplinks"
        yield (
            where,
            tr(
                f"站点 {site.name}（{site.kind}）有 {len(site.uplinks)} 条上联；需要 {needed} 条",
                f"{site.kind} {site.name} has {count}; a {site.kind} needs {needed}",
            ),
        )
    slots = [u.slot if u.slot is not None else j for j, u in enumerate(site.uplinks)]
    if len(slots) != len(set(slots)):
        yield (
            where,
            tr(
                f"{site.name} 有两条上联的 slot 相同；请各用各的",
                f"two uplinks of {site.name} have the same slot; each needs its own",
            ),
        )


def _one_core_noc_and_control(plan: Plan) -> Iterator[Fault]:
    for kind in ("core", "noc", "backup"):
        count = sum(site.kind == kind for site in plan.sites)
        if count != 1:
            yield (
                ("sites",),
                tr(
                    f"规划中有 {count} 个 {kind} 站点；应恰有一个",
                    f"the plan has {count} sites of kind {kind}; it needs exactly one",
                ),
            )
    controls = [site.kind for site in plan.sites for host in site.hosts if host.role == "control"]
    if controls != ["noc"]:
        yield (
            ("sites",),
            tr(
                "规划需要恰好一台 role 为 control 的主机，位于 noc 站点",
                "the plan needs exactly one host with role control, at the noc site",
            ),
        )
    for i, site in enumerate(plan.sites):
        if site.kind == "core" and len(site.router_names) != 2:
            yield (
                ("sites", i, "routers"),
                tr(f"核心站点 {site.name} 需要两台路由器", f"core {site.name} needs two routers"),
            )


def _multicast_interfaces(plan: Plan) -> Iterator[Fault]:
    interfaces: dict[str, int] = {}
    for site in plan.sites:
        for name in site.router_names:
            interfaces[name] = interfaces.get(name, 0) + len(site.uplinks) + (1 if site.kind != "core" else 0)
            interfaces[name] += 1 if site.kind == "core" and len(site.router_names) > 1 else 0
        for uplink in site.uplinks:
            interfaces[uplink.to] = interfaces.get(uplink.to, 0) + 1
    for i, site in enumerate(plan.sites):
        crowded = [name for name in site.router_names if interfaces[name] > MULTICAST_INTERFACES]
        if crowded:
            most = max(interfaces[name] for name in crowded)
            yield (
                ("sites", i),
                tr(
                    f"{'、'.join(crowded)} 将有 {most} 个组播接口；"
                    f"Linux 最多转发 {MULTICAST_INTERFACES} 个，请增加汇聚层",
                    f"{' and '.join(crowded)} would have {most} multicast interfaces; Linux forwards on "
                    f"{MULTICAST_INTERFACES} at most, so put an aggregation hub between",
                ),
            )


def _interface_names_differ(plan: Plan) -> Iterator[Fault]:
    """Names follow from a site alone, so those of two sites can meet at one router."""
    taken: dict[tuple[str, str], str] = {}
    for i, site in enumerate(plan.sites):
        for j, uplink in enumerate(site.uplinks):
            name = downward_name(site.router_names[0], site.number, uplink.via)
            other = taken.setdefault((uplink.to, name), site.name)
            if other != site.name:
                yield (
                    ("sites", i, "uplinks", j, "to"),
                    tr(
                        f"{other} 与 {site.name} 的链路在 {uplink.to} 上都会叫 {name}；请给其中一个站点改名",
                        f"the links of {other} and {site.name} would both be {name} at {uplink.to}; rename one site",
                    ),
                )


SITE_RULES: tuple[Callable[[Plan], Iterator[Fault]], ...] = (
    _unique_sites,
    _unique_hosts,
    _host_names_free,
    _lan_hosts_fit,
    _counties_known,
    _uplinks_lead_up,
    _one_core_noc_and_control,
    _multicast_interfaces,
    _interface_names_differ,
    retired_stay_retired,
    offsite_fits,
    *NETWORK_RULES,
)
