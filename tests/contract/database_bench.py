"""Real PostgreSQL, pgBackRest and MariaDB for tests, without a lab: programs of .tools/, servers in temporary folders.

A cluster with a department's register costs two seconds to make and back up; tests copy what they spoil. Nothing
listens but on a unix socket, nothing is installed, and a server dies with the process that started it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from egovctl.drill.borg import Repository
from egovctl.drill.call import TookTooLong
from egovctl.drill.pgbackrest import PgRepository
from egovctl.drill.scratch import Box, Limits, Scratch

NO_MORE: Mapping[str, str] = {}
REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / ".tools"
POSTGRESQL = TOOLS / "usr" / "lib" / "postgresql" / "15" / "bin"
PGBACKREST = TOOLS / "usr" / "bin" / "pgbackrest"
MARIADBD = TOOLS / "usr" / "sbin" / "mariadbd"
MARIADB = TOOLS / "usr" / "bin" / "mariadb"
LIBRARIES = TOOLS / "usr" / "lib" / "x86_64-linux-gnu"
FAKETIME = LIBRARIES / "faketime" / "libfaketime.so.1"
ROOM = 2 << 30  # octets that the tests of one process need at most
STANZA = "register"
PASSPHRASE = "correct horse"
# PostgreSQL refuses root; mapped so, root is an ordinary user that owns its own files and has no other right.
UNPRIVILEGED = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--") if os.geteuid() == 0 else ()
DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")

REGISTER = """
CREATE SCHEMA register;
CREATE TABLE register.citizens (id bigint PRIMARY KEY, name text NOT NULL, born date NOT NULL, address text);
CREATE TABLE register.permits (id bigint PRIMARY KEY, citizen bigint NOT NULL REFERENCES register.citizens,
  kind text NOT NULL, issued timestamptz NOT NULL DEFAULT now(), fee numeric(10,2) NOT NULL);
CREATE INDEX ON register.permits (citizen);
CREATE TABLE register.visits (at timestamptz NOT NULL DEFAULT now(), said text NOT NULL);
INSERT INTO register.citizens SELECT n, '居民 ' || n, date '1950-01-01' + (n * 37) % 20000, '民勤县 ' || md5(n::text)
  FROM generate_series(1, {rows}) n;
INSERT INTO register.permits SELECT n, 1 + n % {rows}, 'kind ' || n % 7, now(), n % 100 + 0.5
  FROM generate_series(1, {rows} * 2) n;
INSERT INTO register.visits SELECT now(), md5(n::text) FROM generate_series(1, 50) n;
CREATE TABLE egov_heartbeat (at timestamptz PRIMARY KEY, lsn pg_lsn);
CREATE TABLE egov_manifest (taken_at timestamptz PRIMARY KEY, body jsonb);
"""


def available(*programs: Path) -> bool:
    """Whether the programs were unpacked (`make .tools/.ready`)."""
    return all(program.is_file() for program in programs)


def in_environment(**more: str) -> dict[str, str]:
    """The environment of a program of .tools/."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "MYSQL", "MARIADB"))}
    return {**kept, "LD_LIBRARY_PATH": str(LIBRARIES), "LC_ALL": "C.UTF-8", "TZ": "UTC", **more}


def call(argv: Sequence[object], *, input: bytes | None = None, timeout: float = 60, **more: str) -> bytes:
    """Run a program as an ordinary user; its output, or an AssertionError with its words."""
    done = subprocess.run(
        [*UNPRIVILEGED, *map(str, argv)], input=input, capture_output=True, env=in_environment(**more), timeout=timeout
    )
    assert done.returncode == 0, f"{argv[0]}: {done.stderr.decode('utf-8', 'replace')[-2000:]}"
    return done.stdout


@dataclass
class Cluster:
    """A PostgreSQL cluster that archives into a pgBackRest repository; all of it below `folder`."""

    folder: Path
    stanza: str = STANZA
    passphrase: str = PASSPHRASE
    settings: dict[str, str] = field(default_factory=dict)
    ago: int = 0  # seconds that the clock of the server and of pgBackRest is behind: what they do was done then
    server: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.folder / "data"

    @property
    def repository(self) -> Path:
        """The pgBackRest repository: what a drill restores from."""
        return self.folder / "repository"

    def copied_to(self, folder: Path) -> Cluster:
        """The same (stopped) cluster elsewhere, to go on with."""
        assert self.server is None
        copied(self.folder, folder)
        return Cluster(folder, self.stanza, self.passphrase)

    @contextmanager
    def running(self, ago: int = 0) -> Iterator[Cluster]:
        """Running meanwhile, perhaps so long ago; then its plug is pulled, so that nothing is archived that was not."""
        self.ago = ago
        try:
            self.start()
            yield self
        finally:
            self.kill()
            self.ago = 0
            _sweep()

    def promote(self) -> None:
        """Begin a new timeline, as a standby does that takes over."""
        self.kill()
        (self.data / "standby.signal").touch()
        self.settings["hot_standby"] = "on"
        self.start()
        call([POSTGRESQL / "pg_ctl", "-D", self.data, "-w", "promote"])

    def source(self, **other: Any) -> PgRepository:
        """The repository as a drill takes it."""
        return local_repository(self.repository, **other)

    def make(self, rows: int = 400) -> None:
        """Initialise, start, load the register, and make the stanza."""
        self.initialise()
        self.start()
        self.load(rows)

    def load(self, rows: int) -> None:
        """The register, and the stanza."""
        self.sql("CREATE DATABASE register", database="postgres")
        self.sql(REGISTER.format(rows=rows))
        self.pgbackrest("stanza-create")

    def initialise(self) -> None:
        """An empty cluster, and its folders."""
        self.repository.mkdir(parents=True, exist_ok=True)
        (self.folder / "lock").mkdir()
        options = ["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-k", "--no-sync", "--no-instructions"]
        call([POSTGRESQL / "initdb", "-D", self.data, *options])

    def start(self) -> None:
        """Start and wait until it answers."""
        quick = {"fsync": "off", "jit": "off", "max_wal_size": "64MB", "min_wal_size": "32MB", "shared_buffers": "16MB"}
        ways = {"listen_addresses": "", "unix_socket_directories": str(self.folder), "max_connections": "20"}
        archive = {"archive_mode": "on", "archive_command": f"{PGBACKREST} archive-push %p"}
        chosen = quick | ways | archive | self.settings
        argv = [*DIES_WITH_PARENT, *UNPRIVILEGED, *self._then, POSTGRESQL / "postgres", "-D", self.data]
        argv += [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen(list(map(str, argv)), stdout=log, stderr=log, env=self._environment())
        for _ in range(600):
            with suppress(AssertionError):
                self.sql("SELECT 1", database="postgres")
                return
            assert self.server.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def stop(self) -> None:
        """Shut it down as an administrator would: what is left in pg_wal is archived first."""
        if self.server and self.server.poll() is None:
            call([POSTGRESQL / "pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop"])
            self.server.wait(timeout=30)
        self.server = None

    def kill(self) -> None:
        """Pull the plug."""
        if self.server and self.server.poll() is None:
            call([POSTGRESQL / "pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop"])
            self.server.wait(timeout=30)
        self.server = None

    def sql(self, text: str, database: str = "register") -> str:
        """What psql prints for it, unaligned and without headings; any error is an AssertionError."""
        argv = [POSTGRESQL / "psql", "-h", self.folder, "-U", "postgres", "-d", database]
        return call([*argv, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"], input=text.encode()).decode().strip()

    def heartbeat(self, age: float = 0.0) -> None:
        """A row as the timer writes one, `age` seconds old."""
        self.sql(
            "INSERT INTO egov_heartbeat VALUES "
            f"(clock_timestamp() - interval '{age} seconds', pg_current_wal_insert_lsn())"
        )

    def manifest(self) -> None:
        """Counts and hashes of all tables as the timer writes them."""
        self.sql(f"INSERT INTO egov_manifest VALUES (clock_timestamp(), $body${json.dumps(self.counted())}$body$)")

    def counted(self) -> dict[str, Any]:
        """Rows and hash of each table of the register."""
        names = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'register' ORDER BY 1").split()
        tables = {}
        for name in names:
            keyed = self.sql(f"SELECT 1 FROM pg_index WHERE indrelid = 'register.{name}'::regclass AND indisprimary")
            rows = self.sql(f"COPY (SELECT * FROM register.{name} ORDER BY 1) TO STDOUT") + "\n"
            digest = hashlib.sha256(rows.encode()).hexdigest() if keyed else None
            tables[f"register.{name}"] = {"rows": rows.count("\n"), "sha256": digest}
        return {"tables": tables, "snapshot": self.sql("SELECT pg_current_snapshot()")}

    def switch(self) -> str:
        """End the WAL segment and wait until it is in the repository; its name."""
        name = self.sql(
            "SELECT pg_walfile_name(pg_current_wal_lsn()) FROM pg_logical_emit_message(true, 'egov', 'switch')"
        )
        self.sql("SELECT pg_switch_wal()")
        for _ in range(600):
            if self.sql("SELECT last_archived_wal FROM pg_stat_archiver", database="postgres") >= name:
                return name
            time.sleep(0.02)
        raise AssertionError(f"{name} was not archived")

    def backup(self, kind: str = "full") -> str:
        """Back up; the label."""
        self.pgbackrest("backup", f"--type={kind}")
        return str(self.info()["backup"][-1]["label"])

    def info(self) -> dict[str, Any]:
        """What pgBackRest says of the stanza."""
        found: list[dict[str, Any]] = json.loads(self.pgbackrest("info", "--output=json"))
        return found[0]

    def pgbackrest(self, *arguments: str) -> bytes:
        """One call of pgBackRest on this cluster."""
        return call([*self._then, PGBACKREST, *arguments], **self._variables())

    def _variables(self) -> dict[str, str]:
        chosen = {
            "STANZA": self.stanza,
            "REPO1_PATH": str(self.repository),
            "REPO1_CIPHER_TYPE": "aes-256-cbc",
            "REPO1_CIPHER_PASS": self.passphrase,
            "REPO1_RETENTION_FULL": "9",
            "REPO1_BUNDLE": "y",
            "PG1_PATH": str(self.data),
            "PG1_SOCKET_PATH": str(self.folder),
            "PG1_USER": "postgres",
            "LOCK_PATH": str(self.folder / "lock"),
            "LOG_LEVEL_FILE": "off",
            "LOG_LEVEL_CONSOLE": "off",
            "COMPRESS_TYPE": "zst",
            "START_FAST": "y",
            "CONFIG": "/dev/null",
        }
        return {f"PGBACKREST_{name}": value for name, value in chosen.items()}

    @property
    def _then(self) -> tuple[str, ...]:
        """What sets the clock back: before the program itself, since whoever executes another leaves its memory."""
        return ("env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME=-{self.ago}s") if self.ago else ()

    def _environment(self) -> dict[str, str]:
        return in_environment(**self._variables())


def _sweep() -> None:
    """Take away what libfaketime leaves in memory of processes that are no more."""
    for path in Path("/dev/shm").glob("*faketime_*_*"):
        if not Path("/proc", path.name.rpartition("_")[2]).exists():
            path.unlink(missing_ok=True)


def local_repository(path: Path, stanza: str = STANZA, passphrase: str = PASSPHRASE) -> PgRepository:
    """A repository in a folder, as a drill takes it."""
    return PgRepository(stanza, passphrase, str(path), (), ("env", f"LD_LIBRARY_PATH={LIBRARIES}", str(PGBACKREST)))


def segments(repository: Path, stanza: str = STANZA) -> list[Path]:
    """The archived WAL segments, oldest first."""
    found = (repository / "archive" / stanza).glob("*/*/*-*")
    return sorted(found, key=lambda path: path.name)


def copied(source: Path, target: Path) -> Path:
    """A copy to spoil, made with `cp -a`: times are kept, and blocks are shared where the file system can."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)
    return target


class ToolsProgram:
    """A program that keeps running (drill.scratch.Started)."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    @property
    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-65536:]

    def stop(self, patience: float = 30.0, number: int = signal.SIGTERM) -> int:
        if self.alive:
            self._process.send_signal(number)
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class ToolsBox:
    """A box (drill.scratch.Box) without walls, for data of the tests' own: programs of .tools/, `folder` as it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[ToolsProgram] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "nobody",
        input: bytes | None = None,
        timeout: float = 60.0,
        environment: Mapping[str, str] = NO_MORE,
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [*DIES_WITH_PARENT, *UNPRIVILEGED, *_in_tools(argv)],
                input=input or b"",
                capture_output=True,
                timeout=timeout,
                cwd=self.folder,
                env=in_environment(**environment),
            )
        except subprocess.TimeoutExpired:
            raise TookTooLong(f"{argv[0]} took more than {timeout:.0f} s: stopped") from None

    def start(
        self, argv: Sequence[str], *, user: str = "nobody", environment: Mapping[str, str] = NO_MORE
    ) -> ToolsProgram:
        log = self.folder / f"said-{len(self.started)}"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*DIES_WITH_PARENT, *UNPRIVILEGED, *_in_tools(argv)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=self.folder,
                env=in_environment(**environment),
            )
        self.started.append(ToolsProgram(process, log))
        return self.started[-1]

    def owned(self, path: Path, user: str) -> str:
        return self.inside(path)

    def inside(self, path: Path) -> str:
        path.relative_to(self.folder)
        return str(path)


class WithTools:
    """A real box that has .tools/ at INSIDE, a folder that every box has, and takes its programs before others."""

    INSIDE = "/var"

    def __init__(self, box: Box) -> None:
        self._box, self.folder = box, box.folder
        self.owned, self.inside = box.owned, box.inside

    def run(self, argv: Sequence[str], *, environment: Mapping[str, str] = NO_MORE, **how: Any) -> Any:
        return self._box.run(_in_tools(argv, self.INSIDE), environment=self._with(environment), **how)

    def start(self, argv: Sequence[str], *, environment: Mapping[str, str] = NO_MORE, **how: Any) -> Any:
        return self._box.start(_in_tools(argv, self.INSIDE), environment=self._with(environment), **how)

    def _with(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": f"{self.INSIDE}/{LIBRARIES.relative_to(TOOLS)}", **environment}


@contextmanager
def scratch_box(folder: Path, limits: Limits) -> Iterator[WithTools]:
    """A real box as `open_box`, with the programs of .tools/."""
    with Scratch.programs(folder, limits, readonly={TOOLS: WithTools.INSIDE}) as box:
        yield WithTools(box)


@contextmanager
def tools_box(folder: Path, limits: object) -> Iterator[ToolsBox]:
    """What a restore takes as `open_box`; whatever still runs at the end is a fault."""
    box = ToolsBox(folder)
    try:
        yield box
    finally:
        left = [program for program in box.started if program.alive]
        for program in left:
            program.stop(1.0)
    assert not left, "a server was left running"


def _in_tools(argv: Sequence[str], where: str = str(TOOLS)) -> list[str]:
    """The argv with the programs of .tools/ instead of the system's."""
    found = [f"{where}{word}" if word.startswith("/usr/") and (TOOLS / word[1:]).is_file() else word for word in argv]
    return [f"--basedir={where}/usr" if word == "--basedir=/usr" else word for word in found]


@contextmanager
def workplace(prefix: str = "egov-database-") -> Iterator[Path]:
    """A temporary folder, in memory where there is, with a short name: a unix socket's path ends at 107 bytes."""
    parent = next(path for path in ("/dev/shm", "/tmp") if shutil.disk_usage(path).free > ROOM)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def backed_up_register(folder: Path, rows: int = 400) -> Cluster:
    """A cluster with a full and a differential backup, five archived segments after them, and its proof; stopped.

    Rows of each segment: 50 visits, a heartbeat. The manifest is taken before the differential backup.
    """
    cluster = Cluster(folder)
    cluster.make(rows)
    try:
        cluster.heartbeat(age=900)
        cluster.backup("full")
        cluster.sql("INSERT INTO register.citizens SELECT 100000 + n, 'new', now(), null FROM generate_series(1, 20) n")
        cluster.manifest()
        cluster.heartbeat(age=600)
        cluster.backup("diff")
        for _ in range(5):
            cluster.sql("INSERT INTO register.visits SELECT now(), md5(n::text) FROM generate_series(1, 50) n")
            cluster.heartbeat()
            cluster.switch()
    finally:
        cluster.kill()
    return cluster


@dataclass
class MariaDb:
    """A MariaDB server below `folder`, with a department's register."""

    folder: Path
    server: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Its datadir."""
        return self.folder / "mariadb"

    @property
    def socket(self) -> Path:
        """Its only way in."""
        return self.folder / "mariadb.sock"

    def make(self, rows: int = 400) -> None:
        """Initialise, start, load the register."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = [f"--basedir={TOOLS / 'usr'}", f"--datadir={self.data}", "--auth-root-authentication-method=normal"]
        options += ["--no-defaults", "--skip-test-db", "--user=", f"--innodb-log-file-size={8 << 20}"]
        install = [TOOLS / "usr" / "bin" / "mariadb-install-db", *options]
        done = call(["sh", "-c", 'exec "$@" 2>&1', "sh", *install])
        assert (self.data / "mysql").is_dir(), done.decode("utf-8", "replace")
        self.start()
        self.sql(MARIADB_REGISTER, database="mysql")
        text = ",".join(f"({n}, '居民 {n}', '1980-01-0{1 + n % 9}', '民勤县 {n}')" for n in range(1, rows + 1))
        self.sql(f"INSERT INTO citizens VALUES {text}")
        text = ",".join(f"({n}, {1 + n % rows}, 'kind {n % 7}', {n % 100}.5)" for n in range(1, 2 * rows + 1))
        self.sql(f"INSERT INTO permits VALUES {text}")
        self.sql("INSERT INTO visits SELECT now(), md5(id) FROM citizens LIMIT 50")
        self.sql("INSERT INTO egov_heartbeat VALUES (UTC_TIMESTAMP(6))")

    def start(self) -> None:
        """Start and wait until it answers."""
        options = [f"--basedir={TOOLS / 'usr'}", f"--datadir={self.data}", f"--socket={self.socket}"]
        options += ["--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"]
        options += [f"--pid-file={self.folder}/pid", f"--lc-messages-dir={TOOLS}/usr/share/mysql"]
        argv = [*DIES_WITH_PARENT, *UNPRIVILEGED, str(MARIADBD), "--no-defaults", *options]
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen(argv, stdout=log, stderr=log, env=in_environment())
        for _ in range(600):
            with suppress(AssertionError):
                self.sql("SELECT 1", database="mysql")
                return
            assert self.server.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def stop(self) -> None:
        """Shut it down."""
        if self.server and self.server.poll() is None:
            self.server.terminate()
            self.server.wait(timeout=30)
        self.server = None

    def sql(self, text: str, database: str = "register") -> str:
        """What the client prints for it, tab-separated and without headings; any error is an AssertionError."""
        argv = [MARIADB, "--no-defaults", f"--socket={self.socket}", "-u", "root", "-N", "-B", database]
        return call([*argv, "--default-character-set=utf8mb4"], input=text.encode()).decode().strip()


MARIADB_REGISTER = """
CREATE DATABASE register CHARACTER SET utf8mb4;
USE register;
CREATE TABLE citizens (id bigint PRIMARY KEY, name varchar(100) NOT NULL, born date NOT NULL, address text);
CREATE TABLE permits (id bigint PRIMARY KEY, citizen bigint NOT NULL, kind varchar(20) NOT NULL,
  fee decimal(10,2) NOT NULL, FOREIGN KEY (citizen) REFERENCES citizens (id));
CREATE TABLE visits (at datetime NOT NULL, said text);
CREATE TABLE egov_heartbeat (at datetime(6) PRIMARY KEY);
"""


# What the mariadb role puts on a host, run with the programs of .tools/ as the server's root.
DUMPING = """
import os, sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
tool = module_from_spec(spec_from_loader("tool", SourceFileLoader("tool", sys.argv[1])))
tool.__loader__.exec_module(tool)
tool.ENVIRONMENT = dict(os.environ)
tool.CLIENT += ["--user=root"]
tool.DUMP += ["--user=root"]
tool.dump(sys.argv[2], sys.argv[3])
"""
ROLES = REPOSITORY / "playbooks" / "roles"


@dataclass
class Spool:
    """What a host's backup of a MariaDB database makes, and the borg repository that it goes into."""

    folder: Path
    service: str = STANZA
    host: str = "db"
    passphrase: str = PASSPHRASE

    @property
    def proof(self) -> Path:
        """Stands for /var/lib/egov/backup."""
        return self.folder / "proof"

    @property
    def dump(self) -> Path:
        """The packed dump."""
        return self.proof / self.service / "dump.sql.gz"

    @property
    def repository(self) -> Repository:
        """As a drill takes it."""
        return Repository(str(self.folder / "borg"), self.passphrase, self.folder / "base")

    def make(self, database: MariaDb, name: str = STANZA) -> None:
        """Dump with the role's own tool, and make an empty repository."""
        tools = f"{TOOLS / 'usr' / 'bin'}:{os.environ['PATH']}"
        where = {"EGOV_MARIADB_SOCKET": str(database.socket), "EGOV_BACKUP_DIR": str(self.proof), "PATH": tools}
        self.proof.mkdir(parents=True)
        argv = [sys.executable, "-c", DUMPING, str(ROLES / "mariadb" / "files" / "egov-mariadb"), self.service, name]
        done = subprocess.run(argv, env=in_environment(**where), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        self.prove()
        self.borg("init", "-e", "repokey", str(self.folder / "borg"))

    def prove(self) -> None:
        """The manifest and the heartbeat, as before each backup."""
        tool = ROLES / "borgmatic" / "files" / "egov-backup-manifest"
        where = {**os.environ, "EGOV_BACKUP_DIR": str(self.proof)}
        subprocess.run([sys.executable, tool, self.service, str(self.dump)], env=where, check=True, capture_output=True)
        for name in ("manifest.json", "heartbeat.json"):
            path = self.proof / self.service / name
            path.write_text(json.dumps(json.loads(path.read_text()) | {"host": self.host}))

    def archive(self, name: str = "2026-01-01T00:00:00") -> None:
        """Back it up."""
        self.borg("create", f"{self.folder / 'borg'}::{self.service}-{name}", str(self.proof / self.service))

    def borg(self, *arguments: str) -> None:
        """One call of borg."""
        where = {"BORG_PASSPHRASE": self.passphrase, "BORG_BASE_DIR": str(self.folder / "base")}
        where["BORG_RELOCATED_REPO_ACCESS_IS_OK"] = "yes"
        subprocess.run(["borg", *arguments], env={**os.environ, **where}, check=True, capture_output=True)

    def copied_to(self, folder: Path) -> Spool:
        """The same elsewhere, to spoil."""
        return Spool(copied(self.folder, folder), self.service, self.host, self.passphrase)

    def rewrite(self, old: bytes, new: bytes) -> None:
        """Change the dump's text; it must have `old`."""
        text = gzip.decompress(self.dump.read_bytes())
        assert old in text
        self.dump.write_bytes(gzip.compress(text.replace(old, new, 1), mtime=0))
