"""Keeps the journal of applies: each changed or failed host, and the totals. The work is in egovctl.apply.journal."""

from __future__ import annotations

DOCUMENTATION = r"""
name: egov_journal
type: notification
short_description: The journal of applies, as evidence
description:
  - Writes a record of each host that an apply changed or failed on, and of the run's end, to the inventory's evidence.
  - Runs in check mode, and playbooks that apply nothing, leave no record.
"""

from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

from egovctl.apply import journal
from egovctl.errors import EgovError
from egovctl.paths import Inventory

ACTIONS = ("egov_prepare", "egov_apply")
LOOK = "egov_look"


class CallbackModule(CallbackBase):
    """Ansible's entry point."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "egov_journal"

    def __init__(self) -> None:
        super().__init__()
        self._inventory: Inventory | None = None
        self._revision = ""
        self._applied = False
        self._as_planned: set[str] = set()  # by the look; no task runs on them
        journal.new_run()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Learn which city this is."""
        groups = play.get_variable_manager()._inventory.groups
        known = groups["all"].get_vars() if "all" in groups else {}
        if "egov_inventory" in known:
            self._inventory = Inventory(Path(str(known["egov_inventory"])))
            self._revision = str(known["egov_plan_revision"])

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._applied |= task.action == "egov_apply" and not context.CLIARGS.get("check")

    def v2_runner_on_ok(self, result: Any) -> None:
        if result._task.action == LOOK and not context.CLIARGS.get("check"):
            self._as_planned |= set(result._result["same"])
            self._applied = True
        if result._result.get("changed"):
            self._host(result, failed=False)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._host(result, failed=True)

    def _host(self, result: Any, failed: bool) -> None:
        if result._task.action in ACTIONS and self._inventory and not context.CLIARGS.get("check"):
            self._write(journal.host, result._host.get_name(), result._result, failed)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The end: what became of the hosts."""
        if self._applied and self._inventory:
            self._write(
                journal.finished, {name: stats.summarize(name) for name in {*stats.processed, *self._as_planned}}
            )

    def _write(self, record: Any, *arguments: Any) -> None:
        try:
            record(self._inventory, self._revision, *arguments)
        except EgovError as error:
            self._display.warning(str(error))
