"""The methods that a drill may name: one entry each, one module each."""

from __future__ import annotations

from egovctl.drill.files_of_plan import RestoreFiles
from egovctl.drill.model import Method
from egovctl.drill.restore_offsite import RestoreOffsite
from egovctl.drill.restore_state import RestoreState

METHODS: dict[str, Method] = {
    "restore-files": RestoreFiles(),
    "restore-offsite": RestoreOffsite(),
    "restore-state": RestoreState(),
}
