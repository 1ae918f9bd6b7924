"""What backups take from the plan beside their services: their drills, their speed, their promises.

A failure here means a set that nobody drills within 90 days, or a thin line that a backup fills.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from egovctl.checks.metrics import exposition
from egovctl.drill.methods import METHODS
from egovctl.evidence import Head
from egovctl.evidence.record import NO_RECORD, Record
from egovctl.paths import Inventory
from egovctl.plan import load
from egovctl.render import render_city
from egovctl.render.backups import backup_quotas, kib_per_second, narrowest_links, spread
from egovctl.render.rehearsals import SHIPPED, promised_backups, rehearsals

CITIES = ("lab", "wuwei")


@pytest.mark.parametrize("city", CITIES)
def test_every_set_that_a_shipped_drill_restores_has_its_day_in_each_month(city: str) -> None:
    plan, derived = load(Inventory.find(city))
    found = rehearsals(plan, derived)
    by_service = {item.service for item in found if item.drill != "restore-offsite"}
    expected = {service.name for service in plan.services if service.backup}
    assert by_service == expected | {"suite-state"}
    assert {item.service for item in found if item.drill == "restore-offsite"} == {
        service.name for service in plan.services if service.backup
    }
    contained = {item.service for item in found if item.drill == "restore-offsite" and item.contained}
    assert contained == {
        service.name for service in plan.services if service.backup and service.backup.engine != "borg"
    }
    for item in found:
        day, hour = re.fullmatch(r"\*-\*-(\d\d) (\d\d):\d\d:00", item.calendar).groups()  # type: ignore[union-attr]
        assert 1 <= int(day) <= 28 and 1 <= int(hour) < 5
    assert len({item.name for item in found}) == len(found)
    assert Counter(item.calendar for item in found).most_common(1)[0][1] == 1, "no two at the same minute"


def test_every_drill_that_is_shipped_has_a_method() -> None:
    for path in SHIPPED.glob("*.yml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["method"] in METHODS, path.name


def test_a_host_behind_a_thin_link_sends_at_a_share_of_it_and_others_as_they_can() -> None:
    inventory = Inventory.find("wuwei")
    plan, city = load(inventory)
    thin = narrowest_links(plan, city)
    assert thin["offsite"] == 50 and "core1" not in thin and "government-office" not in thin
    assert set(thin.values()) <= set(range(1, plan.shares.thin_mbps + 1))
    files = render_city(inventory).hosts
    name = next(name for name, mbps in thin.items() if mbps == 20 and "backup_clients" in city.hosts[name].groups)
    text = files[name].files["/etc/borgmatic.d/network-configuration.yaml"].decode()
    assert f"upload_rate_limit: {kib_per_second(20, 50)}\n" in text and kib_per_second(20, 50) == 1220
    assert b"upload_rate_limit" not in files["core1"].files["/etc/borgmatic.d/network-configuration.yaml"]
    assert b'"kib_per_second": 3051' in files["offsite"].files["/etc/egov/offsite.json"]


@pytest.mark.parametrize(
    ("schedule", "seconds"), [("*:0/15", 450), ("hourly", 1800), ("daily", 1800), ("*:0/1", 30), ("Mon 03:00", 60)]
)
def test_the_hosts_of_a_schedule_are_spread_over_half_of_its_interval(schedule: str, seconds: int) -> None:
    assert spread(schedule) == seconds


def test_a_timer_has_the_spread_of_its_own_schedule() -> None:
    files = render_city(Inventory.find("lab")).hosts["noc"].files
    for service, seconds in (("network-configuration", 450), ("monitoring", 1800)):
        assert f"RandomizedDelaySec={seconds}\n" in files[f"/etc/systemd/system/egov-backup-{service}.timer"].decode()


def test_a_quota_of_the_plan_is_that_of_each_of_the_site_s_hosts() -> None:
    plan, city = load(Inventory.find("lab"))
    assert backup_quotas(plan, city) == {}
    sites = tuple(site.model_copy(update={"backup_gb": 7 if site.name == "core" else None}) for site in plan.sites)
    assert backup_quotas(plan.model_copy(update={"sites": sites}), city) == {"core1": "7G", "core2": "7G"}


@pytest.mark.parametrize("city", CITIES)
def test_the_plan_s_promises_are_series_that_prometheus_has(city: str) -> None:
    inventory = Inventory.find(city)
    plan, derived = load(inventory)
    files = render_city(inventory).hosts["noc"].files
    rules = yaml.safe_load(files["/etc/prometheus/egov.d/promises.rules.yml"])["groups"][0]["rules"]
    promised = {
        (r["labels"]["service"], r["labels"]["host"]) for r in rules if r["record"] == "egov_backup_rpo_seconds"
    }
    assert promised == {(item.service, item.host) for item in promised_backups(plan, derived)} and promised
    source = Path(__file__).resolve().parents[2] / "dashboards" / "out" / "backups.rules.yml"
    assert files["/etc/prometheus/egov.d/backups.rules.yml"] == source.read_bytes()


def test_what_control_saw_in_the_repositories_is_shown_and_what_a_person_accepted_is_no_more() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC).isoformat().replace("+00:00", "Z")
    lost = {"id": "a", "name": "documents-2026-01-01T00:00:00", "at": at}

    def record(seq: int, kind: str, body: dict[str, object]) -> Record:
        return Record(seq, at, "control", kind, "0", "0", body, NO_RECORD)

    look = {"hosts": {"noc": {"archives": 3, "new": [], "missing": [lost], "strange": []}}, "silent": {}}
    text = exposition([record(0, "backup.look", look)], {"control": Head(1, NO_RECORD)})
    assert 'egov_backup_register_missing{source="noc"} 1' in text
    assert 'egov_backup_register_archives{source="noc"} 3' in text
    accepted = record(1, "backup.accepted", {"host": "noc", "missing": [lost], "strange": [], "by": "x"})
    sealed = record(2, "backup.sealed", {"archive": "x", "files": 1, "bytes": 1})
    text = exposition([record(0, "backup.look", look), accepted, sealed], {"control": Head(3, NO_RECORD)})
    assert 'egov_backup_register_missing{source="noc"} 0' in text
    assert "egov_backup_sealed_timestamp_seconds 1767225600" in text
