"""Of which part of the city a report speaks: all of it, a county, a department (any site), a service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from egovctl.checks.context import Context
from egovctl.checks.engine import NO_SUBJECT
from egovctl.errors import UsageError
from egovctl.i18n import pick, tr

Kind = Literal["city", "county", "department", "service"]
KINDS = {
    "city": {"zh": "全市", "en": "the whole city"},
    "county": {"zh": "县区", "en": "county"},
    "department": {"zh": "单位", "en": "department"},
    "service": {"zh": "业务", "en": "service"},
}
MANY: dict[str, Kind] = {"counties": "county", "departments": "department", "services": "service"}


@dataclass(frozen=True)
class Scope:
    """A part of the city: its title, and the subjects of checks that belong to it. Results on the city as a whole
    belong to every part: what the centre does for all is part of what each rests on."""

    kind: Kind
    name: str
    title: str
    hosts: frozenset[str]
    subjects: frozenset[str]

    @property
    def whole(self) -> bool:
        return self.kind == "city"

    def has(self, subject: str) -> bool:
        return self.whole or subject in self.subjects


def scope_of(context: Context, kind: Kind, name: str = "") -> Scope:
    """The part with this name; UsageError when the plan has none."""
    plan = context.plan
    if kind == "city":
        title = pick(plan.city.name.model_dump())
        return Scope("city", context.city.inventory, title, frozenset(context.city.hosts), frozenset())
    if name not in (known := names(context, kind)):
        raise _unknown(kind, name, known)
    if kind == "service":
        service = context.service(name)
        hosts = frozenset(service.hosts)
        return _scope(context, kind, name, pick(service.title.model_dump()), hosts, {name})
    if kind == "county":
        title = next(pick(county.title.model_dump()) for county in plan.counties if county.name == name)
        sites = {site.name for site in plan.sites if site.county == name}
    else:
        title = next(pick(site.title.model_dump()) for site in plan.sites if site.name == name)
        sites = {name}
    hosts = frozenset(host.name for host in context.city.hosts.values() if host.site in sites)
    owned = {service.name for service in plan.services if service.owner in sites}
    owned |= {website.name for website in (plan.websites.websites if plan.websites else ()) if website.owner in sites}
    return _scope(context, kind, name, title, hosts, owned | sites)


def names(context: Context, kind: Kind) -> list[str]:
    """All parts of a kind in plan order. Any site may be asked for as a department; only departments are listed by
    `all_names`."""
    if kind == "county":
        return [county.name for county in context.plan.counties]
    if kind == "service":
        return [service.name for service in context.plan.services]
    return [site.name for site in context.plan.sites]


def all_names(context: Context, kind: Kind) -> list[str]:
    """Those that `--all` makes a pack for each."""
    if kind == "department":
        return [site.name for site in context.plan.sites if site.kind == "department"]
    return names(context, kind)


def _scope(context: Context, kind: Kind, name: str, title: str, hosts: frozenset[str], more: set[str]) -> Scope:
    return Scope(kind, name, title, hosts, hosts | more | {context.city.inventory, NO_SUBJECT})


def _unknown(kind: Kind, name: str, known: list[str]) -> UsageError:
    shown = ", ".join(known[:12]) + (" ..." if len(known) > 12 else "")
    return UsageError(
        tr(
            f"规划中没有{KINDS[kind]['zh']} {name}；有：{shown}",
            f"the plan has no {KINDS[kind]['en']} {name}; there are {shown}",
        )
    )
