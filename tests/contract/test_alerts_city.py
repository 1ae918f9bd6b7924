"""Alerts that know the topology, on rules rendered from real plans: what is dead is spoken of once, nothing below it.

If these fail, a dead hub would send a message a site (or none): the one true line drowns in what follows from it.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from promtool import FIRING, PROJECT, promtool, series, stories

from egovctl.paths import Inventory
from egovctl.plan import City, Plan
from egovctl.plan.survive import survival
from egovctl.render import render_city
from egovctl.render.topology import is_measured

RULES = "/etc/prometheus/egov.d/"
STEPS = 60  # of 15 s: a quarter of an hour
DIES, LIVES = 12, 36  # when what dies is silent, and when it answers again


@dataclass(frozen=True)
class World:
    """A city with its NOC's rules on disk, and an oracle of its own for who can be reached."""

    plan: Plan
    city: City
    rules: list[Path]

    def routers(self, site: str) -> set[str]:
        return {host.name for host in self.city.hosts.values() if host.site == site and host.router}

    def silent(self, dead: Iterable[str]) -> set[str]:
        """The hosts that the NOC cannot hear when these routers are dead: a walk over the plan's uplinks."""
        dead = set(dead)
        lines: dict[str, set[str]] = {name: set() for name in self.city.hosts}
        for link in self.city.links:
            lines[link.child].add(link.parent)
            lines[link.parent].add(link.child)
        heard, todo = {"noc"}, ["noc"]
        while todo:
            here = todo.pop()
            if here != "noc" and self.city.hosts[here].role not in ("core", "hub"):
                continue
            for there in lines[here] - heard - dead:
                heard.add(there)
                todo.append(there)
        sites = {self.city.hosts[name].site for name in heard}
        return {h.name for h in self.city.hosts.values() if h.name not in heard and (h.router or h.site not in sites)}

    def uplinks(self, site: str) -> set[str]:
        return {uplink.to for item in self.plan.sites if item.name == site for uplink in item.uplinks}


@lru_cache
def world(name: str, folder: Path) -> World:
    rendered = render_city(Inventory(PROJECT / "inventories" / name))
    rules = []
    for room in ("topology", "sites", "collection"):
        path = folder / f"{name}-{room}.rules.yml"
        path.write_bytes(rendered.hosts["noc"].files[f"{RULES}{room}.rules.yml"])
        rules.append(path)
    return World(rendered.plan, rendered.city, rules)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


def line(ups: Iterable[tuple[int, str]]) -> str:
    """Values of a series: (how many, value)."""
    return " ".join(f"{value}x{count - 1}" for count, value in ups if count > 0)


def told(here: World, times: Mapping[str, tuple[int, int]]) -> list[dict[str, str]]:
    """What Prometheus scrapes when each of these hosts is silent from its first step to its second."""
    found = []
    for host in here.city.hosts.values():
        if not is_measured(host):
            continue
        labels = {"host": host.name, "site": host.site} | ({"county": host.county} if host.county else {})
        dies, lives = times.get(host.name, (STEPS, STEPS))
        values = line([(dies, "1"), (lives - dies, "0"), (STEPS - lives, "1")])
        jobs = ["snmp_switch_v2"] if host.platform == "unmanaged" else ["node", "snmp_egov_v3"]
        found += [{"series": series("up", job=job, **labels), "values": values} for job in jobs]
        if host.manages("watch"):
            # While it is silent nobody knows how old it is.
            looked = ["stale" if dies <= step < lives else str(step * 15) for step in range(STEPS)]
            found.append({"series": series("egov_watch_timestamp_seconds", **labels), "values": " ".join(looked)})
        for item in host.interfaces if host.router else ():
            if item.peer_host is None:
                continue
            down, back = times.get(item.peer_host, (STEPS, STEPS))
            # What a silent host would say is not heard; beside a dead one the line is down.
            status = ["stale" if dies <= step < lives else "2" if down <= step < back else "1" for step in range(STEPS)]
            found.append({"series": series("ifOperStatus", ifName=item.name, **labels), "values": " ".join(status)})
    return found


def expect(at: str, expr: str, samples: Mapping[str, float]) -> dict[str, Any]:
    wanted = [{"labels": labels, "value": value} for labels, value in samples.items()]
    return {"eval_time": at, "expr": expr, "exp_samples": wanted}


def hubs(name: str) -> list[tuple[str, str]]:
    city = yaml.safe_load((PROJECT / "inventories" / name / "plan/city.yml").read_text(encoding="utf-8"))
    return [(name, site["name"]) for site in city["sites"] if site["kind"] == "hub"]


@pytest.mark.parametrize(
    ("name", "hub", "order"),
    [(*hub, order) for hub in hubs("lab") for order in ("together", "hub first", "hub last")]
    + [(*hub, "hub last") for hub in hubs("wuwei")],  # the hardest: for a while all below is dead and the hub is not
)
def test_a_dead_hub_is_one_alert_with_its_count(name: str, hub: str, order: str, folder: Path) -> None:
    here = world(name, folder)
    (behind,) = [loss.cut_off for loss in survival(here.city).routers if loss.router == hub]
    delay = {"together": 0, "hub first": 3, "hub last": -3}[order]  # three scrapes of node, a cycle and a half of SNMP
    shift = random.Random(f"{name}{hub}{order}")
    times = {h: (DIES + delay + shift.randint(0, 1), LIVES + delay) for h in here.silent({hub})}
    times[hub] = (DIES, LIVES)
    title = next(site.title for site in here.plan.sites if site.name == hub)
    county = here.city.hosts[hub].county
    spoken = series("", alertname="EgovSiteDown", county=str(county), severity="critical", site=hub)
    story = {
        "interval": "15s",
        "input_series": told(here, times),
        "promql_expr_test": [
            expect("2m30s", FIRING, {}),
            expect("8m", FIRING, {spoken: 1}),
            expect("8m", "count(egov_site_suppressed)", {"{}": len(behind)}),
            expect("8m", "site:outage:sum", {series("site:outage:sum", county=str(county), site=hub): len(behind)}),
            expect("10m30s", 'ALERTS{alertname!="Watchdog", alertname!="EgovSiteDown"}', {}),
        ],
        "alert_rule_test": [
            {
                "eval_time": "8m",
                "alertname": "EgovSiteDown",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "critical", "site": hub, "county": county, "room": "sites"},
                        "exp_annotations": {
                            "summary_zh": f"中断：{title.zh}（+{len(behind)}）",
                            "summary": f"DOWN: {title.en} (+{len(behind)})",
                            "description_zh": f"站点 {title.zh} 的所有主机都没有应答，而其上级至少有一个在线；"
                            "括号内是只因它而中断的其他站点数。",
                            "description": f"No host at {title.en} answers, while something above it does; "
                            "in brackets, how many other sites it alone cuts off.",
                            "runbook": "dashboards/sites/runbook.md#egovsitedown",
                        },
                    }
                ],
            }
        ],
    }
    assert len(behind) >= 4
    stories(folder / f"{name}-{hub}-{order}.yml".replace(" ", "-"), here.rules, [story])


def test_any_dead_routers_are_spoken_of_and_nothing_else(folder: Path) -> None:
    """Random sets of dead routers: an oracle walks the plan; each alert is of a router that is dead itself."""
    here = world("lab", folder)
    chance = random.Random(6)
    routers = sorted(host.name for host in here.city.hosts.values() if host.router and host.name != "noc")
    tests = []
    for _ in range(15 if os.environ.get("EGOV_LONG") else 6):
        dead = set(chance.sample(routers, chance.randint(1, 5)))
        silent = here.silent(dead)
        down = [s.name for s in here.plan.sites if s.name != "noc" and here.routers(s.name) <= silent]
        quiet = {site for site in down if here.uplinks(site) and here.uplinks(site) <= silent}
        spoken = [site for site in down if site not in quiet]
        single = [h for h in sorted(silent) if here.city.hosts[h].site not in down]
        assert all(here.routers(site) <= dead for site in spoken) and set(single) <= dead
        wanted = {}
        for alert, severity, label, names in (
            ("EgovSiteDown", "critical", "site", spoken),
            ("EgovHostDown", "warning", "host", single),
        ):
            for name in names:
                host = here.city.hosts[name] if label == "host" else here.city.hosts[min(here.routers(name))]
                labels = {"alertname": alert, "severity": severity, "site": host.site}
                labels |= {"county": host.county} if host.county else {}
                labels |= {"host": name} if label == "host" else {}
                wanted[series("", **labels)] = 1.0
        tests.append(
            {
                "interval": "15s",
                "input_series": told(here, dict.fromkeys(silent, (DIES, STEPS))),
                "promql_expr_test": [
                    expect("12m", FIRING, wanted),
                    expect("12m", "count(egov_site_suppressed)", {"{}": len(quiet)} if quiet else {}),
                ],
            }
        )
    stories(folder / "random.yml", here.rules, tests)


def test_the_whole_core_dead_is_one_alert_too(folder: Path) -> None:
    here = world("lab", folder)
    silent = here.silent({"core1", "core2"})
    others = len(here.plan.sites) - 2  # the core itself and the NOC, which hears nothing but itself
    story = {
        "interval": "15s",
        "input_series": told(here, dict.fromkeys(silent, (DIES, STEPS))),
        "promql_expr_test": [
            expect("12m", FIRING, {series("", alertname="EgovSiteDown", severity="critical", site="core"): 1}),
            expect("12m", "site:outage:sum", {series("site:outage:sum", site="core"): others}),
        ],
    }
    stories(folder / "core.yml", here.rules, [story])


def test_maintenance_of_the_calendar_silences_from_its_first_second_to_its_last(folder: Path, tmp_path: Path) -> None:
    """promtool's time begins at 1970-01-01T00:00Z: somebody works at the hub from minute 2 to 9, and it stays dead."""
    shutil.copytree(PROJECT / "inventories/lab/plan", tmp_path / "calm/plan")
    (tmp_path / "calm/plan/calendar.yml").write_text(CALENDAR, encoding="utf-8")
    shutil.copy(PROJECT / "inventories/lab/city.yml", tmp_path / "calm/city.yml")
    rendered = render_city(Inventory(tmp_path / "calm"))
    path = tmp_path / "topology.rules.yml"
    path.write_bytes(rendered.hosts["noc"].files[f"{RULES}topology.rules.yml"])
    promtool("check", "rules", "--lint-fatal", path)
    here = world("lab", folder)
    rules = [path, *here.rules[1:]]
    spoken = series("", alertname="EgovSiteDown", county="minqin", severity="critical", site="hub-minqin")
    windows = {series("egov_maintenance", site="hub-minqin"): 1}
    story = {
        "interval": "15s",
        "input_series": told(here, dict.fromkeys(here.silent({"hub-minqin"}), (DIES, STEPS))),
        "promql_expr_test": [
            expect("1m45s", "egov_maintenance", {}),
            expect("2m", "egov_maintenance", windows),
            expect("8m45s", "egov_maintenance", windows),
            expect("9m", "egov_maintenance", {}),
            expect("3m", "egov_service_maintenance", {series("egov_service_maintenance", service="documents"): 1}),
            expect("8m45s", FIRING, {}),
            expect("10m45s", FIRING, {}),
            expect("11m15s", FIRING, {spoken: 1}),
        ],
    }
    stories(tmp_path / "story.yml", rules, [story])


CALENDAR = """\
schema: 1
maintenance:
  - {site: hub-minqin, from: 1970-01-01T00:02Z, to: 1970-01-01T00:05Z, reason: {zh: 换电源, en: Power supply}}
  - {site: hub-minqin, from: 1970-01-01T08:04+08:00, to: 1970-01-01T08:09+08:00, reason: {zh: 再试, en: Again}}
  - {service: documents, from: 1970-01-01T00:01Z, to: 1970-01-01T00:04Z, reason: {zh: 升级, en: Upgrade}}
"""


@pytest.mark.parametrize("name", ["lab", "wuwei"])
def test_prometheus_asks_exactly_the_hosts_that_the_rules_know(name: str) -> None:
    """A host that is asked but not known would be in no rule; one known but not asked would be told of for ever."""
    rendered = render_city(Inventory(PROJECT / "inventories" / name))
    files = rendered.hosts["noc"].files
    jobs = yaml.safe_load(files["/etc/prometheus/prometheus.yml"])["scrape_configs"]
    asked = {
        (item["labels"]["host"], item["labels"]["site"], item["labels"].get("county"))
        for job in jobs
        if job["job_name"] == "node" or (job["job_name"].startswith("snmp_") and job["job_name"] != "snmp_exporter")
        for item in job["static_configs"]
    }
    (rules, *_) = yaml.safe_load(files[f"{RULES}topology.rules.yml"])["groups"]
    known = {
        (rule["labels"]["host"], rule["labels"]["site"], rule["labels"].get("county"))
        for rule in rules["rules"]
        if rule["record"] == "egov_host_monitored"
    }
    assert asked == known and len(known) >= 12
