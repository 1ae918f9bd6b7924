"""What a backup says of itself: size, and what changed since the one before.

A failure here means that ransomware's work, or an emptied source, goes into the backups without a word.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from egovctl.drill.signs import is_random

TOOLS = Path(__file__).resolve().parents[2] / "playbooks" / "roles" / "borgmatic" / "files"


class Host:
    def __init__(self, folder: Path) -> None:
        self.data, self.proof, self.textfiles = folder / "srv", folder / "proof", folder / "textfiles"
        for path in (self.data, self.proof, self.textfiles):
            path.mkdir()
        for number in range(20):
            (self.data / f"{number:02}.txt").write_text(f"公文 document {number}\n" * 100)

    def backup(self) -> dict[str, float]:
        environment = {**os.environ, "EGOV_BACKUP_DIR": str(self.proof), "EGOV_TEXTFILE_DIR": str(self.textfiles)}
        for argv in (["egov-backup-manifest", "documents", str(self.data)], ["egov-backup-metrics", "documents"]):
            program = [sys.executable, str(TOOLS / argv[0]), *argv[1:]]
            subprocess.run(program, env=environment, check=True, capture_output=True)
        lines = (self.textfiles / "egov_backup_documents.prom").read_text().splitlines()
        found = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name.removeprefix("egov_backup_").partition("{")[0]: float(value) for name, value in found}

    @property
    def files(self) -> list[Path]:
        return sorted(self.data.iterdir())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_first_backup_says_nothing_of_changes_and_a_quiet_one_says_that_nothing_changed(host: Host) -> None:
    first = host.backup()
    assert first["files"] == 20 and first["random_ratio"] == 0 and "changed_ratio" not in first
    second = host.backup()
    assert [second[name] for name in ("changed_ratio", "vanished_ratio", "turned_random_ratio")] == [0, 0, 0]
    assert second["previous_bytes"] == second["bytes"] == first["bytes"]


def test_files_that_were_encrypted_in_place_show(host: Host) -> None:
    host.backup()
    for path in host.files[:10]:
        path.write_bytes(os.urandom(path.stat().st_size))
    found = host.backup()
    assert (found["changed_ratio"], found["turned_random_ratio"], found["random_ratio"]) == (0.5, 0.5, 0.5)
    assert host.backup()["turned_random_ratio"] == 0, "told once, when it happens"


def test_files_that_are_encrypted_under_another_name_show_as_gone_and_random(host: Host) -> None:
    host.backup()
    for path in host.files[:5]:
        (path.parent / f"{path.name}.locked").write_bytes(os.urandom(4000))
        path.unlink()
    found = host.backup()
    assert (found["vanished_ratio"], found["random_ratio"], found["turned_random_ratio"]) == (0.25, 0.25, 0)


def test_a_source_that_was_emptied_shows(host: Host) -> None:
    host.backup()
    for path in host.files[1:]:
        path.unlink()
    found = host.backup()
    assert found["vanished_ratio"] == 0.95 and found["bytes"] < found["previous_bytes"] / 10


def test_compressed_documents_are_not_taken_for_encrypted_ones(host: Host) -> None:
    (host.data / "a.zip").write_bytes(b"PK\x03\x04" + os.urandom(5000))
    (host.data / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0" + os.urandom(5000))
    (host.data / "short").write_bytes(os.urandom(100))
    assert host.backup()["random_ratio"] == 0


def test_host_and_control_agree_on_what_looks_random(host: Host) -> None:
    cases = [os.urandom(4096) for _ in range(20)] + [zlib.compress(os.urandom(3000))[2:] for _ in range(3)]
    cases += [b"x" * 4096, bytes(range(256)) * 16, "公文交换".encode() * 300, b"\x1f\x8b" + os.urandom(4000)]
    for number, text in enumerate(cases):
        (host.data / f"case-{number:02}").write_bytes(text)
    host.backup()
    listed = json.loads((host.proof / "documents" / "manifest.json").read_text())["files"]
    marked = {Path(item["path"]).name: bool(item.get("random")) for item in listed}
    assert [marked[f"case-{number:02}"] for number in range(len(cases))] == [is_random(text[:4096]) for text in cases]


def test_a_note_that_cannot_be_read_costs_no_backup(host: Host) -> None:
    host.backup()
    (host.proof / ".documents.last").write_text("{")
    assert "changed_ratio" not in host.backup()
    assert host.backup()["changed_ratio"] == 0
