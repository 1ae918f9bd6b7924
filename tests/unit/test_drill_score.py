"""Counting a calibration: intervals, goals, seals, pages. A failure here means a table that flatters."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egovctl.drill.calibration import results
from egovctl.drill.calibration.run import Judged
from egovctl.drill.calibration.score import Share, as_body, score
from egovctl.drill.calibration.seal import commitment
from egovctl.drill.calibration.seals import broken
from egovctl.errors import UsageError
from egovctl.evidence import Chain

LABEL = {
    "number": 1,
    "seed": 3,
    "kind": "key-lost",
    "title": {"zh": "密钥丢失", "en": "the key lost"},
    "causes": ["key_lost"],
    "verdict": "not_met",
    "parameters": {},
    "quirks": [],
}
FAULT = Judged(1, LABEL, "completed", "not_met", ("key_lost", "stale"), 1.5, {})
CLEAN = Judged(2, LABEL | {"kind": None, "causes": [], "verdict": "met", "number": 2}, "completed", "met", (), 1.0, {})


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(20, 20, 0.8389, 1.0), (0, 300, 0.0, 0.0126), (19, 20, 0.7639, 0.9911), (0, 0, 0.0, 1.0)],
)
def test_wilson_intervals(count: int, of: int, low: float, high: float) -> None:
    assert Share(count, of).interval == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_an_interval_holds_its_share(pair: tuple[int, int]) -> None:
    share = Share(*pair)
    low, high = share.interval
    assert 0 <= low <= high <= 1 and (not share.of or low - 1e-9 <= share.value <= high + 1e-9)


def test_all_found_and_no_alarm_keeps_every_goal() -> None:
    result = score([FAULT, CLEAN])
    assert (result.found, result.named, result.alarms) == (Share(1, 1), Share(1, 1), Share(0, 1))
    assert result.missed == []


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (replace(FAULT, verdict="met"), "found 50.0%"),
        (replace(FAULT, verdict="unknown"), "found of key-lost, the worst, 50.0%"),
        (replace(FAULT, causes=("stale", "key_lost")), "cause named 50.0%"),
        (replace(FAULT, causes=()), "cause named 50.0%"),
        (replace(CLEAN, verdict="unknown"), "false alarms 1/1"),
    ],
)
def test_a_goal_that_is_missed_is_said(one: Judged, said: str) -> None:
    assert any(goal["en"].startswith(said) for goal in score([FAULT, one]).missed)


def test_a_right_cause_that_is_not_the_first_is_counted_as_what_was_said_instead() -> None:
    (row,) = score([replace(FAULT, causes=("stale", "key_lost")), FAULT]).rows
    assert row.instead == {"stale": 1} and row.named == Share(1, 2) and row.found == Share(2, 2)


def chain_of(folder: Path, label: dict, steps: tuple[str, ...], **changed: object) -> Chain:
    chain = Chain(folder / "calibration.jsonl")
    for step in steps:
        body = {"run": "r", "number": 1}
        if step == "sealed":
            body |= {"commitment": commitment("nonce", LABEL)}
        if step == "judged":
            body |= {"verdict": "not_met"}
        if step == "revealed":
            last = [record for record in chain.records() if record.kind == "calibration.judged"]
            body |= {"label": label, "nonce": "nonce", "judged": last[-1].hash if last else "", **changed}
        chain.append(f"calibration.{step}", body)
    return chain


def test_a_seal_that_was_opened_after_the_verdict_is_whole(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, LABEL, ("sealed", "judged", "revealed"))
    assert broken(chain.records(), "r") == [] and broken(chain.records(), "other") == []


@pytest.mark.parametrize(
    ("label", "steps", "changed"),
    [
        (LABEL | {"kind": "stale"}, ("sealed", "judged", "revealed"), {}),
        (LABEL, ("sealed", "judged", "revealed"), {"nonce": "another"}),
        (LABEL, ("sealed", "judged", "revealed"), {"judged": "0" * 64}),
        (LABEL, ("judged", "sealed", "revealed"), {}),
        (LABEL, ("sealed", "revealed", "judged"), {}),
        (LABEL, ("sealed", "judged"), {}),
        (LABEL, ("sealed", "judged", "judged", "revealed"), {}),
    ],
)
def test_what_does_not_prove_a_blind_verdict_is_named(tmp_path: Path, label: dict, steps, changed: dict) -> None:
    assert broken(chain_of(tmp_path, label, steps, **changed).records(), "r") == [1]


def test_parts_are_put_together_and_a_page_gets_its_table(tmp_path: Path) -> None:
    about = {"run": "r", "seed": 3, "at": "2026-11-26T00:00:00Z", "revision": "abc", "cpus": 2}
    first, second, page = tmp_path / "1.json", tmp_path / "2.json", tmp_path / "page.md"
    results.save(first, about, [FAULT])
    results.save(second, about, [CLEAN])
    read_about, judged = results.load([first, second])
    assert judged == [FAULT, CLEAN] and read_about == [about, about]
    page.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n")
    results.write_page(page, results.page_text(read_about, judged))
    text = page.read_text()
    assert "old" not in text and text.startswith("before\n") and text.endswith("\nafter\n")
    assert "| `key-lost` | the key lost | 1 | 1/1 [21%-100%] | 1/1 [21%-100%] | 1.5 | - |" in text
    assert "Clean runs mixed in: 1, false alarms: 0" in text
    results.write_page(page, results.page_text(read_about, judged))
    assert page.read_text() == text


def test_the_same_case_twice_or_a_strange_file_is_refused(tmp_path: Path) -> None:
    path, strange = tmp_path / "1.json", tmp_path / "strange.json"
    results.save(path, {"seed": 3}, [FAULT])
    strange.write_text(json.dumps({"judged": [{}], "about": {}}))
    for files in ([path, path], [strange], [tmp_path / "absent.json"]):
        with pytest.raises(UsageError):
            results.load(files)
    strange.write_text("no marks")
    with pytest.raises(UsageError):
        results.write_page(strange, "text")


def test_the_evidence_has_the_counts() -> None:
    body = as_body(score([FAULT, CLEAN]))
    assert body["kinds"] == {"key-lost": [1, 1, 1]} and body["false_alarms"] == [0, 1]
