"""Files that the evidence names by hash: attachments of statements, and whole results of assessments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from egovctl.assess.run import ASSESSED, results_file
from egovctl.assess.statements import STATED, attachments_dir
from egovctl.evidence import Chain, Record
from egovctl.paths import Inventory


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
        return [NamedFile(what, body["results_sha256"], results_file(inventory, record))]
    if record.kind != STATED:
        return []
    folder = attachments_dir(inventory)
    kept = ((one["name"], Path(str(one["sha256"])).name) for one in body["attachments"])
    return [NamedFile(f"{body['item']} {name} {sha[:12]}", sha, folder / sha) for name, sha in kept]


def all_named(inventory: Inventory, chains: Iterable[Chain]) -> list[NamedFile]:
    """All files that chains name, each hash once."""
    found: dict[str, NamedFile] = {}
    for chain in chains:
        for record in chain.records(STATED, ASSESSED):
            for one in named_by(inventory, record):
                found.setdefault(one.sha256, one)
    return list(found.values())
