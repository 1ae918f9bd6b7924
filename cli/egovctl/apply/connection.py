"""Ansible's connection as the transaction's shell: plain commands, input on standard input, no module in between."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure

from egovctl.apply.enrolment import read_record
from egovctl.apply.transaction import PYTHON, Answer, ConnectionLost, Knock, Request, Shell
from egovctl.paths import Inventory
from egovctl.secrets import Secrets
from egovctl.transport import SSH_FAILED, ssh_options

RETRY_SECONDS = 90
KNOCK_SECONDS = 5


def shell_of(action: Any) -> Shell:
    """Run commands over an action plugin's connection, as its become user; ConnectionLost when it fails."""

    def run(command: str, data: bytes) -> Answer:
        try:
            # in_data: no terminal; executable given: no `sleep 0` after the command
            done = action._low_level_execute_command(command, in_data=data, executable="/bin/sh")
        except AnsibleConnectionFailure as error:
            raise ConnectionLost(str(error)) from error
        return Answer(int(done["rc"]), str(done["stdout"]), str(done["stderr"]))

    return run


def fresh_shell_of(action: Any) -> Shell:
    """The same over a really new connection, tried until it answers or RETRY_SECONDS have passed."""
    run = shell_of(action)

    def patient(command: str, data: bytes) -> Answer:
        limit = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                action._connection.reset()
                return run(command, data)
            except (ConnectionLost, AnsibleConnectionFailure) as error:
                if time.monotonic() > limit:
                    raise ConnectionLost(str(error)) from error
                time.sleep(2)

    return patient


def inventory_of(variables: Mapping[str, Any]) -> Inventory:
    """The city that a task is about."""
    return Inventory(Path(str(variables["egov_inventory"])))


def request_of(
    action: Any,
    variables: Mapping[str, Any],
    arguments: Mapping[str, Any],
    ready: Callable[[], None] = lambda: None,
) -> Request:
    """What a task asks for: its arguments, the inventory's variables, and Ansible's check and diff modes."""
    inventory = inventory_of(variables)
    python = str(variables.get("ansible_python_interpreter") or "")
    bundles = arguments.get("bundles") or None
    host = str(variables["inventory_hostname"])
    return Request(
        build=Path(str(variables["egov_build"])),
        host=host,
        secret=Secrets(inventory).get,
        bundles=None if bundles is None else [str(name) for name in bundles],
        adopt=bool(arguments.get("adopt")),
        check=bool(action._task.check_mode),
        diff=bool(action._task.diff),
        python=python if python.startswith("/") else PYTHON,
        host_key=read_record(inventory, host).get("ssh_host_ed25519", ""),
        confirm_seconds=float(arguments.get("confirm_seconds") or 0),
        knock=knock_here(action, variables) if is_here(variables) else knock_at(inventory, host),
        ready=ready,
    )


def is_here(variables: Mapping[str, Any]) -> bool:
    """Whether the host is the very one that applies: control, whose own connection no change can cut."""
    return variables.get("ansible_connection") == "local"


def knock_here(action: Any, variables: Mapping[str, Any]) -> Knock:
    """Run a command on control once its sshd greets at its address: what a change could cut is the people's way in."""
    address = str(variables["egov_address_v4"])
    ask = f"ssh-keyscan -T {KNOCK_SECONDS} -t ed25519 {address} 2>/dev/null | grep -q ssh-ed25519 || exit {SSH_FAILED}"
    run = shell_of(action)

    def knock(command: str) -> Answer | None:
        answer = run("/bin/sh -s", f"{ask}\n{command}\n".encode())
        return answer if answer.code != SSH_FAILED else None

    return knock


def knock_at(inventory: Inventory, host: str) -> Knock:
    """Run a command over a connection of its own, in band: a kept one would answer through the old state's gaps."""
    alone = ["-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", f"ConnectTimeout={KNOCK_SECONDS}"]
    ssh = ["ssh", *alone, *ssh_options(inventory), host]

    def knock(command: str) -> Answer | None:
        try:
            done = subprocess.run(
                [*ssh, f"sudo -n {command}"], capture_output=True, text=True, timeout=4 * KNOCK_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return None
        return Answer(done.returncode, done.stdout, done.stderr) if done.returncode != SSH_FAILED else None

    return knock
