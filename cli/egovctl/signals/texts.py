"""Texts of alerts: from `{word}` placeholders to Prometheus' templates, and how long they get as a text message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from egovctl.signals.model import Unit

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# Sites are called by their title: what a person in the office knows them by. The rule is rendered from the plan.
TITLED = ("site", "peer_site")
SMS_LENGTH = 70  # UCS-2 characters in one message
VALUES: Mapping[Unit, str] = {
    "ratio": "{{ $value | humanizePercentage }}",
    "seconds": "{{ $value | humanizeDuration }}",
    "bits_per_second": "{{ $value | humanize }}bit/s",
    "bytes": "{{ $value | humanize1024 }}B",
    "per_second": "{{ $value | humanize }}/s",
    "celsius": '{{ $value | printf "%.0f" }} °C',
    "count": '{{ $value | printf "%.0f" }}',
    "state": '{{ $value | printf "%.0f" }}',
}
# The longest that Prometheus makes of a value in each unit, for the length of a message.
LONGEST_VALUES: Mapping[Unit, str] = {
    "ratio": "100.25%",
    "seconds": "364d 23h 59m 59s",
    "bits_per_second": "999.9Mbit/s",
    "bytes": "1023.9GiB",
    "per_second": "999.9k/s",
    "celsius": "150 °C",
    "count": "999",
    "state": "1",
}


def placeholders(text: str) -> list[str]:
    """The words in braces, in their order."""
    return PLACEHOLDER.findall(text)


def template(text: str, unit: Unit, language: Literal["zh", "en"]) -> str:
    """The text as a template of Prometheus."""
    return PLACEHOLDER.sub(lambda match: _template_of(match[1], unit, language), text)


def _template_of(word: str, unit: Unit, language: Literal["zh", "en"]) -> str:
    if word == "value":
        return VALUES[unit]
    if word == "more":
        opening, closing = ("（", "）") if language == "zh" else (" (", ")")
        return f'{{{{ if gt $value 0.0 }}}}{opening}+{{{{ $value | printf "%.0f" }}}}{closing}{{{{ end }}}}'
    label = f"{{{{ $labels.{word} }}}}"
    if word in TITLED:
        query = f"printf \"egov_site_info{{site='%s'}}\" $labels.{word} | query"
        title = f'{{{{ . | first | label "{language}" }}}}'
        return f"{{{{ with {query} }}}}{title}{{{{ else }}}}{label}{{{{ end }}}}"
    return label


def longest(text: str, unit: Unit, words: Mapping[str, Iterable[str]]) -> str:
    """The text at its longest: each placeholder as the longest of `words`; KeyError for a label that is not there."""

    def of(word: str) -> str:
        if word == "value":
            return LONGEST_VALUES[unit]
        if word == "more":
            return " (+999)"
        return max(words[word], key=ucs2)

    return PLACEHOLDER.sub(lambda match: of(match[1]), text)


def ucs2(text: str) -> int:
    """How many characters the text takes in a message: UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2
