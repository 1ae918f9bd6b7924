"""The lab: the planned city as systemd containers on one machine. Imports are late: the switch lives here too."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from egovctl.paths import Inventory


def exec_in(
    inventory: Inventory, host: str, argv: Sequence[str], input: str | None = None, timeout: float | None = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command inside a lab host as root, past its network: for tests and for looking, not for configuring.

    Returns the completed process (text), whatever its exit code. In a switch, which is a bare network namespace,
    it is a program of the machine. Raises CannotMeasure when the lab or the host is not up.
    """
    from egovctl.lab.inside import command_in

    return subprocess.run(
        command_in(inventory, host, argv),
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )


def is_up(inventory: Inventory) -> bool:
    """Whether `lab up` came to its end for this inventory and all of its guests are running."""
    from egovctl.lab.inside import is_up as answer

    return answer(inventory)


__all__ = ["exec_in", "is_up"]
