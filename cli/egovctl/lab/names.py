"""What the lab's things are called and where they are: one place, so that `down` finds what `up` made."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.paths import Inventory

RUN = Path("/run/egov-lab")
DISKS = Path("/var/lib/egov-lab")
IMAGES = Path("/var/cache/egov-lab")
NETNS = Path("/run/netns")
PACKAGES_IN_GUEST = "/srv/egov-packages"
FABRIC = "fabric"
SAFE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?\Z")
DEFAULT_PORT_BASE = 19000
PROMETHEUS_OFFSET, EXPORTER_OFFSET = 90, 116


@dataclass(frozen=True)
class LabNames:
    """The names of one inventory's lab."""

    inventory: str

    @classmethod
    def of(cls, inventory: Inventory) -> LabNames:
        """Raises UsageError when the folder's name cannot be part of a namespace's name."""
        if not SAFE_NAME.match(inventory.name):
            raise UsageError(
                tr(
                    f"{inventory.root}：实验环境的目录名只能用 a-z、0-9 和 -，最多 24 个字符；请改名",
                    f"{inventory.root}: a lab needs a folder name of a-z, 0-9 and -, at most 24 characters; rename it",
                )
            )
        return cls(inventory.name)

    @property
    def run(self) -> Path:
        """Runtime state: gone after `down` and after a reboot of the machine."""
        return RUN / self.inventory

    @property
    def state_file(self) -> Path:
        return self.run / "state.json"

    @property
    def lock_file(self) -> Path:
        return RUN / f"{self.inventory}.lock"

    @property
    def disks(self) -> Path:
        return DISKS / self.inventory

    def console(self, process: str) -> Path:
        """What a process of the lab printed."""
        return self.run / f"{process}.log"

    def disk(self, host: str) -> Path:
        """A host's overlay: upper, work and root (its mount point, mounted only inside the host's own process)."""
        return self.disks / host

    def netns(self, name: str) -> str:
        """The network namespace of a host, or of the fabric."""
        return f"egov-{self.inventory}-{name}"

    def netns_path(self, name: str) -> Path:
        return NETNS / self.netns(name)

    def machine(self, host: str) -> str:
        """The container's name on the machine; a host name alone could belong to two labs."""
        return f"egov-{self.inventory}-{host}"[:64].rstrip("-")


def port_base() -> int:
    """The first of the lab's local ports; EGOV_LAB_PORT_BASE moves it. Raises UsageError when it is no port."""
    value = os.environ.get("EGOV_LAB_PORT_BASE", str(DEFAULT_PORT_BASE))
    if not value.isdigit() or not 1024 <= int(value) <= 65000:
        raise UsageError(
            tr(
                f"EGOV_LAB_PORT_BASE 是 {value!r}：请设为 1024 至 65000 的数字",
                f"EGOV_LAB_PORT_BASE is {value!r}: set it to a number from 1024 to 65000",
            )
        )
    return int(value)
