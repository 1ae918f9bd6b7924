"""Reading one profile file: every entry is checked on its own, so that all that is wrong can be said at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from egov_exporters.snmp.oid import Oid, parse_oid
from egov_exporters.snmp.reads import pinned, reads, unique
from egov_exporters.snmp.schema import (
    INDEX_TYPES,
    LABEL_TYPES,
    MEASURES,
    SETS,
    TYPES,
    Column,
    Condition,
    Detection,
    IndexPart,
    LabelColumn,
    Profile,
    Table,
)
from egov_exporters.snmp.values import CONVERSIONS

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
OURS = "egov_"
MAX_IN_FLIGHT = 4
PROFILE_KEYS = {"module", "title", "mib", "state", "detect", "scalars", "tables"}
TABLE_KEYS = {"name", "index", "labels", "columns", "mib"}
LABEL_KEYS = {"label", "oid", "type", "source", "lookup", "via", "enum"}
PART_KEYS = {"label", "type", "size", "implied", "shown", "enum"}
DETECT_KEYS = {"family", "sysObjectID", "sysDescr", "with", "in_flight"}
COLUMN_KEYS = {
    "name", "oid", "type", "help", "source", "enum", "scale", "scale_by", "units", "digits", "absent", "true_for",
    "parse", "convert", "only", "unless", "labels", "fallback",
}  # fmt: skip


class ProfileError(Exception):
    """A profile is wrong. `str(error)` is one sentence that names the file and the entry."""


class Reader:
    """Makes a profile of a file's content. What is wrong is collected in `problems`, one sentence each."""

    def __init__(
        self,
        where: str,
        enums: Callable[[str], Mapping[int, str] | None],
        vocabulary: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.where, self.enums, self.vocabulary = where, enums, vocabulary
        self.problems: list[str] = []
        self.mib = ""

    def profile(self, data: Any) -> Profile | None:
        """The profile, without the entries that are wrong; None if it is none at all."""
        try:
            self._keys(data, PROFILE_KEYS, "the profile")
            self.mib = str(data.get("mib", ""))
            name = self._name(data["module"], data)
            state = str(data.get("state", "untested"))
            if state not in ("proven", "untested"):
                raise ProfileError(f"{self._at(data)} state is {state}; it is proven or untested")
        except (KeyError, TypeError, AttributeError) as why:
            self.problems.append(f"{self._at(data)} an entry lacks or misuses {why}")
            return None
        except ProfileError as why:
            self.problems.append(str(why))
            return None
        scalars = self._each(data.get("scalars", ()), self._scalar, data)
        served = self._each(data.get("tables", ()), self._table, data)
        profile = Profile(
            name=name,
            scalars=unique(scalars),
            tables=tuple(table for one in served for table in (*reads(one), one)),
            title=str(data.get("title", "")),
            state="proven" if state == "proven" else "untested",
            detections=self._detections(data),
            pinned=pinned(scalars, served),
        )
        self._check_names(profile, data)
        return profile

    def _each(self, items: Any, read: Callable[[Any], Any], parent: Any) -> list[Any]:
        """What `read` makes of each item; what it refuses is noted and left out."""
        found = []
        if not isinstance(items, list | tuple):
            self.problems.append(f"{self._at(parent)} scalars, tables, labels and columns are lists")
            return []
        for item in items:
            try:
                found.append(read(item))
            except ProfileError as why:
                self.problems.append(str(why))
            except (KeyError, TypeError, AttributeError, ValueError) as why:
                self.problems.append(f"{self._at(item)} an entry lacks or misuses {why}")
        return found

    def _at(self, item: Any) -> str:
        """Where an entry stands: the file, and the line if it is known."""
        line = getattr(item, "line", 0)
        return f"{self.where}:{line}:" if line else f"{self.where}:"

    def _keys(self, item: Any, known: set[str], what: str) -> None:
        extra = sorted(str(key) for key in item.keys() - known)
        if extra:
            raise ProfileError(f"{self._at(item)} {what} has the unknown key {extra[0]}; known are {sorted(known)}")

    def _check_names(self, profile: Profile, data: Any) -> None:
        """A name may come twice only where the two mean the same kind of thing: same type, same help."""
        known: dict[str, Column] = {}
        for metric in profile.metrics():
            first = known.setdefault(metric.name, metric)
            if first is not metric and (not metric.name.startswith(OURS) or first.type != metric.type):
                self.problems.append(f"{self._at(data)} a metric name comes twice: {metric.name}")

    # Tables

    def _table(self, item: Any) -> Table:
        name = self._name(item["name"], item)
        self._keys(item, TABLE_KEYS, f"table {name}")
        outer, self.mib = self.mib, str(item.get("mib", self.mib))
        try:
            index = self._index(item["index"], item)
            labels = self._each(item.get("labels", ()), lambda one: self._label(one, index), item)
            columns = self._each(item["columns"], self._column, item)
        finally:
            self.mib = outer
        shown = [part.label for part in index if part.shown] + [label.label for label in labels]
        if len(shown) != len(set(shown)):
            raise ProfileError(f"{self._at(item)} table {name} has a label twice")
        own = tuple(label for label in labels if label.key is None and label.via is None)
        far = tuple(label for label in labels if label not in own)
        return Table(name, index, own, unique(columns), far)

    def _index(self, value: Any, item: Any) -> tuple[IndexPart, ...]:
        if isinstance(value, str):
            return (IndexPart(self._name(value, item)),)
        parts = tuple(self._part(part) for part in value)
        if not parts or any(part.implied for part in parts[:-1]):
            raise ProfileError(f"{self._at(item)} an index has one part or more, and only the last can be implied")
        return parts

    def _part(self, item: Any) -> IndexPart:
        label, kind = self._name(item["label"], item), str(item.get("type", "integer"))
        self._keys(item, PART_KEYS, f"index {label}")
        if kind not in INDEX_TYPES:
            raise ProfileError(f"{self._at(item)} index {label} has the type {kind}; known are {sorted(INDEX_TYPES)}")
        size = int(item["size"]) if "size" in item else None
        if size is not None and not 1 <= size <= 128:
            raise ProfileError(f"{self._at(item)} index {label} has the size {size}")
        enum = self._enum(item, label)
        return IndexPart(label, kind, size, bool(item.get("implied", False)), bool(item.get("shown", True)), enum)

    def _label(self, item: Any, index: tuple[IndexPart, ...]) -> LabelColumn:
        label, kind = self._name(item["label"], item), str(item["type"])
        self._keys(item, LABEL_KEYS, f"label {label}")
        if kind not in LABEL_TYPES:
            raise ProfileError(f"{self._at(item)} label {label} has the type {kind}; known are {sorted(LABEL_TYPES)}")
        key: tuple[int, ...] | None = None
        if "lookup" in item:
            wanted = item["lookup"] if isinstance(item["lookup"], list) else [item["lookup"]]
            names = [part.label for part in index]
            if any(one not in names for one in wanted):
                raise ProfileError(f"{self._at(item)} label {label} looks up by {wanted}; the index has {names}")
            key = tuple(names.index(one) for one in wanted)
        via, via_source = self._reference(item["via"], item) if "via" in item else (None, "")
        if key is not None and via is not None:
            raise ProfileError(f"{self._at(item)} label {label} has both lookup and via")
        oid, source, enum = self._oid(item["oid"], item), self._source(item, label), self._enum(item, label)
        return LabelColumn(label, oid, kind, source, key, via, via_source, enum)

    # Columns

    def _scalar(self, item: Any) -> Column:
        column = self._column(item)
        if column.needs():
            raise ProfileError(f"{self._at(item)} {column.name} is a scalar and depends on no column")
        return column

    def _column(self, item: Any) -> Column:
        name = self._name(item["name"], item)
        self._keys(item, COLUMN_KEYS, name)
        word: Mapping[str, Any] = {}
        if name.startswith(OURS):
            if name not in self.vocabulary:
                raise ProfileError(f"{self._at(item)} {name} is not in the common vocabulary")
            word = self.vocabulary[name]
        kind, text = str(item.get("type") or word["type"]), str(item.get("help") or word["help"])
        if kind not in TYPES:
            raise ProfileError(f"{self._at(item)} {name} has the type {kind}; known are {sorted(TYPES)}")
        enum = self._enum(item, name)
        if kind in SETS and not enum:
            raise ProfileError(f"{self._at(item)} {name} has the type {kind} and needs an enum")
        column = Column(name, self._oid(item["oid"], item), kind, text, enum, self._source(item, name))
        told = self._arithmetic(item, column) | {"fallback": bool(item.get("fallback", False))}
        return replace(column, **told, conditions=self._conditions(item, name))

    def _arithmetic(self, item: Any, column: Column) -> dict[str, Any]:
        """How the number in the cell becomes the number served."""
        told: dict[str, Any] = {}
        if "scale" in item:
            told["scale"] = float(item["scale"])
            if not 1e-12 <= abs(told["scale"]) <= 1e12:
                raise ProfileError(f"{self._at(item)} {column.name} has the scale {item['scale']}")
        for key in ("scale_by", "units", "digits"):
            if key in item:
                told[key], source = self._reference(item[key], item)
                told["sources"] = (*told.get("sources", ()), (told[key], source))
        if "absent" in item:
            told["absent"] = frozenset(int(one) for one in item["absent"])
        if "true_for" in item:
            told["true_for"] = frozenset(int(one) for one in item["true_for"])
        if "parse" in item:
            told["parse"] = self._pattern(item["parse"], item)
        if "convert" in item:
            told["convert"] = str(item["convert"])
            if told["convert"] not in CONVERSIONS:
                raise ProfileError(f"{self._at(item)} {column.name} has no conversion {told['convert']}")
        if told and column.type not in MEASURES:
            raise ProfileError(f"{self._at(item)} {column.name} is a {column.type} and takes no {sorted(told)[0]}")
        told["labels"] = tuple(
            sorted((self._name(key, item), str(value)) for key, value in item.get("labels", {}).items())
        )
        return told

    def _conditions(self, item: Any, name: str) -> tuple[Condition, ...]:
        found = []
        for word, keep in (("only", True), ("unless", False)):
            for told in item[word] if isinstance(item.get(word), list) else [item[word]] if word in item else []:
                self._keys(told, {"oid", "in", "matches", "source"}, f"{word} of {name}")
                values = frozenset(str(one) for one in told.get("in", ()))
                pattern = self._pattern(told["matches"], told) if "matches" in told else None
                if not values and pattern is None:
                    raise ProfileError(f"{self._at(item)} {word} of {name} needs `in` or `matches`")
                oid, source = self._oid(told["oid"], told), self._source(told, name)
                found.append(Condition(oid, values, keep, source, pattern))
        return tuple(found)

    # Detection

    def _detections(self, data: Any) -> tuple[Detection, ...]:
        told = data.get("detect", ())
        return tuple(self._each(told if isinstance(told, list | tuple) else [told], self._detection, data))

    def _detection(self, item: Any) -> Detection:
        family = self._name(item["family"], item)
        self._keys(item, DETECT_KEYS, f"detection of {family}")
        prefixes = tuple(self._oid(one, item) for one in item.get("sysObjectID", ()))
        pattern = self._pattern(item["sysDescr"], item) if "sysDescr" in item else None
        if not prefixes and pattern is None:
            raise ProfileError(f"{self._at(item)} detection of {family} needs sysObjectID or sysDescr")
        in_flight = int(item.get("in_flight", 1))
        if not 1 <= in_flight <= MAX_IN_FLIGHT:
            raise ProfileError(f"{self._at(item)} in_flight of {family} is {in_flight}; 1 to {MAX_IN_FLIGHT} can be")
        modules = tuple(self._name(one, item) for one in item.get("with", ()))
        return Detection(family, prefixes, pattern, modules, in_flight)

    # Small things

    def _reference(self, value: Any, item: Any) -> tuple[Oid, str]:
        """Another column: its OID, or `{oid, source}`."""
        if not isinstance(value, Mapping):
            return self._oid(value, item), ""
        self._keys(value, {"oid", "source"}, "a reference")
        return self._oid(value["oid"], item), self._source(value, OURS)

    def _source(self, item: Any, name: str) -> str:
        told = str(item.get("source", "" if name.startswith(OURS) or not self.mib else name))
        return f"{self.mib}::{told}" if told and self.mib and "::" not in told else told

    def _enum(self, item: Any, name: str) -> Mapping[int, str]:
        told = item.get("enum", {})
        if isinstance(told, Mapping):
            return {int(number): str(text) for number, text in told.items()}
        found = self.enums(str(told))
        if found is None:
            raise ProfileError(f"{self._at(item)} there is no enumeration {told} for {name}")
        return found

    def _pattern(self, value: Any, item: Any) -> re.Pattern[str]:
        try:
            return re.compile(str(value))
        except re.error as why:
            raise ProfileError(f"{self._at(item)} {value!r} is not a regular expression: {why}") from None

    def _name(self, value: Any, item: Any) -> str:
        if not NAME.match(str(value)):
            raise ProfileError(f"{self._at(item)} {value!r} is not a metric or label name")
        return str(value)

    def _oid(self, value: Any, item: Any) -> Oid:
        try:
            return parse_oid(str(value))
        except ValueError as why:
            raise ProfileError(f"{self._at(item)} {why}") from None
