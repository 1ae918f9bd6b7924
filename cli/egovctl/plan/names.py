"""Names that the plan implies: interfaces towards sites below, and words that stand for many hosts."""

from __future__ import annotations

from egovctl.plan.models import Plan, Service, Site, SiteKind

IFNAMSIZ = 15
# What a service's `hosts` may say instead of naming every host, so that a department stays three lines.
HOST_WORDS: dict[str, tuple[SiteKind, ...]] = {
    "all-hubs": ("hub",),
    "all-departments": ("department",),
    "all-towns": ("town", "village"),
}

PEOPLE: tuple[SiteKind, ...] = ("department", "town", "village")

# Names that something else has already: the lab's own network, Ansible's words and group, and by its record in
# enrolled/ and its folder in build/ the host whose role is control.
NOT_HOSTS = ("all", "fabric", "localhost", "managed", "ungrouped")
CONTROL = "control"


def downward_name(router: str, site_number: int, via: str = "line") -> str:
    """The interface at the parent's end of an uplink of `router`: d-<router>, of a tunnel w-<router>; 15 characters.

    A longer name is cut and ends in the site's number (d-minqin-ed-221). It follows from the child alone, so
    that adding or removing one site renames no other site's interface.
    """
    name = f"{'d' if via == 'line' else 'w'}-{router}"
    if len(name) <= IFNAMSIZ:
        return name
    tail = f"-{site_number}"
    return name[: IFNAMSIZ - len(tail)].rstrip("-") + tail


def expand_hosts(plan: Plan) -> Plan:
    """The plan with every word of HOST_WORDS in a service's hosts replaced by the Linux routers that it stands for."""
    return plan.model_copy(update={"services": tuple(_expanded(plan, service) for service in plan.services)})


def _expanded(plan: Plan, service: Service) -> Service:
    names: dict[str, None] = {}
    for entry in service.hosts:
        names.update(dict.fromkeys(hosts_of_word(plan, entry) if entry in HOST_WORDS else [entry]))
    return service.model_copy(update={"hosts": tuple(names)})


def with_people(plan: Plan) -> list[Site]:
    """The sites where people work that are served: each may send text messages."""
    return [site for site in plan.sites if site.kind in PEOPLE]


def hosts_of_word(plan: Plan, word: str) -> list[str]:
    """The managed routers that a word of HOST_WORDS stands for, in plan order."""
    kinds = HOST_WORDS[word]
    sites = (site for site in plan.sites if site.kind in kinds and site.platform == "linux")
    return [name for site in sites for name in site.router_names]
