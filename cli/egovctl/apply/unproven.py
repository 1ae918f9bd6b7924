"""Hosts that were changed and have not yet been proven well: a mark on control that outlives the run.

A change may be applied, confirmed, and wrong all the same: the proof fails and the run stops. Run again, that host is
as planned; without the mark nobody would ask it any more, and the next wave would get the same change.
"""

from __future__ import annotations

from pathlib import Path

from egovctl.paths import Inventory


def mark(inventory: Inventory, host: str) -> None:
    """Before a change that shall be proven."""
    place = _place(inventory, host)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.touch()


def marked(inventory: Inventory, host: str) -> bool:
    return _place(inventory, host).exists()


def clear(inventory: Inventory, host: str) -> None:
    """After a good proof, or when the host is gone."""
    _place(inventory, host).unlink(missing_ok=True)


def _place(inventory: Inventory, host: str) -> Path:
    return inventory.state / "unproven" / host
