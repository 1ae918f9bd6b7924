"""What the plan itself shows of requirements: zones, lines, rules, assets, backups, people. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import PurePosixPath
from typing import Any

import networkx as nx

from egovctl.checks import expected
from egovctl.checks.context import Context
from egovctl.plan.derived import City
from egovctl.plan.models import ADMINISTRATOR_ROLES
from egovctl.plan.policy import Permission, Policy, policy_of
from egovctl.plan.survive import survival

SHARED = ("core", "hub", "noc", "backup", "services", "video")  # what many depend on: it must not hang on one line
CARRIERS = ("noc", "backup", "offsite", "services", "video")
LOGS = PurePosixPath("/var/log/egov")
CLEAR_SNMP = expected.SNMP_JOBS["platform_unmanaged"]


def wanted(context: Context) -> dict[str, Any]:
    """What registers are held against, by name."""
    plan, city = context.plan, context.city
    return {
        "administrators": sorted(person.name for person in plan.administrators),
        "security": sorted(person.name for person in plan.administrators if person.role == "security"),
        "services": [
            {
                "name": one.name,
                "grade": one.level,
                "levels": str(one.levels),
                "owner": one.owner,
                "backed": one.backup is not None,
            }
            for one in plan.services
        ],
        "outside": sorted(host.name for host in city.hosts.values() if host.outside is not None),
        "places": sorted(site.name for site in plan.sites if site.kind in SHARED),
        "platforms": sorted({host.platform for host in city.hosts.values()}),
        "backed_up": sorted(host.name for host in city.hosts.values() if "backup_clients" in host.groups),
    }


def zones(context: Context) -> dict[str, Any]:
    """LANs by zone, those whose router does not get our firewall, and pairs whose addresses overlap."""
    city = context.city
    pairs = combinations(city.lans, 2)
    return {
        "zones": sorted({lan.zone for lan in city.lans}),
        "lans": len(city.lans),
        "unguarded": sorted(lan.site for lan in city.lans if not city.hosts[lan.hosts[0]].manages("nftables")),
        "overlapping": sorted(f"{a.site}/{b.site}" for a, b in pairs if a.v4.overlaps(b.v4) or a.v6.overlaps(b.v6)),
    }


def lines(context: Context) -> dict[str, Any]:
    """Shared sites that one lost link or router cuts off, and links that carry traffic as it is."""
    city, kinds = context.city, {site.name: site.kind for site in context.plan.sites}
    lost = survival(city)
    cut = {site for loss in lost.links for site in loss.cut_off}
    cut |= {site for loss in lost.routers for site in loss.cut_off if city.hosts[loss.router].site != site}
    return {
        "shared": sorted(name for name, kind in kinds.items() if kind in SHARED),
        "cut_off": sorted(site for site in cut if kinds[site] in SHARED),
        "links": len(city.links),
        "clear": sorted(f"{link.child}-{link.parent}" for link in city.links if link.medium == "line"),
    }


def rules(context: Context) -> dict[str, Any]:
    """See rules_of."""
    return rules_of(policy_of(context.city))


def rules_of(policy: Policy) -> dict[str, Any]:
    """Permissions of a policy that another one covers, those that are about nobody, those without ports."""
    listed = policy.permissions
    empty = [one for one in listed if not (_members(policy, one.source) and _members(policy, one.destination))]
    real = [one for one in listed if one not in empty]
    covered = [one for one in real if any(other is not one and _covers(policy, other, one) for other in real)]
    return {
        "count": len(listed),
        "covered": sorted(map(_said, covered)),
        "empty": sorted(map(_said, empty)),
        "unlimited": sorted(_said(one) for one in listed if one.protocol == "any"),
    }


def _covers(policy: Policy, wide: Permission, narrow: Permission) -> bool:
    """Whether all that `narrow` lets through `wide` does; of two that are alike one is enough."""
    ends = (wide.source, narrow.source), (wide.destination, narrow.destination)
    within = all(_members(policy, inner) <= _members(policy, outer) for outer, inner in ends)
    alike = wide.protocol in (narrow.protocol, "any")
    ports = wide.protocol == "any" or not wide.ports or (bool(narrow.ports) and set(narrow.ports) <= set(wide.ports))
    return within and alike and ports


def _members(policy: Policy, name: str) -> frozenset[str]:
    group = policy.groups[name]
    return group.hosts | {f"{site}.lan" for site in group.lans} | set(group.v4 if not group.hosts | group.lans else ())


def _said(one: Permission) -> str:
    return f"{one.source} → {one.destination} {one.protocol} {','.join(map(str, one.ports))}".rstrip()


def management(context: Context) -> dict[str, Any]:
    """By which targets the measuring goes in the clear over lines that nothing else encrypts: "JOB HOST"."""
    city = context.city
    found = expected.targets(city)
    safe = _within_tunnels(city)
    far = [name for name in found if name.split()[0] in ("node", CLEAR_SNMP) and name.split()[1] not in safe]
    return {"paths": len(found), "clear": sorted(far)}


def _within_tunnels(city: City) -> set[str]:
    """The hosts that the NOC reaches without leaving a site other than by a tunnel."""
    graph: Any = nx.Graph()
    graph.add_edges_from((host.name, f"site {host.site}") for host in city.hosts.values())
    graph.add_edges_from((link.child, link.parent) for link in city.links if link.medium == "tunnel")
    starts = [host.name for host in city.hosts.values() if host.role == "noc"]
    return {name for start in starts for name in nx.node_connected_component(graph, start)}


def assets(context: Context) -> dict[str, Any]:
    """Hosts with a place; those that no service has, so that nobody answers for what they carry nor is a grade said."""
    used = {name for service in context.plan.services for name in service.hosts}
    hosts = context.city.hosts.values()
    # Routers and switches of a place are its site's own; what else there is a service must say what for.
    lost = [host.name for host in hosts if host.role in CARRIERS and host.name not in used]
    return {"count": len(hosts), "unowned": sorted(lost)}


def plans_of_backups(context: Context) -> dict[str, Any]:
    """Services from grade 2 on without a backup, with one that is rarer than promised, or with one host only."""
    services = context.plan.services
    return {
        "services": len(services),
        "unsaved": sorted(one.name for one in services if one.backup is None and one.level >= 2),
        "single": sorted(one.name for one in services if one.level >= 3 and len(one.hosts) < 2),
        "offsite": sorted(host.name for host in context.city.hosts.values() if host.role == "offsite"),
        "logs_saved": sorted(host for host in _log_keepers(context.city) if _saved(context, host)),
        "log_keepers": sorted(_log_keepers(context.city)),
    }


def _log_keepers(city: City) -> list[str]:
    return [host.name for host in city.hosts.values() if host.manages("syslog_server") and host.role == "noc"]


def _saved(context: Context, host: str) -> bool:
    """Whether a backup of this host takes the folder of the city's logs."""
    for service in context.plan.services:
        backup = service.backup
        if backup is None or host not in context.city.backed_up(service.hosts, backup.engine):
            continue
        if backup.engine == "system" or any(LOGS.is_relative_to(path) for path in backup.paths):
            return True
    return False


def people(context: Context) -> dict[str, Any]:
    """How many administrators each of the three roles has, and how many there are to be told of alerts."""
    contacts = context.plan.contacts
    told = contacts.recipients if contacts else ()
    persons = context.plan.administrators
    return {
        **{role: sum(person.role == role for person in persons) for role in ADMINISTRATOR_ROLES},
        "recipients": len(told),
        "ways": sorted({way for one in told for way in one.ways}),
        "on_call": len(contacts.rota.order) if contacts and contacts.rota else 0,
    }


SECTIONS: dict[str, Callable[[Context], dict[str, Any]]] = {
    "assets": assets,
    "lines": lines,
    "management": management,
    "people": people,
    "rules": rules,
    "saved": plans_of_backups,
    "zones": zones,
}
