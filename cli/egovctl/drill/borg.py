"""Borg as a drill needs it: list archives, list an archive, read a file of it, extract. Every call has a deadline.

The passphrase goes through a pipe, never onto a command line or into the environment; the way to a backup node is
the rendered ssh_config. A borg that is left alone when its drill is killed dies with it. What borg says, it says in
JSON: a failure's cause follows from its message id, not from its words.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from egovctl.drill.borg_words import FULL, WARNING, BorgFailed, Heard, judge
from egovctl.drill.call import Call, Deadline, Ended, TookTooLong
from egovctl.drill.causes import Cause
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

__all__ = ["Archive", "BorgFailed", "Deadline", "Repository", "ScratchFull", "TookTooLong"]

LOCK_WAIT_SECONDS = 60
WAYS_OUT = ("BORG_PASSPHRASE", "BORG_PASSCOMMAND", "BORG_REPO", "BORG_RSH", "BORG_KEY_FILE")
COLUMNS = ("mode", "user", "group", "size", "bpath")
WHOLE = "unicode_escape"  # with any other encoding borg prints a question mark for what is not UTF-8 in a name
T = TypeVar("T")


class ScratchFull(CannotMeasure):
    """There is no room for what is restored."""

    cause = Cause.NO_ROOM

    @classmethod
    def now(cls) -> ScratchFull:
        return cls(
            told(
                "临时目录已满：请用 --scratch 另给一个目录",
                "the scratch is full: give another one with --scratch DIR",
            )
        )


@dataclass(frozen=True)
class Archive:
    """One backup in a repository. `name` begins with the service's; `at` is when it was begun, by the host's clock."""

    name: str
    at: str = ""


class Pending(AbstractContextManager["Pending[T]"], Generic[T]):
    """A borg that runs; `result` waits for it. Leaving the `with` before that kills it."""

    def __init__(self, call: Call, finish: Callable[[Ended], T]) -> None:
        self._call, self._finish = call, finish

    def __exit__(self, *args: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._call.__exit__(*args)

    def result(self) -> T:
        """What it found; BorgFailed, ScratchFull or TookTooLong."""
        with self:
            return self._finish(self._call.end())


@dataclass(frozen=True)
class Repository:
    """A borg repository. `base` keeps borg's own state, so that it notices a repository that was swapped.

    `healed` is filled as borg says so: what it found damaged and made whole by itself.
    """

    location: str
    passphrase: str
    base: Path
    ssh: tuple[str, ...] = ()
    lock_wait: int = LOCK_WAIT_SECONDS
    healed: list[str] = field(default_factory=list, compare=False)

    def archives(self, deadline: Deadline) -> list[Archive]:
        """All archives, oldest first. The first call of a drill: an index that must be rebuilt is so before others."""

        def parse(ended: Ended) -> list[Archive]:
            data = json.loads(ended.out)
            return [Archive(str(item["name"]), str(item.get("time", ""))) for item in data["archives"]]

        with self._start(["--progress", "list", "--json", self.location], deadline, parse) as pending:
            return pending.result()

    def hosts(self, last: int, deadline: Deadline) -> Pending[list[str]]:
        """The hosts that made the last so many archives, oldest first."""
        argv = ["list", "--json", "--last", str(last), "--format", "{hostname}", self.location]

        def parse(ended: Ended) -> list[str]:
            return [str(item["hostname"]) for item in json.loads(ended.out)["archives"]]

        return self._start(argv, deadline, parse)

    def entries(self, archive: Archive, paths: list[str], deadline: Deadline) -> Pending[dict[str, dict[str, Any]]]:
        """What an archive holds under these paths (without leading slash): absolute path → mode, user, group, size."""

        def parse(ended: Ended) -> dict[str, dict[str, Any]]:
            fields = ended.out.decode(WHOLE).split("\0")
            rows = zip(*(fields[place :: len(COLUMNS)] for place in range(len(COLUMNS))), strict=False)
            return {
                f"/{path}": {
                    "mode": sys.intern(mode),
                    "user": sys.intern(user),
                    "group": sys.intern(group),
                    "size": size,
                }
                for mode, user, group, size, path in rows
            }

        form = "".join(f"{{{name}}}{{NUL}}" for name in COLUMNS)
        argv = ["list", "--format", form, f"{self.location}::{archive.name}", *paths]
        return self._start(argv, deadline, parse, encoding=WHOLE)

    def read(self, archive: Archive, paths: list[str], deadline: Deadline) -> Pending[bytes]:
        """The content of these files of an archive, one after the other; nothing for those that it does not hold."""
        argv = ["extract", "--stdout", f"{self.location}::{archive.name}", *paths]
        return self._start(argv, deadline, lambda ended: ended.out)

    def extract(
        self,
        archive: Archive,
        paths: list[str],
        into: Path,
        deadline: Deadline,
        begun: Callable[[str], None] | None = None,
        *,
        numbers: bool = False,
    ) -> Pending[None]:
        """Restore these paths (all, when there are none) into a folder; `begun` hears of each when its restore begins.

        What only warns (a missing file, say) is left to the comparison. With `numbers` owners are those of the host by
        number, as its own system needs them; else by name, where control has the name.
        """
        plain = ["--noflags", "--noacls", "--noxattrs", *(["--list"] if begun else [])]
        plain += ["--numeric-ids"] if numbers else []
        argv = ["extract", *plain, f"{self.location}::{archive.name}", *paths]
        return self._start(argv, deadline, lambda ended: None, cwd=into, begun=begun)

    def call(self, arguments: list[str], deadline: Deadline, *, strict: bool = False) -> str:
        """Run any other verb, whose arguments name the location themselves; what it printed. BorgFailed as ever.

        `strict`: a warning is a failure too, as `check` gives one for what it finds.
        """
        good = (0,) if strict else (0, WARNING)
        with self._start(arguments, deadline, lambda ended: ended.out.decode(), good=good) as pending:
            return pending.result()

    def _environment(self, descriptor: int) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in WAYS_OUT}
        kept |= {"BORG_PASSPHRASE_FD": str(descriptor), "BORG_BASE_DIR": str(self.base), "LC_ALL": "C.UTF-8"}
        return {**kept, "BORG_RSH": shlex.join(self.ssh)} if self.ssh else kept

    def _start(
        self,
        arguments: list[str],
        deadline: Deadline,
        parse: Callable[[Ended], T],
        *,
        cwd: Path | None = None,
        begun: Callable[[str], None] | None = None,
        good: tuple[int, ...] = (0, WARNING),
        encoding: str | None = None,
    ) -> Pending[T]:
        verb = next(word for word in arguments if not word.startswith("-"))
        heard = Heard(begun)
        call = self._call(arguments, deadline, cwd, None if encoding else heard.line, encoding)

        def finish(ended: Ended) -> T:
            for line in ended.err.decode(encoding or "utf-8", "replace").splitlines():
                heard.line(line.encode("utf-8", "replace"))
            self.healed.extend(heard.healed)
            if any(FULL in line for line in heard.lines) and verb == "extract":
                raise ScratchFull.now()
            if ended.status not in good:
                raise judge(verb, self.location, ended.status, heard)
            return parse(ended)

        return Pending(call, finish)

    def _call(
        self,
        arguments: list[str],
        deadline: Deadline,
        cwd: Path | None,
        on_err: Callable[[bytes], None] | None,
        encoding: str | None,
    ) -> Call:
        self.base.mkdir(mode=0o700, parents=True, exist_ok=True)
        reading, writing = os.pipe()
        try:
            os.write(writing, self.passphrase.encode() + b"\n")
            os.close(writing)
            return Call(
                ["borg", "--log-json", "--lock-wait", str(self.lock_wait), *arguments],
                deadline,
                cwd=cwd,
                env=self._environment(reading) | ({"PYTHONIOENCODING": encoding} if encoding else {}),
                pass_fds=(reading,),
                on_err=on_err,
            )
        except FileNotFoundError as error:
            raise CannotMeasure(
                told(
                    f"控制机没有安装 {error.filename}：apt-get install borgbackup util-linux",
                    f"{error.filename} is not installed on control: apt-get install borgbackup util-linux",
                )
            ) from None
        finally:
            os.close(reading)
