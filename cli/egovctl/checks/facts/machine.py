"""What a host is as a machine: how it was started, its disks, its interfaces."""

from __future__ import annotations

import re
from typing import Any

from egovctl.checks.facts.answers import Answers, showable

SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-"


def machine(answers: Answers) -> dict[str, Any]:
    """Secure Boot and TPM, encrypted volumes, memory cleared on release, mandatory access control."""
    words = answers.text("/proc/cmdline").split()
    volumes = answers.files("/sys/block/").values()
    selinux = (answers.maybe("/sys/fs/selinux/enforce") or "").strip()
    apparmor = (answers.maybe("/sys/module/apparmor/parameters/enabled") or "").strip()
    return {
        "secure_boot": any(_on(answers, name) for name in answers.files(SECURE_BOOT)),
        "tpm": any(text.strip() == "2" for text in answers.files("/sys/class/tpm/").values()),
        "disks_encrypted": any(text.startswith("CRYPT-") for text in volumes),
        "memory_cleared": "init_on_free=1" in words,
        "confined": selinux == "1" or apparmor == "Y",
    }


def _on(answers: Answers, name: str) -> bool:
    """A firmware variable: four bytes of attributes, then one byte that is 1. What is shown of it has no such bytes."""
    return str(answers.data[name]["out"]).endswith("\x01")


def interfaces(answers: Answers) -> dict[str, Any]:
    """Interfaces that are up, and those that are wireless. A tunnel tells no state: it counts as up."""
    names = re.findall(r"^\s*([^\s:|]{1,15}):", answers.text("/proc/net/dev"), re.MULTILINE)
    if not names:
        raise ValueError("there is no interface")
    states = {
        _name(path): text.strip() for path, text in answers.files("/sys/class/net/").items() if "/operstate" in path
    }
    radios = {_name(path) for path in answers.files("/sys/class/net/") if "/phy80211/" in path}
    return {
        "up": sorted({showable(name) for name in names if states.get(name) in ("up", "unknown")}),
        "wireless": sorted(radios),
    }


def _name(path: str) -> str:
    return showable(path.split("/")[4])
