"""Borg as a drill needs it: list archives, list an archive, extract. Every call has a deadline.

The passphrase goes through a pipe, never onto a command line or into the environment; the way to a backup node is
the rendered ssh_config. A borg that is left alone when its drill is killed dies with it.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egovctl.drill.causes import Cause
from egovctl.errors import CannotMeasure
from egovctl.i18n import both, told

LOCK_WAIT_SECONDS = 60
WARNING = 1  # borg's exit code for "done, with warnings"
FULL = "No space left on device"
WAYS_OUT = ("BORG_PASSPHRASE", "BORG_PASSCOMMAND", "BORG_REPO", "BORG_RSH", "BORG_KEY_FILE")


class BorgFailed(CannotMeasure):
    """Borg could not do it. The text has its own words."""

    cause = Cause.REPOSITORY_DAMAGED


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


class TookTooLong(CannotMeasure):
    """The time for all of it has passed."""


@dataclass(frozen=True)
class Deadline:
    """A moment (monotonic seconds) after which nothing goes on."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        return max(0.1, self.at - time.monotonic())


@dataclass(frozen=True)
class Archive:
    """One backup in a repository. `name` begins with the service's."""

    name: str


@dataclass(frozen=True)
class Repository:
    """A borg repository. `base` keeps borg's own state, so that it notices a repository that was swapped."""

    location: str
    passphrase: str
    base: Path
    ssh: tuple[str, ...] = ()

    def archives(self, deadline: Deadline) -> list[Archive]:
        """All archives, oldest first."""
        data = json.loads(self._run(["list", "--json", self.location], deadline))
        return [Archive(str(item["name"])) for item in data["archives"]]

    def entries(self, archive: Archive, paths: list[str], deadline: Deadline) -> Iterator[dict[str, Any]]:
        """What an archive holds under these paths: type, mode, user, group, size, path (without leading slash)."""
        text = self._run(["list", "--json-lines", f"{self.location}::{archive.name}", *paths], deadline)
        for line in text.splitlines():
            yield json.loads(line)

    def extract(self, archive: Archive, paths: list[str], into: Path, deadline: Deadline) -> None:
        """Restore these paths into a folder. What only warns (a missing file, say) is left to the comparison."""
        plain = ["--noflags", "--noacls", "--noxattrs"]
        self._run(["extract", *plain, f"{self.location}::{archive.name}", *paths], deadline, cwd=into)

    def call(self, arguments: list[str], deadline: Deadline) -> str:
        """Run any other verb, whose arguments name the location themselves; what it printed. BorgFailed as ever."""
        return self._run(arguments, deadline)

    def _environment(self, descriptor: int) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in WAYS_OUT}
        kept |= {"BORG_PASSPHRASE_FD": str(descriptor), "BORG_BASE_DIR": str(self.base), "LC_ALL": "C.UTF-8"}
        return {**kept, "BORG_RSH": shlex.join(self.ssh)} if self.ssh else kept

    def _run(self, arguments: list[str], deadline: Deadline, cwd: Path | None = None) -> str:
        self.base.mkdir(mode=0o700, parents=True, exist_ok=True)
        reading, writing = os.pipe()
        try:
            os.write(writing, self.passphrase.encode() + b"\n")
            os.close(writing)
            argv = [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "--",
                "borg",
                "--lock-wait",
                str(LOCK_WAIT_SECONDS),
                *arguments,
            ]
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=cwd,
                env=self._environment(reading),
                pass_fds=(reading,),
                timeout=deadline.left,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TookTooLong(
                told(
                    f"borg {arguments[0]} 已停止：本次演练的时限已过",
                    f"borg {arguments[0]} was stopped: the time for this drill has passed",
                )
            ) from None
        except FileNotFoundError as error:
            raise BorgFailed(
                told(
                    f"控制机没有安装 {error.filename}：apt-get install borgbackup",
                    f"{error.filename} is not installed on control: apt-get install borgbackup",
                )
            ) from None
        finally:
            os.close(reading)
        return self._judge(arguments[0], done)

    def _judge(self, verb: str, done: subprocess.CompletedProcess[bytes]) -> str:
        said = done.stderr.decode("utf-8", "replace")
        if FULL in said:
            raise ScratchFull.now()
        if done.returncode not in (0, WARNING):
            why = both(_telling(said))
            raise BorgFailed(
                told(
                    f"对 {self.location} 执行 borg {verb} 失败：{why['zh']}",
                    f"borg {verb} of {self.location} failed: {why['en']}",
                )
            )
        return done.stdout.decode("utf-8", "surrogateescape")


def _telling(said: str) -> str:
    """The line of borg's words that says why."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for line in lines:
        if line.startswith(("Remote: ssh", "Remote: ", "Repository ", "passphrase ", "Failed to create")):
            return line
    return lines[-1][:300] if lines else told("它什么也没说", "it said nothing")
