"""Files that the evidence names by hash: attachments of statements, and whole results of assessments."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from egovctl.assess import kept_results
from egovctl.assess.run import ASSESSED
from egovctl.assess.statements import STATED, attachments_dir
from egovctl.evidence import Chain, Record
from egovctl.paths import Inventory

NAMING = (STATED, ASSESSED)  # the kinds of records that name files


@dataclass(frozen=True)
class NamedFile:
    """One of them: what it is, the hash on record, and where it lies."""

    what: str
    sha256: str
    path: Path

    def digest(self) -> str:
        """The hash of the file as it is now; "" when it is gone."""
        try:
            with self.path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return ""


def named_by(inventory: Inventory, record: Record) -> list[NamedFile]:
    """The files that a record names; of other kinds than statements and assessments none."""
    body = record.body
    if record.kind == ASSESSED:
        what = f"{body['standard']} {body['run']}"
        return [NamedFile(what, body["results_sha256"], kept_results.file_of(inventory, record))]
    if record.kind != STATED:
        return []
    folder = attachments_dir(inventory)
    kept = ((one["name"], Path(str(one["sha256"])).name) for one in body["attachments"])
    return [NamedFile(f"{body['item']} {name} {sha[:12]}", sha, folder / sha) for name, sha in kept]


def all_named(inventory: Inventory, chains: Iterable[Chain]) -> list[NamedFile]:
    """All files that chains name, each hash once."""
    found: dict[str, NamedFile] = {}
    for chain in chains:
        for record in chain.records(*NAMING):
            for one in named_by(inventory, record):
                found.setdefault(one.sha256, one)
    return list(found.values())


def unnamed(inventory: Inventory, records: Iterable[Record], before: datetime) -> list[Path]:
    """The attachments and results that none of `records` names; those written since `before` are left out: a record
    that names one comes after its file."""
    named = {one.path for record in records for one in named_by(inventory, record)}
    found = []
    for folder in (attachments_dir(inventory), kept_results.folder_of(inventory)):
        for path in sorted(set(folder.glob("*")) - named):
            with suppress(FileNotFoundError):  # one that is being written is called otherwise in the end
                told = path.lstat()
                if stat.S_ISREG(told.st_mode) and told.st_mtime < before.timestamp():
                    found.append(path)
    return found
