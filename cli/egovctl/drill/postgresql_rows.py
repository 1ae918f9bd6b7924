"""Is what came back in a PostgreSQL database what was there? Rows against the manifest in it, heartbeats, questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from egovctl.drill.applications import Question, answers
from egovctl.drill.aside import Aside
from egovctl.drill.causes import Cause
from egovctl.drill.database import Table, differences, empty, shrinking, tables_of
from egovctl.drill.judging import Finding, finding
from egovctl.drill.postgresql import PgServer, Refused
from egovctl.drill.wal import lsn

TABLES = """
SELECT json_build_array(n.nspname || '.' || c.relname, format('%I.%I', n.nspname, c.relname),
  (SELECT json_agg(quote_ident(a.attname) ORDER BY k.place)
   FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k (attnum, place), pg_attribute a
   WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND a.attnum = k.attnum))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
DATABASES = "SELECT json_build_array(datname) FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
HEARTBEATS = "SELECT json_build_array(extract(epoch FROM at), lsn) FROM public.egov_heartbeat ORDER BY at"
MANIFESTS = """
SELECT json_build_array(to_char(taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), body, xmin)
FROM public.egov_manifest ORDER BY taken_at
"""
CONCURRENT = 20  # transactions before a manifest's own that may have been under way when it was taken


@dataclass
class Rows:
    """What was found in a database. `heartbeats`: Unix time and LSN of each; `compared`: rows that were counted."""

    findings: list[Finding] = field(default_factory=list)
    heartbeats: list[tuple[float, int | None]] = field(default_factory=list)
    compared: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def heartbeat(self) -> float | None:
        """The last one."""
        return self.heartbeats[-1][0] if self.heartbeats else None


@dataclass(frozen=True)
class Restored:
    """A table of the restored database: its name as SQL wants it, and its primary key."""

    quoted: str
    key: tuple[str, ...]


def verified(server: PgServer, database: str, questions: Sequence[Question]) -> Rows:
    """All that can be asked of a restored database; what is wrong is a finding."""
    rows = Rows()
    present = [str(name) for (name,) in server.rows("postgres", DATABASES)]
    if database not in present:
        rows.findings.append(_absent(database, present))
        return rows
    checking = Aside(lambda: server.amcheck(database))
    _asked(server, database, questions, rows)
    if damage := checking.result(server.deadline):
        sentence = (f"数据库损坏：{damage}", f"the database is damaged: {damage}")
        rows.findings.append(finding(Cause.DATABASE_DAMAGED, *sentence))
    return rows


def _asked(server: PgServer, database: str, questions: Sequence[Question], rows: Rows) -> None:
    """What is asked in SQL; ends at the first error."""
    try:
        tables = {str(name): Restored(str(sql), tuple(key or ())) for name, sql, key in server.rows(database, TABLES)}
        if not tables:
            sentence = (f"数据库 {database} 中没有表", f"database {database} has no table")
            rows.findings.append(finding(Cause.SOURCE_EMPTY, *sentence))
            return
        if "public.egov_heartbeat" in tables:
            found = server.rows(database, HEARTBEATS)
            rows.heartbeats = [(float(at), None if where is None else lsn(where)) for at, where in found]
        if "public.egov_manifest" in tables:
            _compare(server, database, tables, rows)
        rows.findings += answers(questions, lambda text: server.ask(database, text))
        server.probe(database)
    except Refused as error:
        rows.findings.append(error.finding())


def _absent(database: str, present: list[str]) -> Finding:
    if present:
        other = ", ".join(present[:3])
        sentence = (f"备份中没有数据库 {database}，有：{other}", f"there is no database {database}, but {other}")
        return finding(Cause.WRONG_SOURCE, *sentence)
    return finding(Cause.SOURCE_EMPTY, f"备份中没有数据库 {database}", f"there is no database {database} in it")


def _compare(server: PgServer, database: str, tables: dict[str, Restored], rows: Rows) -> None:
    """Compare with the last manifest; of a table that was written to later, only the number of rows."""
    manifests = server.rows(database, MANIFESTS)
    if not manifests:
        return
    taken_at, body, xmin = manifests[-1]
    try:
        known = [tables_of(one["tables"]) for _, one, _ in manifests]
    except (ValueError, KeyError, TypeError):
        sentence = ("数据库中的清单无法读取", "the manifest in the database cannot be read")
        rows.findings.append(finding(Cause.CONTENT_CHANGED, *sentence))
        return
    promised = known[-1]
    rows.findings += empty(promised)
    there = {name: tables[name] for name in promised if name in tables}
    counted = {name: (count, newer) for name, count, newer in _counts(server, database, there, _newer(body, xmin))}
    changed = frozenset(name for name, (_, newer) in counted.items() if newer)
    restored: dict[str, Table] = {}
    for name, (count, _) in counted.items():
        was = promised[name]
        hashed = was.sha256 is not None and name not in changed and count == was.rows and there[name].key
        digest = server.digest(database, there[name].quoted, there[name].key) if hashed else None
        restored[name] = Table(count, digest)
    rows.findings += differences(promised, restored, changed, shrinking(known))
    rows.compared = sum(table.rows for table in restored.values())
    hashes = sum(table.sha256 is not None for table in restored.values())
    rows.details |= {"manifest_taken_at": taken_at, "tables": len(restored), "tables_by_hash": hashes}


def _newer(body: dict[str, Any], xmin: str) -> str:
    """The SQL condition that a row was written after the manifest's snapshot.

    A manifest may tell its snapshot (`pg_current_snapshot()`), which is exact; else its own transaction counts.
    """
    try:
        _, last, running = str(body["snapshot"]).split(":")
        under_way = [f"'{int(one) % (1 << 32)}'" for one in running.split(",") if one]
        condition = f"age(xmin) <= age('{int(last) % (1 << 32)}'::xid)"
        return condition + (f" OR xmin::text IN ({', '.join(under_way)})" if under_way else "")
    except (KeyError, ValueError):
        return f"age(xmin) <= age('{int(xmin)}'::xid) + {CONCURRENT}"


def _counts(server: PgServer, database: str, tables: dict[str, Restored], newer: str) -> Iterator[tuple[str, int, int]]:
    """Each table's rows, and how many of them are newer than the manifest."""
    counts = f"count(*), count(*) FILTER (WHERE {newer})"
    parts = [
        f"SELECT json_build_array({_literal(name)}, {counts}) FROM {table.quoted}"  # noqa: S608 - quoted by the server
        for name, table in tables.items()
    ]
    if parts:
        for name, count, later in server.rows(database, " UNION ALL ".join(parts)):
            yield str(name), int(count), int(later)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
