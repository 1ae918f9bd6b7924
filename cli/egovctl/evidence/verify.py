"""Is a chain whole? Names the first bad record: changed, dropped, swapped, inserted; against a known head also cut."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from egovctl.errors import UsageError
from egovctl.evidence.record import NO_RECORD, BadRecord, Record, digest, parse
from egovctl.i18n import tr

TORN = "evidence.torn"
MAX_TORN = 8  # half-written lines that one record of kind TORN may name


@dataclass(frozen=True)
class Head:
    """The end of a chain as known at some time: how many records, and the hash of the last."""

    count: int
    hash: str

    @classmethod
    def read(cls, text: str) -> Head:
        """From COUNT:HASH; UsageError for anything else."""
        count, _, digest_text = text.partition(":")
        if not count.isascii() or not count.isdigit() or len(digest_text) != len(NO_RECORD):
            raise UsageError(
                tr(
                    f"{text!r} 不是链头：请写成 数量:散列，如 egovctl evidence verify 所示",
                    f"{text!r} is not a head: write COUNT:HASH, as egovctl evidence verify prints it",
                )
            )
        return cls(int(count), digest_text.lower())

    def __str__(self) -> str:
        return f"{self.count}:{self.hash}"


@dataclass(frozen=True)
class Verdict:
    """`suspects` are the sequence numbers of the records of which the first bad one is the earliest that counts:
    one when it is sure, two neighbours when either may have been changed. Empty when all is well."""

    ok: bool
    head: Head
    torn_lines: int = 0
    suspects: tuple[int, ...] = ()
    line: int = 0
    reason: str = ""


@dataclass
class _Walk:
    """What is known while walking down the lines."""

    lines: list[bytes]
    writer: str
    count: int = 0
    last_hash: str = NO_RECORD
    torn: int = 0

    def bad(self, index: int, suspects: tuple[int, ...], reason: str) -> Verdict:
        return Verdict(False, Head(self.count, self.last_hash), self.torn, suspects, index + 1, reason)


def read_lines(path: Path) -> tuple[list[bytes], bool]:
    """All lines of a chain, and whether the last one lacks its line end. A file that is not there has none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], False
    pieces = data.split(b"\n")
    return (pieces, True) if pieces[-1] else (pieces[:-1], False)


def verify_lines(lines: list[bytes], *, unterminated: bool, head: Head | None, writer: str) -> Verdict:
    """Judge the lines of one chain; `head` is a (count, hash) known from elsewhere, if there is one."""
    walk = _Walk(lines, writer)
    hashes = [NO_RECORD]
    for index, line in enumerate(lines):
        if _recorded_torn(lines, index):
            walk.torn += 1
            continue
        if unterminated and index == len(lines) - 1:
            return walk.bad(index, (walk.count,), _half_written())
        fault = _check(walk, index, line)
        if fault is not None:
            return fault
        walk.count += 1
        walk.last_hash = digest(line)
        hashes.append(walk.last_hash)
    return _against_head(walk, hashes, head)


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


def _check(walk: _Walk, index: int, line: bytes) -> Verdict | None:
    """A verdict when this line is not the record that must come next."""
    expected = walk.count
    try:
        record = parse(line)
    except BadRecord as error:
        return walk.bad(
            index,
            (expected,),
            tr(f"记录 {expected} 已损坏：{error}", f"record {expected} is damaged: {error}"),
        )
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
    if record.seq == expected - 1:
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
    try:
        return parse(line).seq
    except BadRecord:
        return None


def _broken_link(walk: _Walk, index: int, record: Record) -> Verdict:
    """The record here names another hash than that of the record before: which of the two was changed?

    If the next record vouches for this one, it is the one before. Else it is either, and both are named.
    """
    here = record.seq
    if here == 0:
        return walk.bad(index, (0,), tr("记录 0 不是链的开头", "record 0 is not the beginning of a chain"))
    vouched = any(_prev(later) == digest(walk.lines[index]) for later in walk.lines[index + 1 : index + 3])
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
    try:
        return parse(line).prev
    except BadRecord:
        return None


def _against_head(walk: _Walk, hashes: list[str], head: Head | None) -> Verdict:
    found = Head(walk.count, walk.last_hash)
    if head is None or (head.count <= walk.count and hashes[head.count] == head.hash):
        return Verdict(True, found, walk.torn)
    if head.count > walk.count:
        text = tr(
            f"尾部被截去：已知有 {head.count} 条，现在只有 {walk.count} 条",
            f"the tail was cut: {head.count} records were known, {walk.count} are here",
        )
        return Verdict(False, found, walk.torn, (walk.count,), len(walk.lines) + 1, text)
    text = tr(
        f"已知的第 {head.count} 条记录的散列不符：到此为止的记录被重写",
        f"record {head.count - 1} is not the one that was known: the chain up to it was rewritten",
    )
    return Verdict(False, found, walk.torn, (head.count - 1,), head.count, text)
