"""What can be wrong with a backup, a closed set: drills name causes, a calibration counts how often they are right."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Why a promise is not met, or why that could not be said. What stands in evidence never changes its name."""

    CONTENT_CHANGED = "content_changed"  # what came back is not what the manifest says was there
    FILES_MISSING = "files_missing"
    FILES_EXTRA = "files_extra"
    METADATA_CHANGED = "metadata_changed"  # owner, group or mode
    REPOSITORY_DAMAGED = "repository_damaged"  # segments, packs, index or catalogue cannot be read
    KEY_LOST = "key_lost"
    PASSPHRASE_WRONG = "passphrase_wrong"  # noqa: S105 - the name of a fault
    NO_BACKUP = "no_backup"
    STALE = "stale"  # older than the promised RPO
    TOO_SLOW = "too_slow"  # restored later than the promised RTO
    WRONG_SOURCE = "wrong_source"  # the backup of another host or service
    SOURCE_EMPTY = "source_empty"
    PATH_LEFT_OUT = "path_left_out"  # the plan names a path that the backup does not hold
    DUMP_CUT = "dump_cut"
    VERSION_MISMATCH = "version_mismatch"  # a dump or a cluster of another version than what would run it
    WAL_GAP = "wal_gap"  # a segment is missing, damaged, or of another timeline
    ROWS_LOST = "rows_lost"  # the database runs, and holds less than when it was backed up
    DATABASE_DAMAGED = "database_damaged"
    NOT_STARTED = "not_started"  # what was restored does not run
    CLOCK_WRONG = "clock_wrong"
    CHAIN_EXPIRED = "chain_expired"  # an incremental backup without what it builds on
    ENCRYPTED_SOURCE = "encrypted_source"  # the source's content became random: ransomware, perhaps
    MIXED_REPOSITORY = "mixed_repository"  # two hosts in one repository
    LOCKED = "locked"
    UNREACHABLE = "unreachable"
    NO_ROOM = "no_room"
    MANIFEST_LOST = "manifest_lost"  # nothing says what should have come back
    NOT_READY = "not_ready"  # control lacks what the drill needs: a program, a secret, a rendered file
    TOOL_FAILED = "tool_failed"  # a program of the drill was killed, or failed for reasons of its own


# What hinders a drill, or leaves it without an answer: the verdict is unknown. All else is a fault of the backup.
HINDRANCES = frozenset(
    {
        Cause.LOCKED,
        Cause.UNREACHABLE,
        Cause.NO_ROOM,
        Cause.MANIFEST_LOST,
        Cause.NOT_READY,
        Cause.TOOL_FAILED,
        Cause.CLOCK_WRONG,
    }
)
