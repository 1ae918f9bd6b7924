"""An append-only chain of records, one file a writer: each record names the hash of the one before.

A crash can leave a half-written last line. It is never dropped: the next append ends the line and first adds a
record of kind `evidence.torn` that names it (length, SHA-256, its first bytes), so that everyone sees it.
"""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import rfc8785

from egovctl.errors import CannotMeasure
from egovctl.evidence.record import NO_RECORD, SHA256, BadRecord, Record, digest, now, parse, suite_version
from egovctl.evidence.signing import Body
from egovctl.evidence.verify import MAX_TORN, TORN, Head, Verdict, read_lines, verify_lines
from egovctl.i18n import tr

TORN_BYTES_KEPT = 4096
FIRST_WINDOW = 65_536


def command(chain: Path, what: str) -> str:
    """A command of `egovctl evidence` on the city whose chain this is: .egov/CITY/evidence/WRITER.jsonl."""
    return f"egovctl evidence {what} -i {chain.parent.parent.name}"


class Chain:
    """The chain in one file. `writer` and `plan_revision` go into each new record."""

    def __init__(self, path: Path, *, writer: str | None = None, plan_revision: str = "") -> None:
        self.path = Path(path)
        self.writer = writer or self.path.stem
        self.plan_revision = plan_revision

    def append(self, kind: str, body: dict[str, Any] | Body, *, digest_name: str = "") -> Record:
        """Add one record and return it, once it is on the disk.

        A `body` that can be called is given the record without one, so that it may sign for its place. `digest_name`
        is the record's own hash; not given: that of the record before. Raises CannotMeasure when the disk is full or
        the end of the chain is damaged; nothing is added then.
        """
        return self.append_all(kind, [body], digest_name=digest_name)[0]

    def append_all(self, kind: str, bodies: Iterable[dict[str, Any] | Body], *, digest_name: str = "") -> list[Record]:
        """As `append`, for records that belong together: they are written at once, and a full disk takes none."""
        with self._locked() as descriptor:
            good, torn, unterminated = _tail(descriptor, self.path)
            text = b"\n" if unterminated else b""
            if torn:
                good = self._follow(good, TORN, {"lines": [_describe(line) for line in torn]})
                text += good.line + b"\n"
            records: list[Record] = []
            for body in bodies:
                good = self._follow(good, kind, body, digest_name)
                records.append(good)
            self._write(descriptor, text + b"".join(record.line + b"\n" for record in records))
            return records

    def records(self, *kinds: str) -> Iterator[Record]:
        """All records that can be read, or those of some kinds, oldest first; torn lines are passed over.

        Says nothing of their truth.
        """
        # A record is of one form only: a line without these bytes is of no such kind, and need not be read to see it.
        marks = [f'"kind":"{kind}"'.encode() for kind in kinds]
        for line in read_lines(self.path)[0]:
            if marks and not any(mark in line for mark in marks):
                continue
            with suppress(BadRecord):
                record = parse(line)
                if not kinds or record.kind in kinds:
                    yield record

    def verify(
        self, head: Head | None = None, *, heads: Iterable[Head] = (), noted: Head | None = None, key: str = ""
    ) -> Verdict:
        """Whether the chain is whole; with known heads also whether its tail is still there and all is as it was.

        `noted` is the head that control kept itself, `key` the public half of the key that must be in force at the
        end, as it is enrolled.
        """
        lines, unterminated = read_lines(self.path)
        known = [*([head] if head else []), *heads]
        return verify_lines(lines, unterminated=unterminated, heads=known, noted=noted, writer=self.writer, key=key)

    def head(self) -> Head:
        """How many records there are, and the hash of the last one. Keep it elsewhere: it shows a cut tail."""
        if not self.path.exists():
            return Head(0, NO_RECORD)
        with self.path.open("rb") as stream:
            good, _, _ = _tail(stream.fileno(), self.path)
        return Head(0, NO_RECORD) if good is None else Head(good.seq + 1, good.hash)

    def _follow(self, previous: Record | None, kind: str, body: dict[str, Any] | Body, digest_name: str = "") -> Record:
        seq, prev = (0, NO_RECORD) if previous is None else (previous.seq + 1, previous.hash)
        name = digest_name or (previous.digest if previous else "") or SHA256
        record = Record(seq, now(), self.writer, kind, suite_version(), self.plan_revision, {}, prev, name)
        record = replace(record, body=body(record) if callable(body) else body)
        try:
            parse(record.line)
        except (BadRecord, rfc8785.CanonicalizationError, UnicodeError) as error:
            raise ValueError(f"this body cannot be evidence: {error}") from error
        return record

    def _write(self, descriptor: int, text: bytes) -> None:
        """All of it or nothing: what could not be written whole is taken back while the lock is held."""
        size = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, text) != len(text):
                raise OSError("only a part could be written")
            os.fsync(descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            why = error.strerror or error
            raise CannotMeasure(
                tr(f"{self.path}：证据无法写入：{why}", f"{self.path}: evidence could not be written: {why}")
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = self._opened()
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _opened(self) -> int:
        """The file, locked. Whoever waited while it was pruned would have the old one: that is opened anew."""
        while True:
            new = not self.path.exists()
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if new:
                    _sync_folder(self.path.parent)
                if _is(self.path, descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def cut_front(self, first: int) -> int:
        """Let go of the records before `first`, which the chain must have allowed (`evidence.pruned`); their number.

        The shorter file takes the place of the longer one at once, or nothing changes: CannotMeasure.
        """
        beside = self.path.with_name(f".{self.path.name}.pruned")
        with self._locked():
            lines, _ = read_lines(self.path)
            kept = next(index for index, line in enumerate(lines) if _seq_of(line) == first)
            try:
                with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                    stream.write(b"".join(line + b"\n" for line in lines[kept:]))
                    stream.flush()
                    os.fsync(stream.fileno())
                beside.replace(self.path)
                _sync_folder(self.path.parent)
            except OSError as error:
                raise CannotMeasure(
                    tr(
                        f"{beside} 无法写入：{error.strerror}；没有删除任何记录",
                        f"{beside} could not be written: {error.strerror}; no record was let go",
                    )
                ) from None
            finally:
                beside.unlink(missing_ok=True)
        return kept


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _seq_of(line: bytes) -> int | None:
    try:
        return parse(line).seq
    except BadRecord:
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _describe(line: bytes) -> dict[str, Any]:
    text = base64.b64encode(line[:TORN_BYTES_KEPT]).decode()
    return {"bytes": len(line), "sha256": digest(line), "first_bytes_base64": text}


def _tail(descriptor: int, path: Path) -> tuple[Record | None, list[bytes], bool]:
    """The last good record, the torn lines after it, and whether the last of them still lacks its line end."""
    size = os.fstat(descriptor).st_size
    window = FIRST_WINDOW
    while True:
        start = max(0, size - window)
        pieces = os.pread(descriptor, size - start, start).split(b"\n")
        unterminated = pieces[-1] != b""
        lines = pieces if unterminated else pieces[:-1]
        whole = lines if start == 0 else lines[1:]
        found = _last_good(whole, unterminated)
        if found is not None:
            record, torn = found
            if len(torn) > MAX_TORN:
                raise CannotMeasure(
                    tr(
                        f"{path}：证据的末尾已损坏：请运行 {command(path, 'verify')}",
                        f"{path}: the end of the evidence is damaged: run {command(path, 'verify')}",
                    )
                )
            return record, torn, unterminated
        if start == 0:
            if len(whole) > MAX_TORN:
                raise CannotMeasure(
                    tr(
                        f"{path}：这里没有可读的记录：请运行 {command(path, 'verify')}",
                        f"{path}: no record can be read here: run {command(path, 'verify')}",
                    )
                )
            return None, whole, unterminated
        window *= 8


def _last_good(lines: list[bytes], unterminated: bool) -> tuple[Record, list[bytes]] | None:
    torn: list[bytes] = []
    for position in range(len(lines) - 1, -1, -1):
        if not (unterminated and position == len(lines) - 1):
            with suppress(BadRecord):
                return parse(lines[position]), torn
        torn.insert(0, lines[position])
    return None
