"""Signs of a backup that is whole and yet wrong: found where they are, silent where they are not."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from random import Random

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from egovctl.drill import signs
from egovctl.drill.borg import Archive
from egovctl.drill.borg_words import Heard, judge
from egovctl.drill.causes import HINDRANCES, Cause
from egovctl.drill.compare import Manifest, digest_of
from egovctl.drill.follow import Follower
from egovctl.drill.printable import printable


def manifest(*names: str, paths: tuple[str, ...] = (), salt: str = "") -> Manifest:
    files = {
        name: {"size": 4096, "mode": "0644", "owner": "root", "group": "root", "sha256": f"{name}{salt}"}
        for name in names
    }
    return Manifest("documents", "noc", "2026-01-01T00:00:00Z", files, paths)


def causes(found) -> list[Cause]:
    return [one.cause for one in found]


@pytest.mark.parametrize(
    ("hosts", "mixed"),
    [
        ([], False),
        (["a"] * 5, False),
        (["old", "old", "a", "a"], False),  # the host has a new name
        (["a", "b", "a"], True),
        (["a", "a", "b", "a", "b"], True),
        (["a", "b", "c"], False),
    ],
)
def test_hosts_that_write_by_turns(hosts: list[str], mixed: bool) -> None:
    assert causes(signs.mixed_hosts(hosts)) == ([Cause.MIXED_REPOSITORY] if mixed else [])


def test_the_archive_to_compare_with_is_ninety_days_older_or_the_oldest() -> None:
    at = ["2025-01-01T00:00:00", "2026-05-01T00:00:00", "2026-07-01T00:00:00", "2026-08-01T00:00:00"]
    archives = [Archive(f"documents-{stamp}", stamp) for stamp in at]
    assert signs.reference(archives, archives[-1]) == archives[1]
    assert signs.reference(archives[2:], archives[-1]) == archives[2]
    assert signs.reference(archives[:1], archives[0]) is None
    odd = [Archive("documents-1", ""), Archive("documents-2", "yesterday")]
    assert signs.reference(odd, odd[1]) == odd[0]


def test_a_path_of_the_plan_that_is_not_in_the_backup() -> None:
    there = manifest("/srv/a/1", paths=("/srv/a",))
    assert causes(signs.left_out(["/srv/a", "/srv/b"], there, {"/srv/a": {}, "/srv/a/1": {}}, None)) == [
        Cause.PATH_LEFT_OUT
    ]
    assert causes(signs.left_out(["/srv"], there, {}, None)) == []
    assert causes(signs.left_out(["/srv/a2"], manifest("/srv/a22/1"), {"/srv/a22": {}}, None)) == [Cause.PATH_LEFT_OUT]


def test_an_empty_path_counts_only_where_something_was_before() -> None:
    now, archived = manifest("/srv/a/1", paths=("/srv/a", "/srv/b")), {"/srv/b": {}, "/srv/a/1": {}}
    before = manifest("/srv/a/1", "/srv/b/1", "/srv/b/2")
    assert causes(signs.left_out(["/srv/a", "/srv/b"], now, archived, before)) == [Cause.SOURCE_EMPTY]
    assert causes(signs.left_out(["/srv/a", "/srv/b"], now, archived, manifest("/srv/a/1"))) == []
    assert causes(signs.left_out(["/srv/a", "/srv/b"], now, archived, None)) == []


@given(st.integers(0, 2**32), st.integers(signs.SMALLEST, signs.HEAD))
def test_random_bytes_are_random_and_what_people_write_is_not(seed: int, size: int) -> None:
    rng = Random(seed)
    assert signs.is_random(rng.randbytes(size))
    text = " ".join(str(rng.randrange(10**6)) for _ in range(size)).encode()[:size]
    assert not signs.is_random(text)
    assert not signs.is_random(b"PK\x03\x04" + rng.randbytes(size))
    assert not signs.is_random(gzip.compress(rng.randbytes(size)))
    assert not signs.is_random(rng.randbytes(size).hex().encode())
    assert not signs.is_random(rng.randbytes(signs.SMALLEST - 1))


class Attack:
    """Ten files that were text; `now` writes what they are now, `asked` is what was looked at as it was."""

    def __init__(self, root: Path, *, before: bytes = b"text " * 900, suffix: str = "", count: int = 10) -> None:
        self.root, self.before, self.asked = root, before, []
        names = [f"/srv/{number}.txt" for number in range(10)]
        self.old = manifest(*names)
        rest = names[count:]
        self.new = manifest(*(f"{name}{suffix}" for name in names[:count]), salt="new")
        self.new.files.update({name: self.old.files[name] for name in rest})

    def write(self, content) -> None:
        (self.root / "srv").mkdir(exist_ok=True)
        for name in self.new.files:
            (self.root / name.lstrip("/")).write_bytes(content())

    def earlier(self, paths: list[str]) -> list[bytes]:
        self.asked += paths
        return [self.before for _ in paths]

    def found(self) -> list[Cause]:
        return causes(signs.turned_random(self.root, self.new, self.old, self.earlier))


@pytest.mark.parametrize("suffix", ["", ".locked"])
def test_files_that_were_text_and_are_random_now_are_ransomware(tmp_path: Path, suffix: str) -> None:
    attack = Attack(tmp_path, suffix=suffix)
    attack.write(lambda: Random(len(attack.asked)).randbytes(4096))
    assert attack.found() == [Cause.ENCRYPTED_SOURCE]
    assert set(attack.asked) <= set(attack.old.files)


def test_a_few_files_of_many_are_not(tmp_path: Path) -> None:
    attack = Attack(tmp_path, count=2)
    attack.write(lambda: Random(1).randbytes(4096))
    assert attack.found() == [] and attack.asked == []


def test_what_was_random_before_is_no_sign(tmp_path: Path) -> None:
    attack = Attack(tmp_path, before=Random(2).randbytes(4096))
    attack.write(lambda: Random(1).randbytes(4096))
    assert attack.found() == [] and attack.asked


def test_files_that_all_changed_and_can_still_be_read_are_no_sign(tmp_path: Path) -> None:
    attack = Attack(tmp_path)
    attack.write(lambda: b"another text " * 400)
    assert attack.found() == [] and attack.asked == []


def test_without_an_older_manifest_nothing_is_said(tmp_path: Path) -> None:
    attack = Attack(tmp_path)
    attack.write(lambda: Random(1).randbytes(4096))
    assert list(signs.turned_random(tmp_path, attack.new, None, attack.earlier)) == []


def test_a_followed_file_is_not_read_twice_and_one_that_changed_is(tmp_path: Path, monkeypatch) -> None:
    from egovctl.drill import follow

    read: list[Path] = []
    monkeypatch.setattr(follow, "digest_of", lambda path: read.append(path) or digest_of(path))
    for name in "abc":
        (tmp_path / name).write_text(name)
    with Follower(tmp_path) as follower:
        for name in ("a", "missing", "b", "c"):
            follower.begun(name)
    assert [path.name for path in read] == ["a", "b"]  # the last one was never seen to be whole
    (tmp_path / "b").write_text("changed")
    for name in "abc":
        assert follower.digest(tmp_path / name) == digest_of(tmp_path / name)
    assert [path.name for path in read[2:]] == ["b", "c"]
    with pytest.raises(OSError):
        follower.digest(tmp_path / "missing")


@pytest.mark.parametrize(
    ("lines", "status", "cause"),
    [
        (
            [b'{"type":"log_message","levelname":"ERROR","message":"x","msgid":"PassphraseWrong"}'],
            2,
            Cause.PASSPHRASE_WRONG,
        ),
        (
            [b'{"type":"log_message","levelname":"ERROR","message":"x","msgid":"IntegrityError"}'],
            2,
            Cause.REPOSITORY_DAMAGED,
        ),
        ([b'{"type":"log_message","levelname":"ERROR","message":"x","msgid":"LockTimeout"}'], 2, Cause.LOCKED),
        (
            [
                b"ssh: connect to host backup port 22: No route to host",
                b'{"type":"log_message","levelname":"ERROR","message":"closed","msgid":"ConnectionClosedWithHint"}',
            ],
            2,
            Cause.UNREACHABLE,
        ),
        (
            [b'{"levelname":"ERROR","message":"[Errno 28] No space left on device","msgid":"LockFailed"}'],
            2,
            Cause.NO_ROOM,
        ),
        ([], -9, Cause.TOOL_FAILED),
        ([], 143, Cause.TOOL_FAILED),
        ([], 127, Cause.NOT_READY),
        ([b"\xff\xfe not json", b"[]", b"null"], 2, Cause.REPOSITORY_DAMAGED),
    ],
)
def test_what_borg_says_gives_the_cause(lines: list[bytes], status: int, cause: Cause) -> None:
    heard = Heard()
    for line in lines:
        heard.line(line)
    error = judge("list", "ssh://backup/srv/borg/noc", status, heard)
    assert error.cause is cause and str(error)
    if status == 2 and lines and b"route" in lines[0]:
        assert "No route to host" in str(error)


@given(st.binary(max_size=200))
def test_no_line_of_borg_makes_the_reader_fail(raw: bytes) -> None:
    Heard().line(raw)


def test_an_index_that_borg_rebuilt_is_noticed() -> None:
    heard = Heard()
    heard.line(b'{"type":"progress_percent","msgid":"repository.replay_segments","message":"Replaying 0%"}')
    heard.line(b'{"type":"progress_percent","msgid":"repository.replay_segments","message":"Replaying 10%"}')
    assert heard.healed == ["index"] and heard.lines == []


def test_what_hinders_a_drill_is_never_a_fault_of_the_backup() -> None:
    assert {Cause.LOCKED, Cause.UNREACHABLE, Cause.NO_ROOM} <= HINDRANCES
    assert not HINDRANCES & {Cause.REPOSITORY_DAMAGED, Cause.STALE, Cause.NO_BACKUP, Cause.PASSPHRASE_WRONG}


@given(
    st.recursive(
        st.text() | st.binary().map(os.fsdecode) | st.integers(0, 9) | st.just("\ud800x"), st.lists, max_leaves=5
    )
)
def test_whatever_a_name_is_evidence_can_hold_it(value: object) -> None:
    json.dumps(printable({"name": value}), ensure_ascii=False).encode("utf-8")
    rfc8785.dumps(printable({"name": value}))


def test_a_name_that_is_utf8_stays_as_it_is() -> None:
    assert printable(["通知", "a", {"b": ("c",)}]) == ["通知", "a", {"b": ["c"]}]
    assert printable(os.fsdecode(b"\xb8\xbd.txt")) == "\\xb8\\xbd.txt"
