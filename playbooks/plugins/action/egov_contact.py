"""Whether a host is in band, and how it is reached if it is not yet. The work is in egovctl.apply.contact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from egovctl.apply import contact, enrolment
from egovctl.errors import EgovError
from egovctl.paths import Inventory

ARGUMENTS = {"wait": {"type": "float", "default": 0.0}}


class ActionModule(ActionBase):
    """Ansible's entry point; uses ssh from control, not the task's connection."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return `in_band`, why not, `variables` for set_fact, and which keys its record lacks."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        inventory = Inventory(Path(str(task_vars["egov_inventory"])))
        host = str(task_vars["inventory_hostname"])
        try:
            if arguments["wait"]:
                contact.wait_in_band(inventory, host, arguments["wait"])
            why = contact.in_band(inventory, host)
            choose = contact.first_contact_variables if why else contact.in_band_variables
            lacking = enrolment.lacking(
                enrolment.read_record(inventory, host),
                bool(task_vars["egov_tunnels"]),
                task_vars["egov_role"] == "noc",
                enrolment.keys_of_groups(task_vars["group_names"]),
            )
            found = {"in_band": not why, "why": why, "lacking": lacking}
            return {**result, **found, "variables": choose(inventory, host)}
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
