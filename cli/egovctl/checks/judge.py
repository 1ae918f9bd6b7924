"""The judge: CEL over what was collected. It contacts nobody and knows no host, plan or collector.

Beside the standard functions there is `minus(a, b)`: the items of list a that are not in list b.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

import celpy
from celpy import celtypes, evaluation
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError

import egovctl
from egovctl.checks.model import Check, Status

# What an expression of CEL is evaluated among, once it is Python.
Names = dict[str, Any]
HAS = re.compile(r"\bhas\s*\(")
LIST_SHOWN = 6
# How the languages separate the items of a list, and what they say for none of them, for true and for false.
CHINESE = ("、", "无", "是", "否")
ENGLISH = (", ", "none", "yes", "no")
FOR_PEOPLE = {
    "zh": "这里没有相应的登记或测量，须由人说明",
    "en": "no register or measurement here tells of it: people have to",
}


class BadExpression(ValueError):
    """An expression cannot be compiled, or does not give what it must. The text says which and why."""


def _minus(first: Any, second: Any) -> Any:
    excluded = set(second)
    return celtypes.ListType([item for item in first if item not in excluded])


@lru_cache(maxsize=1024)
def compiled(expression: str) -> celpy.CompiledRunner:
    """The expression turned into Python, kept; BadExpression when it is not CEL.

    An eighth of the time of walking its tree anew for every subject.
    """
    if HAS.search(expression):
        # cel-python 0.5.0, CompiledRunner: `has(a.b) && a.b` is an error where a has no b, and not false.
        raise BadExpression(f"{expression!r} uses has(); write 'name' in map instead")
    environment = celpy.Environment(runner_class=celpy.CompiledRunner)
    try:
        program = environment.program(environment.compile(expression), functions={"minus": _minus})
    except Exception as error:
        raise BadExpression(f"{expression!r} is not CEL: {str(error).splitlines()[0]}") from None
    return cast(celpy.CompiledRunner, program)


def evaluate(expression: str, facts: Mapping[str, Any]) -> Any:
    """The expression's value as plain Python; BadExpression when it cannot be had from these facts."""
    return _evaluate(expression, names_of(facts))


def _evaluate(expression: str, names: Names) -> Any:
    """The library's own evaluates among its module's variables; here each judgement has its own, so that threads do not
    meet, and what fails is said in the words of what failed."""
    code = compiled(expression).tp.executable_code
    try:
        exec(code, names)  # noqa: S102 - what the library made of CEL, which has no Python in it
    except Exception as error:
        raise BadExpression(f"{expression!r}: {error}") from None
    if isinstance(value := names["CEL"], CELEvalError):
        raise BadExpression(f"{expression!r}: {value.args[0] if value.args else value}")
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, celtypes.BoolType)):
        return bool(value)
    if isinstance(value, list):  # a ListType, or what `+` makes of two
        return [_plain(item) for item in value]
    if isinstance(value, celtypes.MapType):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    return None if value is None else str(value)


def truth(expression: str, facts: Mapping[str, Any]) -> bool:
    """The expression's truth; BadExpression when it is no truth value."""
    value = evaluate(expression, facts)
    if not isinstance(value, bool):
        raise BadExpression(f"{expression!r} gives {value!r}, neither true nor false")
    return value


def judge(check: Check, facts: Mapping[str, Any]) -> tuple[Status, dict[str, Any]]:
    """The status of one subject from its facts, and the values that the check shows.

    Raises BadExpression when an expression is wrong: that is an error of the check, never a fail of the subject.
    """
    return judge_among(check, names_of(facts))


def names_of(facts: Mapping[str, Any]) -> Names:
    """Facts as CEL takes them, among what expressions know; for many judgements of the same ones."""
    activation = compiled("true").tp.base_activation.clone()
    activation.identifiers.load_values({name: json_to_cel(value) for name, value in facts.items()})
    return {**vars(evaluation), "egovctl": egovctl, "base_activation": activation}


def judge_among(check: Check, names: Names) -> tuple[Status, dict[str, Any]]:
    """As `judge`, of facts that are CEL's already."""
    shown = {name: _evaluate(expression, names) for name, expression in check.show.items()}

    def holds(expression: str) -> bool:
        value = _evaluate(expression, names)
        if not isinstance(value, bool):
            raise BadExpression(f"{expression!r} gives {value!r}, neither true nor false")
        return value

    if not holds(check.tells):
        return Status.MANUAL, shown
    if not holds(check.measured):
        return Status.UNKNOWN, shown
    if holds(check.expression):
        return Status.PASS, shown
    if check.partial is not None and holds(check.partial):
        return Status.PARTIAL, shown
    return Status.FAIL, shown


def words(check: Check, status: Status, shown: Mapping[str, Any]) -> dict[str, str]:
    """The detail in both languages; raises BadExpression when the text names a value that is not shown."""
    if status is Status.MANUAL:
        return dict(FOR_PEOPLE)
    text = check.detail_pass if status is Status.PASS else check.detail
    try:
        return {
            "zh": text.zh.format_map({name: _readable(value, *CHINESE) for name, value in shown.items()}),
            "en": text.en.format_map({name: _readable(value, *ENGLISH) for name, value in shown.items()}),
        }
    except (KeyError, IndexError, ValueError) as error:
        raise BadExpression(f"detail of {check.id} names {error}, which show does not have") from None


def _readable(value: Any, separator: str, nothing: str, true: str, false: str) -> str:
    if isinstance(value, bool):
        return true if value else false
    if isinstance(value, list):
        if not value:
            return nothing
        more = f" … (+{len(value) - LIST_SHOWN})" if len(value) > LIST_SHOWN else ""
        return separator.join(str(item) for item in value[:LIST_SHOWN]) + more
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value)
