"""Websites in the plan: what is refused, what render gives the NOC, and which way the firewalls open for it.

If these fail, a website is planned that nobody visits, the NOC's program does not start after an apply, or its way to
the services is wider than what it needs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from website_town import lab_with_websites

from egov_exporters.websites.config import read_config
from egov_exporters.websites.guard import may_ask
from egovctl.assess.scope import scope_of
from egovctl.checks import content
from egovctl.checks.context import open_context
from egovctl.checks.engine import run_checks
from egovctl.paths import Inventory, project_root
from egovctl.plan import City, Plan
from egovctl.plan.policy import Place, policy_of
from egovctl.render import render_city
from egovctl.render.websites import websites_config

WEBSITES: dict[str, Any] = {
    "schema": 1,
    "networks": ["172.31.9.0/24"],
    "websites": [
        {
            "name": "www",
            "title": {"zh": "门户", "en": "Portal"},
            "owner": "education",
            "url": "http://www.city.example/",
            "columns": [
                {"name": "news", "title": {"zh": "动态", "en": "News"}, "path": "/news/", "sort": "news"},
                {"name": "laws", "title": {"zh": "法规", "en": "Laws"}, "path": "/laws/", "fresh": "90d"},
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    return lab_with_websites(tmp_path_factory.mktemp("plan"), WEBSITES)


@pytest.fixture(scope="module")
def planned(inventory: Inventory) -> tuple[Plan, City]:
    context = open_context(inventory)
    return context.plan, context.city


def test_the_noc_gets_what_its_program_reads(inventory: Inventory) -> None:
    rendered = render_city(inventory)
    files = rendered.hosts["noc"].files
    config = read_config(json.loads(files["/etc/egov/websites.json"]))
    (website,) = config.websites
    assert (website.name, website.host) == ("www", "www.city.example")
    assert [(column.path, column.fresh) for column in website.columns] == [
        ("/news/", 14 * 86400.0),
        ("/laws/", 90 * 86400.0),
    ]
    assert (config.limits.seconds, config.limits.pages, config.ports) == (15.0, 300, frozenset({80, 443}))
    units = {unit["name"] for unit in rendered.hosts["noc"].manifest["units"]}
    assert {"egov-website-visit.timer", "egov-website-walk.timer"} <= units
    assert not any("website" in path for name, host in rendered.hosts.items() if name != "noc" for path in host.files)


def test_a_plan_without_websites_has_nothing_of_them() -> None:
    rendered = render_city(Inventory(project_root() / "inventories/lab"))
    assert not any("egov-website" in path or "websites.json" in path for path in rendered.hosts["noc"].files)
    assert websites_config(rendered.plan, rendered.city) is None
    assert "websites" not in policy_of(rendered.city).groups


def test_no_address_of_the_city_is_asked_but_those_where_websites_are(planned: tuple[Plan, City]) -> None:
    """If this fails, a page that somebody else wrote has the NOC ask its routers, its switches or itself."""
    plan, city = planned
    config = read_config({**(websites_config(plan, city) or {}), "limits": {}})
    services = {site.name for site in plan.sites if site.kind == "services"}
    for host in city.hosts.values():
        for interface in host.interfaces:
            inside = interface.role == "lan" and host.site in services
            for address in (interface.v4, interface.v6):
                assert may_ask(str(address.ip), config) is inside, (host.name, interface.name)
    assert may_ask("172.31.9.8", config) and not may_ask("172.31.8.8", config)


def test_firewalls_open_the_web_of_services_to_the_noc_and_nothing_more(planned: tuple[Plan, City]) -> None:
    _, city = planned
    policy, noc = policy_of(city), Place("host", "noc")
    lan, backup = Place("lan", "shared-services"), Place("lan", "backup")
    users = next(Place("lan", lan.site) for lan in city.lans if lan.zone == "users")
    assert all(policy.permits(city, noc, lan, "tcp", port) for port in (80, 443))
    assert not any(policy.permits(city, noc, lan, "tcp", port) for port in (22, 3306, 8080))
    assert not any(policy.permits(city, noc, place, "tcp", 80) for place in (users, backup))


def test_every_unit_is_confined_and_nothing_of_root_reads_what_strangers_wrote() -> None:
    role = project_root() / "playbooks/roles/websites"
    for name in ("visit", "walk"):
        text = (role / f"templates/egov-website-{name}.service.j2").read_text(encoding="utf-8")
        for line in ("User=egov-websites", "ProtectSystem=strict", "CapabilityBoundingSet=\n", "NoNewPrivileges=yes"):
            assert line in text
    script = (role / "files/egov-websites-publish").read_text(encoding="utf-8")
    assert "setpriv --reuid egov-websites --regid egov-websites --clear-groups -- head -c" in script


def test_a_website_belongs_to_the_report_of_its_owner_alone(inventory: Inventory) -> None:
    context = open_context(inventory)
    assert scope_of(context, "department", "education").has("www")
    assert not scope_of(context, "department", "minqin-education").has("www")
    assert set(context.subjects("website")) == {"www"}


def test_a_city_without_websites_is_not_judged_by_their_checks() -> None:
    context = open_context(Inventory(project_root() / "inventories/lab"))
    checks = [check for check in content.checks().entries.values() if check.subject == "website"]
    results = run_checks(context, checks)
    assert len(results) == 13 and {str(result.status) for result in results} == {"not_applicable"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "ftp://www.city.example/"),
        ("url", "http://user:word@www.city.example/"),
        ("url", "www.city.example"),
        ("name", "www.city"),
        ("columns", [{"name": "a", "title": {"zh": "a", "en": "a"}, "path": "news/"}]),
        ("columns", [{"name": "a", "title": {"zh": "a", "en": "a"}, "path": "/", "sort": "others"}]),
        ("fresh", "14d"),
    ],
)
def test_a_website_in_another_form_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    from egovctl.plan import PlanError

    wrong = {**WEBSITES, "websites": [{**WEBSITES["websites"][0], field: value}]}
    with pytest.raises(PlanError, match=r"websites\.yml:\d+: "):
        open_context(lab_with_websites(tmp_path, wrong))


def test_the_example_of_the_manual_is_a_plan(tmp_path: Path) -> None:
    text = (project_root() / "docs/websites.md").read_text(encoding="utf-8")
    example = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert open_context(lab_with_websites(tmp_path, example)).subjects("website")
