"""Whose lab it is. Labs are the machine's, by inventory name; their keys and secrets are one project's.

A second clone of the project has an inventory of the same name and none of the keys: it must not take the lab for its
own, nor throw it away unasked.
"""

from __future__ import annotations

from pathlib import Path

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.lab import state
from egovctl.lab.access import bootstrap_key
from egovctl.lab.names import LabNames
from egovctl.paths import Inventory, project_root


def project_of(names: LabNames) -> str:
    """The folder of the project that made this lab, or the disks that it kept; "" when nothing tells."""
    lab = state.load(names)
    if lab is not None and lab.project:
        return lab.project
    complete = state.read_json(names.disks / "complete.json")
    return str(complete.get("project", "")) if isinstance(complete, dict) else ""


def is_other(project: str) -> bool:
    """Whether `project`, as recorded, is another one than this."""
    return bool(project) and project != str(project_root())


def need_own(inventory: Inventory, names: LabNames) -> None:
    """Raises UsageError when the lab that is up, or the kept disks, are another project's or this one lost the keys."""
    project, name = project_of(names), inventory.name
    fresh = f"egovctl lab up --fresh -i {name}"
    if is_other(project):
        raise UsageError(
            tr(
                f"实验环境 {name} 属于另一个项目 {project}：请在那里运行 egovctl lab down -i {name}，"
                f"或在这里运行 {fresh}（主机会重新建立）",
                f"lab {name} belongs to another project, {project}: run egovctl lab down -i {name} there, "
                f"or {fresh} here (its hosts start anew)",
            )
        )
    lab = state.load(names)
    if not (lab is not None and lab.phase == "up") and not (names.disks / "complete.json").exists():
        return
    for path in (inventory.first_contact, inventory.deploy_key, bootstrap_key(inventory)):
        if not path.is_file():
            raise UsageError(
                tr(
                    f"实验环境 {name} 的主机还在，但缺少 {path}，无法登录：请运行 {fresh}（主机会重新建立）",
                    f"lab {name} has its hosts but {path} is missing, so nobody gets in: run {fresh} "
                    "(its hosts start anew)",
                )
            )


def forget_first_contact(names: LabNames, project: str) -> None:
    """Remove the note of hosts that are gone from the project that had them."""
    if project:
        (Path(project) / ".egov" / names.inventory / "first_contact.yml").unlink(missing_ok=True)
