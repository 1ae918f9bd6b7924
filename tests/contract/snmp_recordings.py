"""Recordings of real devices as devices: the lines of a .snmprec file answer Get and GetBulk as an agent would.

The recordings are not part of the project (they are GPL, from LibreNMS' tests). The environment variable
EGOV_RECORDINGS names their folder, else it is looked for at ../shared/recordings beside the project. EGOV_WALKS names
the data folder of the PyPI package snmpsim-data (BSD-2), else it is looked for where that package is installed.
"""

from __future__ import annotations

import bz2
import codecs
import importlib.util
import os
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import Cell, Varbind
from egov_exporters.snmp.oid import Oid, parse_oid
from egov_exporters.snmp.session import Traffic

PROJECT = Path(__file__).resolve().parents[2]
NUMBERS = {"2": ber.INTEGER, "65": ber.COUNTER32, "66": ber.GAUGE32, "67": ber.TIMETICKS, "70": ber.COUNTER64}
SYS_DESCR, SYS_OBJECT_ID = (1, 3, 6, 1, 2, 1, 1, 1, 0), (1, 3, 6, 1, 2, 1, 1, 2, 0)


class Line(NamedTuple):
    """One object of a recording: snmpsim's type, and the value as an agent would send it."""

    kind: str
    text: str
    cell: Cell


def folder() -> Path | None:
    """Where the recordings are, if they are there."""
    found = Path(os.environ.get("EGOV_RECORDINGS", PROJECT.parent / "shared" / "recordings"))
    return found if next(found.glob("*.snmprec"), None) else None


def walks() -> Path | None:
    """Where snmpsim-data's walks are, if they are there."""
    spec = importlib.util.find_spec("snmpsim_data")
    installed = Path(spec.origin).parent / "data" if spec and spec.origin else None
    named = os.environ.get("EGOV_WALKS")
    found = Path(named) if named else installed
    return found if found and next(found.rglob("*.snmprec*"), None) else None


def read(path: Path, keep: tuple[str, ...] = ("",)) -> dict[Oid, Line]:
    """The objects of a recording whose OIDs begin with one of `keep`. Lines that are no object are left out."""
    raw = path.read_bytes()
    text = (bz2.decompress(raw) if path.suffix == ".bz2" else raw).decode("utf-8", "surrogateescape")
    return dict(_lines(text, keep))


def _lines(text: str, keep: tuple[str, ...]) -> Iterator[tuple[Oid, Line]]:
    for line in text.split("\n"):
        parts = line.rstrip("\r").split("|", 2)
        if len(parts) < 3 or not line.startswith(keep):
            continue
        oid, kind, value = parts
        try:
            yield parse_oid(oid), Line(kind, value, _cell(kind, value))
        except ValueError:
            continue


def _cell(kind: str, value: str) -> Cell:
    if kind in NUMBERS:
        return Cell(NUMBERS[kind], ber.integer_octets(int(value)))
    raw = value.encode("utf-8", "surrogateescape")
    if kind.endswith("x"):
        raw = bytes.fromhex(value)
    elif kind.endswith("e"):
        raw = codecs.escape_decode(raw)[0]  # type: ignore[attr-defined]
    base = kind.rstrip("xe")
    if base == "4":
        return Cell(ber.OCTET_STRING, raw)
    if base == "6":
        return Cell(ber.OBJECT_IDENTIFIER, ber.oid_octets(parse_oid(value)))
    if base == "64":
        return Cell(ber.IP_ADDRESS, raw if kind == "64x" else bytes(int(part) for part in value.split(".")))
    if base == "68":
        return Cell(ber.OPAQUE, raw)
    return Cell(ber.NULL, b"")


class Recorded:
    """An agent that answers from a recording, with at most `limit` bindings a reply."""

    def __init__(self, lines: dict[Oid, Line], limit: int = 100) -> None:
        self.lines, self.limit = lines, limit
        self.names = sorted(lines)
        self.traffic = Traffic()

    async def get(self, oids: list[Oid]) -> list[Varbind]:
        """The values, or noSuchObject."""
        self.traffic.sent += 1
        none = Cell(ber.NO_SUCH_OBJECT, b"")
        return [Varbind(oid, self.lines[oid].cell if oid in self.lines else none) for oid in oids]

    async def get_bulk(self, oids: list[Oid], repetitions: int, once: int = 0) -> list[Varbind]:
        """Successors row by row; an exhausted column repeats its end, as RFC 3416 says."""
        self.traffic.sent += 1
        places = [bisect_right(self.names, oid) for oid in oids]
        last = list(oids)
        reply: list[Varbind] = []
        for step in range(repetitions):
            for column, place in enumerate(places):
                if step and column < once:
                    continue
                if place + step < len(self.names):
                    last[column] = self.names[place + step]
                    reply.append(Varbind(last[column], self.lines[last[column]].cell))
                else:
                    reply.append(Varbind(last[column], Cell(ber.END_OF_MIB_VIEW, b"")))
        return reply[: self.limit]

    def close(self) -> None:
        """Nothing to give up."""


def says(lines: dict[Oid, Line]) -> tuple[Oid, str]:
    """sysObjectID and sysDescr of a recording."""
    descr = lines.get(SYS_DESCR)
    identity = lines.get(SYS_OBJECT_ID)
    shown = descr.cell.raw.decode(errors="replace") if descr else ""
    return (parse_oid(identity.text) if identity and identity.kind == "6" else ()), shown
