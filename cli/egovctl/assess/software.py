"""Genuine software: what is installed against what one is entitled to, each class between two bounds. Pure functions.

Of a class: Σ min(installed, entitled) ÷ installed, over its products. Who was not reached may have anything:
in the lower bound it counts as not covered, in the upper one as covered.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from pydantic import Field, Strict, model_validator

from egovctl.checks.content import Shelf, read_shelf
from egovctl.checks.model import Model, Name
from egovctl.errors import UsageError
from egovctl.i18n import told, tr

Class = Literal["system", "office", "anti-virus"]
CLASSES: tuple[Class, ...] = ("system", "office", "anti-virus")
TARGETS = (0.7, 1.0)
HEADER = ["computer", "name", "version"]
MOST_BYTES = 50_000_000
NAMESPACE = uuid5(NAMESPACE_URL, "urn:egov-suite:software")


@dataclass(frozen=True)
class Installed:
    """One product on one computer. `package` says how it came: deb, or csv for what a file tells."""

    computer: str
    name: str
    version: str
    package: Literal["deb", "csv"] = "csv"


class Product(Model):
    """What one may use: names by a pattern (*, ?), without regard to case; for free, or so many, until a day."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    class_: Annotated[Class, Field(alias="class")]
    free: Annotated[bool, Strict()] = False
    entitled: Annotated[int, Strict(), Field(ge=0, le=10_000_000)] = 0
    until: Annotated[date, Strict()] | None = None
    proof: Annotated[str, Field(max_length=300)] = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.free and (self.entitled or self.until):
            raise ValueError(told("免费的不需要数量和期限", "what is free needs no number and no day"))
        if not self.free and self.entitled and not self.proof:
            raise ValueError(
                told("授权需有凭据（proof）：合同或发票", "entitlements need a proof: a contract, an invoice")
            )
        return self

    def is_of(self, name: str) -> bool:
        return fnmatchcase(name.casefold(), self.name.casefold())

    def held(self, today: date) -> int | None:
        """How many may be installed on a day; None: as many as one likes."""
        if self.free:
            return None
        return 0 if self.until is not None and self.until < today else self.entitled


class Entitlements(Model):
    """inventories/<city>/software/entitlements.yml. `computers`: how many there are beside the hosts of the plan."""

    id: Name
    computers: Annotated[int, Strict(), Field(ge=0, le=1_000_000)]
    products: tuple[Product, ...]


# What needs no entitlement; an entry of the city's own file comes first.
FREE = tuple(
    Product.model_validate({"name": name, "class": kind, "free": True})
    for name, kind in (
        ("Debian GNU/Linux*", "system"),
        ("openEuler*", "system"),
        ("libreoffice-core", "office"),
        ("LibreOffice*", "office"),
        ("clamav", "anti-virus"),
        ("ClamAV*", "anti-virus"),
    )
)


@dataclass(frozen=True)
class Line:
    """One product of the list: on how many computers, and how many of these are covered."""

    product: str
    kind: Class
    installed: int
    held: int | None
    covered: int


@dataclass(frozen=True)
class Rate:
    """A class: `low` and `high` bound the rate; None when there is nothing of it, and all computers were reached."""

    kind: Class
    installed: int
    covered: int
    unreached: int
    low: float | None
    high: float | None

    def reaches(self, target: float) -> bool | None:
        """Whether a target is reached; None when the bounds do not say."""
        if self.low is None or self.high is None:
            return None
        return True if self.low >= target else False if self.high < target else None


def entitlements(folder: Path) -> Entitlements:
    """The city's file; UsageError when it is not there, or with file and line when it cannot be read."""
    shelf: Shelf[Entitlements] = read_shelf.__wrapped__("entitlements", Entitlements, (folder,))
    if "entitlements" not in shelf.entries and "entitlements" not in shelf.broken:
        path = folder / "entitlements.yml"
        raise UsageError(tr(f"没有授权清单：应有 {path}", f"there are no entitlements: expected {path}"))
    return shelf.get("entitlements")


def read_csv(path: Path) -> list[Installed]:
    """One inventory: computer,name,version, a line a product. UTF-8, or GB 18030 as Windows writes it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(tr(f"无法读取 {path}：{error.strerror}", f"{path} cannot be read: {error.strerror}")) from None
    if len(data) > MOST_BYTES:
        raise UsageError(tr(f"{path} 超过 {MOST_BYTES} 字节", f"{path} has more than {MOST_BYTES} bytes"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030", "replace")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    found = []
    try:
        head = [name.strip().casefold() for name in next(rows, [])]
        if head != HEADER:
            raise _wrong(path, 1, ",".join(HEADER))
        for row in rows:
            if not any(map(str.strip, row)):
                continue
            if len(row) != len(HEADER) or not row[0].strip() or not row[1].strip():
                raise _wrong(path, rows.line_num, ",".join(HEADER))
            computer, name, version = (cell.strip()[:300] for cell in row)
            found.append(Installed(computer, name, version))
    except csv.Error as error:
        raise UsageError(
            tr(f"{path}:{rows.line_num}: 不是 CSV：{error}", f"{path}:{rows.line_num}: not CSV: {error}")
        ) from None
    return found


def _wrong(path: Path, line: int, wanted: str) -> UsageError:
    return UsageError(tr(f"{path}:{line}: 应为 {wanted}", f"{path}:{line}: expected {wanted}"))


def debian(computer: str, listed: str, release: str) -> list[Installed]:
    """The packages of a host ("installed NAME VERSION" a line) and its system."""
    found = [Installed(computer, release, "", "deb")] if release else []
    for line in listed.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "installed":
            found.append(Installed(computer, words[1], words[2], "deb"))
    return found


def lines(installed: Iterable[Installed], held: Entitlements, today: date) -> list[Line]:
    """Every product of the lists that is installed somewhere; what no list names is of no class and not counted."""
    products = (*held.products, *FREE)
    where: dict[Product, set[str]] = defaultdict(set)
    for one in installed:
        product = next((entry for entry in products if entry.is_of(one.name)), None)
        if product is not None:
            where[product].add(one.computer)
    found = []
    for product, computers in where.items():
        most = product.held(today)
        covered = len(computers) if most is None else min(len(computers), most)
        found.append(Line(product.name, product.class_, len(computers), most, covered))
    return sorted(found, key=lambda one: (CLASSES.index(one.kind), one.covered - one.installed, one.product))


def rates(found: Sequence[Line], unreached: int) -> list[Rate]:
    """Each class; `unreached` computers may have one of it that nobody is entitled to, or that is covered."""
    rows = []
    for kind in CLASSES:
        installed = sum(one.installed for one in found if one.kind == kind)
        covered = sum(one.covered for one in found if one.kind == kind)
        total = installed + unreached
        low, high = (covered / total, (covered + unreached) / total) if total else (None, None)
        rows.append(Rate(kind, installed, covered, unreached, low, high))
    return rows


def cyclonedx(installed: Iterable[Installed], city: str, at: str) -> dict[str, Any]:
    """A CycloneDX 1.5 bill of materials: each product and version once, with how many computers have it."""
    counts = Counter((one.package, one.name, one.version) for one in set(installed))
    components = []
    for (package, name, version), count in sorted(counts.items()):
        entry: dict[str, Any] = {"type": "application", "name": name, "bom-ref": f"{package}/{name}@{version}"}
        if version:
            entry["version"] = version
        elif package == "deb":
            entry["type"] = "operating-system"
        if package == "deb" and version:
            entry["purl"] = f"pkg:deb/debian/{quote(name, safe='')}@{quote(version, safe='')}"
        entry["properties"] = [{"name": "egov:computers", "value": str(count)}]
        components.append(entry)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE, f'{city} {at}')}",
        "version": 1,
        "metadata": {"timestamp": at, "component": {"type": "platform", "name": city}},
        "components": components,
    }
