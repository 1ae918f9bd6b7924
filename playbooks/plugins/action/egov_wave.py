"""Whether the wave before is well, so that the next one may be touched."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from egovctl.apply.waves import refuse_after

ARGUMENTS = {"hosts": {"type": "list", "elements": "str", "required": True}}


class ActionModule(ActionBase):
    """Ansible's entry point; contacts nobody."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Fail with one sentence when an apply or its proof failed on one of the hosts."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        if told := refuse_after(task_vars["hostvars"], arguments["hosts"]):
            raise AnsibleActionFail(told)
        return {**result, "changed": False}
