"""Expose: families of samples as Prometheus text (format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from egov_exporters.snmp.oid import Oid

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Labels:
    """The labels of a series, sorted by name, with their text made once. Values may hold any text."""

    __slots__ = ("pairs", "text")

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self.pairs = pairs
        self.text = ",".join(f'{name}="{escape(value)}"' for name, value in pairs)

    def plus(self, name: str, value: str) -> Labels:
        """These labels and one more; a label of that name that is already there stays as it is."""
        if any(name == other for other, _ in self.pairs):
            return self
        return Labels(tuple(sorted((*self.pairs, (name, value)))))


class Source(NamedTuple):
    """The cell that a number came from, and what it was multiplied by."""

    column: Oid
    row: Oid
    scale: float = 1


class Sample(NamedTuple):
    """One series. `source` is set where the value is a cell's number, and None where it says something about a text."""

    labels: Labels
    value: int | float
    source: Source | None = None


@dataclass(slots=True)
class Family:
    """All series of one metric name; `type` is gauge or counter."""

    name: str
    type: str
    help: str
    samples: list[Sample]


def escape(value: str) -> str:
    """A label value as the text format wants it."""
    return value.translate(_ESCAPES)


def first_of_each_name(families: Iterable[Family]) -> list[Family]:
    """Sorted by name; of two families of one name the first."""
    found: dict[str, Family] = {}
    for family in families:
        found.setdefault(family.name, family)
    return [found[name] for name in sorted(found)]


def header(family: Family) -> bytes:
    """The lines above a family's series."""
    described = family.help.translate(_HELP_ESCAPES)
    return f"# HELP {family.name} {described}\n# TYPE {family.name} {family.type}\n".encode()


def lines(family: Family) -> bytes:
    """A family's series, one line each."""
    name = family.name
    return "".join(
        f"{name}{{{labels.text}}} {value!r}\n" if labels.text else f"{name} {value!r}\n"
        for labels, value, _ in family.samples
    ).encode()


def render(families: Iterable[Family]) -> bytes:
    """The families as text, sorted by name; of two families of one name the first is shown."""
    return b"".join(header(family) + lines(family) for family in first_of_each_name(families))
