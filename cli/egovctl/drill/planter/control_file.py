"""PostgreSQL's control file as another major version would have written it: pgBackRest tells versions by it."""

from __future__ import annotations

import struct
from pathlib import Path

# Of versions whose control file has the same layout as 15's, and which pgBackRest 2.45 knows.
CATALOGUES = {13: 202007201, 14: 202107181}
CATALOGUE = 12  # its offset, after the system identifier and the layout's version
SUM = struct.Struct("<I")
LONGEST = 512  # octets that PostgreSQL uses at most, its checksum last


def crc32c(octets: bytes | bytearray) -> int:
    """The checksum that PostgreSQL uses (Castagnoli)."""
    value = 0xFFFFFFFF
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def relabel(path: Path, major: int) -> None:
    """Rewrite it in place; ValueError for what is no control file."""
    octets = bytearray(path.read_bytes())
    offset = next((one for one in range(64, LONGEST, 4) if SUM.unpack_from(octets, one)[0] == crc32c(octets[:one])), 0)
    if not offset:
        raise ValueError(f"{path}: no control file of PostgreSQL")
    SUM.pack_into(octets, CATALOGUE, CATALOGUES[major])
    SUM.pack_into(octets, offset, crc32c(octets[:offset]))
    path.write_bytes(octets)
