"""Where things are: one inventory's plan, build, state and secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from egovctl.errors import UsageError


def project_root() -> Path:
    """The folder with ansible.cfg and inventories/: EGOV_PROJECT, else one upwards of here, else of this file."""
    if value := os.environ.get("EGOV_PROJECT"):
        return Path(value).resolve()
    for start in (Path.cwd(), Path(__file__).resolve()):
        for folder in (start, *start.parents):
            if (folder / "ansible.cfg").is_file() and (folder / "inventories").is_dir():
                return folder
    raise UsageError("no project found: run this in the project's folder, or set EGOV_PROJECT to it")


@dataclass(frozen=True)
class Inventory:
    """One city's folder under inventories/, and the folders that belong to it elsewhere."""

    root: Path

    @classmethod
    def find(cls, argument: str | Path) -> Inventory:
        """Given a path or a bare name under inventories/; raises UsageError when it has no plan."""
        given = Path(argument)
        candidates = (given, given.parent) if given.is_file() else (given, project_root() / "inventories" / given)
        for folder in candidates:
            if (folder / "plan" / "city.yml").is_file():
                return cls(folder.resolve())
        raise UsageError(f"{argument}: no plan there; expected {candidates[-1] / 'plan' / 'city.yml'}")

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
