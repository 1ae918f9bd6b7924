"""A host's data, backed up by borg with the real hook, and by restic if it is there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from figures import REPOSITORY

HOOK = REPOSITORY / "playbooks" / "roles" / "borgmatic" / "files" / "egov-backup-manifest"
PASSPHRASE = "bench"
SERVICE, HOST = "documents", "bench"
WORDS = [f"word{number}" for number in range(4000)]


class Data:
    """Files below `folder`, of sizes as offices have them; half of the octets cannot be compressed."""

    def __init__(self, folder: Path, files: int, mib: int) -> None:
        self.folder, self.files, self.octets = folder, files, mib << 20
        self.source, self.repository = folder / "srv" / "documents", folder / "borg"
        self.restic, self.proof = folder / "restic", folder / "proof"
        self.digest = ""

    def make(self) -> str:
        """Write them, back them up twice (a drill looks at an older archive too); a word on how much there is."""
        self._write()
        self.borg("init", "--encryption", "repokey", str(self.repository))
        for day in ("01", "02"):
            environment = {**os.environ, "EGOV_BACKUP_DIR": str(self.proof)}
            hook = [sys.executable, str(HOOK), SERVICE, str(self.source)]
            subprocess.run(
                ["unshare", "--uts", "sh", "-c", f'hostname {HOST}; exec "$@"', "-", *hook], env=environment, check=True
            )
            name = f"{self.repository}::{SERVICE}-2026-01-{day}T00:00:00"
            self.borg("create", "--compression", "lz4", name, str(self.source), str(self.proof / SERVICE))
        if shutil.which("restic"):
            self.run_restic("init")
            self.run_restic("backup", str(self.source))
        self.digest = digest_of(self.source)
        size = sum(path.stat().st_size for path in self.source.rglob("*") if path.is_file()) >> 20
        return f"{self.files} files, {size} MiB; restic: {'yes' if shutil.which('restic') else 'not there'}"

    def remove(self) -> None:
        """Make room for what comes next."""
        for path in (self.folder / "srv", self.repository, self.restic, self.folder / "restored"):
            shutil.rmtree(path, ignore_errors=True)

    def _write(self) -> None:
        rng, left = Random(1), self.octets
        mean = self.octets / self.files
        for number in range(self.files):
            size = min(left, int(rng.paretovariate(1.2) * mean / 6))
            if number == self.files - 1:
                size = min(left, 256 << 20)
            left -= size
            path = self.source / f"{number % 97}" / f"公文 {number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if number % 2:
                path.write_bytes(rng.randbytes(size))
            else:
                path.write_bytes(" ".join(rng.choices(WORDS, k=size // 8 + 1)).encode()[:size])

    def environment(self) -> dict[str, str]:
        """For borg and restic alike."""
        return {
            **os.environ,
            "BORG_PASSPHRASE": PASSPHRASE,
            "BORG_BASE_DIR": str(self.folder / "base"),
            "RESTIC_PASSWORD": PASSPHRASE,
            "RESTIC_REPOSITORY": str(self.restic),
            "RESTIC_CACHE_DIR": str(self.folder / "restic-cache"),
            "LC_ALL": "C.UTF-8",
        }

    def borg(self, *arguments: str) -> None:
        subprocess.run(["borg", *arguments], env=self.environment(), check=True, capture_output=True)

    def run_restic(self, *arguments: str) -> None:
        subprocess.run(["restic", "-q", *arguments], env=self.environment(), check=True, capture_output=True)


def digest_of(folder: Path) -> str:
    """One hash over all names and contents."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(folder)).encode() + b"\0")
        with path.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()


def settle() -> None:
    """What was written before must not be paid for by the next one."""
    os.sync()
    time.sleep(0.5)
