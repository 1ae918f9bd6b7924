"""The whole results of assessments, a compressed file a run: the chain holds its hash.

A run of a whole city is 3 MB of JSON and a twentieth of that packed, and control's state, which holds all of them, is
sealed every hour.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from egovctl.assess.objects import service_of
from egovctl.errors import CannotMeasure
from egovctl.evidence import Record
from egovctl.i18n import tr
from egovctl.paths import Inventory


def folder_of(inventory: Inventory) -> Path:
    """Where they are."""
    return inventory.state / "assessments"


def file_of(inventory: Inventory, record: Record) -> Path:
    """Where the whole results of an assessment lie, as long as they are there."""
    return folder_of(inventory) / _name(record.body["run"], record.body["standard"])


def keep(inventory: Inventory, run: str, standard: str, whole: dict[str, Any]) -> str:
    """Put the whole results of a run into their file; its SHA-256. CannotMeasure when it cannot be."""
    # Without a time in it: the same results are the same file.
    data = gzip.compress(json.dumps(whole, ensure_ascii=False, sort_keys=True).encode(), mtime=0)
    target = folder_of(inventory) / _name(run, standard)
    half = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        half.replace(target)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise CannotMeasure(
            tr(f"{target} 无法写入：{error.strerror}", f"{target} cannot be written: {error.strerror}")
        ) from None
    return hashlib.sha256(data).hexdigest()


def read(inventory: Inventory, record: Record) -> tuple[dict[str, Any] | None, str]:
    """The whole results of an assessment, and the hash of their file as it is now ("" when it cannot be read). None
    in place of the results when that hash is not the record's."""
    try:
        data = file_of(inventory, record).read_bytes()
    except OSError:
        return None, ""
    found = hashlib.sha256(data).hexdigest()
    return (json.loads(gzip.decompress(data)) if found == record.body["results_sha256"] else None), found


def _name(run: str, standard: str) -> str:
    """Objects that were assessed together have a file each."""
    service = service_of(standard)
    return Path(f"{run}-{service}.json.gz" if service else f"{run}.json.gz").name
