"""Is what a dump brought back what was dumped? Tables against the manifest, foreign keys, heartbeats, questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from egovctl.drill.applications import Question, answers
from egovctl.drill.causes import Cause
from egovctl.drill.database import OWN, Fault, Table, differences, empty
from egovctl.drill.judging import Finding, finding
from egovctl.drill.mariadb import MariaDbServer, literal, quoted

TABLES = """
SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'
ORDER BY table_name
"""
KEY = """
SELECT column_name FROM information_schema.key_column_usage
WHERE table_schema = DATABASE() AND table_name = {0} AND constraint_name = 'PRIMARY' ORDER BY ordinal_position
"""
COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = {0} ORDER BY ordinal_position
"""
FOREIGN = """
SELECT constraint_name, table_name, column_name, referenced_table_name, referenced_column_name
FROM information_schema.key_column_usage
WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE() ORDER BY table_name, constraint_name, ordinal_position
"""  # noqa: E501
HEARTBEAT = "SELECT UNIX_TIMESTAMP(MAX(at)) FROM egov_heartbeat"
PROBE = """
CREATE TABLE egov_drill_probe (n int PRIMARY KEY) ENGINE=InnoDB;
INSERT INTO egov_drill_probe SELECT seq FROM (WITH RECURSIVE r AS (SELECT 1 AS seq UNION ALL SELECT seq + 1 FROM r WHERE seq < 100) SELECT seq FROM r) s;
SELECT SUM(n) FROM egov_drill_probe;
DROP TABLE egov_drill_probe
"""  # noqa: E501


@dataclass
class Rows:
    """What was found. `heartbeat` is the last row's Unix time; `compared`: rows that were counted."""

    findings: list[Finding] = field(default_factory=list)
    heartbeat: float | None = None
    compared: int = 0
    hashes: int = 0
    tables: int = 0


def verified(server: MariaDbServer, promised: Mapping[str, Table], questions: Sequence[Question]) -> Rows:
    """All that can be asked of a loaded database; what is wrong is a finding."""
    rows = Rows()
    rows.findings += empty(promised)
    try:
        names = [name for (name,) in server.rows(TABLES)]
        if "egov_heartbeat" in names and (last := server.ask(HEARTBEAT)) not in ("", "NULL"):
            rows.heartbeat = float(last)
        own = [name for name in names if not name.startswith(OWN)]
        rows.findings += _checked(server, own)
        restored = {name: _table(server, name, promised.get(name)) for name in own}
        rows.tables, rows.compared = len(own), sum(table.rows for table in restored.values())
        rows.hashes = sum(table.sha256 is not None for table in restored.values())
        rows.findings += differences(promised, restored)
        rows.findings += _added(promised, restored)
        rows.findings += _orphans(server)
        rows.findings += answers(questions, server.ask)
        if server.ask(PROBE) != "5050":
            sentence = ("写入后读到的内容不同", "what was written came back otherwise")
            rows.findings.append(finding(Cause.DATABASE_DAMAGED, *sentence))
    except Fault as error:
        rows.findings.append(error.finding())
    return rows


def _table(server: MariaDbServer, name: str, promised: Table | None) -> Table:
    count = int(server.ask(f"SELECT COUNT(*) FROM {quoted(name)}"))  # noqa: S608 - the name is quoted
    if promised is None or promised.sha256 is None or promised.rows != count:
        return Table(count)
    key = [column for (column,) in server.rows(KEY.format(literal(name)))]
    columns = [column for (column,) in server.rows(COLUMNS.format(literal(name)))]
    return Table(count, server.digest(name, columns, key) if key else None)


def _checked(server: MariaDbServer, names: Sequence[str]) -> Iterator[Finding]:
    """CHECK TABLE of all of them."""
    if not names:
        return
    for table, _, kind, said in server.rows(f"CHECK TABLE {', '.join(map(quoted, names))}"):
        if kind.lower() == "error" or (kind.lower() == "status" and said != "OK"):
            sentence = (f"表 {table} 损坏：{said}", f"table {table} is damaged: {said}")
            yield finding(Cause.DATABASE_DAMAGED, *sentence)


def _added(promised: Mapping[str, Table], restored: Mapping[str, Table]) -> Iterator[Finding]:
    """A dump is of the manifest's own snapshot: more rows than that are as wrong as fewer."""
    more = [
        f"{name} ({restored[name].rows} > {table.rows})"
        for name, table in promised.items()
        if name in restored and restored[name].rows > table.rows
    ]
    if more:
        shown = ", ".join(more[:3])
        sentence = (f"{len(more)} 个表的行数变多：{shown}", f"{len(more)} tables with more rows: {shown}")
        yield finding(Cause.CONTENT_CHANGED, *sentence)


def _orphans(server: MariaDbServer) -> Iterator[Finding]:
    """Rows whose foreign key leads nowhere: a load does not look at them."""
    constraints: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for name, table, column, parent, referenced in server.rows(FOREIGN):
        constraints.setdefault((name, table, parent), []).append((column, referenced))
    for (name, table, parent), columns in constraints.items():
        joined = " AND ".join(f"c.{quoted(one)} = p.{quoted(other)}" for one, other in columns)
        given = " AND ".join(f"c.{quoted(one)} IS NOT NULL" for one, _ in columns)
        lost = server.ask(
            f"SELECT COUNT(*) FROM {quoted(table)} c LEFT JOIN {quoted(parent)} p ON {joined} "  # noqa: S608 - quoted
            f"WHERE {given} AND p.{quoted(columns[0][1])} IS NULL"
        )
        if lost != "0":
            sentence = (f"外键 {table}.{name} 有 {lost} 行无主", f"{lost} rows of {table} break its foreign key {name}")
            yield finding(Cause.ROWS_LOST, *sentence)
