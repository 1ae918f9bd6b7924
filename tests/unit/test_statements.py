"""Statements from a file, all or none; what a statement changes, from when; and what mends a check that failed.

If these fail, half a file is on record, or a person believes that words made good what was seen to be bad.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import assessed_town as town_
import pytest
from click.testing import CliRunner
from good_hosts import english as english

from egovctl.assess import effect
from egovctl.assess import software as genuine
from egovctl.assess import statements as stated
from egovctl.assess.standards import standards
from egovctl.checks import content, open_context
from egovctl.checks.model import Status
from egovctl.commands.assess import assess
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import open_chain
from egovctl.paths import Inventory
from egovctl.report.assessment import fixes

DOCS = Path(__file__).resolve().parents[2] / "docs/assessment.md"
GOOD = """statements:
  - item: TR-2.1a
    status: met
    text: issued as no. 12
    by: Li Ming
    attachments: [proof/rules.pdf]
    days: 30
  - {item: TR-2.1c, status: not_applicable, text: 没有外包, by: 王芳}
"""


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inventory]:
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    (tmp_path / "said/proof").mkdir(parents=True)
    (tmp_path / "said/proof/rules.pdf").write_bytes(b"signed")
    yield town_.build(tmp_path)


def invoke(town: Inventory, *words: str, language: str = "en") -> Any:
    return CliRunner().invoke(assess, [*words, "-i", str(town.root), "--lang", language])


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "said/statements.yml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def kinds(town: Inventory) -> list[str]:
    return [record.kind for record in open_chain(town).records()]


def test_a_file_puts_all_its_statements_on_record(town: Inventory, tmp_path: Path) -> None:
    done = invoke(town, "answer", "--from", written(tmp_path, GOOD))
    assert done.exit_code == 0, done.output
    first, second = open_chain(town).records(stated.STATED)
    assert f"evidence record {first.seq}: TR-2.1a is stated, until {first.body['until']}" in done.stdout
    assert "TR-2.1c is stated" in done.stdout and "2 statements are recorded" in done.stdout
    assert "egovctl assess run town-rules --max-age 1h -i town" in done.stdout
    assert (second.body["status"], second.body["by"]) == ("not_applicable", "王芳")
    assert [entry["name"] for entry in first.body["attachments"]] == ["rules.pdf"]
    (kept,) = stated.attachments_dir(town).iterdir()
    assert kept.read_bytes() == b"signed", "paths are from the file's folder"
    again = invoke(town, "answer", "--from", written(tmp_path, GOOD), language="zh")
    assert "共记入 2 条说明" in again.stdout and "下次测评起计入：egovctl assess run town-rules" in again.stdout


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("item: TR-2.1c", "item: TR-9.9z", 8, "no requirement TR-9.9z"),
        ("item: TR-2.1c", "item: TR-2.1a", 8, "TR-2.1a is there twice (see "),
        ("status: not_applicable", "status: fine", 8, "it must be one of"),
        ("by: 王芳", "by: ' '", 8, "give a name"),
        ("text: issued as no. 12", "text: ''", 4, "give a text"),
        ("text: issued as no. 12", "text: " + "x" * 2001, 4, "2000 characters"),
        ("    text: issued as no. 12\n", "", 2, "key 'text' is missing in statements 1"),
        ("days: 30", "days: 366", 7, "1 to 365 days"),
        ("days: 30", "days: '30'", 7, "write a whole number"),
        ("days: 30", "until: 2027-01-01", 7, "key 'until' is not known"),
        ("proof/rules.pdf", "proof/none.pdf", 6, "none.pdf cannot be read"),
        ("[proof/rules.pdf]", "[proof/rules.pdf, proof]", 6, "proof"),
        ("statements:", "statement:", 1, "did you mean 'statements'?"),
        (GOOD, "statements: []\n", 1, "it needs 1 or more"),
        (GOOD, "", 1, "the file is empty"),
    ],
)
def test_one_fault_in_a_file_is_told_with_its_line_and_nothing_is_recorded(
    town: Inventory, tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    path = written(tmp_path, GOOD.replace(old, new))
    done = invoke(town, "answer", "--from", path)
    assert isinstance(done.exception, UsageError) and done.exception.exit_code == 2
    assert f"{path}:{line}: " in str(done.exception) and said in str(done.exception)
    assert kinds(town) == [] and not stated.attachments_dir(town).exists()


def test_all_faults_of_a_file_are_told_at_once(town: Inventory, tmp_path: Path) -> None:
    text = GOOD.replace("days: 30", "days: 0").replace("TR-2.1c", "TR-9.9z").replace("rules.pdf", "none.pdf")
    done = invoke(town, "answer", "--from", written(tmp_path, text))
    assert [re.search(r"yml:(\d+): ", line)[1] for line in str(done.exception).splitlines()] == ["7", "6", "8"]  # type: ignore[index]


def test_a_disk_that_fills_up_leaves_no_statement(
    town: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) - 1]))
    done = invoke(town, "answer", "--from", written(tmp_path, GOOD))
    monkeypatch.undo()
    assert isinstance(done.exception, CannotMeasure) and "is stated" not in done.stdout and kinds(town) == []


def test_a_copy_that_cannot_be_kept_leaves_no_record(
    town: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("egovctl.assess.statements.os.fsync", full)
    text = GOOD.replace("没有外包", "没有外包, attachments: [proof/rules.pdf]").replace(
        "    attachments: [proof/rules.pdf]\n", ""
    )
    done = invoke(town, "answer", "--from", written(tmp_path, text))
    assert isinstance(done.exception, CannotMeasure) and kinds(town) == []


@pytest.mark.parametrize(
    "words",
    [
        ("TR-2.1a", "--from", "x.yml"),
        ("--from", "x.yml", "--status", "met"),
        ("--from", "x.yml", "--days", "365"),
        ("--from", "x.yml", "--attachment", "a.pdf"),
        ("TR-2.1a", "--status", "met"),
        ("--status", "met", "--by", "Li"),
        (),
    ],
)
def test_one_item_or_a_file_and_not_both(town: Inventory, words: tuple[str, ...]) -> None:
    done = invoke(town, "answer", *words)
    assert isinstance(done.exception, UsageError) and "--from" in str(done.exception)


def test_the_documented_file_is_accepted(town: Inventory, tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(statements:.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    path = Path(written(tmp_path, example))
    (path.parent / "policy.pdf").write_bytes(b"signed")
    first, second = stated.read_file(path, town)
    assert (first.item, first.attachments, first.days) == ("L3-6.1a", ("policy.pdf",), 180)
    assert (second.status, second.days) == ("not_applicable", stated.STATEMENT_DAYS)


def test_the_documented_command_for_rpm_makes_a_file_that_is_accepted(tmp_path: Path) -> None:
    """rpm is played: it prints its format for two packages."""
    (command,) = re.findall(r"```sh\n(.*rpm -qa.*)\n```", DOCS.read_text(encoding="utf-8"))
    rpm = tmp_path / "rpm"
    rpm.write_text(
        "#!/bin/sh\nfor one in 'bash 5.2' 'openEuler-release 22.03LTS'; do\n"
        'set -- "$1" "$2" "$3" $one\n'
        'printf "$(printf %s "$3" | sed "s/%{NAME}/$4/; s/%{VERSION}/$5/")"\ndone\n',
        encoding="utf-8",
    )
    rpm.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", command], check=True, cwd=tmp_path, env={**os.environ, "PATH": path})
    (made,) = tmp_path.glob("*.csv")
    found = [(one.computer, one.name, one.version) for one in genuine.read_csv(made)]
    assert found == [(made.stem, "bash", "5.2"), (made.stem, "openEuler-release", "22.03LTS")]


def said(status: str, item: str) -> tuple[str, ...]:
    return ("answer", item, "--status", status, "--text", "so it is", "--by", "Li")


def test_before_any_assessment_a_note_says_what_no_statement_settles(town: Inventory) -> None:
    never = invoke(town, *said("met", "TR-1.2b"))
    assert never.exit_code == 0 and "TR-1.2b is not met whatever is stated: WireGuard uses none" in never.stderr
    checked = invoke(town, *said("met", "TR-1.1a"))
    assert "note: checks can settle TR-1.1a" in checked.stderr
    for words in (said("not_met", "TR-1.1a"), said("met", "TR-2.1a")):
        counts = invoke(town, *words)
        assert counts.exit_code == 0 and counts.stderr == "", counts.stderr
    chinese = invoke(town, *said("met", "TR-1.2b"), language="zh")
    assert "总是不符合：WireGuard 不用国密算法" in chinese.stderr


@pytest.fixture
def assessed(town: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    town_.assess_twice(town, town_.Clock(monkeypatch), tmp_path)
    return town


def test_after_an_assessment_a_note_says_what_a_statement_does_not_change(assessed: Inventory) -> None:
    for item, verdict in (("TR-1.1a", "partly"), ("TR-1.2a", "met"), ("TH-01", "partly")):
        note = invoke(assessed, *said("met", item))
        assert f"by the last assessment this statement changes nothing; {item}: {verdict} · " in note.stderr
        assert "egovctl assess run town-rules --max-age 1h -i town" in note.stdout, "it judges the hazards too"
    for words in (said("not_met", "TR-1.2a"), said("partly", "TR-2.1b")):
        assert invoke(assessed, *words).stderr == ""
    taken = invoke(assessed, "accept", "TR-1.1a", "--reason", "r", "--owner", "Li", "--approver", "Wang")
    assert "it counts from the next run: egovctl assess run town-rules --max-age 1h -i town" in taken.stdout


def test_what_was_judged_for_grading_objects_is_run_again_for_them(town: Inventory) -> None:
    chain = open_chain(town)
    chain.append("assess.standard", {"standard": "mlps:portal", "verdicts": {"L3-6.1a": "needs_statement"}})
    done = invoke(town, *said("met", "L3-6.1a"))
    assert "egovctl assess run mlps --max-age 1h -i town" in done.stdout


def test_what_was_not_measured_no_statement_replaces(town: Inventory) -> None:
    """One that says worse counts; one that says that all is well does not."""
    checks = content.checks(town).entries
    item = standards(town).get("town-rules").by_id["TR-1.1a"]
    unknown = [town_.result("town-no-empty", "core1", Status.UNKNOWN)]

    def of(status: str) -> stated.Statement:
        return stated.Statement(1, "2026-09-01T08:00:00Z", item.id, status, "t", "Li", "2027-01-01")

    assert effect.idle(item, checks, unknown, of("met")) is not None
    assert effect.idle(item, checks, unknown, of("not_met")) is None
    left = [town_.result("town-no-empty", "core1", Status.MANUAL)]
    assert effect.idle(item, checks, left, of("met")) is None, "the register is not kept: people have the word"


def explained(town: Inventory, item: str) -> Any:
    return json.loads(invoke(town, "explain", item, "--format", "json").stdout)


def test_explain_says_that_a_statement_did_not_count(town: Inventory) -> None:
    for item in ("TR-1.1a", "TR-1.2b", "TR-2.1b"):
        assert invoke(town, *said("met", item)).exit_code == 0
    results = town_.results({("town-no-empty", "education"): Status.FAIL})
    town_.record(town, open_chain(town), "run1", standards(town).get("town-rules"), results, datetime.now(UTC))
    assert "(it did not count: the verdict is what the checks say)" in invoke(town, "explain", "TR-1.1a").stdout
    assert "(it did not count: what the suite itself uses" in invoke(town, "explain", "TR-1.2b").stdout
    assert "（未计入：判定以检查为准）" in invoke(town, "explain", "TR-1.1a", language="zh").stdout
    good = invoke(town, "explain", "TR-2.1b").stdout
    assert "self-assessed: met" in good and "did not count" not in good
    told = {item: explained(town, item)["statement_counted"] for item in ("TR-1.1a", "TR-2.1b", "TR-1.2a")}
    assert told == {"TR-1.1a": False, "TR-2.1b": True, "TR-1.2a": None}


def test_explain_gives_the_whole_command_line_that_mends_a_check(assessed: Inventory) -> None:
    run = "ansible-playbook -i inventories/town playbooks/site.yml --tags ssh --limit minqin-education,minqin-health"
    shown = invoke(assessed, "explain", "TR-1.1b").stdout
    assert f"    to mend: Mend: Tries are limited\n    to apply again: {run}\n" in shown
    told = explained(assessed, "TR-1.1b")
    text = {"zh": "修复登录次数有限", "en": "Mend: Tries are limited"}
    assert told["fix"] == [{"check": "town-tries-limited", "text": text, "command": run}]
    assert explained(assessed, "TR-1.1a")["fix"][0]["command"] is None, "its fix has no tag"
    assert explained(assessed, "TR-1.2a")["fix"] == [], "it passed"
    assert "to apply again" not in invoke(assessed, "explain", "TR-1.1a").stdout


def test_a_host_that_the_plan_has_no_more_is_no_reason_to_apply_to_all(assessed: Inventory) -> None:
    gone = [town_.result("town-tries-limited", "long-gone", Status.FAIL)]
    (fix,) = fixes(gone, content.checks(assessed).entries, open_context(assessed))
    assert fix["command"] is None
