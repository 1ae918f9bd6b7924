"""Who takes part, and the command that each is run by."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import peers
from city import REPOSITORY
from desired import Wanted

from egovctl.paths import Inventory
from egovctl.transport import control_prefix

OURS = "ours"
BIN = REPOSITORY / ".venv" / "bin"

# What ours is run by: the role that site.yml is made of, on all hosts at once, with its defaults.
OUR_PLAYBOOK = """\
- name: Choose the hosts
  hosts: managed
  gather_facts: false
  tasks:
    - name: Choose the bundles and the hosts
      ansible.builtin.import_role:
        name: transaction
        tasks_from: choose
        rolespec_validate: false # it would cost a task on every host; the actions check what they are given

- name: Apply
  hosts: to_apply
  gather_facts: false
  tasks:
    - name: Apply and prove
      ansible.builtin.import_role:
        name: transaction
"""


@dataclass(frozen=True)
class Contender:
    """`name` as in tables; `form` says in a few words how it does it, `unproven` what an unchanged run does not prove.

    `slow`: file by file over Ansible, measured in fewer rounds.
    """

    name: str
    form: str
    unproven: str = ""
    slow: bool = False
    peer: str = ""  # whose environment it runs in
    bulk: bool = False


ALL = (
    Contender(OURS, "the role transaction, defaults (proof after a change, commit-confirm)"),
    Contender("ours-unproven", "the same with transaction_prove=false"),
    Contender("ours-site", "playbooks/site.yml: renders, waves, cores one at a time, repositories of backups"),
    Contender("ansible-files", "tuned, one copy task a file", "packages beyond being there", slow=True),
    Contender(
        "ansible-bulk",
        "tuned, one raw task compares contents; archive and actions if they differ",
        "modes, owners, folders, units, packages",
        bulk=True,
    ),
    Contender(
        "mitogen-files", "mitogen_linear, the same tasks", "packages beyond being there", slow=True, peer="mitogen"
    ),
    Contender("pyinfra-files", "files.put, one operation a file", "", peer="pyinfra"),
    Contender(
        "pyinfra-bulk",
        "one server.shell compares contents, archive on its standard input",
        "modes, owners, folders, units, packages",
        peer="pyinfra",
        bulk=True,
    ),
)


@dataclass(frozen=True)
class Arena:
    """What all contenders share: the project and its inventory, and the private folder for files with secrets."""

    inventory: Inventory
    project: Path
    private: Path
    no_wait: bool = True  # pyinfra --no-wait
    converged: bool = False  # the hosts have the files already: no reset and no first run

    def folder(self, contender: Contender) -> Path:
        return self.private / contender.name


@dataclass(frozen=True)
class Command:
    argv: list[str]
    cwd: Path
    environment: dict[str, str]
    sockets: Path | None  # where it keeps its connections


def prepare(arena: Arena, contender: Contender, version: str, wanted: Mapping[str, Wanted], build: Path) -> Command:
    """What a user of this program would have ready before the run: not measured."""
    if contender.name.startswith(OURS):
        return _ours(arena, contender, build)
    folder = arena.folder(contender) / version
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = arena.private / version
    if contender.peer == "pyinfra":
        return _pyinfra(arena, contender, folder, wanted, files)
    return _ansible(arena, contender, folder, wanted, files)


def _environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return {**kept, **more}


def _ours(arena: Arena, contender: Contender, build: Path) -> Command:
    playbook = arena.project / "playbooks" / "site.yml"
    argv = [str(BIN / "ansible-playbook"), "-i", str(arena.inventory.root)]
    if contender.name != "ours-site":
        playbook = arena.project / "playbooks" / "bench.yml"
        playbook.write_text(OUR_PLAYBOOK, encoding="utf-8")
        argv += ["-e", f"egov_build={build}"]
    if contender.name == "ours-unproven":
        argv += ["-e", "transaction_prove=false"]
    config = _environment(ANSIBLE_CONFIG=str(arena.project / "ansible.cfg"))
    return Command([*argv, str(playbook)], arena.project, config, arena.inventory.state / "cp")


def _ansible(arena: Arena, contender: Contender, folder: Path, wanted: Mapping[str, Wanted], files: Path) -> Command:
    binary = peers.environment(contender.peer) if contender.peer else BIN
    hosts, playbook, config = folder / "hosts.json", folder / "playbook.yml", folder / "ansible.cfg"
    peers.ansible_inventory(arena.inventory, wanted, files, hosts)
    sockets = folder.parent / "cp"  # of all versions: a change meets connections that are open
    peers.ansible_config(config, sockets, binary if contender.peer else None)
    peers.write_playbook(peers.bulk_playbook() if contender.bulk else peers.files_playbook(wanted), playbook)
    argv = [str(binary / "ansible-playbook"), "-i", str(hosts), str(playbook)]
    return Command(argv, folder, _environment(ANSIBLE_CONFIG=str(config)), sockets)


def _pyinfra(arena: Arena, contender: Contender, folder: Path, wanted: Mapping[str, Wanted], files: Path) -> Command:
    binary = peers.environment("pyinfra")
    peers.pyinfra_files(arena.inventory, wanted, files, folder / "hosts.json")
    deploy = peers.HERE / "deploys" / ("pyinfra_bulk.py" if contender.bulk else "pyinfra_files.py")
    argv = [*control_prefix(arena.inventory), str(binary / "pyinfra"), "-y"]
    argv += ["--no-wait"] if arena.no_wait else []
    argv += [str(peers.HERE / "deploys" / "pyinfra_inventory.py"), str(deploy)]
    return Command(argv, folder, _environment(BENCH_PYINFRA=str(folder / "hosts.json")), None)


def hang_up(command: Command) -> None:
    """Close the connections that a program keeps, so that its next run starts cold."""
    if command.sockets is None or not command.sockets.is_dir():
        return
    for socket in command.sockets.iterdir():
        if socket.is_socket():
            argv = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "nobody"]
            subprocess.run(argv, capture_output=True, check=False)


def forget(arena: Arena, contender: Contender) -> None:
    """Delete what was prepared for it, secrets included."""
    shutil.rmtree(arena.folder(contender), ignore_errors=True)
