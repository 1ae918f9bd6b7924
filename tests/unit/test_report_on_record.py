"""Reports from the evidence: the last result of each counts, what was not proven is named, a broken chain is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from egovctl.commands.main import main
from egovctl.evidence import open_chain
from egovctl.i18n import set_language
from egovctl.paths import Inventory

PROJECT = Path(__file__).resolve().parents[2]
MONTH = "2025-09"


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """The lab's plan, with evidence of its own."""
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    return Inventory(PROJECT / "inventories/lab")


def drill(service: str, host: str, verdict: str, **more: Any) -> dict[str, Any]:
    item = {
        "service": service,
        "host": host,
        "outcome": "completed",
        "verdict": verdict,
        "reasons": [] if verdict == "met" else [{"zh": "少了一个文件", "en": "a file is missing"}],
        "rto_seconds": 90.0,
        "rto_promised_seconds": 1800.0,
        "rpo_seconds": None,
        "rpo_promised_seconds": 3600.0,
        "files_compared": 12,
        **more,
    }
    return {"drill": "restore-files", "run": "0123456789abcdef", "items": [item]}


def check(subject: str, status: str) -> dict[str, Any]:
    text = {"zh": "所见", "en": "what was seen"}
    return {"check": "time-in-step", "subject": subject, "status": status, "detail": text}


def record(inventory: Inventory, monkeypatch: pytest.MonkeyPatch, at: str, kind: str, body: dict[str, Any]) -> None:
    monkeypatch.setattr("egovctl.evidence.chain.now", lambda: at)
    open_chain(inventory, "rev").append(kind, body)


def report(kind: str, inventory: Inventory, *more: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["--lang", "en", "report", kind, "-i", str(inventory.root), "--month", MONTH, *more])
    set_language(None)
    assert isinstance(left.value.code, int)
    return left.value.code


def test_the_last_drill_of_each_target_counts(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = ("documents", "minqin-education")
    # August's last evening in UTC is September's first morning in the city; October's first second is not September.
    for at, verdict in (
        ("2025-08-31T15:59:59.000Z", "not_met"),
        ("2025-08-31T16:00:00.000Z", "not_met"),
        ("2025-09-12T02:00:00.000Z", "met"),
        ("2025-09-30T16:00:00.000Z", "not_met"),
    ):
        record(inventory, monkeypatch, at, "drill.result", drill(*documents, verdict))
    assert report("drills", inventory, "--format", "json") == 1, "most backups of the plan are not proven"
    data = json.loads(capsys.readouterr().out)
    assert [item["verdict"] for item in data["drills"]] == ["not_met", "met"]
    missing = {(item["service"], item["host"]) for item in data["not_proven"]}
    assert documents not in missing and ("register", "shared-services") in missing
    assert data["chain"]["whole"] is True


def test_old_proof_is_no_proof(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record(
        inventory, monkeypatch, "2025-06-01T00:00:00.000Z", "drill.result", drill("portal", "shared-services", "met")
    )
    documents = drill("documents", "minqin-education", "met")
    record(inventory, monkeypatch, "2025-09-12T00:00:00.000Z", "drill.result", documents)
    report("drills", inventory, "--format", "json")
    data = json.loads(capsys.readouterr().out)
    # What was tried and failed is not proven either.
    failed = drill("portal", "shared-services", "not_met")
    record(inventory, monkeypatch, "2025-09-20T00:00:00.000Z", "drill.result", failed)
    report("drills", inventory, "--format", "json")
    assert json.loads(capsys.readouterr().out)["not_proven"] == data["not_proven"]
    last = {item["service"]: item["last_proven_at"] for item in data["not_proven"]}
    assert last["portal"] == "2025-06-01T00:00:00+00:00" and last["register"] is None and "documents" not in last


def test_the_last_result_of_each_check_and_subject_counts(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = {"results": [check("core1", "fail"), check("core2", "pass"), check("noc", "unknown")]}
    record(inventory, monkeypatch, "2025-09-02T00:00:00.000Z", "assess.result", first)
    record(inventory, monkeypatch, "2025-09-03T00:00:00.000Z", "assess.result", {"results": [check("core1", "pass")]})
    assert report("checks", inventory, "--format", "json") == 3
    data = json.loads(capsys.readouterr().out)
    assert (data["assessments"], data["totals"]["pass"], data["totals"]["unknown"]) == (2, 2, 1)
    record(inventory, monkeypatch, "2025-09-04T00:00:00.000Z", "assess.result", {"results": [check("noc", "fail")]})
    assert report("checks", inventory, "--format", "json") == 1


def test_a_changed_record_is_said(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in (2, 3):
        body = {"results": [check("core1", "pass")]}
        record(inventory, monkeypatch, f"2025-09-0{day}T00:00:00.000Z", "assess.result", body)
    path = tmp_path / "report.html"
    assert report("checks", inventory, "--out", str(path)) == 0
    assert "the evidence chain, which is whole" in path.read_text(encoding="utf-8")
    chain = inventory.evidence / "control.jsonl"
    chain.write_text(chain.read_text(encoding="utf-8").replace("core1", "core9", 1), encoding="utf-8")
    assert report("checks", inventory, "--out", str(path), "--force") == 1
    assert "the evidence chain, broken at line" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["drills", "checks"])
def test_a_month_without_evidence_writes_nothing(
    kind: str, inventory: Inventory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.html"
    assert report(kind, inventory, "--out", str(path)) == 3
    error = capsys.readouterr().err
    assert f"the evidence has nothing of {MONTH}" in error and error.count("\n") == 1
    assert not path.exists()


@pytest.mark.parametrize("form", ["pdf", "docx", "xlsx"])
def test_other_formats(form: str, inventory: Inventory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = drill("documents", "minqin-education", "not_met", outcome="aborted", rto_seconds=None)
    record(inventory, monkeypatch, "2025-09-12T02:00:00.000Z", "drill.result", body)
    path = tmp_path / f"report.{form}"
    assert report("drills", inventory, "--out", str(path), "--lang", "zh") == 1
    assert path.stat().st_size > 2000
