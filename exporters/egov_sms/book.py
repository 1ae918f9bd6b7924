"""The log of the departments' messages, and what follows from it: quotas used, identities taken, states.

One file a month, a line an event, appended and synced before anything is done that cannot be undone; what is counted
is counted from these lines, at the start and ever after. A number stands there masked.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

ZONE = timezone(timedelta(hours=8))  # a day of a quota is a day in China
# taken: on record, not yet handed over. failed: Kannel did not take it, so it counts no more. unknown: nobody can say
# whether Kannel took it.
STATES = ("taken", "failed", "unknown", "sent", "submitted", "delivered", "undelivered", "rejected")
FINAL = ("failed", "delivered", "undelivered", "rejected")


@dataclass(frozen=True)
class Entry:
    """A message as the log knows it. `at`: when it was taken; `digest` tells whether a repeated request is the same."""

    at: float
    site: str
    id: str
    to: str
    parts: int
    digest: str
    state: str = "taken"
    changed: float = 0.0


def day_of(at: float) -> str:
    return datetime.fromtimestamp(at, ZONE).strftime("%Y-%m-%d")


def month_of(at: float) -> str:
    return day_of(at)[:7]


def seconds_left(at: float, *, month: bool) -> int:
    """Until the next day, or month, begins."""
    now = datetime.fromtimestamp(at, ZONE)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    following = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1) if month else midnight + timedelta(days=1)
    return max(1, int((following - now).total_seconds()))


class Book:
    """A folder of logs. `broken` counts lines that could not be read; methods may be called from several threads."""

    def __init__(self, folder: Path, now: float) -> None:
        self.folder = folder
        self.entries: dict[tuple[str, str], Entry] = {}
        self.used: Counter[tuple[str, str]] = Counter()
        self.broken = 0
        self.month = month_of(now)
        self._lock = threading.Lock()
        self._read(now)

    def _read(self, now: float) -> None:
        """This month and the last: identities are known for a month at least."""
        for path in _months(self.folder, now):
            for line in _lines(path):
                if not self._learn(line):
                    self.broken += 1

    def _learn(self, line: dict[str, object] | None) -> bool:
        try:
            if line is None:
                return False
            key = (str(line["site"]), str(line["id"]))
            state, at = str(line["state"]), float(str(line["at"]))
            if state not in STATES:
                return False
            if state == "taken":
                entry = Entry(at, *key, str(line["to"]), int(str(line["parts"])), str(line["digest"]), changed=at)
                self.entries[key] = entry
                self._count(entry, entry.parts)
            elif key in self.entries:
                self._change(self.entries[key], state, at)
        except (KeyError, ValueError):
            return False
        return True

    def _count(self, entry: Entry, parts: int) -> None:
        self.used[entry.site, day_of(entry.at)] += parts
        self.used[entry.site, month_of(entry.at)] += parts

    def _change(self, entry: Entry, state: str, at: float) -> None:
        self.entries[entry.site, entry.id] = replace(entry, state=state, changed=at)
        if state == "failed" and entry.state != "failed":
            self._count(entry, -entry.parts)

    def settle(self, now: float) -> int:
        """Say of what an end of the service left between log and Kannel that nobody knows; how many there were."""
        left = [entry for entry in self.entries.values() if entry.state == "taken"]
        for entry in left:
            self.note(entry.site, entry.id, "unknown", now)
        return len(left)

    def get(self, site: str, identity: str) -> Entry | None:
        with self._lock:
            return self.entries.get((site, identity))

    def usage(self, site: str, now: float) -> tuple[int, int]:
        """Parts of today, and of this month."""
        with self._lock:
            return self.used[site, day_of(now)], self.used[site, month_of(now)]

    def take(self, entry: Entry, daily: int, monthly: int) -> Entry | str:
        """Put a new message on record; what is there already under its id, or the quota that it would break.

        Returns the entry that is on record then: the given one is new. Raises OSError when nothing could be kept.
        """
        with self._lock:
            self._turn(entry.at)
            if (known := self.entries.get((entry.site, entry.id))) is not None and known.state != "failed":
                return known
            if self.used[entry.site, day_of(entry.at)] + entry.parts > daily:
                return "day"
            if self.used[entry.site, month_of(entry.at)] + entry.parts > monthly:
                return "month"
            line = {"at": round(entry.at, 3), "site": entry.site, "id": entry.id, "state": "taken"}
            self._append(entry.at, {**line, "to": entry.to, "parts": entry.parts, "digest": entry.digest})
            self.entries[entry.site, entry.id] = entry
            self._count(entry, entry.parts)
            return entry

    def note(self, site: str, identity: str, state: str, now: float, why: str = "") -> bool:
        """Put what became of a message on record; False for one that is not known, or is further already."""
        with self._lock:
            entry = self.entries.get((site, identity))
            late = entry is not None and state == "sent" and entry.state != "taken"  # a report was quicker
            if entry is None or late or entry.state in FINAL or entry.state == state:
                return False
            line = {"at": round(now, 3), "site": site, "id": identity, "state": state}
            self._append(now, {**line, **({"why": why} if why else {})})
            self._change(entry, state, now)
            return True

    def _append(self, now: float, line: dict[str, object]) -> None:
        path = self.folder / f"{month_of(now)}.jsonl"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            size = os.fstat(descriptor).st_size
            # What a crash cut short ends here, so that it spoils no other line.
            start = b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""
            data = start + json.dumps(line, ensure_ascii=False).encode() + b"\n"
            try:
                if os.write(descriptor, data) != len(data):
                    raise OSError(28, "no space left on the device", str(path))
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)

    def _turn(self, now: float) -> None:
        """With a new month forget what is older than the last one."""
        if month_of(now) == self.month:
            return
        last, self.month = self.month, month_of(now)
        self.entries = {key: entry for key, entry in self.entries.items() if month_of(entry.at) >= last}
        self.used = Counter({key: count for key, count in self.used.items() if key[1][:7] >= last})


def _months(folder: Path, now: float) -> list[Path]:
    this = datetime.fromtimestamp(now, ZONE).replace(day=1)
    names = [(this - timedelta(days=1)).strftime("%Y-%m"), this.strftime("%Y-%m")]
    return [path for name in names if (path := folder / f"{name}.jsonl").exists()]


def _lines(path: Path) -> Iterator[dict[str, object] | None]:
    """Each line as data; None for one that is not."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        for text in stream:
            if text.strip():
                try:
                    found = json.loads(text)
                except ValueError:
                    found = None
                yield found if isinstance(found, dict) else None
