"""A site's `manage`: only these bundles are applied to its routers, and nothing else is expected of them.

If one of these fails, adopting a running router for measurement alone would overwrite its routing or firewall, or a
check would call it broken for what somebody else is in charge of.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from egovctl.apply import prepare
from egovctl.apply.manifest import Manifest
from egovctl.checks import content, engine, expected, flows
from egovctl.checks.collect import host as host_collector
from egovctl.checks.collect import prometheus, reach
from egovctl.checks.collect.base import Request
from egovctl.checks.context import Context, open_context
from egovctl.checks.matrix import Target, matrix_of
from egovctl.checks.model import Collect, NotApplicable, Status
from egovctl.commands.main import main
from egovctl.drill.files_of_plan import RestoreFiles
from egovctl.errors import UsageError
from egovctl.i18n import set_language
from egovctl.paths import Inventory
from egovctl.plan import load_city
from egovctl.plan.policy import Place
from egovctl.render import render_city, write_build

ADOPTED = "minqin-education"
SOURCE = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of its own, so that what is rendered stays in the test."""
    for name in ("ansible.cfg", "playbooks", "cli"):
        (tmp_path / name).symlink_to(SOURCE / name)
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))


def adopt(root: Path, *bundles: str, name: str = "town") -> Inventory:
    """The lab's plan, with these bundles in the `manage` of the adopted department."""
    target = root / "inventories" / name
    shutil.copytree(SOURCE / "inventories" / "lab" / "plan", target / "plan")
    path = target / "plan" / "city.yml"
    text = path.read_text(encoding="utf-8")
    wanted = f"name: {ADOPTED}, manage: [{', '.join(bundles)}],"
    path.write_text(text.replace(f"name: {ADOPTED},", wanted), encoding="utf-8")
    return Inventory(target)


@pytest.fixture
def measured(tmp_path: Path) -> Context:
    """A department adopted for measurement alone, rendered."""
    inventory = adopt(tmp_path, "snmpd", "node_exporter")
    write_build(render_city(inventory))
    return open_context(inventory)


def test_only_the_named_bundles_are_rendered_and_the_others_hosts_keep_theirs(tmp_path: Path) -> None:
    adopted = render_city(adopt(tmp_path, "node_exporter", "snmpd"))
    plain = render_city(Inventory(SOURCE / "inventories" / "lab"))
    manifest = adopted.hosts[ADOPTED].manifest
    assert (
        set(manifest["packages"]) == {"node_exporter", "snmpd"} and not manifest["confirm"] and not manifest["sysctl"]
    )
    assert set(adopted.hosts[ADOPTED].files) == {
        "/etc/default/prometheus-node-exporter", "/etc/snmp/snmpd.conf", "/etc/snmp/egov-users.conf",
    }  # fmt: skip
    for name, host in plain.hosts.items():
        if name != ADOPTED:
            assert set(adopted.hosts[name].manifest["packages"]) == set(host.manifest["packages"]), name


def test_an_apply_of_more_bundles_touches_only_those_that_are_managed(measured: Context) -> None:
    """Enrolment asks for base, nftables, wireguard and frr: of these the host has none."""
    build = measured.inventory.build
    wanted = yaml.safe_load((SOURCE / "playbooks/roles/enrol/defaults/main.yml").read_text())["enrol_bundles"]
    part = Manifest.load(build, ADOPTED).only(wanted)
    assert not (part.files or part.folders or part.units or part.sysctls or part.users or part.packages)
    assert prepare.wanted(build, ADOPTED, wanted).packages == ()
    assert prepare.wanted(build, ADOPTED, None).packages == ("snmpd", "prometheus-node-exporter")


@pytest.mark.parametrize(
    ("language", "sentence"), [("en", "which is no bundle; there is: alertmanager,"), ("zh", "不是配置包")]
)
def test_a_name_that_is_no_bundle_is_refused_with_its_site_and_line(
    tmp_path: Path, language: str, sentence: str
) -> None:
    inventory = adopt(tmp_path, "snmpd", "routing")
    line = next(n for n, text in enumerate((inventory.plan_dir / "city.yml").open(), 1) if "routing" in text)
    set_language(language)
    try:
        with pytest.raises(UsageError) as told:
            render_city(inventory)
    finally:
        set_language(None)
    assert f"city.yml:{line}: " in str(told.value) and ADOPTED in str(told.value) and sentence in str(told.value)


def test_the_command_refuses_it_too_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventory = adopt(tmp_path, "routing")
    with pytest.raises(SystemExit) as left:
        main(["--lang", "en", "render", "-i", str(inventory.root)])
    set_language(None)
    assert left.value.code == 2 and capsys.readouterr().err.startswith("error: ") and not inventory.build.exists()


def statuses(context: Context, answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *more: str) -> dict[str, Any]:
    """The adopted host's results of every check that asks hosts, and what it was asked."""
    asked: list[list[str]] = []

    def run(inventory: Inventory, host: str, program: str, params: Any, *, timeout: float) -> Any:
        if host == ADOPTED:
            asked.append(params["sections"])
        return {"protocol": 1, "answers": answers}

    monkeypatch.setattr(host_collector.transport, "run_python", run)
    shelf = content.checks().entries.values()
    checks = [item for item in shelf if item.collect.by in ("host", *more)]
    results = engine.run_checks(context, checks, narrow={c.id: f"subject.name == '{ADOPTED}'" for c in checks})
    return {"asked": asked, **{result.check: result for result in results}}


def test_what_is_left_to_others_is_neither_asked_nor_judged(measured: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    units = {"units": {"code": 0, "out": "active\nactive\n", "err": ""}}
    found = statuses(measured, units, monkeypatch)
    assert found["asked"] == [["units"]]
    assert found["units-active"].status is Status.PASS
    for check, bundle in (
        ("neighbours-up", "frr"), ("prefixes-learned", "frr"), ("paths-as-planned", "frr"), ("time-in-step", "base"),
    ):  # fmt: skip
        assert found[check].status is Status.NOT_APPLICABLE and bundle in found[check].detail["en"], check
        assert bundle in found[check].detail["zh"], check


def test_what_is_managed_is_judged_as_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = adopt(tmp_path, "frr", "base")
    write_build(render_city(inventory))
    silent = {n: {"code": 1, "out": "", "err": ""} for n in ("ospf4", "ospf6", "bgp4", "bgp6", "routes4", "routes6")}
    units = {"code": 3, "out": "inactive\n" * 5, "err": ""}
    dead = {"tracking": {"code": 1, "out": "506", "err": ""}}
    found = statuses(open_context(inventory), {**silent, **dead, "units": units}, monkeypatch)
    for check in ("neighbours-up", "prefixes-learned", "paths-as-planned", "time-in-step"):
        assert found[check].status is Status.FAIL, found[check]


def test_a_host_with_nothing_managed_is_asked_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = adopt(tmp_path)
    write_build(render_city(inventory))
    found = statuses(open_context(inventory), {}, monkeypatch, "drift")
    assert {found[c].status for c in found if c != "asked"} == {Status.NOT_APPLICABLE} and not found["asked"]


def test_prometheus_polls_and_the_check_expects_what_is_managed(tmp_path: Path) -> None:
    for bundles in (("snmpd", "node_exporter"), ("snmpd",), ("frr",)):
        inventory = adopt(tmp_path, *bundles, name="-".join(bundles).replace("_", ""))
        rendered = render_city(inventory)
        jobs = yaml.safe_load(rendered.hosts["noc"].files["/etc/prometheus/prometheus.yml"])["scrape_configs"]
        polled = sorted(f"{j['job_name']} {t['labels']['host']}" for j in jobs for t in j["static_configs"])
        assert polled == expected.targets(rendered.city)
        mine = {item.split()[0] for item in polled if item.endswith(f" {ADOPTED}")}
        wanted = {"snmpd": "snmp_egov_v3", "node_exporter": "node"}
        assert mine == {wanted[bundle] for bundle in bundles if bundle in wanted}


def test_no_flow_is_tried_whose_only_firewall_is_somebody_else_s(measured: Context) -> None:
    before = matrix_of(load_city(Inventory(SOURCE / "inventories" / "lab")))
    after = matrix_of(measured.city)

    def tried(matrix: Any) -> dict[tuple[Place, Target], bool]:
        return {(s, matrix.targets[n]): ok for s, tries in matrix.wanted.items() for n, ok in tries}

    old, new = tried(before), tried(after)
    own, lan = Place("host", ADOPTED), Place("lan", ADOPTED)
    gone = {flow: ok for flow, ok in old.items() if flow not in new}
    other_verdict = new.items() - old.items()  # it makes no backups, so it may not open ssh to the backup node
    assert other_verdict == {((own, Target(Place("host", "backup"), 22, family)), False) for family in (4, 6)}
    assert gone and all(source == lan or target.place in (own, lan) for source, target in gone)
    # Its own people are still kept out by the others' firewalls, and its LAN by those of who would come.
    other, core = Place("lan", "minqin-health"), Place("host", "core1")
    assert new[lan, Target(core, 22, 4)] is False and new[other, Target(lan, 4444, 6)] is False
    # Nobody but its own router keeps the core out of its LAN, or lets its people out to what they may use.
    assert (core, Target(lan, 4444, 4)) in gone and gone[lan, Target(Place("lan", "shared-services"), 80, 4)] is True
    assert (core, Target(own, 22, 4)) in gone and new[other, Target(own, 22, 4)] is False


def test_the_lan_behind_somebody_else_s_firewall_is_not_judged(measured: Context, monkeypatch) -> None:
    monkeypatch.setattr(reach, "user_place", lambda context, site: None)
    request = Request("x", (ADOPTED, "minqin-health"), Collect(by="reach-from-lan"))
    (observed,) = reach.from_lan(measured, [request])
    assert isinstance(observed[ADOPTED], NotApplicable) and "nftables" in observed[ADOPTED].reason["zh"]
    assert "no probe" in str(observed["minqin-health"])  # the next reason, of this test's own making


def test_management_is_tried_at_a_host_whose_firewall_is_the_plan_s(measured: Context) -> None:
    city = measured.city
    core1 = replace(city.hosts["core1"], manage=("snmpd",))
    other = replace(city, hosts={**city.hosts, "core1": core1})
    assert (flows.first(city, "core"), flows.first(other, "core")) == (city.hosts["core1"], city.hosts["core2"])


def test_a_host_without_the_backup_program_promises_no_backup(measured: Context) -> None:
    city, plan = measured.city, measured.plan
    assert "backup_clients" not in city.hosts[ADOPTED].groups
    service = next(item for item in plan.services if item.backup and ADOPTED in item.hosts)
    alone = service.model_copy(update={"hosts": (ADOPTED,)})
    with pytest.raises(NotApplicable):
        expected.planned_service(city, alone)
    both = service.model_copy(update={"hosts": (ADOPTED, "hub-minqin")})
    assert expected.planned_service(city, both)["hosts"] == ["hub-minqin"]
    assert ADOPTED not in {target.host for target in RestoreFiles().targets(measured, ())}


def test_a_service_that_nobody_backs_up_is_not_applicable(measured: Context, monkeypatch) -> None:
    monkeypatch.setattr(prometheus, "_series", lambda url, item, name: {"by": {}, "keys": []})
    plan = measured.plan.model_copy(
        update={"services": tuple(s.model_copy(update={"hosts": (ADOPTED,)}) for s in measured.plan.services)}
    )
    results = engine.run_checks(replace(measured, plan=plan), [content.checks().get("backups-fresh")])
    assert results and {result.status for result in results} == {Status.NOT_APPLICABLE}


def test_ansible_makes_no_tunnel_key_and_no_repository_for_it(tmp_path: Path) -> None:
    inventory = adopt(tmp_path, "snmpd")
    path = inventory.plan_dir / "city.yml"
    path.write_text(path.read_text().replace("name: town-caiqi,", "name: town-caiqi, manage: [snmpd],"))
    shutil.copy(SOURCE / "inventories" / "lab" / "city.yml", inventory.root / "city.yml")
    listed = json.loads(ansible_inventory(inventory))
    assert listed["_meta"]["hostvars"]["town-caiqi"]["egov_tunnels"] is False
    assert listed["_meta"]["hostvars"]["mobile1"]["egov_tunnels"] is True
    assert ADOPTED not in listed["backup_clients"]["hosts"] and ADOPTED in listed["managed"]["hosts"]
    assert listed["wave_department"]["hosts"] == ["minqin-health"]


def ansible_inventory(inventory: Inventory) -> str:
    program = Path(sys.executable).with_name("ansible-inventory")
    argv = [str(program), "-i", str(inventory.root / "city.yml"), "--list"]
    return subprocess.run(argv, capture_output=True, text=True, check=True, cwd=SOURCE).stdout
