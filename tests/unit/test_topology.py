"""What hangs on what, as the NOC's rules are told it, against the plan and against losing routers one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from egovctl.paths import Inventory, project_root
from egovctl.plan import load
from egovctl.plan.models import Maintenance
from egovctl.plan.survive import survival
from egovctl.render.topology import label_value, topology_for_rules

CITIES = ("lab", "wuwei")


def planned(name: str) -> Inventory:
    return Inventory(project_root() / "inventories" / name)


@pytest.mark.parametrize("name", CITIES)
def test_what_is_behind_a_site_is_what_its_loss_cuts_off(name: str) -> None:
    """survive.py removes each router from a graph and looks; this walks dominators. They agree on all but the core."""
    plan, city = load(planned(name))
    topology = topology_for_rules(plan, city)
    for loss in survival(city).routers:
        host = city.hosts[loss.router]
        if host.role not in ("core", "noc"):
            assert {site for site, behind in topology.behind if behind == host.site} == set(loss.cut_off), host.name
    core = {site for site, behind in topology.behind if behind == "core"}
    assert core == {site.name for site in plan.sites} - {"core", "noc"}


@pytest.mark.parametrize("name", CITIES)
def test_parents_are_the_uplinks_of_the_plan(name: str) -> None:
    plan, city = load(planned(name))
    parents = {place.name: [host.name for host in place.parents] for place in topology_for_rules(plan, city).places}
    assert parents == {site.name: [uplink.to for uplink in site.uplinks] for site in plan.sites}


def test_a_site_on_one_of_two_cores_is_behind_that_core_alone(tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    for name in ("city", "services"):
        text = (project_root() / f"inventories/lab/plan/{name}.yml").read_text(encoding="utf-8")
        text = text.replace("vertical: education, uplinks: [{to: core1, mbps: 100}, {to: core2, mbps: 100}]", "UPLINKS")
        text = text.replace("UPLINKS", "vertical: education, uplinks: [{to: core1, mbps: 100}]")
        (tmp_path / f"plan/{name}.yml").write_text(text, encoding="utf-8")
    topology = topology_for_rules(*load(Inventory(tmp_path)))
    assert topology.behind_host == (("education", "core1"),)


def test_what_nobody_measures_is_replaced_by_what_it_hangs_on() -> None:
    """A hub that is not watched cannot be seen dead: its departments are then judged by the cores."""
    plan, city = load(planned("lab"))
    unwatched = replace(city.hosts["hub-minqin"], manage=())
    city = replace(city, hosts={**city.hosts, "hub-minqin": unwatched})
    topology = topology_for_rules(plan, city)
    parents = {place.name: [host.name for host in place.parents] for place in topology.places}
    assert parents["minqin-education"] == ["core1", "core2"] and parents["hub-minqin"] == ["core1", "core2"]
    assert "hub-minqin" not in [host.name for host in topology.hosts]


def test_links_carry_their_contract_and_both_ends() -> None:
    plan, city = load(planned("lab"))
    links = topology_for_rules(plan, city).links
    assert len({link.name for link in links}) == len(city.links)
    (town,) = [link for link in links if link.site == "town-caiqi"]
    assert (town.bits_per_second, town.medium, town.peer_site) == (20_000_000, "tunnel", "hub-minqin")
    lower, upper = town.ends
    assert (lower.end, lower.host.name, upper.end, upper.host.name) == ("lower", "town-caiqi", "upper", "hub-minqin")
    assert city.hosts["hub-minqin"].interface(upper.interface).peer_host == "town-caiqi"


def test_windows_of_one_site_become_one_rule() -> None:
    """Two rules with the same labels would be one series written twice."""
    plan, city = load(planned("lab"))
    text = {"zh": "检修", "en": "Work"}
    windows = [("1970-01-01T00:01Z", "1970-01-01T00:02Z"), ("1970-01-01T08:03+08:00", "1970-01-01T08:04+08:00")]
    plan = plan.model_copy(
        update={
            "maintenance": tuple(
                Maintenance.model_validate({"site": "core", "from": begin, "to": end, "reason": text})
                for begin, end in windows
            )
        }
    )
    topology = topology_for_rules(plan, city)
    (window,) = topology.site_windows
    assert window.times == "vector(time()) >= 60 < 120 or vector(time()) >= 180 < 240"
    assert topology.service_windows == ()


@pytest.mark.parametrize(
    "title", ['A "quoted" place', "back\\slash", "民勤县: 局 #1", "no", "{{ not a template", "- x"]
)
def test_a_title_is_the_same_after_yaml_has_read_it(title: str) -> None:
    assert yaml.safe_load(f"labels: {{site: x, zh: {label_value(title)}}}")["labels"]["zh"] == title
