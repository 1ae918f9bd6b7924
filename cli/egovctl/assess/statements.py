"""What only people know: typed statements with attachments, and accepted risks; kept in the evidence chain."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, Strict, ValidationError

from egovctl.assess.standards import standard_of
from egovctl.checks.model import Model
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Chain, Record
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.plan.sentences import sentences
from egovctl.plan.source import PlanError, read_source

STATED, ACCEPTED = "assess.statement", "assess.accepted"
Stated = Literal["met", "partly", "not_met", "not_applicable"]
STATUSES: tuple[str, ...] = get_args(Stated)
STATEMENT_DAYS = 365  # classified protection is assessed yearly at level 3
ACCEPTED_DAYS = 180
ATTACHMENT_BYTES = 50_000_000
AHEAD = timedelta(minutes=5)  # a record from further in the future is not counted


@dataclass(frozen=True)
class Statement:
    """One statement on a requirement. `lost` names an attachment that is gone or was changed; "" when all are there."""

    seq: int
    at: str
    item: str
    status: str
    text: str
    by: str
    until: str
    attachments: tuple[tuple[str, str], ...] = ()
    lost: str = ""


@dataclass(frozen=True)
class Acceptance:
    """A risk that is accepted until a day: why, by whom, approved by somebody else."""

    seq: int
    at: str
    item: str
    reason: str
    owner: str
    approver: str
    until: str


class Entry(Model):
    """One statement as a file has it: `attachments` are paths from the file's folder, `days` is how long it holds."""

    item: str
    status: Stated
    text: str
    by: str
    attachments: tuple[str, ...] = ()
    days: Annotated[int, Strict()] = STATEMENT_DAYS


class StatementsFile(Model):
    """A file for `egovctl assess answer --from`."""

    statements: Annotated[tuple[Entry, ...], Field(min_length=1)]


def attachments_dir(inventory: Inventory) -> Path:
    """Where copies of attachments are kept, by their SHA-256."""
    return inventory.state / "attachments"


def state(
    inventory: Inventory, chain: Chain, item: str, status: str, text: str, by: str, files: Iterable[Path], days: int
) -> Record:
    """Put a statement on record, with copies of its files. UsageError when it says nothing or a file cannot be read."""
    _named(by)
    _told(text)
    _within(days, STATEMENT_DAYS)
    kept = [keep(inventory, path) for path in files]
    return chain.append(STATED, _body(item, status, text, by, kept, days))


def read_file(path: Path, inventory: Inventory) -> tuple[Entry, ...]:
    """The statements of a file; keeps nothing. PlanError with one sentence a fault, each with file and line: every
    statement is looked at, its files too."""
    source = read_source(path)
    try:
        found = StatementsFile.model_validate(source.data).statements
    except ValidationError as error:
        raise PlanError(list(sentences(source, error))) from None
    faults: list[str] = []

    @contextmanager
    def at(*where: str | int) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            faults.append(f"{source.at(('statements', *where))}: {error}")

    first: dict[str, int] = {}
    for number, entry in enumerate(found):
        with at(number, "item"):
            standard_of(entry.item, inventory)
            if (before := first.setdefault(entry.item, number)) != number:
                place = source.at(("statements", before, "item"))
                raise UsageError(
                    tr(
                        f"{entry.item} 写了两次（另见 {place}）；请去掉一个",
                        f"{entry.item} is there twice (see {place}); take one out",
                    )
                )
        with at(number, "by"):
            _named(entry.by)
        with at(number, "text"):
            _told(entry.text)
        with at(number, "days"):
            _within(entry.days, STATEMENT_DAYS)
        for place_of, name in enumerate(entry.attachments):
            with at(number, "attachments", place_of):
                _data(path.parent / name)
    if faults:
        raise PlanError(faults)
    return found


def state_all(inventory: Inventory, chain: Chain, entries: Sequence[Entry], folder: Path) -> list[Record]:
    """Put statements that were read from a file in `folder` on record, all at once or none. Copies of all their files
    are kept first: when one of them cannot be, nothing is on record."""
    kept = [[keep(inventory, folder / name) for name in entry.attachments] for entry in entries]
    return chain.append_all(
        STATED,
        [
            _body(one.item, one.status, one.text, one.by, files, one.days)
            for one, files in zip(entries, kept, strict=True)
        ],
    )


def _body(item: str, status: str, text: str, by: str, kept: Sequence[dict[str, Any]], days: int) -> dict[str, Any]:
    body = {"item": item, "status": status, "text": text.strip(), "by": by.strip(), "until": _until(days)}
    return {**body, "attachments": list(kept)}


def accept(chain: Chain, item: str, reason: str, owner: str, approver: str, days: int) -> Record:
    """Put an accepted risk on record. UsageError unless somebody else approves, or for more than 180 days."""
    for text, what in (
        (reason, tr("理由", "a reason")),
        (owner, tr("责任人", "an owner")),
        (approver, tr("批准人", "an approver")),
    ):
        _worded(text, what)
    if " ".join(owner.split()).casefold() == " ".join(approver.split()).casefold():
        raise UsageError(tr("批准人不能是责任人本人", "who owns a risk cannot approve it"))
    _within(days, ACCEPTED_DAYS)
    body = {"item": item, "reason": reason.strip(), "owner": owner.strip(), "approver": approver.strip()}
    return chain.append(ACCEPTED, {**body, "until": _until(days)})


def keep(inventory: Inventory, path: Path) -> dict[str, Any]:
    """A copy of one file under its hash; its name, size and SHA-256."""
    data = _data(path)
    digest = hashlib.sha256(data).hexdigest()
    folder = attachments_dir(inventory)
    target, half = folder / digest, folder / f".{digest}.{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        half.rename(target)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise CannotMeasure(
            tr(f"附件无法保存：{error.strerror}", f"the attachment cannot be kept: {error.strerror}")
        ) from None
    return {"name": path.name, "bytes": len(data), "sha256": digest}


def _data(path: Path) -> bytes:
    """What is in a file that is to be attached. UsageError when it cannot be read, is no file, or is too large."""
    try:
        with path.open("rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise UsageError(tr(f"{path} 不是文件", f"{path} is no file"))
            data = stream.read(ATTACHMENT_BYTES + 1)
    except OSError as error:
        raise UsageError(tr(f"无法读取 {path}：{error.strerror}", f"{path} cannot be read: {error.strerror}")) from None
    if len(data) > ATTACHMENT_BYTES:
        limit = ATTACHMENT_BYTES // 1_000_000
        raise UsageError(tr(f"{path} 超过 {limit} MB", f"{path} is larger than {limit} MB"))
    return data


def statements(inventory: Inventory, chain: Chain, at: datetime) -> dict[str, Statement]:
    """By requirement the last statement, of those that hold at this time. Whether its files are there is looked at."""
    found = {record.body["item"]: read_statement(inventory, record) for record in _valid(chain, STATED, at)}
    return {item: one for item, one in found.items() if one.until >= _day(at)}


def acceptances(chain: Chain, at: datetime) -> dict[str, Acceptance]:
    """By requirement the last acceptance, of those that have not run out at this time."""
    found = {record.body["item"]: read_acceptance(record) for record in _valid(chain, ACCEPTED, at)}
    return {item: one for item, one in found.items() if one.until >= _day(at)}


def read_statement(inventory: Inventory, record: Record) -> Statement:
    """What a record states; whether its files are there is looked at now."""
    body = record.body
    files = tuple((str(entry["name"]), str(entry["sha256"])) for entry in body["attachments"])
    lost = next((name for name, digest in files if not _there(inventory, digest)), "")
    item, status, text, by, until = (str(body[name]) for name in ("item", "status", "text", "by", "until"))
    return Statement(record.seq, record.at, item, status, text, by, until, files, lost)


def read_acceptance(record: Record) -> Acceptance:
    """Which risk a record accepts."""
    item, *texts = (str(record.body[name]) for name in ("item", "reason", "owner", "approver", "until"))
    return Acceptance(record.seq, record.at, item, *texts)


def _valid(chain: Chain, kind: str, at: datetime) -> Iterable[Record]:
    """Records of a kind that are not from the future."""
    latest = (at + AHEAD).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (record for record in chain.records(kind) if record.at <= latest)


def _there(inventory: Inventory, digest: str) -> bool:
    try:
        with (attachments_dir(inventory) / Path(digest).name).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == digest
    except OSError:
        return False


def _until(days: int) -> str:
    return _day(datetime.now(UTC) + timedelta(days=days))


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _named(by: str) -> None:
    _worded(by, tr("姓名", "a name"))


def _told(text: str) -> None:
    _worded(text, tr("说明文字", "a text"))


def _worded(text: str, what: str) -> None:
    if not text.strip() or len(text) > 2000:
        raise UsageError(tr(f"请给出{what}（不超过 2000 字）", f"give {what}, of 2000 characters at most"))


def _within(days: int, most: int) -> None:
    if not 1 <= days <= most:
        raise UsageError(tr(f"期限须在 1 到 {most} 天之间", f"it may hold for 1 to {most} days"))
