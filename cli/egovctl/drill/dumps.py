"""Is a dump whole? PostgreSQL's in its custom format or plain, MariaDB's, packed or not; nothing is loaded.

The tools' own quick answers are no proof: `pg_restore -l` of a custom dump cut to 60 % exits 0, and so does psql with a
plain one. What counts: pg_restore that reads all of it, gzip that unpacks all of it, and the last line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from egovctl.drill.call import Deadline
from egovctl.drill.causes import Cause
from egovctl.drill.judging import Finding, finding
from egovctl.drill.scratch import Box, User

USER: User = "nobody"
PG_RESTORE = "/usr/lib/postgresql/{0}/bin/pg_restore"
# Its beginning, and its end if all of it could be read; $2 unpacks it, $3 is what is said when that did not work.
LOOK = '$2 "$1" 2>/dev/null | head -c 4096; echo; { $2 "$1" 2>/dev/null || echo "$3"; } | tail -c 1024'
BROKEN = "-- egov: not all of it could be unpacked"
COMPLETE = re.compile(r"^-- (?:PostgreSQL database dump complete|Dump completed\b.*)$", re.MULTILINE)
LINES_AFTER = re.compile(r"\s*(?:--\s*|\\unrestrict \S+\s*)*")  # what pg_dump writes behind its last word
VERSIONS = re.compile(r"^-- (?:Dumped from database version|Server version)\s+(\d+)(?:\.(\d+))?", re.MULTILINE)
NEWER_FORMAT = "unsupported version"


class Kind(StrEnum):
    """How a dump is written."""

    CUSTOM = "custom"
    PLAIN = "plain"
    PACKED = "packed"  # plain, and gzip


def looked_at(box: Box, dump: str, packed: bool, deadline: Deadline, user: User = USER) -> str:
    """The beginning and the end of a plain dump (a path inside); the end tells when not all could be unpacked."""
    reader = "gzip -dc" if packed else "cat"
    return box.run(["sh", "-c", LOOK, "sh", dump, reader, BROKEN], user=user, timeout=deadline.left).stdout.decode(
        "utf-8", "replace"
    )


def is_complete(text: str) -> bool:
    """Whether a text of `looked_at` ends as a whole dump does."""
    return any(LINES_AFTER.fullmatch(text, found.end()) for found in COMPLETE.finditer(text))


def version_of(text: str) -> tuple[int, int] | None:
    """Major and minor version of the server that a plain dump is of; None when it does not say so."""
    found = VERSIONS.search(text)
    return (int(found.group(1)), int(found.group(2) or 0)) if found else None


def check_dump(
    box: Box, dump: str, kind: Kind, ours: tuple[int, int], deadline: Deadline, user: User = USER
) -> Iterator[Finding]:
    """What keeps a dump (a path inside the box) from being loaded by a server of version `ours`; nothing when whole.

    Of PostgreSQL's versions only the major counts.
    """
    if kind is Kind.CUSTOM:
        argv = [PG_RESTORE.format(ours[0]), "-f", "/dev/null", dump]
        done = box.run(argv, user=user, timeout=deadline.left)
        said = done.stderr.decode("utf-8", "replace").strip()
        if NEWER_FORMAT in said:
            yield finding(Cause.VERSION_MISMATCH, f"转储的格式较新：{said}", f"the dump's format is newer: {said}")
        elif done.returncode == 127:
            sentence = (f"控制机没有 PostgreSQL {ours[0]}", f"there is no PostgreSQL {ours[0]} on control")
            yield finding(Cause.NOT_READY, *sentence)
        elif done.returncode != 0 or said:
            why = said.splitlines()[-1][:300] if said else f"exit code {done.returncode}"
            yield finding(Cause.DUMP_CUT, f"转储不完整：{why}", f"the dump is not whole: {why}")
        return
    text = looked_at(box, dump, kind is Kind.PACKED, deadline, user)
    if not is_complete(text):
        yield finding(Cause.DUMP_CUT, "转储不完整：结尾缺失", "the dump is not whole: its end is missing")
    theirs = version_of(text)
    wanted = theirs and (theirs[0], theirs[1] if theirs[0] == ours[0] and ours[1] else 0)
    if theirs and wanted and wanted > ours:
        shown, here = (".".join(map(str, one)) for one in (theirs, ours))
        yield finding(
            Cause.VERSION_MISMATCH,
            f"转储来自较新的版本 {shown}，控制机是 {here}",
            f"the dump is of a newer version, {shown}; control has {here}",
        )
