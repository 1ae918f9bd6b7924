"""Another plan to compare with: of another inventory, or of the same one at a revision of git."""

from __future__ import annotations

import subprocess
from pathlib import Path

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.plan.derived import City
from egovctl.plan.load import FILES, OPTIONAL, check, load
from egovctl.plan.models import Plan
from egovctl.plan.source import parse_source


def load_against(inventory: Inventory, against: str) -> tuple[Plan, City]:
    """The plan at `against`: a path or an inventory's name, else a revision of git at which `inventory` is read.

    Raises UsageError when it is neither, or when the revision has no plan; PlanError when that plan is bad.
    """
    given = Path(against)
    if (given / "city.yml").is_file() and given.name == "plan":
        return load(Inventory(given.resolve().parent))
    try:
        return load(Inventory.find(against))
    except UsageError:
        if given.exists():
            raise
    commit = _commit(inventory, against)
    names = [*FILES]
    names += [n for n in OPTIONAL if _git(inventory, "cat-file", "-e", f"{commit}:./plan/{n}.yml").returncode == 0]
    return check({name: parse_source(*_file(inventory, against, commit, name)) for name in names}, inventory.name)


def _commit(inventory: Inventory, revision: str) -> str:
    result = _git(inventory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if result.returncode != 0:
        raise UsageError(
            tr(
                f"{revision}：既不是清单，也不是这里的 git 版本；请给出清单目录或 git 版本，例如 HEAD~1",
                f"{revision} is neither an inventory nor a git revision here; give a folder, or one such as HEAD~1",
            )
        )
    return result.stdout.decode("ascii").strip()


def _file(inventory: Inventory, revision: str, commit: str, name: str) -> tuple[str, str]:
    """(what to call the file in a fault, its text)."""
    shown = f"{revision}:{inventory.name}/plan/{name}.yml"
    result = _git(inventory, "show", f"{commit}:./plan/{name}.yml")
    if result.returncode != 0:
        raise UsageError(
            tr(
                f"{revision} 中没有 {inventory.name} 的 plan/{name}.yml；请给出规划已存在的版本",
                f"{revision} has no plan/{name}.yml of {inventory.name}; give a revision at which it was planned",
            )
        )
    try:
        return shown, result.stdout.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(tr(f"{shown}：不是 UTF-8 文本", f"{shown} is not UTF-8 text")) from None


def _git(inventory: Inventory, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(inventory.root), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise UsageError(
            tr(
                "没有安装 git，无法读取旧版本；请改为给出清单目录",
                "git is not installed, so no revision can be read; give an inventory's folder instead",
            )
        ) from None
