"""Write a new inventory: all of it or nothing, and never over one that is there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.paths import NOT_INVENTORIES, Inventory, project_root
from egovctl.plan.models import LABEL


def new_inventory(name: str) -> Inventory:
    """The inventory that is to be made; UsageError when it cannot have that name or is there already."""
    if not LABEL.match(name) or name in NOT_INVENTORIES:
        raise UsageError(
            tr(
                f"{name!r} 不能作新清单的名称；请用 a-z、0-9 和 -，最多 32 个字符（不写路径）",
                f"{name!r} cannot be the name of a new inventory; use a-z, 0-9 and -, 32 characters at most (no path)",
            )
        )
    inventory = Inventory(project_root() / "inventories" / name)
    _refuse_existing(inventory)
    return inventory


def store(inventory: Inventory, files: Mapping[str, str]) -> None:
    """Make the inventory's folder with these files, by their path in it."""
    parent = inventory.root.parent
    stage = Path(tempfile.mkdtemp(prefix=f".{inventory.name}-", dir=parent))
    try:
        for name, text in files.items():
            path = stage / name
            path.parent.mkdir(exist_ok=True)
            with path.open("w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        stage.chmod(0o755)
        _refuse_existing(inventory)
        stage.rename(inventory.root)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _refuse_existing(inventory: Inventory) -> None:
    if os.path.lexists(inventory.root):
        raise UsageError(
            tr(
                f"inventories/{inventory.name} 已存在，不会覆盖；请另取名称",
                f"inventories/{inventory.name} is there already and is not overwritten; take another name",
            )
        )
