"""What is on record on the NOC: visits, a line of JSON each, a file a month; and what each last walk found.

A line that cannot be read counts for nothing and is counted; a file that cannot be read is as none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from egov_exporters.websites.walk import Dead, Found

HOME = Path("/var/lib/egov-websites")
MONTHS_KEPT = 13
LONGEST_LINE = 2000


@dataclass(frozen=True)
class Visit:
    """One look at a home page. `v4`, `v6` and `https` are open, or what came instead (a status or an outcome).

    `seconds`: how long the quicker family took. `certificate`: when it ends, in seconds since 1970; 0: none was shown.
    """

    at: float
    website: str
    v4: str
    v6: str
    https: str
    seconds: float
    certificate: float = 0.0

    @property
    def opened(self) -> bool:
        """Somebody could see the page, over whichever family."""
        return "open" in (self.v4, self.v6)


class Book:
    """The folder of visits and walks. `broken`: lines that could not be read."""

    def __init__(self, home: Path = HOME) -> None:
        self._home = home
        self.broken = 0

    def note(self, visit: Visit) -> None:
        """Put a visit on record, for good. Raises OSError."""
        path = self._home / f"visits-{datetime.fromtimestamp(visit.at):%Y-%m}.jsonl"
        line = json.dumps(asdict(visit), ensure_ascii=False, separators=(",", ":")) + "\n"
        with path.open("ab+") as file:
            # A line that a full disk or a crash cut short must not swallow this one.
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else f"\n{line}"
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def visits(self, since: float, until: float) -> Iterator[Visit]:
        """All visits from `since` to `until`; those from the future are none."""
        self.broken = 0
        first = datetime.fromtimestamp(since).strftime("%Y-%m")
        for path in sorted(self._home.glob("visits-????-??.jsonl")):
            if path.stem[7:] < first:
                continue
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    visit = _visit(line)
                    if visit is None:
                        self.broken += 1
                    elif since <= visit.at <= until:
                        yield visit

    def prune(self, now: float) -> None:
        """Remove visits of more than MONTHS_KEPT months ago."""
        today = datetime.fromtimestamp(now)
        months = today.year * 12 + today.month - 1 - MONTHS_KEPT
        first = f"{months // 12:04}-{months % 12 + 1:02}"
        for path in self._home.glob("visits-????-??.jsonl"):
            if path.stem[7:] < first:
                path.unlink(missing_ok=True)

    def keep_walk(self, website: str, found: Found) -> None:
        """Replace what the walk before found, in one step. Raises OSError."""
        data = {
            **asdict(found),
            "tried": [[*key, count] for key, count in sorted(found.tried.items())],
            "columns": {name: one and [one[0], one[1]] for name, one in found.columns.items()},
            "marks": sorted(found.marks),
            "labels": sorted(found.labels),
        }
        replace_file(self._home / f"walk-{website}.json", json.dumps(data, ensure_ascii=False, default=str, indent=1))

    def walk(self, website: str) -> Found | None:
        """What the last walk found; None when there was none."""
        try:
            data = json.loads((self._home / f"walk-{website}.json").read_text(encoding="utf-8"))
            return _found(data)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def _visit(line: str) -> Visit | None:
    try:
        visit = Visit(**json.loads(line[:LONGEST_LINE]))
        return visit if isinstance(visit.at, float | int) and isinstance(visit.website, str) else None
    except (ValueError, TypeError):
        return None


def _found(data: dict[str, Any]) -> Found:
    columns = {name: one and (_day(one[0]), int(one[1])) for name, one in data["columns"].items()}
    tried = {(bool(home), bool(inside), str(state)): int(count) for home, inside, state, count in data["tried"]}
    given = {
        **data,
        "columns": columns,
        "tried": tried,
        "home_newest": _day(data["home_newest"]),
        "dead": [Dead(**one) for one in data["dead"]],
        "marks": frozenset(data["marks"]),
        "labels": frozenset(data["labels"]),
    }
    return Found(**given)


def _day(written: str | None) -> date | None:
    return None if written is None else date.fromisoformat(written)


def replace_file(path: Path, text: str) -> None:
    """The whole file or the one before. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.chmod(0o644)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
