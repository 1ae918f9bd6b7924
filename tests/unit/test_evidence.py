"""The evidence chain: whatever is done to its file is found, and the first bad record is named."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
import rfc8785
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Chain, Head
from egovctl.evidence.record import BadRecord, parse
from egovctl.evidence.verify import verify_lines

LENGTH = 8


def filled(path: Path, length: int = LENGTH) -> Chain:
    chain = Chain(path, plan_revision="abc")
    for number in range(length):
        chain.append("test", {"number": number, "名": "值"})
    return chain


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    chain = filled(tmp_path_factory.mktemp("chain") / "control.jsonl")
    return chain.path.read_bytes().splitlines()


def judge(lines: list[bytes], head: Head | None = None):
    return verify_lines(lines, unterminated=False, head=head, writer="control")


def test_a_whole_chain_is_whole_and_prints_its_head(tmp_path: Path) -> None:
    chain = filled(tmp_path / "control.jsonl")
    verdict = chain.verify(chain.head())
    assert verdict.ok and verdict.head == chain.head() and verdict.head.count == LENGTH
    assert Head.read(str(chain.head())) == chain.head()


def test_a_chain_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "control.jsonl")
    assert chain.verify().ok and chain.head().count == 0 and not chain.path.exists()


def forged(line: bytes, **changes: object) -> bytes:
    """The record with some fields changed, in canonical form: what a careful forger would write."""
    data = json.loads(line) | changes
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


EDITS = st.one_of(
    st.tuples(st.just("change"), st.integers(0, LENGTH - 1), st.integers(0, 10_000)),
    st.tuples(st.just("flip"), st.integers(0, LENGTH - 1), st.integers(0, 10_000)),
    st.tuples(st.just("relink"), st.integers(1, LENGTH - 1), st.integers(0, 10_000)),
    st.tuples(st.just("drop"), st.integers(0, LENGTH - 1), st.just(0)),
    st.tuples(st.just("cut"), st.integers(0, LENGTH - 1), st.just(0)),
    st.tuples(st.just("swap"), st.integers(0, LENGTH - 1), st.integers(0, LENGTH - 1)),
    st.tuples(st.just("insert"), st.integers(0, LENGTH), st.integers(0, LENGTH - 1)),
    st.tuples(st.just("forge"), st.integers(0, LENGTH), st.just(0)),
)


def edited(lines: list[bytes], edit: tuple[str, int, int]) -> tuple[list[bytes], int]:
    """The lines after one edit, and the number of the first record that it spoils."""
    kind, where, what = edit
    result = list(lines)
    if kind == "change":
        result[where] = forged(result[where], body={"number": -1 - what})
    elif kind == "relink":
        result[where] = forged(result[where], prev=f"{what:064x}")
    elif kind == "flip":
        spoiled = bytearray(result[where])
        spoiled[what % len(spoiled)] ^= 1 << what % 7
        result[where] = bytes(spoiled).replace(b"\n", b"x")
    elif kind == "drop":
        del result[where]
    elif kind == "cut":
        del result[where:]
    elif kind == "swap":
        result[where], result[what] = result[what], result[where]
        where = min(where, what)
    elif kind == "insert":
        result.insert(where, result[what])
        where = where + 1 if where == what else where
    else:
        previous = result[where - 1] if where else b""
        link = parse(previous).hash if where else "0" * 64
        result.insert(where, forged(lines[0], seq=where, prev=link, body={"forged": True}))
    return result, where


@settings(max_examples=300, deadline=None)
@given(edit=EDITS)
def test_any_edit_is_found_against_a_known_head_and_the_first_bad_record_named(
    lines: list[bytes], edit: tuple[str, int, int]
) -> None:
    head = Head(LENGTH, parse(lines[-1]).hash)
    after, first = edited(lines, edit)
    if after == lines:
        return
    verdict = judge(after, head)
    if edit[0] == "forge" and edit[1] == LENGTH:  # an honest append looks the same
        assert verdict.ok and verdict.head.count == LENGTH + 1
        return
    assert not verdict.ok
    assert first in verdict.suspects, (verdict, first)
    assert len(verdict.suspects) <= 2 and verdict.reason


@settings(max_examples=300, deadline=None)
@given(edit=EDITS)
def test_without_a_known_head_only_the_tail_can_hide(lines: list[bytes], edit: tuple[str, int, int]) -> None:
    after, first = edited(lines, edit)
    if after == lines or not judge(after).ok:
        return
    kept = 0
    while kept < min(len(after), len(lines)) and after[kept] == lines[kept]:
        kept += 1
    assert kept >= min(len(after), len(lines)) - 1 and first >= kept


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_half_written_last_line_is_reported_then_put_on_record_and_never_dropped(tmp_path: Path, cut: int) -> None:
    chain = filled(tmp_path / "control.jsonl", 3)
    whole = chain.path.read_bytes()
    torn = whole.splitlines()[-1][: -cut + 1 or None]
    chain.path.write_bytes(whole[: -len(whole.splitlines()[-1]) - 1] + torn)
    before = chain.verify()
    assert not before.ok and before.suspects == (2,)
    chain.append("test", {"after": "the crash"})
    after = chain.verify()
    assert after.ok and after.torn_lines == 1 and after.head.count == 4
    assert torn in chain.path.read_bytes()
    note = list(chain.records())[-2]
    assert note.kind == "evidence.torn" and note.body["lines"][0]["bytes"] == len(torn)


def test_a_crash_while_a_torn_line_is_put_on_record_is_survived_too(tmp_path: Path) -> None:
    chain = filled(tmp_path / "control.jsonl", 2)
    with chain.path.open("ab") as stream:
        stream.write(b'{"at":"torn"\n{"at":"again')
    chain.append("test", {})
    verdict = chain.verify()
    assert verdict.ok and verdict.torn_lines == 2 and verdict.head.count == 4


@given(
    kinds=st.lists(st.sampled_from(["a.one", "a.two", "b.one", "a"]), max_size=12),
    wanted=st.sets(st.sampled_from(["a.one", "a.two", "b.one", "a", "c"]), min_size=1),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_records_of_some_kinds_are_those_and_no_others(tmp_path: Path, kinds: list[str], wanted: set[str]) -> None:
    """Also where another's body has the very words of a kind."""
    path = tmp_path / "control.jsonl"
    path.unlink(missing_ok=True)
    chain = Chain(path)
    for number, kind in enumerate(kinds):
        chain.append(kind, {"kind": "a.one", "said": '"kind":"a.two"', "number": number})
    assert list(chain.records(*wanted)) == [record for record in chain.records() if record.kind in wanted]


def test_a_full_disk_leaves_the_chain_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = filled(tmp_path / "control.jsonl", 2)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
    with pytest.raises(CannotMeasure, match="could not be written"):
        chain.append("test", {})
    with pytest.raises(CannotMeasure, match="could not be written"):
        chain.append_all("test", [{"number": number} for number in range(5)])  # half of it would hold whole records
    monkeypatch.undo()
    assert chain.verify().ok and chain.head().count == 2


def test_records_that_belong_together_follow_each_other(tmp_path: Path) -> None:
    chain = filled(tmp_path / "control.jsonl", 2)
    with chain.path.open("ab") as stream:
        stream.write(b'{"half')
    added = chain.append_all("test", [{"number": number} for number in range(3)])
    assert [record.seq for record in added] == [3, 4, 5] and added == list(chain.records("test"))[-3:]
    assert chain.verify().ok and chain.append_all("test", []) == []


def test_a_long_record_is_found_from_the_end(tmp_path: Path) -> None:
    chain = filled(tmp_path / "control.jsonl", 1)
    chain.append("big", {"text": "x" * 200_000})
    chain.append("test", {})
    assert chain.verify(chain.head()).ok and chain.head().count == 3


def _append_many(path: str) -> None:
    for _ in range(15):
        Chain(Path(path)).append("test", {"pid": os.getpid()})


def test_writers_at_once_make_one_chain(tmp_path: Path) -> None:
    path = str(tmp_path / "control.jsonl")
    workers = [multiprocessing.Process(target=_append_many, args=(path,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    verdict = Chain(Path(path)).verify()
    assert verdict.ok and verdict.head.count == 45


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": 2**60}, {"x": "\ud800"}])
def test_what_cannot_be_canonical_is_refused_and_nothing_is_added(tmp_path: Path, body: dict) -> None:
    chain = filled(tmp_path / "control.jsonl", 1)
    with pytest.raises(ValueError):
        chain.append("test", body)
    assert chain.head().count == 1


@pytest.mark.parametrize("text", ["", "5", "5:abc", "-1:" + "0" * 64, "x:" + "0" * 64])
def test_a_bad_head_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        Head.read(text)


def test_the_command_names_the_bad_record_in_both_languages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from egovctl import i18n
    from egovctl.commands import evidence as command

    root = tmp_path / "town"
    (root / "plan").mkdir(parents=True)
    (root / "plan" / "city.yml").touch()
    chain = filled(tmp_path / "control.jsonl")
    text = chain.path.read_bytes().splitlines()
    text[3] = forged(text[3], body={"number": 99})
    chain.path.write_bytes(b"\n".join(text) + b"\n")
    monkeypatch.setattr(command, "chains_of", lambda inventory: [chain])
    for language, word in (("en", "record 3 was changed"), ("zh", "记录 3 被改动")):
        done = CliRunner().invoke(command.evidence, ["verify", "--lang", language, "-i", str(root)])
        assert word in done.output and done.exit_code == 1, done.output
    i18n.set_language(None)


def line_of(number: str) -> bytes:
    head = b'{"at":"2026-01-01T00:00:00.000Z","body":{"x":' + number.encode()
    return head + b'},"kind":"k","plan_revision":"","prev":"","seq":0,"suite_version":"1","writer":"w"}'


FRACTIONS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: not value.is_integer())


@given(FRACTIONS | st.decimals(-9999, 9999, places=3).map(float))
def test_a_fraction_is_read_as_it_was_written(value: float) -> None:
    line = line_of(rfc8785.dumps(value).decode())
    assert parse(line).body == {"x": value} and parse(line).line == line


@pytest.mark.parametrize(
    "number",
    ["1.50", "1.0", "-0.0", "1e3", "1.5e1", "0.00000001", "00.5", "0.1000000000000000055", "12345678901234567.5"],
)
def test_a_fraction_that_is_written_otherwise_makes_no_record(number: str) -> None:
    with pytest.raises(BadRecord):
        parse(line_of(number))
