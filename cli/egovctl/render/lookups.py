"""What files say of the whole city, found once: searched for at each host, it would cost the square of the sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from egovctl.plan import City, Host, Plan
from egovctl.plan.models import Service
from egovctl.plan.rules_backups import archive_timeout

NOT_OF_A_SYSTEM = (
    *("/proc/*", "/sys/*", "/dev/*", "/run/*", "/tmp/*", "/var/tmp/*"),  # noqa: S108 - names, not uses
    *("/mnt/*", "/media/*", "/lost+found", "/swapfile"),
    *("/var/cache/*", "/var/lib/apt/lists/*", "/var/lib/prometheus/metrics2/*"),
    *("/srv/borg/*", "/srv/pgbackrest/*", "/srv/egov-packages"),
)
DATABASES = {"postgresql": "/var/lib/postgresql/*", "mariadb": "/var/lib/mysql/*"}


def by_role(city: City) -> dict[str, list[Host]]:
    """role → its hosts, in plan order."""
    found: dict[str, list[Host]] = {}
    for host in city.hosts.values():
        found.setdefault(host.role, []).append(host)
    return found


def backed_up(plan: Plan) -> dict[str, list[Service]]:
    """host → the services of which it has something for its borg repository."""
    found: dict[str, list[Service]] = {}
    for service in plan.services:
        in_borg = service.backup is not None and service.backup.engine != "postgresql"
        for name in dict.fromkeys(service.hosts if in_borg else ()):
            found.setdefault(name, []).append(service)
    return found


def left_out(plan: Plan) -> dict[str, list[str]]:
    """host → what its system backup leaves out: what is not on a disk, what anybody can make again, repositories of
    other hosts' backups, and data that another backup of the host has. What services have under /etc stays in: a
    system without it is none. A path that ends in /* keeps the folder itself.
    """
    found: dict[str, list[str]] = {}
    systems = [service for service in plan.services if service.backup and service.backup.engine == "system"]
    for name in {name for service in systems for name in service.hosts}:
        found[name] = list(NOT_OF_A_SYSTEM)
    for service in plan.services:
        for name in service.hosts if service.backup is not None else ():
            if name in found and service.backup is not None:
                data = [path for path in service.backup.paths if not path.startswith("/etc/")]
                data += [DATABASES[service.backup.engine]] if service.backup.engine in DATABASES else []
                found[name] += [path for path in data if path not in found[name]]
    return found


@dataclass(frozen=True)
class Stanza:
    """A PostgreSQL cluster and its place in the backup node's repository: both under the service's name."""

    name: str
    database: str
    schedule: str
    archive_timeout: int
    host: Host


def stanzas_of(plan: Plan, city: City) -> list[Stanza]:
    """The clusters that are backed up, in plan order."""
    return [
        Stanza(
            service.name,
            service.backup.database or "",
            service.backup.schedule,
            archive_timeout(service.rpo),
            city.hosts[name],
        )
        for service in plan.services
        if service.backup is not None and service.backup.engine == "postgresql"
        for name in city.backed_up(service.hosts, "postgresql")
    ]


@dataclass(frozen=True)
class KnownNames:
    """The hosts whose names a resolver knows: at the NOC `all`, elsewhere those of the host's county."""

    all: list[Host]
    of_county: Mapping[str | None, list[Host]]


def known_names(city: City) -> KnownNames:
    """What the resolvers know: the centre's hosts and their own county's; at the NOC, all.

    Not all everywhere: then the files of a city would grow with the square of its sites.
    """
    every = list(city.hosts.values())
    counties = dict.fromkeys(host.county for host in every)
    by_county = {
        county: [host for host in every if host.role not in ("access", "hub", "switch") or host.county == county]
        for county in counties
    }
    return KnownNames(every, by_county)
