"""A small calibration against real borg: each fault is found and named, clean backups raise no alarm, all blindly.

A failure here means that the drill would miss a fault of a backup, or cry wolf. All kinds, many times:
docs/drill-calibration.md.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import database_bench as bench
import pytest

from egovctl.drill.calibration.run import Judged, Wanted, calibrate
from egovctl.drill.calibration.score import score
from egovctl.drill.calibration.seals import broken
from egovctl.drill.journal import PREFIX
from egovctl.errors import UsageError
from egovctl.evidence import Chain
from egovctl.paths import Inventory

REPOSITORY = Path(__file__).resolve().parents[2]
KINDS = (
    "bit-flip",
    "index-lost",
    "key-lost",
    "stale",
    "subtree-missing",
    "wrong-owner",
    "ransomware",
    "two-hosts",
    "link-cut",
)
LONG = bool(os.environ.get("EGOV_LONG"))
# What a fault is told as has tests of its own (tests/unit/test_drill_*.py); here it is planted and judged blindly.
TRIED = KINDS if LONG else ("bit-flip", "subtree-missing", "stale", "link-cut")
PROGRAMS = (bench.POSTGRESQL / "postgres", bench.PGBACKREST, bench.FAKETIME, bench.MARIADBD, bench.MARIADB)

pytestmark = [
    pytest.mark.skipif(shutil.which("borg") is None, reason="borgbackup is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="worlds have owners and hosts' names of their own"),
]


def run(folder: Path, wanted: Wanted) -> tuple[Chain, str, list[Judged]]:
    inventory = Inventory(folder / "inventories" / "lab")
    chain = Chain(folder / "calibration.jsonl")
    run_id, judged = calibrate(inventory, chain, wanted, folder, lambda one, of: None)
    assert not [path for path in folder.iterdir() if path.name.startswith(PREFIX)]
    return chain, run_id, judged


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the hook, whose state is its own."""
    for name in ("playbooks", "tests"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "inventories" / "lab" / "plan").mkdir(parents=True)
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    return tmp_path


def test_planted_faults_are_found_and_named_and_clean_backups_raise_no_alarm(folder: Path) -> None:
    clean = 2 if LONG else 1
    chain, run_id, judged = run(folder, Wanted(20261126, 1, clean, TRIED))
    result = score(judged)
    wrong = [(one.label["kind"], one.verdict, one.causes, one.reasons, one.label["quirks"]) for one in judged]
    assert result.found.of == len(TRIED) and result.alarms.of == clean
    assert not result.missed, wrong
    assert chain.verify().ok and broken(chain.records(), run_id) == []
    records = list(chain.records())
    assert [record.kind for record in records[:4]] == [
        "calibration.planned",
        "calibration.sealed",
        "calibration.judged",
        "calibration.revealed",
    ]
    before = [record.body for record in records if record.kind in ("calibration.planned", "calibration.sealed")]
    assert not any(kind in json.dumps(before) for kind in TRIED), "a label was on record before it was opened"


@pytest.mark.long
@pytest.mark.skipif(not bench.available(*PROGRAMS), reason="make .tools/.ready was not run")
def test_a_database_of_another_version_and_backups_or_wal_that_ended_long_ago_are_found(folder: Path) -> None:
    kinds = ("pg-version-wrong", "pg-stale", "wal-end-deleted")
    _, _, judged = run(folder, Wanted(20261127, 1, 0, kinds))
    assert not score(judged).missed, [(one.label["kind"], one.verdict, one.causes, one.reasons) for one in judged]


def test_the_same_seed_plants_the_same_and_parts_make_the_whole(folder: Path) -> None:
    kinds = ("key-lost", "passphrase-wrong")
    whole = run(folder, Wanted(7, 1, 0, kinds))[2]
    (folder / "calibration.jsonl").unlink()
    parts = [one for part in (0, 1) for one in run(folder, Wanted(7, 1, 0, kinds, part, 2))[2]]
    assert {one.number: one.label for one in whole} == {one.number: one.label for one in parts}
    assert {one.label["kind"] for one in whole} == set(kinds)


def test_an_unknown_kind_is_a_usage_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="unknown kinds: moths; there are: "):
        run(folder, Wanted(7, 1, 0, ("moths",)))
