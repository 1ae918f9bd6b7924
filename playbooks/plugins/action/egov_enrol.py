"""Make the deploy user and the host's keys over the first contact; keep the public halves on control."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from egovctl.apply import enrolment
from egovctl.apply.connection import shell_of
from egovctl.apply.transaction import ConnectionLost
from egovctl.errors import EgovError
from egovctl.i18n import tr
from egovctl.paths import Inventory

PROGRAM = "first_contact.sh"


class ActionModule(ActionBase):
    """Ansible's entry point."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Return what was changed on the host and whether its record on control changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec(argument_spec={})
        inventory = Inventory(Path(str(task_vars["egov_inventory"])))
        host = str(task_vars["inventory_hostname"])
        check = bool(self._task.check_mode)
        program = Path(self._find_needle("files", PROGRAM)).read_text(encoding="utf-8")
        try:
            tunnels = bool(task_vars["egov_tunnels"])
            seals = task_vars["egov_role"] == "noc"
            more = enrolment.keys_of_groups(task_vars["group_names"])
            script = enrolment.script(program, enrolment.ensure_control(inventory), check, tunnels, seals, more)
            answer = shell_of(self)("/bin/sh -s", script.encode())
            known = enrolment.read_record(inventory, host).get("ssh_host_ed25519")
            keys, changed = enrolment.parse(host, answer.stdout + "\n" + answer.stderr)
            recorded = not check and enrolment.write_record(inventory, host, keys)
        except ConnectionLost as lost:
            raise _explained(host, inventory, lost) from None
        except EgovError as error:
            raise AnsibleActionFail(str(error)) from None
        if known and known != keys.get("ssh_host_ed25519"):
            result["warnings"] = [
                tr(
                    f"{host}：主机密钥与上次登记时不同；是否重装过？",
                    f"{host}: its host key is another than at the last enrolment; was it reinstalled?",
                )
            ]
        return {**result, "changed": bool(changed or recorded), "changes": changed, "recorded": recorded}


def _explained(host: str, inventory: Inventory, lost: ConnectionLost) -> Exception:
    """A wrong host key is a refusal, not an outage; say so, and what to do."""
    said = str(lost)
    if "Host key verification failed" in said or "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return AnsibleActionFail(
            tr(
                f"{host}：已拒绝：它出示的主机密钥不是 {inventory.first_contact} 中的那一个；请在其控制台核对密钥"
                "（ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub），并查明是谁在代它应答",
                f"{host}: refused: the host key it shows is not the one in {inventory.first_contact}; compare the key "
                "on its console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), and find out who answers in its "
                "place",
            )
        )
    return lost.__cause__ if isinstance(lost.__cause__, AnsibleConnectionFailure) else lost
