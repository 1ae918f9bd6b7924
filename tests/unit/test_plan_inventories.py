"""The two inventories that are shipped: good plans, of the promised size, readable in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest
from pydantic import BaseModel

from egovctl.i18n import pick, set_language
from egovctl.paths import Inventory
from egovctl.plan import City, Plan, load
from egovctl.plan.models import Text
from egovctl.plan.survive import survival

CJK = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
SHIPPED = ("lab", "wuwei", "lab-private", "wuwei-private")
COUNTIES = ("liangzhou", "minqin", "gulang", "tianzhu")


@cache
def shipped(name: str) -> tuple[Plan, City]:
    return load(Inventory.find(name))


@pytest.fixture(autouse=True)
def language_put_back() -> Iterator[None]:
    yield
    set_language(None)


def texts(model: object) -> Iterator[Text]:
    """Every Text inside the model, at any depth."""
    if isinstance(model, Text):
        yield model
    elif isinstance(model, BaseModel):
        for name in type(model).model_fields:
            yield from texts(getattr(model, name))
    elif isinstance(model, tuple):
        for item in model:
            yield from texts(item)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_text_is_there_in_both_languages(name: str) -> None:
    found = list(texts(shipped(name)[0]))
    assert len(found) > 5
    for text in found:
        set_language("zh")
        assert CJK.search(pick(text.model_dump())), text
        set_language("en")
        assert not CJK.search(pick(text.model_dump())), text


def test_wuwei_is_the_whole_city() -> None:
    plan, city = shipped("wuwei")
    assert [county.name for county in plan.counties] == list(COUNTIES)
    for county in COUNTIES:
        departments = [site for site in plan.sites if site.county == county and site.kind == "department"]
        assert len(departments) == 15
        assert {uplink.to for uplink in plan.site(f"hub-{county}").uplinks} == {"core1", "core2"}
        assert city.hosts[f"switch-{county}"].site == f"hub-{county}"
    own = [site for site in plan.sites if site.kind == "department" and site.county is None]
    assert len(own) == 20
    assert all({uplink.to for uplink in site.uplinks} == {"core1", "core2"} for site in own)
    assert {site.name for site in plan.sites if site.kind in ("noc", "backup", "video")} == {"noc", "backup", "video"}
    assert 90 <= len(city.hosts) <= 105


def test_in_wuwei_only_sites_of_a_county_can_be_cut_off_by_one_link() -> None:
    plan, city = shipped("wuwei")
    result = survival(city)
    expected = {site.name for site in plan.sites if site.kind != "hub" and site.county is not None}
    assert {name for loss in result.links for name in loss.cut_off} == expected == set(result.single_homed)


def test_network_configuration_covers_every_router_but_those_that_keep_backups_and_what_drives_about() -> None:
    plan, city = shipped("wuwei")
    service = next(item for item in plan.services if item.name == "network-configuration")
    left_out = {"backup", "offsite", "mobile1"}
    assert set(service.hosts) == {host.name for host in city.hosts.values() if host.router} - left_out


def test_names_in_a_county_follow_one_pattern() -> None:
    """The same department has the same last digits of its number in every county, so that people can read addresses."""
    plan, _ = shipped("wuwei")
    places: dict[str, set[int]] = {}
    for site in plan.sites:
        if site.kind == "department" and site.county is not None:
            places.setdefault(site.name.removeprefix(f"{site.county}-"), set()).add(site.number % 100)
    assert all(len(numbers) == 1 for numbers in places.values())


@pytest.mark.parametrize(("slice_of", "city"), [("lab", "wuwei"), ("lab-private", "wuwei-private")])
def test_the_lab_is_a_slice_of_wuwei(slice_of: str, city: str) -> None:
    small, whole = shipped(slice_of)[0], shipped(city)[0]
    for site in small.sites:
        assert site == whole.site(site.name)
    assert small.addressing == whole.addressing
    assert {service.name for service in small.services} <= {service.name for service in whole.services}
