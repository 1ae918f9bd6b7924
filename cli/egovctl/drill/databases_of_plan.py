"""Where the plan's databases are backed up: the methods that find a service's backup and restore from it."""

from __future__ import annotations

import time

from egovctl import transport
from egovctl.checks.context import Context
from egovctl.drill.applications import questions_to
from egovctl.drill.database import Wanted, opener
from egovctl.drill.files_of_plan import REPOSITORIES, backup_node, repository_of, targets_of
from egovctl.drill.judging import failed, promised
from egovctl.drill.model import Item, Target, Work
from egovctl.drill.pgbackrest import PgRepository
from egovctl.drill.phases import Timer
from egovctl.drill.restore_mariadb import restore_mariadb
from egovctl.drill.restore_postgresql import restore_postgresql
from egovctl.errors import EgovError
from egovctl.secrets import Secrets

PGBACKREST = "/srv/pgbackrest"
A_WHILE_AGO = 900.0  # seconds: by then the next heartbeat is certainly in the archive


class RestorePostgresql:
    """Restores a service's cluster to the end of its WAL; never touches the live host, only reads the repository."""

    engine = "postgresql"
    takes_moment = False

    def targets(self, context: Context, services: tuple[str, ...]) -> list[Target]:
        """Every service that PostgreSQL serves, or only `services`."""
        return targets_of(context, (self.engine,), services)

    def steps(self, context: Context, target: Target) -> list[dict[str, str]]:
        """What would be done."""
        where = f"{backup_node(context)}:{PGBACKREST}"
        return [
            {
                "zh": f"在 {where} 找到 {target} 的最近一次备份，核对 WAL 是否连续",
                "en": f"find the latest backup of {target} in {where}, and whether its WAL has a gap",
            },
            {"zh": "在隔离容器中恢复备份和 WAL", "en": "restore the backup and its WAL in a box of the scratch"},
            *_common_steps(context, target),
        ]

    def rehearse(self, work: Work, target: Target) -> Item:
        """Restore and judge one target."""
        return self._restore(work, target, None)

    def _restore(self, work: Work, target: Target, until: float | None) -> Item:
        promise = promised(work, target)
        try:
            source = pg_repository_of(work.context, target.service)
            wanted = wanted_of(work.context, target, until)
            open_box = opener(work.context)
        except EgovError as error:
            return failed(target, promise, Timer(), error)
        folder = work.folder / f"{target.service}-{target.host}"
        return restore_postgresql(source, target, promise, folder, work.progress, wanted=wanted, open_box=open_box)


class RestorePointInTime(RestorePostgresql):
    """Restores a service's cluster to a moment: the one that was asked for, else a quarter of an hour ago."""

    takes_moment = True

    def steps(self, context: Context, target: Target) -> list[dict[str, str]]:
        """What would be done."""
        find, restore, *others = super().steps(context, target)
        stop = {"zh": "恢复到指定时刻为止", "en": "let recovery stop at the moment that was asked for"}
        return [find, restore, stop, *others]

    def rehearse(self, work: Work, target: Target) -> Item:
        """Restore and judge one target."""
        return self._restore(work, target, time.time() - A_WHILE_AGO if work.moment is None else work.moment)


class RestoreMariadb:
    """Loads a service's latest dump into a server of the drill's own; never touches the live host."""

    engine = "mariadb"

    def targets(self, context: Context, services: tuple[str, ...]) -> list[Target]:
        """Every service that MariaDB serves on each of its hosts, or only `services`."""
        return targets_of(context, (self.engine,), services)

    def steps(self, context: Context, target: Target) -> list[dict[str, str]]:
        """What would be done."""
        where = f"{backup_node(context)}:{REPOSITORIES}/{target.host}"
        return [
            {
                "zh": f"在 {where} 找到 {target} 的最近一次转储",
                "en": f"find the latest dump of {target} in {where}",
            },
            {
                "zh": "核对转储完整、版本合适，在隔离容器中加载",
                "en": "see that it is whole and of a fitting version, and load it in a box of the scratch",
            },
            *_common_steps(context, target),
        ]

    def rehearse(self, work: Work, target: Target) -> Item:
        """Restore and judge one target."""
        promise = promised(work, target)
        try:
            repository = repository_of(work.context, target.host)
            wanted = wanted_of(work.context, target)
            open_box = opener(work.context)
        except EgovError as error:
            return failed(target, promise, Timer(), error)
        folder = work.folder / f"{target.service}-{target.host}"
        return restore_mariadb(repository, target, promise, folder, work.progress, wanted=wanted, open_box=open_box)


def pg_repository_of(context: Context, service: str) -> PgRepository:
    """The pgBackRest repository, reached with control's key that may only read; CannotMeasure without a secret."""
    passphrase = Secrets(context.inventory).get(f"pgbackrest_cipher_{service}")
    if not context.inventory.ssh_config.is_file():
        raise transport.not_rendered(context.inventory, context.inventory.ssh_config)
    ssh = ("ssh", *transport.ssh_options(context.inventory), f"{backup_node(context)}-pgbackrest", "--")
    return PgRepository(service, passphrase, PGBACKREST, ssh)


def wanted_of(context: Context, target: Target, until: float | None = None) -> Wanted:
    """The database of a service, and what its users ask it."""
    backup = context.service(target.service).backup
    database = (backup.database if backup else None) or target.service
    return Wanted(database, questions_to(context, target.service), until)


def _common_steps(context: Context, target: Target) -> list[dict[str, str]]:
    service = context.service(target.service)
    asked = len(questions_to(context, target.service))
    return [
        {
            "zh": "启动真实的数据库（不归档、不连外网），等到可读写",
            "en": "start the real server (no archiving, no way out) and wait until it can be read and written",
        },
        {
            "zh": f"核对行数、内容、心跳，并提出 {asked} 个应用问题",
            "en": f"compare rows and hashes with the manifest, look at the heartbeat, ask {asked} questions",
        },
        {
            "zh": f"与承诺比较：RTO {service.rto} 秒，RPO {service.rpo} 秒",
            "en": f"compare with the promise: RTO {service.rto} s, RPO {service.rpo} s",
        },
        {"zh": "停止数据库，删除临时目录", "en": "stop the server, remove the scratch"},
    ]
