"""What backups take from the plan beside their services: quotas, rates for thin links, promises as series."""

from __future__ import annotations

from collections.abc import Iterable

from egovctl.plan import City, Plan
from egovctl.plan.models import Service
from egovctl.plan.paths import Finder
from egovctl.plan.routing import topology_of
from egovctl.plan.rules_services import interval

MOST_SPREAD = 1800  # who is to be asked at night is asked at night
LITTLE_SPREAD = 60  # where it is not known how often
SNAPSHOT = "/var/lib/prometheus/egov-snapshot"  # what Prometheus has measured, made before each backup of it


def measured_backups(services: Iterable[Service]) -> list[Service]:
    """Those services that back up what Prometheus has measured."""
    return [service for service in services if service.backup and SNAPSHOT in service.backup.paths]


def backup_quotas(plan: Plan, city: City) -> dict[str, str]:
    """host → what its repository may grow to, as `borg serve --storage-quota` reads it; only what the plan fixes."""
    fixed = {site.name: f"{site.backup_gb}G" for site in plan.sites if site.backup_gb is not None}
    return {host.name: fixed[host.site] for host in city.hosts.values() if host.site in fixed}


def narrowest_links(plan: Plan, city: City) -> dict[str, int]:
    """host → Mbit/s of the narrowest link between it and the backup node, of clients and of the off-site node.

    Only where that link is thin, which is what `shares` calls so: elsewhere backups need no limit.
    """
    nodes = [host.name for host in city.hosts.values() if host.role == "backup" and host.router]
    away = [host.name for host in city.hosts.values() if host.role == "offsite"]
    finder = Finder(topology_of(city), nodes)
    found = {}
    for name in (*city.backed_up(city.hosts), *away):
        path = finder.routed(name)
        if path is not None and path.hops and path.mbps <= plan.shares.thin_mbps:
            found[name] = path.mbps
    return found


def kib_per_second(mbps: int, percent: int) -> int:
    """A share of a link as borg's rate limits read it."""
    return max(1, mbps * 1_000_000 * percent // 100 // 8 // 1024)


def spread(schedule: str) -> int:
    """Seconds over which the hosts of a city are spread that follow one schedule, each always at the same offset.

    All at once they would be on the backup node's neck together: 96 hosts within a minute were. Half the interval:
    systemd reckons the next time from the last one with its offset, so an offset of more would skip every other time.
    """
    seconds = interval(schedule)
    return LITTLE_SPREAD if seconds is None else min(seconds // 2, MOST_SPREAD)
