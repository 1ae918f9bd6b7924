"""Digest what is restored while the rest is still being restored: a drill takes hardly longer than a restore."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType

from egovctl.drill.compare import digest_of

Seen = tuple[int, int, int, int]  # device and inode, size, time of change: the same file with the same content


class Follower:
    """Digests the files below `root` as a restore goes from one to the next.

    A file is whole once the next one has begun. `digest` gives what was found, if the file has not changed since; else,
    as for a file that was never followed, it reads it.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._last: str | None = None
        self._known: dict[str, tuple[Seen, str]] = {}
        self._thread = Thread(target=self._work, daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._queue.put(None)
        self._thread.join()

    def begun(self, path: str) -> None:
        """The restore of this path (without leading slash) begins; the one before it is whole."""
        if self._last is not None:
            self._queue.put(self._last)
        self._last = path

    def digest(self, path: Path) -> str:
        """SHA-256 of a file, hex; OSError when it cannot be read."""
        name = str(path)
        known = self._known.get(name)
        if known and known[0] == _seen(os.lstat(name)):
            return known[1]
        return digest_of(path)

    def _work(self) -> None:
        while (path := self._queue.get()) is not None:
            name = f"{self._root}/{path}"
            try:
                before = os.lstat(name)
                if not stat.S_ISREG(before.st_mode):
                    continue
                found = digest_of(Path(name))
                if _seen(before) == _seen(os.lstat(name)):
                    self._known[name] = (_seen(before), found)
            except (OSError, ValueError):
                continue  # a name that the log could not carry, or a file that is not there: it is read at the end


def _seen(status: os.stat_result) -> Seen:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
