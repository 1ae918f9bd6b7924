"""What the checks name of the playbooks must be there: Prometheus' jobs and targets, and the tags of the fixes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from egovctl.checks import content, expected
from egovctl.checks.context import open_context
from egovctl.paths import Inventory, project_root
from egovctl.render import render_city

TEXTFILE = re.compile(r"(?<![\w.])egov_[a-z_{}]+\.prom\b")
INVENTORIES = Path(__file__).resolve().parents[2] / "inventories"


@pytest.mark.parametrize("name", ["lab", "wuwei"])
def test_the_targets_expected_are_those_that_render_gives_prometheus(name: str) -> None:
    """If this fails, targets-up would be red on a good city, or blind to a target that render forgot."""
    inventory = Inventory(INVENTORIES / name)
    city = open_context(inventory).city
    noc = next(host.name for host in city.hosts.values() if host.role == "noc" and "managed" in host.groups)
    jobs = yaml.safe_load(render_city(inventory).hosts[noc].files["/etc/prometheus/prometheus.yml"])["scrape_configs"]
    rendered = [(job["job_name"], item) for job in jobs for item in job["static_configs"]]
    assert sorted(f"{job} {item['labels']['host']}" for job, item in rendered) == expected.targets(city)
    snmp = {job["job_name"] for job in jobs if job.get("metrics_path") == "/snmp"}
    assert snmp == set(expected.SNMP_JOBS.values())
    for job, item in rendered:
        (target,) = item["targets"]
        # The gateway of messages listens on the NOC's own loopback only.
        expected_address = "127.0.0.1" if job == "notify" else city.hosts[item["labels"]["host"]].address_v4
        assert target.split(":")[0] == expected_address


def test_every_fix_names_a_bundle_that_site_yml_can_apply() -> None:
    """If this fails, `--tags` of the printed command matches nothing: Ansible does nothing and calls that good.

    What no role of the suite mends has no tag, and says in words what does; facts of a host and what people do are so.
    """
    bundles = {path.parent.name for path in (project_root() / "playbooks" / "roles").glob("*/bundle.yml")}
    for entry in content.checks().entries.values():
        if entry.fix.tag is not None or entry.collect.by not in ("facts", "registers"):
            assert entry.fix.tag in bundles | {"all"}, entry.id
        assert entry.subject != "city" or entry.fix.limit != "subject", entry.id


def test_what_programs_tell_node_exporter_goes_with_them() -> None:
    """If this fails, a service that leaves a host leaves its last words, and alerts on them stand for ever."""
    root = project_root()
    folders = ("playbooks/roles", "exporters", "cli/egovctl/checks")
    found = [path for folder in folders for path in (root / folder).rglob("*")]
    files = [path for path in found if path.is_file() and path.suffix != ".pyc"]
    named = {name for path in files for name in TEXTFILE.findall(path.read_text("utf-8", "replace"))}
    listed = {
        item["name"].replace("{item}", "{service}")
        for path in (root / "playbooks" / "roles").glob("*/bundle.yml")
        for item in yaml.safe_load(path.read_text(encoding="utf-8")).get("textfiles", ())
    }
    # What takes them away is there as long as the host is.
    assert named - {"egov_backup_{item}.prom"} == listed | {"egov_watch.prom"}
    hosts = render_city(Inventory(INVENTORIES / "lab")).hosts
    backups = {name: host.files.get("/etc/egov/borgmatic.textfiles", b"").decode() for name, host in hosts.items()}
    assert any("egov_backup_documents.prom\n" in text for text in backups.values())
