"""The PostgreSQL drills against real pgBackRest repositories: what is whole is met, what is not is named by its cause.

A failure here means that a database that cannot be brought back, or not all of it, would be called safe.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import database_bench as bench
import pytest
from database_bench import Cluster

from egovctl.checks.model import Text
from egovctl.drill import judging
from egovctl.drill.applications import Question
from egovctl.drill.causes import Cause
from egovctl.drill.database import Wanted
from egovctl.drill.judging import Promise
from egovctl.drill.model import Item, Outcome, Target, Verdict
from egovctl.drill.pgbackrest import PgRepository
from egovctl.drill.postgresql import FATAL
from egovctl.drill.restore_postgresql import restore_postgresql

TARGET = Target("register", "db")
PROMISE = Promise(rto=1800, rpo=3600)
PHASES = ["find", "restore", "wal", "start", "verify"]

pytestmark = pytest.mark.skipif(
    not bench.available(bench.POSTGRESQL / "postgres", bench.PGBACKREST), reason="make .tools/.ready was not run"
)


@pytest.fixture(scope="session")
def backed_up() -> Iterator[Cluster]:
    """The register with its backups. Nobody changes it."""
    with bench.workplace() as folder:
        yield bench.backed_up_register(folder / "cluster")


@pytest.fixture
def place() -> Iterator[Path]:
    with bench.workplace() as folder:
        yield folder


@pytest.fixture
def again(backed_up: Cluster, place: Path) -> Cluster:
    """The register's cluster, to go on with."""
    return backed_up.copied_to(place / "cluster")


def restore(source: PgRepository, place: Path, promise: Promise = PROMISE, **how: object) -> Item:
    wanted = Wanted(str(how.pop("database", "register")), how.pop("questions", ()), how.pop("until", None))  # type: ignore[arg-type]
    how.setdefault("open_box", bench.tools_box)
    return restore_postgresql(source, TARGET, promise, place / "work", lambda text: None, wanted=wanted, **how)  # type: ignore[arg-type]


def asking(table: str, **expected: object) -> Question:
    return Question.model_validate(
        {"title": Text(zh=table, en=table), "sql": f"SELECT count(*) FROM {table}", **expected}
    )


def words(item: Item) -> str:
    return " | ".join(reason["en"] for reason in item.reasons)


def test_a_whole_backup_is_met_and_every_row_was_compared(backed_up: Cluster, place: Path) -> None:
    item = restore(backed_up.source(), place, questions=(asking("register.citizens", equals="420"),))
    assert (item.outcome, item.verdict, item.causes) == (Outcome.COMPLETED, Verdict.MET, ()), words(item)
    assert list(item.phases) == PHASES and item.rto_seconds == pytest.approx(sum(item.phases.values()), abs=0.01)
    assert item.files_compared == 420 + 800 + 300 and item.details["tables_by_hash"] == 2
    assert item.rpo_seconds is not None and 0 <= item.rpo_seconds < 600
    assert item.details["replayed"] == "0/A000000" and item.details["kind"] == "diff"
    assert bench.PASSPHRASE not in json.dumps([item.details, item.reasons])


@pytest.mark.skipif(os.geteuid() != 0, reason="a scratch needs root")
def test_it_is_the_same_in_a_real_scratch(backed_up: Cluster, place: Path) -> None:
    item = restore(backed_up.source(), place, open_box=bench.scratch_box)
    assert (item.verdict, item.files_compared) == (Verdict.MET, 1520), words(item)


def _segment(number: int) -> Callable[[Path], Path]:
    return lambda repository: bench.segments(repository)[number]


def _file(pattern: str) -> Callable[[Path], Path]:
    return lambda repository: next(path for path in sorted(repository.glob(pattern)) if path.is_file())


def delete(chosen: Callable[[Path], Path]) -> Callable[[Path], None]:
    return lambda repository: chosen(repository).unlink()


def cut(chosen: Callable[[Path], Path]) -> Callable[[Path], None]:
    return lambda repository: os.truncate(chosen(repository), chosen(repository).stat().st_size * 6 // 10)


def flip(chosen: Callable[[Path], Path]) -> Callable[[Path], None]:
    def spoil(repository: Path) -> None:
        path = chosen(repository)
        octets = bytearray(path.read_bytes())
        octets[len(octets) // 2] ^= 4
        path.write_bytes(octets)

    return spoil


def each(spoil: Callable[[Path], None], *patterns: str) -> Callable[[Path], None]:
    def all_of(repository: Path) -> None:
        for pattern in patterns:
            for path in list(repository.glob(pattern)):
                spoil(path)

    return all_of


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def impostor(repository: Path) -> None:
    """A segment's file is that of another one: a timeline that is not this one's, a copy that went wrong."""
    first, second = bench.segments(repository)[-4:-2]
    shutil.copyfile(second, first)


FULL, DIFF, DATA = "backup/register/*F", "backup/register/*D", "backup/register/*F/bundle/*"
INFO, ARCHIVE_INFO = "backup/register/backup.info*", "archive/register/archive.info*"
MANIFEST = "backup/register/*D/backup.manifest*"
FAULTS = {
    "segment deleted in the middle": (delete(_segment(-3)), Cause.WAL_GAP, "are missing: 000000010000000000000007"),
    "the backup's own segment deleted": (delete(_segment(3)), Cause.WAL_GAP, "WAL segments are missing"),
    "segment deleted before the last backup": (
        delete(_segment(2)), Cause.WAL_GAP, "older WAL segments are missing, and with them the moments",
    ),
    "segment flipped": (flip(_segment(-2)), Cause.WAL_GAP, "WAL segment 000000010000000000000008 is damaged"),
    "last segment cut": (cut(_segment(-1)), Cause.WAL_GAP, "WAL segment 000000010000000000000009 is damaged"),
    "another segment in its place": (impostor, Cause.WAL_GAP, "000000010000000000000006 is damaged: SHA-1"),
    "file of the backup deleted": (delete(_file(DATA)), Cause.REPOSITORY_DAMAGED, "missing file"),
    "file of the backup cut": (cut(_file(DATA)), Cause.REPOSITORY_DAMAGED, "restore failed"),
    "file of the backup flipped": (flip(_file(DATA)), Cause.REPOSITORY_DAMAGED, "restore failed"),
    "manifests deleted": (each(Path.unlink, MANIFEST), Cause.REPOSITORY_DAMAGED, "unable to load"),
    "catalogue deleted": (each(Path.unlink, INFO), Cause.REPOSITORY_DAMAGED, "catalogue is missing"),
    "catalogue cut": (each(half, INFO), Cause.REPOSITORY_DAMAGED, "catalogue is damaged"),
    "archive's catalogue cut": (each(half, ARCHIVE_INFO), Cause.REPOSITORY_DAMAGED, "catalogue is damaged"),
    "full backup expired": (each(shutil.rmtree, FULL), Cause.CHAIN_EXPIRED, "builds on what is not there any more"),
    "backup gone": (each(shutil.rmtree, DIFF), Cause.REPOSITORY_DAMAGED, "in the catalogue, and not there"),
    "repository empty": (each(shutil.rmtree, "backup", "archive"), Cause.NO_BACKUP, "no backup of register"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_repository_is_not_met_and_its_cause_is_named(
    backed_up: Cluster, place: Path, name: str
) -> None:
    spoil, cause, said = FAULTS[name]
    repository = bench.copied(backed_up.repository, place / "copy")
    spoil(repository)
    item = restore(bench.local_repository(repository), place)
    assert item.verdict is Verdict.NOT_MET and item.causes[0] is cause and said in words(item), words(item)


def test_what_a_gap_costs_is_told(backed_up: Cluster, place: Path) -> None:
    """The server starts and every tool is content; LSN and heartbeats say that the end is not there."""
    repository = bench.copied(backed_up.repository, place / "copy")
    delete(_segment(-3))(repository)
    item = restore(bench.local_repository(repository), place)
    assert "recovery ended at 1:0/7000000, and the archive goes beyond 1:0/9000000" in words(item)
    assert list(item.phases) == PHASES and item.files_compared < 1520 and item.outcome is Outcome.COMPLETED


def test_another_passphrase_and_another_stanza(backed_up: Cluster, place: Path) -> None:
    item = restore(backed_up.source(passphrase="battery staple"), place)
    assert (item.verdict, item.causes) == (Verdict.NOT_MET, (Cause.PASSPHRASE_WRONG,)), words(item)
    shutil.rmtree(place / "work")
    item = restore(backed_up.source(stanza="other"), place)
    assert (item.verdict, item.causes) == (Verdict.NOT_MET, (Cause.NO_BACKUP,)), words(item)


def test_a_repository_that_cannot_be_reached_says_nothing_of_the_backup(place: Path) -> None:
    deaf = ("sh", "-c", "echo 'ssh: connect to host backup port 22: No route to host' >&2; exit 255")
    item = restore(PgRepository("register", bench.PASSPHRASE, ssh=deaf), place)
    assert (item.outcome, item.verdict, item.causes) == (Outcome.ERROR, Verdict.UNKNOWN, (Cause.UNREACHABLE,))
    assert "No route to host" in words(item)


def test_over_ssh_only_reading_commands_of_this_stanza_are_asked_for(backed_up: Cluster, place: Path) -> None:
    """What stands for ssh here runs what it is given, as the backup node's gate does, and keeps the words."""
    gate = place / "gate"
    variables = f"PGBACKREST_REPO1_PATH={backed_up.repository} PGBACKREST_CONFIG=/dev/null"
    gate.write_text(
        f'#!/bin/sh\necho "$1" >>{place}/asked\n'
        f'PATH={bench.PGBACKREST.parent}:$PATH LD_LIBRARY_PATH={bench.LIBRARIES} {variables} exec sh -c "$1"\n'
    )
    gate.chmod(0o755)
    item = restore(PgRepository("register", bench.PASSPHRASE, ssh=(str(gate),)), place)
    assert item.verdict is Verdict.MET, words(item)
    asked = (place / "asked").read_text().splitlines()
    assert {line.split()[-1] for line in asked} == {
        "info:remote",
        "repo-ls:remote",
        "restore:remote",
        "archive-get:remote",
    }
    assert all("--stanza=register" in line and "pass" not in line for line in asked)


def test_a_restore_that_takes_too_long_is_stopped(
    backed_up: Cluster, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "SHORTEST_LIMIT", 0.6)
    begun = time.monotonic()
    item = restore(backed_up.source(), place, Promise(rto=0, rpo=3600))
    assert (item.outcome, item.verdict, item.causes) == (Outcome.ABORTED, Verdict.NOT_MET, (Cause.TOO_SLOW,))
    assert time.monotonic() - begun < 5
    for _ in range(100):
        if not (left := subprocess.run(["pgrep", "-f", str(place)], capture_output=True).stdout):
            break
        time.sleep(0.05)
    assert not left, "a process of the restore was left"


def test_promises_and_names_are_held_against_what_came_back(backed_up: Cluster, place: Path) -> None:
    asked = (asking("register.citizens", at_least=1000),)
    item = restore(backed_up.source(), place, Promise(rto=1800, rpo=0), questions=asked)
    assert item.verdict is Verdict.NOT_MET and set(item.causes) == {Cause.STALE, Cause.ROWS_LOST}
    assert "register.citizens” was answered 420, not >= 1000" in words(item)


def test_another_database_is_not_this_ones(backed_up: Cluster, place: Path) -> None:
    item = restore(backed_up.source(), place, database="payroll")
    assert item.verdict is Verdict.NOT_MET and item.causes[0] is Cause.WRONG_SOURCE
    assert "there is no database payroll, but register" in words(item)


def test_without_this_version_of_postgresql_nothing_is_started(
    backed_up: Cluster, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egovctl.drill.postgresql.PROGRAMS", "/usr/lib/postgresql/{0}.old/bin")
    item = restore(backed_up.source(), place)
    assert (item.verdict, item.causes) == (Verdict.NOT_MET, (Cause.VERSION_MISMATCH,)), words(item)


CHANGES = {
    "the clock is ahead": (
        "INSERT INTO egov_heartbeat VALUES (now() + interval '50 minutes', '0/1000028'); "
        "UPDATE egov_heartbeat SET at = at + interval '50 minutes' WHERE lsn > '0/1000028'",
        (Verdict.UNKNOWN, (Cause.CLOCK_WRONG,)),
        "fast",
    ),
    "the clock is behind": (
        "UPDATE egov_heartbeat SET at = at - interval '2 hours'",
        (Verdict.UNKNOWN, (Cause.CLOCK_WRONG,)),
        "slow",
    ),
    "a table lost its rows": (
        "DELETE FROM register.permits WHERE id <= 300",
        (Verdict.NOT_MET, (Cause.ROWS_LOST,)),
        "1 tables with fewer rows: register.permits (500 < 800)",
    ),
    "a table is gone": (
        "DROP TABLE register.permits",
        (Verdict.NOT_MET, (Cause.ROWS_LOST,)),
        "1 tables missing: register.permits",
    ),
    "a table is not what it was": (
        "UPDATE egov_manifest SET body = jsonb_set(body, '{tables,register.permits,sha256}', '\"00\"')",
        (Verdict.NOT_MET, (Cause.CONTENT_CHANGED,)),
        "1 tables changed: register.permits",
    ),
    "a table was written to since": (
        "UPDATE register.permits SET kind = 'x' WHERE id = 5; INSERT INTO register.citizens VALUES (7777, 'x', now())",
        (Verdict.MET, ()),
        "",
    ),
    "nothing was in it": (
        "DROP SCHEMA register CASCADE; DROP TABLE egov_heartbeat, egov_manifest",
        (Verdict.NOT_MET, (Cause.SOURCE_EMPTY, Cause.MANIFEST_LOST)),
        "database register has no table",
    ),
    "there is no manifest": (
        "DELETE FROM egov_manifest",
        (Verdict.UNKNOWN, (Cause.SOURCE_EMPTY,)),
        "nothing was compared",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_in_the_database_is_judged_as_it_must_be(again: Cluster, place: Path, name: str) -> None:
    change, expected, said = CHANGES[name]
    with again.running():
        again.sql(change)
        again.switch()
    item = restore(again.source(), place)
    assert (item.verdict, item.causes) == expected and said in words(item), words(item)


def test_pages_that_were_damaged_already_are_told(again: Cluster, place: Path) -> None:
    with again.running():
        path = again.data / again.sql("SELECT pg_relation_filepath('register.permits')")
        again.sql("CHECKPOINT")
    octets = bytearray(path.read_bytes())
    octets[8192 + 4000] ^= 4
    path.write_bytes(octets)
    with again.running():
        again.backup("full")
        again.heartbeat()
        again.switch()
    item = restore(again.source(), place)
    assert item.verdict is Verdict.NOT_MET and item.causes == (Cause.DATABASE_DAMAGED,)
    assert "pages were damaged already" in words(item) and "the database is damaged" in words(item)


@pytest.fixture
def promoted(again: Cluster) -> Cluster:
    """The register after a standby took over: two timelines, three segments on the second."""
    with again.running():
        again.promote()
        for _ in range(3):
            again.sql("INSERT INTO register.visits SELECT now(), md5(n::text) FROM generate_series(1, 50) n")
            again.heartbeat()
            again.switch()
    return again


def test_the_newest_timeline_is_followed(promoted: Cluster, place: Path) -> None:
    item = restore(promoted.source(), place)
    assert item.verdict is Verdict.MET and item.details["timeline"] == 2, words(item)
    assert item.files_compared == 1520 + 150


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("00000002.history*", "the history of timeline 2 is missing"),
        ("*/000000020000000000*-*", "WAL segments are missing: 00000002"),
    ],
)
def test_a_timeline_that_cannot_be_followed_is_a_gap(promoted: Cluster, place: Path, pattern: str, said: str) -> None:
    next(iter(sorted((promoted.repository / "archive" / "register" / "15-1").glob(pattern)))).unlink()
    item = restore(promoted.source(), place)
    assert item.verdict is Verdict.NOT_MET and item.causes[0] is Cause.WAL_GAP and said in words(item), words(item)


def test_a_moment_before_a_mistake_comes_back(again: Cluster, place: Path) -> None:
    """The mistake is made here, in a table of the test's own; a second later it is too late."""
    with again.running():
        again.sql("CREATE TABLE egov_drill_canary AS SELECT n FROM generate_series(1, 100) n")
        again.heartbeat()
        moment = float(again.sql("SELECT extract(epoch FROM clock_timestamp())"))
        time.sleep(0.3)
        again.sql("DELETE FROM egov_drill_canary")
        again.switch()
        again.heartbeat()
        again.switch()

    before = restore(again.source(), place, until=moment + 0.1, questions=(asking("egov_drill_canary", equals="100"),))
    assert before.verdict is Verdict.MET and before.rpo_seconds is not None and before.rpo_seconds < 10, words(before)
    shutil.rmtree(place / "work")
    after = restore(again.source(), place, questions=(asking("egov_drill_canary", equals="0"),))
    assert after.verdict is Verdict.MET, words(after)


def test_who_asked_too_early_is_not_why_it_died() -> None:
    """Seen on a busy machine: the last FATAL of its log was the answer to our own question."""
    log = (
        "2026-11-27 20:40:01 UTC LOG:  starting point-in-time recovery\n"
        "2026-11-27 20:40:02 UTC FATAL:  recovery ended before configured recovery target was reached\n"
        "2026-11-27 20:40:02 UTC FATAL:  the database system is in recovery mode\n"
        "2026-11-27 20:40:03 UTC FATAL:  the database system is shutting down\n"
    )
    assert FATAL.findall(log) == ["recovery ended before configured recovery target was reached"]


def test_a_moment_that_the_archive_does_not_reach(backed_up: Cluster, place: Path) -> None:
    item = restore(backed_up.source(), place, until=time.time() + 3600)
    assert item.verdict is Verdict.NOT_MET and "recovery ended before configured recovery target" in words(item)
    shutil.rmtree(place / "work")
    item = restore(backed_up.source(), place, until=1_000_000_000.0)
    assert (item.verdict, item.causes) == (Verdict.NOT_MET, (Cause.NO_BACKUP,)), words(item)
