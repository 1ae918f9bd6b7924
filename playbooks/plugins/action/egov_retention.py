"""Let old archives of a host's repository go. The work is in egovctl.backups.retention."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from egovctl.apply.connection import inventory_of
from egovctl.backups.keeping import Keep
from egovctl.backups.retention import repository_name, retain
from egovctl.checks.context import open_context
from egovctl.errors import EgovError, UsageError
from egovctl.evidence import open_chain
from egovctl.i18n import tr

ARGUMENTS = {"keep": {"type": "dict", "required": True}}


class ActionModule(ActionBase):
    """Ansible's entry point; uses ssh from control, not the task's connection."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return `deleted` and `archives`; fail with the reason when nothing may be deleted."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            context = open_context(inventory_of(task_vars))
            chain = open_chain(context.inventory, context.city.plan_revision)
            host = repository_name(context, str(task_vars["inventory_hostname"]))
            done = retain(context, host, chain, _keep(arguments["keep"]), check_only=bool(self._task.check_mode))
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        names = [item.name for item in done.deleted]
        return {**result, "changed": bool(names), "deleted": names, "archives": done.archives}


def _keep(given: dict[str, Any]) -> Keep:
    try:
        return Keep(**{name: int(value) for name, value in given.items()})
    except (TypeError, ValueError):
        wanted = "newest, daily, weekly, monthly"
        raise UsageError(
            tr(f"borg_retention_keep 应为四个数：{wanted}", f"borg_retention_keep needs four numbers: {wanted}")
        ) from None
