"""A MariaDB in a box: made empty, loaded from a dump, asked, stopped. Nothing listens but a unix socket.

Whatever a dump has in it (the client knows a command that runs programs) is run in the box and nowhere else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

from egovctl.drill.call import Deadline, TookTooLong
from egovctl.drill.causes import Cause
from egovctl.drill.database import Fault, fault
from egovctl.drill.scratch import Box, Started, User
from egovctl.i18n import told

USER: User = "mysql"
SERVER = "/usr/sbin/mariadbd"
CLIENT = "/usr/bin/mariadb"
INSTALL = "/usr/bin/mariadb-install-db"
POLL = 0.05
SESSION = "SET SESSION time_zone = '+00:00', sql_mode = '', max_statement_time = 0"
VERSION = re.compile(r"\b(\d+)\.(\d+)\.\d+-MariaDB")
LOAD = 'gzip -dc "$1" | "$2" --no-defaults "$3" -u root --default-character-set=utf8mb4 --database="$4"'
FULL = ("No space left on device", "Disk full", "is full")


class MariaDbServer:
    """A server in `folder`, which is made; asked for one database."""

    def __init__(self, box: Box, folder: Path, database: str, deadline: Deadline) -> None:
        self._box, self._deadline, self._database = box, deadline, database
        self._server: Started | None = None
        folder.mkdir()
        self._folder = box.owned(folder, USER)
        self._socket = f"--socket={self._folder}/socket"

    def version(self) -> tuple[int, int]:
        """Major and minor of what would run the dump; Fault when there is none."""
        done = self._run([SERVER, "--no-defaults", "--version"])
        found = VERSION.search(done.stdout.decode("utf-8", "replace"))
        if done.returncode != 0 or found is None:
            raise fault(
                Cause.NOT_READY,
                "控制机没有安装 MariaDB：apt-get install mariadb-server-core",
                "MariaDB is not installed on control: apt-get install mariadb-server-core",
            )
        return int(found.group(1)), int(found.group(2))

    def start(self) -> None:
        """Make it, start it, and make the database; returns when it answers."""
        where = ["--no-defaults", "--basedir=/usr", f"--datadir={self._folder}/data"]
        made = self._run([INSTALL, *where, "--auth-root-authentication-method=normal", "--skip-test-db", "--user="])
        if made.returncode != 0:
            raise self._not_started((made.stdout + made.stderr).decode("utf-8", "replace"))
        options = [self._socket, f"--tmpdir={self._folder}", f"--pid-file={self._folder}/pid", "--skip-networking"]
        options += ["--skip-log-bin", "--skip-slave-start", "--innodb-buffer-pool-size=64M", "--event-scheduler=OFF"]
        options += ["--max-allowed-packet=1G", "--local-infile=OFF"]
        self._server = self._box.start([SERVER, *where, *options], user=USER)
        while self._client("SELECT 1", None).returncode != 0:
            if not self._server.alive:
                raise self._not_started(self._server.said)
            if time.monotonic() > self._deadline.at:
                raise TookTooLong(told("恢复的数据库未能及时就绪", "the restored database was not ready in time"))
            time.sleep(POLL)
        done = self._client(f"CREATE DATABASE {quoted(self._database)} CHARACTER SET utf8mb4", None)
        if done.returncode != 0:
            raise self._not_started(done.stderr.decode("utf-8", "replace"))

    def load(self, dump: str) -> None:
        """Load a packed dump into the database; the first error ends it."""
        done = self._run(["sh", "-c", LOAD, "sh", dump, CLIENT, self._socket, self._database])
        if done.returncode != 0:
            raise self._refused(done, "加载转储失败", "loading the dump failed")

    def stop(self) -> None:
        """Stop it; a second time does no harm."""
        if self._server is not None:
            self._server.stop(patience=5.0)

    def rows(self, text: str) -> list[list[str]]:
        """The rows of a query, as texts (NULL is NULL); Fault with the server's words when it is an error."""
        done = self._client(text)
        if done.returncode != 0:
            raise self._refused(done, "恢复的数据库报错", "the restored database answers with an error")
        return [line.split("\t") for line in done.stdout.decode("utf-8", "replace").splitlines()]

    def ask(self, text: str) -> str:
        """The first column of the first row; empty when there is none."""
        found = self.rows(text)
        return found[0][0] if found else ""

    def digest(self, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
        """SHA-256 over a line a row in the order of the primary key, as the manifest has it."""
        said = ", ".join(f"IFNULL(HEX(CAST({quoted(column)} AS BINARY)), '-')" for column in columns)
        order = ", ".join(map(quoted, key))
        text = f"SELECT CONCAT_WS(',', {said}) FROM {quoted(table)} ORDER BY {order}"  # noqa: S608 - names are quoted
        argv = ["sh", "-c", '"$@" | sha256sum', "sh", *self._argv(), f"--execute={SESSION}; {text}"]
        return self._run(argv).stdout.decode("ascii", "replace")[:64]

    def _argv(self, database: str | None = "") -> list[str]:
        into = self._database if database == "" else database
        options = ["--no-defaults", self._socket, "-u", "root", "--batch", "--skip-column-names", "--quick"]
        options += ["--raw", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"]
        return [CLIENT, *options, *([f"--database={into}"] if into else [])]

    def _client(self, text: str, database: str | None = "") -> CompletedProcess[bytes]:
        return self._run(self._argv(database), f"{SESSION};\n{text};\n".encode())

    def _run(self, argv: list[str], input: bytes | None = None) -> CompletedProcess[bytes]:
        return self._box.run(argv, user=USER, input=input, timeout=self._deadline.left)

    def _refused(self, done: CompletedProcess[bytes], zh: str, en: str) -> Fault:
        said = done.stderr.decode("utf-8", "replace")
        if any(words in said for words in FULL):
            return fault(Cause.NO_ROOM, "临时目录已满", "the scratch is full")
        why = next((line.strip() for line in said.splitlines() if line.startswith("ERROR")), said.strip())[:300]
        return fault(Cause.DATABASE_DAMAGED, f"{zh}：{why}", f"{en}: {why}")

    def _not_started(self, said: str) -> Fault:
        if any(words in said for words in FULL):
            return fault(Cause.NO_ROOM, "临时目录已满", "the scratch is full")
        lines = [line.strip() for line in said.splitlines() if "ERROR" in line] or said.strip().splitlines() or ["?"]
        why = lines[-1][:300]
        return fault(Cause.TOOL_FAILED, f"MariaDB 没有启动：{why}", f"MariaDB did not start: {why}")


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text as SQL takes it, with sql_mode empty."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
