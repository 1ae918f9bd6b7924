"""Heads of chains that were kept elsewhere: in the NOC's logs, in its metrics, with the sealed state.

Each is read here from text, and compared by `verify`. Who writes the chain does not write these, or not in secret.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence.record import is_record, parse
from egovctl.evidence.verify import Head, read_lines, verify_lines
from egovctl.i18n import tr

TAG = "egov-evidence"  # the program's name in the NOC's logs, and the first word of a sealed archive's comment
SAID = re.compile(rf"\b{TAG}\b.*?\binventory=(?P<inventory>\S+) writer=(?P<writer>\S+) head=(?P<head>\S*)")
SAMPLE = re.compile(r"egov_evidence_head_info\{(?P<labels>[^}]*)\}")
LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Anchor:
    """A head of a writer's chain, and where it was kept."""

    source: str
    writer: str
    head: Head


def line_of(inventory: str, writer: str, head: Head) -> str:
    """The line that goes to the logs."""
    return f"inventory={inventory} writer={writer} head={head}"


def from_log(path: Path, inventory: str) -> list[Anchor]:
    """From a day of the NOC's logs, plain or compressed, or from a folder of such days."""
    if path.is_dir():
        days = sorted(item for item in path.iterdir() if item.name.endswith((".log", ".log.gz")))
        return _some([anchor for day in days for anchor in _day(day, inventory)], path)
    return _some(list(_day(path, inventory)), path)


def _day(path: Path, inventory: str) -> Iterator[Anchor]:
    opened = gzip.open if path.name.endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8", errors="replace") as stream:
            for number, line in enumerate(stream, 1):
                if (found := SAID.search(line)) and found["inventory"] == inventory:
                    yield Anchor(str(path), found["writer"], _head(found["head"], f"{path}:{number}"))
    except (OSError, EOFError) as error:
        raise _unreadable(path, error) from None


def from_metrics(text: str, source: str) -> list[Anchor]:
    """From metrics in Prometheus' text form."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if sample := SAMPLE.match(line):
            found += from_labels(dict(LABEL.findall(sample["labels"])), f"{source}:{number}")
    return found


def from_labels(labels: dict[str, str], source: str) -> list[Anchor]:
    """From one series; nothing of one that has no number of records, as they were before writers were told apart."""
    if not {"writer", "records", "hash"} <= labels.keys():
        return []
    return [Anchor(source, labels["writer"], _head(f"{labels['records']}:{labels['hash']}", source))]


def comment_of(heads: dict[str, Head]) -> str:
    """The comment of a sealed archive: all heads as they were when it was made."""
    return " ".join([TAG, *(f"{writer}={head}" for writer, head in sorted(heads.items()))])


def from_comment(text: str, source: str) -> list[Anchor]:
    """From such a comment; nothing of another one."""
    first, *rest = text.split() or [""]
    pairs = (item.partition("=") for item in rest if first == TAG)
    return [Anchor(source, writer, _head(head, source)) for writer, _, head in pairs]


def from_copies(path: Path) -> list[Anchor]:
    """From chains as they were sealed: one file, or a folder of them."""
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    return _some([anchor for file in files for anchor in _copy(file)], path)


def _copy(path: Path) -> list[Anchor]:
    """Every head that the copy ever had: so the first record that is another one now can be named."""
    if not path.is_file():
        raise _unreadable(path, tr("没有这个文件", "there is no such file"))
    lines, unterminated = read_lines(path)
    verdict = verify_lines(lines, unterminated=unterminated, writer=path.stem)
    if not verdict.ok:
        text = f"{path}:{verdict.line}: {verdict.reason}"
        raise CannotMeasure(tr(f"封存的副本本身不完整：{text}", f"the sealed copy is not whole itself: {text}"))
    records = (parse(line) for line in lines if is_record(line))
    return [Anchor(str(path), path.stem, Head(record.seq + 1, record.hash)) for record in records]


def _some(found: list[Anchor], path: Path) -> list[Anchor]:
    if not found:
        raise CannotMeasure(tr(f"{path} 中没有链头", f"there is no head in {path}"))
    return found


def _head(text: str, where: str) -> Head:
    try:
        return Head.read(text)
    except UsageError as error:
        raise CannotMeasure(f"{where}: {error}") from None


def _unreadable(path: Path, error: Exception | str) -> CannotMeasure:
    why = getattr(error, "strerror", None) or error
    return CannotMeasure(tr(f"{path} 无法读取：{why}", f"{path} cannot be read: {why}"))


def heads_of(anchors: Iterable[Anchor], writer: str) -> list[Head]:
    """The heads of one writer, each once."""
    return list(dict.fromkeys(anchor.head for anchor in anchors if anchor.writer == writer))
