"""Which bundles this run is about, from its tags. The work is in egovctl.apply.selection."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

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
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        return {**result, "bundles": chosen}
