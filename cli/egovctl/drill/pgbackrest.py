"""pgBackRest as a drill needs it: what there is, restore, fetch WAL. It runs in a box: what it reads may be hostile.

Debian 12's 2.45 dies of a segmentation fault when a catalogue cannot be decrypted, and tries again for 15 s what is
damaged: both are met here. The passphrase goes into the box's environment, never onto a command line or a disk.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from egovctl.drill.call import Deadline
from egovctl.drill.causes import Cause
from egovctl.drill.database import Fault, fault
from egovctl.drill.relay import NoRelay, Relay
from egovctl.drill.scratch import Box, User
from egovctl.drill.wal import Archive, Place, Segment, lsn

USER: User = "postgres"
PROGRAM = "/usr/bin/pgbackrest"
CATALOGUES = ("backup/{0}/backup.info", "backup/{0}/backup.info.copy", "archive/{0}/archive.info")
SALTED = b"Salted__"
CHUNK = 16  # segments fetched at once: what idle ones hold of zeros takes no room longer than that
# Say what went wrong with a segment, else each one's SHA-1, and move them over; holes are made of their zeros.
TAKE_OVER = """
cd "$1" || exit
for f in *.error; do [ ! -f "$f" ] || { echo "$f"; head -c 2000 "$f" | tr "\\n" " "; echo; }; done
sha1sum -- ???????????????????????? 2>/dev/null
for f in ????????????????????????; do [ ! -f "$f" ] || { fallocate -d "$f"; mv "$f" "$2"; }; done
rm -f ./*.ok
"""
ERROR = re.compile(r"\[\w+Error\] [^\[\n]+")
SUM = re.compile(r"([0-9a-f]{40})  ([0-9A-F]{24})")
SEGMENTATION_FAULT = -11
FULL = "No space left on device"
NOTHING_THERE = (1, 2, 3)  # of a stanza's status: no path, no backup, no data
NO_CATALOGUE = 3
MISSING = ("备份库的目录文件缺失", "the repository's catalogue is missing")
ERROR_LINE = re.compile(r"(?:ERROR: \[\d+\]: |WARN: )?(?P<text>.+)")


@dataclass(frozen=True)
class PgRepository:
    """A pgBackRest repository: on another host (`ssh`: the command that logs in there), or in a local folder.

    `program` starts pgBackRest for a local one, unless it is `mounted`: every box has it at `path`. The stanza is the
    service's name.
    """

    stanza: str
    passphrase: str
    path: str = "/srv/pgbackrest"
    ssh: tuple[str, ...] = ()
    program: tuple[str, ...] = ("pgbackrest",)
    mounted: bool = False

    def relay(self, box: Box, folder: Path) -> Relay | NoRelay:
        """The way from a box to it."""
        if self.mounted:
            return NoRelay()
        remote = self.ssh or (*self.program, "--config=/dev/null", f"--repo1-path={self.path}")
        return Relay(box, folder, USER, self.stanza, remote, joined=bool(self.ssh))


@dataclass(frozen=True)
class Backup:
    """One backup as the catalogue has it. `references`: those it builds on."""

    label: str
    kind: str
    references: tuple[str, ...]
    first: Place
    last: Place
    lsn_start: int
    lsn_stop: int
    started: float
    stopped: float
    database: int
    damaged_source: bool
    octets: int

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Backup:
        """From pgBackRest's JSON; KeyError, TypeError or ValueError when it is not like that."""
        return cls(
            str(data["label"]),
            str(data["type"]),
            tuple(map(str, data.get("reference") or ())),
            Place.of(data["archive"]["start"]),
            Place.of(data["archive"]["stop"]),
            lsn(data["lsn"]["start"]),
            lsn(data["lsn"]["stop"]),
            float(data["timestamp"]["start"]),
            float(data["timestamp"]["stop"]),
            int(data["database"]["id"]),
            bool(data.get("error")),
            int(data["info"]["size"]),
        )


@dataclass(frozen=True)
class Catalogue:
    """What the repository says that it has. `versions` and `systems` go by the database's id, the newest last."""

    backups: tuple[Backup, ...]
    versions: Mapping[int, str]
    systems: Mapping[int, str]
    archives: Mapping[int, str]

    @property
    def newest_database(self) -> int:
        """The id of the cluster that is backed up now."""
        return max(self.versions)


@dataclass(frozen=True)
class Fetched:
    """The WAL that was brought: how many segments, and the first that was not whole, with the reason."""

    segments: int
    broken: Place | None = None
    why: str = ""


class PgBackRest:
    """pgBackRest inside `box`, reading `source` by way of `relay`; its own folders are below `folder`."""

    def __init__(
        self, box: Box, source: PgRepository, relay: Relay | NoRelay, folder: Path, deadline: Deadline
    ) -> None:
        self._box, self._source, self._relay, self._deadline = box, source, relay, deadline
        self._folder = folder
        folder.mkdir()
        self.data, self.wal, self.spool = folder / "data", folder / "wal", folder / "spool"
        for path in (self.data, self.wal, self.spool, folder / "lock"):
            path.mkdir(mode=0o700)
        box.owned(folder, USER)

    def catalogue(self) -> Catalogue:
        """What there is; Fault when it cannot be read, Fault when the repository cannot be reached."""
        done = self._run(["info", "--output=json"], stanza=True)
        try:
            found = json.loads(done.stdout)[0] if done.returncode == 0 else None
        except (ValueError, IndexError):
            found = None
        if found is None:
            raise self._failed("info", done, self._why_unreadable())
        status = found["status"]
        if status["code"] in NOTHING_THERE:
            if status["code"] == NO_CATALOGUE and self.folders():
                raise fault(Cause.REPOSITORY_DAMAGED, *MISSING)
            raise fault(
                Cause.NO_BACKUP,
                f"备份库中没有 {self._source.stanza} 的备份：{status['message']}",
                f"the repository has no backup of {self._source.stanza}: {status['message']}",
            )
        if status["code"] != 0:
            words = " ".join(str(one.get("status", {}).get("message", "")) for one in found.get("repo", []))
            broken = CompletedProcess(done.args, 1, b"", words.encode())
            raise self._failed("info", broken, self._why_unreadable() if "CryptoError" in words else None)
        return _catalogue(found)

    def archives(self) -> dict[str, Archive]:
        """All WAL that is listed, by the name of its archive (15-1, say)."""
        files: dict[str, dict[str, tuple[int, float]]] = {}
        for path, told in self._listing(f"archive/{self._source.stanza}", recurse=True).items():
            name, _, rest = path.partition("/")
            files.setdefault(name, {})[rest] = told
        return {name: Archive.listed(some) for name, some in files.items()}

    def folders(self) -> frozenset[str]:
        """The backups that are really there, by label."""
        return frozenset(self._listing(f"backup/{self._source.stanza}", recurse=False, kind="path"))

    def restore(self, backup: Backup) -> None:
        """Restore it into `data`; tablespaces go to a folder beside it."""
        spaces = self._box.inside(self._folder / "tablespaces")
        options = [f"--set={backup.label}", "--type=default", f"--tablespace-map-all={spaces}", "--process-max=2"]
        options.append(
            f"--spool-path={self._box.inside(self._folder / 'lock')}"
        )  # a restore empties it, and fetch fills it
        done = self._run([*options, "restore"], stanza=True)
        if done.returncode != 0:
            raise self._failed("restore", done)

    def history(self, timeline: int) -> str:
        """A timeline's history file."""
        name = f"{timeline:08X}.history"
        where = self._box.inside(self.wal / name)
        done = self._run(["archive-get", name, where], stanza=True)
        if done.returncode != 0:
            raise self._failed(f"archive-get {name}", done)
        return self._inside(["cat", where]).decode("ascii", "replace")

    def fetch(self, segments: Sequence[Segment]) -> Fetched:
        """Bring these segments into `wal`, each checked against the SHA-1 in its name; ends at the first broken one.

        After a restore: pgBackRest asks the restored control file which cluster this is.
        """
        brought, incoming = 0, self._box.inside(self.spool) + f"/archive/{self._source.stanza}/in"
        self._inside(["mkdir", "-p", incoming])  # a restore takes it away
        for begin in range(0, len(segments), CHUNK):
            some = segments[begin : begin + CHUNK]
            options = ["--archive-async", "--process-max=2", *(one.place.name for one in some)]
            done = self._run(["archive-get:async", *options], stanza=True)
            self._hindered(done)
            moved = self._inside(["sh", "-c", TAKE_OVER, "sh", incoming, self._box.inside(self.wal)])
            said = moved.decode("utf-8", "replace")
            if "terminated unexpectedly" in said:
                raise self._unreachable(" ".join(said.split())[:300])
            sums = {found.group(2): found.group(1) for line in said.splitlines() if (found := SUM.fullmatch(line))}
            for one in some:
                if sums.get(one.place.name) != one.sha1:
                    why = "SHA-1" if one.place.name in sums else _why(said)
                    self._inside(["rm", "-f", self._box.inside(self.wal / one.place.name)])
                    return Fetched(brought, one.place, why)
                brought += 1
        return Fetched(brought)

    def _listing(self, path: str, *, recurse: bool, kind: str = "file") -> dict[str, tuple[int, float]]:
        options = ["--output=json", *(["--recurse"] if recurse else [])]
        done = self._run(["repo-ls", *options, path])
        try:
            data = json.loads(done.stdout) if done.returncode == 0 else None
        except ValueError:
            data = None
        if data is None:
            raise self._failed(f"repo-ls {path}", done)
        return {
            str(name): (int(one.get("size", 0)), float(one.get("time", 0)))
            for name, one in data.items()
            if one.get("type") == kind
        }

    def _run(self, arguments: list[str], *, stanza: bool = False) -> CompletedProcess[bytes]:
        argv = [PROGRAM, *([f"--stanza={self._source.stanza}"] if stanza else []), *arguments]
        return self._box.run(argv, user=USER, timeout=self._deadline.left, environment=self._variables())

    def _inside(self, argv: list[str]) -> bytes:
        return self._box.run(argv, user=USER, timeout=self._deadline.left).stdout

    def _variables(self) -> dict[str, str]:
        inside = self._box.inside
        chosen = {
            "CONFIG": "/dev/null",
            "REPO1_PATH": self._source.path,
            "REPO1_CIPHER_TYPE": "aes-256-cbc",
            "REPO1_CIPHER_PASS": self._source.passphrase,
            "PG1_PATH": inside(self.data),
            "SPOOL_PATH": inside(self.spool),
            "LOCK_PATH": inside(self._folder / "lock"),
            "LOG_LEVEL_FILE": "off",
            "LOG_LEVEL_CONSOLE": "off",
            "LOG_LEVEL_STDERR": "warn",
            "JOB_RETRY": "1",
        }
        if self._relay.client:
            way = {"REPO1_HOST": "repository", "REPO1_HOST_CMD": "pgbackrest", "REPO1_HOST_USER": "reader"}
            chosen |= {"CMD_SSH": self._relay.client, **way}
        return {f"PGBACKREST_{name}": value for name, value in chosen.items()}

    def _hindered(self, done: CompletedProcess[bytes]) -> None:
        """Raise one when the way, the room or a limit was the matter, and not the backup."""
        said = done.stderr.decode("utf-8", "replace")
        if FULL in said:
            raise fault(Cause.NO_ROOM, "临时目录已满", "the scratch is full")
        if done.returncode < 0 and done.returncode != SEGMENTATION_FAULT:
            raise fault(Cause.TOOL_FAILED, "pgBackRest 被终止", f"pgBackRest was killed by signal {-done.returncode}")
        if trouble := self._relay.trouble:
            raise fault(Cause.UNREACHABLE, f"无法读取备份库：{trouble}", f"the repository cannot be reached: {trouble}")
        if "greeting key" in said:
            raise fault(
                Cause.NOT_READY,
                f"本机与备份库的 pgBackRest 版本不同：{_telling(said)}",
                f"pgBackRest is of another version here than at the repository: {_telling(said)}",
            )
        if done.returncode == 127:
            raise fault(Cause.NOT_READY, "没有安装 pgBackRest", "pgBackRest is not installed")

    @staticmethod
    def _unreachable(why: str) -> Fault:
        return fault(Cause.UNREACHABLE, f"无法读取备份库：{why}", f"the repository cannot be reached: {why}")

    def _failed(self, verb: str, done: CompletedProcess[bytes], known: Fault | None = None) -> Exception:
        self._hindered(done)
        if known is not None:
            return known
        said = done.stderr.decode("utf-8", "replace")
        why = _telling(said) or f"exit code {done.returncode}"
        if "LockAcquire" in said or "stop file exists" in said:
            return fault(Cause.LOCKED, f"备份库被锁定：{why}", f"the repository is locked: {why}")
        cause = Cause.NO_BACKUP if "no backup set found" in said else Cause.REPOSITORY_DAMAGED
        return fault(cause, f"pgBackRest {verb} 失败：{why}", f"pgBackRest {verb} failed: {why}")

    def _why_unreadable(self) -> Fault:
        """Whether a catalogue that cannot be read is damaged, or the passphrase is not its own."""
        there = False
        for name in CATALOGUES:
            done = self._run(["repo-get", "--raw", name.format(self._source.stanza)])
            self._hindered(done)
            there = there or bool(done.stdout)
            if decrypts(done.stdout, self._source.passphrase):
                sentence = ("备份库的目录文件已损坏", "the repository's catalogue is damaged")
                return fault(Cause.REPOSITORY_DAMAGED, *sentence)
        if not there:
            return fault(Cause.REPOSITORY_DAMAGED, *MISSING)
        return fault(
            Cause.PASSPHRASE_WRONG,
            "备份库无法用规划中的密钥解密",
            "the repository cannot be decrypted with the passphrase that control has",
        )


def decrypts(text: bytes, passphrase: str) -> bool:
    """Whether the beginning of an encrypted catalogue is what pgBackRest writes (INI) once it is decrypted."""
    if len(text) < 32 or not text.startswith(SALTED):
        return False
    made = block = b""
    while len(made) < 48:
        block = hashlib.sha1(block + passphrase.encode() + text[8:16], usedforsecurity=False).digest()
        made += block
    reading = Cipher(algorithms.AES(made[:32]), modes.CBC(made[32:48])).decryptor()
    return reading.update(text[16:32]).startswith(b"[")


def _catalogue(found: Mapping[str, Any]) -> Catalogue:
    try:
        databases = sorted(found["db"], key=lambda one: int(one["id"]))
        return Catalogue(
            tuple(sorted((Backup.of(one) for one in found["backup"]), key=lambda one: one.stopped)),
            {int(one["id"]): str(one["version"]) for one in databases},
            {int(one["id"]): str(one["system-id"]) for one in databases},
            {int(one["database"]["id"]): str(one["id"]) for one in found["archive"]},
        )
    except (KeyError, TypeError, ValueError):
        sentence = ("备份库的目录内容有误", "the repository's catalogue says what it cannot")
        raise fault(Cause.REPOSITORY_DAMAGED, *sentence) from None


def _why(said: str) -> str:
    """What pgBackRest says of a segment: the first of its errors that names a kind."""
    errors = ERROR.findall(said)
    return errors[0].strip()[:200] if errors else "missing"


def _telling(said: str) -> str:
    """The line of pgBackRest's words that says why: its first error, without what it tried again."""
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    found = ERROR_LINE.fullmatch(errors[0]) if errors else None
    return found.group("text")[:300] if found else ""
