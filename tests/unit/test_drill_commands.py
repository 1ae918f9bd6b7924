"""The drill commands as a person calls them: exit codes, one sentence, both languages."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from egovctl.commands import calibrate as command
from egovctl.commands.main import cli
from egovctl.drill.calibration import results
from egovctl.drill.calibration.run import Judged
from egovctl.drill.planter.__main__ import chosen
from egovctl.drill.planter.kinds import REGISTRY
from egovctl.evidence import open_chain
from egovctl.i18n import set_language
from egovctl.paths import Inventory

REPOSITORY = Path(__file__).resolve().parents[2]
LABEL = {
    "number": 0,
    "seed": 1,
    "kind": "stale",
    "title": {"zh": "旧", "en": "old"},
    "causes": ["stale"],
    "verdict": "not_met",
}
ITEM = {
    "service": "documents",
    "host": "minqin-education",
    "outcome": "completed",
    "verdict": "not_met",
    "reasons": [{"zh": "缺少 1 个文件：/a", "en": "1 files missing: /a"}],
    "phases": {"find": 1.0, "restore": 2.0, "start": 0.5},
    "rto_seconds": 3.5,
    "rto_promised_seconds": 1800.0,
    "rpo_seconds": 60.0,
    "rpo_promised_seconds": 3600.0,
    "files_compared": 7,
    "details": {"archive": "documents-1", "missing": [f"/{number}" for number in range(30)], "changed": {"/b": "mode"}},
    "causes": ["files_missing"],
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "inventories" / "lab"
    root.mkdir(parents=True)
    (root / "plan").symlink_to(REPOSITORY / "inventories" / "lab" / "plan")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "drill-calibration.md").write_text(f"a\n{results.BEGIN}\n{results.END}\nz\n")
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    return tmp_path


def call(*arguments: str):
    try:
        return CliRunner().invoke(cli, ["drill", *arguments])
    finally:
        set_language(None)  # the next test has not asked for it


def recorded(project: Path) -> None:
    chain = open_chain(Inventory(project / "inventories" / "lab"))
    target = {"service": "documents", "host": "minqin-education"}
    chain.append("drill.planned", {"run": "abcdef123456", "drill": "restore-files", "targets": [target], "steady": []})
    body = {"run": "abcdef123456", "drill": "restore-files", "started_at": "2026-11-26T00:00:00Z", "seconds": 4.0}
    body |= {"outcome": "completed", "verdict": "not_met", "cleaned": True, "reasons": [], "items": [ITEM]}
    chain.append("drill.result", body)


def test_one_run_is_shown_with_all_of_it(project: Path) -> None:
    recorded(project)
    done = call("show", "abcd")
    assert done.exit_code == 0, done.output
    for text in ("completed, NOT MET", "find 1.0, restore 2.0, start 0.5", "compared: 7 files", "1 files missing: /a"):
        assert text in done.output
    assert "causes: files_missing" in done.output and "… (30)" in done.output and "/b (mode)" in done.output
    assert "缺少 1 个文件" in call("show", "abcd", "--lang", "zh").output
    data = json.loads(call("show", "abcd", "--format", "json").output)
    assert data["planned"]["seq"] == 0 and data["result"]["items"][0]["causes"] == ["files_missing"]


def test_a_run_that_is_not_there_is_a_wrong_call(project: Path) -> None:
    done = call("show", "abcd")
    assert done.exit_code != 0 and isinstance(done.exception, Exception)
    assert "no single run abcd" in str(done.exception)


def test_the_plan_names_what_is_overdue_and_what_would_break(project: Path) -> None:
    recorded(project)
    done = call("plan", "--format", "json")
    rows = {(row["drill"], row["service"], row["host"]): row for row in json.loads(done.output)}
    assert done.exit_code == 1 and len(rows) > 1
    drilled = ("restore-files", "documents", "minqin-education")
    shown = rows[drilled]
    assert (shown["overdue"], shown["would_break"]) == (False, ["restore"])
    assert shown["restore_seconds"] == {"last": 3.5, "median": 3.5, "worst": 3.5} and shown["restores"] == 1
    assert all(row["overdue"] for key, row in rows.items() if key != drilled)
    text = call("plan").output
    assert "not proven within 90 days" in text and "never" in text
    assert "从未" in call("plan", "--lang", "zh").output


@pytest.mark.parametrize("part", ["0/3", "4/3", "x", "1", "1/0", "-1/3"])
def test_a_part_that_is_none_is_a_wrong_call(project: Path, part: str) -> None:
    done = call("calibrate", "--part", part)
    assert done.exit_code == 2 and "I/N" in done.output


def test_only_root_can_calibrate(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.os, "geteuid", lambda: 1000)
    done = call("calibrate")
    assert "needs root" in str(done.exception)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can calibrate")
def test_an_unknown_kind_is_told_with_those_that_there_are(project: Path) -> None:
    done = call("calibrate", "--kind", "moths", "--seed", "1")
    assert "unknown kinds: moths; there are: " in str(done.exception)
    assert "seed" not in done.output, "nothing was begun"
    assert not list((project / ".egov" / "lab" / "scratch").iterdir())


def test_results_become_a_page(project: Path, tmp_path: Path) -> None:
    about = {"run": "r", "seed": 1, "at": "2026-11-26T00:00:00Z", "revision": "abc", "cpus": 2}
    results.save(tmp_path / "1.json", about, [Judged(0, LABEL, "completed", "not_met", ("stale",), 2.0, {})])
    done = call("calibrate", "--to-docs", str(tmp_path / "1.json"))
    assert done.exit_code == 0, done.output
    assert "| `stale` | old | 1 | 1/1" in (project / "docs" / "drill-calibration.md").read_text()


def test_every_kind_is_named_in_both_languages_and_says_its_cause() -> None:
    assert len(REGISTRY) >= 24
    for kind in REGISTRY.values():
        assert any("\u4e00" <= letter <= "\u9fff" for letter in kind.zh), kind.id
        assert kind.en and not any("\u4e00" <= letter <= "\u9fff" for letter in kind.en)
        assert kind.causes and kind.verdict in ("not_met", "unknown")


def test_patterns_choose_kinds() -> None:
    assert {kind.id for kind in chosen(["segment-*", "stale"])} == {"segment-deleted", "segment-cut", "stale"}
    with pytest.raises(ValueError, match="unknown kinds: moths"):
        chosen(["stale", "moths"])
