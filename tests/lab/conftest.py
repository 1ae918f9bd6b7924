"""One lab for the whole test session: the lab inventory under another name, beside any lab that a person has up.

If this fixture fails, nothing is known about the city: read the step that it names first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from egovctl.errors import EgovError
from egovctl.lab.inside import command_in
from egovctl.paths import Inventory

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PORT_BASE, PRIVATE_PORT_BASE = "29000", "29500"


@dataclass(frozen=True)
class CityLab:
    """A converged lab: its inventory, and ways to run the product's commands on it."""

    inventory: Inventory
    project: Path
    port_base: str = PORT_BASE

    def egovctl(self, *arguments: str, check: bool = True, timeout: int = 300) -> subprocess.CompletedProcess[str]:
        return self.run([sys.executable, "-m", "egovctl", *arguments], check, timeout)

    def playbook(self, *arguments: str, check: bool = True, timeout: int = 600) -> subprocess.CompletedProcess[str]:
        return self.run([str(BIN / "ansible-playbook"), "-i", str(self.inventory.root), *arguments], check, timeout)

    def run(self, argv: list[str], check: bool = True, timeout: int = 300) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            argv,
            cwd=self.project,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env={**os.environ, "EGOV_LAB_PORT_BASE": self.port_base},
        )
        if check and done.returncode != 0:
            tail = (done.stdout + done.stderr)[-6000:]
            pytest.fail(f"{' '.join(argv[-4:])} exited {done.returncode}:\n{tail}")
        return done

    def on(self, host: str, command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell command on a host from the outside (no network): for planting faults and looking behind.

        What `egovctl lab exec` does, without starting it: hundreds of looks share two processors with the city.
        """
        try:
            argv = command_in(self.inventory, host, ["sh", "-c", command])
        except EgovError as error:  # it is down at the moment
            if check:
                raise
            return subprocess.CompletedProcess([host, command], error.exit_code, "", str(error))
        return self.run(argv, check)

    def settle(self) -> None:
        """Wait until Prometheus hears of all that is planned: a test before may have restarted a host."""
        self.run([sys.executable, "-m", "egovctl.demo", "settle", str(self.inventory.root)])


def make_project(folder: Path, name: str, source: str = "lab") -> Path:
    """A project folder of its own: the product by links, a copy of the inventory `source` called `name`."""
    for entry in ("ansible.cfg", "cli", "dashboards", "exporters", "pyproject.toml", "requirements-exporter.lock"):
        (folder / entry).symlink_to(REPOSITORY / entry)
    # A copy, so that a test may break a template.
    shutil.copytree(REPOSITORY / "playbooks", folder / "playbooks", ignore=shutil.ignore_patterns("__pycache__"))
    add_inventory(folder, source, name)
    (folder / "build").mkdir()
    (folder / "build" / "wheelhouse").symlink_to(REPOSITORY / "build" / "wheelhouse")
    return folder


def add_inventory(folder: Path, source: str, name: str) -> Inventory:
    """A copy of one of the product's inventories, called `name`."""
    target = folder / "inventories" / name
    shutil.copytree(REPOSITORY / "inventories" / source, target, ignore=shutil.ignore_patterns("enrolled"))
    return Inventory(target)


def build(lab: CityLab) -> None:
    """Boot, enrol, apply and settle, and say how long each took."""
    for label, step in (
        ("lab up", lambda: lab.egovctl("lab", "up", "--fresh", "-i", str(lab.inventory.root), timeout=900)),
        ("enrol", lambda: lab.playbook("playbooks/enrol.yml")),
        ("site", lambda: lab.playbook("playbooks/site.yml")),
        ("settle", lab.settle),
    ):
        begin = time.monotonic()
        step()
        print(f"\n{lab.inventory.name}: {label}: {time.monotonic() - begin:.0f} s")


@pytest.fixture(scope="session")
def city_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CityLab]:
    """A lab that is up, enrolled, applied and settled; taken down at the end."""
    if os.geteuid() != 0:
        pytest.fail("the lab tests need root")
    kept = os.environ.get("EGOV_TEST_PROJECT")  # a folder: the lab is built there once and stays up between sessions
    folder = Path(kept) if kept else tmp_path_factory.mktemp("project")
    reused = (folder / "inventories").is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    project = folder if reused else make_project(folder, "testlab")
    os.environ.update(
        EGOV_PROJECT=str(project), EGOV_LAB_PORT_BASE=PORT_BASE, ANSIBLE_CONFIG=str(project / "ansible.cfg")
    )
    lab = CityLab(Inventory(project / "inventories" / "testlab"), project)
    try:
        if not reused:
            build(lab)
            # All repositories over a thin line take a while; whoever needs a generation later waits for what is new.
            lab.on("offsite", "systemctl start --no-block egov-offsite.service")
        yield lab
    finally:
        if not kept:
            lab.egovctl("lab", "down", "-i", str(lab.inventory.root), check=False)


@pytest.fixture(scope="session")
def private_lab(city_lab: CityLab) -> Iterator[CityLab]:
    """The other plane, up beside the city's lab in the same project; taken down at the end."""
    inventory = add_inventory(city_lab.project, "lab-private", "testlab-private")
    plan = inventory.plan_dir / "city.yml"
    plan.write_text(plan.read_text(encoding="utf-8").replace("beside: [lab]", "beside: [testlab]"), encoding="utf-8")
    lab = CityLab(inventory, city_lab.project, PRIVATE_PORT_BASE)
    try:
        build(lab)
        yield lab
    finally:
        lab.egovctl("lab", "down", "-i", str(lab.inventory.root), check=False)
