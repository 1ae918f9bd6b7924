"""A cluster comes back from the off-site node's generations of a real pgBackRest repository, without the backup node.

A failure here means that the databases are lost with the backup node.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import database_bench as bench
import pytest
from database_bench import Cluster

from egovctl.drill.causes import Cause
from egovctl.drill.database import Wanted
from egovctl.drill.generations import Store
from egovctl.drill.judging import Promise
from egovctl.drill.model import Item, Target, Verdict, Work
from egovctl.drill.offsite_engines import of_stanza
from egovctl.drill.pgbackrest import PgRepository
from egovctl.drill.phases import Timer
from egovctl.drill.restore_offsite import restore_offsite
from egovctl.drill.restore_postgresql import restore_postgresql

TARGET = Target("register", "db")
PROMISE = Promise(rto=1800, rpo=3600)
PARTS = ("archive", "backup")

pytestmark = pytest.mark.skipif(
    not bench.available(bench.POSTGRESQL / "postgres", bench.PGBACKREST), reason="make .tools/.ready was not run"
)


@pytest.fixture(scope="module")
def backed_up() -> Iterator[Cluster]:
    """The register with its backups. Nobody changes it."""
    with bench.workplace() as folder:
        yield bench.backed_up_register(folder / "cluster")


@pytest.fixture
def place(backed_up: Cluster) -> Iterator[Path]:
    """One generation, and room for a run."""
    with bench.workplace() as folder:
        (folder / "run").mkdir()
        generation(folder, "20260101T000000Z", backed_up.repository)
        yield folder


def generation(folder: Path, name: str, repository: Path, spoil: Callable[[Path], None] = lambda there: None) -> None:
    """As the off-site node seals one: each part of the repository, and what is said of it."""
    there = folder / "generations" / name
    (there / "pgbackrest").mkdir(parents=True)
    for part in PARTS:
        bench.copied(repository / part, there / "pgbackrest" / part)
    spoil(there / "pgbackrest")
    said: dict[str, Any] = {}
    for part in PARTS:
        files = [path for path in (there / "pgbackrest" / part).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        said[f"pgbackrest/{part}"] = {"id": "", "head": 0, "bytes": size, "segments": len(files), "at": 1.0, "why": ""}
    (there / "generation.json").write_text(json.dumps({"at": 1.0, "repositories": said}))


def drill(folder: Path, stanza: str = "register") -> Item:
    def restore(copy: Path, into: Path, timer: Timer) -> Item:
        source = PgRepository(stanza, bench.PASSPHRASE, str(copy), mounted=True)
        wanted, box = Wanted("register"), bench.tools_box
        quiet = lambda text: None  # noqa: E731
        return restore_postgresql(source, TARGET, PROMISE, into / "w", quiet, wanted=wanted, open_box=box, timer=timer)

    work = Work(SimpleNamespace(), folder / "run", lambda text: None)  # type: ignore[arg-type]
    item = restore_offsite(Store(str(folder / "generations")), of_stanza(stanza, restore), TARGET, PROMISE, work)
    assert not list(work.folder.iterdir()), "nothing of it is left"
    return item


def test_a_cluster_comes_back_from_the_newest_generation(place: Path) -> None:
    item = drill(place)
    assert item.verdict is Verdict.MET, item.reasons
    assert list(item.phases) == ["fetch", "find", "restore", "wal", "start", "verify"]
    assert item.rto_seconds == pytest.approx(sum(item.phases.values()), abs=0.01)
    assert item.unit == "rows" and item.files_compared == 1520
    assert item.details["generation"] == "20260101T000000Z" and item.details["kind"] == "diff"


def test_a_stanza_that_was_taken_away_is_found_in_an_older_generation_and_said(place: Path, backed_up: Cluster) -> None:
    def without(repository: Path) -> None:
        for part in PARTS:
            shutil.rmtree(repository / part / "register")
            (repository / part / "other").mkdir()

    generation(place, "20260102T000000Z", backed_up.repository, without)
    item = drill(place)
    assert item.verdict is Verdict.NOT_MET and item.causes == (Cause.NO_BACKUP,)
    assert item.files_compared == 1520, "and still all of it came back"
    assert item.details["generation"] == "20260101T000000Z"
    assert "older generation" in item.reasons[0]["en"]
    nowhere = drill(place, "never")
    assert (nowhere.verdict, nowhere.causes) == (Verdict.NOT_MET, (Cause.NO_BACKUP,))
    assert "generation 20260102T000000Z has no pgbackrest/archive/never" in nowhere.reasons[0]["en"]


def test_wal_that_did_not_come_along_is_a_gap(place: Path, backed_up: Cluster) -> None:
    def lacking(repository: Path) -> None:
        bench.segments(repository)[-3].unlink()

    generation(place, "20260102T000000Z", backed_up.repository, lacking)
    assert drill(place).causes[0] is Cause.WAL_GAP
