"""Install what is missing before a transaction: packages and users. The work is in egovctl.apply.prepare."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from egovctl.apply import prepare
from egovctl.apply.connection import request_of, shell_of
from egovctl.apply.transaction import ConnectionLost
from egovctl.errors import EgovError

ARGUMENTS = {"bundles": {"type": "list", "elements": "str"}}
CACHE_SECONDS = 3600
# Debian's policy-rc.d(8) answer "do not start it": a service starts when its configuration is in place.
DO_NOT_START = 101


class ActionModule(ActionBase):
    """Ansible's entry point."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return the packages and users that were (or in check mode would be) added."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            missing = self._missing(task_vars, arguments)
        except ConnectionLost as lost:
            raise lost.__cause__ or lost from None
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        names = {"packages": list(missing.packages), "users": list(missing.users)}
        result.update(names, changed=bool(missing.packages or missing.users))
        if not self._task.check_mode:
            self._install(missing, task_vars)
        return result

    def _missing(self, task_vars: Any, arguments: dict[str, Any]) -> prepare.Missing:
        request = request_of(self, task_vars, arguments)
        wanted = prepare.wanted(request.build, request.host, request.bundles)
        answer = shell_of(self)("/bin/sh -s", prepare.command(wanted).encode())
        return prepare.missing(request.host, wanted, answer.stdout or answer.stderr)

    def _install(self, missing: prepare.Missing, task_vars: Any) -> None:
        host = task_vars["inventory_hostname"]
        if missing.packages:
            arguments = {
                "name": list(missing.packages),
                "state": "present",
                "install_recommends": False,
                "update_cache": True,
                "cache_valid_time": CACHE_SECONDS,
                "policy_rc_d": DO_NOT_START,
            }
            done = self._execute_module(module_name="ansible.builtin.apt", module_args=arguments, task_vars=task_vars)
            if done.get("failed"):
                packages = ", ".join(missing.packages)
                raise AnsibleActionFail(f"{host}: apt could not install {packages}: {done.get('msg')}")
        if missing.lines:
            made = shell_of(self)(prepare.make_users(missing.lines), b"")
            if made.code != 0:
                raise AnsibleActionFail(f"{host}: users {', '.join(missing.users)}: {made.stderr or made.stdout}")
