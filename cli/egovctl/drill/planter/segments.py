"""What stands where in a borg repository: the entries that an archive needs, by segment file and offset."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egovctl.drill.planter.world import World

MAGIC = 8  # octets before the first entry
HEADER = struct.Struct("<IIB")
PUT = 0
KEY = 32
MANIFEST = bytes(KEY)
IDENTIFIER = re.compile(r"\\u007f([0-9a-f]{64})(?![0-9a-f])")  # how borg's dump writes an object's key


@dataclass(frozen=True)
class Entry:
    """One object as stored: where it begins, and how long it is with its header."""

    segment: Path
    offset: int
    size: int
    key: bytes


def needed(world: World) -> list[Entry]:
    """The entries without which the newest archive of the world's service does not come back; the last of each key."""
    names = world.borg("list", "--short", str(world.repository)).decode().split()
    newest = [name for name in names if name.startswith(f"{world.service}-")][-1]
    world.borg("debug", "dump-archive", f"{world.repository}::{newest}", str(world.folder / "dump.json"))
    dump = (world.folder / "dump.json").read_text(errors="surrogateescape")
    (world.folder / "dump.json").unlink()
    keys = {bytes.fromhex(name) for name in IDENTIFIER.findall(dump)} | {MANIFEST}
    latest = {entry.key: entry for entry in entries(world.repository)}
    return [entry for key, entry in latest.items() if key in keys]


def entries(repository: Path) -> Iterator[Entry]:
    """All stored objects, in the order in which they were written."""
    for path in sorted((repository / "data").glob("*/*"), key=lambda item: int(item.name)):
        data, offset = path.read_bytes(), MAGIC
        while offset + HEADER.size <= len(data):
            _, size, tag = HEADER.unpack_from(data, offset)
            if tag == PUT:
                yield Entry(path, offset, size, data[offset + HEADER.size : offset + HEADER.size + KEY])
            offset += max(size, HEADER.size)
