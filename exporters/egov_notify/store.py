"""The state on disk: replaced in one step and synced, so that a crash leaves the old one or the new one, no half."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from egov_notify import state as states
from egov_notify.state import Message, State

log = logging.getLogger("egov_notify")
STATE, DEAD = "state.json", "dead.jsonl"
MOST_DEAD_BYTES = 4_000_000


class Store:
    """A folder of its own. `lost` says that what was there could not be read, and was put aside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lost = False

    def load(self) -> State:
        """What was saved last; an empty state when there is none. What cannot be read is kept under another name."""
        path = self.folder / STATE
        try:
            return states.read(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return State()
        except (ValueError, TypeError, KeyError, AttributeError):
            self.lost = True
            aside = path.with_name(f"{STATE}.unreadable-{int(time.time())}")
            path.replace(aside)
            log.error("the state could not be read and was put aside as %s: incidents may be told again", aside.name)
            return State()

    def save(self, state: State) -> None:
        """Keep it. Raises OSError."""
        path = self.folder / STATE
        beside = path.with_name(f".{STATE}.new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write(states.dump(state))
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def bury(self, messages: Sequence[Message], why: str) -> None:
        """Note messages that will not be sent, for a person to read. Raises OSError."""
        path = self.folder / DEAD
        if path.exists() and path.stat().st_size > MOST_DEAD_BYTES:
            path.replace(path.with_name(f"{DEAD}.1"))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as stream:
            for message in messages:
                stream.write(json.dumps({"why": why, **asdict(message)}, ensure_ascii=False) + "\n")
