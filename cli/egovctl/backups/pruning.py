"""Old evidence leaves, and the chain stays provable: a signed record names where it begins from now on.

Only what is older than its time goes, what an archive of control's state on the backup node holds unchanged, and what
the register of backups does not need any more. A clock that is ahead would make everything old: that is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from egovctl.backups.register import first_needed
from egovctl.errors import CannotMeasure, JudgedFailure
from egovctl.evidence import Chain, Record
from egovctl.evidence.anchors import Anchor
from egovctl.evidence.chain import command
from egovctl.evidence.keys import sign
from egovctl.evidence.signing import PRUNED, Signer
from egovctl.i18n import tr

QUIET = timedelta(days=7)  # no city writes nothing for so long: its clock is ahead


@dataclass(frozen=True)
class Pruning:
    """What may go of one chain: `count` records before `first`, which names `before`; `archive` holds them.

    `kept_for_backups`: older ones stay, since archives in the register rest on them.
    """

    writer: str
    first: int
    before: str
    count: int
    archive: str
    kept_for_backups: bool = False


def plan(chain: Chain, sealed: Iterable[Anchor], keep: timedelta, key: str, now: datetime) -> Pruning | None:
    """What may go; None when nothing is old enough. JudgedFailure when the chain, or what was sealed of it, is not as
    it was; CannotMeasure when the clock is not to be trusted or nothing of it is sealed."""
    verdict = chain.verify(key=key)
    if not verdict.ok:
        raise JudgedFailure(
            tr(
                f"{chain.path} 第 {verdict.line} 行：{verdict.reason}；没有删除任何记录",
                f"{chain.path} line {verdict.line}: {verdict.reason}; no record was let go",
            )
        )
    records = list(chain.records())
    if not records:
        return None
    if verdict.ahead >= 0 or now - _at(records[-1]) > QUIET:
        raise CannotMeasure(
            tr(
                f"{chain.path}：时钟不可信（最后一条记录是 {records[-1].at}，现在是 {now:%Y-%m-%dT%H:%M}Z）；没有删除",
                f"{chain.path}: the clock is not to be trusted (the last record is of {records[-1].at}, and it is "
                f"{now:%Y-%m-%dT%H:%M}Z now); no record was let go",
            )
        )
    old = list(takewhile(lambda record: now - _at(record) > keep, records))
    if not old:
        return None
    held = _held(chain, records, sealed)
    needed = first_needed(records)
    first = min(old[-1].seq + 1, held.head.count, needed)
    begin = next((record for record in records if record.seq == first), None)
    if begin is None or first <= records[0].seq:
        return None
    return Pruning(chain.writer, first, begin.prev, first - records[0].seq, held.source, needed == first)


def _at(record: Record) -> datetime:
    return datetime.fromisoformat(record.at).astimezone(UTC)


def _held(chain: Chain, records: list[Record], sealed: Iterable[Anchor]) -> Anchor:
    """The longest part of the chain that an archive holds."""
    mine = [anchor for anchor in sealed if anchor.writer == chain.writer]
    verdict = chain.verify(heads=[anchor.head for anchor in mine])
    if not verdict.ok:
        raise JudgedFailure(
            tr(
                f"{chain.path} 与封存的不符：{verdict.reason}；没有删除任何记录",
                f"{chain.path} is not as it was sealed: {verdict.reason}; no record was let go",
            )
        )
    usable = [anchor for anchor in mine if anchor.head.count > records[0].seq]
    if not usable:
        raise CannotMeasure(
            tr(
                f"{chain.path} 还没有封存在别处：先运行 {command(chain.path, 'seal')}",
                f"{chain.path} is not sealed elsewhere yet: run {command(chain.path, 'seal')} first",
            )
        )
    return max(usable, key=lambda anchor: anchor.head.count)


def prune(chain: Chain, what: Pruning, by: Signer) -> Record:
    """Sign that they go, then let them go; a crash in between leaves them all, and the next pruning goes on."""
    body = {"first": what.first, "before": what.before, "count": what.count, "archive": what.archive}
    record = sign(chain, by, PRUNED, body)
    chain.cut_front(what.first)
    return record
