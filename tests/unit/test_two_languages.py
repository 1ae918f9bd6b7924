"""Whatever a person may read is there in Chinese and in English."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import egovctl
from egovctl.commands.main import VERBS, cli
from egovctl.errors import CannotMeasure, EgovError
from egovctl.i18n import both, set_language, told, tr
from egovctl.transport import HostSilent

PACKAGE = Path(egovctl.__file__).parent
# Files whose errors no operator meets, or that cannot import i18n; each with why.
ALLOWED = {
    "apply/on_host.py": "runs on the host with the standard library alone and speaks to control, not to people",
}


def error_classes() -> set[str]:
    """The names of EgovError and of everything that is derived from it, in all modules of the package."""
    names = set()
    for module in pkgutil.walk_packages([str(PACKAGE)], "egovctl."):
        if module.name in ("egovctl.__main__", "egovctl.checks.collect.listener"):
            continue
        for name, item in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(item, EgovError):
                names.add(name)
    return names


def is_text(node: ast.AST, function: ast.AST | None) -> bool:
    """Whether the expression is text in one language: a literal, an f-string, either way of a condition, or a name
    that the same function gave such a text."""
    match node:
        case ast.JoinedStr():
            return any(isinstance(part, ast.Constant) and any(map(str.isalpha, part.value)) for part in node.values)
        case ast.Constant(value=str()):
            return True
        case ast.BinOp():
            return is_text(node.left, function) or is_text(node.right, function)
        case ast.IfExp():
            return is_text(node.body, function) or is_text(node.orelse, function)
        case ast.BoolOp():
            return any(is_text(value, function) for value in node.values)
        case ast.Name() if function is not None:
            given = [
                item.value
                for item in ast.walk(function)
                if isinstance(item, ast.Assign)
                and any(isinstance(target, ast.Name) and target.id == node.id for target in item.targets)
            ]
            return any(is_text(value, None) for value in given)
    return False


def untold(tree: ast.Module, errors: set[str]) -> Iterator[int]:
    """The lines where an error of the suite is made from a text in one language."""
    functions = [item for item in ast.walk(tree) if isinstance(item, ast.FunctionDef)]
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name not in errors:
            continue
        inside = [item for item in functions if item.lineno <= call.lineno <= (item.end_lineno or 0)]
        function = max(inside, key=lambda item: item.lineno, default=None)
        # HostSilent's first argument is a host's name.
        arguments = call.args[1:] if name == "HostSilent" else call.args
        if any(is_text(argument, function) for argument in arguments):
            yield call.lineno


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if str(path.relative_to(PACKAGE)) not in ALLOWED)


def test_every_error_is_told_in_both_languages() -> None:
    errors = error_classes()
    assert {"UsageError", "CannotMeasure", "HostSilent", "BorgFailed", "ScratchFull"} <= errors
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sources()
        for line in untold(ast.parse(path.read_text(encoding="utf-8")), errors)
    ]
    assert not found, "errors in one language only; use egovctl.i18n.tr(zh, en): " + ", ".join(found)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("raise UsageError('wrong')", [1]),
        ("raise UsageError(f'{path}: wrong') from None", [1]),
        ("raise UsageError(f'{path}')", []),
        ("raise UsageError(tr('错', 'wrong'))", []),
        ("raise UsageError('wrong' if x else tr('错', 'wrong'))", [1]),
        ("def f():\n    why = 'wrong'\n    raise errors.UsageError(why)", [3]),
        ("raise HostSilent('noc', told('慢', 'slow'))", []),
        ("raise HostSilent(host, last(x) or 'slow')", [1]),
        ("raise ValueError('wrong')", []),
    ],
)
def test_the_walk_sees_what_it_must(text: str, lines: list[int]) -> None:
    assert list(untold(ast.parse(text), {"UsageError", "HostSilent"})) == lines


def chinese(text: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


def calls_of(tree: ast.Module, names: set[str]) -> Iterator[ast.Call]:
    for item in ast.walk(tree):
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Name) and item.func.id in names:
            yield item


def words(node: ast.AST) -> str:
    """The letters of a text as they stand in the source."""
    return "".join(
        part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )


def test_the_first_text_of_tr_is_chinese_and_the_second_is_not() -> None:
    wrong = []
    for path in sources():
        for call in calls_of(ast.parse(path.read_text(encoding="utf-8")), {"tr", "told"}):
            if len(call.args) != 2 or any(isinstance(item, (ast.Name, ast.Starred)) for item in call.args):
                continue
            zh, en = (words(item) for item in call.args)
            if chinese(en) or (not chinese(zh) and any(map(str.isalpha, en)) and zh != en):
                wrong.append(f"{path.relative_to(PACKAGE)}:{call.lineno}")
    assert not wrong, wrong


def texts(data: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each mapping of a content file that has zh or en, and where it is."""
    if isinstance(data, dict):
        if {"zh", "en"} & set(data):
            yield where, data
        for key, value in data.items():
            yield from texts(value, f"{where}.{key}")
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from texts(value, f"{where}[{number}]")


def test_every_text_of_the_content_is_in_both_languages() -> None:
    files = sorted((PACKAGE / "content").rglob("*.yml"))
    assert files
    for path in files:
        found = list(texts(yaml.safe_load(path.read_text(encoding="utf-8")), path.name))
        assert found, path
        for where, text in found:
            assert chinese(text.get("zh", "")), where
            assert text.get("en", "").strip() and not chinese(text["en"]), where


def test_every_command_with_an_inventory_has_lang_once() -> None:
    context = cli.make_context("egovctl", ["lab"], resilient_parsing=True)
    checked = 0
    for verb in VERBS:
        command = cli.get_command(context, verb)
        assert command is not None
        for item in getattr(command, "commands", {"": command}).values():
            options = [option for parameter in item.params for option in parameter.opts]
            if "--inventory" in options:
                checked += 1
                assert options.count("--lang") == 1, (verb, item.name)
    assert checked >= 15


@pytest.fixture
def chinese_run() -> Iterator[None]:
    set_language("zh")
    yield
    set_language(None)


def test_evidence_keeps_both_languages_whoever_ran_it(chinese_run: None) -> None:
    assert str(CannotMeasure(told("不行", "no"))) == "不行"
    assert both(CannotMeasure(told("不行", "no"))) == {"zh": "不行", "en": "no"}
    assert both(CannotMeasure(tr("不行", "no"))) == {"zh": "不行", "en": "不行"}
    assert both(HostSilent("noc", told("慢", "slow"))) == {"zh": "noc 无应答：慢", "en": "noc does not answer: slow"}
