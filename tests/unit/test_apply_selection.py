"""What --tags and --skip-tags mean, and what a person is told of a change.

If these fail, a slip in a tag looks like a good run, or a run touches more than was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from egovctl.apply.manifest import Manifest
from egovctl.apply.probe import refuse_other, unanswered
from egovctl.apply.selection import choose, known_bundles
from egovctl.apply.summary import LINES, WIDTH, summary
from egovctl.errors import CannotMeasure, UsageError
from egovctl.i18n import set_language

KNOWN = ["base", "frr", "noc", "snmpd"]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language(None)


@pytest.mark.parametrize(
    ("scope", "tags", "skipped", "chosen"),
    [
        ([], ["all"], [], []),
        ([], ["frr"], [], ["frr"]),
        ([], ["snmpd", "frr"], [], ["frr", "snmpd"]),
        ([], ["all"], ["noc"], ["base", "frr", "snmpd"]),
        ([], ["frr", "noc"], ["noc"], ["frr"]),
        ([], ["tagged"], [], []),
        ([], KNOWN, [], []),
        (["base", "frr"], ["all"], [], ["base", "frr"]),
        (["base", "frr"], ["frr"], [], ["frr"]),
        (["base", "frr"], ["frr", "noc"], [], ["frr"]),
        (["base", "frr"], ["all"], ["frr", "noc"], ["base"]),
    ],
)
def test_tags_choose_bundles(scope: list[str], tags: list[str], skipped: list[str], chosen: list[str]) -> None:
    assert choose(KNOWN, scope, tags, skipped) == chosen


@pytest.mark.parametrize(
    ("scope", "tags", "skipped", "said"),
    [
        ([], ["fr"], [], "there is no tag fr; the tags are base, frr, noc, snmpd; nothing was applied"),
        ([], ["frr", "x", "a"], [], "there is no tag a, x;"),
        ([], ["all"], ["nco"], "there is no tag nco;"),
        ([], ["untagged"], [], "there is no tag untagged;"),
        (["noc"], ["frr"], [], "leave nothing to apply; this playbook covers noc;"),
        ([], ["frr"], ["frr"], "leave nothing to apply"),
        ([], ["all"], ["all"], "leave nothing to apply"),
    ],
)
def test_a_slip_in_a_tag_is_one_sentence(scope: list[str], tags: list[str], skipped: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(KNOWN, scope, tags, skipped)
    assert said in str(caught.value)


def test_a_bundle_is_a_role_with_a_bundle_file(tmp_path: Path) -> None:
    for role in ("frr", "base", "enrol"):
        (tmp_path / role).mkdir()
    for role in ("frr", "base"):
        (tmp_path / role / "bundle.yml").touch()
    assert known_bundles(tmp_path) == ["base", "frr"]


def test_a_change_is_told_in_a_line() -> None:
    result = {"changed": True, "files": ["/a", "/b", "/c", "/d"], "units": ["frr.service"], "sysctls": []}
    assert summary("core1", result, check=False) == "core1: changed: files 4 (/a, /b, /c, …); units frr.service"
    assert summary("core1", result, check=True).startswith("core1: would change: files 4 ")
    assert summary("core1", {**result, "changed": False}, check=False) == ""
    assert summary("core1", {"changed": True, "recovered": "undone"}, check=False) == "core1: changed: undone"


def test_a_large_change_is_told_in_three_lines() -> None:
    names = [f"/etc/a-rather-long-folder/{n:040}" for n in range(9)]
    kinds = ("packages", "users", "files", "folders", "removed", "units", "sysctls", "actions")
    lines = summary("core1", {"changed": True, **dict.fromkeys(kinds, names)}, check=True).splitlines()
    assert len(lines) == LINES and max(map(len, lines)) <= WIDTH
    assert lines[-1].endswith("…")


def test_control_speaks_chinese(tmp_path: Path) -> None:
    set_language("zh")
    said = [str(unanswered("h1", ""))]
    for call in (
        lambda: Manifest.load(tmp_path, "h1"),
        lambda: choose(KNOWN, [], ["x"], []),
        lambda: refuse_other("h1", "ssh-ed25519 AAAA", "/etc/ssh/ssh_host_ed25519_key.pub:ssh-ed25519 BBBB\n"),
    ):
        with pytest.raises((UsageError, CannotMeasure)) as caught:
            call()
        said.append(str(caught.value))
    said.append(summary("h1", {"changed": True, "files": ["/a"]}, check=True))
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in said), said
