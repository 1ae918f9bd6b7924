"""A backup node's repositories and an off-site node beside them, in two folders: what its program is tested on."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
import types
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = REPOSITORY / "playbooks" / "roles" / "offsite" / "files" / "egov-offsite"
needs_tools = pytest.mark.skipif(
    shutil.which("borg") is None or shutil.which("rsync") is None, reason="borgbackup or rsync is not installed"
)


def program() -> types.ModuleType:
    loader = importlib.machinery.SourceFileLoader("egov_offsite", str(PROGRAM))
    spec = importlib.util.spec_from_loader("egov_offsite", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


offsite = program()


STATES = ("after-one", "after-two")


class Site:
    """A backup node's folder of repositories, and an off-site node beside it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, stock: Path | None = None) -> None:
        self.stock = stock
        self.node, self.root, self.base = folder / "node", folder / "offsite", folder / "base"
        self.textfile = folder / "egov_offsite.prom"
        for path in (self.node, self.root / "generations"):
            path.mkdir(parents=True)
        if stock is not None:
            shutil.copytree(stock / "base", self.base)
        keep = {"newest": 24, "daily": 14, "weekly": 8, "monthly": 12}
        self.settings = {
            "sources": [{"name": "borg", "kind": "borg", "from": f"{self.node}/"}],
            "keep": keep,
            "gone_percent": 50,
        }
        self.settings |= {"read_whole_days": 7, "reserve_mib": 1, "kib_per_second": None}
        self.write()
        monkeypatch.setenv("EGOV_OFFSITE_ROOT", str(self.root))
        monkeypatch.setenv("EGOV_OFFSITE_SETTINGS", str(folder / "offsite.json"))
        monkeypatch.setenv("EGOV_OFFSITE_TEXTFILE", str(self.textfile))
        monkeypatch.setattr(offsite.os, "geteuid", lambda: 1000)  # no users of the role's here
        monkeypatch.setattr(offsite.os, "sync", lambda: None)  # seconds, where others write

    def write(self) -> None:
        (self.node.parent / "offsite.json").write_text(json.dumps(self.settings))

    def borg(self, *arguments: str) -> None:
        ways = {"BORG_PASSPHRASE": "x", "BORG_BASE_DIR": str(self.base), "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}
        ways |= {"BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
        subprocess.run(["borg", *arguments], env={**os.environ, **ways}, check=True, capture_output=True)

    def backup(self, number: int, host: str = "h1") -> None:
        if self.stock is not None and host == "h1" and number <= len(STATES):
            shutil.rmtree(self.node / "h1", ignore_errors=True)
            shutil.copytree(self.stock / STATES[number - 1], self.node / "h1")
            return
        data = self.node.parent / "data"
        data.mkdir(exist_ok=True)
        for name in range(6):
            (data / f"{name}").write_bytes(os.urandom(40_000))
        if not (self.node / host).exists():
            self.borg("init", "-e", "repokey", str(self.node / host))
        self.borg("create", f"{self.node / host}::documents-2026-01-{number:02}T00:00:00", str(data))

    def generation(self) -> dict[str, dict[str, object]]:
        for verb in ("prepare", "pull", "seal"):
            offsite.main([verb])
        return self.said()

    def said(self, place: int = -1) -> dict[str, dict[str, object]]:
        folder = sorted((self.root / "generations").iterdir())[place]
        return json.loads((folder / "generation.json").read_text())["repositories"]

    def kept(self, host: str = "h1", place: int = -1) -> Path:
        return sorted((self.root / "generations").iterdir())[place] / "borg" / host

    def segments(self, host: str = "h1") -> list[Path]:
        found = [path for path in (self.node / host / "data").rglob("*") if path.is_file()]
        return sorted(found, key=lambda path: int(path.name))


def archives(site: Site, repository: Path) -> list[str]:
    copy = site.node.parent / "restored"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(repository, copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    # With nothing remembered: borg refuses an older state of what it knows.
    base = site.node.parent / "forgetful"
    shutil.rmtree(base, ignore_errors=True)
    ways = {"BORG_PASSPHRASE": "x", "BORG_BASE_DIR": str(base), "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}
    done = subprocess.run(
        ["borg", "list", "--short", str(copy)], env={**os.environ, **ways}, check=True, capture_output=True, text=True
    )
    return done.stdout.split()
