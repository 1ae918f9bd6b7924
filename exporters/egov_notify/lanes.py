"""Which of the waiting messages is sent next, and when: order, the bound in a storm, patience with what is down. Pure.

A lane is one recipient by one way; its messages go in their order. In ten minutes it carries six: the sixth sums up
all that wait, so a storm is few messages, and each of its incidents is in one of them. A lane whose gateway is down
tries again, more and more rarely, for a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from egov_notify import texts
from egov_notify.config import Config
from egov_notify.state import Message, State

BOUND, WINDOW = 6, 600.0
FIRST_PAUSE, LONGEST_PAUSE = 15.0, 300.0
LIFETIME = 86_400.0


def lane_of(message: Message) -> str:
    """The lane that a message goes by."""
    return f"{message.way} {message.recipient}"


@dataclass(frozen=True)
class Batch:
    """What is sent as one message: `message` says it, `covers` are the ids of those that it stands for."""

    lane: str
    message: Message
    covers: tuple[str, ...]

    @property
    def summed(self) -> int:
        """How many messages became one; 0 when it is a single one."""
        return len(self.covers) if len(self.covers) > 1 else 0


@dataclass
class Lanes:
    """The pauses of lanes that failed. They are not kept: after a restart each is tried at once."""

    failures: dict[str, int] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)

    def next(self, state: State, config: Config, way: str, now: float) -> tuple[Batch | None, float]:
        """(what this way sends now, seconds to wait when there is nothing)."""
        wait = LONGEST_PAUSE
        waiting: dict[str, list[Message]] = {}
        for message in state.waiting:
            if message.way == way:
                waiting.setdefault(lane_of(message), []).append(message)
        for lane, messages in waiting.items():
            if self.until.get(lane, 0.0) > now:
                wait = min(wait, self.until[lane] - now)
                continue
            recent = [moment for moment in state.sent.get(lane, []) if now - WINDOW < moment <= now]
            if len(recent) >= BOUND:
                wait = min(wait, recent[0] + WINDOW - now)
                continue
            if len(messages) == 1 or len(recent) < BOUND - 1:
                return Batch(lane, messages[0], (messages[0].id,)), 0.0
            return Batch(lane, _sum_up(config, messages), tuple(item.id for item in messages)), 0.0
        return None, max(wait, 0.0)

    def went(self, state: State, batch: Batch, now: float) -> None:
        """It was taken."""
        state.waiting = [message for message in state.waiting if message.id not in batch.covers]
        kept = [moment for moment in state.sent.get(batch.lane, []) if now - WINDOW < moment <= now]
        state.sent[batch.lane] = [*kept, now]
        self.failures.pop(batch.lane, None)
        self.until.pop(batch.lane, None)

    def failed(self, batch: Batch, now: float) -> float:
        """It was not taken; the lane pauses for the seconds that are returned."""
        count = self.failures[batch.lane] = self.failures.get(batch.lane, 0) + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(count - 1, 10))
        self.until[batch.lane] = now + pause
        return pause


def give_up(state: State, ids: Sequence[str]) -> list[Message]:
    """Take these out of those that wait, counted as dead; returns them."""
    gone = [message for message in state.waiting if message.id in ids]
    state.waiting = [message for message in state.waiting if message.id not in ids]
    state.dead += len(gone)
    return gone


def too_old(state: State, way: str, now: float) -> list[str]:
    """Ids of this way's messages that nobody took for a day."""
    return [item.id for item in state.waiting if item.way == way and now - item.created > LIFETIME]


def _sum_up(config: Config, messages: Sequence[Message]) -> Message:
    recipient = config.recipient(messages[0].recipient)
    language = recipient.language if recipient else "zh"
    opened = [item.lead for item in messages if item.what != "end"]
    ended = [item.lead for item in messages if item.what == "end"]
    line = texts.summed(opened, ended, language, 200)
    return replace(
        messages[-1],
        what="sum",
        subject=f"[{config.city[language]}] {line}",
        body="\n\n".join(f"== {item.subject}\n{item.body}" for item in messages),
        short=texts.summed(opened, ended, language, config.sms_room),
    )
