"""Which notifications have a name. The data is egov_exporters/notifications/known.yml; its head explains the form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import BadMessage, Varbind
from egov_exporters.snmp.oid import Oid, is_under, parse_oid

OTHER = "other"
SEVERITIES = ("info", "warning", "critical")


class NotificationError(Exception):
    """The data file is wrong. `str(error)` is one sentence that names the file and the entry."""


@dataclass(frozen=True)
class Fact:
    """Something to show: the value of a column, else the row's index in one of some columns."""

    name: str
    value: Oid
    index: tuple[Oid, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Notification:
    """One entry; `when` is a column and the OID that a varbind of it must hold."""

    name: str
    oids: tuple[Oid, ...]
    severity: str
    title_zh: str
    title_en: str
    poll: bool = False
    facts: tuple[Fact, ...] = ()
    when: tuple[Oid, Oid] | None = None

    def fits(self, varbinds: Sequence[Varbind]) -> bool:
        """Whether the condition holds."""
        if self.when is None:
            return True
        column, value = self.when
        return any(is_under(one.oid, column) and _is_oid(one, value) for one in varbinds)


UNKNOWN = Notification(OTHER, (), "info", "未知通知", "unknown notification")


def _is_oid(varbind: Varbind, value: Oid) -> bool:
    if varbind.cell.tag != ber.OBJECT_IDENTIFIER:
        return False
    try:
        return ber.decode_oid(varbind.cell.raw) == value
    except BadMessage:
        return False


@dataclass(frozen=True)
class Catalogue:
    """All known notifications, in the file's order."""

    entries: tuple[Notification, ...]

    def __post_init__(self) -> None:
        by_oid: dict[Oid, list[Notification]] = {}
        for entry in self.entries:
            for oid in entry.oids:
                by_oid.setdefault(oid, []).append(entry)
        object.__setattr__(self, "_by_oid", by_oid)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name once, OTHER last: all values that the label `notification` can have."""
        return (*dict.fromkeys(entry.name for entry in self.entries), OTHER)

    def find(self, oid: Oid, varbinds: Sequence[Varbind]) -> Notification:
        """Given snmpTrapOID.0 and the varbinds: the entry, or UNKNOWN.

        Translated to version 1 and back by RFC 3584, ENTERPRISE.NUMBER has become ENTERPRISE.0.NUMBER; it is found too.
        """
        by_oid: dict[Oid, list[Notification]] = getattr(self, "_by_oid")  # noqa: B009 - made in __post_init__
        entries = by_oid.get(oid, [])
        if not entries and len(oid) > 2 and oid[-2] == 0:
            entries = by_oid.get((*oid[:-2], oid[-1]), [])
        return next((entry for entry in entries if entry.fits(varbinds)), UNKNOWN)


@cache
def load_catalogue() -> Catalogue:
    """The package's notifications. Raises NotificationError."""
    path = files("egov_exporters") / "notifications" / "known.yml"
    return parse_catalogue(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)


def parse_catalogue(data: Any, where: str) -> Catalogue:
    """Given the content of the data file: the notifications. Raises NotificationError."""
    try:
        groups = {str(name): _facts(group, where) for name, group in data.get("facts", {}).items()}
        entries = tuple(_entry(item, groups, where) for item in data["notifications"])
    except (KeyError, TypeError, AttributeError) as why:
        raise NotificationError(f"{where}: an entry lacks or misuses {why}") from None
    return Catalogue(entries)


def _entry(item: Any, groups: Mapping[str, tuple[Fact, ...]], where: str) -> Notification:
    name, severity = str(item["name"]), str(item["severity"])
    if severity not in SEVERITIES or name == OTHER or not item["source"] or not item["oids"]:
        raise NotificationError(f"{where}: {name} needs oids, a source, and a severity of {', '.join(SEVERITIES)}")
    when = item.get("when")
    return Notification(
        name=name,
        oids=tuple(_oid(oid, where) for oid in item["oids"]),
        severity=severity,
        title_zh=str(item["title"]["zh"]),
        title_en=str(item["title"]["en"]),
        poll=bool(item.get("poll", False)),
        facts=groups[str(item["facts"])] if "facts" in item else (),
        when=(_oid(when["column"], where), _oid(when["value"], where)) if when else None,
    )


def _facts(group: Mapping[str, Any], where: str) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            name=str(name),
            value=_oid(item["value"], where),
            index=tuple(_oid(oid, where) for oid in item.get("index", ())),
            names={int(number): str(text) for number, text in item.get("names", {}).items()},
        )
        for name, item in group.items()
    )


def _oid(value: Any, where: str) -> Oid:
    try:
        return parse_oid(str(value))
    except ValueError as why:
        raise NotificationError(f"{where}: {why}") from None
