"""Files as offices have them, from a seed: texts, tables, archives, sealed containers, odd names."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable
from random import Random

WORDS = (
    "通知",
    "公告",
    "会议",
    "纪要",
    "预算",
    "统计",
    "报告",
    "批复",
    "函",
    "请示",
    "意见",
    "办法",
    "town",
    "county",
    "office",
    "water",
    "school",
    "road",
)
LARGEST = 2 << 20


def text(rng: Random, size: int) -> bytes:
    """A document."""
    line = " ".join(rng.choices(WORDS, k=12)) + "\n"
    lines = [f"{rng.randrange(10**6)} {line}" for _ in range(max(1, size // len(line.encode())))]
    return "".join(lines).encode()[:size]


def table(rng: Random, size: int) -> bytes:
    """Records, one a line."""
    rows = [
        json.dumps({"id": rng.randrange(10**9), "n": rng.random(), "w": rng.choice(WORDS)}) for _ in range(size // 60)
    ]
    return "\n".join(rows).encode()


def gzipped(rng: Random, size: int) -> bytes:
    """A rotated log."""
    return gzip.compress(text(rng, size * 3), mtime=0)


def zipped(rng: Random, size: int) -> bytes:
    """An office document."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", text(rng, size * 3))
    return made.getvalue()


def binary(rng: Random, size: int) -> bytes:
    """A data file of a program: numbers, and holes."""
    block = b"".join(rng.randrange(10**6).to_bytes(8, "little") for _ in range(64))
    return (block + bytes(512)) * (size // 1024 + 1)


def sealed(rng: Random, size: int) -> bytes:
    """What was encrypted by its owner, without any known beginning."""
    return rng.randbytes(size)


MAKERS: dict[str, Callable[[Random, int], bytes]] = {
    "txt": text,
    "csv": table,
    "log.gz": gzipped,
    "docx": zipped,
    "dat": binary,
    "sealed": sealed,
}
READABLE = ("txt", "csv", "dat", "docx")
SHARES = {"txt": 40, "csv": 20, "log.gz": 8, "docx": 18, "dat": 10, "sealed": 4}


def size_of(rng: Random) -> int:
    """Octets: many small ones, a few large ones, some empty."""
    return 0 if rng.random() < 0.03 else min(LARGEST, int(rng.lognormvariate(8.5, 1.7)))


def name_of(rng: Random, number: int, kind: str) -> bytes:
    """A file's name; some are odd, and some are in an encoding of long ago."""
    stem = rng.choice(WORDS)
    odd = rng.random()
    if odd < 0.04:
        return stem.encode("gb18030") + f"{number}.{kind}".encode()
    if odd < 0.06:
        return f"-{stem}\n{number} *.{kind}".encode()
    return os.fsencode(f"{stem}{' ' if odd < 0.2 else '-'}{number}.{kind}")
