"""Install what is missing before a transaction: packages and users. The work is in egovctl.apply.prepare."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from egovctl.apply import prepare
from egovctl.apply.connection import request_of, shell_of
from egovctl.apply.probe import refuse_other
from egovctl.apply.summary import summary
from egovctl.apply.transaction import ConnectionLost, Request
from egovctl.errors import CannotMeasure, EgovError
from egovctl.i18n import tr

ARGUMENTS = {"bundles": {"type": "list", "elements": "str"}}


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
            request = request_of(self, task_vars, arguments)
            missing = self._missing(request)
            if not request.check:
                self._install(request.host, missing)
        except ConnectionLost as lost:
            raise lost.__cause__ or lost from None
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        names = {"packages": list(missing.packages), "users": list(missing.users)}
        result.update(names, changed=bool(missing.packages or missing.users))
        if told := summary(request.host, result, request.check):
            self._display.display(told)
        return result

    def _missing(self, request: Request) -> prepare.Missing:
        wanted = prepare.wanted(request.build, request.host, request.bundles)
        answer = shell_of(self)("/bin/sh -s", prepare.command(wanted).encode())
        refuse_other(request.host, request.host_key, answer.stdout)
        return prepare.missing(request.host, wanted, answer.stdout or answer.stderr)

    def _install(self, host: str, missing: prepare.Missing) -> None:
        shell = shell_of(self)
        if missing.packages:
            done = shell("/bin/sh -s", prepare.install(missing.packages).encode())
            if done.code != 0:
                said = [line for line in done.stdout.splitlines() if line.startswith("E:")] or [done.stderr[-300:]]
                names, why = ", ".join(missing.packages), " ".join(said)
                raise CannotMeasure(
                    tr(f"{host}：apt-get 无法安装 {names}：{why}", f"{host}: apt-get cannot install {names}: {why}")
                )
        if missing.lines:
            made = shell(prepare.make_users(missing.lines), b"")
            if made.code != 0:
                names, why = ", ".join(missing.users), made.stderr or made.stdout
                raise CannotMeasure(tr(f"{host}：无法创建用户 {names}：{why}", f"{host}: cannot make {names}: {why}"))
