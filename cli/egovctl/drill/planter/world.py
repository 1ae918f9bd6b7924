"""A world: a host with its data, the backups that it made, and what a drill is told of them; all from one seed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from egovctl.drill.planter import content
from egovctl.paths import project_root

LINK = Path(__file__).with_name("link.py")
HOOK = Path("playbooks/roles/borgmatic/files/egov-backup-manifest")
SERVICES = ("documents", "register", "portal", "meetings", "archive")
HOSTS = ("minqin-education", "gulang-water", "tianzhu-roads", "liangzhou-health", "noc")
OWNERS = (0, 33, 1000, 65534, 1234567)
MODES = (0o644, 0o640, 0o600, 0o755, 0o4750, 0o444, 0o664)
AS_HOST = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"')
QUIRKS = (
    "hardlinks",
    "links",
    "sockets",
    "empty folder",
    "rewritten",
    "resealed",
    "others",
    "renamed",
    "seen",
    "rough link",
)
SEGMENT = (200_000, 1_000_000, 5_000_000, 524_288_000)


@dataclass
class World:
    """What stands in `folder`. Faults change it, or how its last backup is made, before or after."""

    rng: Random
    folder: Path
    service: str
    host: str
    rto: int
    rpo: int
    paths: list[Path]
    passphrase: str
    hostname: str  # what the host calls itself
    told: list[Path]  # what the host backs up: the plan's paths, unless it was told less
    interval: float  # seconds between two backups
    age: float  # of the newest backup, seconds
    skew: float = 0.0  # of the host's clock, seconds
    excluded: list[str] = field(default_factory=list)
    quirks: list[str] = field(default_factory=list)
    primed: bool = False  # whether control has seen this repository before
    link: dict[str, Any] | None = None  # how the way to the repository is; None: it is local
    scratch_octets: int | None = None  # of a file system of its own for the drill
    filled: bool = False  # whether someone else fills that one meanwhile
    serial: int = 0
    done: bool = False  # whether the newest backup is made already
    names: set[str] = field(default_factory=set)  # of archives that were made
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def location(self) -> str:
        """The repository as control calls it: over the link of this world."""
        return f"ssh://node{self.repository}"

    @property
    def ssh(self) -> list[str]:
        return [sys.executable, "-I", "-S", str(LINK), str(self.folder / "link.json")]

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def proof(self) -> Path:
        return self.folder / "proof"

    def files(self, *kinds: str) -> list[Path]:
        """The regular files, in a fixed order; only of these kinds, if any are named."""
        found = []
        for path in self.paths:
            every = [path] if path.is_file() else sorted(path.rglob("*"))
            found += [item for item in every if item.is_file() and not item.is_symlink()]
        wanted = tuple(f".{kind}" for kind in kinds)
        return [item for item in found if not wanted or item.name.endswith(wanted)]

    def write(self, path: Path, data: bytes) -> None:
        """Write a file with an owner and a mode of its own."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.chown(path, self.rng.choice(OWNERS), self.rng.choice(OWNERS))
        path.chmod(self.rng.choice(MODES))

    def add(self, folder: Path, kind: str | None = None) -> None:
        """A new file somewhere below a folder."""
        self.serial += 1
        chosen = kind or self.rng.choices(list(content.SHARES), list(content.SHARES.values()))[0]
        where = folder.joinpath(*(f"{self.rng.randrange(4)}" for _ in range(self.rng.randrange(4))))
        name = os.fsdecode(content.name_of(self.rng, self.serial, chosen))
        self.write(where / name, content.MAKERS[chosen](self.rng, content.size_of(self.rng)))

    def rewrite(self, path: Path) -> None:
        """Another content of the same kind."""
        kind = next((name for name in content.MAKERS if path.name.endswith(f".{name}")), "txt")
        path.write_bytes(content.MAKERS[kind](self.rng, max(64, content.size_of(self.rng))))

    def evolve(self) -> None:
        """A day's work: files are changed, come and go. At least one file stays below each path."""
        share = 1.0 if "rewritten" in self.quirks else self.rng.uniform(0, 0.3)
        for path in self.files():
            luck = self.rng.random()
            if luck < share or ("resealed" in self.quirks and path.name.endswith("sealed")):
                self.rewrite(path)
            elif luck > 0.97 and sum(1 for _ in path.parent.iterdir()) > 1:
                path.unlink()
        folders = [path for path in self.paths if path.is_dir()]
        for _ in range(self.rng.randrange(5)):
            self.add(self.rng.choice(folders))

    def prove(self) -> None:
        """What the hook does before a backup, by the hook itself; then the host's name and time, as they are there."""
        hook = project_root() / HOOK
        argv = [sys.executable, str(hook), self.service, *map(str, self.told)]
        subprocess.run(argv, env={**os.environ, "EGOV_BACKUP_DIR": str(self.proof)}, check=True, capture_output=True)
        moment = time.time() - self.age + self.skew
        stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name in ("manifest.json", "heartbeat.json"):
            path = self.proof / self.service / name
            data = json.loads(path.read_text()) | {"host": self.hostname}
            data |= {"unix": moment, "at": stamp} if name == "heartbeat.json" else {"taken_at": stamp}
            path.write_text(json.dumps(data))

    def create(self, service: str | None = None) -> None:
        """One archive, at the world's time."""
        service, at = service or self.service, datetime.fromtimestamp(time.time() - self.age + self.skew, UTC)
        while (name := f"{service}-{at:%Y-%m-%dT%H:%M:%S}") in self.names:  # two of the same second
            at += timedelta(seconds=1)
        self.names.add(name)
        excludes = [word for path in self.excluded for word in ("--exclude", f"pp:{path}")]
        how = ["--compression", "lz4", "--timestamp", f"{at:%Y-%m-%dT%H:%M:%S}", *excludes]
        proof = self.proof / self.service
        self.borg(
            "create",
            *how,
            f"{self.repository}::{name}",
            *map(str, self.told),
            *([str(proof)] if proof.exists() else []),
        )

    def borg(self, *arguments: str) -> bytes:
        """Borg as the host calls it."""
        environment = {
            **os.environ,
            "BORG_PASSPHRASE": self.passphrase,
            "BORG_BASE_DIR": str(self.folder / "of-host"),
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
            "LC_ALL": "C.UTF-8",
        }
        return self._borg(environment, *arguments)

    def prime(self) -> None:
        """Control looks at the repository as it does in a drill, and keeps in mind what it saw."""
        (self.folder / "link.json").write_text("{}")
        environment = {
            **os.environ,
            "BORG_PASSPHRASE": self.passphrase,
            "BORG_BASE_DIR": str(self.folder / "of-control"),
            "BORG_RSH": shlex.join(self.ssh),
            "LC_ALL": "C.UTF-8",
        }
        self._borg(environment, "list", self.location)

    def _borg(self, environment: dict[str, str], *arguments: str) -> bytes:
        argv = [*AS_HOST, self.hostname, "borg", "--lock-wait", "60", *arguments]
        done = subprocess.run(argv, env=environment, check=False, capture_output=True)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"borg {arguments[0]}: {done.stderr.decode('utf-8', 'replace')[-2000:]}")
        return done.stdout

    def backup(self) -> None:
        """Manifest and archive."""
        self.prove()
        self.create()


def make(rng: Random, folder: Path) -> World:
    """A host with data, and a repository without archives yet."""
    folder.mkdir(mode=0o700, parents=True)
    source = folder / "host"
    service, host = rng.choice(SERVICES), rng.choice(HOSTS)
    paths = [source / "srv" / service, source / "etc" / f"{service}.conf", source / "var" / "lib" / "图片 库"]
    paths = [paths[0], *rng.sample(paths[1:], rng.randrange(3))]
    interval = rng.choice((900, 3600, 86_400, 20 * 86_400, 60 * 86_400))
    world = World(
        rng,
        folder,
        service,
        host,
        rto=rng.choice((30, 60, 120)),
        rpo=rng.choice((3600, 7200, 86_400)),
        paths=paths,
        passphrase=rng.randbytes(12).hex(),
        hostname=host,
        told=list(paths),
        interval=interval,
        age=0.0,
    )
    for path in paths:
        if path.suffix == ".conf":
            world.write(path, content.text(rng, 500))
            continue
        for _ in range(min(400, 3 + int(rng.lognormvariate(3.2, 1.0)))):
            world.add(path)
    _quirks(world)
    world.borg("init", "--encryption", "repokey", str(world.repository))
    config = world.repository / "config"
    config.write_text(
        config.read_text().replace("max_segment_size = 524288000", f"max_segment_size = {rng.choice(SEGMENT)}")
    )
    return world


def _quirks(world: World) -> None:
    """What is unusual and yet in order: none of it may raise an alarm."""
    rng, first = world.rng, world.paths[0]
    for name in QUIRKS:
        if rng.random() < 0.2:
            world.quirks.append(name)
    files = world.files()
    if "hardlinks" in world.quirks:
        os.link(files[0], first / "又一个名字")
    if "links" in world.quirks:
        (first / "latest").symlink_to(files[-1].name)
        (first / "nowhere").symlink_to("/nowhere/at all")
    if "sockets" in world.quirks:
        os.mkfifo(first / "queue")
    if "empty folder" in world.quirks:
        (first / "incoming").mkdir(exist_ok=True)
    world.primed = "seen" in world.quirks
    if "rough link" in world.quirks:
        world.link = {"delay": rng.choice((0.0, 0.002)), "rate": rng.choice((0, 20_000_000))}


def remove(folder: Path) -> None:
    """Take a world away."""
    shutil.rmtree(folder, ignore_errors=True)
