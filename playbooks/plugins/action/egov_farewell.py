"""The last visit to a host that is retired. The work is in egovctl.apply.farewell."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from egovctl.apply import farewell, retire
from egovctl.apply.connection import inventory_of, request_of, shell_of
from egovctl.apply.contact import DEPLOY_USER
from egovctl.apply.transaction import ConnectionLost
from egovctl.errors import EgovError


class ActionModule(ActionBase):
    """Ansible's entry point."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return what was taken back; the host does not answer any more when this is done."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec(argument_spec={})
        try:
            request = request_of(self, task_vars, {}, lambda: None)
            done = farewell.clear(request, shell_of(self))
            if not request.check and not done.get("failed"):
                farewell.leave(request, shell_of(self), DEPLOY_USER)
                self._connection.reset()
                farewell.await_silence(request)
                retire.note_wiped(inventory_of(task_vars), str(task_vars["egov_plan_revision"]), request.host, done)
        except ConnectionLost as lost:
            raise lost.__cause__ or lost from None
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        return {**result, **done, "changed": True}
