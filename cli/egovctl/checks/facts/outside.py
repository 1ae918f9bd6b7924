"""Whom a host lets in or listens to beyond the plan: names, shares, packages without a signature."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import ip_address

from egovctl.checks.facts.answers import Answers, showable


def resolvers(text: str) -> set[str]:
    """The name servers whose addresses are nobody's own."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            with suppress(ValueError):
                address = ip_address(words[1].split("%")[0])
                found |= {str(address)} if address.is_global else set()
    return found


def exports(answers: Answers) -> set[str]:
    """Exported folders that anybody may mount, or where another host's root is root."""
    found = set()
    for text in answers.files("/etc/exports").values():
        for line in text.replace("\\\n", " ").splitlines():
            words = line.split("#", 1)[0].split()
            if any(word.startswith(("*", "(")) or "no_root_squash" in word for word in words[1:]):
                found.add(showable(words[0]))
    return found


def unsigned(answers: Answers) -> set[str]:
    """Settings of apt that take what nobody signed, and sources over the network that are trusted without a signature.
    A folder of the host itself is its root's."""
    told = re.findall(r"^ALLOW_(\w{1,40})='(?:true|yes|on|1)'$", answers.text("apt"), re.MULTILINE)
    found = {f"apt: Allow{word.capitalize()}" for word in told}
    for name, text in answers.files("/etc/apt/sources").items():
        for part in text.split("\n\n") if name.endswith(".sources") else text.splitlines():
            trusted = re.search(
                r"^trusted:\s*yes\b|^\s*deb\S*\s+\[[^\]]*\btrusted=yes\b", part, re.IGNORECASE | re.MULTILINE
            )
            address = re.search(r"\b(?:https?|ftp)://([\w.-]{1,100})", part)
            if trusted and address:
                found.add(f"{name}: {address[1]}")
    return found
