"""Whether hosts work as planned right after a change, by the checks that `egovctl assess` runs too."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from egovctl.apply import unproven
from egovctl.apply.connection import inventory_of
from egovctl.checks.prove import CHECKS, prove, warm
from egovctl.errors import EgovError

ARGUMENTS = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    "checks": {"type": "list", "elements": "str"},
    "seconds": {"type": "float", "default": 40.0},
}


warm()  # Ansible loads this file in the process that all hosts' workers are forked from


class ActionModule(ActionBase):
    """Ansible's entry point; uses ssh from control, not the task's connection."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Fail with one sentence when a host is not well after `seconds`."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            prove(inventory_of(task_vars), arguments["hosts"], arguments["seconds"], arguments["checks"] or CHECKS)
            for host in arguments["hosts"]:
                unproven.clear(inventory_of(task_vars), host)
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        return {**result, "changed": False}
