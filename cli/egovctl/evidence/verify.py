"""Is a chain whole? Names the first bad record: changed, dropped, swapped, inserted, signed with another key.

Against heads that were kept elsewhere also cut, and rewritten as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from egovctl.errors import UsageError
from egovctl.evidence.record import NO_RECORD, BadRecord, Record, digest, parse
from egovctl.evidence.signing import PRUNED, Signatures, fingerprint
from egovctl.i18n import tr

TORN = "evidence.torn"
MAX_TORN = 8  # half-written lines that one record of kind TORN may name
AHEAD = timedelta(minutes=5)
HEXADECIMAL = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Head:
    """The end of a chain as known at some time: how many records, and the hash of the last."""

    count: int
    hash: str

    @classmethod
    def read(cls, text: str) -> Head:
        """From COUNT:HASH; UsageError for anything else."""
        count, _, digest_text = text.partition(":")
        digest_text = digest_text.lower()
        if (
            not count.isascii()
            or not count.isdigit()
            or len(digest_text) != len(NO_RECORD)
            or set(digest_text) - HEXADECIMAL
        ):
            raise UsageError(
                tr(
                    f"{text!r} 不是链头：请写成 数量:散列，如 egovctl evidence verify 所示",
                    f"{text!r} is not a head: write COUNT:HASH, as egovctl evidence verify prints it",
                )
            )
        return cls(int(count), digest_text)

    def __str__(self) -> str:
        return f"{self.count}:{self.hash}"


@dataclass(frozen=True)
class Verdict:
    """`suspects` are the sequence numbers of the first and the last record of which one is the first bad one: one
    number when it is sure. Empty when all is well.

    `first` is the first record that is kept, `signed` the last that is signed (-1: none), `key` the public key in
    force, `lost` where a key was changed without the old one, `ahead` the first record from the future (-1: none),
    `checked` how many known heads were compared, `unchecked` how many lie before what is kept.
    """

    ok: bool
    head: Head
    torn_lines: int = 0
    suspects: tuple[int, ...] = ()
    line: int = 0
    reason: str = ""
    first: int = 0
    signed: int = -1
    key: str = ""
    lost: tuple[int, ...] = ()
    ahead: int = -1
    checked: int = 0
    unchecked: int = 0


@dataclass
class _Walk:
    """What is known while walking down the lines. `hashes` begins with that of the record before `first`."""

    lines: list[bytes]
    writer: str
    first: int = 0
    count: int = 0
    last_hash: str = NO_RECORD
    torn: int = 0
    ahead: int = -1
    hashes: list[str] = field(default_factory=lambda: [NO_RECORD])
    signatures: Signatures = field(default_factory=Signatures)

    def bad(self, index: int, suspects: tuple[int, ...], reason: str) -> Verdict:
        return self.verdict(False, suspects, index + 1, reason)

    def verdict(
        self,
        ok: bool,
        suspects: tuple[int, ...] = (),
        line: int = 0,
        reason: str = "",
        checked: int = 0,
        missed: int = 0,
    ) -> Verdict:
        said = self.signatures
        told = (self.first, said.count, said.key, tuple(said.lost), self.ahead, checked, missed)
        return Verdict(ok, Head(self.count, self.last_hash), self.torn, suspects, line, reason, *told)


def read_lines(path: Path) -> tuple[list[bytes], bool]:
    """All lines of a chain, and whether the last one lacks its line end. A file that is not there has none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], False
    pieces = data.split(b"\n")
    return (pieces, True) if pieces[-1] else (pieces[:-1], False)


def verify_lines(
    lines: list[bytes],
    *,
    unterminated: bool,
    writer: str,
    head: Head | None = None,
    heads: Iterable[Head] = (),
    noted: Head | None = None,
    key: str = "",
) -> Verdict:
    """Judge the lines of one chain; `head` and `heads` are known from elsewhere, `noted` is from control itself and not
    counted among them, `key` is the one that is enrolled.

    When the lines and the heads are both at fault, the earlier fault is named.
    """
    walk = _Walk(lines, writer)
    _begin(walk)
    known = [*([head] if head else []), *heads]
    own = None if noted in known else noted
    known = sorted([*known, *([own] if own else [])], key=lambda item: item.count)
    fault = _walk(walk, unterminated) or _other_key(walk, key)
    elsewhere = _against_heads(walk, known, own, whole=fault is None)
    if fault is None:
        return elsewhere
    return elsewhere if not elsewhere.ok and elsewhere.suspects[-1] <= fault.suspects[-1] else fault


def _begin(walk: _Walk) -> None:
    """Where the chain begins: at its first record, or at the one up to which a later, signed record let go."""
    begin = next((record for record in map(_record, walk.lines[: MAX_TORN + 1]) if record), None)
    if begin is None or begin.seq == 0:
        return
    for line in reversed(walk.lines):
        if PRUNED.encode() in line and (record := _record(line)) and record.kind == PRUNED:
            first, before = record.body.get("first"), record.body.get("before")
            if isinstance(first, int) and isinstance(before, str) and first <= begin.seq:
                walk.first = walk.count = first
                walk.last_hash, walk.hashes = before, [before]
                return


def _record(line: bytes) -> Record | None:
    try:
        return parse(line)
    except BadRecord:
        return None


def _walk(walk: _Walk, unterminated: bool) -> Verdict | None:
    latest = datetime.now(UTC) + AHEAD
    for index, line in enumerate(walk.lines):
        if _recorded_torn(walk.lines, index):
            walk.torn += 1
            continue
        if unterminated and index == len(walk.lines) - 1:
            return walk.bad(index, (walk.count,), _half_written())
        try:
            record = parse(line)
        except BadRecord as error:
            text = tr(f"记录 {walk.count} 已损坏：{error}", f"record {walk.count} is damaged: {error}")
            return walk.bad(index, (walk.count,), text)
        fault = _check(walk, index, record)
        if fault is not None:
            return fault
        if walk.ahead < 0 and _is_ahead(record, latest):
            walk.ahead = record.seq
        walk.count += 1
        walk.last_hash = digest(line, record.digest)
        walk.hashes.append(walk.last_hash)
        good = max(walk.first, walk.signatures.count + 1)
        if reason := walk.signatures.fault(record):
            # The link is good: whoever signed this may have written anew all that was not signed for before.
            return walk.bad(index, tuple(sorted({good, record.seq})), reason)
    return None


def _is_ahead(record: Record, latest: datetime) -> bool:
    try:
        return datetime.fromisoformat(record.at) > latest
    except (ValueError, TypeError):
        return False


def _other_key(walk: _Walk, key: str) -> Verdict | None:
    said = walk.signatures
    if not key or not said.key or said.key == key:
        return None
    text = tr(
        f"记录 {said.since} 起用密钥 {fingerprint(said.key)}，而登记的是 {fingerprint(key)}：从那里起由他人签名",
        f"from record {said.since} on the key {fingerprint(said.key)} signs, and {fingerprint(key)} is enrolled: "
        "somebody else signed from there on",
    )
    index = next(index for index, line in enumerate(walk.lines) if _seq(line) == said.since)
    return walk.bad(index, (walk.first, said.since) if said.since > walk.first else (said.since,), text)


def _half_written() -> str:
    return tr(
        "最后一行只写了一半（写入时中断）；下一次写入会把它记录在案",
        "the last line is only half written (a crash); the next append puts it on record",
    )


def _recorded_torn(lines: list[bytes], index: int) -> bool:
    """Whether a torn-line record right after this line (or after its torn neighbour) names exactly this line."""
    for later in lines[index + 1 : index + 1 + MAX_TORN]:
        if TORN.encode() not in later:
            continue
        try:
            record = parse(later)
        except BadRecord:
            continue
        if record.kind != TORN:
            continue
        named = record.body.get("lines")
        known = [item.get("sha256") for item in named if isinstance(item, dict)] if isinstance(named, list) else []
        return digest(lines[index]) in known
    return False


def _check(walk: _Walk, index: int, record: Record) -> Verdict | None:
    """A verdict when this is not the record that must come next."""
    expected = walk.count
    if record.seq != expected:
        return _out_of_order(walk, index, record)
    if record.writer != walk.writer:
        text = tr(f"记录 {expected} 出自另一写入者", f"record {expected} is by another writer: {record.writer}")
        return walk.bad(index, (expected,), text)
    if record.prev != walk.last_hash:
        return _broken_link(walk, index, record)
    return None


def _out_of_order(walk: _Walk, index: int, record: Record) -> Verdict:
    expected = walk.count
    if record.seq == expected - 1 and expected > walk.first:
        text = tr(f"有两条记录 {record.seq}：其一是插入的", f"there are two records {record.seq}: one was inserted")
        return walk.bad(index, (record.seq, expected), text)
    return walk.bad(index, (expected,), _displaced(walk.lines, expected, record))


def _displaced(lines: list[bytes], expected: int, record: Record) -> str:
    elsewhere = any(_seq(line) == expected for line in lines)
    if elsewhere:
        return tr(
            f"记录 {expected} 应在此处，却是记录 {record.seq}：被调换或插入",
            f"record {expected} belongs here, but record {record.seq} is here: swapped or inserted",
        )
    return tr(f"缺少记录 {expected}：已被删除", f"record {expected} is missing: dropped")


def _seq(line: bytes) -> int | None:
    record = _record(line)
    return None if record is None else record.seq


def _broken_link(walk: _Walk, index: int, record: Record) -> Verdict:
    """The record here names another hash than that of the record before: which of the two was changed?

    If the next record vouches for this one, it is the one before. Else it is either, and both are named.
    """
    here = record.seq
    if here == walk.first:
        text = tr(f"记录 {here} 不是链的开头", f"record {here} is not the beginning of a chain")
        return walk.bad(index, (here,), text)
    vouched = any(_prev(later) == record.hash for later in walk.lines[index + 1 : index + 3])
    if vouched:
        text = tr(
            f"记录 {here - 1} 被改动：记录 {here} 不认它",
            f"record {here - 1} was changed: record {here} disowns it",
        )
        return walk.bad(index, (here - 1,), text)
    text = tr(
        f"记录 {here} 与记录 {here - 1} 接不上：二者之一被改动",
        f"record {here} does not follow record {here - 1}: one of the two was changed",
    )
    return walk.bad(index, (here - 1, here), text)


def _prev(line: bytes) -> str | None:
    record = _record(line)
    return None if record is None else record.prev


def _against_heads(walk: _Walk, heads: list[Head], own: Head | None, *, whole: bool) -> Verdict:
    """The earliest fault that known heads show; of a chain that is not whole only up to where it is."""
    good, checked, missed = walk.first, 0, 0
    for head in heads:
        if head.count < walk.first:
            missed += head is not own
        elif head.count > walk.count:
            if not whole:
                break
            text = tr(
                f"尾部被截去：已知有 {head.count} 条，现在只有 {walk.count} 条",
                f"the tail was cut: {head.count} records were known, {walk.count} are here",
            )
            return walk.verdict(False, tuple(sorted({good, walk.count})), len(walk.lines) + 1, text)
        elif walk.hashes[head.count - walk.first] == head.hash:
            good, checked = head.count, checked + (head is not own)
        else:
            return _rewritten(walk, good, head)
    return walk.verdict(True, checked=checked, missed=missed)


def _rewritten(walk: _Walk, good: int, head: Head) -> Verdict:
    """Up to `good` records are as they were known, and the last before `head` is not."""
    last = max(head.count - 1, good)
    line = next((index + 1 for index, text in enumerate(walk.lines) if _seq(text) == last), len(walk.lines) + 1)
    if good >= last:
        text = tr(
            f"已知的第 {head.count} 条记录的散列不符：记录 {last} 被重写",
            f"record {last} is not the one that was known: it was rewritten",
        )
        return walk.verdict(False, (last,), line, text)
    text = tr(
        f"已知的第 {head.count} 条记录的散列不符：记录 {good} 至 {last} 之间起被重写",
        f"record {last} is not the one that was known: from somewhere between {good} and {last} on all was rewritten",
    )
    return walk.verdict(False, (good, last), line, text)
