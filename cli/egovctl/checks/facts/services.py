"""What runs on a host beside the system: certificates, consoles, databases."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from egovctl.checks.facts.answers import Answers, settings, showable

DAY = 86_400
ENDING_DAYS = 14
NO_ARCHIVE = ("", "/bin/true", "true", "/usr/bin/true", ":", "exit")


def certificates(answers: Answers) -> dict[str, Any]:
    """The days that each of the suite's certificates still holds; one that openssl cannot read holds no more."""
    found = {}
    for path in answers.data:
        ends = re.match(r"notAfter=(\w{3} +\d{1,2} \d\d:\d\d:\d\d \d{4}) GMT", _said(answers, path))
        at = datetime.strptime(ends[1], "%b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp() if ends else answers.at
        found[showable(path)] = (at - answers.at) / DAY
    return {"days": found, "ending": sorted(path for path, days in found.items() if days < ENDING_DAYS)}


def _said(answers: Answers, name: str) -> str:
    try:
        return answers.text(name)
    except ValueError:
        return ""


def consoles(answers: Answers) -> dict[str, Any]:
    """Units that give a shell at the console to somebody who was asked nothing."""
    found = set()
    for name, text in answers.files("/etc/systemd/").items():
        starts = re.findall(r"^ExecStart=(.{0,300})", text, re.MULTILINE)
        shells = [line for line in starts if line.strip() and "sulogin" not in line and "agetty" not in line]
        if (
            "SYSTEMD_SULOGIN_FORCE=1" in text
            or any("--autologin" in line or " -a " in line for line in starts)
            or shells
        ):
            found.add(showable(name))
    return {"unasked": sorted(found)}


def databases(answers: Answers) -> dict[str, Any]:
    """PostgreSQL: clusters whose logs for a restore in time go nowhere, and whose rules believe whoever connects."""
    kept: dict[str, dict[str, str]] = {}
    for name, text in answers.files("/etc/postgresql/").items():
        if not name.endswith("pg_hba.conf"):
            # conf.d comes after postgresql.conf: the order of Debian's include_dir at its end.
            kept.setdefault("/".join(name.split("/")[3:5]), {})[name] = text
    unarchived = set()
    for cluster, files in kept.items():
        texts = [files[name] for name in sorted(files, key=lambda name: ("/conf.d/" in name, name))]
        found = settings("\n".join(texts))
        command = found.get("archive_command", "").strip("'\" ")
        if found.get("archive_mode", "").strip("'") not in ("on", "always") or command.split(" ")[0] in NO_ARCHIVE:
            unarchived.add(showable(cluster))
    trusting = {
        showable(name)
        for name, text in answers.files("/etc/postgresql/").items()
        if name.endswith("pg_hba.conf") and text.strip()
    }
    return {"unarchived": sorted(unarchived), "trusting": sorted(trusting)}
