"""Worlds of databases: real PostgreSQL with pgBackRest, real MariaDB with its dumps in borg, and dumps alone.

Making one takes seconds, so a few are made and every case spoils a copy.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Generic, TypeVar

from egovctl.drill.planter.bench import bench
from egovctl.drill.planter.family import Made
from egovctl.drill.planter.kinds import Kind

MODELS = 5
SERVICE, HOST = "register", "db"
T = TypeVar("T")


@dataclass
class Spoilt(Generic[T]):
    """A copy of a model, to spoil, and what a drill will be told of it."""

    rng: Random
    folder: Path
    model: T
    case: dict[str, Any]


class Models(Generic[T]):
    """A few models, made when they are first wanted, below a path short enough for a unix socket."""

    def __init__(self, build: Callable[[Random, Path], T]) -> None:
        self._build, self._made = build, dict[int, T]()
        self._short: Path | None = None

    def one(self, rng: Random, folder: Path) -> T:
        """Any of them; they lie in a folder beside this one."""
        if self._short is None:
            real = folder.parent / f"models-{id(self)}"
            real.mkdir(mode=0o700)
            self._short = Path(tempfile.mkdtemp(prefix="egov-")) / "m"
            self._short.symlink_to(real)
        number = rng.randrange(MODELS)
        if number not in self._made:
            self._made[number] = self._build(Random(f"model {number}"), self._short / str(number))
        return self._made[number]

    def close(self) -> None:
        if self._short is not None:
            shutil.rmtree(self._short.parent, ignore_errors=True)


def postgresql_model(rng: Random, folder: Path) -> Any:
    """A register with full and perhaps differential backups, WAL after them, perhaps a second timeline; stopped."""
    cluster = bench().Cluster(folder)
    cluster.make(rng.randrange(100, 1500))
    try:
        cluster.heartbeat(age=rng.uniform(700, 1500))
        cluster.backup("full")
        for _ in range(rng.randrange(3)):
            _work(rng, cluster)
            cluster.manifest()
            cluster.heartbeat(age=rng.uniform(300, 600))
            cluster.backup("diff")
        cluster.manifest()
        for _ in range(rng.randrange(4, 8)):
            _work(rng, cluster)
            cluster.heartbeat()
            cluster.switch()
        if rng.random() < 0.4:
            cluster.promote()
            for _ in range(rng.randrange(2, 4)):
                _work(rng, cluster)
                cluster.heartbeat()
                cluster.switch()
    finally:
        cluster.kill()
    return cluster


def _work(rng: Random, cluster: Any) -> None:
    count, mark = rng.randrange(10, 200), rng.randrange(10**9)
    cluster.sql(
        f"INSERT INTO register.visits SELECT now(), md5(n::text) FROM generate_series({mark}, {mark + count}) n"
    )


def mariadb_model(rng: Random, folder: Path) -> Any:
    """A dump of a register by the role's own tool, and an empty borg repository."""
    database = bench().MariaDb(folder / "server")
    database.make(rng.randrange(100, 1500))
    try:
        spool = bench().Spool(folder / "spool")
        spool.make(database)
    finally:
        database.stop()
    return spool


def dump_model(rng: Random, folder: Path) -> dict[str, bytes]:
    """One database dumped in each of the three ways."""
    cluster = bench().Cluster(folder, settings={"archive_mode": "off"})
    cluster.initialise()
    with cluster.running():
        cluster.sql("CREATE DATABASE register", database="postgres")
        cluster.sql(bench().REGISTER.format(rows=rng.randrange(100, 3000)))
        argv = [bench().POSTGRESQL / "pg_dump", "-h", cluster.folder, "-U", "postgres", "-d", "register"]
        plain = bench().call(argv)
        return {"custom": bench().call([*argv, "-Fc"]), "plain": plain, "packed": gzip.compress(plain)}


class Postgresql:
    """The family of pgBackRest repositories."""

    def __init__(self) -> None:
        self.models = Models(postgresql_model)

    def make(self, rng: Random, folder: Path, kind: Kind | None) -> Made:
        folder.mkdir(mode=0o700)
        model = self.models.one(rng, folder)
        source = model.source()
        case = _case(rng, folder, "restore-postgresql") | {
            "repository": str(folder / "repository"),
            "stanza": source.stanza,
            "passphrase": source.passphrase,
            "program": list(source.program),
        }
        copy = Spoilt(rng, folder, model, case)
        bench().copied(model.repository, folder / "repository")
        parameters = kind.plant(copy) if kind else {}
        return Made(parameters, [], case)

    def close(self) -> None:
        self.models.close()


class Mariadb:
    """The family of dumps in borg repositories."""

    def __init__(self) -> None:
        self.models = Models(mariadb_model)

    def make(self, rng: Random, folder: Path, kind: Kind | None) -> Made:
        folder.mkdir(mode=0o700)
        spool = self.models.one(rng, folder).copied_to(folder / "spool")
        spool.prove()
        case = _case(rng, folder, "restore-mariadb") | {
            "location": str(folder / "spool" / "borg"),
            "passphrase": spool.passphrase,
            "base": str(folder / "of-control"),
            "proof": str(spool.proof),
        }
        parameters = kind.plant(Spoilt(rng, folder, spool, case)) if kind else {}
        spool.archive()
        return Made(parameters, [], case)

    def close(self) -> None:
        self.models.close()


class Dumps:
    """The family of dumps alone."""

    def __init__(self) -> None:
        self.models = Models(dump_model)

    def make(self, rng: Random, folder: Path, kind: Kind | None) -> Made:
        folder.mkdir(mode=0o700)
        dumps = self.models.one(rng, folder)
        how = rng.choice(sorted(dumps))
        case = _case(rng, folder, "check-dump") | {"dump": str(folder / "dump"), "how": how}
        (folder / "dump").write_bytes(dumps[how])
        parameters = kind.plant(Spoilt(rng, folder, dumps, case)) if kind else {}
        return Made(parameters, [], case)

    def close(self) -> None:
        self.models.close()


def _case(rng: Random, folder: Path, method: str) -> dict[str, Any]:
    (folder / "scratch").mkdir(mode=0o700)
    return {
        "method": method,
        "service": SERVICE,
        "host": HOST,
        "database": "register",
        "rto": rng.choice((120, 300)),
        "rpo": rng.choice((14_400, 86_400)),
        "tools": str(bench().TOOLS),
        "scratch": str(folder / "scratch"),
    }
