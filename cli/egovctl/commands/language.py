"""--lang on a subcommand, as on egovctl itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from egovctl.i18n import set_language

F = TypeVar("F", bound=Callable[..., Any])


def _choose(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        set_language(value)


def lang_option(function: F) -> F:
    """--lang zh|en; without it what egovctl was told, or LANG, stays in force."""
    return click.option(
        "--lang",
        type=click.Choice(["zh", "en"]),
        is_eager=True,
        expose_value=False,
        callback=_choose,
        help="Language of what is printed. / 输出语言。",
    )(function)
