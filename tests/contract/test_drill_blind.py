"""What judges a drill must not know what was planted: it may not import the planter, by whatever way.

A failure here means that a calibration could be right by looking at the answer.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "cli" / "egovctl"
PLANTER = "egovctl.drill.planter"


@cache
def path_of(module: str) -> Path | None:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@cache
def imported(path: Path) -> frozenset[str]:
    """Every module of the suite that a file names in an import, wherever in it, with the packages on the way."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "egovctl":
                found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return frozenset(name for name in found if path_of(name))


def reached(module: str) -> set[str]:
    """All modules of the suite that importing this one may bring in."""
    seen, ahead = set(), [module]
    while ahead:
        name = ahead.pop()
        path = path_of(name)
        if name in seen or path is None:
            continue
        seen.add(name)
        ahead += imported(path) - seen
    return seen


def judging() -> list[str]:
    folder = PACKAGE / "drill"
    files = [path for path in folder.rglob("*.py") if "planter" not in path.relative_to(folder).parts]
    names = [".".join(("egovctl", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in files]
    return [name.removesuffix(".__init__") for name in names]


def test_nothing_that_judges_can_reach_the_planter() -> None:
    names = judging()
    assert {"egovctl.drill.calibration.run", "egovctl.drill.restore_files", "egovctl.drill.engine"} <= set(names)
    for name in names:
        assert not {module for module in reached(name) if module.startswith(PLANTER)}, name


def test_the_walk_would_see_it() -> None:
    assert PLANTER + ".kinds" in reached("egovctl.drill.planter.__main__")
    assert "egovctl.drill.causes" in reached("egovctl.drill.calibration.run")


def test_no_import_by_name_is_hidden_among_the_judging() -> None:
    for name in judging():
        path = path_of(name)
        assert path is not None
        text = path.read_text(encoding="utf-8")
        assert "importlib" not in text and "__import__" not in text, name
        if "drill.planter" in text:
            assert name == "egovctl.drill.calibration.planting"  # it starts the process


def test_a_judging_process_has_not_loaded_it() -> None:
    code = "import egovctl.drill.calibration.run, egovctl.drill.methods, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "egovctl.drill.restore_files" in loaded
    assert not [name for name in loaded if name.startswith(PLANTER)]
