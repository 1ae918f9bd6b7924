"""Verdicts, scores, statements and accepted risks; and a whole assessment of the lab's plan with answers made up."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import facts_cases as cases
import pytest
from click.testing import CliRunner
from good_hosts import LAB, same
from good_hosts import hosts as hosts
from good_hosts import town as town
from hypothesis import given
from hypothesis import strategies as st

from egovctl.assess import kept_results
from egovctl.assess import run as assessing
from egovctl.assess import statements as stated
from egovctl.assess.score import conclude, mark, older, rate, score
from egovctl.assess.standards import Item, standards
from egovctl.assess.statements import Acceptance, Statement
from egovctl.assess.verdict import BAD, OPEN, Evidence, Judged, Verdict, judge_item, judge_standard
from egovctl.checks import content
from egovctl.checks.context import open_context
from egovctl.checks.metrics import exposition
from egovctl.checks.model import Result, Status
from egovctl.commands.assess import assess
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Chain, open_chain
from egovctl.paths import Inventory
from egovctl.transport import HostSilent

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
STATUSES = st.sampled_from(list(Status))


def item(settles: str = "full", **more: Any) -> Item:
    data = {"id": "L3-4.1a", "by": "H", "settles": settles, "zh": "题", "en": "title", "source": "verified"}
    return Item.model_validate(data | more)


def result(status: Status, check: str = "one", subject: str = "core1") -> Result:
    return Result(check, subject, status, {"zh": "文", "en": "text"})


def statement(status: str, **more: Any) -> Statement:
    return replace(Statement(7, "2026-09-01T08:00:00.000Z", "L3-4.1a", status, "见制度", "Li", "2027-01-01"), **more)


def found(*settling: Status, supporting: tuple[Status, ...] = (), said: str | None = None, **more: Any) -> Evidence:
    return Evidence(
        tuple(result(status, "one", f"h{number}") for number, status in enumerate(settling)),
        tuple(result(status, "two", f"h{number}") for number, status in enumerate(supporting)),
        statement(said) if said else None,
        **more,
    )


P, F, U = Status.PASS, Status.FAIL, Status.UNKNOWN


@pytest.mark.parametrize(
    ("evidence", "settles", "verdict"),
    [
        (found(P, P), "full", "met"),
        (found(P, F), "full", "partly"),
        (found(F, F), "full", "not_met"),
        (found(Status.PARTIAL), "full", "partly"),
        (found(P, U), "full", "unknown"),
        (found(F, U), "full", "not_met"),
        (found(P, Status.ERROR), "full", "unknown"),
        (found(P, Status.MANUAL), "full", "needs_statement"),
        (found(P, Status.MANUAL, said="met"), "full", "met"),
        (found(F, Status.MANUAL, said="met"), "full", "not_met"),
        (found(U, Status.MANUAL, said="met"), "full", "unknown"),
        (found(P), "partial", "needs_statement"),
        (found(P, said="met"), "partial", "met"),
        (found(P, said="not_applicable"), "partial", "not_applicable"),
        (found(supporting=(P,)), "full", "needs_statement"),
        (found(P, supporting=(F,)), "full", "partly"),
        (found(supporting=(F, F)), "full", "partly"),
        (found(U, supporting=(F,)), "full", "partly"),
        (found(P, supporting=(U,)), "full", "unknown"),
        (found(), "full", "needs_statement"),
        (found(Status.NOT_APPLICABLE), "full", "needs_statement"),
        (found(said="partly"), "none", "partly"),
        # A statement cannot make good what was seen to be bad, nor stand in for what could not be measured.
        (found(F, said="met"), "full", "not_met"),
        (found(F, said="not_applicable"), "full", "not_met"),
        (found(P, F, said="met"), "full", "partly"),
        (found(P, F, said="not_met"), "full", "not_met"),
        (found(P, said="not_met"), "full", "not_met"),
        (found(U, said="met"), "full", "unknown"),
        (found(U, said="not_applicable"), "full", "unknown"),
        (found(U, said="not_met"), "full", "not_met"),
    ],
)
def test_the_verdict_on_one_requirement(evidence: Evidence, settles: str, verdict: str) -> None:
    judged = judge_item(item(settles), evidence)
    assert judged.verdict == verdict and judged.reason["zh"] and judged.reason["en"]


@given(
    st.lists(STATUSES, max_size=5),
    st.lists(STATUSES, max_size=5),
    st.sampled_from([None, *stated.STATUSES]),
    st.sampled_from(["full", "partial", "none"]),
)
def test_what_must_hold_of_every_verdict(
    settling: list[Status], supporting: list[Status], said: str | None, settles: str
) -> None:
    evidence = found(*settling, supporting=tuple(supporting), said=said)
    verdict = judge_item(item(settles), evidence).verdict
    seen = {*settling, *supporting}
    if seen & {Status.FAIL, Status.PARTIAL} or said == "not_met":
        assert verdict in BAD
    elif seen & {Status.UNKNOWN, Status.ERROR}:
        assert verdict is Verdict.UNKNOWN or (said == "partly" and verdict is Verdict.PARTLY)
    elif Status.MANUAL in seen:
        assert verdict == (said or "needs_statement"), "nothing is kept of it here: people have the word"
    if verdict is Verdict.MET:
        assert said == "met" or (settles == "full" and Status.PASS in settling)
    if verdict is Verdict.NOT_APPLICABLE:
        assert said == "not_applicable"


def test_an_attachment_that_is_gone_makes_a_statement_worth_nothing() -> None:
    lost = Evidence(statement=statement("met", lost="plan.pdf"))
    judged = judge_item(item("none"), lost)
    assert judged.verdict is Verdict.UNKNOWN and "plan.pdf" in judged.reason["en"]
    bad = Evidence((result(F),), (), statement("met", lost="plan.pdf"))
    assert judge_item(item(), bad).verdict is Verdict.NOT_MET


def test_what_the_suite_cannot_meet_no_statement_makes_met() -> None:
    text = {"zh": "不是国密", "en": "not SM4"}
    judged = judge_item(item(unmet=text), found(P, said="met"))
    assert judged.verdict is Verdict.NOT_MET and judged.reason == text


def test_an_accepted_risk_is_a_mark_and_only_on_what_is_not_met() -> None:
    taken = Acceptance(9, "2026-09-01T08:00:00.000Z", "L3-4.1a", "old", "Li", "Wang", "2026-12-01")
    failed, good = (judge_item(item(), found(status, acceptance=taken)) for status in (F, P))
    assert failed.verdict is Verdict.NOT_MET and failed.accepted == 9
    assert good.verdict is Verdict.MET and good.accepted is None


def verdicts(*names: str) -> list[Judged]:
    return [Judged(f"L3-4.{number}a", Verdict(name), {"zh": "", "en": ""}) for number, name in enumerate(names, 1)]


def areas_of(judged: list[Judged], area: str = "computing") -> dict[str, str]:
    return {one.item: area for one in judged}


def test_rates_are_shares_of_what_applies_between_all_unknown_bad_and_all_good() -> None:
    judged = verdicts("met", "partly", "not_met", "not_applicable", "unknown", "needs_statement")
    zero, half = rate(judged, 0.0), rate(judged, 0.5)
    assert (zero.low, zero.high) == (0.2, 0.6) and (half.low, half.high) == (0.3, 0.7)
    assert (rate(verdicts("not_applicable"), 0.0).low, rate([], 0.0).high) == (0.0, 1.0)


@given(st.lists(st.sampled_from(list(Verdict)), min_size=1, max_size=30), st.data())
def test_whatever_the_open_ones_turn_out_to_be_lies_in_the_interval(names: list[Verdict], data: st.DataObject) -> None:
    judged = verdicts(*names)
    resolved = [
        replace(one, verdict=data.draw(st.sampled_from(["met", "partly", "not_met"]).map(Verdict)))
        if one.verdict in OPEN
        else one
        for one in judged
    ]
    for partial in (0.0, 0.5):
        bounds, true = rate(judged, partial), rate(resolved, partial)
        if any(one.verdict is not Verdict.NOT_APPLICABLE for one in judged):
            assert bounds.low - 1e-9 <= true.low == true.high <= bounds.high + 1e-9
    bounds, true = older(judged, areas_of(judged)), older(resolved, areas_of(resolved))
    assert bounds.low - 1e-9 <= true.low <= true.high <= bounds.high + 1e-9
    assert bounds.low >= 0.0 and bounds.high <= 100.0


@pytest.mark.parametrize(
    ("share", "hazards", "strict", "conclusion"),
    [
        (0.95, 0, True, "conforms"),
        (0.9, 0, True, "basically"),
        (0.6, 0, True, "basically"),
        (0.59, 0, True, "does_not"),
        (0.95, 1, True, "does_not"),
        (0.95, 1, False, "basically"),
        (0.2, 0, False, "does_not"),
    ],
)
def test_the_newer_template(share: float, hazards: int, strict: bool, conclusion: str) -> None:
    assert conclude(share, hazards, strict=strict) == conclusion


def test_the_older_template_deducts_for_defects_up_to_half_each() -> None:
    good = verdicts(*["met"] * 10)
    assert older(good, areas_of(good)).low == 100.0
    one_bad = verdicts(*["met"] * 9, "not_met")
    assert (older(one_bad, areas_of(one_bad)).high, older(one_bad, areas_of(one_bad)).low) == (90.0, 70.0)
    all_bad = verdicts(*["not_met"] * 10)
    assert older(all_bad, areas_of(all_bad)).high == 50.0  # nothing of the management half was lost
    words = [mark(90, 0), mark(80, 0), mark(70, 0), mark(69, 0), mark(99, 1)]
    assert words == ["excellent", "good", "medium", "poor", "poor"]


def test_a_score_counts_hazards_as_an_interval_and_leaves_accepted_ones_out_of_a_rate_of_its_own() -> None:
    judged = verdicts("met", "not_met")
    judged[1] = replace(judged[1], accepted=3)
    made = score(judged, areas_of(judged), verdicts("met", "partly", "needs_statement"))
    assert (made.hazards.low, made.hazards.high) == (1, 2)
    assert made.rate_partial_0.high == 0.5 and made.without_accepted.low == 1.0
    assert made.conclusion == ("does_not", "does_not") and made.counts["met"] == 1 and made.applicable == 2


def test_statements_hold_until_their_day_and_the_last_one_counts(town: Inventory, tmp_path: Path) -> None:
    chain = open_chain(town)
    proof = tmp_path / "rules.pdf"
    proof.write_bytes(b"signed")
    stated.state(town, chain, "L3-6.1a", "met", "总体方针已发布", "Li", [proof], 30)
    stated.state(town, chain, "L3-6.2a", "partly", "only some", "Li", [], 365)
    stated.state(town, chain, "L3-6.2a", "not_met", "none at all", "Wang", [], 365)
    now = datetime.now(UTC)
    holding = stated.statements(town, chain, now)
    assert {name: one.status for name, one in holding.items()} == {"L3-6.1a": "met", "L3-6.2a": "not_met"}
    assert not holding["L3-6.1a"].lost
    assert set(stated.statements(town, chain, now + timedelta(days=31))) == {"L3-6.2a"}
    assert stated.statements(town, chain, now - timedelta(days=1)) == {}, "a record from the future does not count"
    (kept,) = stated.attachments_dir(town).iterdir()
    kept.write_bytes(b"forged")
    assert stated.statements(town, chain, now)["L3-6.1a"].lost == "rules.pdf"
    kept.unlink()
    assert stated.statements(town, chain, now)["L3-6.1a"].lost == "rules.pdf"


@pytest.mark.parametrize(
    "change",
    [{"by": " "}, {"text": ""}, {"days": 0}, {"days": 366}, {"files": ["none.pdf"]}, {"files": ["."]}],
)
def test_a_statement_that_says_nothing_is_refused_and_leaves_no_record(
    town: Inventory, tmp_path: Path, change: dict[str, Any]
) -> None:
    call = {"text": "so", "by": "Li", "files": [], "days": 30} | change
    files = [tmp_path / name for name in call["files"]]
    with pytest.raises(UsageError):
        stated.state(town, open_chain(town), "L3-6.1a", "met", call["text"], call["by"], files, call["days"])
    assert list(open_chain(town).records()) == []


def test_a_risk_is_accepted_by_another_and_for_half_a_year_at_most(town: Inventory) -> None:
    chain = open_chain(town)
    for owner, approver, days in (("Li", " li ", 30), ("Li Ming", "LI  MING", 30), ("Li", "Wang", 181), ("Li", "", 30)):
        with pytest.raises(UsageError):
            stated.accept(chain, "L3-4.1b", "old terminals", owner, approver, days)
    stated.accept(chain, "L3-4.1b", "old terminals", "Li", "Wang", 180)
    now = datetime.now(UTC)
    assert stated.acceptances(chain, now + timedelta(days=180))["L3-4.1b"].approver == "Wang"
    assert stated.acceptances(chain, now + timedelta(days=181)) == {}


def by_item(done: assessing.Assessment) -> dict[str, Verdict]:
    return {one.item: one.verdict for one in (*done.judged, *done.hazards)}


def test_an_assessment_of_good_hosts_and_what_it_puts_on_record(town: Inventory, hosts: Any) -> None:
    hosts(same)
    context, chain = open_context(town), open_chain(town)
    done = assessing.run_standard(context, "mlps-level-3", chain)
    seen = by_item(done)
    assert len(done.judged) == 211 and len(done.hazards) == 42
    assert {seen[name] for name in ("L3-4.1a", "L3-4.1b", "L3-4.2d", "L3-3.2a", "L3-4.4b", "HR-17")} == {Verdict.MET}
    assert seen["L3-1.1a"] is Verdict.NEEDS_STATEMENT and seen["L3-5.4c"] is Verdict.UNKNOWN
    assert not set(seen.values()) & BAD and done.exit_code == 3
    level2 = judge_standard(standards().get("mlps-level-2"), content.checks().entries, done.results, {}, {})
    assert {one.verdict for one in level2 if one.item in ("L2-4.1a", "L2-3.2a", "L2-4.4b")} == {Verdict.MET}
    managed = {host.name for host in context.city.hosts.values() if "managed" in host.groups}
    records = list(chain.records())
    assert records[0].kind == "assess.planned" and records[-1].kind == "assess.standard"
    looks = {record.body["host"]: record.body for record in records if record.kind == "assess.facts"}
    assert set(looks) == managed
    for body in looks.values():
        assert body["run"] == done.run and len(body["program_sha256"]) == 64
        assert all(set(group) == {"at", "asked", "sha256"} for group in body["groups"].values())
    assert records[-1].body["kind"] == "self-assessment" and records[-1].body["verdicts"]["L3-4.1a"] == "met"
    assert chain.verify(done.head).ok
    shown = exposition(records, {"control": chain.head()})
    assert f'egov_assess_items{{standard="mlps-level-3",verdict="met"}} {done.score.counts["met"]}\n' in shown
    assert 'egov_assess_hazards{standard="mlps-level-3",bound="low"} 0\n' in shown
    # What checks of a standard say of each host is evidence, and no alarm of the NOC's.
    assert "egov_check_ok{" not in shown


def test_one_bad_host_makes_partly_and_a_silent_one_unknown(town: Inventory, hosts: Any) -> None:
    def spoil(host: str, group: str, answers: dict[str, Any]) -> dict[str, Any]:
        if host == "noc":
            raise HostSilent("noc", "timed out")
        if host == "core1" and group == "accounts":
            cases.put("shadow", "borg:locked", "borg:empty")(answers)
        return answers

    hosts(spoil)
    done = assessing.run_standard(open_context(town), "mlps-level-3", open_chain(town))
    seen = by_item(done)
    assert seen["L3-4.1a"] is Verdict.PARTLY and seen["HR-17"] is Verdict.PARTLY
    assert seen["L3-4.2d"] is Verdict.UNKNOWN and seen["L3-3.2a"] is Verdict.UNKNOWN
    reason = next(one.reason["en"] for one in done.judged if one.item == "L3-4.1a")
    assert "accounts-none-empty (core1)" in reason and done.exit_code == 1
    assert done.score.hazards.low == 2 and done.wanting[0][0] == ""


def test_nothing_measured_is_exit_3_whatever_people_say(town: Inventory, hosts: Any) -> None:
    def silent(host: str, group: str, answers: dict[str, Any]) -> dict[str, Any]:
        raise HostSilent(host, "timed out")

    hosts(silent)
    stated.state(town, open_chain(town), "L3-6.1a", "not_met", "none", "Li", [], 30)
    done = assessing.run_standard(open_context(town), "mlps-level-3", open_chain(town))
    assert done.exit_code == 3 and by_item(done)["L3-6.1a"] is Verdict.NOT_MET


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mlps-level-2", "--max-age", "soon"), "write 30m, 2h or 1d"),
        (("as-planned", "--max-age", "1h"), "goes with a standard"),
    ],
)
def test_a_maximum_age_that_is_none_is_refused(town: Inventory, words: tuple[str, ...], said: str) -> None:
    done = invoke("run", *words)
    assert isinstance(done.exception, UsageError) and said in str(done.exception)


def test_two_assessments_at_once_and_a_full_disk(town: Inventory, hosts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts(same)
    with assessing._alone(town), pytest.raises(CannotMeasure, match="another assessment"):
        assessing.run_standard(open_context(town), "commercial-cryptography", open_chain(town))

    real = os.fsync

    def full(descriptor: int) -> None:
        if "/assessments/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotMeasure, match=r"assessments/\w+\.json\.gz cannot be written: No space left"):
        assessing.run_standard(open_context(town), "commercial-cryptography", open_chain(town))
    assert [record.kind for record in open_chain(town).records()][-1] != "assess.standard"
    assert not list(kept_results.folder_of(town).iterdir()), "no half of a file stays"


def invoke(*words: str) -> Any:
    return CliRunner().invoke(assess, [*words, "-i", str(LAB), "--lang", "en"], catch_exceptions=True)


def test_the_commands_from_a_run_to_its_explanation(
    town: Inventory, hosts: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hosts(same)
    monkeypatch.setattr("egovctl.commands.assess_standard.require_network", lambda inventory: None)
    published: list[object] = []
    monkeypatch.setattr("egovctl.backups.witness.tell", lambda context, heads: "noc")
    monkeypatch.setattr("egovctl.commands.assess.publish", lambda context, chain: published.append(chain))
    assert "no verdict yet" in invoke("explain", "L3-4.1a").output
    answered = invoke("answer", "L3-6.1a", "--status", "met", "--text", "issued as no. 12", "--by", "Li")
    assert answered.exit_code == 0 and "L3-6.1a is stated" in answered.output
    taken = invoke("accept", "SM-N3", "--reason", "no gateway yet", "--owner", "Li", "--approver", "Wang")
    assert taken.exit_code == 0, taken.output
    refused = invoke("accept", "SM-N3", "--reason", "x", "--owner", "Li", "--approver", "Li")
    assert isinstance(refused.exception, UsageError)
    done = invoke("run", "mlps-level-3")
    assert done.exit_code == 3 and "Self-assessment: " in done.output and "evidence head" in done.output
    assert len(published) == 1, "the NOC is told"
    assert "wait for a statement: egovctl assess answer ITEM ... -i lab\n" in done.output
    hazard = invoke("explain", "HR-17").output
    assert "self-assessed: met" in hazard and "accounts-none-empty" in hazard
    told = json.loads(invoke("run", "commercial-cryptography", "--format", "json").stdout)
    assert told["kind"] == "self-assessment" and len(told["items"]) == 41
    explained = invoke("explain", "L3-4.1a")
    assert "accounts-none-empty" in explained.output and "evidence record" in explained.output
    assert "issued as no. 12" in invoke("explain", "L3-6.1a").output
    crypto = invoke("run", "commercial-cryptography")
    assert crypto.exit_code == 1 and "(accepted)" in crypto.output and "WireGuard" in crypto.output
    assert "what mends it: egovctl assess explain ITEM -i lab\n" in crypto.output
    again = invoke("diff", "mlps-level-3")
    assert isinstance(again.exception, UsageError) and "takes two" in str(again.exception)
    same_again = invoke("diff", "commercial-cryptography")
    assert same_again.exit_code == 0 and "no verdict has changed" in same_again.output
    invoke("answer", "SM-R1", "--status", "not_met", "--text", "no rules yet", "--by", "Li")
    invoke("run", "commercial-cryptography")
    worse = invoke("diff", "commercial-cryptography")
    assert worse.exit_code == 1 and "worse  SM-R1" in worse.output and "no rules yet" in worse.output
    assert invoke("status", "commercial-cryptography").output.count("0.0") == 3
    told_runs = json.loads(invoke("status", "commercial-cryptography", "--format", "json").stdout)
    assert [set(one) for one in told_runs] == [{"run", "standard", "score", "record", "at"}] * 3
    told_worse = invoke("diff", "commercial-cryptography", "--format", "json")
    found = json.loads(told_worse.stdout)
    assert told_worse.exit_code == 1 and (found["before"], found["after"]) == tuple(one["run"] for one in told_runs[1:])
    (change,) = found["changes"]
    assert (change["item"], change["after"], change["worse"]) == ("SM-R1", "not_met", True) and change["reason"]["zh"]
    for path in kept_results.folder_of(town).iterdir():
        path.write_text("{}")
    lost = invoke("explain", "L3-4.1a")
    assert isinstance(lost.exception, UsageError) and "assess again" in str(lost.exception)
    unknown = invoke("answer", "L3-99.1a", "--status", "met", "--text", "x", "--by", "Li")
    assert isinstance(unknown.exception, UsageError)


def test_the_lists_are_shown(town: Inventory) -> None:
    assert "mlps-level-2" in invoke("standard").output
    rows = json.loads(invoke("standard", "mlps-level-3", "--format", "json").output)
    assert next(row for row in rows if row["id"] == "L3-4.3c")["checks"][:3] == [
        "(evidence-whole)",
        "(journal-persistent)",
        "logs-backed-up",
    ]


def test_a_standard_and_a_checklist_never_have_the_same_name() -> None:
    """`assess run NAME` takes either."""
    assert not set(standards().entries) & set(content.checklists().entries)


def test_what_is_no_checklist_and_no_standard_is_told_of_both(town: Inventory) -> None:
    done = CliRunner().invoke(assess, ["run", "mlps-level3", "-i", str(town.root)], catch_exceptions=True)
    said = str(done.exception)
    assert isinstance(done.exception, UsageError) and done.exception.exit_code == 2
    assert "as-planned" in said and "mlps-level-3" in said and "mlps," in said


def test_a_chain_of_another_writer_is_left_alone(town: Inventory) -> None:
    assert stated.statements(town, Chain(town.evidence / "nobody.jsonl"), NOW) == {}
