"""The computed registers: risks, and levels of recovery. More of anything bad never gives less risk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import register_cases as cases
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from egovctl.assess import recovery, risk
from egovctl.assess.standards import standards
from egovctl.checks import content
from egovctl.checks.content import CONTENT, read_shelf
from egovctl.commands.assess import assess
from egovctl.drill.model import Target
from egovctl.drill.past import Covered, Past
from egovctl.errors import UsageError
from egovctl.evidence import open_chain
from egovctl.paths import Inventory

TODAY = cases.NOW.date()
CHECKS = content.checks().entries
TABLES = risk.tables()
LEVELS = recovery.levels()
ONE_TO_FIVE = st.integers(1, 5)


def failed(check: str, subject: str, status: str = "fail") -> dict[str, Any]:
    return {"check": check, "subject": subject, "status": status}


def incidents(*entries: dict[str, Any]) -> list[Any]:
    return list(cases.register("incidents", list(entries)).entries)


def rows(*results: dict[str, Any], kept: Any = (), outages: dict[str, int] | None = None) -> list[risk.Risk]:
    return risk.register(cases.CONTEXT, TABLES, CHECKS, results, kept, outages or {}, TODAY)


def test_what_passes_is_no_weakness_and_what_fails_is_one_for_each_threat_it_opens() -> None:
    assert rows(failed("sshd-no-root-login", "core1", "pass"), failed("gone", "core1")) == []
    (one,) = rows(failed("passwords-quality", "noc"))
    assert (one.threat, one.value, one.services) == ("attack", 4, ("register", "network-configuration", "monitoring"))
    assert one.frequency == risk.Frequency(1, 0, 0, False)
    threats = {row.threat for row in rows(failed("audit-rules-loaded", "core1"))}
    assert threats == {"abuse"}


def test_a_service_is_exposed_as_its_worst_host_and_the_whole_city_concerns_all() -> None:
    found = rows(failed("passwords-quality", "noc"), failed("links-encrypted", cases.CONTEXT.city.inventory))
    exposed = {one.service: one for one in risk.business(cases.CONTEXT, found)}
    worst = max(one.level for one in found if "monitoring" in one.services)
    assert exposed["monitoring"].level == worst and set(exposed) == {one.name for one in cases.CONTEXT.plan.services}
    assert {one.level for one in risk.business(cases.CONTEXT, [])} == {1}


def test_incidents_of_a_year_and_outages_raise_the_frequency_and_nothing_kept_is_assumed() -> None:
    old = cases.entry(366, threat="attack", what="x")
    new = [cases.entry(days, threat="attack", what="x") for days in (0, 100, 365)]
    often = [risk.frequencies(TABLES, incidents(*seen), {}, TODAY)["attack"].level for seen in ([old], new[:1], new)]
    assert often == [1, 2, 3]
    nobody = risk.frequencies(TABLES, None, {"noc": 12}, TODAY, "noc")
    assert nobody["attack"] == risk.Frequency(3, 0, 0, True) and nobody["failure"] == risk.Frequency(5, 0, 12, False)
    assert risk.frequencies(TABLES, None, {"noc": 12}, TODAY, "core1")["failure"].assumed


@given(st.lists(st.sampled_from(sorted(CHECKS)), min_size=1, max_size=3), st.integers(0, 20), st.integers(1, 20))
def test_more_incidents_never_lower_a_risk(names: list[str], few: int, more: int) -> None:
    results = [failed(name, "hub-minqin") for name in names]

    def level(count: int) -> dict[tuple[str, str], int]:
        kept = incidents(*(cases.entry(5, threat="attack", what="x") for _ in range(count)))
        return {(one.check, one.threat): one.level for one in rows(*results, kept=kept)}

    less = level(few)
    assert all(value >= less[key] for key, value in level(few + more).items())


@given(ONE_TO_FIVE, ONE_TO_FIVE, ONE_TO_FIVE, ONE_TO_FIVE)
def test_the_tables_never_give_less_for_more(a: int, b: int, c: int, d: int) -> None:
    for table in (TABLES.likelihood, TABLES.loss, TABLES.risk):
        assert table[min(a, c) - 1][min(b, d) - 1] <= table[max(a, c) - 1][max(b, d) - 1]


def test_every_threat_names_control_points_that_there_are() -> None:
    points = {point.id for area in standards().get("mlps-level-3").areas for point in area.points}
    named = [point for threat in TABLES.threats.values() for point in threat.points]
    assert set(named) <= points and len(named) == len(set(named))


@pytest.mark.parametrize(
    ("folder", "name", "model", "change", "said"),
    [
        ("risk", "gbt-20984", risk.Tables, {"risk": [[2, 1, 1, 1, 1]] * 5}, "gives less for more"),
        ("risk", "gbt-20984", risk.Tables, {"frequency": [0, 1, 1, 2, 3]}, "must rise"),
        ("risk", "gbt-20984", risk.Tables, {"loss": [[1, 2, 3, 4, 6]] * 5}, "loss"),
        ("recovery", "gbt-20988", recovery.Levels, {"elements": {}}, "is no element"),
        ("recovery", "gbt-20988", recovery.Levels, {"levels": []}, "levels"),
    ],
)
def test_wrong_tables_are_refused(
    tmp_path: Path, folder: str, name: str, model: Any, change: dict[str, Any], said: str
) -> None:
    data = yaml.safe_load((CONTENT / folder / f"{name}.yml").read_text("utf-8")) | change
    (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert said in read_shelf(folder, model, (tmp_path,)).broken[name]["en"]


def drilled(service: str, host: str, drill: str, rto: float, rpo: float, verdict: str = "met") -> Covered:
    at = cases.record("x", 5, {}).at
    return Covered(
        service, host, drill, 3600, 3600, Past(drill, Target(service, host), at, verdict, (rto,), rpo), False
    )


def of(given_: Any, service: str) -> recovery.Consistency:
    return next(one for one in recovery.consistent(given_, LEVELS) if one.service == service)


@pytest.mark.parametrize(
    ("rto", "rpo", "level"),
    [(300, 0, 6), (301, 0, 5), (300, 1, 5), (7200, 1800, 5), (43200, 86400, 4), (86400, 86400, 3), (172800, 604800, 2)],
)
def test_times_and_their_level(rto: float, rpo: float, level: int) -> None:
    assert recovery.level_of(LEVELS, rto, rpo) == level
    assert recovery.level_of(LEVELS, 604801, 0) == 0


def test_a_measured_time_that_is_worse_than_promised_counts_and_elements_are_named() -> None:
    nothing = of(cases.changed(cases.GOOD, covered=()), "documents")
    assert (nothing.level, nothing.measured, nothing.rto) == (4, False, None)
    assert nothing.missing == ("spare-system", "plan")
    slow = cases.changed(cases.GOOD, covered=(drilled("documents", "minqin-education", "restore-files", 50_000, 60),))
    assert (of(slow, "documents").level, of(slow, "documents").measured) == (3, True)
    system = (drilled("documents", "minqin-education", "restore-system", 60, 60),)
    register = [{**cases.ENTRIES["documents"][4], "services": ["documents"]}]
    whole = cases.kept("documents", register)(cases.changed(cases.GOOD, covered=system))
    assert of(whole, "documents").missing == ()
    spoilt = replace(whole, covered=(drilled("documents", "minqin-education", "restore-system", 60, 60, "not_met"),))
    assert of(spoilt, "documents").missing == ("spare-system", "plan")


def test_without_a_backup_or_an_off_site_node_that_is_missing() -> None:
    bare = cases.serviced("documents", backup=None)(cases.GOOD)
    assert {"backup-daily", "offsite", "offsite-line"} <= set(of(bare, "documents").missing)
    sites = (
        one.model_copy(update={"kind": "town"} if one.kind == "offsite" else {}) for one in cases.CONTEXT.plan.sites
    )
    near = cases.planned(sites=tuple(sites))(cases.GOOD)
    assert {"offsite", "offsite-line"} <= set(of(near, "documents").missing)


def invoke(*words: str, lang: str = "en") -> Any:
    return CliRunner().invoke(assess, ["register", *words, "-i", str(cases.LAB), "--lang", lang])


def test_the_commands_say_what_they_rest_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inventory, "state", property(lambda self: tmp_path))
    (tmp_path / "assessments").mkdir()
    refused = invoke("risks")
    assert isinstance(refused.exception, UsageError) and "run egovctl assess run mlps-level-3 first" in str(
        refused.exception
    )
    results = [failed("passwords-quality", host) for host in ("noc", "core1")]
    data = json.dumps({"results": results, "judged": []}).encode()
    (tmp_path / "assessments" / "r1.json").write_bytes(data)
    body = {"run": "r1", "standard": "mlps-level-3", "verdicts": {}, "results_sha256": hashlib.sha256(data).hexdigest()}
    open_chain(Inventory(cases.LAB)).append("assess.standard", body)
    for lang, words in (("en", ("ours", "passwords-quality", "assumed")), ("zh", ("自定", "网络攻击", "假定"))):
        done = invoke("risks", lang=lang)
        assert done.exit_code == 0 and all(word in done.output for word in words), done.output
    told = json.loads(invoke("risks", "--format", "json").stdout)
    assert told["run"] == "r1" and told["source"] == "from-memory" and len(told["risks"]) == 2
    said = invoke("recovery").output
    assert (
        "documents: RTO/RPO consistent with level 4, elements missing: " in said
        and "Times alone prove no level" in said
    )
    assert "缺少的要素" in invoke("recovery", lang="zh").output
    assert len(json.loads(invoke("recovery", "--format", "json").stdout)["services"]) == 8
