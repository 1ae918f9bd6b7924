"""What control noted when it signed last: a chain that was written anew, or is gone, is not taken for a young one.

If these fail, who writes the evidence anew leaves out the signatures, and the next hourly checkpoint signs it for him.
"""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
from test_evidence_signed import Forger, call, canonical, chain_of, log_line, new_signer, town

from egovctl.errors import CannotMeasure
from egovctl.evidence import Chain, Head, keys, noted
from egovctl.evidence.signing import CHECKPOINT, PRUNED, Signer
from egovctl.paths import Inventory

__all__ = ["town"]


def stripped(chain: Chain, signer: Signer) -> list[bytes]:
    """All written anew, with good links and without one signature."""
    lines = [line for line in chain.path.read_bytes().splitlines() if CHECKPOINT.encode() not in line]
    return Forger(lines, signer).relinked(lines, 0)


def test_a_chain_that_lost_all_its_signatures_shows_and_is_not_signed_again(town: Inventory) -> None:
    call("key")
    chain, signer = chain_of(town, 6), keys.signer(town)
    keys.checkpoint(chain, signer)
    keys.checkpoint(chain, signer)
    assert "the chain is whole" in call("verify")
    good = chain.path.read_bytes()
    forged = stripped(chain, signer)
    forged[2] = canonical(json.loads(forged[2]) | {"body": {"number": 0}})
    chain.path.write_bytes(b"\n".join(Forger(forged, signer).relinked(forged, 2)) + b"\n")
    said = call("verify", code=1)
    assert "the tail was cut: 8 records were known, 6 are here" in said and "head when it was last signed 8:" in said
    for number in (7, 8):
        chain.append("test", {"number": number})
    assert "was rewritten" in call("verify", code=1)
    with pytest.raises(CannotMeasure, match="is not the chain that was signed last"):
        keys.checkpoint(chain, signer)
    chain.path.write_bytes(good)
    keys.checkpoint(chain, signer)
    # To go on with another chain is for a person to decide, by a file that the sentence names.
    chain.path.write_bytes(b"\n".join(forged) + b"\n")
    (town.state / "control" / "evidence_signed" / "control").unlink()
    assert keys.checkpoint(chain, signer).kind == CHECKPOINT


def test_a_new_key_does_not_sign_for_a_chain_that_was_rewritten_since(town: Inventory) -> None:
    call("key")
    chain, signer = chain_of(town, 3), keys.signer(town)
    keys.checkpoint(chain, signer)
    early = chain.path.read_bytes()
    chain.append("test", {"number": 9})
    keys.checkpoint(chain, signer)
    good = chain.path.read_bytes()
    chain.path.write_bytes(early)
    chain.append("test", {"number": -9})
    with pytest.raises(CannotMeasure, match="is not the chain that was signed last"):
        keys.rotate(town)
    chain.path.write_bytes(good)
    keys.rotate(town)
    assert "the chain is whole" in call("verify")


def test_what_was_signed_last_is_no_head_from_elsewhere(town: Inventory) -> None:
    call("key")
    chain = chain_of(town)
    keys.checkpoint(chain, keys.signer(town))
    assert "only a head kept elsewhere" in call("verify")
    assert "heads from elsewhere that agree: 1," in call("verify", "--anchor", str(chain.head()))
    note = town.state / "control" / "evidence_signed" / "control"
    note.write_text("4:zz")
    assert f"{note} cannot be read: it is no head" in call("verify", code=3)


def test_a_chain_that_was_pruned_since_is_signed(tmp_path: Path) -> None:
    chain, signer = Chain(tmp_path / "control.jsonl"), new_signer()
    records = [chain.append("test", {"number": number}) for number in range(6)]
    early = Head(2, records[1].hash)
    assert noted.holds(chain.path, early) and not noted.holds(chain.path, Head(2, records[2].hash))
    assert not noted.holds(chain.path, Head(9, "a" * 64)), "cut"
    keys.sign(chain, signer, PRUNED, {"first": 4, "before": records[3].hash, "count": 4, "archive": "x"})
    chain.cut_front(4)
    assert noted.holds(chain.path, early), "before what is kept: nobody can tell from it"
    chain.path.unlink()
    assert not noted.holds(chain.path, early)


def test_a_full_disk_is_said_and_leaves_the_note_before(town: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    call("key")
    chain, signer = chain_of(town), keys.signer(town)
    keys.checkpoint(chain, signer)
    before = noted.noted(keys.key_file(town), "control")

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(CannotMeasure, match=r"could not be noted in .*/evidence_signed/control: No space left"):
            keys.checkpoint(chain, signer)
    assert noted.noted(keys.key_file(town), "control") == before and "the chain is whole" in call("verify")
    assert keys.checkpoint(chain, signer).seq == 5


def test_evidence_that_is_gone_is_not_begun_anew(town: Inventory, tmp_path: Path) -> None:
    call("key")
    chain = chain_of(town)
    log = tmp_path / "day.log"
    log.write_text(log_line(chain.head()))
    keys.checkpoint(chain, keys.signer(town))
    other = Chain(town.evidence / "calibration.jsonl", writer="calibration")
    other.append("test", {})
    chain.path.unlink()
    for arguments in ((), ("--anchor", f"syslog:{log}"), ("--anchor", f"7:{'a' * 64}")):
        assert "the evidence of control is gone" in call("verify", *arguments, code=1)
    (gone,) = [row for row in json.loads(call("verify", "--format", "json", code=1)) if row.get("gone")]
    assert gone["writer"] == "control" and gone["ok"] is False
    other.path.unlink()
    said = call("verify", code=1)
    assert "bring it back from the sealed state, and assess nothing before that" in said
    shutil.rmtree(town.state / "control" / "evidence_signed")
    assert "run egovctl assess run as-planned -i town first" in call("verify", code=3)
    assert "there is no writer nobody" in call("verify", "--writer", "nobody", code=2)


def test_records_of_two_writers_are_shown_by_time(town: Inventory) -> None:
    chain = chain_of(town, 2)
    Chain(town.evidence / "calibration.jsonl", writer="calibration").append("test", {})
    chain.append("test", {})
    rows = [line.split()[:2] for line in call("show").splitlines() if line.lstrip().startswith(("control", "calib"))]
    assert rows == [["control", "0"], ["control", "1"], ["calibration", "0"], ["control", "2"]]
    assert "(UTC+8)" in call("show") and "writer" not in call("show", "--writer", "control")
