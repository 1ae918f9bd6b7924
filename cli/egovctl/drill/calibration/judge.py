"""Judge one case as a drill judges a backup: by what it is told, with the same code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from egovctl.drill.borg import Repository
from egovctl.drill.judging import Promise
from egovctl.drill.model import Item, Target
from egovctl.drill.restore_files import restore_files

Judge = Callable[[dict[str, Any], Path], Item]


def judge_files(case: dict[str, Any], folder: Path) -> Item:
    """restore-files on a copy."""
    repository = Repository(
        case["location"], case["passphrase"], Path(case["base"]), tuple(case["ssh"]), lock_wait=case["lock_wait"]
    )
    target, promise = Target(case["service"], case["host"]), Promise(case["rto"], case["rpo"])
    return restore_files(
        repository, target, tuple(case["paths"]), promise, folder, lambda text: None, proof=case["proof"]
    )


JUDGES: dict[str, Judge] = {"restore-files": judge_files}
