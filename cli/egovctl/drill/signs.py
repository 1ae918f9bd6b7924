"""Signs that a backup is whole and yet wrong: its source was empty, left out, or encrypted by someone else.

What came back is compared with an older archive's manifest. All here is pure, but for the first bytes of files.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from egovctl.drill.borg import Archive
from egovctl.drill.causes import Cause
from egovctl.drill.compare import Manifest
from egovctl.drill.judging import Finding, finding

LOOK_BACK = timedelta(days=90)  # each set is drilled within it: whatever changed, one drill has both sides of it
HEAD = 65_536  # octets of a file that are looked at
SMALLEST = 512  # of fewer octets nobody can say whether they are random
LOOKED_AT = 64  # changed files that are read again
ASKED = 8  # of the files that are random now, how many are looked at as they were
TURNED_AT_LEAST = 3
TURNED_SHARE = 0.05  # of the older archive's files
# What compressed and sealed formats begin with: random to look at, and known by everyone who can open them.
KNOWN_HEADS = (
    b"PK", b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!", b"\xff\xd8\xff", b"\x89PNG",
    b"%PDF", b"GIF8", b"RIFF", b"OggS", b"ID3", b"LUKS", b"-----BEGIN", b"Salted__", b"\x04\x22\x4d\x18",
    b"age-encryption",
)  # fmt: skip
Entries = Mapping[str, Mapping[str, Any]]


def reference(archives: list[Archive], newest: Archive) -> Archive | None:
    """The archive to compare the newest with: the youngest that is 90 days older, else the oldest; None without any.

    `archives` are one service's, oldest first. An encryption that began since is seen, even when all archives
    of the last weeks hold it already.
    """
    older = [archive for archive in archives if archive.name != newest.name]
    if not older:
        return None
    try:
        limit = datetime.fromisoformat(newest.at) - LOOK_BACK
        return next((item for item in reversed(older) if datetime.fromisoformat(item.at) <= limit), older[0])
    except (ValueError, TypeError):
        return older[0]


def mixed_hosts(hosts: list[str]) -> Iterator[Finding]:
    """Hosts that write into one repository by turns. One that follows another for good only has a new name."""
    turns = [name for name, _ in groupby(hosts)]
    if len(turns) > len(set(turns)):
        names = ", ".join(sorted(set(turns)))
        yield finding(
            Cause.MIXED_REPOSITORY,
            f"多台主机轮流写入同一备份库：{names}",
            f"several hosts write into this repository by turns: {names}",
        )


def left_out(paths: Iterable[str], manifest: Manifest, archived: Entries, before: Manifest | None) -> Iterator[Finding]:
    """Paths of the plan that the host did not back up, or that hold nothing where they held something before."""
    for path in paths:
        if any(_under(path, name) for name in manifest.files):
            continue  # whether all of it came back is the comparison's business
        if not any(_under(path, name) for name in archived) and path not in manifest.paths:
            zh, en = f"备份中没有规划的路径 {path}", f"the backup does not hold {path}, which the plan names"
            yield finding(Cause.PATH_LEFT_OUT, zh, en)
        elif before and (had := sum(_under(path, name) for name in before.files)):
            zh = f"{path} 是空的，较早的备份中有 {had} 个文件"
            en = f"{path} is empty, where an older backup has {had} files"
            yield finding(Cause.SOURCE_EMPTY, zh, en)


def turned_random(
    root: Path, manifest: Manifest, before: Manifest | None, earlier: Callable[[list[str]], list[bytes]]
) -> Iterator[Finding]:
    """Many files that were readable before and are random now, in place or under a longer name: ransomware, perhaps.

    `earlier` gives the content of files as the older archive has them; it is asked for a few, and only when many are
    random now, since what always was random (sealed archives, say) is none of this.
    """
    if before is None:
        return
    old = {path: entry for path, entry in before.files.items() if "link" not in entry and entry["size"] >= SMALLEST}
    suspects = list(_changed(old, manifest))
    looked = suspects[:: max(1, len(suspects) // LOOKED_AT)]
    random = [path for path, now in looked if is_random(head(root / now.lstrip("/")))]
    estimate = len(random) * len(suspects) / max(1, len(looked))
    if estimate < max(TURNED_AT_LEAST, TURNED_SHARE * len(old)):
        return
    asked = random[:: max(1, len(random) // ASKED)][:ASKED]
    readable = sum(not is_random(text[:HEAD]) for text in earlier(asked))
    if 2 * readable > len(asked):
        zh = f"约 {estimate:.0f} 个文件的内容变成了随机数据，疑似被勒索软件加密，例如 {random[0]}"
        en = f"some {estimate:.0f} files became random data, as ransomware leaves them, such as {random[0]}"
        yield finding(Cause.ENCRYPTED_SOURCE, zh, en)


def _changed(old: Entries, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Files of the older manifest that are others now: the old path, and where that file seems to be now."""
    longer: dict[str, str] = {}
    for path in manifest.files:
        stem, dot, _ = path.rpartition(".")
        if dot and path not in old:
            longer[stem] = path
    for path, entry in old.items():
        now = manifest.files.get(path)
        if now is None and path in longer:
            yield path, longer[path]
        elif now is not None and "link" not in now and now["sha256"] != entry["sha256"]:
            yield path, path


def head(path: Path) -> bytes:
    """The first bytes of a file; none when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(HEAD)
    except OSError:
        return b""


def is_random(text: bytes) -> bool:
    """Whether these first bytes of a file are like random ones, and no known format's.

    Random bytes give a χ² around 255 (standard deviation 22.6) over the 256 values, whatever their number; text and
    records give thousands.
    """
    if len(text) < SMALLEST or text.startswith(KNOWN_HEADS):
        return False
    expected = len(text) / 256
    counts = Counter(text)
    chi_squared = sum((counts.get(value, 0) - expected) ** 2 for value in range(256)) / expected
    return chi_squared < 255 + 8 * math.sqrt(2 * 255)


def _under(path: str, name: str) -> bool:
    return name == path or name.startswith(path.rstrip("/") + "/")
