"""Profiles: what a module reads and how it is shown. One YAML file each, package data; see profiles/if_mib.yml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from egov_exporters.snmp.oid import Oid, parse_oid

NUMBERS = frozenset(("gauge", "counter"))
STRINGS = frozenset(("DisplayString", "OctetString", "PhysAddress48"))
TYPES = NUMBERS | STRINGS | {"EnumAsInfo"}
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


class ProfileError(Exception):
    """A profile is wrong. `str(error)` is one sentence that names the file and the entry."""


@dataclass(frozen=True)
class Column:
    """One object: a column of a table, or a scalar. `help` is the text without the OID."""

    name: str
    oid: Oid
    type: str
    help: str
    enum: Mapping[int, str] = field(default_factory=dict)

    @property
    def conditional(self) -> bool:
        """Whether the value decides if it is shown at all."""
        return False


@dataclass(frozen=True)
class LabelColumn:
    """A column whose value becomes a label of every series of its row."""

    label: str
    oid: Oid
    type: str


@dataclass(frozen=True)
class Table:
    """Columns that share one integer index and the labels of a row. Columns are read in this order."""

    name: str
    index: str
    labels: tuple[LabelColumn, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Profile:
    """A module: scalars and tables."""

    name: str
    scalars: tuple[Column, ...]
    tables: tuple[Table, ...]


def _folder() -> Traversable:
    return files("egov_exporters") / "profiles"


@cache
def load_profiles() -> Mapping[str, Profile]:
    """All profiles of the package by module name. Raises ProfileError."""
    found = {}
    for entry in _folder().iterdir():
        if entry.name.endswith(".yml"):
            profile = parse_profile(yaml.safe_load(entry.read_text(encoding="utf-8")), entry.name)
            found[profile.name] = profile
    return found


def parse_profile(data: Any, where: str) -> Profile:
    """Given the content of a profile file: the profile. Raises ProfileError."""
    try:
        profile = Profile(
            name=str(data["module"]),
            scalars=tuple(_column(item, where) for item in data.get("scalars", ())),
            tables=tuple(_table(item, where) for item in data.get("tables", ())),
        )
    except (KeyError, TypeError, AttributeError) as why:
        raise ProfileError(f"{where}: an entry lacks or misuses {why}") from None
    names = [column.name for column in (*profile.scalars, *(c for t in profile.tables for c in t.columns))]
    if len(names) != len(set(names)):
        raise ProfileError(f"{where}: a metric name comes twice")
    return profile


def _table(item: Any, where: str) -> Table:
    return Table(
        name=_name(item["name"], where),
        index=_name(item["index"], where),
        labels=tuple(_label(label, where) for label in item.get("labels", ())),
        columns=tuple(_column(column, where) for column in item["columns"]),
    )


def _label(item: Any, where: str) -> LabelColumn:
    kind = str(item["type"])
    if kind not in STRINGS:
        raise ProfileError(f"{where}: label {item['label']} has the type {kind}; known are {sorted(STRINGS)}")
    return LabelColumn(_name(item["label"], where), _oid(item["oid"], where), kind)


def _column(item: Any, where: str) -> Column:
    name, kind = _name(item["name"], where), str(item["type"])
    if kind not in TYPES:
        raise ProfileError(f"{where}: {name} has the type {kind}; known are {sorted(TYPES)}")
    enum = _enum(str(item["enum"]), where) if "enum" in item else {}
    return Column(name, _oid(item["oid"], where), kind, str(item["help"]), enum)


def _name(value: Any, where: str) -> str:
    if not NAME.match(str(value)):
        raise ProfileError(f"{where}: {value!r} is not a metric or label name")
    return str(value)


def _oid(value: Any, where: str) -> Oid:
    try:
        return parse_oid(str(value))
    except ValueError as why:
        raise ProfileError(f"{where}: {why}") from None


@cache
def _enum(name: str, where: str) -> Mapping[int, str]:
    """The enumeration in profiles/enums/NAME.yml."""
    try:
        data = yaml.safe_load((_folder() / "enums" / f"{name}.yml").read_text(encoding="utf-8"))
    except OSError:
        raise ProfileError(f"{where}: there is no enumeration {name}") from None
    return {int(number): str(text) for number, text in data["values"].items()}
