"""How each engine's backup is restored from a copy of its repository, as it came from the off-site node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from egovctl.drill.borg import Repository
from egovctl.drill.database import opener
from egovctl.drill.databases_of_plan import wanted_of
from egovctl.drill.judging import Promise
from egovctl.drill.model import Item, Target, Work
from egovctl.drill.pgbackrest import PgRepository
from egovctl.drill.phases import Timer
from egovctl.drill.restore_files import PROOF, restore_files
from egovctl.drill.restore_mariadb import restore_mariadb
from egovctl.drill.restore_postgresql import restore_postgresql
from egovctl.drill.restore_system import restore_system
from egovctl.secrets import Secrets

BORG = "borg"
ARCHIVE, BACKUP = "pgbackrest/archive", "pgbackrest/backup"
MOUNTED = "/srv"  # where a box has the copy of a pgBackRest repository
Restore = Callable[[Path, Path, Timer], Item]


@dataclass(frozen=True)
class Kept:
    """Where a service's backup is off-site, and how it is restored.

    `parts` of a generation must be there; `folders` are fetched, each under its name in the copy. `restore` takes the
    copy, an empty folder to restore below, and the timer with what was before.
    """

    parts: tuple[str, ...]
    folders: Mapping[str, str]
    restore: Restore


def in_borg(host: str, passphrase: str, restore: Callable[[Repository, Path, Timer], Item]) -> Kept:
    """What is in a host's borg repository."""

    def from_copy(copy: Path, folder: Path, timer: Timer) -> Item:
        # Nothing is remembered of it: an older state of what is known would be refused.
        return restore(Repository(str(copy / BORG), passphrase, folder / "base"), folder, timer)

    return Kept((f"{BORG}/{host}",), {f"{BORG}/{host}": BORG}, from_copy)


def files(work: Work, target: Target, promise: Promise) -> Kept:
    """Paths of a host."""
    backup = work.context.service(target.service).backup
    paths = backup.paths if backup else ()

    def restore(repository: Repository, folder: Path, timer: Timer) -> Item:
        return restore_files(repository, target, paths, promise, folder, work.progress, PROOF, timer)

    return in_borg(target.host, _borg_passphrase(work, target), restore)


def dump(work: Work, target: Target, promise: Promise) -> Kept:
    """A MariaDB database."""
    wanted, open_box = wanted_of(work.context, target), opener(work.context)

    def restore(repository: Repository, folder: Path, timer: Timer) -> Item:
        into = folder / "work"
        return restore_mariadb(
            repository, target, promise, into, work.progress, wanted=wanted, open_box=open_box, timer=timer
        )

    return in_borg(target.host, _borg_passphrase(work, target), restore)


def system(work: Work, target: Target, promise: Promise) -> Kept:
    """A whole system."""
    host = work.context.city.hosts[target.host]
    address = host.address_v4 if host.router else None

    def restore(repository: Repository, folder: Path, timer: Timer) -> Item:
        return restore_system(repository, target, promise, folder, work.progress, address, timer=timer)

    return in_borg(target.host, _borg_passphrase(work, target), restore)


def cluster(work: Work, target: Target, promise: Promise) -> Kept:
    """A PostgreSQL cluster: its stanza, which every box has beside it, reading only."""
    stanza, wanted = target.service, wanted_of(work.context, target)
    passphrase = Secrets(work.context.inventory).get(f"pgbackrest_cipher_{stanza}")
    opener(work.context)  # what it lacks is known before anything is fetched

    def restore(copy: Path, folder: Path, timer: Timer) -> Item:
        source = PgRepository(stanza, passphrase, MOUNTED, mounted=True)
        open_box, into = opener(work.context, {copy: MOUNTED}), folder / "work"
        return restore_postgresql(
            source, target, promise, into, work.progress, wanted=wanted, open_box=open_box, timer=timer
        )

    return of_stanza(stanza, restore)


def of_stanza(stanza: str, restore: Restore) -> Kept:
    """What is in a stanza; the copy is a repository with that one alone."""
    folders = {f"{part}/{stanza}": f"{part.partition('/')[2]}/{stanza}" for part in (ARCHIVE, BACKUP)}
    return Kept((ARCHIVE, BACKUP), folders, restore)


def _borg_passphrase(work: Work, target: Target) -> str:
    return Secrets(work.context.inventory).get(f"borg_passphrase_{target.host}")


ENGINES: dict[str, Callable[[Work, Target, Promise], Kept]] = {
    "borg": files,
    "mariadb": dump,
    "postgresql": cluster,
    "system": system,
}


def steps_of(engine: str) -> list[dict[str, str]]:
    """What would be done with the copy."""
    database = {
        "zh": "在隔离容器中启动真实的数据库，核对行数、内容和心跳",
        "en": "start the real server in a box, compare rows and hashes with the manifest, look at the heartbeat",
    }
    steps = {
        "borg": [
            {"zh": "从中恢复最近一次备份到临时目录", "en": "restore the latest backup from it into the scratch"},
            {
                "zh": "逐个文件与备份时的清单比对",
                "en": "compare every file with the manifest taken at backup time",
            },
        ],
        "mariadb": [{"zh": "从中取出最近一次转储", "en": "take the latest dump out of it"}, database],
        "postgresql": [
            {"zh": "从中恢复最近一次备份和 WAL", "en": "restore the latest backup and its WAL from it"},
            database,
        ],
        "system": [
            {"zh": "从中恢复整个系统", "en": "restore the whole system from it"},
            {
                "zh": "核对文件，在隔离容器中启动它并逐项询问",
                "en": "compare its files, boot it in a container without a network, and ask it",
            },
        ],
    }
    return steps[engine]
