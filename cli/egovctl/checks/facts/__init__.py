"""What the answers of a host mean, group by group. Pure functions of hostile text: a host may lie in its types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from egovctl.checks.facts import logins, machine, services, system
from egovctl.checks.facts.answers import Answers, showable
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

REASON_MOST = 160
READERS: dict[str, Callable[[Answers], dict[str, Any]]] = {
    "accounts": logins.accounts,
    "audit": system.audit,
    "certificates": services.certificates,
    "consoles": services.consoles,
    "databases": services.databases,
    "firewall": system.firewall,
    "interfaces": machine.interfaces,
    "journal": system.journal,
    "listening": system.listening,
    "logs": system.logs,
    "machine": machine.machine,
    "modes": system.modes,
    "modules": system.modules,
    "packages": system.packages,
    "passwords": logins.passwords,
    "session": logins.session,
    "sshd": logins.sshd,
    "sudo": logins.sudo,
    "sysctls": system.sysctls,
    "system": system.system,
    "units": system.units,
}


def decode(host: str, group: str, answers: Any, at: float = 0.0) -> dict[str, Any]:
    """The facts of one group. CannotMeasure when an answer is missing, cut, or not what that query gives."""
    reader = READERS.get(group)
    if reader is None:
        raise CannotMeasure(told(f"没有事实组 {group}", f"there is no group of facts {group}"))
    try:
        return {group: reader(Answers(answers, at))}
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError, OverflowError) as error:
        reason = " ".join(showable(str(error)).split())[:REASON_MOST] or type(error).__name__
        raise CannotMeasure(
            told(
                f"{host}：关于 {group} 的应答无法判读：{reason}",
                f"{host}: its answer about {group} tells nothing: {reason}",
            )
        ) from None
