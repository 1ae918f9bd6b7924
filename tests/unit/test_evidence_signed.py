"""Signed evidence against root on the machine that writes it, who has not the heads that were kept elsewhere.

If a test here fails, somebody can change what an inspector reads, and no verification says so.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from egovctl import i18n
from egovctl.backups import pruning
from egovctl.backups.register import first_needed
from egovctl.commands.evidence import evidence
from egovctl.errors import CannotMeasure, JudgedFailure, UsageError
from egovctl.evidence import Chain, Head, anchors, keys, noted
from egovctl.evidence import chain as chain_module
from egovctl.evidence.anchors import Anchor
from egovctl.evidence.record import Record, parse
from egovctl.evidence.signing import CHECKPOINT, KEY, MARKS, PRUNED, Signer, _openssh, fingerprint, rotated
from egovctl.evidence.verify import Verdict, verify_lines
from egovctl.paths import Inventory

LENGTH, EVERY = 24, 5
LAB = Path(__file__).resolve().parents[2] / "inventories" / "lab"
LONG = bool(os.environ.get("EGOV_LONG"))
ROUNDS, EDITS = (20, 2_500) if LONG else (1, 400)


def new_signer() -> Signer:
    private = Ed25519PrivateKey.generate()
    return Signer(private, _openssh(private.public_key().public_bytes_raw()))


def filled(path: Path, signer: Signer, length: int = LENGTH, digest: str = "") -> Chain:
    chain = Chain(path, plan_revision="abc")
    for number in range(length):
        if number % EVERY == EVERY - 1:
            keys.checkpoint(chain, signer)
        else:
            chain.append("test", {"number": number, "名": "值"}, digest_name=digest)
    return chain


# --- root edits -----------------------------------------------------------------------------------------------------


def canonical(data: dict[str, object]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Forger:
    """Root on control: has the file, can write any line and make any hash, and signs with `signer`."""

    def __init__(self, lines: list[bytes], signer: Signer) -> None:
        self.lines, self.signer = lines, signer

    def relinked(self, lines: list[bytes], begin: int) -> list[bytes]:
        """All lines from `begin` on with new numbers and links, and signed anew."""
        done = lines[:begin]
        for line in lines[begin:]:
            data = json.loads(line)
            data["seq"], data["prev"] = len(done), hashlib.sha256(done[-1]).hexdigest() if done else "0" * 64
            if data["kind"] == CHECKPOINT:
                data["body"] = {"key": self.signer.public}
                mark = base64.b64encode(self.signer.private.sign(canonical(data))).decode()
                data["body"]["signature"] = mark
            done.append(canonical(data))
        return done

    def edit(self, dice: random.Random) -> tuple[str, list[bytes], int]:
        """What was done, the lines after it, and the number of the first record that is another one."""
        kind = dice.choice(("change", "drop", "swap", "insert", "cut", "flip", "time"))
        where, result = dice.randrange(len(self.lines)), list(self.lines)
        if kind == "change":
            result[where] = canonical(
                json.loads(result[where]) | {"body": {"number": -dice.randrange(1, 9999)}, "kind": "x"}
            )
        elif kind == "time":
            result[where] = canonical(json.loads(result[where]) | {"at": f"2001-01-{dice.randrange(10, 29)}T00:00:00Z"})
        elif kind == "drop":
            del result[where]
        elif kind == "cut":
            return kind, result[:where], where
        elif kind == "swap":
            other = dice.choice([place for place in range(len(result)) if place != where])
            result[where], result[other] = result[other], result[where]
            where = min(where, other)
        elif kind == "insert":
            result.insert(where, canonical(json.loads(result[dice.randrange(len(result))]) | {"kind": "forged"}))
        else:
            spoiled = bytearray(result[where])
            spoiled[dice.randrange(len(spoiled))] ^= 1 << dice.randrange(7)
            result[where] = bytes(spoiled).replace(b"\n", b"x")
            return kind, result, where
        if dice.random() < 0.7:
            return f"{kind}, all signed anew", self.relinked(result, where), where
        return kind, result, where


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test asks for in Chinese, the next one begins in English."""
    i18n.set_language("en")
    yield
    i18n.set_language(None)


@pytest.fixture(scope="module")
def mine() -> Signer:
    return new_signer()


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory, mine: Signer) -> list[bytes]:
    return filled(tmp_path_factory.mktemp("signed") / "control.jsonl", mine).path.read_bytes().splitlines()


def heads_after(lines: list[bytes], counts: set[int]) -> list[Head]:
    return [Head(count, parse(lines[count - 1]).hash) for count in sorted(counts)]


def judge(lines: list[bytes], heads: list[Head], key: str = "") -> Verdict:
    return verify_lines(lines, unterminated=False, writer="control", heads=heads, key=key)


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("whose", ["the key itself", "another key"])
def test_whatever_root_does_is_found_and_the_first_bad_record_named(
    lines: list[bytes], mine: Signer, whose: str, number: int
) -> None:
    """100,000 edits in the long run. Heads are kept elsewhere after each checkpoint, and at the end."""
    forger = Forger(lines, mine if whose == "the key itself" else new_signer())
    kept = heads_after(lines, {*range(EVERY, LENGTH, EVERY), LENGTH})
    dice, found = random.Random(f"{whose} {number}"), 0
    for _ in range(EDITS if LONG else EDITS // 2):
        what, after, first = forger.edit(dice)
        if after == lines:
            continue
        # A record that happens to be signed and placed as it was is no edit; where they part is what counts.
        first = next(
            (place for place, (a, b) in enumerate(zip(after, lines, strict=False)) if a != b), min(len(after), LENGTH)
        )
        verdict = judge(after, kept, mine.public)
        assert not verdict.ok, (what, first)
        low, high = verdict.suspects[0], verdict.suspects[-1]
        assert low <= first <= high and high - low <= EVERY, (what, first, verdict)
        assert verdict.reason and verdict.line
        found += 1
    assert found > EDITS // 3


def test_nothing_is_said_against_what_is_as_it_was(lines: list[bytes], mine: Signer) -> None:
    verdict = judge(lines, heads_after(lines, set(range(1, LENGTH + 1))), mine.public)
    assert verdict.ok and verdict.checked == LENGTH and verdict.key == mine.public
    assert verdict.signed == 19 and verdict.suspects == ()


def test_without_heads_another_s_signature_shows_and_the_key_s_own_does_not(lines: list[bytes], mine: Signer) -> None:
    """What docs/evidence.md says of an attacker who has the key: only heads elsewhere show it."""
    changed = [*lines[:2], canonical(json.loads(lines[2]) | {"kind": "forged"}), *lines[3:]]
    assert judge(Forger(lines, mine).relinked(changed, 2), [], mine.public).ok
    verdict = judge(Forger(lines, new_signer()).relinked(changed, 2), [], mine.public)
    assert not verdict.ok and "somebody else signed" in verdict.reason and verdict.suspects == (0, 4)
    changed = [*lines[:12], canonical(json.loads(lines[12]) | {"kind": "forged"}), *lines[13:]]
    verdict = judge(Forger(lines, new_signer()).relinked(changed, 12), [], mine.public)
    assert not verdict.ok and "signed with another key" in verdict.reason and verdict.suspects == (10, 14)


def test_a_long_chain_is_verified_in_seconds(tmp_path: Path, mine: Signer) -> None:
    length = 100_000 if LONG else 10_000
    forger = Forger([], mine)
    plain = [
        canonical(json.loads(line)) for line in filled(tmp_path / "c.jsonl", mine, 5).path.read_bytes().splitlines()
    ]
    long = forger.relinked([plain[number % 5] for number in range(length)], 0)
    begun = time.process_time()
    verdict = verify_lines(long, unterminated=False, writer="c", heads=heads_after(long, {length}), key=mine.public)
    seconds = time.process_time() - begun
    print(f"\n{length} records, a fifth of them signed, {sum(map(len, long)) >> 20} MB: {seconds:.1f} s")
    assert verdict.ok and seconds < length * 4e-4


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    project = tmp_path / "project"
    (project / "inventories" / "town" / "plan").mkdir(parents=True)
    (project / "inventories" / "town" / "plan" / "city.yml").touch()
    (project / "ansible.cfg").touch()
    monkeypatch.setenv("EGOV_PROJECT", str(project))
    monkeypatch.setenv("EGOV_LANG", "en")
    return Inventory.find("town")


def call(*arguments: str, code: int = 0) -> str:
    i18n.set_language("en")
    done = CliRunner().invoke(evidence, [*arguments, "-i", "town"])
    if isinstance(done.exception, CannotMeasure | UsageError | JudgedFailure):
        assert done.exception.exit_code == code, done.exception
        return str(done.exception)
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def chain_of(town: Inventory, length: int = 3) -> Chain:
    chain = Chain(town.evidence / "control.jsonl")
    for number in range(length):
        chain.append("test", {"number": number})
    return chain


def test_the_key_is_made_once_private_and_its_public_half_enrolled(town: Inventory) -> None:
    said = call("key")
    path = keys.key_file(town)
    assert path.stat().st_mode & 0o777 == 0o600
    public = keys.enrolled_key(town)
    assert public in said and "commit it" in said and fingerprint(public) in said
    shown = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], capture_output=True, text=True, check=True).stdout
    assert fingerprint(public) in shown
    assert "commit" not in call("key") and keys.enrolled_key(town) == public
    chain = chain_of(town)
    keys.checkpoint(chain, keys.signer(town))
    assert f"key {fingerprint(public)} (enrolled)" in call("verify")


def test_a_change_of_keys_is_in_the_chain_and_signed_by_both(town: Inventory) -> None:
    call("key")
    chain, first = chain_of(town), keys.signer(town)
    keys.checkpoint(chain, first)
    call("rotate-key")
    second = keys.signer(town)
    assert second.public != first.public and keys.enrolled_key(town) == second.public
    assert keys.key_file(town).stat().st_mode & 0o777 == 0o600
    keys.checkpoint(chain, second)
    verdict = chain.verify(key=second.public)
    assert verdict.ok and verdict.key == second.public and verdict.lost == ()
    record = next(item for item in chain.records() if item.kind == KEY)
    assert (record.body["from"], record.body["to"]) == (first.public, second.public)
    with pytest.raises(CannotMeasure, match="nothing was written"):
        keys.checkpoint(chain, first)
    assert chain.head().count == 6 and chain.verify().ok


def test_a_rotation_that_was_interrupted_goes_on(town: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    call("key")
    chain, other = chain_of(town), Chain(town.evidence / "other.jsonl")
    other.append("test", {})
    for item in (chain, other):
        keys.checkpoint(item, keys.signer(town))
    real = Chain.append

    def full(self: Chain, kind: str, body: object, **more: str) -> Record:
        if self.writer == "other" and kind == KEY:
            raise CannotMeasure("the disk is full")
        return real(self, kind, body, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Chain, "append", full)
    call("rotate-key", code=3)
    monkeypatch.undo()
    monkeypatch.setenv("EGOV_PROJECT", str(town.root.parents[1]))
    assert "was interrupted: run egovctl evidence rotate-key -i town again" in call("checkpoint", code=3)
    call("rotate-key")
    for item in (chain, other):
        keys.checkpoint(item, keys.signer(town))
        verdict = item.verify(key=keys.enrolled_key(town))
        assert verdict.ok and [record.kind for record in item.records()].count(KEY) == 1


def test_a_lost_key_is_replaced_and_that_is_said_for_ever(town: Inventory) -> None:
    call("key")
    chain = chain_of(town)
    keys.checkpoint(chain, keys.signer(town))
    assert "is there: run this without --lost" in call("rotate-key", "--lost", code=2)
    keys.key_file(town).unlink()
    assert "is not in" in call("key", code=3) and "cannot be read" not in call("rotate-key", code=3)
    call("rotate-key", "--lost")
    assert "record 4 changed the key without the old key's signature" in call("verify")
    assert "记录 4 换了密钥而没有旧密钥的签名" in call("verify", "--lang", "zh")


def test_a_key_that_somebody_else_brought_in_is_not_the_enrolled_one(town: Inventory) -> None:
    call("key")
    chain, theirs = chain_of(town), new_signer()
    keys.checkpoint(chain, keys.signer(town))
    chain.append(KEY, rotated(None, theirs, keys.enrolled_key(town)))
    keys.checkpoint(chain, theirs)
    assert "from record 4 on the key" in call("verify", code=1)


def short(data: bytes) -> bytes:
    return data[: len(data) // 2]


BAD_KEYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "open to others": (lambda path: path.chmod(0o644), "can be read by others"),
    "no key": (lambda path: path.write_bytes(short(path.read_bytes())), "is no Ed25519 private key"),
    "empty": (lambda path: path.write_bytes(b""), "is no Ed25519 private key"),
    "a folder": (lambda path: (path.unlink(), path.mkdir(mode=0o700)), "cannot be read"),
    "RSA": (
        lambda path: (
            path.unlink(),
            subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(path)], input=b"y\n"),
        ),
        "is no Ed25519 private key",
    ),
}


@pytest.mark.parametrize("fault", BAD_KEYS)
def test_a_bad_key_signs_nothing(town: Inventory, fault: str) -> None:
    call("key")
    plant, words = BAD_KEYS[fault]
    plant(keys.key_file(town))
    chain = chain_of(town)
    with pytest.raises(CannotMeasure, match=words):
        keys.checkpoint(chain, keys.signer(town))
    assert chain.head().count == 3


def test_the_wrong_key_signs_nothing(town: Inventory) -> None:
    call("key")
    chain = chain_of(town)
    keys.checkpoint(chain, new_signer())
    with pytest.raises(CannotMeasure, match="bring the former key back"):
        keys.checkpoint(chain, keys.signer(town))
    assert chain.head().count == 4


# --- digests --------------------------------------------------------------------------------------------------------


def test_sm3_goes_on_from_sha256_and_each_record_says_what_it_is(town: Inventory) -> None:
    chain = chain_of(town)
    assert "sm3 from record 3 on" in call("digest", "sm3")
    assert "uses sm3 already" in call("digest", "sm3")
    chain.append("test", {"after": 1})
    keys.checkpoint(chain, new_signer())
    records = list(chain.records())
    assert [record.digest for record in records] == ["sha256"] * 3 + ["sm3"] * 3
    text = chain.path.read_bytes().splitlines()
    assert records[4].prev == hashlib.new("sm3", text[3]).hexdigest()
    assert chain.verify(chain.head()).ok
    text[4] = canonical(json.loads(text[4]) | {"body": {"after": 2}})
    chain.path.write_bytes(b"\n".join(text) + b"\n")
    assert chain.verify().suspects == (4, 5) or chain.verify().suspects == (4,)


def test_a_chain_of_the_time_before_digests_and_keys_goes_on(tmp_path: Path, mine: Signer) -> None:
    old = []
    for number in range(3):
        prev = hashlib.sha256(old[-1]).hexdigest() if old else "0" * 64
        data = {"seq": number, "at": "2026-01-01T00:00:00.000Z", "writer": "control", "kind": "drill.result"}
        data |= {"suite_version": "0.1.0", "plan_revision": "r", "body": {"x": 1.5, "名": "值"}, "prev": prev}
        old.append(canonical(data))
    path = tmp_path / "control.jsonl"
    path.write_bytes(b"\n".join(old) + b"\n")
    chain = Chain(path)
    assert chain.verify().ok and chain.head().count == 3
    keys.checkpoint(chain, mine)
    assert chain.verify(key=mine.public).ok and path.read_bytes().startswith(b"\n".join(old))
    assert chain.verify(Head(3, hashlib.sha256(old[-1]).hexdigest())).ok


def test_a_digest_that_nobody_knows_is_no_record(lines: list[bytes]) -> None:
    verdict = judge([canonical(json.loads(lines[0]) | {"digest": "md5"})], [])
    assert not verdict.ok and "its digest is not a known one" in verdict.reason


# --- heads from elsewhere -------------------------------------------------------------------------------------------


def log_line(head: object, inventory: str = "town", writer: str = "control") -> str:
    said = f"inventory={inventory} writer={writer} head={head}"
    return f"<37>1 2026-11-26T10:00:00.123456+08:00 noc egov-evidence - - -  {said}\n"


NOISE = "<38>1 2026-11-26T10:00:00.1+08:00 noc sshd 71 - -  session opened; egov-evidence is a word here\n"


def test_heads_in_the_noc_s_logs_show_a_cut_tail_and_a_chain_that_was_written_anew(town: Inventory) -> None:
    call("key")
    chain, folder = chain_of(town, 4), town.state / "logs"
    folder.mkdir()
    early = chain.head()
    keys.checkpoint(chain, keys.signer(town))
    with gzip.open(folder / "2026-11-25.log.gz", "wt") as stream:
        stream.write(NOISE + log_line(early) + log_line(Head(9, "0" * 64), inventory="elsewhere"))
    (folder / "2026-11-26.log").write_text(log_line(chain.head()) + NOISE)
    for where in (folder, folder / "2026-11-26.log", folder / "2026-11-25.log.gz"):
        assert "heads from elsewhere that agree" in call("verify", "--anchor", f"syslog:{where}")
    assert "heads from elsewhere that agree: 2, the newest of 5 records" in call(
        "verify", "--anchor", f"syslog:{folder}"
    )
    whole = chain.path.read_bytes().splitlines()
    chain.path.write_bytes(b"\n".join(whole[:4]) + b"\n")
    assert "the tail was cut: 5 records were known, 4 are here" in call(
        "verify", "--anchor", f"syslog:{folder}", code=1
    )
    forged = [*whole[:1], canonical(json.loads(whole[1]) | {"kind": "forged"}), *whole[2:]]
    chain.path.write_bytes(b"\n".join(Forger(whole, keys.signer(town)).relinked(forged, 1)) + b"\n")
    assert "record 4 is not the one that was known" in call("verify", code=1)
    # Root has what control noted, too: only what is elsewhere tells.
    noted.note(keys.key_file(town), "control", chain.head())
    call("verify")
    said = call("verify", "--anchor", f"syslog:{folder}", code=1)
    assert "from somewhere between 0 and 3 on all was rewritten" in said and f"{chain.path} line 4" in said
    said = call("verify", "--lang", "zh", "--anchor", f"syslog:{folder}", code=1)
    assert "记录 0 至 3 之间起被重写" in said


def test_a_sealed_copy_names_the_very_record(town: Inventory, tmp_path: Path) -> None:
    call("key")
    chain = chain_of(town, 6)
    shutil.copytree(town.evidence, tmp_path / "restored")
    whole = chain.path.read_bytes().splitlines()
    forged = [*whole[:3], canonical(json.loads(whole[3]) | {"kind": "forged"}), *whole[4:]]
    chain.path.write_bytes(b"\n".join(Forger(whole, keys.signer(town)).relinked(forged, 3)) + b"\n")
    assert "record 3 is not the one that was known" in call(
        "verify", "--anchor", f"repository:{tmp_path / 'restored'}", code=1
    )
    damaged = tmp_path / "restored" / "control.jsonl"
    damaged.write_bytes(b"\n".join(whole[1:]) + b"\n")
    said = call("verify", "--anchor", f"repository:{damaged}", code=3)
    assert "the sealed copy is not whole itself" in said and f"{damaged}:1:" in said


def test_heads_in_metrics(town: Inventory, tmp_path: Path) -> None:
    from egovctl.checks.metrics import exposition

    chain = chain_of(town)
    page = tmp_path / "egov_checks.prom"
    page.write_text(exposition(chain.records(), {"control": chain.head()}))
    assert "heads from elsewhere that agree: 1," in call("verify", "--anchor", f"metric:{page}")
    page.write_text(page.read_text().replace('records="3"', 'records="4"'))
    assert "4 records were known, 3 are here" in call("verify", "--anchor", f"metric:{page}", code=1)


def test_a_chain_that_is_gone_altogether_shows(town: Inventory, tmp_path: Path) -> None:
    chain_of(town)
    log = tmp_path / "day.log"
    log.write_text(log_line(Head(7, "a" * 64), writer="calibration"))
    assert "the evidence of calibration is gone" in call("verify", "--anchor", f"syslog:{log}", code=1)


BAD_ANCHORS: dict[str, tuple[str, str, int]] = {
    "no file": ("syslog:no-such-folder/day.log", "no-such-folder/day.log cannot be read: No such file", 3),
    "no file of metrics": ("metric:no-such.prom", "no-such.prom cannot be read", 3),
    "no copy": ("repository:no-such-folder", "no-such-folder cannot be read", 3),
    "a word": ("syslog", "is no anchor: write syslog:FILE", 2),
    "nothing after it": ("syslog:", "wants a file", 2),
    "another kind": ("ftp:x", "is no anchor", 2),
    "no hash": ("5:zz", "is no anchor", 2),
    "hash of other signs": (f"3:{'g' * 64}", "is no anchor", 2),
}


@pytest.mark.parametrize("name", BAD_ANCHORS)
def test_a_bad_anchor_is_said_in_a_sentence(town: Inventory, name: str) -> None:
    chain_of(town)
    anchor, words, code = BAD_ANCHORS[name]
    assert words in call("verify", "--anchor", anchor, code=code)


def test_a_log_with_a_damaged_head_names_file_and_line(town: Inventory, tmp_path: Path) -> None:
    chain_of(town)
    log = tmp_path / "day.log"
    log.write_text(NOISE + log_line("3:abc"))
    assert f"{log}:2: '3:abc' is not a head" in call("verify", "--anchor", f"syslog:{log}", code=3)
    log.write_text(NOISE)
    assert f"there is no head in {log}" in call("verify", "--anchor", f"syslog:{log}", code=3)
    packed = tmp_path / "day.log.gz"
    packed.write_bytes(gzip.compress(log_line("3:abc").encode())[:-12])
    assert f"{packed} cannot be read" in call("verify", "--anchor", f"syslog:{packed}", code=3)


def test_what_is_told_to_the_noc_is_what_is_read_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from egovctl.backups import witness
    from egovctl.checks.context import open_context

    context, sent = open_context(Inventory(LAB)), []

    def run(inventory: Inventory, host: str, argv: list[str], *, input: bytes) -> subprocess.CompletedProcess[bytes]:
        sent.append((host, argv, input.decode()))
        return subprocess.CompletedProcess(argv, 0, b"", b"")

    monkeypatch.setattr(witness.transport, "run", run)
    heads = {"calibration": Head(3, "a" * 64), "control": Head(7, "b" * 64)}
    assert witness.tell(context, heads) == "noc"
    ((host, argv, text),) = sent
    assert host == "noc" and argv[:3] == ["logger", "-t", "egov-evidence"] and text.count("\n") == 2
    log = tmp_path / "day.log"
    log.write_text(
        "".join(f"<37>1 2026-11-26T10:00:00+08:00 noc {argv[2]} - - -  {line}\n" for line in text.splitlines())
    )
    assert {anchor.writer: anchor.head for anchor in anchors.from_log(log, "lab")} == heads


def test_sealing_goes_on_unsigned_and_says_so(
    town: Inventory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from egovctl.commands.evidence import _sign

    chain = chain_of(town)
    assert not _sign(town, "r") and "run egovctl evidence key -i town" in capsys.readouterr().err
    call("key")
    assert not _sign(town, "r") and list(chain.records())[-1].kind == CHECKPOINT
    keys.key_file(town).chmod(0o644)
    assert _sign(town, "r") and "the evidence is not signed" in capsys.readouterr().err


# --- faults ---------------------------------------------------------------------------------------------------------


def test_a_record_from_the_future_is_named(town: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = chain_of(town)
    monkeypatch.setattr(chain_module, "now", lambda: "2097-01-01T00:00:00.000Z")
    chain.append("test", {})
    monkeypatch.undo()
    monkeypatch.setenv("EGOV_PROJECT", str(town.root.parents[1]))
    chain.append("test", {})
    assert chain.verify().ok and chain.verify().ahead == 3, "it is written and linked as it should be"
    assert "record 3 is from the future" in call("verify", "--lang", "en", code=1)
    assert "记录 3 来自将来" in call("verify", "--lang", "zh", code=1)


def test_a_full_disk_leaves_no_half_checkpoint(tmp_path: Path, mine: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = filled(tmp_path / "control.jsonl", mine, 4)
    before, real = chain.path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
    with pytest.raises(CannotMeasure, match="could not be written"):
        keys.checkpoint(chain, mine)
    monkeypatch.undo()
    assert chain.path.read_bytes() == before


def test_a_missing_chain_and_a_damaged_line_are_named(town: Inventory) -> None:
    assert "no evidence in" in call("verify", code=3)
    chain = chain_of(town)
    text = chain.path.read_bytes().splitlines()
    chain.path.write_bytes(b"\n".join([text[0], b"rubbish", text[2]]) + b"\n")
    assert f"{chain.path} line 2: record 1 is damaged" in call("verify", code=1)
    assert f"note: {chain.path} line 2" in call("show")


# --- what leaves ----------------------------------------------------------------------------------------------------

LONG_AGO = "2020-01-01T00:00:00.000Z"
KEEP = timedelta(days=1095)


def aged(path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """Ten old records, five new ones."""
    monkeypatch.setattr(chain_module, "now", lambda: LONG_AGO)
    chain = filled(path, signer, 10)
    monkeypatch.undo()
    for number in range(5):
        chain.append("test", {"new": number})
    return chain


def sealed(chain: Chain, count: int) -> list[Anchor]:
    head = Head(count, list(chain.records())[count - 1].hash)
    return [Anchor("suite-state-1", "control", head), Anchor("suite-state-1", "calibration", Head(99, "a" * 64))]


def plan(chain: Chain, held: list[Anchor], key: str = "", days_on: float = 0) -> pruning.Pruning | None:
    return pruning.plan(chain, held, KEEP, key, datetime.now(UTC) + timedelta(days=days_on))


def test_what_is_old_and_sealed_goes_and_the_chain_is_provable(
    tmp_path: Path, mine: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = aged(tmp_path / "control.jsonl", mine, monkeypatch)
    early, late = Head(4, list(chain.records())[3].hash), Head(12, list(chain.records())[11].hash)
    found = plan(chain, sealed(chain, 12), mine.public)
    assert found is not None and (found.first, found.count, found.archive) == (10, 10, "suite-state-1")
    edge = Head(10, found.before)
    pruning.prune(chain, found, mine)
    records = list(chain.records())
    assert records[0].seq == 10 and records[-1].kind == PRUNED and len(records) == 6
    verdict = chain.verify(heads=[early, edge, late], key=mine.public)
    assert verdict.ok and verdict.first == 10 and (verdict.checked, verdict.unchecked) == (2, 1)
    chain.append("test", {})
    assert chain.verify(chain.head(), key=mine.public).ok and chain.path.stat().st_mode & 0o777 == 0o600
    assert plan(chain, sealed_all(chain), mine.public) is None, "nothing more is old"
    text = chain.path.read_bytes().splitlines()
    assert verify_lines(text[1:], unterminated=False, writer="control").suspects == (10,)
    spoiled = [b"x", *text[1:]]
    assert verify_lines(spoiled, unterminated=False, writer="control").suspects == (10,)
    without = [line for line in text if PRUNED.encode() not in line]
    assert not verify_lines(without, unterminated=False, writer="control").ok


def sealed_all(chain: Chain) -> list[Anchor]:
    return [Anchor("suite-state-2", "control", chain.head())]


def test_a_pruning_by_another_key_is_no_pruning(tmp_path: Path, mine: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = aged(tmp_path / "control.jsonl", mine, monkeypatch)
    text = chain.path.read_bytes().splitlines()
    data = json.loads(text[-1]) | {"kind": PRUNED, "seq": 15, "prev": hashlib.sha256(text[-1]).hexdigest()}
    data["body"] = {"first": 10, "before": json.loads(text[10])["prev"], "count": 10, "archive": "x"}
    theirs = new_signer()
    data["body"]["key"] = theirs.public
    mark = base64.b64encode(theirs.private.sign(canonical(data))).decode()
    data["body"]["signature"] = mark
    verdict = judge([*text[10:], canonical(data)], [], mine.public)
    assert not verdict.ok and "somebody else signed" in verdict.reason


def test_what_may_not_go_stays(tmp_path: Path, mine: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = aged(tmp_path / "control.jsonl", mine, monkeypatch)
    with pytest.raises(CannotMeasure, match="not sealed elsewhere yet"):
        plan(chain, [])
    partly = plan(chain, sealed(chain, 6))
    assert partly is not None and partly.first == 6, "only what an archive holds"
    with pytest.raises(JudgedFailure, match="not as it was sealed"):
        plan(chain, [Anchor("suite-state-1", "control", Head(6, "b" * 64))])
    with pytest.raises(CannotMeasure, match="the clock is not to be trusted"):
        plan(chain, sealed(chain, 12), days_on=30)
    with pytest.raises(JudgedFailure, match="no record was let go"):
        plan(chain, sealed(chain, 12), new_signer().public)
    assert chain.verify().ok and chain.head().count == 15


def test_what_the_register_of_backups_rests_on_stays(
    tmp_path: Path, mine: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*ids: str) -> dict[str, object]:
        new = [{"id": name, "name": f"documents-2020-01-01T00:00:0{name}", "at": LONG_AGO} for name in ids]
        return {"hosts": {"h": {"archives": 2, "new": new, "missing": [], "strange": []}}, "silent": {}}

    monkeypatch.setattr(chain_module, "now", lambda: LONG_AGO)
    chain = Chain(tmp_path / "control.jsonl")
    chain.append("backup.look", look("1", "2"))
    chain.append("test", {})
    chain.append("backup.look", look("3"))
    monkeypatch.undo()
    chain.append("backup.retention", {"host": "h", "left": 1, "deleted": look("1")["hosts"]["h"]["new"]})  # type: ignore[index]
    assert first_needed(chain.records()) == 0
    assert plan(chain, sealed(chain, 4)) is None
    chain.append("backup.retention", {"host": "h", "left": 1, "deleted": look("2")["hosts"]["h"]["new"]})  # type: ignore[index]
    found = plan(chain, sealed(chain, 5))
    assert found is not None and found.first == 2 and found.kept_for_backups


def test_a_full_disk_lets_nothing_go(tmp_path: Path, mine: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = aged(tmp_path / "control.jsonl", mine, monkeypatch)
    found = plan(chain, sealed(chain, 12))
    assert found is not None

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    record = keys.sign(chain, mine, PRUNED, {"first": 10, "before": found.before, "count": 10, "archive": "x"})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotMeasure, match="no record was let go"):
        chain.cut_front(10)
    monkeypatch.undo()
    verdict = chain.verify()
    assert verdict.ok and verdict.first == 0 and verdict.head.count == record.seq + 1
    assert [path.name for path in tmp_path.iterdir()] == ["control.jsonl"]


def test_who_waited_while_it_was_pruned_writes_to_the_new_file(
    tmp_path: Path, mine: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    chain = aged(tmp_path / "control.jsonl", mine, monkeypatch)
    found = plan(chain, sealed(chain, 12))
    assert found is not None
    stop, failed = threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            try:
                Chain(chain.path).append("test", {"thread": 1})
            except Exception as error:  # told below
                failed.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    pruning.prune(chain, found, mine)
    time.sleep(0.05)
    stop.set()
    for writer in writers:
        writer.join()
    verdict = chain.verify(key=mine.public)
    assert not failed and verdict.ok and verdict.first == 10
    seqs = [record.seq for record in chain.records()]
    assert seqs == list(range(10, 10 + len(seqs)))


def test_what_is_signed_is_the_record_without_its_marks(lines: list[bytes]) -> None:
    record = next(record for record in map(parse, lines) if record.kind == CHECKPOINT)
    assert set(record.body) - set(MARKS) == {"key"} and sys.version_info >= (3, 11)
    assert anchors.from_comment("somebody's words", "x") == []
