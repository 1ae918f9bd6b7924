"""A room: a folder that is a disk of limited size meanwhile, so that nothing restored can fill the machine.

Its disk is one file beside the folder, allocated at once: what fits when it is made fits later too. Mounted without
devices and without setuid, under a folder that only root may pass: nobody else on the machine sees what is in it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from egovctl.drill.borg import ScratchFull
from egovctl.drill.scratch.record import Note, below
from egovctl.errors import CannotMeasure, EgovError
from egovctl.i18n import both, told
from egovctl.lab.run import run

RESERVE = 256 << 20  # octets that stay free beside the room
SMALLEST = 16 << 20
IDS = 65536  # users of a box; those of the machine below 2^28 and those that systemd-nspawn picks are left alone
FIRST_BASE, BASES = 0x7000_0000, 0x800
PATIENCE = 10.0


@contextmanager
def room(folder: Path, octets: int) -> Iterator[Note]:
    """Make an existing empty folder a disk of that size while inside.

    Raises ScratchFull when there is less space, CannotMeasure when this machine cannot, or others could look inside.
    """
    folder = Path(os.path.realpath(folder))
    _require(folder, octets)
    base = (FIRST_BASE + secrets.randbelow(BASES) * IDS) & 0xFFFF_0000
    image = folder.with_name(f".{folder.name}.disk")
    note = Note(f"room-{secrets.token_hex(6)}", str(folder), base, image=str(image))
    note.write()
    try:
        _make(image, folder, octets, base)
        yield note
    finally:
        remove(note)


def _require(folder: Path, octets: int) -> None:
    if os.geteuid():
        raise CannotMeasure(told("演练容器需要 root 权限", "a scratch container needs root"))
    if not folder.is_dir() or any(folder.iterdir()) or below(folder):
        raise ValueError(f"{folder} is not an empty folder")
    if not any(_closed(parent) for parent in (folder, *folder.parents)):
        raise CannotMeasure(
            told(
                f"本机其他用户可以进入 {folder}：请把上级目录设为 0700",
                f"other users of this machine could reach {folder}: set a folder above it to mode 0700",
            )
        )
    free, needed = shutil.disk_usage(folder).free, max(octets, SMALLEST) + RESERVE
    if free < needed:
        wanted, there = needed >> 20, free >> 20
        raise ScratchFull(
            told(
                f"临时目录太小：需要 {wanted} MiB，可用 {there} MiB；请用 --scratch 另给一个目录",
                f"the scratch is too small: {wanted} MiB are needed, {there} MiB are free; use --scratch DIR",
            )
        )


def _closed(folder: Path) -> bool:
    status = folder.stat()
    return status.st_uid == 0 and not stat.S_IMODE(status.st_mode) & 0o077


def _make(image: Path, folder: Path, octets: int, base: int) -> None:
    size = max(octets, SMALLEST)
    try:
        descriptor = os.open(image, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
        # A disk for an hour needs no journal, no reserve for root and no inode tables written in advance.
        features = ["-O", "^has_journal", "-m", "0", "-E", "lazy_itable_init=1,nodiscard,root_owner=0:0"]
        run(["mkfs.ext4", "-q", "-F", *features, image])
        run(["mount", "-t", "ext4", "-o", "loop,nosuid,nodev,noatime,noinit_itable", image, folder])
        (folder / "lost+found").rmdir()
        os.chown(folder, base, base)
        folder.chmod(0o755)
    except (EgovError, OSError) as error:
        said = both(error)
        raise CannotMeasure(
            told(
                f"本机无法建立大小受限的演练目录：{said['zh']}",
                f"this machine cannot make a scratch of limited size: {said['en']}",
            )
        ) from None


def remove(note: Note) -> bool:
    """Take a room away, whatever is in it; whether it is gone. A second time does no harm."""
    folder, deadline = Path(note.folder), time.monotonic() + PATIENCE
    while os.path.ismount(folder):
        late = time.monotonic() > deadline
        run(["umount", *(["--lazy"] if late else []), folder], check=False)
        if os.path.ismount(folder):
            if time.monotonic() > deadline + PATIENCE:
                return False
            time.sleep(0.05)
    with suppress(FileNotFoundError):
        Path(note.image).unlink()
    note.remove()
    return True
