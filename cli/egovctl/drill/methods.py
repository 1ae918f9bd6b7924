"""The methods that a drill may name: one entry each, one module each."""

from __future__ import annotations

from egovctl.drill.databases_of_plan import RestoreMariadb, RestorePointInTime, RestorePostgresql
from egovctl.drill.files_of_plan import RestoreFiles
from egovctl.drill.model import Method
from egovctl.drill.restore_offsite import RestoreOffsite
from egovctl.drill.restore_state import RestoreState
from egovctl.drill.restore_system import RestoreSystem

METHODS: dict[str, Method] = {
    "restore-files": RestoreFiles(),
    "restore-mariadb": RestoreMariadb(),
    "restore-offsite": RestoreOffsite(),
    "restore-point-in-time": RestorePointInTime(),
    "restore-postgresql": RestorePostgresql(),
    "restore-state": RestoreState(),
    "restore-system": RestoreSystem(),
}
