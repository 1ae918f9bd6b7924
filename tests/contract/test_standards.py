"""The standards' lists: all items there, unique, in both languages, with the counts that the standards have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from egovctl.assess.standards import Standard, standard_of, standards
from egovctl.checks.content import CONTENT, read_shelf
from egovctl.errors import UsageError

FOLDER = CONTENT / "standards"
HAN = re.compile(r"[\u4e00-\u9fff]")
# Items of each control point, area by area.
COUNTS = {
    "mlps-level-3": [
        [2, 1, 3, 2, 3, 3, 2, 1, 3, 2],
        [5, 2, 1],
        [4, 5, 4, 2, 4, 1],
        [4, 7, 4, 6, 1, 1, 2, 2, 3, 2, 2],
        [2, 2, 2, 6],
        [1, 3, 2, 1],
        [3, 2, 3, 3, 3],
        [3, 2, 3, 4],
        [4, 3, 3, 7, 3, 3, 2, 3, 3, 3],
        [3, 3, 2, 4, 2, 10, 2, 2, 2, 3, 3, 4, 4, 4],
    ],
    "mlps-level-2": [
        [2, 1, 2, 1, 2, 2, 1, 1, 2, 1],
        [2, 1, 1],
        [1, 4, 1, 1, 3, 1],
        [3, 4, 3, 5, 1, 1, 1, 2, 1, 2],
        [2, 2],
        [1, 2, 2, 1],
        [2, 1, 2, 3, 1],
        [2, 1, 1, 3],
        [4, 3, 2, 2, 2, 2, 2, 3, 3, 2],
        [3, 1, 2, 2, 1, 5, 3, 1, 2, 1, 3, 3, 2, 2],
    ],
}
TOTALS = {"mlps-level-3": (71, 211), "mlps-level-2": (68, 135), "high-risk-cases": (9, 42)}


def test_every_file_of_the_suite_can_be_read() -> None:
    shelf = standards()
    assert shelf.broken == {} and set(shelf.entries) == {path.stem for path in FOLDER.glob("*.yml")}
    assert {"mlps-level-2", "mlps-level-3", "high-risk-cases", "commercial-cryptography"} <= set(shelf.entries)


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_each_control_point_has_the_items_of_the_standard(name: str) -> None:
    areas = standards().get(name).areas
    assert [[len(point.items) for point in area.points] for area in areas] == COUNTS[name]
    points, items = TOTALS[name]
    assert sum(map(len, COUNTS[name])) == points and sum(map(sum, COUNTS[name])) == items
    assert all(point.class_ for area in areas for point in area.points)


def test_the_letters_of_a_point_follow_each_other_and_the_clause_says_the_same() -> None:
    for name, chapter in (("mlps-level-3", 8), ("mlps-level-2", 7)):
        for number, area in enumerate(standards().get(name).areas, 1):
            for place, point in enumerate(area.points, 1):
                for letter, item in zip("abcdefghij", point.items, strict=False):
                    assert item.id == f"L{chapter - 5}-{number}.{place}{letter}"
                    assert item.clause == f"{chapter}.1.{number}.{place} {letter})"


def test_titles_are_in_both_languages_and_short_and_ids_unique_in_all_standards() -> None:
    seen: set[str] = set()
    for standard in standards().entries.values():
        for area, point, item in standard.walk():
            for titled in (area, point, item):
                assert HAN.search(titled.zh) and not HAN.search(titled.en), titled
            # A clause of the standard says what shall be (应); a title of ours does not.
            assert len(item.zh) <= 30 and not re.match("应(?!用|急)", item.zh), item
            assert item.id not in seen
            seen.add(item.id)
    with pytest.raises(UsageError, match="L3-99"):
        standard_of("L3-99.1a")
    assert standard_of("L2-4.1a").id == "mlps-level-2"


def test_what_an_item_resembles_is_an_item_of_level_3() -> None:
    level3 = standards().get("mlps-level-3").by_id
    for standard in standards().entries.values():
        for _, _, item in standard.walk():
            assert set(item.like) <= set(level3), item.id
            assert (item.by == "M") <= (item.settles != "full"), item.id
    assert all(item.like for _, _, item in standards().get("mlps-level-2").walk())


def test_only_the_list_that_was_compared_is_called_verified_and_cryptography_is_called_unmet() -> None:
    for standard in standards().entries.values():
        for _, _, item in standard.walk():
            assert item.source == ("verified" if standard.id == "mlps-level-3" else "from-memory")
    reasons = [item.unmet for _, _, item in standards().get("commercial-cryptography").walk() if item.unmet]
    for program in ("WireGuard", "OpenSSH", "borg"):
        assert any(program in text.en and program in text.zh for text in reasons)


def spoilt(tmp_path: Path, old: str, new: str) -> dict[str, str]:
    text = (FOLDER / "high-risk-cases.yml").read_text(encoding="utf-8")
    assert text.count(old) >= 1
    path = tmp_path / "standards" / "high-risk-cases.yml"
    path.parent.mkdir()
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return read_shelf("standard", Standard, (path.parent,)).broken["high-risk-cases"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("settles: none, zh: 机房出入口", "settles: wholly, zh: 机房出入口", "settles"),
        ("id: HR-02", "id: HR-01", "HR-01 is there twice"),
        ("id: HR-02", "id: two", "id"),
        ("source: from-memory}", "source: hearsay}", "source"),
        ("source: from-memory}", "source: from-memory, weight: 3}", "weight"),
        ("items: 42", "items: 43", "says 43 items and has 42"),
        ("document:", "dokument:", "document"),
        ("areas:", "areas: [", "not YAML"),
    ],
)
def test_a_broken_list_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    reason = spoilt(tmp_path, old, new)["en"]
    assert said in reason and re.search(r"high-risk-cases\.yml:\d+: ", reason)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    ("old", "new", "zh"),
    [
        ("id: HR-02", "id: HR-01", "有误：HR-01 写了两次"),
        ("id: HR-02", "id: two", "有误：不符合格式 ^"),
        ("items: 42", "items: 43", "有误：写明要求 43 个，实有 42 个"),
        ("source: from-memory}", "source: hearsay}", "有误：应为 'verified'、'from-memory' 之一"),
    ],
)
def test_what_is_wrong_in_a_list_is_kept_in_chinese_whoever_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, old: str, new: str, zh: str
) -> None:
    monkeypatch.setenv("EGOV_LANG", language)
    assert zh in spoilt(tmp_path, old, new)["zh"]


def test_an_error_in_an_item_names_the_line_of_that_item(tmp_path: Path) -> None:
    reason = spoilt(tmp_path, "id: HR-17, by: H", "id: HR-17, by: Z")["en"]
    lines = (tmp_path / "standards" / "high-risk-cases.yml").read_text(encoding="utf-8").splitlines()
    line = int(re.search(r"\.yml:(\d+):", reason).group(1))  # type: ignore[union-attr]
    assert "HR-17" in lines[line - 1]


def test_the_lists_are_plain_yaml_without_keys_given_twice() -> None:
    """safe_load takes the last of two equal keys; a title would be lost without a word."""
    for path in FOLDER.glob("*.yml"):
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        stack = [root]
        while stack:
            node = stack.pop()
            if isinstance(node, yaml.MappingNode):
                keys = [key.value for key, _ in node.value]
                assert len(keys) == len(set(keys)), (path.name, keys)
                stack += [value for _, value in node.value]
            elif isinstance(node, yaml.SequenceNode):
                stack += node.value
