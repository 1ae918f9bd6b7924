"""The MariaDB drill against real dumps in real borg repositories, loaded into a real server.

A failure here means that a dump that cannot be loaded, or not all of it, would be called safe.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import database_bench as bench
import pytest
from database_bench import MariaDb, Spool

from egovctl.checks.model import Text
from egovctl.drill.applications import Question
from egovctl.drill.causes import Cause
from egovctl.drill.database import Wanted
from egovctl.drill.judging import Promise
from egovctl.drill.model import Item, Outcome, Target, Verdict
from egovctl.drill.restore_mariadb import restore_mariadb

TARGET = Target("register", "db")
PROMISE = Promise(rto=1800, rpo=3600)

pytestmark = pytest.mark.skipif(
    not bench.available(bench.MARIADBD, bench.MARIADB) or shutil.which("borg") is None,
    reason="make .tools/.ready was not run, or borgbackup is not installed",
)


@pytest.fixture(scope="session")
def dumped() -> Iterator[Spool]:
    """The register's dump, not yet in an archive. Nobody changes it."""
    with bench.workplace() as folder:
        database = MariaDb(folder / "server")
        database.make()
        try:
            spool = Spool(folder / "spool")
            spool.make(database)
        finally:
            database.stop()
        yield spool


@pytest.fixture
def place() -> Iterator[Path]:
    with bench.workplace() as folder:
        yield folder


@pytest.fixture
def spool(dumped: Spool, place: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """The same dump elsewhere, to spoil before it is archived. Its manifest tells of it where it is now."""
    monkeypatch.setenv("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes")
    found = dumped.copied_to(place / "spool")
    found.prove()
    return found


def restore(spool: Spool, place: Path, promise: Promise = PROMISE, target: Target = TARGET, **how: object) -> Item:
    how.setdefault("open_box", bench.tools_box)
    wanted = Wanted(str(how.pop("database", "register")), how.pop("questions", ()))  # type: ignore[arg-type]
    folder, proof = place / "work", str(spool.proof)
    return restore_mariadb(spool.repository, target, promise, folder, print, wanted=wanted, proof=proof, **how)  # type: ignore[arg-type]


def words(item: Item) -> str:
    return " | ".join(reason["en"] for reason in item.reasons)


def test_a_whole_dump_is_met_and_every_row_was_compared(spool: Spool, place: Path) -> None:
    spool.archive()
    title = Text(zh="居民", en="citizens")
    question = Question(title=title, sql="SELECT COUNT(*) FROM citizens WHERE name LIKE '居民 %'", equals="400")
    item = restore(spool, place, questions=(question,))
    assert (item.outcome, item.verdict, item.causes) == (Outcome.COMPLETED, Verdict.MET, ()), words(item)
    assert list(item.phases) == ["find", "restore", "check", "start", "load", "verify"]
    assert item.files_compared == 400 + 800 + 50 and item.details["tables_by_hash"] == 2
    assert item.rpo_seconds is not None and 0 <= item.rpo_seconds < 600


@pytest.mark.skipif(os.geteuid() != 0, reason="a scratch needs root")
def test_it_is_the_same_in_a_real_scratch(spool: Spool, place: Path) -> None:
    spool.archive()
    item = restore(spool, place, open_box=bench.scratch_box)
    assert (item.verdict, item.files_compared) == (Verdict.MET, 1250), words(item)


def rewritten(old: bytes, new: bytes) -> Callable[[Spool], None]:
    """A dump with another text, and a manifest that tells of that file."""

    def spoil(spool: Spool) -> None:
        spool.rewrite(old, new)
        spool.prove()

    return spoil


def cut_packed(spool: Spool) -> None:
    os.truncate(spool.dump, spool.dump.stat().st_size * 6 // 10)
    spool.prove()


def cut_and_packed_again(spool: Spool) -> None:
    """The tool ended early, and gzip packed what there was: every octet of the file is as it was written."""
    text = gzip.decompress(spool.dump.read_bytes())
    spool.dump.write_bytes(gzip.compress(text[: len(text) * 6 // 10]))
    spool.prove()


def flipped(spool: Spool) -> None:
    octets = bytearray(spool.dump.read_bytes())
    octets[len(octets) // 2] ^= 4
    spool.dump.write_bytes(octets)


def another_dump(spool: Spool) -> None:
    """Whole, of the same tables, and not the one that the manifest tells of."""
    spool.rewrite("居民 7'".encode(), "居民 8'".encode())


def without_tables(spool: Spool) -> None:
    text = gzip.decompress(spool.dump.read_bytes()).decode()
    head, tail = text[: text.index("DROP TABLE")], text[text.rindex("/*!40103 SET TIME_ZONE") :]
    spool.dump.write_bytes(gzip.compress((head + tail).encode()))
    spool.prove()
    said(spool, lambda data: data["database"].update(tables={}))


def said(spool: Spool, change: Callable[[dict], None]) -> None:
    """Change what the manifest says."""
    path = spool.proof / spool.service / "manifest.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def removed(name: str) -> Callable[[Spool], None]:
    return lambda spool: (spool.proof / spool.service / name).unlink()


FAULTS = {
    "cut when packed": (cut_packed, Verdict.NOT_MET, Cause.DUMP_CUT, "its end is missing"),
    "cut before it was packed": (cut_and_packed_again, Verdict.NOT_MET, Cause.DUMP_CUT, "its end is missing"),
    "flipped": (flipped, Verdict.NOT_MET, Cause.CONTENT_CHANGED, "not the file that the manifest tells of"),
    "another one": (another_dump, Verdict.NOT_MET, Cause.CONTENT_CHANGED, "1 tables changed: citizens"),
    "of a newer server": (
        rewritten(b"-- Server version\t10.", b"-- Server version\t12."),
        Verdict.NOT_MET, Cause.VERSION_MISMATCH, "newer MariaDB, 12.11",
    ),
    "rows lost": (
        rewritten("(400,'居民 400'".encode(), "(401,'居民 400'".encode()),
        Verdict.NOT_MET, Cause.CONTENT_CHANGED, "1 tables changed: citizens",
    ),
    "an error in it": (
        rewritten(b"CREATE TABLE `permits`", b"CREATE TABEL `permits`"),
        Verdict.NOT_MET, Cause.DATABASE_DAMAGED, "loading the dump failed",
    ),
    "empty": (without_tables, Verdict.NOT_MET, Cause.SOURCE_EMPTY, "was empty when it was backed up"),
    "missing": (removed("dump.sql.gz"), Verdict.NOT_MET, Cause.SOURCE_EMPTY, "there is no dump"),
    "without a manifest": (removed("manifest.json"), Verdict.UNKNOWN, Cause.MANIFEST_LOST, "no manifest"),
    "of another host": (
        lambda spool: said(spool, lambda data: data.update(host="other")),
        Verdict.NOT_MET, Cause.WRONG_SOURCE, "this is a backup of register@other",
    ),
    "of another database": (
        lambda spool: said(spool, lambda data: data["database"].update(name="payroll")),
        Verdict.NOT_MET, Cause.WRONG_SOURCE, "the dump is of database payroll",
    ),
    "without a table": (
        lambda spool: said(spool, lambda data: data["database"]["tables"].update(taxes={"rows": 5, "sha256": None})),
        Verdict.NOT_MET, Cause.ROWS_LOST, "1 tables missing: taxes",
    ),
    "with fewer rows": (
        lambda spool: said(spool, lambda data: data["database"]["tables"]["visits"].update(rows=60)),
        Verdict.NOT_MET, Cause.ROWS_LOST, "visits (50 < 60)",
    ),
    "with more rows": (
        lambda spool: said(spool, lambda data: data["database"]["tables"]["visits"].update(rows=40)),
        Verdict.NOT_MET, Cause.CONTENT_CHANGED, "visits (50 > 40)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_judged_as_it_must_be_and_its_cause_is_named(spool: Spool, place: Path, name: str) -> None:
    spoil, verdict, cause, telling = FAULTS[name]
    spoil(spool)
    spool.archive()
    item = restore(spool, place)
    assert item.verdict is verdict and cause in item.causes and telling in words(item), words(item)


def test_rows_whose_foreign_key_leads_nowhere_are_found(spool: Spool, place: Path) -> None:
    """The dump switches the checks off while it is loaded, so that the server itself says nothing."""
    rewritten("(399,'居民 399'".encode(), "(888,'居民 399'".encode())(spool)
    spool.archive()
    item = restore(spool, place)
    assert Cause.ROWS_LOST in item.causes and "rows of permits break its foreign key" in words(item)


@pytest.mark.skipif(os.geteuid() != 0, reason="a scratch needs root")
def test_a_program_in_a_dump_does_not_get_out_of_the_scratch(spool: Spool, place: Path) -> None:
    """The client runs what stands behind \\! before the line that switches this off: in the scratch, if anywhere."""
    mark = place / "escaped"
    text = gzip.decompress(spool.dump.read_bytes())
    spool.dump.write_bytes(gzip.compress(f"\\! touch {mark} /data/inside && ls -d /data/inside >&2\n".encode() + text))
    spool.prove()
    spool.archive()
    item = restore(spool, place, open_box=bench.scratch_box)
    assert item.phases["load"] > 0 and not mark.exists()


def test_no_archive_and_another_passphrase(spool: Spool, place: Path) -> None:
    item = restore(spool, place)
    assert (item.verdict, item.causes) == (Verdict.NOT_MET, (Cause.NO_BACKUP,)), words(item)
    spool.archive()
    shutil.rmtree(place / "work")
    spool.passphrase = "battery staple"
    item = restore(spool, place)
    assert (item.verdict, item.causes) == (Verdict.NOT_MET, (Cause.PASSPHRASE_WRONG,)), words(item)


def test_an_old_heartbeat_breaks_the_promise(spool: Spool, place: Path) -> None:
    spool.archive()
    item = restore(spool, place, Promise(rto=1800, rpo=0))
    assert (item.verdict, item.causes) == (Verdict.NOT_MET, (Cause.STALE,)), words(item)
