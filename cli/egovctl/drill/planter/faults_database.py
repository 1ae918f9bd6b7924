"""Faults of database backups: pgBackRest's repository and WAL, MariaDB's dumps, dumps alone."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from egovctl.drill.causes import Cause
from egovctl.drill.planter.bench import bench
from egovctl.drill.planter.databases import Spoilt
from egovctl.drill.planter.family import DUMPS, MARIADB, POSTGRESQL
from egovctl.drill.planter.kinds import Stage, kind

SEGMENT = re.compile(r"[0-9A-F]{24}-")


def newest(world: Spoilt[Any]) -> Path:
    """The folder of the newest backup."""
    folder = world.folder / "repository" / "backup" / world.case["stanza"]
    found: Path = max(
        (path for path in folder.iterdir() if path.is_dir() and re.match(r"\d{8}-", path.name)), key=_when
    )
    return found


def _when(path: Path) -> str:
    return path.name[-16:-1]


def _file(world: Spoilt[Any]) -> Path:
    """A file of the newest backup; the more octets, the more likely."""
    files = [path for path in sorted(newest(world).rglob("*")) if path.is_file() and "manifest" not in path.name]
    return world.rng.choices(files, [path.stat().st_size for path in files])[0]


def _segments(world: Spoilt[Any]) -> list[Path]:
    """The archived segments that are replayed after the newest backup, oldest first."""
    begun = _begun(world)
    whole = [path for path in bench().segments(world.folder / "repository") if SEGMENT.match(path.name)]
    return [path for path in whole if path.stat().st_mtime >= begun]


def _begun(world: Spoilt[Any]) -> float:
    """When the newest backup was whole, its own segments included."""
    return max(path.stat().st_mtime for path in newest(world).rglob("*") if path.is_file())


def _flip(world: Spoilt[Any], path: Path) -> dict[str, Any]:
    octets = bytearray(path.read_bytes())
    offset, bit = world.rng.randrange(len(octets)), world.rng.randrange(8)
    octets[offset] ^= 1 << bit
    path.write_bytes(octets)
    return {"file": path.name, "offset": offset, "bit": bit}


def _cut(world: Spoilt[Any], path: Path) -> dict[str, Any]:
    size = world.rng.randrange(path.stat().st_size)
    os.truncate(path, size)
    return {"file": path.name, "size": size}


@kind(
    "pg-bit-flip",
    "pgBackRest 备份文件翻转一个比特",
    "pgBackRest: one bit of a backup's file flipped",
    Stage.AFTER,
    Cause.REPOSITORY_DAMAGED,
    family=POSTGRESQL,
)
def pg_bit_flip(world: Spoilt[Any]) -> dict[str, Any]:
    return _flip(world, _file(world))


@kind(
    "pg-file-deleted",
    "pgBackRest 备份文件被删除",
    "pgBackRest: a backup's file deleted",
    Stage.AFTER,
    Cause.REPOSITORY_DAMAGED,
    family=POSTGRESQL,
)
def pg_file_deleted(world: Spoilt[Any]) -> dict[str, Any]:
    path = _file(world)
    path.unlink()
    return {"file": path.name}


@kind(
    "pg-file-cut",
    "pgBackRest 备份文件被截断",
    "pgBackRest: a backup's file cut",
    Stage.AFTER,
    Cause.REPOSITORY_DAMAGED,
    family=POSTGRESQL,
)
def pg_file_cut(world: Spoilt[Any]) -> dict[str, Any]:
    return _cut(world, _file(world))


@kind(
    "pg-catalogue-lost",
    "pgBackRest 目录丢失或损坏",
    "pgBackRest: its catalogue lost or damaged",
    Stage.AFTER,
    Cause.REPOSITORY_DAMAGED,
    family=POSTGRESQL,
)
def pg_catalogue_lost(world: Spoilt[Any]) -> dict[str, Any]:
    name, how = world.rng.choice(("backup", "archive")), world.rng.choice(("deleted", "cut"))
    folder = world.folder / "repository" / name / world.case["stanza"]
    for path in sorted(folder.glob(f"{name}.info*")):
        if how == "deleted":
            path.unlink()
        else:
            os.truncate(path, path.stat().st_size // 2)
    return {"which": name, "how": how}


@kind(
    "pg-manifest-lost",
    "pgBackRest 备份清单丢失",
    "pgBackRest: a backup's manifest lost",
    Stage.AFTER,
    Cause.REPOSITORY_DAMAGED,
    family=POSTGRESQL,
)
def pg_manifest_lost(world: Spoilt[Any]) -> dict[str, Any]:
    for path in newest(world).glob("backup.manifest*"):
        path.unlink()
    return {}


@kind(
    "pg-passphrase-wrong",
    "pgBackRest 口令错误",
    "pgBackRest: the wrong passphrase",
    Stage.AFTER,
    Cause.PASSPHRASE_WRONG,
    family=POSTGRESQL,
)
def pg_passphrase_wrong(world: Spoilt[Any]) -> dict[str, Any]:
    world.case["passphrase"] = world.rng.randbytes(12).hex()
    return {}


@kind(
    "pg-no-backup",
    "pgBackRest 没有备份",
    "pgBackRest: no backup of the stanza",
    Stage.AFTER,
    Cause.NO_BACKUP,
    family=POSTGRESQL,
)
def pg_no_backup(world: Spoilt[Any]) -> dict[str, Any]:
    for name in ("backup", "archive"):
        shutil.rmtree(world.folder / "repository" / name)
    return {}


@kind(
    "pg-backup-gone",
    "目录中的备份不存在",
    "pgBackRest: the newest backup's folder gone",
    Stage.AFTER,
    Cause.REPOSITORY_DAMAGED,
    family=POSTGRESQL,
)
def pg_backup_gone(world: Spoilt[Any]) -> dict[str, Any]:
    gone = newest(world)
    shutil.rmtree(gone)
    return {"backup": gone.name}


@kind("wal-deleted", "WAL 段丢失", "a WAL segment deleted", Stage.AFTER, Cause.WAL_GAP, family=POSTGRESQL)
def wal_deleted(world: Spoilt[Any]) -> dict[str, Any]:
    """Not the last one: without that, the archive merely ends earlier (`wal-end-deleted`)."""
    path = world.rng.choice(_segments(world)[:-1])
    path.unlink()
    return {"segment": path.name[:24]}


@kind("wal-cut", "WAL 段被截断", "a WAL segment cut", Stage.AFTER, Cause.WAL_GAP, family=POSTGRESQL)
def wal_cut(world: Spoilt[Any]) -> dict[str, Any]:
    return _cut(world, world.rng.choice(_segments(world)))


@kind(
    "wal-flipped",
    "WAL 段翻转一个比特",
    "one bit of a WAL segment flipped",
    Stage.AFTER,
    Cause.WAL_GAP,
    family=POSTGRESQL,
)
def wal_flipped(world: Spoilt[Any]) -> dict[str, Any]:
    return _flip(world, world.rng.choice(_segments(world)))


@kind(
    "wal-impostor",
    "WAL 段内容属于另一段或另一时间线",
    "a WAL segment with another's content, or of another timeline",
    Stage.AFTER,
    Cause.WAL_GAP,
    family=POSTGRESQL,
)
def wal_impostor(world: Spoilt[Any]) -> dict[str, Any]:
    path, other = world.rng.sample(_segments(world), 2)
    shutil.copyfile(other, path)
    return {"segment": path.name[:24], "content of": other.name[:24]}


@kind("db-dump-cut", "MariaDB 转储被截断", "MariaDB: the dump cut", Stage.BETWEEN, Cause.DUMP_CUT, family=MARIADB)
def db_dump_cut(world: Spoilt[Any]) -> dict[str, Any]:
    """As packed, or before it was packed; the manifest tells of the file as it is."""
    spool, packed = world.model, world.rng.random() < 0.5
    if packed:
        parameters = _cut(world, spool.dump)
    else:
        parameters = {"size": (size := world.rng.randrange(len(text := _unpacked(world)) - 100))}
        spool.dump.write_bytes(gzip.compress(text[:size]))
    spool.prove()
    return parameters | {"packed": packed}


@kind(
    "db-dump-flipped",
    "MariaDB 转储翻转一个比特",
    "MariaDB: one bit of the dump flipped",
    Stage.BETWEEN,
    Cause.CONTENT_CHANGED,
    family=MARIADB,
)
def db_dump_flipped(world: Spoilt[Any]) -> dict[str, Any]:
    return _flip(world, world.model.dump)


@kind(
    "db-dump-newer",
    "MariaDB 转储来自较新的版本",
    "MariaDB: the dump of a newer server",
    Stage.BETWEEN,
    Cause.VERSION_MISMATCH,
    family=MARIADB,
)
def db_dump_newer(world: Spoilt[Any]) -> dict[str, Any]:
    major = world.rng.randrange(11, 14)
    text = re.sub(rb"(?m)^(-- Server version\t)\d+", rb"\g<1>%d" % major, _unpacked(world))
    world.model.dump.write_bytes(gzip.compress(text))
    world.model.prove()
    return {"major": major}


@kind(
    "db-rows-lost",
    "MariaDB 转储缺少行",
    "MariaDB: rows missing in the dump",
    Stage.BETWEEN,
    Cause.ROWS_LOST,
    family=MARIADB,
)
def db_rows_lost(world: Spoilt[Any]) -> dict[str, Any]:
    """Of one table: the dump is whole, and holds less than the manifest tells."""
    table = world.rng.choice((b"visits", b"permits"))
    lost = 0

    def fewer(found: re.Match[bytes]) -> bytes:
        nonlocal lost
        rows = re.split(rb"\),\s*\(", found[2])
        kept = max(1, int(len(rows) * world.rng.uniform(0.1, 0.95)))
        lost += len(rows) - kept
        return found[1] + b"),(".join(rows[:kept]) + (b"" if kept == len(rows) else b");")

    text = re.sub(rb"(?ms)^(INSERT INTO `" + table + rb"` VALUES\s*)(.*?\);)$", fewer, _unpacked(world))
    if not lost:
        raise RuntimeError("the dump has no such rows")
    world.model.dump.write_bytes(gzip.compress(text))
    world.model.prove()
    return {"table": table.decode(), "rows": lost}


@kind(
    "db-wrong-host",
    "MariaDB 备份属于另一台主机",
    "MariaDB: the backup of another host",
    Stage.BETWEEN,
    Cause.WRONG_SOURCE,
    family=MARIADB,
)
def db_wrong_host(world: Spoilt[Any]) -> dict[str, Any]:
    path = world.model.proof / world.model.service / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "db-old"}))
    return {}


@kind(
    "db-dump-missing",
    "备份中没有 MariaDB 转储",
    "MariaDB: no dump in the archive",
    Stage.BETWEEN,
    Cause.SOURCE_EMPTY,
    family=MARIADB,
)
def db_dump_missing(world: Spoilt[Any]) -> dict[str, Any]:
    world.model.dump.unlink()
    return {}


def _unpacked(world: Spoilt[Any]) -> bytes:
    return gzip.decompress(world.model.dump.read_bytes())


def _dump_cut(world: Spoilt[Any], how: str) -> dict[str, Any]:
    """Anywhere but in the last few octets, which say nothing."""
    octets = world.model[how]
    size = world.rng.randrange(len(octets) - 100)
    return _dumped(world, how, octets[:size]) | {"size": size}


def _dumped(world: Spoilt[Any], how: str, octets: bytes) -> dict[str, Any]:
    Path(world.case["dump"]).write_bytes(octets)
    world.case["how"] = how
    return {"how": how}


@kind(
    "dump-custom-cut", "custom 格式转储被截断", "a dump in custom format cut", Stage.AFTER, Cause.DUMP_CUT, family=DUMPS
)
def dump_custom_cut(world: Spoilt[Any]) -> dict[str, Any]:
    return _dump_cut(world, "custom")


@kind("dump-plain-cut", "纯文本转储被截断", "a plain dump cut", Stage.AFTER, Cause.DUMP_CUT, family=DUMPS)
def dump_plain_cut(world: Spoilt[Any]) -> dict[str, Any]:
    return _dump_cut(world, "plain")


@kind("dump-gzip-cut", "gzip 转储被截断", "a gzip dump cut", Stage.AFTER, Cause.DUMP_CUT, family=DUMPS)
def dump_gzip_cut(world: Spoilt[Any]) -> dict[str, Any]:
    return _dump_cut(world, "packed")


@kind(
    "dump-newer", "转储来自较新的版本", "a dump of a newer version", Stage.AFTER, Cause.VERSION_MISMATCH, family=DUMPS
)
def dump_newer(world: Spoilt[Any]) -> dict[str, Any]:
    """The custom format's own version is in its sixth octet; a plain one tells the server's."""
    how = world.rng.choice(("custom", "plain", "packed"))
    octets, newer = world.model["custom"], world.rng.randrange(16, 30)
    if how == "custom":
        return _dumped(world, how, octets[:6] + bytes([99]) + octets[7:])
    text = re.sub(rb"(?m)^(-- Dumped from database version )\d+", rb"\g<1>%d" % newer, world.model["plain"])
    return _dumped(world, how, gzip.compress(text) if how == "packed" else text) | {"version": newer}
