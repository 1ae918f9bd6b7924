"""What control noted when it last signed a chain, beside the key: `.egov/CITY/control/evidence_signed/WRITER`.

A chain that somebody wrote anew without any signature breaks no link and has no wrong one. It is not the one that was
signed: so it is not signed again, and every verification says so.
"""

from __future__ import annotations

from pathlib import Path

from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence.record import BadRecord, parse
from egovctl.evidence.verify import Head, read_lines
from egovctl.i18n import tr

FOLDER = "evidence_signed"


def file_of(key: Path, writer: str) -> Path:
    """Where it is noted, given the key's file."""
    return key.with_name(FOLDER) / writer


def noted(key: Path, writer: str) -> Head | None:
    """The head of a writer's chain when it was last signed; None when it never was. CannotMeasure for a bad file."""
    path = file_of(key, writer)
    try:
        return Head.read(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, UsageError) as error:
        why = getattr(error, "strerror", None) or tr("不是链头", "it is no head")
        raise CannotMeasure(tr(f"{path} 无法读取：{why}", f"{path} cannot be read: {why}")) from None


def all_noted(key: Path) -> dict[str, Head]:
    """writer → that head, of all chains that were ever signed."""
    names = [path.name for path in key.with_name(FOLDER).glob("*") if not path.name.startswith(".")]
    return {name: head for name in sorted(names) if (head := noted(key, name))}


def note(key: Path, writer: str, head: Head) -> None:
    """Keep it, whole or not at all: CannotMeasure when that cannot be; the one before stays, and is good still."""
    path = file_of(key, writer)
    beside = path.with_name(f".{writer}")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        beside.write_text(f"{head}\n", encoding="ascii")
        beside.replace(path)
    except OSError as error:
        raise CannotMeasure(
            tr(
                f"已签名，但链头无法记于 {path}：{error.strerror}",
                f"it is signed, and its head could not be noted in {path}: {error.strerror}",
            )
        ) from None


def holds(chain: Path, head: Head) -> bool:
    """Whether the chain in this file has that head, or begins after it: then nobody can tell from it."""
    first = None
    for line in reversed(read_lines(chain)[0]):
        try:
            record = parse(line)
        except BadRecord:
            continue
        if record.seq == head.count - 1:
            return record.hash == head.hash
        first = record.seq
    return first is not None and first > head.count - 1
