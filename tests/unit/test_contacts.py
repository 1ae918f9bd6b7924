"""Who is told, as the plan says it: what its rules refuse, and that what render makes of it is what the notifier reads.

If these fail, a recipient is planned who can never be reached, or the notifier does not start after an apply.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from egov_notify.config import read_config
from egovctl.i18n import set_language
from egovctl.paths import Inventory, project_root
from egovctl.plan import load
from egovctl.plan.models import ContactsFile, Plan
from egovctl.plan.policy import Place, policy_of
from egovctl.plan.rules_contacts import contacts_reachable
from egovctl.render import render_city
from egovctl.render.notify import notify_config

LAB = Inventory(project_root() / "inventories/lab")


def plan_with(**changes: Any) -> Plan:
    """The lab's plan with these fields of its contacts changed."""
    plan, _ = load(LAB)
    data = yaml.safe_load((LAB.plan_dir / "contacts.yml").read_text(encoding="utf-8"))
    data["rota"]["from"] = "2026-11-23T08:30+08:00"
    return plan.model_copy(update={"contacts": ContactsFile.model_validate({**data, **changes})})


def said(plan: Plan) -> list[str]:
    set_language("en")
    try:
        return [sentence for _, sentence in contacts_reachable(plan)]
    finally:
        set_language(None)


def person(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "title": {"zh": "某", "en": "One"}, "ways": ["mail"], "mail": "a@example.org", **fields}


@pytest.mark.parametrize(
    ("people", "rota", "wrong"),
    [
        ([person("a"), person("a")], None, "recipient a is planned twice; take one out"),
        ([person("a"), person("b", counties=["x"])], None, "recipient b is told of x, which is no county"),
        ([person("a", counties=["minqin"])], None, "nobody is told of critical alerts of the centre; add a recipient"),
        ([person("a")], ["a", "c"], "c is on call and is no recipient"),
    ],
)
def test_who_cannot_be_told_is_refused(people: list[dict[str, Any]], rota: list[str] | None, wrong: str) -> None:
    turns = rota and {"from": "2026-11-23T08:30+08:00", "turn": "7d", "order": rota}
    assert wrong in said(plan_with(recipients=people, rota=turns))


def test_a_signature_that_leaves_no_room_and_a_request_without_a_number_are_refused() -> None:
    base = {"kind": "http", "url": "http://192.0.2.1/"}
    long = said(plan_with(sms=[{**base, "fields": {"to": "{mobile}", "text": "【" + "某" * 30 + "】{text}"}}]))
    assert long == ["of a text message's 70 characters 30 may stand around the text; shorten it"]
    assert said(plan_with(sms=[{**base, "fields": {"text": "{text}"}}])) == [
        "the fields of a gateway of text messages need {text} and {mobile}"
    ]


def test_the_lab_is_good_and_a_plan_without_contacts_has_nobody_who_tells() -> None:
    plan, city = load(LAB)
    assert said(plan) == []
    assert {
        name: host.groups for name, host in city.hosts.items() if {"notifier", "deadman"} & set(host.groups)
    }.keys() == {
        "noc",
        "backup",
    }
    _, other = load(Inventory(project_root() / "inventories/lab-private"))
    assert not any({"notifier", "deadman"} & set(host.groups) for host in other.hosts.values())


def test_what_is_rendered_is_what_the_program_reads_and_holds_no_secret() -> None:
    rendered = render_city(LAB)
    noc, backup = rendered.hosts["noc"].files, rendered.hosts["backup"].files
    config = read_config(json.loads(noc["/etc/egov/notify.json"]))
    assert [item.name for item in config.recipients] == ["duty", "engineer1", "engineer2"]
    assert config.mail is not None and config.mail.host == rendered.city.hosts["shared-services"].address_v4
    assert config.sms[0].secret == "@secret:notify_sms_secret@" and config.sms_room == 70 - len("【武威政务】")
    assert config.rota is not None and config.rota.order == ("engineer1", "engineer2")
    deadman = json.loads(backup["/etc/egov/deadman.json"])
    assert read_config(deadman) == config
    assert deadman["watch"] == {"url": f"http://{rendered.city.hosts['noc'].address_v4}:9096/watchdog", "silence": 900}
    for host, name in (("noc", "notify"), ("backup", "deadman")):
        (entry,) = [item for item in rendered.hosts[host].manifest["files"] if item["path"] == f"/etc/egov/{name}.json"]
        assert entry["mode"] == "0600" and sorted(entry["secrets"]) == ["notify_kannel_password", "notify_sms_secret"]


def test_both_hosts_get_the_whole_program() -> None:
    rendered = render_city(LAB)
    source = project_root() / "exporters/egov_notify"
    wanted = {f"/usr/local/lib/egov/notify/egov_notify/{path.name}" for path in source.glob("*.py")}
    wanted -= {"/usr/local/lib/egov/notify/egov_notify/__main__.py"}
    for host in ("noc", "backup"):
        files = rendered.hosts[host].files
        assert {path for path in files if path.startswith("/usr/local/lib/egov/notify/egov_notify/")} == wanted
        assert files["/usr/local/lib/egov/notify/__main__.py"] == (source / "__main__.py").read_bytes()


def test_every_kind_of_way_is_rendered_as_the_program_reads_it() -> None:
    plan = plan_with(
        sms=[{"kind": "kannel", "url": "http://192.0.2.1/cgi-bin/sendsms", "user": "noc"}, {"kind": "smstools"}],
        wecom={"url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"},
        dingtalk={"url": "https://oapi.dingtalk.com/robot/send"},
        mail={"relay": "mail.example.org", "sender": "a@example.org", "tls": "verify", "user": "noc"},
    )
    _, city = load(LAB)
    data = json.loads(json.dumps(notify_config(plan, city)))
    config = read_config(data)
    assert config.mail is not None and config.mail.password == "@secret:notify_mail_password@"
    assert [item.kind for item in config.sms] == ["kannel", "smstools"]
    assert config.wecom is not None and config.dingtalk is not None
    assert config.dingtalk.secret == "@secret:notify_dingtalk_secret@"


def test_the_backup_node_may_ask_the_noc_for_its_sign_of_life_and_nobody_else_may() -> None:
    _, city = load(LAB)
    policy = policy_of(city)
    allowed = {
        name for name in city.hosts if policy.permits(city, Place("host", name), Place("host", "noc"), "tcp", 9096)
    }
    assert allowed == {"backup"}


def test_a_gateway_that_is_a_host_of_the_plan_is_let_through_to_those_that_tell_people() -> None:
    _, city = load(LAB)
    policy, to = policy_of(city), Place("host", "control")
    allowed = {name for name in city.hosts if policy.permits(city, Place("host", name), to, "tcp", 8090)}
    assert allowed == {"noc", "backup"} and city.gateway_ports == (8090, 13013)
    _, other = load(Inventory(project_root() / "inventories/wuwei"))
    assert other.gateway_ports == ()


def test_alertmanager_posts_to_the_notifier_and_prometheus_reads_it(tmp_path: Path) -> None:
    files = render_city(LAB).hosts["noc"].files
    receivers = yaml.safe_load(files["/etc/prometheus/alertmanager.yml"])["receivers"]
    urls = {hook["url"] for item in receivers for hook in item.get("webhook_configs", [])}
    assert urls == {"http://127.0.0.1:9095/alerts"}
    jobs = {job["job_name"]: job for job in yaml.safe_load(files["/etc/prometheus/prometheus.yml"])["scrape_configs"]}
    assert jobs["notify"]["static_configs"][0]["targets"] == ["127.0.0.1:9095"]
