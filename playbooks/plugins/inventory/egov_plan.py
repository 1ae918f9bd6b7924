"""Inventory plugin: a thin view of the city's plan for Ansible."""

from __future__ import annotations

DOCUMENTATION = r"""
name: egov_plan
short_description: Hosts and groups from a city's plan
description:
  - Reads C(plan/city.yml) and C(plan/services.yml) beside the source file, with the same loader as C(egovctl).
  - A bad plan fails with one sentence a fault, with file and line.
options:
  plugin:
    description: Must be C(egov_plan).
    required: true
    choices: [egov_plan]
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

from egovctl.apply.look import connections_of
from egovctl.apply.waves import WAVES, waves_of
from egovctl.errors import EgovError
from egovctl.lab.names import LabNames
from egovctl.paths import Inventory
from egovctl.plan import City, Host, load
from egovctl.plan.models import Administrator
from egovctl.transport import socket_path

TO_APPLY = "to_apply"  # filled by a run, with the hosts that differ from the plan


class InventoryModule(BaseInventoryPlugin):
    """Ansible's entry point."""

    NAME = "egov_plan"

    def verify_file(self, path: str) -> bool:
        """Whether `path` is a city.yml that has a plan beside it."""
        given = Path(path)
        return given.name == "city.yml" and (given.parent / "plan").is_dir()

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill Ansible's inventory; AnsibleParserError with the plan's faults when it is bad."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        source = Inventory(Path(path).resolve().parent)
        try:
            plan, city = load(source)
        except EgovError as error:
            raise AnsibleParserError(str(error)) from None
        for name, value in _city_vars(source, city).items():
            inventory.set_variable("all", name, value)
        waves = waves_of(city)
        for group in (*WAVES, TO_APPLY):
            inventory.add_group(group)
        for host in city.hosts.values():
            inventory.add_host(host.name)
            if wave := waves.get(host.name):
                inventory.add_host(host.name, wave)
            for group in host.groups:
                inventory.add_host(host.name, inventory.add_group(group.replace("-", "_")))
            for name, value in {**_host_vars(host), **_control_vars(source, plan.administrators, host)}.items():
                inventory.set_variable(host.name, name, value)


def _control_vars(source: Inventory, people: Sequence[Administrator], host: Host) -> dict[str, Any]:
    """Control is configured from itself. That of a lab is entered from the machine: it has no suite of its own."""
    if host.role != "control":
        return {}
    found: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_pipelining": True,
        "egov_administrators": [person.name for person in people],
    }
    if LabNames(source.name).netns_path(host.name).exists():
        enter = [sys.executable, "-m", "egovctl", "lab", "exec", "-i", str(source.root), host.name, "--", "sudo"]
        found["ansible_become_exe"] = shlex.join(enter)
    return found


def _city_vars(source: Inventory, city: City) -> dict[str, Any]:
    return {
        "egov_inventory": str(source.root),
        "egov_build": str(source.build),
        "egov_plan_revision": city.plan_revision,
        "ansible_user": "egov-deploy",
        "ansible_become": True,
        "ansible_ssh_common_args": f"-F {source.ssh_config}",
        **_kept_connections(source),
    }


def _kept_connections(source: Inventory) -> dict[str, Any]:
    """Two cities may use the same host names: a kept connection of one must never serve the other."""
    folder = connections_of(source)
    socket = socket_path(folder)
    path = {} if socket is None else {"ansible_control_path": str(socket).replace("%", "%%")}
    return {"ansible_control_path_dir": str(folder), **path}


def _host_vars(host: Host) -> dict[str, Any]:
    return {
        "egov_address_v4": host.address_v4,
        "egov_address_v6": host.address_v6,
        "egov_site": host.site,
        "egov_role": host.role,
        "egov_platform": host.platform,
        "egov_tunnels": bool(host.tunnels) and host.manages("wireguard"),
        "egov_serves_noc": host.role == "noc" and host.manages("noc"),
    }
