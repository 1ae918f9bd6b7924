"""The configuration that render makes of the plan, as frozen data, and what is known of a text before it is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ONE, OF_MANY = 70, 67  # UCS-2 characters of a message alone, and of a part of a longer one
MOST_PARTS = 5
WORD = re.compile(r"\{([A-Za-z0-9_]{1,30})\}")
MOBILE = re.compile(r"\+?[0-9]{5,15}\Z")
IDENTITY = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names the file and what is wrong."""


class Unfit(Exception):
    """A request that cannot be carried: `reason` is a key of answers.SENTENCES, the rest fills it."""

    def __init__(self, reason: str, **words: object) -> None:
        super().__init__(reason)
        self.reason, self.words = reason, words


@dataclass(frozen=True)
class Account:
    """A department: its name in zh and en, and how many parts it may send in a day and in a month."""

    title: Mapping[str, str]
    daily: int
    monthly: int


@dataclass(frozen=True)
class Config:
    """All of it. `kannel`: ADDRESS:PORT of sendsms; `status`: of its administration.

    `signature` stands before each text. `listen`: addresses of the host that departments reach.
    """

    accounts: Mapping[str, Account]
    signature: str
    per_minute: int
    kannel: str
    status: str
    listen: tuple[str, ...]
    port: int
    inside: int

    def text(self, template: str, values: Mapping[str, str] | None) -> str:
        """What is sent: the signature, and the template with its {words} filled. Raises Unfit.

        Without values the text is taken as it is, braces too.
        """
        if values is not None:
            missing = [word for word in WORD.findall(template) if word not in values]
            if missing:
                raise Unfit("word", word=missing[0])
            template = WORD.sub(lambda match: values[match[1]], template)
        text = f"【{self.signature}】{template}"
        if not template.strip():
            raise Unfit("empty")
        for character in text:
            if ord(character) > 0xFFFF or 0xD800 <= ord(character) <= 0xDFFF:
                raise Unfit("character", character=ascii(character))
            if (ord(character) < 0x20 and character != "\n") or 0x7F <= ord(character) < 0xA0:
                raise Unfit("character", character=ascii(character))
        if parts_of(text) > MOST_PARTS:
            raise Unfit("long", most=MOST_PARTS * OF_MANY, length=len(text))
        return text


def parts_of(text: str) -> int:
    """How many messages a text is, all of whose characters are of UCS-2."""
    return 1 if len(text) <= ONE else -(-len(text) // OF_MANY)


def masked(mobile: str) -> str:
    """A number as the log keeps it: enough to find a message again, not enough to call."""
    digits = mobile.removeprefix("+")
    return f"{digits[:3]}{'*' * max(1, len(digits) - 7)}{digits[-4:]}" if len(digits) > 7 else f"{'*' * len(digits)}"


def load_config(path: Path) -> Config:
    """The file as data. Raises ConfigError."""
    try:
        return read_config(json.loads(path.read_text(encoding="utf-8")))
    except OSError as why:
        raise ConfigError(f"{path}: {why.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as why:
        raise ConfigError(f"{path}: not a configuration of egov-sms ({type(why).__name__})") from None


def read_config(data: Mapping[str, Any]) -> Config:
    """The same from data that is read already; KeyError, TypeError or ValueError when it has another form."""
    accounts = {name: Account(**item) for name, item in data["accounts"].items()}
    return Config(**{**data, "accounts": accounts, "listen": tuple(data["listen"])})
