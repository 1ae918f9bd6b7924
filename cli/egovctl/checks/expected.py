"""What should be seen on each subject if the city is as planned. Pure functions of the plan; sorted lists."""

from __future__ import annotations

import json
from typing import Any

from egovctl.checks.context import Context
from egovctl.checks.model import NotApplicable
from egovctl.plan import City, Host, Service
from egovctl.transport import not_rendered

# The jobs that playbooks/roles/noc gives Prometheus; a contract test holds the two together.
SNMP_JOBS = {"managed": "snmp_egov_v3", "platform_unmanaged": "snmp_switch_v2"}
# What a section of the host collector looks at is somebody else's business where this bundle is not applied.
BUNDLES = {"neighbours": "frr", "routes": "frr", "time": "base"}


def neighbours(host: Host) -> list[str]:
    """The routing sessions of one router: "ospf4 PEER@INTERFACE", "ospf6 ...", "bgp4 PEER", "bgp6 PEER"."""
    adjacent = [f"{item.peer_host}@{item.name}" for item in host.interfaces if item.role == "transit"]
    sessions = [f"{kind} {peer}" for kind in ("ospf4", "ospf6") for peer in adjacent]
    return sorted(sessions + [f"{kind} {peer.host}" for kind in ("bgp4", "bgp6") for peer in host.bgp])


def prefixes(city: City, host: Host) -> list[str]:
    """Every LAN of the city and every other router's loopback, in both families."""
    found = []
    for other in city.hosts.values():
        if other.router and other.name != host.name:
            found += [f"{other.address_v4}/32", f"{other.address_v6}/128"]
    for lan in city.lans:
        found += [str(lan.v4), str(lan.v6)]
    return sorted(found)


def next_hops(context: Context, host: Host) -> list[str]:
    """Where a router sends what is for each core's own address: "core1 IPv4 via PEER@INTERFACE", both families."""
    planned = context.next_hops.get(host.name, {})
    return sorted(
        f"{core} IPv{family} via {edge.there}@{edge.interface}"
        for core, edges in planned.items()
        for edge in edges
        for family in (4, 6)
    )


def not_ours(host: Host, sections: tuple[str, ...]) -> NotApplicable | None:
    """Why a host is not judged by these sections: the plan's `manage` leaves out what they look at."""
    for section in sections:
        bundle = BUNDLES.get(section)
        if bundle is not None and not host.manages(bundle):
            return NotApplicable(
                f"规划的 manage 未把 {bundle} 交由本套件管理", f"the plan's manage leaves {bundle} on it to others"
            )
    return None


def time_references(city: City) -> list[str]:
    """The hosts that the others may take the time from."""
    return sorted(host.name for host in city.hosts.values() if host.role == "core")


def targets(city: City) -> list[str]:
    """What Prometheus must scrape: "JOB HOST"."""
    found = []
    for host in city.hosts.values():
        if host.role == "noc" and host.manages("noc"):
            found += [f"prometheus {host.name}", f"snmp_exporter {host.name}"]
            found += [f"notify {host.name}"] if "notifier" in host.groups else []
        if host.manages("node_exporter"):
            found.append(f"node {host.name}")
        if host.manages("snmpd"):
            found.append(f"{SNMP_JOBS['managed']} {host.name}")
        if "platform_unmanaged" in host.groups:
            found.append(f"{SNMP_JOBS['platform_unmanaged']} {host.name}")
    return sorted(found)


def log_hosts(city: City) -> list[str]:
    """The hosts whose logs must come to the NOC."""
    return sorted(host.name for host in city.hosts.values() if host.manages("rsyslog"))


def planned_city(city: City) -> dict[str, Any]:
    """What Prometheus should know of the city as a whole."""
    return {"targets": targets(city), "log_hosts": log_hosts(city)}


def units(context: Context, host: Host) -> tuple[list[str], list[str]]:
    """The units that must run and those that must not, as rendered.

    CannotMeasure when the host was not rendered, NotApplicable when nothing with a unit is applied to it.
    """
    path = context.inventory.build / host.name / "manifest.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["units"]
    except (OSError, ValueError, KeyError):
        raise not_rendered(context.inventory, path) from None
    if not entries:
        raise NotApplicable("规划的 manage 不含任何服务", "the plan's manage leaves it no unit")
    active = sorted(entry["name"] for entry in entries if entry["active"])
    return active, sorted(entry["name"] for entry in entries if not entry["active"])


def planned_host(context: Context, host: Host, sections: tuple[str, ...]) -> dict[str, Any]:
    """What the sections of the host collector should find on one host."""
    planned: dict[str, Any] = {}
    if "neighbours" in sections:
        planned["neighbours"] = neighbours(host)
    if "routes" in sections:
        planned["prefixes"] = prefixes(context.city, host)
        planned["next_hops"] = next_hops(context, host)
    if "time" in sections:
        planned["time_references"] = time_references(context.city)
    if "units" in sections:
        planned["units_active"], planned["units_inactive"] = units(context, host)
    return planned


def planned_service(city: City, service: Service) -> dict[str, Any]:
    """Where a service runs and what is promised for it, in seconds; of one that is backed up the hosts that say so.

    NotApplicable when it shall be backed up, and the suite neither backs up nor measures any of its hosts.
    """
    hosts = list(service.hosts)
    if service.backup is not None:
        hosts = [name for name in city.backed_up(hosts, service.backup.engine) if _teller(city, service, name)]
        if not hosts:
            raise NotApplicable(
                "规划的 manage 未在其任何主机上纳入备份与监测",
                "the plan's manage leaves backups out on all of its hosts",
            )
    return {
        "hosts": hosts,
        "tellers": {name: _teller(city, service, name) for name in hosts},
        "rto_seconds": float(service.rto),
        "rpo_seconds": float(service.rpo),
    }


def _teller(city: City, service: Service, host: str) -> str:
    """Whose metrics tell how fresh a host's backup is; "" when nobody's do.

    Of PostgreSQL that is the backup node: it sees what has come, and not what was sent.
    """
    if service.backup is None or service.backup.engine != "postgresql":
        return host if city.hosts[host].manages("node_exporter") else ""
    nodes = [one for one in city.hosts.values() if "postgresql_backups" in one.groups]
    return next((node.name for node in nodes if node.manages("node_exporter")), "")
