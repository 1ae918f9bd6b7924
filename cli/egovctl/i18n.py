"""Two languages for whatever a person reads: zh-CN and English."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, cast

Language = Literal["zh", "en"]
_current: Language | None = None


def language_from_environment() -> Language:
    """What EGOV_LANG, LC_ALL, LC_MESSAGES or LANG ask for, the first that is set; English unless it names Chinese."""
    for name in ("EGOV_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def set_language(language: str | None) -> None:
    """Choose the language of this process; None means: as the environment says."""
    global _current
    _current = cast("Language", language) if language in ("zh", "en") else None


def language() -> Language:
    """The language in force."""
    return _current or language_from_environment()


def tr(zh: str, en: str) -> str:
    """The text in the language in force."""
    return zh if language() == "zh" else en


class Told(str):
    """A text in the language in force that still knows both, for what is kept: evidence is read by others."""

    zh: str
    en: str


def told(zh: str, en: str) -> Told:
    """As `tr`, for sentences that may end in evidence; see `both`."""
    text = Told(tr(zh, en))
    text.zh, text.en = zh, en
    return text


def both(text: object) -> dict[str, str]:
    """`{zh:, en:}` of a told text, or of an error that was raised with one; of anything else twice the same."""
    if isinstance(text, BaseException) and text.args:
        text = text.args[0] if isinstance(text.args[0], Told) else str(text)
    return {"zh": text.zh, "en": text.en} if isinstance(text, Told) else {"zh": str(text), "en": str(text)}


def pick(texts: Mapping[str, str]) -> str:
    """The text of a `{zh:, en:}` mapping in the language in force."""
    return texts[language()]
