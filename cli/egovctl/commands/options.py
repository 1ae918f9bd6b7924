"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from egovctl.paths import Inventory

F = TypeVar("F", bound=Callable[..., Any])


class InventoryType(click.ParamType[Inventory]):
    """A folder under inventories/, by path or by name."""

    name = "inventory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Inventory:
        return value if isinstance(value, Inventory) else Inventory.find(value)


def inventory_option(function: F) -> F:
    """-i INVENTORY, the lab unless given."""
    return click.option(
        "-i",
        "--inventory",
        type=InventoryType(),
        default="lab",
        show_default=True,
        envvar="EGOV_INVENTORY",
        help="Inventory: a folder under inventories/, by path or name. / 清单目录。",
    )(function)


def format_option(function: F) -> F:
    """--format table|json."""
    return click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)(
        function
    )
