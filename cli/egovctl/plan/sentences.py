"""pydantic's faults in the words of the plan: which key, of what, and what is expected."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from egovctl.i18n import Told, both, told, tr
from egovctl.plan import models
from egovctl.plan.source import KeyPath, Source

SINGULAR = {
    "counties": ("县区", "county"),
    "sites": ("站点", "site"),
    "services": ("服务", "service"),
    "administrators": ("管理员", "administrator"),
    "retired": ("停用站点", "retired site"),
    "maintenance": ("检修", "maintenance"),
    "signals": ("信号", "signal"),
    "alerts": ("告警", "alert"),
    "websites": ("网站", "website"),
}
# pydantic's kinds of fault that a plan can have, in the plan's words.
EXPECTED = {
    "string_type": ("应为文字", "write text, in quotes if it looks like a number"),
    "string_too_short": ("不能为空", "it must not be empty"),
    "string_too_long": ("最多 {max_length} 个字符", "it should have {max_length} characters at most"),
    "string_pattern_mismatch": ("含有不允许的字符", "it has characters that are not allowed there"),
    "int_type": ("应为整数", "write a whole number, without quotes"),
    "float_type": ("应为数字", "write a number, without quotes"),
    "greater_than": ("应大于 {gt}", "it must be more than {gt}"),
    "greater_than_equal": ("应不小于 {ge}", "it must be {ge} or more"),
    "less_than": ("应小于 {lt}", "it must be less than {lt}"),
    "less_than_equal": ("应不大于 {le}", "it must be {le} or less"),
    "literal_error": ("应为 {expected} 之一", "it must be one of {expected}"),
    "tuple_type": ("应为列表", "write a list"),
    "too_short": ("至少 {min_length} 项", "it needs {min_length} or more"),
    "too_long": ("最多 {max_length} 项", "it can have {max_length} at most"),
    "model_type": ("应由键和值组成", "write keys and values"),
    "ip_v4_network": ("不是 IPv4 前缀（主机位应为零）", "that is no IPv4 prefix; its host bits must be zero"),
    "ip_v6_network": ("不是 IPv6 前缀（主机位应为零）", "that is no IPv6 prefix; its host bits must be zero"),
    "ip_v4_address": ("不是 IPv4 地址", "that is no IPv4 address"),
}
# The Chinese of kinds that EXPECTED lacks, or words for the plan only; their English is pydantic's own.
CHINESE = {
    "missing": "缺少此键",
    "extra_forbidden": "没有这个键",
    "bool_type": "应为 true 或 false",
    "bool_parsing": "应为 true 或 false",
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "float_parsing": "应为数字",
    "finite_number": "应为有限的数字",
    "date_type": "应为日期，例如 2026-03-31",
    "date_parsing": "应为日期，例如 2026-03-31",
    "date_from_datetime_parsing": "应为日期，例如 2026-03-31",
    "date_from_datetime_inexact": "应为日期，不带时刻",
    "dict_type": "应由键和值组成",
    "list_type": "应为列表",
    "model_attributes_type": "应由键和值组成",
    "union_tag_invalid": "{discriminator} 是 {tag!r}：应为 {expected_tags} 之一",
    "union_tag_not_found": "缺少键 {discriminator}",
    "string_pattern_mismatch": "不符合格式 {pattern}",
    "string_too_short": "至少 {min_length} 个字符",
}
KNOWN_KEYS = sorted(
    {
        field.alias or name
        for model in vars(models).values()
        if isinstance(model, type) and issubclass(model, BaseModel)
        for name, field in model.model_fields.items()
    }
)


def sentences(source: Source, error: ValidationError) -> Iterator[str]:
    """One sentence a fault, with file and line. A misspelt key is one fault, not an unknown and a missing one."""
    items = _deepest(list(error.errors()))
    missing = {tuple(item["loc"]) for item in items if item["type"] == "missing"}
    meant: dict[KeyPath, str] = {}
    for item in items:
        if item["type"] == "extra_forbidden":
            meant[tuple(item["loc"])] = _meant(tuple(item["loc"]), missing)
    explained = {(*where[:-1], key) for where, key in meant.items() if key}
    for item in items:
        where: KeyPath = tuple(item["loc"])
        if item["type"] == "missing" and where in explained:
            continue
        yield f"{source.at(where)}: {_sentence(source, where, item, meant.get(where, ''))}"


def _deepest(items: list[Any]) -> list[Any]:
    """Without the faults that only follow from one inside: a list whose one item is bad also counts as too short."""
    inside = {tuple(item["loc"])[:n] for item in items for n in range(len(item["loc"]))}
    return [item for item in items if tuple(item["loc"]) not in inside]


def _meant(where: KeyPath, missing: set[KeyPath]) -> str:
    """The key that was probably meant at `where`; one that is missing beside it comes first. "" when none is close."""
    beside = [str(place[-1]) for place in missing if place[:-1] == where[:-1]]
    for candidates in (beside, KNOWN_KEYS):
        if close := get_close_matches(str(where[-1]), candidates, n=1, cutoff=0.7):
            return close[0]
    return ""


def _sentence(source: Source, where: KeyPath, item: Any, meant: str) -> str:
    if not where:
        return tr("文件应由键和值组成", "the file must be a mapping of keys and values")
    if isinstance(where[-1], int) and len(where) > 1:
        key, place = tr(f"{where[-2]} 第 {where[-1] + 1} 项", f"{where[-2]} {where[-1] + 1}"), where[:-2]
    else:
        key, place = str(where[-1]), where[:-1]
    of = _place(source.data, place)
    match item["type"]:
        case "extra_forbidden":
            shown = reprlib.repr(key)
            hint = tr(f"是否应为 {meant!r}？", f"did you mean {meant!r}?") if meant else tr("请改正", "take it out")
            return tr(f"{of} 中没有名为 {shown} 的键；{hint}", f"key {shown} is not known in {of}; {hint}")
        case "missing":
            return tr(f"{of} 缺少键 {key!r}", f"key {key!r} is missing in {of}")
        case "value_error":
            return tr(f"{of} 的 {key}：{item['ctx']['error']}", f"{key} of {of}: {item['ctx']['error']}")
        case kind:
            zh, en = EXPECTED.get(kind, (CHINESE.get(kind), None))
            shown, expected = reprlib.repr(item["input"]), _worded(item, zh, en)
            return tr(f"{of} 的 {key} 是 {shown}：{expected.zh}", f"{key} of {of} is {shown}: {expected.en}")


def in_words(item: Any) -> Told:
    """What is wrong by one of pydantic's faults, in a file that is no plan: English as pydantic says it."""
    if item["type"] == "value_error":
        said = both(item["ctx"]["error"])
        zh, en = said["zh"], f"Value error, {said['en']}"
        return told(zh, en)
    return _worded(item, CHINESE.get(item["type"]) or EXPECTED.get(item["type"], (None,))[0], None)


def _worded(item: Any, zh: str | None, en: str | None) -> Told:
    """Both texts with the fault's own values in them; None: pydantic's English."""
    values = dict(item.get("ctx", {}))
    english = en.format(**values) if en else str(item["msg"])
    if "expected" in values:
        values["expected"] = values["expected"].replace(" or ", "、").replace(", ", "、")
    return told(zh.format(**values) if zh else str(item["msg"]), english)


def _place(data: Any, where: KeyPath) -> str:
    """`where` as a person would say it: "site minqin-education, uplinks 1"."""
    if len(where) >= 2 and where[0] in SINGULAR and isinstance(where[1], int):
        entry = data[where[0]][where[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        number = where[1] + 1
        nameless = tr(f"第 {number} 项", f"number {number} of the list")
        named = reprlib.repr(name).strip("'") if isinstance(name, str) else nameless
        zh, en = SINGULAR[str(where[0])]
        parts = [tr(f"{zh} {named}", f"{en} {named}")]
        rest = where[2:]
    else:
        parts, rest = [], where
    words = " ".join(str(part + 1) if isinstance(part, int) else part for part in rest)
    return ", ".join([*parts, words] if words else parts) or tr("文件", "the file")
