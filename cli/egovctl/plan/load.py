"""One loader, used by all: files → Plan → City, with file and line for whatever is wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from egovctl.paths import Inventory
from egovctl.plan.addresses import PoolTooSmall
from egovctl.plan.beside import beside_faults
from egovctl.plan.derive import derive
from egovctl.plan.derived import City
from egovctl.plan.models import CalendarFile, CityFile, ContactsFile, PeopleFile, Plan, ServicesFile, WebsitesFile
from egovctl.plan.names import expand_hosts
from egovctl.plan.overlap import overlaps
from egovctl.plan.rules import faults
from egovctl.plan.sentences import sentences
from egovctl.plan.source import PlanError, Source, read_source

M = TypeVar("M", bound=BaseModel)
REVISION_LENGTH = 12
FILES = ("city", "services")
# What a plan may be without. people: a file of its own, for people other than those who plan the network write it;
# none: no control. calendar: windows of maintenance, which come and go while the network stays. contacts: who is told.
# websites: what is visited as anybody would.
OPTIONAL = ("people", "calendar", "contacts", "websites")


def load_plan(inventory: Inventory) -> Plan:
    """The checked plan of one inventory; raises PlanError with one sentence a fault."""
    return load(inventory)[0]


def load_city(inventory: Inventory) -> City:
    """The derived city of one inventory; raises PlanError with one sentence a fault."""
    return load(inventory)[1]


def load(inventory: Inventory) -> tuple[Plan, City]:
    """Both at once, from one reading of the files."""
    there = [name for name in (*FILES, *OPTIONAL) if name in FILES or (inventory.plan_dir / f"{name}.yml").exists()]
    sources = {name: read_source(inventory.plan_dir / f"{name}.yml") for name in there}
    plan, city = check(sources, inventory.name)
    _raise_for([f"{sources['city'].at(where)}: {sentence}" for where, sentence in beside_faults(plan, inventory)])
    return plan, city


def check(sources: Mapping[str, Source], name: str) -> tuple[Plan, City]:
    """The plan and city that these sources mean (all of FILES, any of OPTIONAL); PlanError, one sentence a fault."""
    city_file, services_file, people_file, calendar_file, contacts_file, websites_file = _files(sources)
    plan = Plan(
        revision=_revision(sources),
        city=city_file.city,
        addressing=city_file.addressing,
        counties=city_file.counties,
        verticals=city_file.verticals,
        shares=city_file.shares,
        failover=city_file.failover,
        sites=city_file.sites,
        retired=city_file.retired,
        services=services_file.services,
        administrators=people_file.administrators if people_file else (),
        maintenance=calendar_file.maintenance if calendar_file else (),
        contacts=contacts_file,
        websites=websites_file,
    )
    _raise_for([f"{sources[file].at(where)}: {sentence}" for file, where, sentence in faults(plan)])
    plan = expand_hosts(plan)
    try:
        city = derive(plan, name)
    except PoolTooSmall as error:
        raise PlanError([f"{sources['city'].at(('addressing', error.pool))}: {error}"]) from None
    _raise_for([f"{sources['city'].at(where)}: {sentence}" for where, sentence in overlaps(plan, city)])
    return plan, city


def _files(
    sources: Mapping[str, Source],
) -> tuple[CityFile, ServicesFile, PeopleFile | None, CalendarFile | None, ContactsFile | None, WebsitesFile | None]:
    wrong: list[str] = []
    city_file = _validated(CityFile, sources["city"], wrong)
    services_file = _validated(ServicesFile, sources["services"], wrong)
    people_file = _validated(PeopleFile, sources["people"], wrong) if "people" in sources else None
    calendar_file = _validated(CalendarFile, sources["calendar"], wrong) if "calendar" in sources else None
    contacts_file = _validated(ContactsFile, sources["contacts"], wrong) if "contacts" in sources else None
    websites_file = _validated(WebsitesFile, sources["websites"], wrong) if "websites" in sources else None
    _raise_for(wrong)
    assert city_file is not None and services_file is not None  # noqa: S101 - _raise_for has left otherwise
    return city_file, services_file, people_file, calendar_file, contacts_file, websites_file


def _validated(model: type[M], source: Source, wrong: list[str]) -> M | None:
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        wrong.extend(sentences(source, error))
        return None


def _raise_for(wrong: list[str]) -> None:
    if wrong:
        raise PlanError(wrong)


def _revision(sources: Mapping[str, Source]) -> str:
    """A name for exactly this plan: the same data gives the same name, whatever its comments and order of keys."""
    data = {name: source.data for name, source in sources.items()}
    text = json.dumps(data, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:REVISION_LENGTH]
