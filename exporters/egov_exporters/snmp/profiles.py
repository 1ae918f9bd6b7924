"""Profiles: what a module reads and how it is shown. One YAML file each, package data; docs/exporter-profiles.md."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from egov_exporters.snmp.oid import dotted
from egov_exporters.snmp.profile_reader import ProfileError, Reader
from egov_exporters.snmp.schema import NUMBERS, STRINGS, TYPES, Column, LabelColumn, Profile, Table

__all__ = [
    "NUMBERS",
    "STRINGS",
    "TYPES",
    "Column",
    "LabelColumn",
    "Profile",
    "ProfileError",
    "Table",
    "check_profile",
    "load_profiles",
    "parse_profile",
]


class _Entry(dict[Any, Any]):
    """A mapping of a profile file that knows its line."""

    line = 0


class _Loader(yaml.SafeLoader):
    """Safe YAML whose mappings know their lines."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> _Entry:
    entry = _Entry(loader.construct_mapping(node, deep=True))
    entry.line = node.start_mark.line + 1
    return entry


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _folder() -> Traversable:
    return files("egov_exporters") / "profiles"


@cache
def load_profiles() -> Mapping[str, Profile]:
    """All profiles of the package by module name. Raises ProfileError."""
    found = {}
    for entry in sorted(_folder().iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".yml"):
            profile = parse_profile(_read(entry.read_text(encoding="utf-8"), entry.name), entry.name)
            found[profile.name] = profile
    return found


def parse_profile(data: Any, where: str) -> Profile:
    """Given the content of a profile file: the profile. Raises ProfileError with the first thing that is wrong."""
    reader = _reader(where)
    profile = reader.profile(data)
    if reader.problems or profile is None:
        raise ProfileError(reader.problems[0])
    return profile


def check_profile(path: Path) -> list[str]:
    """Everything that is wrong with a profile file, one sentence each, with file and line; empty if it can be used."""
    try:
        data = _read(path.read_text(encoding="utf-8"), str(path))
    except ProfileError as why:
        return [str(why)]
    except OSError as why:
        return [f"{path}: cannot be read: {why.strerror}"]
    except UnicodeDecodeError:
        return [f"{path}: is not a text in UTF-8"]
    reader = _reader(str(path))
    profile = reader.profile(data)
    if profile is not None:
        columns = [*profile.scalars, *(column for table in profile.tables for column in table.columns)]
        for metric in (metric for column in columns for metric in column.metrics()):
            if not metric.source:
                reader.problems.append(
                    f"{path}: {metric.name} ({dotted(metric.oid)}) has no source; name its MIB object"
                )
    return reader.problems


def _read(content: str, where: str) -> Any:
    try:
        return yaml.load(content, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as why:
        mark = getattr(why, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise ProfileError(f"{where}:{line}: is not valid YAML: {getattr(why, 'problem', why)}") from None
    except RecursionError:
        raise ProfileError(f"{where}: is nested too deeply") from None
    except (ValueError, TypeError, AttributeError) as why:  # what YAML takes for a date, a number ... and is none
        raise ProfileError(f"{where}: is not valid YAML: {why}") from None


def _reader(where: str) -> Reader:
    return Reader(where, _enum, _vocabulary())


@cache
def _enum(name: str) -> Mapping[int, str] | None:
    """The enumeration in profiles/enums/NAME.yml, if there is one."""
    try:
        data = yaml.safe_load((_folder() / "enums" / f"{name}.yml").read_text(encoding="utf-8"))
    except OSError:
        return None
    return {int(number): str(text) for number, text in data["values"].items()}


@cache
def _vocabulary() -> Mapping[str, Mapping[str, str]]:
    """Our own metric names, common to all vendors: name → its `type` and `help`."""
    data = yaml.safe_load((_folder() / "vocabulary" / "metrics.yml").read_text(encoding="utf-8"))
    return {str(name): entry for name, entry in data["metrics"].items()}


def vocabulary() -> Mapping[str, Mapping[str, str]]:
    """The metric names that profiles of all vendors share, for documents and tests."""
    return _vocabulary()
