"""When each set of backups is drilled: monthly, on a day and at an hour that follow from its name alone.

So that the drills are spread, that a new service moves nobody else's, and that two may fail within the 90 days.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egovctl.plan import City, Plan
from egovctl.plan.rules_offsite import pull_seconds

SHIPPED = Path(__file__).resolve().parents[1] / "content" / "drills"
DRILLS_OF_ENGINE = {
    "borg": ("restore-files",),
    "mariadb": ("restore-mariadb",),
    "postgresql": ("restore-postgresql", "restore-point-in-time"),
    "system": ("restore-system",),
}
# What is started on the restored data runs in a container, and only root can make one.
CONTAINED = frozenset({"restore-mariadb", "restore-point-in-time", "restore-postgresql", "restore-system"})
OFFSITE = "restore-offsite"
STATE, STATE_SERVICE = "restore-state", "suite-state"
# Control's other regular work on backups, by the names of its units.
WORK = ("backups-look", "backups-retention", "state-seal")
LAST_DAY = 28  # that every month has
HOURS = (1, 5)  # of the night: from, to


@dataclass(frozen=True)
class Rehearsal:
    """One timer: `drill` of `service`, at `calendar` (systemd.time)."""

    name: str
    drill: str
    service: str
    calendar: str
    contained: bool


@dataclass(frozen=True)
class Promised:
    """A service's backup on one of its hosts, for rules that notice its absence. Seconds."""

    service: str
    host: str
    rpo: int


def rehearsals(plan: Plan, city: City) -> list[Rehearsal]:
    """All of them, in plan order; of drills that the suite ships."""
    return [
        Rehearsal(f"{drill}-{service}", drill, service, _calendar(f"{drill} {service}"), contained)
        for drill, service, contained in _sets(plan, city)
        if (SHIPPED / f"{drill}.yml").is_file()
    ]


def promised_backups(plan: Plan, city: City) -> list[Promised]:
    """Every service on each host that the suite backs up."""
    return [
        Promised(service.name, host, service.rpo)
        for service in plan.services
        if service.backup
        for host in city.backed_up(service.hosts, service.backup.engine)
    ]


def offsite_pull_seconds(plan: Plan) -> int:
    """Seconds between two pulls of the off-site node; 0 where there is none."""
    return next((pull_seconds(site) for site in plan.sites if site.kind == "offsite"), 0)


def _sets(plan: Plan, city: City) -> Iterator[tuple[str, str, bool]]:
    """Drill, service, and whether a container is made for it."""
    away = any(host.role == "offsite" for host in city.hosts.values())
    for service in plan.services:
        if service.backup and city.backed_up(service.hosts, service.backup.engine):
            drills = DRILLS_OF_ENGINE[service.backup.engine]
            for drill in drills:
                yield drill, service.name, drill in CONTAINED
            if away:
                yield OFFSITE, service.name, drills[0] in CONTAINED
    yield STATE, STATE_SERVICE, False


def _calendar(name: str) -> str:
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    day, rest = number % LAST_DAY + 1, number // LAST_DAY
    first, last = HOURS
    hour, minute = first + rest % (last - first), rest // (last - first) % 60
    return f"*-*-{day:02} {hour:02}:{minute:02}:00"
