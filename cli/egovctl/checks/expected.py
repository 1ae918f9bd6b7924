"""What should be seen on each subject if the city is as planned. Pure functions of the plan; sorted lists."""

from __future__ import annotations

import json
from typing import Any

from egovctl.checks.context import Context
from egovctl.plan import City, Host, Service
from egovctl.transport import not_rendered

# The jobs that playbooks/roles/noc gives Prometheus; a contract test holds the two together.
SNMP_JOBS = {"managed": "snmp_egov_v3", "platform_unmanaged": "snmp_switch_v2"}


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


def time_references(city: City) -> list[str]:
    """The hosts that the others may take the time from."""
    return sorted(host.name for host in city.hosts.values() if host.role == "core")


def targets(city: City) -> list[str]:
    """What Prometheus must scrape: "JOB HOST"."""
    found = []
    for host in city.hosts.values():
        if host.role == "noc":
            found += [f"prometheus {host.name}", f"snmp_exporter {host.name}"]
        if "managed" in host.groups:
            found.append(f"node {host.name}")
        if host.role != "control":
            found += [f"{job} {host.name}" for group, job in SNMP_JOBS.items() if group in host.groups]
    return sorted(found)


def units(context: Context, host: Host) -> tuple[list[str], list[str]]:
    """The units that must run and those that must not, as rendered; CannotMeasure when the host was not rendered."""
    path = context.inventory.build / host.name / "manifest.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["units"]
    except (OSError, ValueError, KeyError):
        raise not_rendered(context.inventory, path) from None
    active = sorted(entry["name"] for entry in entries if entry["active"])
    return active, sorted(entry["name"] for entry in entries if not entry["active"])


def planned_host(context: Context, host: Host, sections: tuple[str, ...]) -> dict[str, Any]:
    """What the sections of the host collector should find on one host."""
    planned: dict[str, Any] = {}
    if "neighbours" in sections:
        planned["neighbours"] = neighbours(host)
    if "routes" in sections:
        planned["prefixes"] = prefixes(context.city, host)
    if "time" in sections:
        planned["time_references"] = time_references(context.city)
    if "units" in sections:
        planned["units_active"], planned["units_inactive"] = units(context, host)
    return planned


def planned_service(service: Service) -> dict[str, Any]:
    """Where a service runs and what is promised for it, in seconds."""
    return {
        "hosts": list(service.hosts),
        "rto_seconds": float(service.rto),
        "rpo_seconds": float(service.rpo),
    }
