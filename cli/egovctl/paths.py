"""Where things are: one inventory's plan, build, state and secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from egovctl.errors import UsageError
from egovctl.i18n import tr

# Folders of build/ that are not an inventory's: setuptools' and the exporter's wheels.
NOT_INVENTORIES = ("lib", "wheelhouse")


def project_root() -> Path:
    """The folder with ansible.cfg and inventories/: EGOV_PROJECT, else one upwards of here, else of this file."""
    if value := os.environ.get("EGOV_PROJECT"):
        return Path(value).resolve()
    for start in (Path.cwd(), Path(__file__).resolve()):
        for folder in (start, *start.parents):
            if (folder / "ansible.cfg").is_file() and (folder / "inventories").is_dir():
                return folder
    raise UsageError(
        tr(
            "找不到项目：请在项目目录中运行，或将 EGOV_PROJECT 设为该目录",
            "no project found: run this in the project's folder, or set EGOV_PROJECT to it",
        )
    )


@dataclass(frozen=True)
class Inventory:
    """One city's folder under inventories/, and the folders that belong to it elsewhere."""

    root: Path

    @classmethod
    def find(cls, argument: str | Path) -> Inventory:
        """Given a path or a bare name under inventories/; UsageError when it has no plan or cannot have that name."""
        given = Path(argument)
        candidates = (given, given.parent) if given.is_file() else (given, project_root() / "inventories" / given)
        for folder in candidates:
            if (folder / "plan" / "city.yml").is_file():
                return cls._named(folder.resolve())
        expected = candidates[-1] / "plan" / "city.yml"
        raise UsageError(
            tr(f"{argument}：那里没有规划；应有 {expected}", f"{argument}: no plan there; expected {expected}")
        )

    @classmethod
    def _named(cls, root: Path) -> Inventory:
        if root.name in NOT_INVENTORIES:
            raise UsageError(
                tr(
                    f"{root}：清单不能叫 {root.name}，build/ 中已有同名目录；请改名",
                    f"{root}: an inventory cannot be called {root.name}, as build/ has that folder already; rename it",
                )
            )
        return cls(root)

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def plan_dir(self) -> Path:
        return self.root / "plan"

    @property
    def enrolled_dir(self) -> Path:
        return self.root / "enrolled"

    @property
    def build(self) -> Path:
        return project_root() / "build" / self.name

    @property
    def state(self) -> Path:
        """Private to control: keys, secrets, evidence. Made with mode 0700 at first use."""
        folder = project_root() / ".egov" / self.name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    @property
    def evidence(self) -> Path:
        return self.state / "evidence"

    @property
    def ssh_config(self) -> Path:
        return self.build / "control" / "ssh_config"

    @property
    def first_contact(self) -> Path:
        return self.state / "first_contact.yml"

    @property
    def deploy_key(self) -> Path:
        return self.state / "control" / "id_ed25519"
