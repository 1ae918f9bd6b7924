"""What files say of the whole city, found once: searched for at each host, it would cost the square of the sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from egovctl.plan import City, Host, Plan
from egovctl.plan.models import Service


def by_role(city: City) -> dict[str, list[Host]]:
    """role → its hosts, in plan order."""
    found: dict[str, list[Host]] = {}
    for host in city.hosts.values():
        found.setdefault(host.role, []).append(host)
    return found


def backed_up(plan: Plan) -> dict[str, list[Service]]:
    """host → the services of which it has something to back up."""
    found: dict[str, list[Service]] = {}
    for service in plan.services:
        for name in dict.fromkeys(service.hosts if service.backup else ()):
            found.setdefault(name, []).append(service)
    return found


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
