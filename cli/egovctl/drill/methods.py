"""The methods that a drill may name: one entry each, one module each."""

from __future__ import annotations

from egovctl.drill.model import Method
from egovctl.drill.restore_files import RestoreFiles

METHODS: dict[str, Method] = {"restore-files": RestoreFiles()}
