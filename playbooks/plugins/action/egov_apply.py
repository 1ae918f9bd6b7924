"""Bring a host to its rendered manifest in one transaction. The work is in egovctl.apply; see the module's text."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from egovctl.apply import unproven
from egovctl.apply.connection import fresh_shell_of, inventory_of, request_of, shell_of
from egovctl.apply.summary import summary
from egovctl.apply.transaction import ConnectionLost, apply_host, program
from egovctl.checks.prove import prove
from egovctl.errors import EgovError

ARGUMENTS = {
    "bundles": {"type": "list", "elements": "str"},
    "adopt": {"type": "bool", "default": False},
    "confirm_seconds": {"type": "float", "default": 45.0},
    "need": {"type": "list", "elements": "str"},
    "prove": {"type": "bool", "default": False},
}

# What a host in `need` is asked: whether it carries the city; the rest of it may be what this very run brings.
NEED_CHECKS, NEED_SECONDS = ("neighbours-up",), 40.0


program()  # compressed once: Ansible loads this file in the process that all hosts' workers are forked from


class ActionModule(ActionBase):
    """Ansible's entry point."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the result; a host that cannot be reached is unreachable, any other fault is one sentence."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        inventory, host = inventory_of(task_vars), str(task_vars["inventory_hostname"])

        def ready() -> None:
            prove(inventory, arguments["need"] or (), NEED_SECONDS, NEED_CHECKS)
            if arguments["prove"]:
                unproven.mark(inventory, host)

        try:
            request = request_of(self, task_vars, arguments, ready)
            done = apply_host(request, shell_of(self), fresh_shell_of(self))
        except ConnectionLost as lost:
            raise lost.__cause__ or lost from None
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        if not done.get("failed") and (told := summary(request.host, done, request.check)):
            self._display.display(told)
        return {**result, **done, "unproven": unproven.marked(inventory, host)}
