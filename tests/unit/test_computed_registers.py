"""The computed registers: risks, and levels of recovery. More of anything bad never gives less risk."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import register_cases as cases
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from egovctl.assess import kept_results, recovery, risk
from egovctl.assess.standards import standards
from egovctl.checks import content
from egovctl.checks.content import CONTENT, read_shelf
from egovctl.checks.engine import NO_SUBJECT
from egovctl.commands.assess import assess
from egovctl.drill.model import Target
from egovctl.drill.past import Covered, Past
from egovctl.errors import CannotMeasure, UsageError
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


def covered(*results: dict[str, Any]) -> risk.Coverage:
    return risk.coverage(TABLES, CHECKS, results)


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
    results = [failed("passwords-quality", "noc"), failed("links-encrypted", cases.CONTEXT.city.inventory)]
    found = rows(*results)
    exposed = {one.service: one for one in risk.business(cases.CONTEXT, found, covered(*results))}
    worst = max(one.level for one in found if "monitoring" in one.services)
    assert exposed["monitoring"].level == worst and set(exposed) == {one.name for one in cases.CONTEXT.plan.services}
    good = [failed("passwords-quality", host, "pass") for host in cases.CONTEXT.city.hosts]
    assert {(one.level, one.least) for one in risk.business(cases.CONTEXT, [], covered(*good))} == {(1, False)}


def of_service(name: str, *results: dict[str, Any]) -> risk.Business:
    (found,) = risk.business(cases.CONTEXT, rows(*results), covered(*results), [name])
    return found


@pytest.mark.parametrize("status", ["unknown", "error"])
def test_what_was_not_measured_never_makes_a_low_risk(status: str) -> None:
    passed, silent = failed("passwords-quality", "noc", "pass"), failed("sshd-no-root-login", "noc", status)
    assert of_service("monitoring", passed) == risk.Business("monitoring", 2, 1, 0, 0, 1)
    half = of_service("monitoring", passed, silent)
    assert half == risk.Business("monitoring", 2, 1, 0, 1, 2) and half.least
    city = cases.CONTEXT.city.inventory
    nothing = of_service("monitoring", silent, failed("links-encrypted", city, "pass"))
    assert (nothing.level, nothing.least, nothing.not_measured, nothing.checks) == (None, False, 1, 2)
    assert of_service("monitoring").level is None, "no result at all is no low risk either"
    bad = of_service("monitoring", silent, failed("links-encrypted", city))
    assert bad.level is not None and bad.level > 1 and bad.least, "the city's lines are the least that it can be"


def test_only_what_can_give_a_line_counts_as_measured_or_not() -> None:
    uncounted = [
        failed("passwords-quality", "noc", "not_applicable"),
        failed("passwords-quality", "noc", "manual"),
        failed("gone", "noc", "unknown"),
        failed("passwords-quality", NO_SUBJECT, "error"),
    ]
    assert covered(*uncounted) == risk.Coverage()
    worst = max(one.level for one in rows(failed("passwords-quality", "noc")))
    unknown_first = risk.business(
        cases.CONTEXT, rows(failed("passwords-quality", "noc")), covered(failed("passwords-quality", "noc"))
    )
    levels = [one.level for one in unknown_first]
    assert levels[0] is None and levels[-1] == worst, levels
    top = replace(unknown_first[-1], level=5, not_measured=3)
    assert not top.least, "there is no more than 5"


def test_incidents_of_a_year_and_outages_raise_the_frequency_and_nothing_kept_is_assumed() -> None:
    old = cases.entry(366, threat="attack", what="x")
    new = [cases.entry(days, threat="attack", what="x") for days in (0, 100, 365)]
    often = [risk.frequencies(TABLES, incidents(*seen), {}, TODAY)["attack"].level for seen in ([old], new[:1], new)]
    assert often == [1, 2, 3]
    nobody = risk.frequencies(TABLES, None, {"noc": 12}, TODAY, "noc")
    assert nobody["attack"] == risk.Frequency(3, None, 0, True)
    assert nobody["failure"] == risk.Frequency(5, None, 12, False)
    assert risk.frequencies(TABLES, None, {"noc": 12}, TODAY, "core1")["failure"].assumed


def test_a_host_whose_outages_nobody_knows_fails_as_often_as_is_assumed() -> None:
    def failure(outages: dict[str, int], host: str = "noc", *seen: dict[str, Any]) -> risk.Frequency:
        return risk.frequencies(TABLES, incidents(*seen), outages, TODAY, host)["failure"]

    assert failure({"noc": 0}) == risk.Frequency(1, 0, 0, False)
    assert failure({}) == failure({"core1": 0}) == risk.Frequency(3, 0, None, True)
    often = [cases.entry(5, threat="failure", what="x") for _ in range(6)]
    assert failure({}, "noc", *often) == risk.Frequency(4, 6, None, False), "more than is assumed is known already"
    assert failure({}, "") == risk.Frequency(1, 0, 0, False), "the city as a whole has no outages of a host"
    others = risk.frequencies(TABLES, incidents(), {}, TODAY, "noc")
    assert not any(one.assumed for threat, one in others.items() if threat != "failure")


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
    ("folder", "name", "model", "change", "zh", "en"),
    [
        (
            "risk",
            "gbt-20984",
            risk.Tables,
            {"risk": [[2, 1, 1, 1, 1]] * 5},
            "输入变大而结果变小",
            "gives less for more",
        ),
        ("risk", "gbt-20984", risk.Tables, {"frequency": [0, 1, 1, 2, 3]}, "应逐级增大", "must rise"),
        ("risk", "gbt-20984", risk.Tables, {"loss": [[1, 2, 3, 4, 6]] * 5}, "应不大于 5", "loss"),
        ("recovery", "gbt-20988", recovery.Levels, {"elements": {}}, "没有要素", "is no element"),
        ("recovery", "gbt-20988", recovery.Levels, {"levels": []}, "至少", "levels"),
    ],
)
def test_wrong_tables_are_refused(
    tmp_path: Path, folder: str, name: str, model: Any, change: dict[str, Any], zh: str, en: str
) -> None:
    data = yaml.safe_load((CONTENT / folder / f"{name}.yml").read_text("utf-8")) | change
    (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(data), encoding="utf-8")
    told = read_shelf(folder, model, (tmp_path,)).broken[name]
    assert en in told["en"] and zh in told["zh"]


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


@pytest.fixture
def asked_prometheus(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Prometheus knows of these outages; None, as at first: it is silent."""
    known: list[dict[str, int] | None] = [None]

    def query(*_: Any) -> list[dict[str, Any]]:
        if known[0] is None:
            raise CannotMeasure("Prometheus is silent")
        return [{"metric": {"host": host}, "value": [0, str(count)]} for host, count in known[0].items()]

    monkeypatch.setattr("egovctl.commands.assess_register.query", query)
    return lambda outages: known.__setitem__(0, outages)


def assessed(state: Path, *results: dict[str, Any], run: str = "r1") -> None:
    """The lab was assessed with these results; its state is in this folder."""
    sha256 = kept_results.keep(Inventory(cases.LAB), run, "mlps-level-3", {"results": results, "judged": []})
    body = {"run": run, "standard": "mlps-level-3", "verdicts": {}, "results_sha256": sha256}
    open_chain(Inventory(cases.LAB)).append("assess.standard", body)


def invoke(*words: str, lang: str = "en") -> Any:
    return CliRunner().invoke(assess, ["register", *words, "-i", str(cases.LAB), "--lang", lang])


@pytest.mark.usefixtures("asked_prometheus")
def test_the_commands_say_what_they_rest_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inventory, "state", property(lambda self: tmp_path))
    refused = invoke("risks")
    assert isinstance(refused.exception, UsageError)
    assert "run egovctl assess run mlps-level-3 -i lab first" in str(refused.exception), "the hint names the city"
    assessed(tmp_path, *(failed("passwords-quality", host) for host in ("noc", "core1")))
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


def test_the_register_says_what_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_prometheus: Any
) -> None:
    monkeypatch.setattr(Inventory, "state", property(lambda self: tmp_path))
    monkeypatch.setattr("egovctl.commands.assess_register._incidents", lambda inventory: [])
    monkeypatch.setenv("COLUMNS", "160")
    every = [failed("units-active", host) for host in cases.CONTEXT.city.hosts]
    assessed(tmp_path, *every)
    asked_prometheus(dict.fromkeys(cases.CONTEXT.city.hosts, 0))
    known = invoke("risks", "--all")
    for word in ("?", ">=", "unknown", "not measured and"):
        assert word not in known.output, known.output
    told = json.loads(invoke("risks", "--format", "json").stdout)
    assert (told["not_measured"], told["checks"]) == (0, len(every)) and len(told["notes"]) == 2
    assert {row["frequency"]["outages"] for row in told["risks"]} == {0}

    asked_prometheus(None)
    noc = [failed("units-active", "noc"), failed("passwords-quality", "noc", "unknown")]
    portal = [failed("passwords-quality", "shared-services", "error")]
    assessed(tmp_path, *noc, *portal, run="r2")
    said = invoke("risks").output
    assert "3?" in said and "outages are not known: Prometheus is silent" in said
    assert "how often the host was down is not known" in said and "incidents.yml" not in said
    assert re.search(r"portal +\d +unknown +0 +1 of 1\b", said) and re.search(
        r"monitoring +2 +>= \d +1 +1 of 2\b", said
    )
    assert "2 of 3 checks were not measured and give no line" in said
    chinese = invoke("risks", lang="zh").output
    assert re.search(r"portal +\d +未知 +0 +1 项中 1 项", chinese) and "主机的中断次数未知" in chinese
    told = json.loads(invoke("risks", "--format", "json").stdout)
    assert all(row["frequency"]["assumed"] and row["frequency"]["outages"] is None for row in told["risks"])
    assert any("how often the host was down" in line for line in told["notes"])
    services = {row["service"]: row for row in told["services"]}
    assert services["portal"]["level"] is None and services["portal"]["not_measured"] == 1
    assert (services["monitoring"]["not_measured"], services["monitoring"]["checks"]) == (1, 2)
    assert (told["not_measured"], told["checks"]) == (2, 3)
