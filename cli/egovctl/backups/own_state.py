"""The suite's own state, sealed: what control alone holds goes into a repository of its own on the backup node.

Keys, secrets, evidence with the files that it names by hash, the plan and the public keys: with these, the suite's code
and one passphrase a NOC is rebuilt (docs/backup-history.md). The repository's key lies in it, under the escrow
passphrase: the one thing that is kept on paper.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from egovctl.checks.context import Context
from egovctl.drill.borg import BorgFailed, Deadline, Repository
from egovctl.drill.causes import Cause
from egovctl.drill.compare import digest_of
from egovctl.drill.ways import CONTROL, STATE_SERVICE, way_to
from egovctl.errors import CannotMeasure
from egovctl.evidence import Chain, Record
from egovctl.evidence.anchors import comment_of
from egovctl.evidence.record import suite_version
from egovctl.i18n import told
from egovctl.paths import Inventory

SEALED = "backup.sealed"
SECONDS = 3600.0
# Below the inventory's private folder, as far as they are there. What else is there can be made anew: scratch, sockets,
# borg's caches, what hosts and collectors said last, rulings. The order is that of copying: heads that control noted
# before the evidence that has them, and evidence before the files that it names, which are written before their record.
KEPT = ("control", "secrets", "evidence", "attachments", "assessments")
PASSPHRASE = f"borg_passphrase_{CONTROL}"


@dataclass(frozen=True)
class Staged:
    """A still copy of the state in `files`, with its manifest and heartbeat in `proof`; both go into the archive."""

    files: Path
    proof: Path


def seal(context: Context, chain: Chain) -> Record:
    """Put the state into control's own repository, which is made at first use; the record of it.

    The archive's comment holds the heads of the evidence in it: listing the archives tells all heads there ever were.
    """
    inventory = context.inventory
    _require_passphrase(inventory)
    repository = way_to(context, CONTROL, "state")
    deadline = Deadline.after(SECONDS)
    with staged(inventory) as still:
        _ensure(repository, deadline)
        name = f"{STATE_SERVICE}-{datetime.now():%Y-%m-%dT%H:%M:%S.%f}"  # two within a second are two
        paths = [str(still.files), str(still.proof)]
        heads = {path.stem: Chain(path).head() for path in (still.files / "evidence").glob("*.jsonl")}
        where = ["--comment", comment_of(heads), f"{repository.location}::{name}"]
        repository.call(["create", "--compression", "lz4", *where, *paths], deadline)
        manifest = json.loads((still.proof / STATE_SERVICE / "manifest.json").read_text(encoding="utf-8"))
    total = sum(item["size"] for item in manifest["files"])
    return chain.append(SEALED, {"archive": name, "files": len(manifest["files"]), "bytes": total})


@contextmanager
def staged(inventory: Inventory) -> Iterator[Staged]:
    """A copy that nobody writes to while it is archived; as private as what it was made from, and gone at the end.

    CannotMeasure when it cannot be made, as on a full disk.
    """
    root = inventory.state / "seal"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(mode=0o700)
    try:
        still = Staged(root / "files", root / "proof")
        try:
            _copy(inventory, still.files)
            _prove(still)
        except OSError as error:
            raise _no_copy(root, error) from None
        yield still
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _copy(inventory: Inventory, files: Path) -> None:
    for name in KEPT:
        if (source := inventory.state / name).is_dir():
            shutil.copytree(source, files / name, symlinks=True, ignore=_only_files)
    shutil.copytree(inventory.root, files / "inventory", symlinks=True, ignore=_only_files)


def _no_copy(root: Path, error: OSError) -> CannotMeasure:
    """The error for a copy that failed, with the first reason why."""
    why = error.args[0][0][2] if isinstance(error, shutil.Error) else error
    return CannotMeasure(
        told(
            f"无法在 {root} 中复制要封存的状态：{why}；什么也没有封存",
            f"the state could not be copied to {root} for sealing: {why}; nothing was sealed",
        )
    )


def _only_files(folder: str, names: list[str]) -> set[str]:
    """Sockets of kept connections, locks and half-written files are no state."""
    left_out = {name for name in names if name.startswith(".") or name in ("lock", "__pycache__")}
    here = Path(folder)
    return left_out | {name for name in names if not ((here / name).is_file() or (here / name).is_dir())}


def _prove(still: Staged) -> None:
    """The manifest and heartbeat that every backup has."""
    proof, now = still.proof / STATE_SERVICE, time.time()
    proof.mkdir(parents=True)
    files = [_entry(path) for path in sorted(still.files.rglob("*")) if path.is_file() and not path.is_symlink()]
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    whose = {"service": STATE_SERVICE, "host": CONTROL}
    manifest = {**whose, "taken_at": at, "paths": [str(still.files)], "files": files, "suite": suite_version()}
    (proof / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (proof / "heartbeat.json").write_text(json.dumps({**whose, "at": at, "unix": now}), encoding="utf-8")


def _entry(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {
        "path": str(path),
        "size": status.st_size,
        "mode": format(status.st_mode & 0o7777, "04o"),
        "owner": path.owner(),
        "group": path.group(),
        "sha256": digest_of(path),
    }


def _ensure(repository: Repository, deadline: Deadline) -> None:
    try:
        repository.call(["info", repository.location], deadline)
    except BorgFailed as error:
        if error.cause is not Cause.NO_BACKUP:
            raise
        repository.call(["init", "--encryption", "repokey-blake2", repository.location], deadline)


def _require_passphrase(inventory: Inventory) -> None:
    path = inventory.secrets / PASSPHRASE
    if not path.exists():
        raise CannotMeasure(
            told(
                f"缺少托管口令：请写入 {path}（权限 0600），并把它写在纸上封存于别处；没有它，封存的状态无人能开",
                f"the escrow passphrase is missing: write it to {path} with mode 0600, and on paper in a sealed "
                "envelope elsewhere; without it nobody opens what is sealed",
            )
        )
