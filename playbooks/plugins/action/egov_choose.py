"""Which bundles this run is about, from its tags, and the run on record. The work is in egovctl.apply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from egovctl.apply import journal
from egovctl.apply.connection import inventory_of
from egovctl.apply.selection import choose, known_bundles
from egovctl.errors import EgovError
from egovctl.paths import project_root

ARGUMENTS = {"bundles": {"type": "list", "elements": "str"}}


class ActionModule(ActionBase):
    """Ansible's entry point; contacts nobody."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return `bundles`; a tag that is no bundle fails with one sentence."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        tags, skipped = task_vars["ansible_run_tags"], task_vars["ansible_skip_tags"]
        try:
            known = known_bundles(project_root() / "playbooks" / "roles")
            chosen = choose(known, arguments["bundles"] or [], tags, skipped)
            if not self._task.check_mode:
                journal.planned(inventory_of(task_vars), task_vars["egov_plan_revision"], self._wishes(chosen))
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        return {**result, "bundles": chosen}

    def _wishes(self, chosen: list[str]) -> dict[str, Any]:
        asked = context.CLIARGS
        return {
            "playbooks": [Path(name).name for name in asked.get("args", ())],
            "limit": str(asked.get("subset") or ""),
            "bundles": chosen,
        }
