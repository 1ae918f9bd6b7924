"""What a run of checks knows before it measures anything: the inventory, its plan and its derived city."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from egovctl import lab, transport
from egovctl.checks.answers import Answers
from egovctl.checks.model import SubjectKind
from egovctl.checks.rulings import Ruled
from egovctl.errors import CannotMeasure
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.plan import City, Host, Lan, Plan, Service
from egovctl.plan.load import load
from egovctl.plan.models import Website
from egovctl.plan.paths import planned_next_hops
from egovctl.plan.routing import Edge


@dataclass(frozen=True)
class Context:
    """One inventory, read once. `looks` is what collectors saw of hosts in this run, for the record; `kept` is what
    they saw in runs before and need not ask for again, `reused` what of it this run went by; `answers` are those of all
    that do not look at hosts with the facts' program. `ruled`: decisions to go by and to keep; None where checks are
    run again and again, so that nothing piles up."""

    inventory: Inventory
    plan: Plan
    city: City
    looks: dict[str, Any] = field(default_factory=dict, compare=False)
    kept: Mapping[str, Any] = field(default_factory=dict, compare=False)
    reused: dict[str, Any] = field(default_factory=dict, compare=False)
    answers: Answers = field(default_factory=Answers, compare=False)
    ruled: Ruled | None = field(default=None, compare=False)

    @cached_property
    def next_hops(self) -> dict[str, dict[str, tuple[Edge, ...]]]:
        """Where each router sends what is for each core; see planned_next_hops. Worked out once."""
        return planned_next_hops(self.city)

    def subjects(self, kind: SubjectKind) -> dict[str, dict[str, Any]]:
        """All subjects of a kind: name → what `where` and the other expressions know of it as `subject`."""
        match kind:
            case "city":
                return {self.city.inventory: {"name": self.city.inventory, "kind": "city"}}
            case "host":
                return {host.name: _host(host) for host in self.city.hosts.values()}
            case "service":
                return {service.name: _service(service) for service in self.plan.services}
            case "lan":
                return {lan.site: _lan(lan) for lan in self.city.lans}
            case "website":
                planned = self.plan.websites.websites if self.plan.websites else ()
                return {website.name: _website(website) for website in planned}

    def service(self, name: str) -> Service:
        """The service called `name`; KeyError when there is none."""
        for service in self.plan.services:
            if service.name == name:
                return service
        raise KeyError(name)


def open_context(inventory: Inventory) -> Context:
    """Read the plan; raises PlanError (exit 2) when it is wrong."""
    plan, city = load(inventory)
    return Context(inventory, plan, city)


def require_network(inventory: Inventory) -> None:
    """Raise CannotMeasure when nothing of this inventory can be reached from here: not rendered, or a lab that is down.

    Without this a lab that is down would be judged as a real city whose hosts are silent.
    """
    if not inventory.ssh_config.is_file():
        raise transport.not_rendered(inventory, inventory.ssh_config)
    if (inventory.state / "lab").is_dir() and not lab.is_up(inventory):
        name = inventory.name
        raise CannotMeasure(
            tr(
                f"实验环境 {name} 没有运行：请运行 egovctl lab up -i {name}",
                f"lab {name} is not up: run egovctl lab up -i {name}",
            )
        )


def _host(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "kind": "host",
        "role": host.role,
        "site": host.site,
        "county": host.county or "",
        "platform": host.platform,
        "router": host.router,
        "managed": "managed" in host.groups,
        "services": list(host.services),
    }


def _service(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "kind": "service",
        "owner": service.owner,
        "grade": service.level,
        "hosts": list(service.hosts),
        "backup": "" if service.backup is None else service.backup.engine,
        "provides": service.provides or "",
    }


def _website(website: Website) -> dict[str, Any]:
    return {
        "name": website.name,
        "kind": "website",
        "owner": website.owner,
        "url": website.url,
        "columns": [column.name for column in website.columns],
    }


def _lan(lan: Lan) -> dict[str, Any]:
    return {"name": lan.site, "kind": "lan", "zone": lan.zone, "hosts": list(lan.hosts)}
