"""The journal of applies, as evidence: who applied which plan with what wishes, and what became of each host.

A run is on record before the first host is touched, each changed or failed host as soon as it is known, and the totals
at the end: a controller that dies in the middle leaves a record that says how far it came.
"""

from __future__ import annotations

import getpass
import os
import pwd
import socket
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from egovctl.evidence import open_chain
from egovctl.paths import Inventory

RUN = "EGOV_APPLY_RUN"  # the run's id in the environment: Ansible's workers are forks of the process that has it
LISTS = ("packages", "users", "files", "folders", "removed", "units", "sysctls", "actions")
FLAGS = ("rolled_back", "confirmed", "connection_lost", "unconfirmed")


def new_run() -> str:
    """Begin a run: an id that all of its records have."""
    os.environ[RUN] = run = uuid4().hex[:12]
    return run


def who() -> dict[str, str]:
    """The person as the system knows them: the account, who became it by sudo, and on which machine."""
    found = {"account": _account(), "machine": socket.gethostname()}
    for key, variable in (("sudo_by", "SUDO_USER"), ("from", "SSH_CONNECTION")):
        if value := os.environ.get(variable):
            found[key] = value.split()[0]
    return found


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return getpass.getuser()


def planned(inventory: Inventory, revision: str, wishes: Mapping[str, Any]) -> None:
    """Before anything is touched. CannotMeasure when it cannot be written: then nothing shall be applied."""
    body = {"run": os.environ.get(RUN, ""), "who": who(), **wishes}
    open_chain(inventory, revision).append("apply.planned", body)


def host(inventory: Inventory, revision: str, name: str, result: Mapping[str, Any], failed: bool) -> None:
    """What was done to one host, by kind; a failure with its one sentence."""
    body: dict[str, Any] = {"run": os.environ.get(RUN, ""), "host": name, "failed": failed}
    body |= {key: [str(item) for item in result[key]] for key in LISTS if result.get(key)}
    body |= {key: True for key in FLAGS if result.get(key)}
    if failed:
        body["reason"] = str(result.get("msg") or result.get("exception") or "")[:2000]
    open_chain(inventory, revision).append("apply.host", body)


def finished(inventory: Inventory, revision: str, totals: Mapping[str, Mapping[str, int]]) -> None:
    """The end of a run: how many hosts are as they were, changed, failed and unreachable, the last two by name."""
    body = {
        "run": os.environ.get(RUN, ""),
        "hosts": len(totals),
        "changed": sum(bool(row["changed"]) for row in totals.values()),
        "failed": sorted(name for name, row in totals.items() if row["failures"]),
        "unreachable": sorted(name for name, row in totals.items() if row["unreachable"]),
    }
    open_chain(inventory, revision).append("apply.result", body)
