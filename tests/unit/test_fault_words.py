"""pydantic's faults in words: Chinese for all that files can have, filled in with what pydantic tells of each."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic_core._pydantic_core import list_all_errors

from egovctl.i18n import set_language, told
from egovctl.plan.sentences import CHINESE, EXPECTED, in_words

KNOWN: dict[str, Any] = {one["type"]: one for one in list_all_errors()}


def fault(kind: str) -> dict[str, Any]:
    one = KNOWN[kind]
    return {"type": kind, "msg": one["example_message_python"], "ctx": one["example_context"] or {}}


@pytest.mark.parametrize("kind", sorted(CHINESE.keys() | EXPECTED.keys()))
def test_every_kind_is_pydantics_and_has_its_values(kind: str) -> None:
    item = fault(kind) if kind in KNOWN else {"type": kind, "msg": "no prefix", "ctx": {}}
    assert kind in KNOWN or kind.startswith("ip_"), "pydantic has no such kind"
    words = in_words(item)
    assert words.en == item["msg"] and re.search("[一-龥]", words.zh) and "{" not in words.zh


def test_a_kind_that_is_not_known_is_in_english_in_both_languages() -> None:
    words = in_words(fault("timezone_naive"))
    assert words.zh == words.en == "Input should not have timezone info"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_rule_of_ours_has_both_languages_whichever_it_was_raised_in(language: str) -> None:
    set_language(language)
    error = ValueError(told("不行", "no good"))
    words = in_words({"type": "value_error", "msg": f"Value error, {error}", "ctx": {"error": error}})
    set_language(None)
    assert (words.zh, words.en) == ("不行", "Value error, no good")
    assert str(words) == {"zh": "不行", "en": "Value error, no good"}[language]
