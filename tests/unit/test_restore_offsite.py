"""The drill restore-offsite on real repositories and real generations: what is there comes back, what is not is said.

A failure here means that on the day the backup node is gone, nobody knows whether the rest is good for anything.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from offsite_site import Site, needs_tools

from egovctl.checks.context import Context, open_context
from egovctl.drill.borg import Repository
from egovctl.drill.causes import Cause
from egovctl.drill.generations import Store
from egovctl.drill.judging import Promise
from egovctl.drill.model import Item, Outcome, Target, Verdict, Work
from egovctl.drill.offsite_engines import in_borg
from egovctl.drill.phases import Timer
from egovctl.drill.restore_files import restore_files
from egovctl.drill.restore_offsite import RestoreOffsite, restore_offsite
from egovctl.errors import UsageError
from egovctl.paths import Inventory

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = Target("documents", "h1")
PROMISE = Promise(rto=600, rpo=7200)


@dataclass
class Bench:
    site: Site
    folder: Path
    context: Context

    def backup(self, number: int, age: float = 0.0) -> None:
        """A backup as the role makes it: manifest and heartbeat first, then the archive."""
        data, proof = self.folder / "srv", self.folder / "proof" / "documents"
        for path in (data, proof):
            path.mkdir(parents=True, exist_ok=True)
        (data / f"{number}.txt").write_text(f"document {number}\n" * 500)
        files = [self.entry(path) for path in sorted(data.iterdir())]
        taken = {"service": "documents", "host": "h1", "taken_at": "2026-01-01T00:00:00Z", "paths": [str(data)]}
        (proof / "manifest.json").write_text(json.dumps({**taken, "files": files}))
        (proof / "heartbeat.json").write_text(json.dumps({"unix": time.time() - age}))
        if not (self.site.node / "h1").exists():
            self.site.borg("init", "-e", "repokey", str(self.site.node / "h1"))
        name = f"documents-2026-01-01T00:00:{number:02}"
        self.site.borg("create", f"{self.site.node / 'h1'}::{name}", str(data), str(proof))

    @staticmethod
    def entry(path: Path) -> dict[str, object]:
        import hashlib

        status = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        mode = format(status.st_mode & 0o7777, "04o")
        owner = {"owner": path.owner(), "group": path.group()}
        return {"path": str(path), "size": status.st_size, "mode": mode, "sha256": digest, **owner}

    def drill(self, promise: Promise = PROMISE) -> Item:
        work = Work(self.context, self.folder / "scratch", lambda text: None)
        work.folder.mkdir(parents=True, exist_ok=True)
        store = Store(str(self.site.root / "generations"))
        paths, proof = (str(self.folder / "srv"),), str(self.folder / "proof")

        def restore(repository: Repository, folder: Path, timer: Timer) -> Item:
            return restore_files(repository, TARGET, paths, promise, folder, work.progress, proof, timer)

        item = restore_offsite(store, in_borg("h1", "x", restore), TARGET, promise, work)
        assert list(work.folder.iterdir()) == [], "nothing of it is left"
        return item


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    project = tmp_path / "project"
    shutil.copytree(REPOSITORY / "inventories" / "lab" / "plan", project / "inventories" / "lab" / "plan")
    monkeypatch.setenv("EGOV_PROJECT", str(project))
    return Bench(
        Site(tmp_path, monkeypatch), tmp_path / "client", open_context(Inventory(project / "inventories" / "lab"))
    )


@needs_tools
def test_a_service_comes_back_from_the_newest_generation(bench: Bench) -> None:
    bench.backup(1)
    bench.site.generation()
    bench.backup(2)
    bench.site.generation()
    item = bench.drill()
    assert (item.outcome, item.verdict) == (Outcome.COMPLETED, Verdict.MET), item.reasons
    assert item.files_compared == 2 and set(item.phases) == {"fetch", "find", "restore", "verify"}
    assert item.details["generation"] == sorted(path.name for path in (bench.site.root / "generations").iterdir())[-1]
    assert item.rto_seconds == pytest.approx(sum(item.phases.values()), abs=0.01)


@needs_tools
def test_history_that_a_client_took_away_is_found_in_an_older_generation_and_said(bench: Bench) -> None:
    bench.backup(1)
    bench.site.generation()
    bench.site.borg("delete", f"{bench.site.node / 'h1'}::documents-2026-01-01T00:00:01")
    bench.site.generation()
    item = bench.drill()
    assert item.verdict is Verdict.NOT_MET and item.causes[0] is Cause.NO_BACKUP
    assert item.files_compared == 1, "and still all of it came back"
    assert "older generation" in item.reasons[0]["en"] and item.reasons[0]["zh"]


@needs_tools
def test_a_node_that_was_destroyed_is_no_loss(bench: Bench) -> None:
    bench.backup(1)
    bench.site.generation()
    shutil.rmtree(bench.site.node / "h1")
    bench.site.generation()
    item = bench.drill()
    assert (item.verdict, item.files_compared) == (Verdict.MET, 1), item.reasons


@needs_tools
def test_an_old_backup_is_too_old(bench: Bench) -> None:
    bench.backup(1, age=9000)
    bench.site.generation()
    assert bench.drill().causes == (Cause.STALE,)
    assert bench.drill(Promise(600, 10_000)).verdict is Verdict.MET


def test_what_is_not_there_is_told_from_what_cannot_be_reached(bench: Bench) -> None:
    empty = bench.drill()
    assert (empty.verdict, empty.causes) == (Verdict.NOT_MET, (Cause.NO_BACKUP,))
    shutil.rmtree(bench.site.root / "generations")
    silent = bench.drill()
    assert (silent.verdict, silent.causes) == (Verdict.UNKNOWN, (Cause.UNREACHABLE,))


def test_the_plan_says_what_is_promised_and_a_plan_without_an_off_site_node_says_so(bench: Bench) -> None:
    method = RestoreOffsite()
    targets = method.targets(bench.context, ("documents",))
    assert [str(target) for target in targets] == ["documents@minqin-education"]
    said = [step["en"] for step in method.steps(bench.context, targets[0])]
    assert "RPO 7200 s with one interval of pulls" in said[3]
    plan = bench.context.inventory.plan_dir / "city.yml"
    text = plan.read_text().replace("kind: offsite", "kind: department")
    plan.write_text(text)
    without = open_context(bench.context.inventory)
    assert method.targets(without, ()) == []
    with pytest.raises(UsageError, match="has no site of kind offsite"):
        method.targets(without, ("documents",))
