"""Faults of a database that is backed up: a cluster goes on, or another one is made, and its repository is drilled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from egovctl.drill.causes import Cause
from egovctl.drill.planter.bench import bench
from egovctl.drill.planter.control_file import CATALOGUES, relabel
from egovctl.drill.planter.databases import Spoilt
from egovctl.drill.planter.family import POSTGRESQL
from egovctl.drill.planter.faults_database import newest
from egovctl.drill.planter.kinds import UNKNOWN, Stage, kind


@kind(
    "pg-chain-expired",
    "增量备份的基础已过期",
    "a differential backup whose full one has expired",
    Stage.AFTER,
    Cause.CHAIN_EXPIRED,
    family=POSTGRESQL,
)
def pg_chain_expired(world: Spoilt[Any]) -> dict[str, Any]:
    """Of a copy of the cluster that has a differential backup."""

    def back_up(cluster: Any) -> None:
        for how in ("full", "diff"):
            cluster.backup(how)
            _row(cluster)

    _with_cluster(world, back_up)
    last = newest(world)
    full = last.parent / last.name.partition("_")[0]
    shutil.rmtree(full)
    return {"full": full.name, "newest": last.name}


@kind(
    "pg-rows-lost",
    "数据库在备份后丢失了行",
    "rows lost in the database",
    Stage.AFTER,
    Cause.ROWS_LOST,
    family=POSTGRESQL,
)
def pg_rows_lost(world: Spoilt[Any]) -> dict[str, Any]:
    table, share = world.rng.choice(("permits", "visits")), world.rng.uniform(0.05, 0.9)
    order = "id" if table == "permits" else "ctid"

    def lose(cluster: Any) -> None:
        cluster.manifest()  # what came since the last one is nobody's promise
        count = int(cluster.sql(f"SELECT ceil(count(*) * {share}) FROM register.{table}"))
        rows = f"SELECT {order} FROM register.{table} LIMIT {count}"
        cluster.sql(f"DELETE FROM register.{table} WHERE {order} = ANY (ARRAY({rows}))")
        _row(cluster)

    _with_cluster(world, lose)
    return {"table": table, "share": round(share, 2)}


@kind(
    "pg-clock-wrong",
    "数据库主机时钟错误",
    "the database host's clock is wrong",
    Stage.AFTER,
    Cause.CLOCK_WRONG,
    verdict=UNKNOWN,
    family=POSTGRESQL,
)
def pg_clock_wrong(world: Spoilt[Any]) -> dict[str, Any]:
    wrong = world.rng.choice((-1, 1)) * world.rng.uniform(3600, 86_400)

    def shift(cluster: Any) -> None:
        cluster.heartbeat()
        cluster.sql(f"UPDATE egov_heartbeat SET at = at + interval '{wrong} seconds'")
        cluster.switch()

    _with_cluster(world, shift)
    return {"seconds": round(wrong)}


@kind(
    "pg-version-wrong",
    "备份属于 PostgreSQL 的另一个大版本",
    "another major version of PostgreSQL",
    Stage.AFTER,
    Cause.VERSION_MISMATCH,
    family=POSTGRESQL,
)
def pg_version_wrong(world: Spoilt[Any]) -> dict[str, Any]:
    """Of another version when it was backed up, or upgraded since and not backed up again."""
    if world.rng.random() < 0.5:
        major = world.rng.choice((11, 12, 13, 14, 16, 17))

        def back_up(cluster: Any) -> None:
            (cluster.data / "PG_VERSION").write_text(f"{major}\n")
            cluster.backup("full")
            _row(cluster)

        _with_cluster(world, back_up)
        return {"how": "backed up so", "major": major}
    major = world.rng.choice(sorted(CATALOGUES))
    with _copied(world) as cluster:
        relabel(cluster.data / "global" / "pg_control", major)
        cluster.pgbackrest("stanza-upgrade", "--no-online")
    return {"how": "upgraded since", "major": major}


@kind(
    "pg-stale",
    "数据库备份与 WAL 早已停止",
    "backups of the database and its WAL stopped long ago",
    Stage.AFTER,
    Cause.STALE,
    family=POSTGRESQL,
)
def pg_stale(world: Spoilt[Any]) -> dict[str, Any]:
    seconds = int(world.case["rpo"] * world.rng.uniform(1.1, 20))
    with _elsewhere(world) as cluster:
        _long_ago(world, cluster, seconds)
    return {"seconds": seconds}


@kind(
    "wal-end-deleted",
    "最后的 WAL 段丢失，RPO 因此不能兑现",
    "the last WAL segments deleted, and the RPO broken by it",
    Stage.AFTER,
    Cause.STALE,
    family=POSTGRESQL,
)
def wal_end_deleted(world: Spoilt[Any]) -> dict[str, Any]:
    """All that was archived within the RPO: one segment, or a few."""
    seconds, lost = int(world.case["rpo"] * world.rng.uniform(1.1, 3)), world.rng.randrange(1, 4)
    with _elsewhere(world) as cluster:
        _long_ago(world, cluster, seconds)
        before = set(bench().segments(cluster.repository))
        with cluster.running():
            for _ in range(lost):
                _row(cluster)
        gone = [path for path in bench().segments(cluster.repository) if path not in before]
        for path in gone:
            path.unlink()
    return {"seconds": seconds, "segments": [path.name[:24] for path in gone]}


def _long_ago(world: Spoilt[Any], cluster: Any, seconds: int) -> None:
    """A register with a full and perhaps a differential backup, and WAL after them, all of it so long ago."""
    cluster.initialise()
    with cluster.running(ago=seconds):
        cluster.load(world.rng.randrange(100, 1000))
        cluster.heartbeat()
        for how in ("full", "diff")[: world.rng.randrange(1, 3)]:
            cluster.backup(how)
            cluster.manifest()
            _row(cluster)
        for _ in range(world.rng.randrange(3)):
            _row(cluster)


def _with_cluster(world: Spoilt[Any], do: Any) -> None:
    """Go on with a running copy of the model's cluster; its repository is the one that is drilled."""
    with _copied(world) as cluster, cluster.running():
        do(cluster)


@contextmanager
def _copied(world: Spoilt[Any]) -> Iterator[Any]:
    """A copy of the model's cluster, stopped; its repository is the one that is drilled."""
    with _place(world) as folder:
        yield (cluster := world.model.copied_to(folder))
        _drilled(world, cluster)


@contextmanager
def _elsewhere(world: Spoilt[Any]) -> Iterator[Any]:
    """A cluster of its own, not made yet; its repository is the one that is drilled."""
    with _place(world) as folder:
        yield (cluster := bench().Cluster(folder, world.case["stanza"], world.case["passphrase"]))
        _drilled(world, cluster)


@contextmanager
def _place(world: Spoilt[Any]) -> Iterator[Path]:
    """A path short enough for a unix socket; nothing is left below it."""
    short = world.model.folder.parent / f"case-{world.folder.name}"
    try:
        yield short
    finally:
        shutil.rmtree(short, ignore_errors=True)


def _drilled(world: Spoilt[Any], cluster: Any) -> None:
    shutil.rmtree(world.folder / "repository")
    shutil.copytree(cluster.repository, world.folder / "repository", symlinks=True)


def _row(cluster: Any) -> None:
    cluster.heartbeat()
    cluster.switch()
