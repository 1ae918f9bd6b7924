"""What a host is as a machine: how it was started, its disks, its interfaces."""

from __future__ import annotations

import re
from typing import Any

from egovctl.checks.facts.answers import Answers, showable

SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-"
UP = ("UP", "UNKNOWN")  # a tunnel or the loopback tells no state


def machine(answers: Answers) -> dict[str, Any]:
    """Secure Boot and TPM, encrypted volumes, memory cleared on release, mandatory access control.

    What the kernel does not show counts as not there.
    """
    words = answers.text("/proc/cmdline").split()
    selinux, apparmor = "/sys/fs/selinux/enforce", "/sys/module/apparmor/parameters/enabled"
    return {
        "secure_boot": any(_on(answers, name) for name in _shown(answers, SECURE_BOOT)),
        "tpm": any(text.strip() == "2" for text in _shown(answers, "/sys/class/tpm/").values()),
        "disks_encrypted": any(text.startswith("CRYPT-") for text in _shown(answers, "/sys/block/").values()),
        "memory_cleared": "init_on_free=1" in words,
        "confined": "1" in _words(answers, selinux) or "Y" in _words(answers, apparmor),
    }


def _shown(answers: Answers, prefix: str) -> dict[str, str]:
    """The files below a folder that could be read."""
    found = {}
    for name in sorted(answers.data):
        if name.startswith(prefix):
            try:
                text = answers.maybe(name)
            except ValueError:
                continue
            if text is not None:
                found[name] = text
    return found


def _words(answers: Answers, name: str) -> list[str]:
    return _shown(answers, name).get(name, "").split()


def _on(answers: Answers, name: str) -> bool:
    """A firmware variable: four bytes of attributes, then one byte that is 1. What is shown of it has no such bytes."""
    return str(answers.data[name]["out"]).endswith("\x01")


def interfaces(answers: Answers) -> dict[str, Any]:
    """Interfaces that are up, are wireless, or take others' packets; and peers of tunnels that no file names."""
    links = answers.json("link")
    if not isinstance(links, list) or not links:
        raise ValueError("there is no interface")
    names = [(str(link["ifname"]), str(link["operstate"])) for link in links]
    promiscuous = {str(link["ifname"]) for link in links if "PROMISC" in link.get("flags", [])}
    configured = set(re.findall(r"PublicKey\s*=\s*(\S{1,64})", "".join(answers.files("/etc/wireguard/").values())))
    peers = [line.split() for line in (answers.maybe("peers") or "").splitlines() if line.strip()]
    radios = {path.split("/")[4] for path in answers.files("/sys/class/net/")}
    return {
        "up": sorted({showable(name) for name, state in names if state in UP}),
        "wireless": sorted(map(showable, radios)),
        "promiscuous": sorted(map(showable, promiscuous)),
        "stranger_peers": sorted(f"{words[0]} {words[-1]}" for words in peers if words[-1] not in configured),
    }
