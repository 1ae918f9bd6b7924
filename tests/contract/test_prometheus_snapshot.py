"""The copy of Prometheus' data that goes into the backups: whole blocks, a log that is read, made in one step.

If it fails, the NOC's years of measurements are in the backup in a form that no Prometheus opens.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = PROJECT / "playbooks" / "roles" / "noc" / "files" / "egov-prometheus-snapshot"
promtool = shutil.which("promtool") or str(PROJECT / ".tools/usr/bin/promtool")
SAMPLES = "# HELP x x\n# TYPE x gauge\n{}# EOF\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with three blocks, of which one is half made, and a write-ahead log of three segments."""
    text = tmp_path / "samples"
    text.write_text(SAMPLES.format("".join(f"x {n} {1_700_000_000 + n * 60}\n" for n in range(400))))
    source = tmp_path / "metrics2"
    argv = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(source)]
    subprocess.run(argv, check=True, capture_output=True)
    (source / f"{'0' * 26}.tmp-for-creation").mkdir()
    (source / "01BX5ZZKBKACTAV9WEVGEMMVRZ").mkdir()
    (source / "wal" / "checkpoint.00000001").mkdir(parents=True)
    (source / "wal" / "checkpoint.00000001" / "00000000").write_bytes(b"c" * 100)
    (source / "wal" / "checkpoint.00000009.tmp").mkdir()
    for number in (2, 3, 4):
        (source / "wal" / f"{number:08}").write_bytes(bytes([number]) * 100)
    (source / "lock").touch()
    return source


def run(source: Path, check: bool = True) -> tuple[Path, subprocess.CompletedProcess[str]]:
    target = source.parent / "egov-snapshot"
    ways = {**os.environ, "EGOV_PROMETHEUS_DATA": str(source), "EGOV_PROMETHEUS_SNAPSHOT": str(target)}
    done = subprocess.run([sys.executable, str(PROGRAM)], env=ways, capture_output=True, text=True, check=check)
    return target, done


def blocks(folder: Path) -> list[str]:
    done = subprocess.run([promtool, "tsdb", "list", str(folder)], capture_output=True, text=True, check=True)
    return sorted(line.split()[0] for line in done.stdout.splitlines()[1:])


def test_a_snapshot_has_the_same_blocks_and_log_and_nothing_half_made(data: Path) -> None:
    expected = sorted(path.parent.name for path in data.glob("*/meta.json"))
    target, _ = run(data)
    assert len(expected) >= 3 and blocks(target) == expected
    assert sorted(path.name for path in target.iterdir()) == [*expected, "wal"]
    assert sorted(path.name for path in (target / "wal").iterdir()) == [
        "00000002", "00000003", "00000004", "checkpoint.00000001",
    ]  # fmt: skip


def test_what_is_written_later_changes_nothing_of_it(data: Path) -> None:
    target, _ = run(data)
    with (data / "wal" / "00000004").open("ab") as stream:
        stream.write(b"later")
    assert (target / "wal" / "00000004").stat().st_size == 100
    assert (target / "wal" / "00000002").samefile(data / "wal" / "00000002"), "the rest costs a name each"
    shutil.rmtree(next(data.glob("0*/meta.json")).parent)
    assert len(blocks(target)) >= 3, "and what Prometheus lets go stays in it"


def test_the_next_one_takes_its_place_and_a_missing_source_keeps_the_last(data: Path) -> None:
    run(data)
    (data / "wal" / "00000005").write_bytes(b"new")
    target, _ = run(data)
    assert (target / "wal" / "00000005").exists()
    shutil.rmtree(data)
    _, done = run(data, check=False)
    assert done.returncode == 1 and "metrics2: No such file" in done.stderr
    assert (target / "wal" / "00000005").exists() and len(blocks(target)) >= 3
