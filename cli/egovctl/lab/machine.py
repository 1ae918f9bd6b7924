"""What the labs change on the machine itself, counted: the first lab changes it, the last one puts it back."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from egovctl.lab.names import DISKS, NETNS, RUN, LabNames
from egovctl.lab.run import run
from egovctl.lab.state import locked, write_json

INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_WANTED = 4096  # a guest needs 7; the kernel's 128 is enough for 18 guests
NSPAWN_RUN = Path("/run/systemd/nspawn")  # each guest has its own mounted there, see files/guest.sh
RECORD = RUN / ".machine.json"
LOCK = RUN / ".machine.lock"


def claim(names: LabNames) -> None:
    """Note that this lab is there, then raise the inotify limit. The old value is on record before it changes."""
    with locked(LOCK):
        record = _read() or _original()
        record["labs"] = sorted({*record["labs"], names.inventory})
        write_json(RECORD, record)
        if int(INOTIFY.read_text()) < INOTIFY_WANTED:
            INOTIFY.write_text(str(INOTIFY_WANTED))
        NSPAWN_RUN.mkdir(parents=True, exist_ok=True)


def release(names: LabNames) -> None:
    """Note that this lab is gone. After the last one: limit and /run/netns as they were before."""
    with locked(LOCK):
        record = _read()
        if record is None:
            return
        record["labs"] = [name for name in record["labs"] if name != names.inventory]
        write_json(RECORD, record)
        if record["labs"]:
            return
        if int(INOTIFY.read_text()) == INOTIFY_WANTED:  # else somebody else has set it since
            INOTIFY.write_text(str(record["inotify"]))
        _restore_netns_folder(record)
        if not record.get("nspawn_folder", True):
            with contextlib.suppress(OSError):
                NSPAWN_RUN.rmdir()
        RECORD.unlink()


def tidy() -> None:
    """Remove the folders that the last lab left empty; call it holding no lock."""
    for folder in (DISKS, RUN):
        with contextlib.suppress(OSError):
            folder.rmdir()


def labs() -> set[str]:
    """Inventories whose labs are, or may be, there."""
    record = _read()
    return set(record["labs"]) if record else set()


def _read() -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record


def _original() -> dict[str, Any]:
    return {
        "labs": [],
        "inotify": int(INOTIFY.read_text()),
        "nspawn_folder": NSPAWN_RUN.is_dir(),
        "netns_folder": NETNS.is_dir(),
        "netns_mounted": _is_mounted(NETNS),
    }


def _is_mounted(path: Path) -> bool:
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return any(line.split()[4] == str(path) for line in mounts)


def _restore_netns_folder(record: dict[str, Any]) -> None:
    """`ip netns add` mounts /run/netns on itself: undo that, if nobody else has a namespace there by now."""
    if not NETNS.is_dir() or any(NETNS.iterdir()):
        return
    if not record["netns_mounted"] and _is_mounted(NETNS):
        run(["umount", NETNS], check=False)
    if not record["netns_folder"]:
        with contextlib.suppress(OSError):
            NETNS.rmdir()
