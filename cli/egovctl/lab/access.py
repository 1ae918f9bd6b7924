"""Keys, secrets and the note for first contact: what enrolment needs to know of the lab's hosts."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import yaml

from egovctl.lab.guest import host_key
from egovctl.lab.names import LabNames
from egovctl.lab.run import run
from egovctl.lab.state import LabState
from egovctl.paths import Inventory

SWITCH_SECRET = "snmp_switch_community"  # noqa: S105 - the name, not the value


def bootstrap_key(inventory: Inventory) -> Path:
    """The private key that opens root's first contact, and nothing after enrolment."""
    return inventory.state / "lab" / "bootstrap_ed25519"


def ensure_key(path: Path, comment: str) -> str:
    """Make an Ed25519 key pair unless it is there; return the public half."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    public = path.with_name(f"{path.name}.pub")
    if not path.is_file() or not public.is_file():
        path.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path])
    return public.read_text(encoding="utf-8").strip()


def proxy_command(names: LabNames, control: str) -> str:
    """How ssh on the machine gets into control's network, where all hosts are reached from."""
    return f"nsenter --net={shlex.quote(str(names.netns_path(control)))} socat - TCP:%h:%p"


def write_first_contact(inventory: Inventory, names: LabNames, state: LabState) -> None:
    """The note that enrolment starts from; every guest has made its key by now."""
    hosts = {
        name: {
            "address": state.hosts[name].management,
            "port": 22,
            "user": "root",
            "host_key": host_key(names, name),
            "identity": str(bootstrap_key(inventory)),
        }
        for name in state.guests
    }
    proxy = proxy_command(names, state.control) if state.control else None
    # A real control is in its own network once a host is enrolled; here it is always reached through its namespace.
    note = {"hosts": hosts, "proxy": proxy, "in_band_proxy": proxy}
    path = inventory.first_contact
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        yaml.safe_dump(note, stream, sort_keys=False)
    temporary.replace(path)
