"""Whether a site may go; afterwards, forget it and record it. The work is in egovctl.apply.retire."""

from __future__ import annotations

from datetime import date
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from egovctl.apply import retire
from egovctl.apply.connection import inventory_of
from egovctl.errors import EgovError, UsageError
from egovctl.i18n import tr

ARGUMENTS = {
    "site": {"type": "str", "required": True},
    "unreachable": {"type": "bool", "default": False},
    "day": {"type": "str", "default": ""},
    "record": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Ansible's entry point; contacts nobody."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return `visit`, the hosts to go to; with `record`, print what was removed and what is kept."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        inventory = inventory_of(task_vars)
        try:
            gone = retire.retirement(inventory, arguments["site"])
            if not gone.planned and not arguments["unreachable"]:
                raise UsageError(_out_of_reach(gone.site))
            if not arguments["record"]:
                left = [] if arguments["unreachable"] else [x for x in gone.hosts if retire.wiped(inventory, x) is None]
                return {**result, "changed": False, "visit": left}
            if self._task.check_mode:
                return {**result, "changed": True}
            on = _day(arguments["day"])
            rows = retire.record(inventory, gone, on)
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        for line in (*retire.table(rows), *retire.plan_edit(gone, on)):
            self._display.display(line)
        return {**result, "changed": True}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if text else date.today()
    except ValueError:
        raise UsageError(
            tr(f"retire_on 是 {text!r}：请写成 2026-03-31", f"retire_on is {text!r}: write it as in 2026-03-31")
        ) from None


def _out_of_reach(site: str) -> str:
    return tr(
        f"站点 {site} 已不在规划中，无法再连到它的主机：请恢复规划后重新运行；若主机已不存在，"
        "请加 -e retire_unreachable=true",
        f"site {site} is out of the plan, so its hosts cannot be reached: put it back and run this again, or, when "
        "they are gone, add -e retire_unreachable=true",
    )
