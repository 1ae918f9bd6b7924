"""What records name by hash goes to the inspector with them: attachments of statements, results of assessments.

If these fail, an inspector holds a chain of hashes of files that he never sees, or files that nobody put on record.
"""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest
from test_evidence_signed import call, town

from egovctl.assess.named import all_named
from egovctl.assess.run import ASSESSED, folder_of
from egovctl.assess.statements import attachments_dir, state
from egovctl.evidence import Chain
from egovctl.paths import Inventory

__all__ = ["town"]
POLICY, RESULTS = b"%PDF no. 12", b'{"results": []}'


@pytest.fixture
def chain(town: Inventory, tmp_path: Path) -> Chain:
    found = Chain(town.evidence / "control.jsonl")
    policy = tmp_path / "policy.pdf"
    policy.write_bytes(POLICY)
    for item in ("L3-6.1a", "L3-6.2a"):
        state(town, found, item, "met", "issued", "Li Ming", [policy], 30)
    folder_of(town).mkdir()
    (folder_of(town) / "run1.json").write_bytes(RESULTS)
    sha256 = hashlib.sha256(RESULTS).hexdigest()
    found.append(ASSESSED, {"run": "run1", "standard": "mlps-level-3", "results_sha256": sha256})
    return found


def unpacked(folder: Path, *options: str) -> tuple[Path, str]:
    said = call("export", "-o", str(folder / "e.zip"), "--force", *options)
    with zipfile.ZipFile(folder / "e.zip") as bundle:
        bundle.extractall(folder / "e")
    return folder / "e", said


def test_a_bundle_has_the_files_that_its_records_name_when_asked(town: Inventory, chain: Chain, tmp_path: Path) -> None:
    bundle, _ = unpacked(tmp_path)
    assert not (bundle / "named").exists(), "attachments are not for everybody who may have the chain"
    bundle, said = unpacked(tmp_path, "--files")
    assert "attachments and results in it: 2" in said
    assert {path.read_bytes() for path in (bundle / "named").iterdir()} == {POLICY, RESULTS}
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in (bundle / "named").iterdir())
    text = (bundle / "control.jsonl").read_text("utf-8")
    assert all(path.name in text for path in (bundle / "named").iterdir())
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=bundle, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.count("named/") == 2, done.stderr
    first = (tmp_path / "e.zip").read_bytes()
    unpacked(tmp_path, "--files")
    assert (tmp_path / "e.zip").read_bytes() == first


def test_a_file_that_is_not_the_recorded_one_is_left_out_and_named(
    town: Inventory, chain: Chain, tmp_path: Path
) -> None:
    next(attachments_dir(town).iterdir()).write_bytes(b"forged")
    (folder_of(town) / "run1.json").unlink()
    bundle, said = unpacked(tmp_path, "--files")
    assert "left out L3-6.1a policy.pdf" in said and "it is not what the record says" in said
    assert "left out mlps-level-3 run1: it is gone" in said and "attachments and results in it: 0" in said
    assert not (bundle / "named").exists()


def test_a_record_cannot_name_a_file_elsewhere(town: Inventory, tmp_path: Path) -> None:
    chain = Chain(town.evidence / "control.jsonl")
    for sha256 in ("../../control/evidence_ed25519", "/etc/passwd"):
        kept = [{"name": "x", "bytes": 1, "sha256": sha256}]
        body = {"item": "L3-6.1a", "status": "met", "text": "x", "by": "x", "until": "2027-01-01", "attachments": kept}
        chain.append("assess.statement", body)
    assert {one.path.parent for one in all_named(town, [chain])} == {attachments_dir(town)}
    _, said = unpacked(tmp_path, "--files")
    assert "attachments and results in it: 0" in said
