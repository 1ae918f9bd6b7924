"""What an inspector gets: the chains with a program of their own, and, when asked, the files that records name by hash.

If these fail, he cannot verify away from the city, holds hashes of files that he never sees, or files that nobody put
on record.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from test_evidence_signed import Forger, aged, call, canonical, chain_of, mine, new_signer, plan, sealed, town

from egovctl.assess.kept_results import folder_of, keep
from egovctl.assess.named import all_named, unnamed
from egovctl.assess.run import ASSESSED
from egovctl.assess.statements import attachments_dir, state
from egovctl.backups import pruning
from egovctl.evidence import Chain, keys
from egovctl.evidence.signing import Signer
from egovctl.paths import Inventory

__all__ = ["mine", "town"]
POLICY, RESULTS = b"%PDF no. 12", {"results": []}


@pytest.fixture
def chain(town: Inventory, tmp_path: Path) -> Chain:
    found = Chain(town.evidence / "control.jsonl")
    policy = tmp_path / "policy.pdf"
    policy.write_bytes(POLICY)
    for item in ("L3-6.1a", "L3-6.2a"):
        state(town, found, item, "met", "issued", "Li Ming", [policy], 30)
    sha256 = keep(town, "run1", "mlps-level-3", RESULTS)
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
    files = [path.read_bytes() for path in (bundle / "named").iterdir()]
    assert POLICY in files and [json.loads(gzip.decompress(data)) for data in files if data != POLICY] == [RESULTS]
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
    (folder_of(town) / "run1.json.gz").unlink()
    bundle, said = unpacked(tmp_path, "--files")
    assert "left out L3-6.1a policy.pdf" in said and "it is not what the record says" in said
    assert "left out mlps-level-3 run1: it is gone" in said and "attachments and results in it: 0" in said
    assert not (bundle / "named").exists()


def test_what_a_record_names_or_what_is_new_is_not_let_go(town: Inventory, chain: Chain) -> None:
    """Two statements share an attachment: it stays with the younger one."""
    first, second, assessed = chain.records()
    (attachment,), (results,) = attachments_dir(town).iterdir(), folder_of(town).iterdir()
    stray = folder_of(town) / "stray.json.gz"
    stray.write_bytes(b"")
    (folder_of(town) / "of-somebody").mkdir()
    soon, earlier = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(hours=1)
    assert unnamed(town, [first, second, assessed], soon) == [stray]
    assert unnamed(town, [second], soon) == [results, stray]
    assert unnamed(town, [assessed], soon) == [attachment, stray]
    assert unnamed(town, [], earlier) == []


def test_a_record_cannot_name_a_file_elsewhere(town: Inventory, tmp_path: Path) -> None:
    chain = Chain(town.evidence / "control.jsonl")
    for sha256 in ("../../control/evidence_ed25519", "/etc/passwd"):
        kept = [{"name": "x", "bytes": 1, "sha256": sha256}]
        body = {"item": "L3-6.1a", "status": "met", "text": "x", "by": "x", "until": "2027-01-01", "attachments": kept}
        chain.append("assess.statement", body)
    assert {one.path.parent for one in all_named(town, [chain])} == {attachments_dir(town)}
    _, said = unpacked(tmp_path, "--files")
    assert "attachments and results in it: 0" in said


# --- verified without the suite ------------------------------------------------------------------------------------


def inspected(folder: Path, *arguments: str) -> tuple[int, str]:
    """As an inspector has it: the bundle's own program, with a Python that knows nothing of the suite."""
    argv = ["/usr/bin/python3", "-I", str(folder / "verify.py"), str(folder / "control.jsonl"), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def test_an_inspector_verifies_the_bundle_without_the_suite(town: Inventory, tmp_path: Path) -> None:
    call("key")
    chain = chain_of(town)
    keys.checkpoint(chain, keys.signer(town))
    call("digest", "sm3")
    call("rotate-key")
    keys.checkpoint(chain, keys.signer(town))
    target, folder = tmp_path / "evidence.zip", tmp_path / "bundle"
    said = call("export", "-o", str(target))
    public, head = keys.enrolled_key(town), str(chain.head())
    assert public in said and head in said
    again = tmp_path / "again.zip"
    call("export", "-o", str(again))
    assert again.read_bytes() == target.read_bytes()
    with zipfile.ZipFile(target) as bundle:
        bundle.extractall(folder)
    assert inspected(folder, public, head) == (
        0,
        f"whole / 完整: head {head}, signed up to record 6 with {public}\nnothing was changed / 没有改动\n",
    )
    openssl = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in control.checkpoint -sigfile control.sig"
    by_hand = f"sha256sum -c SHA256SUMS && {openssl}"
    assert openssl in (folder / "README.txt").read_text()
    done = subprocess.run(by_hand, shell=True, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Signature Verified Successfully" in done.stdout, done.stderr
    code, out = inspected(folder, new_signer().public)
    assert code == 1 and "not with the known one" in out
    assert inspected(folder, public, f"3:{'a' * 64}")[0] == 1
    code, out = inspected(folder, public, f"30:{'a' * 64}")
    assert (code, out) == (1, "NOT WHOLE / 不完整: the tail was cut: 30 records were known, 7 are here\n")
    text = (folder / "control.jsonl").read_bytes().splitlines()
    theirs = Forger(text, new_signer())
    for edit in (
        text[1:],
        [*text[:2], canonical(json.loads(text[2]) | {"kind": "x"}), *text[3:]],
        [text[1], text[0], *text[2:]],
        [*text[:2], b"rubbish", *text[2:]],
        [*text[:2], *text[3:]],
        theirs.relinked(text[:4], 0),
    ):
        (folder / "control.jsonl").write_bytes(b"\n".join(edit) + b"\n")
        assert inspected(folder, public, head)[0] == 1
    assert len((folder / "verify.py").read_text().splitlines()) < 100


def test_an_inspector_verifies_what_is_left_after_pruning(
    tmp_path: Path, mine: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from egovctl.evidence.export import export

    chain = aged(tmp_path / "control.jsonl", mine, monkeypatch)
    found = plan(chain, sealed(chain, 12))
    assert found is not None
    pruning.prune(chain, found, mine)
    heads = export([chain], mine.public, tmp_path / "e.zip")
    with zipfile.ZipFile(tmp_path / "e.zip") as bundle:
        bundle.extractall(tmp_path / "e")
    assert inspected(tmp_path / "e", mine.public, str(heads["control"]))[0] == 0
    code, out = inspected(tmp_path / "e", mine.public, str(heads["control"]), f"3:{'a' * 64}")
    assert code == 0 and "未核对: [3]" in out, "what was let go lawfully is no fault"
    assert inspected(tmp_path / "e", mine.public, f"{found.first}:{'a' * 64}")[0] == 1
    assert inspected(tmp_path / "e", mine.public, f"{found.first}:{found.before}")[0] == 0
    lines = chain.path.read_bytes().splitlines()
    (tmp_path / "e" / "control.jsonl").write_bytes(b"\n".join(lines[:-1]) + b"\n")
    assert inspected(tmp_path / "e", mine.public)[0] == 1


def test_a_bundle_that_cannot_be_written_leaves_nothing(town: Inventory, tmp_path: Path) -> None:
    chain_of(town)
    assert "there is no folder" in call("export", "-o", str(tmp_path / "none" / "e.zip"), code=2)
    there = tmp_path / "there.zip"
    there.touch()
    assert "--force replaces it" in call("export", "-o", str(there), code=2) and there.read_bytes() == b""
    call("export", "-o", str(there), "--force")
    assert zipfile.is_zipfile(there)
    there.unlink()
    assert "no evidence by writer nobody" in call("export", "-o", str(tmp_path / "e.zip"), "--writer", "nobody", code=2)
    assert not list(tmp_path.glob("*.zip"))
