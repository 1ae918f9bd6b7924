"""Retention from control: archives go only when nothing is missing of what control has seen, and the rest is whole.

Clients append and cannot delete; what a client "deletes" over its append-only key stays in the repository until it is
compacted, and only control compacts. So this is the one place where history can end, and it looks before it does:
1. the list of archives must hold all that the register knows, under the same ids, and nothing strange;
2. `borg check` must find repository and archives whole: who cannot delete an archive may still empty it;
3. what will go is recorded, deleted, and the list compared once more before compaction makes it final.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from egovctl.backups.keeping import Keep, superfluous
from egovctl.backups.register import PLANNED, RETIRED, Archived, Known, Seen, compare, known, listed, record_look
from egovctl.checks.context import Context
from egovctl.drill.borg import BorgFailed, Deadline, Repository
from egovctl.drill.causes import Cause
from egovctl.drill.ways import CONTROL, way_to
from egovctl.errors import CannotMeasure, JudgedFailure
from egovctl.evidence import Chain, Record
from egovctl.i18n import both, told, tr

LOOK_SECONDS = 600.0
WORK_SECONDS = 6 * 3600.0
SHOWN = 5
DELETED_AT_ONCE = 100  # names on one command line


@dataclass(frozen=True)
class Retention:
    """What a retention did to one repository, or would do."""

    host: str
    archives: int
    deleted: tuple[Archived, ...]


def repository_name(context: Context, host: str) -> str:
    """The name of a host's repository: its own, of control's state `control` whatever the host is called."""
    return CONTROL if context.city.hosts[host].role == CONTROL else host


def repositories(context: Context) -> list[str]:
    """Every repository that the plan means: those of the clients, and control's own once it has a passphrase."""
    own = [CONTROL] if (context.inventory.secrets / f"borg_passphrase_{CONTROL}").exists() else []
    return [*context.city.backed_up(context.city.hosts), *own]


def look(context: Context, hosts: Iterable[str], chain: Chain) -> tuple[list[Seen], dict[str, dict[str, str]]]:
    """Look at these repositories and write down what is there: what was seen, and why others could not be."""
    before, seen, silent = known(chain.records()), [], {}
    for host in hosts:
        try:
            archives = listed(way_to(context, host, "borg"), Deadline.after(LOOK_SECONDS))
        except CannotMeasure as error:
            silent[host] = both(error)
            continue
        seen.append(compare(host, archives, before.get(host), datetime.now(UTC)))
    record_look(chain, seen, silent)
    return seen, silent


def retain(context: Context, host: str, chain: Chain, keep: Keep, *, check_only: bool = False) -> Retention:
    """Delete what no count asks for. JudgedFailure with what is missing, CannotMeasure when it could not be seen."""
    reading = way_to(context, host, "borg")
    seen = _whole(host, listed(reading, Deadline.after(LOOK_SECONDS)), chain)
    going = superfluous(seen.archives, keep, proven(chain.records(), host, seen.archives))
    if check_only or not going:
        if not check_only:
            record_look(chain, [seen], {})
        return Retention(host, len(seen.archives), tuple(going))
    record_look(chain, [seen], {})
    _check(reading, host)
    chain.append(PLANNED, {"host": host, "keep": asdict(keep), "going": [asdict(item) for item in going]})
    deleting = way_to(context, host, "retention")
    deadline = Deadline.after(WORK_SECONDS)
    for at in range(0, len(going), DELETED_AT_ONCE):
        names = [item.name for item in going[at : at + DELETED_AT_ONCE]]
        deleting.call(["delete", deleting.location, *names], deadline)
    # Nothing is final yet. Whoever deleted more in the meantime shows here, and compaction waits for a person.
    ids = {item.id for item in going}
    left = listed(deleting, deadline)
    _nothing_missing(compare(host, left, _expected(seen, ids), datetime.now(UTC)))
    deleting.call(["compact", deleting.location], deadline)
    chain.append(RETIRED, {"host": host, "left": len(left), "deleted": [asdict(item) for item in going]})
    return Retention(host, len(left), tuple(going))


def _expected(seen: Seen, gone: set[str]) -> Known:
    """What must still be there once these are deleted."""
    return Known({item.id: item for item in seen.archives if item.id not in gone}, None)


def proven(records: Iterable[Record], host: str, archives: Iterable[Archived]) -> frozenset[str]:
    """The ids of the newest archive of each service that a drill brought back in full: the last good one never goes."""
    names: dict[str, str] = {}
    for record in records:
        for item in record.body["items"] if record.kind == "drill.result" else ():
            if item["host"] == host and item["verdict"] == "met" and item["details"].get("archive"):
                names[item["service"]] = item["details"]["archive"]
    return frozenset(item.id for item in archives if item.name in names.values())


def _whole(host: str, archives: tuple[Archived, ...], chain: Chain) -> Seen:
    before = known(chain.records()).get(host)
    seen = compare(host, archives, before, datetime.now(UTC))
    if not seen.whole:
        record_look(chain, [seen], {})
    _nothing_missing(seen)
    if seen.strange:
        names, count = _names(seen.strange), len(seen.strange)
        raise JudgedFailure(
            tr(
                f"{host} 的仓库中有 {count} 份来历不明的备份（{names}）：名称或时间不可能出自备份；没有删除任何备份，"
                "请先查清（docs/backup-history.md）",
                f"the repository of {host} has {count} archives that no backup made ({names}): nothing was deleted; "
                "find out where they are from first (docs/backup-history.md)",
            )
        )
    return seen


def _nothing_missing(seen: Seen) -> None:
    if seen.missing:
        names, count, host = _names(seen.missing), len(seen.missing), seen.host
        raise JudgedFailure(
            tr(
                f"{host} 的仓库缺少 {count} 份曾经登记的备份（{names}）：没有清理，数据仍可找回，"
                "请按 docs/backup-history.md 处理",
                f"the repository of {host} lacks {count} archives that were seen there ({names}): nothing was "
                "compacted, so they can be brought back; docs/backup-history.md says how",
            )
        )


def _check(repository: Repository, host: str) -> None:
    try:
        repository.call(["check", repository.location], Deadline.after(WORK_SECONDS), strict=True)
    except BorgFailed as error:
        if error.cause is not Cause.REPOSITORY_DAMAGED:
            raise
        said = both(error)
        raise JudgedFailure(
            told(
                f"{host} 的仓库不完整，没有删除任何备份：{said['zh']}",
                f"the repository of {host} is not whole, nothing was deleted: {said['en']}",
            )
        ) from None


def _names(archives: Iterable[Archived]) -> str:
    names = [item.name for item in archives]
    return ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
