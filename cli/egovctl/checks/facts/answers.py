"""The answers of one group, taken strictly: what was cut or has the wrong type is no answer."""

from __future__ import annotations

import json
import re
from typing import Any

MISSING = 127
# What could move a terminal's cursor or turn its text round; lines and tabs are kept.
UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Answers:
    """By query: a file's path or a command's name. `at` is the host's clock when it was asked, seconds since 1970."""

    def __init__(self, data: Any, at: float = 0.0) -> None:
        if not isinstance(data, dict):
            raise TypeError("no answers")
        if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at < 1e11:
            raise TypeError("the host's clock is no time")
        self.data, self.at = data, float(at)

    def text(self, name: str) -> str:
        """What a query gave; ValueError when it failed."""
        answer = self._answer(name)
        if answer["code"] != 0:
            raise ValueError(f"{name}: {answer['err'] or answer['code']}")
        return showable(answer["out"])

    def maybe(self, name: str) -> str | None:
        """As `text`; None when there is no such file or program."""
        return None if self._answer(name)["code"] == MISSING else self.text(name)

    def files(self, prefix: str = "/") -> dict[str, str]:
        """The texts of all files of the answer whose path begins so, those left out that are not there."""
        found = {name: self.maybe(name) for name in sorted(self.data) if name.startswith(prefix)}
        return {name: text for name, text in found.items() if text is not None}

    def json(self, name: str) -> Any:
        """What a query printed as JSON."""
        return json.loads(self.text(name))

    def number(self, name: str) -> float:
        """A bare number of the answer."""
        value = self.data[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
            raise TypeError(f"{name} is no number")
        return float(value)

    def _answer(self, name: str) -> dict[str, Any]:
        answer = self.data[name]
        if not isinstance(answer, dict) or type(answer["code"]) is not int:
            raise TypeError(f"{name} is no answer")
        if not isinstance(answer["out"], str) or not isinstance(answer["err"], str):
            raise TypeError(f"{name} is no text")
        if answer.get("cut"):
            raise ValueError(f"{name} is too long to be judged")
        return answer


def showable(text: str) -> str:
    """The text with a mark in place of each character that a terminal would obey."""
    return UNSHOWABLE.sub("\ufffd", text)


def whole(text: str) -> int:
    """A decimal number of at most twelve digits, perhaps negative; ValueError for anything else."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
        raise ValueError(f"{text[:40]!r} is no number")
    return int(text)


def settings(text: str) -> dict[str, str]:
    """`KEY value` or `key = value`, a line each; the last one counts, comments and blank lines do not."""
    found = {}
    for line in text.splitlines():
        bare = line.split("#", 1)[0].strip()
        if not bare:
            continue
        key, _, value = bare.partition("=") if "=" in bare.split()[0] or bare.split()[1:2] == ["="] else _word(bare)
        found[key.strip()] = value.strip()
    return found


def _word(text: str) -> tuple[str, str, str]:
    parts = text.split(None, 1)
    return parts[0], " ", parts[1] if len(parts) > 1 else ""
