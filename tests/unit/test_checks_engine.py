"""The checks engine: what it says when all is well, when not, and above all when it could not measure."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from egovctl.checks import content, engine, metrics
from egovctl.checks.collect import COLLECTORS
from egovctl.checks.context import Context, open_context
from egovctl.checks.judge import BadExpression, evaluate, judge, truth
from egovctl.checks.model import Check, NotApplicable, Status
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Chain
from egovctl.paths import Inventory
from egovctl.report import checks as report
from egovctl.report import drills as drill_report
from egovctl.report.words import duration
from egovctl.transport import HostSilent

LAB = Path(__file__).resolve().parents[2] / "inventories" / "lab"
TEXT = {"zh": "文", "en": "text"}
SHOWN = {"zh": "缺少 {missing}", "en": "missing {missing}"}
Answer = Callable[[str], Any]


def check(**changes: Any) -> Check:
    data = {
        "id": "sample",
        "title": TEXT,
        "why": TEXT,
        "subject": "host",
        "where": "subject.router",
        "collect": {"by": "fake"},
        "expression": "size(minus(planned.items, seen.items)) == 0",
        "show": {"missing": "minus(planned.items, seen.items)"},
        "detail": SHOWN,
        "detail_pass": TEXT,
        "fix": {**TEXT, "tag": "frr"},
    }
    return Check.model_validate(data | changes)


@pytest.fixture(scope="module")
def context() -> Context:
    return open_context(Inventory(LAB))


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], None]:
    """Install a collector that answers as told, subject by subject."""

    def install(answer: Answer) -> None:
        def collect(context: Context, requests: list[Any]) -> list[dict[str, Any]]:
            return [{name: answer(name) for name in request.subjects} for request in requests]

        monkeypatch.setitem(COLLECTORS, "fake", collect)

    return install


def facts(seen: list[str]) -> dict[str, Any]:
    return {"planned": {"items": ["a", "b"]}, "seen": {"items": seen}}


def test_each_subject_is_judged_and_one_silent_host_does_not_stop_the_others(context, collector) -> None:
    answers = {"core1": facts(["a", "b"]), "core2": facts(["b"]), "noc": HostSilent("noc", "timed out")}
    collector(lambda name: answers.get(name, facts(["b", "a"])))
    results = {result.subject: result for result in engine.run_checks(context, [check()])}
    assert results["core1"].status is Status.PASS
    assert results["core2"].status is Status.FAIL and results["core2"].detail["en"] == "missing a"
    assert results["noc"].status is Status.UNKNOWN and "timed out" in results["noc"].detail["en"]
    assert "control" not in results and "switch-minqin" not in results


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (NotApplicable("无", "no such thing here"), Status.NOT_APPLICABLE),
        (CannotMeasure("prometheus is silent"), Status.UNKNOWN),
        (RuntimeError("boom"), Status.ERROR),
        (None, Status.ERROR),
        ({"planned": {}, "seen": {}}, Status.ERROR),
        ({"planned": {"items": "ab"}, "seen": {"items": 5}}, Status.ERROR),
    ],
)
def test_what_cannot_be_judged_is_never_pass_or_fail(context, collector, answer: Any, status: Status) -> None:
    collector(lambda name: answer)
    assert {result.status for result in engine.run_checks(context, [check()])} == {status}


def test_a_collector_that_dies_takes_no_other_check_with_it(context, collector, monkeypatch) -> None:
    collector(lambda name: facts(["a", "b"]))

    def die(context: Context, requests: list[Any]) -> list[dict[str, Any]]:
        raise HostSilent("noc", "gone")

    monkeypatch.setitem(COLLECTORS, "dying", die)
    other = check(id="other", collect={"by": "dying"})
    statuses = {(r.check, r.status) for r in engine.run_checks(context, [other, check()])}
    assert statuses == {("other", Status.UNKNOWN), ("sample", Status.PASS)}


def test_no_subject_at_all_is_an_error(context, collector) -> None:
    collector(lambda name: facts(["a", "b"]))
    results = engine.run_checks(context, [check(where="subject.role == 'video'")])
    assert [result.status for result in results] == [Status.ERROR]
    assert "nothing to measure" in results[0].detail["en"]


def test_measured_partial_and_unknown_values(context, collector) -> None:
    collector(lambda name: facts(["a"]))
    one = engine.run_checks(context, [check(measured="size(seen.items) > 1")])
    two = engine.run_checks(context, [check(partial="size(seen.items) > 0")])
    three = engine.run_checks(context, [check(expression="seen.items")])
    four = engine.run_checks(context, [check(detail={"zh": "{nothing}", "en": "{nothing}"})])
    five = engine.run_checks(context, [check(collect={"by": "astrology"})])
    found = [results[0].status for results in (one, two, three, four, five)]
    assert found == [Status.UNKNOWN, Status.PARTIAL, Status.ERROR, Status.ERROR, Status.ERROR]


def write_content(root: Path, name: str, text: str) -> None:
    path = root / "content" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def town(tmp_path: Path) -> Inventory:
    """An inventory with checks of its own, one of them broken."""
    root = tmp_path / "town"
    (root / "plan").mkdir(parents=True)
    for path in (LAB / "plan").iterdir():
        (root / "plan" / path.name).write_text(path.read_text())
    write_content(root, "checks/good.yml", json.dumps(check(id="good").model_dump(mode="json")))
    write_content(root, "checks/broken.yml", "id: broken\ntitle: {zh: 文, en: t}\nexpresion: 'true'\n")
    listed = {"id": "mine", "title": TEXT, "why": TEXT, "checks": ["good", "broken", "absent"]}
    write_content(root, "checklists/mine.yml", json.dumps(listed))
    return Inventory(root)


def test_a_broken_check_file_is_named_with_its_line_and_the_others_run(town, collector, tmp_path) -> None:
    collector(lambda name: facts(["a", "b"]))
    chain = Chain(tmp_path / "control.jsonl")
    run = engine.run_checklist(open_context(town), "mine", chain)
    by_check = {result.check: result for result in run.results}
    assert by_check["good"].status is Status.PASS
    assert by_check["broken"].status is Status.ERROR and "broken.yml:" in by_check["broken"].detail["en"]
    assert by_check["absent"].status is Status.ERROR
    assert run.exit_code == 3
    assert [result.check for result in run.results if result.subject == "-"] == ["broken", "absent"]


def test_a_typo_in_a_key_is_told_with_its_line(town: Inventory) -> None:
    text = json.dumps({**check(id="good").model_dump(mode="json"), "expresion": "true"}, indent=1)
    write_content(town.root, "checks/good.yml", text)
    content.read_shelf.cache_clear()
    line = next(n for n, item in enumerate(text.splitlines(), 1) if "expresion" in item)
    assert f"good.yml:{line}: expresion" in content.checks(town).broken["good"]["en"]


def test_the_plan_to_run_is_on_record_before_the_result(town, collector, tmp_path) -> None:
    content.read_shelf.cache_clear()
    chain = Chain(tmp_path / "control.jsonl")

    def looking(name: str) -> Any:
        assert [record.kind for record in chain.records()] == ["assess.planned"]
        return facts(["a", "b"])

    collector(looking)
    run = engine.run_checklist(open_context(town), "mine", chain, only=["good"])
    kinds = [record.kind for record in chain.records()]
    assert kinds == ["assess.planned", "assess.result"] and run.exit_code == 0
    assert run.head == chain.head() and chain.verify(run.head).ok


def test_unknown_names_are_usage_errors_and_nothing_is_recorded(town, tmp_path) -> None:
    content.read_shelf.cache_clear()
    chain = Chain(tmp_path / "control.jsonl")
    for name, only in (("yours", ()), ("mine", ("evil",))):
        with pytest.raises(UsageError):
            engine.run_checklist(open_context(town), name, chain, only)
    assert chain.head().count == 0


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(Status)), max_size=6))
def test_exit_codes(statuses: list[Status]) -> None:
    results = tuple(engine.Result("c", str(n), status, TEXT) for n, status in enumerate(statuses))
    code = engine.Run("1", "list", results, "", 0.0).exit_code
    found = set(statuses)
    if found & {Status.FAIL, Status.PARTIAL}:
        assert code == 1
    elif found & {Status.UNKNOWN, Status.ERROR} or Status.PASS not in found:
        assert code == 3
    else:
        assert code == 0


@settings(deadline=None)
@given(st.lists(st.text(max_size=3), max_size=5), st.lists(st.text(max_size=3), max_size=5))
def test_minus_is_the_difference_in_order(first: list[str], second: list[str]) -> None:
    given_facts = {"planned": first, "seen": second}
    assert evaluate("minus(planned, seen)", given_facts) == [item for item in first if item not in second]


@pytest.mark.parametrize("expression", ["planned ==", "nothing.at_all", "1 + 'a'", "5", "minus(1, 2)"])
def test_a_bad_expression_is_an_error_never_a_verdict(expression: str) -> None:
    with pytest.raises(BadExpression):
        truth(expression, {"planned": 1})


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
)
def test_no_check_of_the_suite_passes_on_nonsense(nonsense: Any) -> None:
    """A host that lies in its types must give fail, unknown or error: nothing else, and no crash."""
    for entry in content.checks().entries.values():
        try:
            status, _ = judge(entry, {"subject": {}, "planned": nonsense, "seen": nonsense})
        except BadExpression:
            continue
        assert status is not Status.PASS, (entry.id, nonsense)


def test_all_content_of_the_suite_is_whole_and_speaks_both_languages() -> None:
    shelf = content.checks()
    assert not shelf.broken and not content.checklists().broken
    listed = {name for entry in content.checklists().entries.values() for name in entry.checks}
    assert listed <= set(shelf.entries)
    for name, entry in shelf.entries.items():
        assert name in listed or entry.items or entry.supports, f"{name} is in no checklist and no standard"
    for entry in shelf.entries.values():
        assert entry.collect.by in COLLECTORS
        for text in (entry.title, entry.why, entry.detail, entry.detail_pass, entry.fix):
            assert any("\u4e00" <= letter <= "\u9fff" for letter in text.zh), (entry.id, text)
            assert text.en.isascii() and text.en.strip(), (entry.id, text)


def test_one_late_scrape_makes_nothing_unknown_that_a_program_told() -> None:
    """A scrape that fails ends its series at once: what stays true longer is asked for as the last of two minutes."""
    for entry in content.checks().entries.values():
        for name, asked in entry.collect.queries.items():
            bare = re.sub(r"last_over_time\(egov_\w+(\{[^}]*\})?\[2m\]\)", "", asked.expr)
            assert "egov_" not in bare, (entry.id, name, asked.expr)


def sample_run(statuses: dict[str, Status]) -> engine.Run:
    detail = {"zh": "所见", "en": "seen"}
    results = tuple(
        engine.Result("neighbours-up", name, status, detail, observed_at="2026-01-01T00:00:00.000Z")
        for name, status in statuses.items()
    )
    return engine.Run("r1", "as-planned", results, "2026-01-01T00:00:00.000Z", 1.0)


@pytest.mark.parametrize(("language", "words"), [("zh", ("不通过", "处理：")), ("en", ("FAIL", "to mend: "))])
def test_the_table_says_what_to_do_in_both_languages(language: str, words: tuple[str, ...]) -> None:
    from egovctl import i18n

    i18n.set_language(language)
    try:
        console = Console(width=200, record=True, file=io.StringIO())
        run = sample_run({"core1": Status.PASS, "core2": Status.FAIL, "noc": Status.FAIL})
        console.print(report.table(run, content.checks().entries))
        text = console.export_text()
    finally:
        i18n.set_language(None)
    assert all(word in text for word in words) and "core2, noc" in text


def planted(**flows: tuple[str, str, bool]) -> dict[str, Any]:
    """Facts of a reachability check: flow → (expected, result, whether its listener was seen alive just then)."""
    seen = [
        {"name": name, "expect": expect, "result": result, "listening": alive, "gap_seconds": 0.1 if alive else 1e6}
        for name, (expect, result, alive) in flows.items()
    ]
    return {"subject": {}, "planned": {}, "seen": {"flows": seen, "faults": []}}


DENIED, UNPROVEN, WORKS = ("deny", "timeout", True), ("deny", "refused", False), ("allow", "open", True)


@pytest.mark.parametrize("name", ["denied-flows-denied", "management-closed"])
@pytest.mark.parametrize(
    ("flows", "status"),
    [
        ({"a": DENIED, "b": DENIED}, Status.PASS),
        ({"a": DENIED, "b": UNPROVEN}, Status.UNKNOWN),
        ({"hole": ("deny", "open", True), "b": DENIED}, Status.FAIL),
        ({"hole": ("deny", "open", True), "b": UNPROVEN}, Status.FAIL),
        ({"hole": ("deny", "open", False), "b": UNPROVEN}, Status.FAIL),
        ({}, Status.UNKNOWN),
    ],
)
def test_a_hole_is_a_hole_whatever_else_is_unproven(name: str, flows: dict[str, Any], status: Status) -> None:
    """If this fails, a department that can log in to a core is reported as something that could not be measured."""
    found, shown = judge(content.checks().entries[name], planted(**flows))
    assert found is status
    assert shown["open"] == (["hole"] if "hole" in flows else [])
    assert shown["unproven"] == [key for key, flow in flows.items() if flow == UNPROVEN]


def test_an_allowed_flow_is_judged_only_when_its_listener_is_alive() -> None:
    entry = content.checks().entries["denied-flows-denied"]
    for allowed, status in (
        (WORKS, Status.PASS),
        (("allow", "open", False), Status.PASS),
        (("allow", "timeout", True), Status.FAIL),
        (("allow", "timeout", False), Status.UNKNOWN),
    ):
        assert judge(entry, planted(a=DENIED, b=allowed))[0] is status


def test_what_to_run_is_a_whole_command_line_where_the_fault_is(context: Context) -> None:
    entries = content.checks().entries
    begin = "ansible-playbook -i inventories/lab playbooks/site.yml --tags"
    run = sample_run({"core1": Status.PASS, "core2": Status.FAIL, "noc": Status.FAIL, "backup": Status.UNKNOWN})
    assert report.commands(run, entries, context) == [f"{begin} frr --limit core2,noc"]
    for name, subject, line in (
        ("backups-fresh", "documents", "borgmatic --limit minqin-education"),
        ("targets-up", "lab", "noc --limit role_noc"),
        ("management-closed", "minqin-education", "nftables"),
        ("denied-flows-denied", "minqin-education", "nftables"),
    ):
        result = engine.Result(name, subject, Status.FAIL, TEXT)
        failed = engine.Run("r", "as-planned", (result,), "", 0.0)
        assert report.commands(failed, entries, context) == [f"{begin} {line}"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "—"),
        (0.0, "0 s"),
        (4.25, "4.2 s"),
        (30, "30 s"),
        (900, "15 min"),
        (5400, "90 min"),
        (3600.0, "1 h"),
        (14_400, "4 h"),
        (86_400, "1 d"),
        (3661.5, "61 min"),
        (9_000, "2.5 h"),
    ],
)
def test_durations_are_said_as_they_were_planned(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_metrics_say_what_the_evidence_says_last(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "control.jsonl")
    for statuses in (
        {"gone": Status.FAIL},
        {"core1": Status.PASS, "core2": Status.UNKNOWN, 'q"uote': Status.FAIL},
    ):
        chain.append("assess.result", engine._body(sample_run(statuses)))
    text = metrics.exposition(chain.records(), {"control": chain.head()})
    assert 'egov_check_ok{check="neighbours-up",subject="core1"} 1' in text
    assert 'egov_check_ok{check="neighbours-up",subject="q\\"uote"} 0' in text
    assert 'egov_check_status{check="neighbours-up",subject="core2",status="unknown"} 1' in text
    assert 'egov_check_ok{check="neighbours-up",subject="core2"}' not in text and "gone" not in text
    assert f'egov_evidence_head_info{{writer="control",records="2",hash="{chain.head().hash}"}} 1' in text
    assert 'egov_evidence_records{writer="control"} 2' in text


def test_metrics_are_valid_exposition(tmp_path: Path) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    chain = Chain(tmp_path / "control.jsonl")
    chain.append("assess.result", engine._body(sample_run({"core1": Status.PASS})))
    item = {"service": "s", "host": "h", "outcome": "completed", "verdict": "met", "rto_seconds": 1.5}
    chain.append("drill.result", {"drill": "restore-files", "items": [item]})
    families = {
        family.name
        for family in text_string_to_metric_families(metrics.exposition(chain.records(), {"control": chain.head()}))
    }
    assert {
        "egov_check_ok",
        "egov_drill_rto_seconds",
        "egov_drill_verdict_ok",
        "egov_evidence_records",
    } <= families


def test_an_interrupted_run_is_on_record(town, collector, tmp_path) -> None:
    content.read_shelf.cache_clear()

    def interrupted(name: str) -> Any:
        raise KeyboardInterrupt

    collector(interrupted)
    chain = Chain(tmp_path / "control.jsonl")
    with pytest.raises(KeyboardInterrupt):
        engine.run_checklist(open_context(town), "mine", chain, only=["good"])
    assert [record.kind for record in chain.records()] == ["assess.planned", "assess.aborted"]


def test_a_drill_is_shown_in_both_languages_with_its_reasons_once() -> None:
    from egovctl import i18n
    from egovctl.drill.model import Item, Outcome, Run, Verdict

    reason = {"zh": "被中断", "en": "interrupted"}
    items = tuple(Item("documents", host, Outcome.ABORTED, Verdict.UNKNOWN, (reason,)) for host in ("a", "b"))
    run = Run("r", "restore-files", "2026-01-01T00:00:00.000Z", 1.0, items, True, (reason,))
    for language, words in (("zh", ("中止", "未知")), ("en", ("aborted", "unknown"))):
        i18n.set_language(language)
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(drill_report.table(run))
        text = console.export_text() + drill_report.summary(run)
        assert all(word in text for word in words) and drill_report.reasons(run) == [reason[language]]
    i18n.set_language(None)
    assert json.loads(json.dumps(drill_report.as_json(run)))["exit_code"] == 3


@pytest.mark.parametrize(
    ("age", "up", "status"),
    [
        ({"a": 10.0, "b": 20.0}, {"a": 1.0, "b": 1.0}, Status.PASS),
        ({"a": 10.0, "b": 5000.0}, {"a": 1.0, "b": 1.0}, Status.FAIL),
        ({"a": 10.0}, {"a": 1.0, "b": 1.0}, Status.FAIL),  # b answers and has no backup
        ({"a": 10.0}, {"a": 1.0, "b": 0.0}, Status.UNKNOWN),  # b is silent: its backup may be minutes old
        ({"a": 10.0}, {"a": 1.0}, Status.UNKNOWN),
        ({"a": 5000.0}, {"a": 1.0, "b": 0.0}, Status.FAIL),  # a is too old, whatever b would say
        ({}, {}, Status.UNKNOWN),
    ],
)
def test_a_silent_host_is_not_called_a_host_without_a_backup(age: Any, up: Any, status: Status) -> None:
    planned = {"hosts": ["a", "b"], "tellers": {"a": "a", "b": "b"}, "rpo_seconds": 3600.0}
    seen = {"age": {"by": age, "keys": sorted(age)}, "up": {"by": up, "keys": sorted(up)}}
    fresh = content.checks().get("backups-fresh")
    assert judge(fresh, {"planned": planned, "seen": seen, "subject": {}})[0] is status


@pytest.mark.parametrize(
    ("age", "up", "status"),
    [
        ({"db": 10.0}, {"db": 0.0, "node": 1.0}, Status.PASS),  # the database is down: what the node has is as fresh
        ({"db": 5000.0}, {"db": 1.0, "node": 1.0}, Status.FAIL),
        ({}, {"db": 1.0, "node": 1.0}, Status.FAIL),  # the node answers, and has nothing of it
        ({}, {"db": 1.0, "node": 0.0}, Status.UNKNOWN),
        ({}, {"db": 1.0}, Status.UNKNOWN),
    ],
)
def test_of_postgresql_the_backup_node_tells(age: Any, up: Any, status: Status) -> None:
    """If this fails, a silent backup node passes for a database without a backup, or the other way round."""
    planned = {"hosts": ["db"], "tellers": {"db": "node"}, "rpo_seconds": 3600.0}
    seen = {"age": {"by": age, "keys": sorted(age)}, "up": {"by": up, "keys": sorted(up)}}
    fresh = content.checks().get("backups-fresh")
    assert judge(fresh, {"planned": planned, "seen": seen, "subject": {}})[0] is status
