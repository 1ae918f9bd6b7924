"""A restored PostgreSQL in a box: started with nothing of its own configuration, ready, asked, stopped.

archive_mode is off, there is no primary to connect to, no library of the cluster's own choice is preloaded, and
nothing listens but a unix socket. What it is asked for goes through psql, in the box too.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egovctl.drill.call import Deadline, TookTooLong
from egovctl.drill.causes import Cause
from egovctl.drill.database import Fault, fault
from egovctl.drill.scratch import Box, Started, User
from egovctl.drill.wal import parse_history
from egovctl.i18n import both, told

USER: User = "postgres"
PROGRAMS = "/usr/lib/postgresql/{0}/bin"
POLL = 0.05
SETTINGS = {
    "listen_addresses": "",
    "archive_mode": "off",
    "archive_command": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "hot_standby": "off",  # so that no setting of the live cluster must be matched; who gets in is after recovery
    "recovery_target_timeline": "latest",
    "ssl": "off",
    "jit": "off",
    "fsync": "off",  # what is restored here is thrown away
    "full_page_writes": "off",
    "autovacuum": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "log",
    "lc_messages": "C",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "20",
    "max_wal_senders": "0",
    "shared_buffers": "64MB",
    "dynamic_shared_memory_type": "mmap",
    "max_wal_size": "256MB",
}
# A manifest's hashes are of text, which depends on these.
SESSION = (
    "-c timezone=UTC -c datestyle=ISO,YMD -c intervalstyle=postgres -c extra_float_digits=1 "
    "-c bytea_output=hex -c client_encoding=UTF8 -c search_path=public"
)
# What a server says when it does not start, and what that means. The first that fits counts.
DEATHS = (
    ("No space left on device", Cause.NO_ROOM),
    ("recovery ended before configured recovery target was reached", Cause.WAL_GAP),
    ("WAL ends before", Cause.WAL_GAP),
    ("is not a child of this server's history", Cause.WAL_GAP),
    ("could not locate required checkpoint record", Cause.WAL_GAP),
    ("could not find redo location", Cause.WAL_GAP),
    ("could not locate a valid checkpoint record", Cause.WAL_GAP),
    ("database files are incompatible with server", Cause.VERSION_MISMATCH),
    ("was initialized by PostgreSQL version", Cause.VERSION_MISMATCH),
)
# What it answers who asks too early is not why it died.
FATAL = re.compile(r"(?:FATAL|PANIC): ++(?!the database system is )(.+)")
BROKEN_RECORD = "incorrect resource manager data checksum"
STOPPED = re.compile(r"recovery stopping (?:before|after) .*")


@dataclass(frozen=True)
class Control:
    """What the restored cluster says of itself before it is started (pg_controldata)."""

    system: str
    prepared: int


@dataclass(frozen=True)
class Recovered:
    """Where recovery ended: the timeline that was left there, and the LSN after the last record."""

    timeline: int
    replayed: str


class PgServer:
    """The cluster in `data`, recovering from `wal`, with its configuration and socket below `folder` (not made yet)."""

    def __init__(self, box: Box, data: Path, wal: Path, folder: Path, version: str, deadline: Deadline) -> None:
        self._box, self.deadline, self._data = box, deadline, box.inside(data)
        self._programs = PROGRAMS.format(version)
        self._server: Started | None = None
        folder.mkdir()
        (folder / "pg_hba.conf").write_text("local all all trust\n", encoding="ascii")
        (folder / "pg_ident.conf").touch()
        (folder / "postgresql.conf").touch()
        self._wal = box.inside(wal)
        self._folder = box.owned(folder, USER)
        if self._box.run([f"{self._programs}/postgres", "--version"], user=USER, timeout=deadline.left).returncode:
            raise fault(
                Cause.VERSION_MISMATCH,
                f"备份属于 PostgreSQL {version}，控制机没有这个版本",
                f"the backup is of PostgreSQL {version}, and there is no such version on control",
            )

    def control(self) -> Control:
        """Fault when its control file cannot be read."""
        done = self._box.run([f"{self._programs}/pg_controldata", self._data], user=USER, timeout=self.deadline.left)
        lines = (line.partition(":") for line in done.stdout.decode("utf-8", "replace").splitlines())
        said = {name.strip(): value.strip() for name, _, value in lines}
        try:
            return Control(said["Database system identifier"], int(said["max_prepared_xacts setting"]))
        except (KeyError, ValueError):
            sentence = ("恢复的数据库控制文件无法读取", "the control file of the restored cluster cannot be read")
            raise fault(Cause.NOT_STARTED, *sentence) from None

    def start(self, control: Control, until: float | None = None) -> None:
        """Start it recovering to the end of the WAL, or to a moment (Unix time); returns when it is ready."""
        script = (
            'cd "$1" && rm -rf postgresql.auto.conf standby.signal recovery.signal log pg_log && '
            ": >postgresql.auto.conf && : >recovery.signal"
        )
        self._must(["sh", "-c", script, "sh", self._data])
        chosen = {
            **SETTINGS,
            "unix_socket_directories": self._folder,
            "config_file": f"{self._folder}/postgresql.conf",
            "hba_file": f"{self._folder}/pg_hba.conf",
            "ident_file": f"{self._folder}/pg_ident.conf",
            "external_pid_file": "",
            "restore_command": f'cp "{self._wal}/%f" "%p"',
            "max_prepared_transactions": str(min(control.prepared, 1000)),
        }
        if until is not None:
            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(until)) + f"{until % 1:.6f}"[1:]
            chosen |= {"recovery_target_time": f"{moment}+00", "recovery_target_action": "promote"}
        options = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
        self._server = self._box.start([f"{self._programs}/postgres", "-D", self._data, *options], user=USER)
        while not self._ready():
            if not self._server.alive:
                raise self._death()
            if time.monotonic() > self.deadline.at:
                raise TookTooLong(told("恢复的数据库未能及时就绪", "the restored cluster was not ready in time"))
            time.sleep(POLL)

    def stop(self) -> None:
        """Stop it; a second time does no harm."""
        if self._server is not None:
            self._server.stop(patience=5.0)

    @property
    def said(self) -> str:
        """The last of its log."""
        return self._server.said if self._server else ""

    def ask(self, database: str, text: str) -> str:
        """What psql prints for it, unaligned; Refused with the server's words when it is an error."""
        done = self._psql(database, text)
        if done.returncode != 0:
            raise Refused(_words(done.stderr.decode("utf-8", "replace")))
        return str(done.stdout.decode("utf-8", "replace")).rstrip("\n")

    def rows(self, database: str, text: str) -> list[list[Any]]:
        """The rows of a query of one JSON array each."""
        return [json.loads(line) for line in self.ask(database, text).splitlines()]

    def digest(self, database: str, table: str, columns: Iterable[str]) -> str:
        """SHA-256 over the table's rows as COPY prints them, in the order of its primary key."""
        order = ", ".join(columns)
        copy = f"COPY (SELECT * FROM {table} ORDER BY {order}) TO STDOUT"  # noqa: S608 - names that the server quoted
        argv = ["sh", "-c", '"$@" | sha256sum', "sh", *self._client(database), "-c", copy]
        return self._must(argv, {"PGOPTIONS": SESSION}).decode("ascii", "replace")[:64]

    def amcheck(self, database: str) -> str:
        """The first word of pg_amcheck about damage in a database; empty when it found none."""
        options = ["-h", self._folder, "-U", "postgres", "-d", database, "--install-missing"]
        argv = [f"{self._programs}/pg_amcheck", *options]
        done = self._box.run(argv, user=USER, timeout=self.deadline.left)
        return "" if done.returncode == 0 else _words((done.stdout + done.stderr).decode("utf-8", "replace"))

    def probe(self, database: str) -> None:
        """Write, read, and take back; Refused when it cannot."""
        text = (
            "BEGIN; CREATE TABLE public.egov_drill_probe (n int PRIMARY KEY); INSERT INTO public.egov_drill_probe "
            "SELECT generate_series(1, 100); SELECT sum(n) FROM public.egov_drill_probe; "
            "DROP TABLE public.egov_drill_probe; COMMIT"
        )
        if self.ask(database, text) != "5050":
            raise Refused(told("写入后读到的内容不同", "what was written came back otherwise"))

    def recovered(self) -> Recovered:
        """Where recovery ended."""
        now = int(self.ask("postgres", "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"), 16)
        text = self.ask("postgres", f"SELECT pg_read_file('pg_wal/{now:08X}.history')")
        left, _ = parse_history(text)[-1]
        return Recovered(left, self.ask("postgres", "SELECT pg_last_wal_replay_lsn()"))

    def _ready(self) -> bool:
        done = self._psql("postgres", "SELECT pg_is_in_recovery()")
        return bool(done.returncode == 0 and done.stdout.strip() == b"f")

    def _client(self, database: str) -> list[str]:
        where = ["-h", self._folder, "-U", "postgres", "-d", database]
        return [f"{self._programs}/psql", *where, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]

    def _psql(self, database: str, text: str) -> Any:
        return self._box.run(
            [*self._client(database), "-f", "-"],
            user=USER,
            input=text.encode(),
            timeout=self.deadline.left,
            environment={"PGOPTIONS": SESSION, "PGCONNECT_TIMEOUT": "30"},
        )

    def _must(self, argv: list[str], environment: Mapping[str, str] | None = None) -> bytes:
        done = self._box.run(argv, user=USER, timeout=self.deadline.left, environment=environment or {})
        if done.returncode != 0:
            raise Refused(_words(done.stderr.decode("utf-8", "replace")))
        return done.stdout

    def _death(self) -> Exception:
        said = self.said
        fatal = FATAL.findall(said)
        why = fatal[-1] if fatal else _words(said)
        cause = next((cause for words, cause in DEATHS if words in said), Cause.NOT_STARTED)
        if cause is Cause.NO_ROOM:
            return fault(cause, "临时目录已满", "the scratch is full")
        return fault(cause, f"恢复的数据库没有启动：{why}", f"the restored cluster did not start: {why}")


class Refused(Fault):
    """The restored server answered with an error."""

    def __init__(self, words: str) -> None:
        said = both(words)
        text = told(f"恢复的数据库报错：{said['zh']}", f"the restored database answers with an error: {said['en']}")
        super().__init__(Cause.DATABASE_DAMAGED, text)


def _words(said: str) -> str:
    """The first line of a message that says something, without psql's place."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "FATAL" in line] or lines
    return re.sub(r"^psql:\S*: ?", "", errors[0])[:300] if errors else told("它什么也没说", "it said nothing")
