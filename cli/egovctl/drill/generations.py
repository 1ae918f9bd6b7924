"""The off-site node's generations: which there are, what one says of itself, and a copy of what it has."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egovctl.drill.borg import ScratchFull
from egovctl.drill.call import Call, Deadline
from egovctl.drill.causes import Cause
from egovctl.drill.judging import HEADROOM
from egovctl.drill.restore_files import NoBackup
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

STAMP = re.compile(r"\d{8}T\d{6}Z\Z")
SIZE = re.compile(r"^Total file size: (\d+) bytes", re.MULTILINE)
VANISHED = 24  # rsync: a file was gone before it could be sent
NOT_THERE = "No such file or directory"
# What comes is read by a box's users: they are neither its owner nor in its group.
SHAPE = ("--recursive", "--times", "--perms", "--chmod=Du=rwx,Fu=rw,go=rX", "--delete")


class Unreachable(CannotMeasure):
    """The off-site node did not answer."""

    cause = Cause.UNREACHABLE


class NotThere(Unreachable):
    """It answered that there is no such thing."""


@dataclass(frozen=True)
class Generation:
    """One generation, and in which state it has what was asked for: the same state again says nothing new."""

    name: str
    state: tuple[int, ...]


@dataclass(frozen=True)
class Store:
    """Where generations are: `place` as rsync reads it, without a slash at the end; `ssh` the way there, if any."""

    place: str
    ssh: tuple[str, ...] = ()

    def names(self, deadline: Deadline) -> list[str]:
        """The generations, newest first."""
        said = self._rsync(["--list-only", f"{self.place}/"], deadline)
        names = (line.split()[-1] for line in said.splitlines() if line.startswith("d") and line.split())
        return sorted((name for name in names if STAMP.match(name)), reverse=True)

    def generation(self, name: str, parts: Sequence[str], folder: Path, deadline: Deadline) -> Generation | None:
        """What one has of these parts (as it calls them: borg/HOST); None when it lacks one."""
        note = folder / "generation.json"
        self._rsync([f"{self.place}/{name}/generation.json", str(note)], deadline)
        try:
            known: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))["repositories"]
            found = [known.get(part) for part in parts]
            state = [int(one[word]) for one in found if one and one["at"] for word in ("head", "segments", "bytes")]
            return None if len(state) < 3 * len(parts) else Generation(name, tuple(state))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            text = (f"世代 {name} 的说明无法读取", f"what generation {name} says of itself cannot be read")
            raise NoBackup(told(*text)) from None
        finally:
            note.unlink(missing_ok=True)

    def fetch(self, generation: Generation, folders: Mapping[str, str], into: Path, deadline: Deadline) -> None:
        """Make `into` a copy: each folder of the generation under its own name there.

        What is there of another generation is reused. NoBackup when it has no such folder, ScratchFull without room.
        """
        ways = {f"{self.place}/{generation.name}/{there}/": into / here for there, here in folders.items()}
        try:
            for here in ways.values():
                here.mkdir(mode=0o755, parents=True, exist_ok=True)
            _require_room(into, sum(self._octets(there, here, deadline) for there, here in ways.items()))
            for there, here in ways.items():
                self._rsync([*SHAPE, there, f"{here}/"], deadline)
        except NotThere:
            shown = ", ".join(folders)
            raise NoBackup(
                told(f"世代 {generation.name} 中没有 {shown}", f"generation {generation.name} has no {shown}")
            ) from None

    def _octets(self, there: str, here: Path, deadline: Deadline) -> int:
        asked = ["--recursive", "--dry-run", "--stats", "--no-human-readable", there, f"{here}/"]
        found = SIZE.search(self._rsync(asked, deadline))
        return int(found.group(1)) if found else 0

    def _rsync(self, arguments: list[str], deadline: Deadline) -> str:
        way = ["-e", shlex.join(self.ssh)] if self.ssh else []
        with Call(["rsync", "--timeout=60", *way, *arguments], deadline) as call:
            ended = call.end()
        if ended.status in (0, VANISHED):
            return ended.out.decode("utf-8", "replace")
        said = ended.err.decode("utf-8", "replace").strip().splitlines() or [f"rsync exited {ended.status}"]
        if any("No space left on device" in line for line in said):
            raise ScratchFull.now()
        kind = NotThere if NOT_THERE in said[0] else Unreachable
        raise kind(told(f"无法从异地节点取回：{said[0]}", f"nothing could be fetched from off-site: {said[0]}"))


def _require_room(folder: Path, octets: int) -> None:
    free, needed = shutil.disk_usage(folder).free, octets + HEADROOM
    if free < needed:
        wanted, there = needed >> 20, free >> 20
        raise ScratchFull(
            told(
                f"临时目录太小：需要 {wanted} MiB，可用 {there} MiB；请用 --scratch 另给一个目录",
                f"the scratch is too small: {wanted} MiB are needed, {there} MiB are free; use --scratch DIR",
            )
        )
