"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from egovctl.i18n import set_language
from egovctl.paths import Inventory

F = TypeVar("F", bound=Callable[..., Any])


class InventoryType(click.ParamType[Inventory]):
    """A folder under inventories/, by path or by name."""

    name = "inventory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Inventory:
        return value if isinstance(value, Inventory) else Inventory.find(value)


def _choose_language(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        set_language(value)


def lang_option(function: F) -> F:
    """--lang zh|en; without it what egovctl was told, or LANG, stays in force."""
    return click.option(
        "--lang",
        type=click.Choice(["zh", "en"]),
        is_eager=True,
        expose_value=False,
        callback=_choose_language,
        help="Language of what is printed. / 输出语言。",
    )(function)


def inventory_option(function: F) -> F:
    """-i INVENTORY, the lab unless given; and --lang, which every command with an inventory has."""
    option = click.option(
        "-i",
        "--inventory",
        type=InventoryType(),
        default="lab",
        show_default=True,
        envvar="EGOV_INVENTORY",
        help="Inventory: a folder under inventories/, by path or name. / 清单目录。",
    )
    return lang_option(option(function))


def format_option(function: F) -> F:
    """--format table|json."""
    return click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)(
        function
    )
