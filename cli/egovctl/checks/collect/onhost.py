"""The one read-only program that looks at a host: everything in one pass, JSON back. Standard library only.

It is sent on standard input and never stored there. It only fetches: what the answers mean is decided on control.
Python 3.9 or newer; protocol 1.
"""

from __future__ import annotations

import subprocess
from typing import Any

PROTOCOL = 1
COMMANDS = {
    "neighbours": {
        "ospf4": ["vtysh", "-c", "show ip ospf neighbor json"],
        "ospf6": ["vtysh", "-c", "show ipv6 ospf6 neighbor json"],
        "bgp4": ["vtysh", "-c", "show bgp ipv4 unicast summary json"],
        "bgp6": ["vtysh", "-c", "show bgp ipv6 unicast summary json"],
    },
    "routes": {
        "routes4": ["ip", "-j", "-4", "route", "show", "table", "main"],
        "routes6": ["ip", "-j", "-6", "route", "show", "table", "main"],
    },
    "time": {"tracking": ["chronyc", "-c", "-n", "tracking"]},
    "units": {"units": ["systemctl", "is-active", "--"]},
}
# Without VTYSH_HISTFILE, vtysh writes a history into root's home, even for one command.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "VTYSH_HISTFILE": "/dev/null",
}


def ask(argv: list[str], seconds: float) -> dict[str, Any]:
    """Run one command; its exit code and what it printed, or why there is no answer."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=ENVIRONMENT,
        )
    except FileNotFoundError:
        return {"code": 127, "out": "", "err": argv[0] + " is not installed"}
    except subprocess.TimeoutExpired:
        return {"code": 124, "out": "", "err": " ".join(argv[:1]) + " gave no answer in time"}
    return {
        "code": done.returncode,
        "out": done.stdout.decode("utf-8", "replace"),
        "err": done.stderr.decode("utf-8", "replace").strip()[-300:],
    }


def main(params: dict[str, Any]) -> dict[str, Any]:
    """Given {"sections": [...], "units": [...], "seconds": limit a command}; returns what each command said."""
    answers = {}
    for section in params["sections"]:
        for name, argv in COMMANDS[section].items():
            more = params["units"] if section == "units" else []
            answers[name] = ask(argv + more, params["seconds"])
    return {"protocol": PROTOCOL, "answers": answers}
