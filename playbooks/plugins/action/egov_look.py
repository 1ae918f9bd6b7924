"""Which hosts are as planned already, asked all at once. The work is in egovctl.apply.look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from egovctl.apply.connection import inventory_of
from egovctl.apply.look import look, told
from egovctl.errors import EgovError

ARGUMENTS = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    "bundles": {"type": "list", "elements": "str"},
}


class ActionModule(ActionBase):
    """Ansible's entry point; uses ssh from control, not the task's connection."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return `same` and `differing`; a host that cannot be asked differs, and its apply says why."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        near = task_vars["groups"].get("role_control", ())  # what it is applied by: no ssh leads there
        build = Path(str(task_vars["egov_build"]))
        try:
            seen = look(inventory_of(task_vars), build, arguments["hosts"], arguments["bundles"] or [], near)
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        self._display.display(told(seen))
        return {**result, "changed": False, "same": list(seen.same), "differing": list(seen.differing)}
