"""The city that all contenders converge: a real inventory cut to so many hosts, in a project folder of its own."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from egovctl.paths import Inventory

REPOSITORY = Path(__file__).resolve().parents[3]

NAME = "bench"
SMALL = "lab"  # the inventory to cut from, where it is large enough
LARGE = "wuwei"
FILES_A_HOST = 30
NEEDED = ("core", "noc", "backup")  # kinds without which no plan is one
WORDS = {"all-hubs": ("hub",), "all-departments": ("department",), "all-towns": ("town", "village")}
# Ninety routers on two processors cannot all listen to each other five times a second; see tests/city.
PATIENT_ABOVE = 12
PATIENT = {"line_ms": 3000, "tunnel_ms": 3000, "multiplier": 5}
EXTRA_BUNDLE = "bench_extra"


def read_plan(inventory: str) -> dict[str, Any]:
    """Both files of one of the product's inventories, as data."""
    folder = REPOSITORY / "inventories" / inventory / "plan"
    return {name: yaml.safe_load((folder / f"{name}.yml").read_text(encoding="utf-8")) for name in ("city", "services")}


def routers(site: Mapping[str, Any]) -> list[str]:
    return list(site.get("routers") or [site["name"]])


def cut(plan: Mapping[str, Any], hosts: int) -> dict[str, Any]:
    """The plan with its first sites only, so many managed hosts in all, and the services that still have a host.

    A site needs the sites that its uplinks lead to; ValueError when the plan has fewer hosts than that.
    """
    sites = plan["city"]["sites"]
    at = {router: site for site in sites for router in routers(site)}
    chosen: dict[str, Any] = {site["name"]: site for site in sites if site["kind"] in NEEDED}
    count = sum(len(routers(site)) for site in chosen.values())
    for site in sites:
        above = [at[uplink["to"]] for uplink in site.get("uplinks", ())]
        more = {item["name"]: item for item in (*above, site) if item["name"] not in chosen}
        if count + (size := sum(len(routers(item)) for item in more.values())) <= hosts:
            chosen.update(more)
            count += size
    if count != hosts:
        raise ValueError(f"{count} of {hosts} hosts can be taken from this plan")
    kept = [site for site in sites if site["name"] in chosen]
    city = {**plan["city"], "sites": kept}
    if hosts > PATIENT_ABOVE:
        city["failover"] = PATIENT
    services = [_served(service, kept) for service in plan["services"]["services"]]
    return {"city": city, "services": {**plan["services"], "services": [item for item in services if item["hosts"]]}}


def _served(service: Mapping[str, Any], sites: list[Any]) -> dict[str, Any]:
    names = {router for site in sites for router in routers(site)}
    kinds = {site["kind"] for site in sites}
    hosts = [item for item in service["hosts"] if item in names or kinds.intersection(WORDS.get(item, ()))]
    owners = [site["name"] for site in sites]
    return {**service, "hosts": hosts, "owner": service["owner"] if service["owner"] in owners else owners[0]}


def lay_out(work: Path, hosts: int) -> Inventory:
    """The project folder under `work`, with the cut inventory; any lab of an earlier run is its own affair."""
    sys.path.insert(0, str(REPOSITORY / "tests" / "lab"))
    from conftest import make_project

    source = SMALL if hosts <= PATIENT_ABOVE else LARGE
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    project = make_project(work, NAME, source)
    inventory = Inventory(project / "inventories" / NAME)
    for name, data in cut(read_plan(source), hosts).items():
        text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
        (inventory.plan_dir / f"{name}.yml").write_text(text, encoding="utf-8")
    return inventory


def add_extra_files(project: Path, count: int) -> None:
    """A bundle of so many harmless files for every host, so that none has fewer than FILES_A_HOST."""
    role = project / "playbooks" / "roles" / EXTRA_BUNDLE
    (role / "templates").mkdir(parents=True, exist_ok=True)
    (role / "templates" / "extra.conf.j2").write_text("# {{ header }}\nhost = {{ host.name }}\n", encoding="utf-8")
    files = [{"path": f"/etc/egov-bench/{n:02d}.conf", "template": "extra.conf.j2"} for n in range(count)]
    folders = [{"path": "/etc/egov-bench", "mode": "0755"}]
    spec = {"order": 90, "hosts": "managed", "folders": folders, "files": files}
    (role / "bundle.yml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")


def change_a_line(project: Path, number: int) -> None:
    """One comment line in every host's chrony.conf, another one each time; its action restarts the service."""
    path = project / "playbooks" / "roles" / "base" / "templates" / "chrony.conf.j2"
    text = re.sub(r"# bench [0-9]+\n", "", path.read_text(encoding="utf-8"))
    path.write_text(f"{text}# bench {number}\n", encoding="utf-8")
