"""Plan data → YAML as a person would have written it: a few lines a site, no aliases, quotes where needed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import yaml

from egovctl.i18n import tr

WIDTH = 120
RESOLVER: Any = yaml.resolver.Resolver()
LINES = (
    ("number", "name", "kind", "county", "vertical", "platform"),
    ("title", "short"),
    ("routers", "interconnect_mbps"),
    ("uplinks",),
    ("internet",),
    ("hosts",),
    ("addresses",),
    ("manage",),
)
# Letters, digits, and punctuation that means nothing to YAML anywhere; no space at its ends.
HARMLESS = r"\w ().;+/\u0080-\U0010ffff-"
PLAIN = re.compile(rf"\w([{HARMLESS}]*[{HARMLESS}](?<!\s))?\Z")
ODD = re.compile(f"{yaml.reader.Reader.NON_PRINTABLE.pattern}|[\t\n\r\x85\xa0\u2028\u2029\ufeff]")
# Prefixes, paths and times of day: plain where a plan's readers are used to it, as YAML takes them for text.
PREFIX = re.compile(r"[0-9a-f][0-9a-f.:]*/[0-9]{1,3}\Z|/[A-Za-z0-9._/-]+\Z")


def scalar(value: object) -> str:
    """The value as YAML that means it, within [] and {} too; a text that would be taken for anything else is quoted."""
    if not isinstance(value, str):
        return json.dumps(value)
    resolved = RESOLVER.resolve(yaml.ScalarNode, value, (True, False))
    plain = (PLAIN.match(value) or PREFIX.match(value)) and not ODD.search(value) and not _number(value)
    return value if plain and resolved == "tag:yaml.org,2002:str" else _quoted(value)


def _number(value: str) -> bool:
    """Whether some reader of YAML takes the text for a number (1e3 is one by YAML 1.2)."""
    try:
        float(value.replace("_", ""))
    except ValueError:
        return bool(re.match(r"0[xo]", value))
    return True


def _quoted(value: str) -> str:
    return ODD.sub(lambda match: f"\\U{ord(match[0]):08x}", json.dumps(value, ensure_ascii=False))


def flow(value: Any) -> str:
    """The value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def inventory_yml() -> str:
    """city.yml: what makes the folder an inventory."""
    head = tr(
        "清单来源：主机、分组与变量全部来自旁边的 plan/。",
        "The inventory's source: hosts, groups and variables all come from plan/ beside this file.",
    )
    return f"# {head}\nplugin: egov_plan\n"


def city_yml(data: Mapping[str, Any], origin: str, day: date, comments: Mapping[int, str]) -> str:
    """plan/city.yml; `comments` stand above the sites with these places."""
    city = data["city"]
    lines = [
        *_comments(
            tr(
                f"由 {origin} 于 {day} 导入（egovctl plan import）。\n此后以本文件为准：请改这里，不再改表。"
                "站点编号永不改变，地址由编号得出（docs/plan.md、docs/import.md）。",
                f"Made from {origin} on {day} by egovctl plan import.\n"
                "From now on this file is the plan: edit it here. A site's number never changes and gives its\n"
                "addresses (docs/plan.md, docs/import.md).",
            )
        ),
        "schema: 1",
        "city:",
        *(f"  {key}: {flow(value)}" for key, value in city.items()),
        "addressing:",
        *(f"  {key}: {flow(value)}" for key, value in data["addressing"].items()),
    ]
    for key in ("counties", "verticals"):
        if items := data.get(key):
            lines += [f"{key}:", *(f"  - {flow(item)}" for item in items)]
        elif key in data:
            lines.append(f"{key}: []")
    lines.append("sites:")
    for place, site in enumerate(data["sites"]):
        if place in comments:
            lines += [f"  {text}" for text in _comments(comments[place])]
        lines += _site(site)
    return "\n".join(lines) + "\n"


def _site(site: Mapping[str, Any]) -> list[str]:
    parts = []
    for keys in LINES:
        if text := ", ".join(f"{key}: {flow(site[key])}" for key in keys if key in site):
            parts.append(text)
    joined: list[str] = []
    for text in parts:
        beside = joined and text.startswith("internet:") and joined[-1].startswith("uplinks:")
        if beside and len(joined[-1]) + len(text) + 10 <= WIDTH:
            joined[-1] += f", {text}"
        else:
            joined.append(text)
    return [
        f"{'  - {' if place == 0 else '     '}{text}{'}' if place == len(joined) - 1 else ','}"
        for place, text in enumerate(joined)
    ]


def services_yml(data: Mapping[str, Any]) -> str:
    """plan/services.yml."""
    lines = [
        *_comments(
            tr(
                "运行什么、由谁负责、承诺什么。时长：s、m、h、d。\n"
                "导入时写的是样例：请与责任单位核定后改正，并补上本市的业务。",
                "What runs, who answers for it, and what is promised. Durations: s, m, h, d.\n"
                "These are samples from an import: correct them with the owners, and add the city's own services.",
            )
        ),
        "schema: 1",
    ]
    if not data["services"]:
        return "\n".join([*lines, "services: []"]) + "\n"
    lines.append("services:")
    for service in data["services"]:
        items = [f"{key}: {flow(value)}" for key, value in service.items()]
        lines += [f"{'  - ' if place == 0 else '    '}{item}" for place, item in enumerate(items)]
    return "\n".join(lines) + "\n"


def _comments(text: str) -> list[str]:
    """The text's lines as comments."""
    return [f"# {' '.join(line.split())}" for line in text.splitlines()]
