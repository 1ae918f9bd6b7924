"""The SMS service in the plan: who gets what, who may reach whom, and that no secret is in what is rendered.

If these fail, departments cannot reach the service or everybody can, or Kannel is open to whom it should not be.
"""

from __future__ import annotations

import json
import re
import struct
from typing import Any

import pytest
import service_cases

from egovctl.checks import content
from egovctl.checks.judge import judge
from egovctl.lab.smsc import read_submit, smsc_listens_at
from egovctl.paths import Inventory, project_root
from egovctl.plan import load
from egovctl.plan.policy import Place, policy_of
from egovctl.render import Rendered, render_city

LAB = Inventory(project_root() / "inventories/lab")


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    return render_city(LAB)


def text(rendered: Rendered, path: str) -> str:
    return rendered.hosts["shared-services"].files[path].decode()


def test_each_site_with_people_has_an_account_with_its_quota(rendered: Rendered) -> None:
    config = json.loads(text(rendered, "/etc/egov/sms.json"))
    people = {"education", "minqin-education", "minqin-health", "town-caiqi", "village-xuebai"}
    assert set(config["accounts"]) == people
    assert config["accounts"]["minqin-health"] == {
        "title": {"zh": "民勤县卫生健康局", "en": "Minqin Health Bureau"}, "daily": 3, "monthly": 3000,
    }  # fmt: skip
    assert config["accounts"]["education"]["daily"] == 200


def test_only_the_host_of_the_service_gets_it_and_who_may_reach_it(rendered: Rendered) -> None:
    assert {name for name, host in rendered.hosts.items() if "/etc/egov/sms.json" in host.files} == {"shared-services"}
    policy, city = policy_of(rendered.city), rendered.city
    to, centre = Place("host", "shared-services"), Place("host", "control")
    for lan in city.lans:
        assert policy.permits(city, Place("lan", lan.site), to, "tcp", 8443) == (lan.zone == "users"), lan.site
    assert not any(
        policy.permits(city, Place("host", name), to, "tcp", 8443) for name in city.hosts if name != "control"
    )
    senders = {name for name in city.hosts if policy.permits(city, Place("host", name), to, "tcp", 13013)}
    assert senders - {"control"} == {"noc", "backup"}
    assert policy.permits(city, to, centre, "tcp", 2775) and not policy.permits(city, to, centre, "tcp", 2776)
    assert not policy.permits(city, Place("host", "noc"), centre, "tcp", 2775)
    for port in (13000, 13001, 8453):
        assert not policy.permits(city, Place("host", "noc"), to, "tcp", port)


def test_kannel_lets_in_the_service_and_those_that_tell_people_and_holds_no_secret(rendered: Rendered) -> None:
    kannel = text(rendered, "/etc/egov/kannel.conf")
    users = [part for part in re.split(r"\n\n", kannel) if "group = sendsms-user" in part]
    assert len(users) == 2 and all('user-deny-ip = "*.*.*.*"' in part for part in users)
    hosts = rendered.city.hosts
    assert f'user-allow-ip = "{hosts["noc"].address_v4};{hosts["backup"].address_v4}"' in users[1]
    assert 'password = "@secret:notify_kannel_password@"' in users[1] and "@own:password@" in users[0]
    assert 'smsc-password = "@secret:sms_smsc_password@"' in kannel and 'admin-password = "@own:password@"' in kannel
    entries = {item["path"]: item for item in rendered.hosts["shared-services"].manifest["files"]}
    assert entries["/etc/egov/kannel.conf"]["mode"] == "0600" and entries["/etc/egov/kannel.conf"]["owner"] == "root"
    drop_in = "/etc/systemd/system/egov-backup@sms.service.d/50-egov-sms.conf"
    assert "egov-sms copy" in text(rendered, drop_in)


def test_the_host_gets_the_whole_program(rendered: Rendered) -> None:
    source, files = project_root() / "exporters/egov_sms", rendered.hosts["shared-services"].files
    wanted = {path.name for path in source.glob("*.py")} - {"__main__.py"}
    folder = "/usr/local/lib/egov/sms/egov_sms/"
    assert {path.removeprefix(folder) for path in files if path.startswith(folder)} == wanted
    assert files["/usr/local/lib/egov/sms/__main__.py"] == (source / "__main__.py").read_bytes()


def test_without_alerts_by_kannel_it_listens_on_the_loopback_only() -> None:
    wuwei = render_city(Inventory(project_root() / "inventories/wuwei"))
    kannel = wuwei.hosts["shared-services"].files["/etc/egov/kannel.conf"].decode()
    assert 'sendsms-interface = "127.0.0.1"' in kannel and kannel.count("group = sendsms-user") == 1
    assert wuwei.city.smsc_ports == () and smsc_listens_at(wuwei.plan, wuwei.city) == ""


def test_the_lab_runs_the_centre_that_its_plan_names() -> None:
    plan, city = load(LAB)
    assert smsc_listens_at(plan, city) == "10.64.2.10:2775" and city.smsc_ports == (2775,)


def submit(body: bytes, esm: int = 0, coding: int = 8) -> bytes:
    head = b"\0\x02\x01" + b"10659\0" + b"\x02\x01" + b"139\0" + bytes([esm]) + b"\0\0" + b"\0\0"
    return head + b"\x01\0" + bytes([coding]) + b"\0" + struct.pack("B", len(body)) + body


def test_the_stand_in_reads_what_smpp_carries() -> None:
    plain = read_submit(submit("你好".encode("utf-16-be")))
    assert (plain.sender, plain.to, plain.text, plain.part, plain.receipt) == ("10659", "139", "你好", None, True)
    long = read_submit(submit(b"\x05\x00\x03\x07\x02\x01" + "长".encode("utf-16-be"), esm=0x40))
    assert (long.text, long.part) == ("长", (7, 2, 1))
    with pytest.raises((ValueError, IndexError)):
        read_submit(submit("你好".encode("utf-16-be"))[:-1])


def judged(name: str, change: Any = None, hosts: tuple[str, ...] = ("a", "b")) -> str:
    planned, seen = service_cases.case(name, change)
    subject = {**service_cases.SUBJECT, "hosts": list(hosts)}
    return str(judge(content.checks().get(name), {"subject": subject, "planned": planned, "seen": seen})[0])


@pytest.mark.parametrize("name", sorted(service_cases.GOOD))
def test_a_service_is_red_when_one_station_of_one_host_is_gone_and_unknown_when_not_looked_at(name: str) -> None:
    assert judged(name) == "pass" and judged(name, hosts=()) == "unknown"
    assert {judged(name, change) for change in service_cases.RED[name]} == {"fail"}
    assert {judged(name, change) for change in service_cases.UNKNOWN[name]} == {"unknown"}


def test_a_city_without_these_services_is_not_judged_by_their_checks() -> None:
    from egovctl.checks.context import open_context
    from egovctl.checks.engine import run_checks

    context = open_context(Inventory(project_root() / "inventories/lab-private"))
    results = run_checks(context, [content.checks().get(name) for name in ("mail-delivering", "sms-answering")])
    assert [str(result.status) for result in results] == ["not_applicable"] * 2
