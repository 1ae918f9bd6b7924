"""What hosts said when they were last looked at, kept for a run with a maximum age.

One file a host, and no word of it counts by itself: the evidence has the hash of every answer, and what the file says
must be that. A file that is damaged, changed, of another program, or from the future is as none: the host is asked.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from egovctl.checks.collect.facts import Look, program
from egovctl.evidence import Chain
from egovctl.paths import Inventory

LOOKED = "assess.facts"


def folder_of(inventory: Inventory) -> Path:
    """Where the files are: private, since they say how hosts are set up."""
    return inventory.state / "looks"


def keep(inventory: Inventory, look: Look) -> None:
    """Keep a look that is on record. Without room there is none to go by: the next run asks."""
    folder = folder_of(inventory)
    target, beside = folder / f"{look.host}.json", folder / f".{look.host}.{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(vars(look), stream, ensure_ascii=False)
        beside.replace(target)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def kept(inventory: Inventory, chain: Chain, max_age: timedelta, now: datetime) -> tuple[dict[str, Look], list[str]]:
    """host → its last look, of those not older than `max_age`; and whose file is not what the evidence says."""
    last: dict[str, dict[str, Any]] = {}
    for record in chain.records():
        if record.kind == LOOKED:
            last[record.body["host"]] = record.body
    found, odd = {}, []
    for host, body in sorted(last.items()):
        if not timedelta(0) <= now - datetime.fromisoformat(str(body["observed_at"])) <= max_age:
            continue
        if body["program_sha256"] != hashlib.sha256(program().encode()).hexdigest():
            continue
        look = _read(folder_of(inventory) / f"{host}.json", {name: body[name] for name in body if name != "run"})
        if look is None:
            odd.append(host)
        else:
            found[host] = look
    return found, odd


def _read(path: Path, body: dict[str, Any]) -> Look | None:
    try:
        look = Look(**json.loads(path.read_text(encoding="utf-8")))
        return look if look.evidence() == body else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None
