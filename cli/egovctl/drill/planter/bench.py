"""Real databases for the planter: those that the tests use, from the checkout that this suite runs from."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

from egovctl.paths import project_root

BENCH = Path("tests/contract/database_bench.py")


def missing() -> str:
    """What database kinds need and is not there; "" when all is."""
    path = project_root() / BENCH
    if not path.is_file():
        return f"a checkout with {BENCH}"
    there = bench()
    postgresql = (there.POSTGRESQL / "postgres", there.PGBACKREST, there.FAKETIME)
    return "" if there.available(*postgresql, there.MARIADBD, there.MARIADB) else "the programs of `make .tools/.ready`"


@cache
def bench() -> Any:
    """The module."""
    path = project_root() / BENCH
    spec = importlib.util.spec_from_file_location("database_bench", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules["database_bench"] = module
    spec.loader.exec_module(module)
    return module
