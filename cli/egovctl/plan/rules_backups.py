"""What must hold of the backups of a plan: each engine has what it needs and no more, and can keep the promised RPO."""

from __future__ import annotations

from collections.abc import Iterator

from egovctl.i18n import tr
from egovctl.plan.models import Engine, Plan, Service
from egovctl.plan.names import HOST_WORDS
from egovctl.plan.source import KeyPath

HEARTBEAT_SECONDS = 300  # how often a database is told the time, and so how exactly a restore knows its age
ARCHIVE_SECONDS = (60, 300)  # a WAL segment is closed after that long at the least, and at the most
# Twice, so that one push may fail.
SHORTEST_RPO = 2 * (HEARTBEAT_SECONDS + ARCHIVE_SECONDS[0])
NEEDS: dict[Engine, str] = {"borg": "paths", "postgresql": "database", "mariadb": "database", "system": ""}
# They are the server's own; a dump or a heartbeat in them would be nobody's service.
RESERVED: dict[Engine, tuple[str, ...]] = {
    "postgresql": ("postgres", "template0", "template1"),
    "mariadb": ("mysql", "sys", "test"),
}


def archive_timeout(rpo: int) -> int:
    """Seconds after which PostgreSQL closes a WAL segment, so that heartbeat and push fit twice into the RPO."""
    shortest, longest = ARCHIVE_SECONDS
    return max(shortest, min(longest, rpo // 2 - HEARTBEAT_SECONDS))


def backups_possible(plan: Plan) -> Iterator[tuple[KeyPath, str]]:
    """(key path in services.yml, sentence) for each fault. Takes the plan as written, before expand_hosts."""
    clusters: dict[str, str] = {}
    databases: dict[tuple[str, str], str] = {}
    for i, service in enumerate(plan.services):
        if service.backup is None:
            continue
        where: KeyPath = ("services", i)
        yield from _fields(service, (*where, "backup"))
        if service.backup.engine == "postgresql":
            yield from _one_cluster(service, where, clusters)
        for host in service.hosts if service.backup.engine == "mariadb" else ():
            key = (host, service.backup.database or "")
            if (first := databases.setdefault(key, service.name)) != service.name:
                yield (
                    (*where, "backup", "database"),
                    tr(
                        f"服务 {service.name} 与 {first} 在 {host} 上用同一个数据库 {key[1]}；请各用一个",
                        f"services {service.name} and {first} have the same database {key[1]} on {host}; give each "
                        "its own",
                    ),
                )


def _fields(service: Service, where: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Whether the backup has what its engine needs, and nothing else."""
    backup = service.backup
    if backup is None:
        return
    name, engine, needed = service.name, backup.engine, NEEDS[backup.engine]
    for field, given in (("paths", bool(backup.paths)), ("database", backup.database is not None)):
        if given and field != needed:
            yield (
                (*where, field),
                tr(
                    f"服务 {name} 的备份引擎是 {engine}，不用 {field}；请去掉",
                    f"service {name} is backed up by {engine}, which takes no {field}; take it out",
                ),
            )
        if field == needed and not given:
            yield (
                where,
                tr(
                    f"服务 {name} 的备份引擎是 {engine}，需要 {field}；请补上",
                    f"service {name} is backed up by {engine}, which needs {field}; add it",
                ),
            )
    if backup.database in RESERVED.get(engine, ()):
        yield (
            (*where, "database"),
            tr(
                f"服务 {name} 的数据库不能叫 {backup.database}：那是 {engine} 自己的；请另起名",
                f"the database of service {name} cannot be {backup.database}, which is {engine}'s own; name another",
            ),
        )


def _one_cluster(service: Service, where: KeyPath, clusters: dict[str, str]) -> Iterator[tuple[KeyPath, str]]:
    """PostgreSQL is backed up as a whole cluster under the service's name: one host, and one such service there."""
    name, (host, *others) = service.name, service.hosts
    if others or host in HOST_WORDS:
        yield (
            (*where, "hosts"),
            tr(
                f"服务 {name} 的备份引擎是 postgresql，只能有一台主机；请只写一台",
                f"service {name} is backed up by postgresql, which takes one host; name one",
            ),
        )
        return
    if (first := clusters.setdefault(host, name)) != name:
        yield (
            (*where, "hosts", 0),
            tr(
                f"服务 {name} 与 {first} 的 PostgreSQL 都在 {host}；请换一台主机",
                f"services {name} and {first} both have their PostgreSQL on {host}; use another host",
            ),
        )
    if service.rpo < SHORTEST_RPO:
        yield (
            (*where, "rpo"),
            tr(
                f"服务 {name} 承诺 RPO {service.rpo} 秒，而 PostgreSQL 的备份至少需要 {SHORTEST_RPO} 秒；请放宽",
                f"service {name} promises an RPO of {service.rpo} s, but backups of PostgreSQL can keep none below "
                f"{SHORTEST_RPO} s; promise a longer one",
            ),
        )
