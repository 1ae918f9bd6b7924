"""Grading objects: grades apart for information and service, what applies to each, and its own verdict and report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import facts_cases as cases
import pytest
import yaml
from click.testing import CliRunner
from good_hosts import english as english
from good_hosts import hosts as hosts
from good_hosts import same
from hypothesis import given
from hypothesis import strategies as st

from egovctl.assess import run as assessing
from egovctl.assess.objects import Graded, graded, lists_for, named, objects
from egovctl.assess.standards import standards
from egovctl.assess.verdict import Verdict
from egovctl.checks import open_context
from egovctl.checks.metrics import exposition
from egovctl.commands.assess import assess
from egovctl.commands.main import main
from egovctl.errors import UsageError
from egovctl.evidence import open_chain
from egovctl.i18n import set_language
from egovctl.paths import Inventory
from egovctl.plan.grades import Levels, levels, written_grade

PROJECT = Path(__file__).resolve().parents[2]
GRADES = {"documents": "S3A2", "portal": "S2A3G3", "mail": 1}  # the lab's others are 2 and 3


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """The lab's plan with other grades of three services."""
    root = tmp_path / "inventories" / "town"
    plan = root / "plan"
    plan.mkdir(parents=True)
    for path in (PROJECT / "inventories/lab/plan").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        if path.name == "services.yml":
            data = yaml.safe_load(text)
            for service in data["services"]:
                service["grade"] = GRADES.get(service["name"], service["grade"])
            text = yaml.safe_dump(data, allow_unicode=True)
        (plan / path.name).write_text(text, encoding="utf-8")
    (tmp_path / "ansible.cfg").touch()
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    inventory = Inventory(root)
    inventory.state.mkdir(parents=True, exist_ok=True)
    return inventory


def ids(standard: Graded) -> set[str]:
    return {item.id for _, _, item in standard.walk()}


@given(st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_a_grade_is_read_as_it_is_written(s: int, a: int, with_g: bool) -> None:
    text = f"S{s}A{a}" + (f"G{max(s, a)}" if with_g else "")
    accepted = written_grade(text)
    assert accepted == f"S{s}A{a}G{max(s, a)}" and levels(str(accepted)) == Levels(s, a)
    assert written_grade(accepted) == accepted and str(levels(str(accepted))) == accepted
    assert levels(s) == Levels(s, s) and written_grade(s) == s


@given(st.one_of(st.integers(), st.text(max_size=8), st.booleans(), st.none(), st.floats()))
def test_what_is_no_grade_is_refused(value: Any) -> None:
    if (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 4) or (
        isinstance(value, str) and re.fullmatch("S[1-4]A[1-4](G[1-4])?", value)
    ):
        return
    with pytest.raises(ValueError, match=re.escape("grade") + "|等级"):
        written_grade(value)


@pytest.mark.parametrize("s", [2, 3])
@pytest.mark.parametrize("a", [2, 3])
def test_each_point_is_of_the_level_of_its_mark(town: Inventory, s: int, a: int) -> None:
    listed = standards().entries
    wanted = Levels(s, a)
    made = graded(listed, open_context(town).service("portal"), wanted)
    found = {point.class_: set() for _, point, _ in made.walk()}
    for _, point, item in made.walk():
        found[point.class_].add(item.id)
    for mark, level in (("S", s), ("A", a), ("G", max(s, a))):
        of = {item.id for _, point, item in listed[f"mlps-level-{level}"].walk() if point.class_ == mark}
        assert of and found[mark] == of, mark
    assert made.items == len(ids(made)) and made.graded == f"S{s}A{a}G{max(s, a)}"
    assert [area.id for area in made.areas] == [area.id for area in listed["mlps-level-3"].areas]
    if s == a:
        assert ids(made) == set(listed[f"mlps-level-{s}"].by_id)


def test_grades_without_a_list_are_named_and_not_assessed(town: Inventory) -> None:
    context = open_context(town)
    found, left = objects(context)
    assert left == {"mail": Levels(1, 1)} and "mail" not in {one.service for one in found}
    assert {one.service: one.graded for one in found}["documents"] == "S3A2G3"
    assert not lists_for(Levels(4, 3)) and not lists_for(Levels(1, 2))
    for name, said in (("mlps:mail", "graded S1A1G1"), ("mlps:nobody", "no grading object nobody"), ("mlps", "as in")):
        with pytest.raises(UsageError, match=said):
            named(context, name)


def spoilt(host: str, group: str, answers: dict[str, Any]) -> dict[str, Any]:
    """The portal's host has an account without a password."""
    if host in PORTAL and group == "accounts":
        cases.put("shadow", "borg:locked", "borg:empty")(answers)
    return answers


PORTAL = ("shared-services",)


def test_an_object_is_judged_by_its_own_hosts_and_what_is_the_citys(town: Inventory, hosts: Any) -> None:
    hosts(spoilt)
    context, chain = open_context(town), open_chain(town)
    wanted = objects(context)[0]
    own = set(context.service("portal").hosts)
    assert own == set(PORTAL)
    done = {one.standard: one for one in assessing.run_objects(context, wanted, chain)}
    assert len(done) == len(wanted)
    portal, monitoring = done["mlps:portal"], done["mlps:monitoring"]
    assert {one.subject for one in portal.results} & set(context.city.hosts) <= own
    verdicts = {one.item: one.verdict for one in portal.judged}
    # S2A3G3: identification is marked S, so it is asked at level 2; backups are marked A, so at level 3.
    assert verdicts["L2-4.1a"] is Verdict.PARTLY and "L3-4.1a" not in verdicts and "L3-4.9b" in verdicts
    elsewhere = {one.item: one.verdict for one in monitoring.judged}
    assert elsewhere["L2-4.1a"] is Verdict.MET, "another object's host is not its affair"
    records = [record for record in chain.records() if record.kind == assessing.ASSESSED]
    assert {record.body["standard"]: record.body["graded"] for record in records} == {
        one.id: one.graded for one in wanted
    }
    assert len({record.body["results_sha256"] for record in records}) == len(records), "a file each"
    for one in wanted:
        found = assessing.last_run(town, chain, one)
        assert found is not None and found[1] is not None and found[1]["standard"] == one.id
    assert assessing.last_run(town, chain, standards().get("mlps-level-3")) is None
    facts = [record for record in chain.records() if record.kind == "assess.facts"]
    assert len(facts) == len({record.body["host"] for record in facts}), "each host is asked once for all objects"


def invoke(town: Inventory, *words: str, language: str = "en") -> Any:
    return CliRunner().invoke(assess, [*words, "-i", str(town.root), "--lang", language])


def test_the_commands_of_objects(town: Inventory, hosts: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hosts(spoilt)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("egovctl.commands.assess_standard.require_network", lambda inventory: None)
    monkeypatch.setattr("egovctl.commands.assess.publish_or_say", lambda context, chain: None)
    listed = invoke(town, "standard", "mlps").output
    assert re.search(r"documents +S3A2G3 +4 +205 +209", listed) and "no list" in listed
    every = invoke(town, "run", "mlps")
    assert every.exit_code == 1 and "note: not assessed, no list is for their grade: mail (S1A1G1)" in every.output
    assert re.search(r"portal +S2A3G3 +\d+ ", every.output)
    assert "egovctl report assessment mlps --service NAME -i town\n" in every.output
    one = invoke(town, "run", "mlps", "--service", "portal")
    assert one.exit_code == 1 and "S2A3G3" in one.output and "L2-4.1a" in one.output
    assert "egovctl assess explain ITEM --service portal -i town\n" in one.output
    facts = [record for record in open_chain(town).records() if record.kind == "assess.facts"]
    assert {record.body["host"] for record in facts[-1:]} == set(PORTAL) and one.output.count("S2A3G3") == 1
    data = json.loads(invoke(town, "run", "mlps:documents", "--format", "json").stdout)
    assert data["graded"] == "S3A2G3" and data["standard"] == "mlps:documents"
    assert isinstance(invoke(town, "run", "mlps-level-3", "--service", "portal").exception, UsageError)
    explained = invoke(town, "explain", "L2-4.1a", "--service", "portal")
    assert "self-assessed: partly" in explained.output and "shared-services" in explained.output
    refused = invoke(town, "explain", "L3-4.1a", "--service", "portal")
    assert "does not apply to portal, which is S2A3G3" in str(refused.exception)
    assert "no verdict yet" in invoke(town, "explain", "L3-4.1a").output
    assert "S2A3G3" in invoke(town, "status", "mlps").output
    assert invoke(town, "status", "mlps:portal").output.count(" %") == 2
    services = town.root / "plan/services.yml"
    services.write_text(services.read_text(encoding="utf-8").replace("S2A3G3", "3"), encoding="utf-8")
    invoke(town, "run", "mlps:portal")
    changed = invoke(town, "diff", "mlps:portal")
    assert "graded S3A3G3 now and S2A3G3 before" in changed.output
    for language in ("zh", "en"):
        out = tmp_path / f"portal.{language}.html"
        with pytest.raises(SystemExit) as left:
            main(["--lang", language, "report", "assessment", "mlps", "--service", "portal", "-i", str(town.root),
                  "--out", str(out)])  # fmt: skip
        set_language(None)
        assert left.value.code == 1 and "S3A3G3" in out.read_text(encoding="utf-8")
    packs = tmp_path / "packs"
    with pytest.raises(SystemExit) as left:
        main(["report", "assessment", "mlps", "--all", "services", "--format", "html", "-i", str(town.root),
              "--out", str(packs)])  # fmt: skip
    assert left.value.code == 1
    assert "S3A2G3" in (packs / "documents/self-assessment.html").read_text(encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        main(["report", "assessment", "mlps", "--county", "minqin", "-i", str(town.root)])
    assert left.value.code == 2


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_has_no_pack_is_named_with_what_to_run(
    town: Inventory, hosts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    hosts(same)
    context, chain = open_context(town), open_chain(town)
    listed = objects(context)[0]
    names = [one.service for one in listed]

    def noted() -> list[str]:
        with pytest.raises(SystemExit):
            main(["--lang", language, "report", "assessment", "mlps", "--all", "services", "--format", "html",
                  "-i", str(town.root), "--out", str(tmp_path / "packs"), "--force"])  # fmt: skip
        set_language(None)
        return capsys.readouterr().err.splitlines()

    never = {"zh": "从未测评", "en": "never assessed"}[language]
    assessing.run_objects(context, listed[:1], chain)
    graded_1, note = noted()
    assert "mail (S1A1G1)" in graded_1
    assert never in note and ", ".join(names[1:]) in note and note.endswith("egovctl assess run mlps -i town")
    assert [path.name for path in (tmp_path / "packs").iterdir() if path.is_dir()] == names[:1]
    assessing.run_objects(context, listed[1:-1], chain)
    assert noted()[1].endswith(f"egovctl assess run mlps -i town --service {names[-1]}")
    assessing.run_objects(context, listed[-1:], chain)
    assert noted() == [graded_1], "nothing is left out, nothing is said"


def test_a_register_of_risks_by_grading_object(town: Inventory, hosts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts(lambda host, group, answers: spoilt(PORTAL[0], group, answers))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("egovctl.commands.assess_register.query", lambda *_: [])
    context, chain = open_context(town), open_chain(town)

    def risks(name: str, *words: str) -> Any:
        return invoke(town, "register", "risks", "--standard", name, *words)

    for name in ("mlps", "mlps:portal"):
        assert f"run egovctl assess run {name} -i town first" in str(risks(name).exception)
    for name, said in (("mlps:nobody", "no grading object nobody"), ("mlps:mail", "graded S1A1G1"), ("gone", "gone")):
        refused = risks(name).exception
        assert isinstance(refused, UsageError) and said in str(refused)
    listed = {one.service: one for one in objects(context)[0]}
    assessing.run_objects(context, [listed["portal"], listed["documents"]], chain)
    done = risks("mlps:portal")
    assert done.exit_code == 0 and "other hosts are not in it" in done.output and "of assessment " in done.output
    portal = json.loads(risks("mlps:portal", "--format", "json").stdout)
    assert [one["service"] for one in portal["services"]] == ["portal"] and list(portal["runs"]) == ["mlps:portal"]
    own = {*context.service("portal").hosts, "town", "portal"}
    assert {one["asset"] for one in portal["risks"]} <= own and ("shared-services" in str(portal["risks"]))
    both = json.loads(risks("mlps", "--format", "json").stdout)
    assert {one["service"] for one in both["services"]} == {"portal", "documents"}
    lines = {(one["asset"], one["check"], one["threat"]) for one in both["risks"]}
    assert len(lines) == len(both["risks"]), "what both objects share is one line"
    assert {one["asset"] for one in both["risks"]} > {one["asset"] for one in portal["risks"]}
    said = risks("mlps").output
    assert "left out, there are no results of an assessment: " in said and "mlps:monitoring" in said
    assert "no list is for their grade: mail (S1A1G1)" in said

    hosts(same)
    assessing.run_objects(context, [listed["portal"]], chain)
    again = json.loads(risks("mlps", "--format", "json").stdout)
    assert len(set(again["runs"].values())) == 2 and again["run"] == again["runs"]["mlps:portal"]
    assert len(again["risks"]) < len(both["risks"]), "what was mended since is no weakness"
    assert "those of 2 assessments" in risks("mlps").output


def test_the_noc_has_each_object_and_a_risk_of_several_once(town: Inventory, hosts: Any) -> None:
    hosts(same)
    context, chain = open_context(town), open_chain(town)
    chain.append(
        "assess.accepted", {"item": "HR-01", "reason": "r", "owner": "a", "approver": "b", "until": "2099-01-01"}
    )
    assessing.run_objects(context, objects(context)[0][:3], chain)
    records = list(chain.records())
    for record in records:
        if record.kind == assessing.ASSESSED:
            record.body["verdicts"]["HR-01"] = "not_met"
    text = exposition(records, {})
    assert 'egov_assess_rate{standard="mlps:documents",bound="low"}' in text
    assert text.count("egov_assess_accepted_until_timestamp_seconds{") == 1
    assert 'egov_assess_accepted_until_timestamp_seconds{standard="mlps",item="HR-01"}' in text
