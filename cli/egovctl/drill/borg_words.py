"""What borg says on its way, read from its JSON log, and what a failure of it means."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from egovctl.drill.causes import Cause
from egovctl.errors import CannotMeasure
from egovctl.i18n import both, told

WARNING = 1  # borg's exit code for "done, with warnings"
NOT_EXECUTED = 127  # setpriv's, for a program that is not there
SIGNALLED = 128  # borg's own exit codes for signals begin after it
FULL = "No space left on device"
LINES_KEPT = 200
REPLAY = "repository.replay_segments"
RECOVERED = ("Repository index missing or corrupted", "Repository hints file missing or corrupted")
CAUSES = {
    "PassphraseWrong": Cause.PASSPHRASE_WRONG,
    "NoPassphraseFailure": Cause.PASSPHRASE_WRONG,
    "RepoKeyNotFoundError": Cause.KEY_LOST,
    "KeyfileNotFoundError": Cause.KEY_LOST,
    "KeyfileInvalidError": Cause.KEY_LOST,
    "KeyfileMismatchError": Cause.KEY_LOST,
    "Repository.DoesNotExist": Cause.NO_BACKUP,
    "Archive.DoesNotExist": Cause.NO_BACKUP,
    "LockTimeout": Cause.LOCKED,
    "LockFailed": Cause.LOCKED,
    "LockError": Cause.LOCKED,
    "ConnectionClosed": Cause.UNREACHABLE,
    "ConnectionClosedWithHint": Cause.UNREACHABLE,
    "PathNotAllowed": Cause.UNREACHABLE,
    # Control has seen a newer state of this repository than the one that is there: it was put back.
    "Cache.RepositoryReplay": Cause.STALE,
    "Cache.RepositoryAccessAborted": Cause.WRONG_SOURCE,
    "Cache.EncryptionMethodMismatch": Cause.WRONG_SOURCE,
}


class BorgFailed(CannotMeasure):
    """Borg could not do it. The text has its own words, `cause` what they mean."""

    def __init__(self, text: str, cause: Cause = Cause.REPOSITORY_DAMAGED) -> None:
        super().__init__(text)
        self.cause = cause


@dataclass
class Heard:
    """What one borg said. `begun` hears of the paths that --list names; `healed` has what it repaired by itself."""

    begun: Callable[[str], None] | None = None
    lines: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)

    def line(self, raw: bytes) -> None:
        """Take one line of its error output; never raises."""
        try:
            said = json.loads(raw)
            message = str(said.get("message") or "")
        except (ValueError, AttributeError):
            self._keep(raw.decode("utf-8", "replace"))  # ssh's words, not borg's
            return
        if said.get("name") == "borg.output.list":
            if self.begun:
                self.begun(message)
        elif said.get("type") == "progress_percent":
            if said.get("msgid") == REPLAY and not self.healed:
                self.healed.append("index")
        else:
            self._log(said, message)

    def _log(self, said: dict[str, Any], message: str) -> None:
        if said.get("levelname") in ("ERROR", "CRITICAL") and said.get("msgid"):
            self.ids.append(str(said["msgid"]))
        if any(text in message for text in RECOVERED) and not self.healed:
            self.healed.append("index")
        if said.get("levelname") in ("WARNING", "ERROR", "CRITICAL"):
            self._keep(message)

    def _keep(self, text: str) -> None:
        if len(self.lines) < LINES_KEPT and text.strip():
            self.lines.append(text.strip())


def judge(verb: str, location: str, status: int, heard: Heard) -> BorgFailed:
    """The error for a borg that ended with this status."""
    why = both(_telling(heard))
    if status == NOT_EXECUTED:
        text = told(
            "控制机没有安装 borg：apt-get install borgbackup",
            "borg is not installed on control: apt-get install borgbackup",
        )
        return BorgFailed(text, Cause.NOT_READY)
    if status < 0 or status > SIGNALLED:
        signal = -status if status < 0 else status - SIGNALLED
        text = told(f"borg {verb} 被信号 {signal} 终止", f"borg {verb} was ended by signal {signal}")
        return BorgFailed(text, Cause.TOOL_FAILED)
    cause = next((CAUSES[name] for name in heard.ids if name in CAUSES), Cause.REPOSITORY_DAMAGED)
    if any(FULL in line for line in heard.lines):  # of the node: the scratch's own disk is looked at before
        cause = Cause.NO_ROOM
    text = told(
        f"对 {location} 执行 borg {verb} 失败：{why['zh']}",
        f"borg {verb} of {location} failed: {why['en']}",
    )
    return BorgFailed(text, cause)


def _telling(heard: Heard) -> str:
    """The line of borg's words that says why: its error, not the hints and traces after it."""
    lines = [text.splitlines() for text in heard.lines]
    firsts = [(text[0], text[-1]) for text in lines if text]
    for first, last in firsts:
        if first.startswith("Traceback"):
            return last.strip()[:300]
        if not first.startswith(("Local Exception", "Platform:", "Borg server: Platform:")):
            return first[:300]
    return told("它什么也没说", "it said nothing")
