"""What collectors answered, by what was asked of whom: what a run saw anew, and what it need not ask for again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import rfc8785

from egovctl.checks.model import Collect, SubjectKind

# A hash of what was asked, and the subject.
Key = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """One subject's facts, and when they were observed."""

    at: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """By collector. `kept` is from runs before, `seen` from this one, `used` when the oldest that it went by is of."""

    kept: Mapping[str, Mapping[Key, Answer]] = field(default_factory=dict)
    seen: dict[str, dict[Key, Answer]] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)

    def use(self, by: str, key: Key) -> Answer | None:
        """What is kept of this; it counts as gone by."""
        answer = self.kept.get(by, {}).get(key)
        if answer is not None:
            self.used[by] = min(answer.at, self.used.get(by, answer.at))
        return answer

    def note(self, by: str, key: Key, answer: Answer) -> None:
        """Something that was observed in this run."""
        self.seen.setdefault(by, {})[key] = answer


def asked(collect: Collect, kind: SubjectKind) -> str:
    """A hash of what a check wants observed; checks that want the same share it."""
    return hashlib.sha256(rfc8785.dumps({"kind": kind, **collect.model_dump(mode="json")})).hexdigest()
