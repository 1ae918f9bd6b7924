"""Retention against a real repository over the node's own keys: it never finishes what an attacker began.

If a test here fails, the one place where history can end would end it for somebody else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egovctl.backups import register, retention
from egovctl.backups.keeping import Keep, superfluous
from egovctl.backups.register import Archived, Known, compare, known
from egovctl.checks.context import Context, open_context
from egovctl.drill.borg import Repository
from egovctl.errors import EgovError, JudgedFailure, UsageError
from egovctl.evidence import Chain, open_chain
from egovctl.paths import Inventory
from egovctl.secrets import Secrets

REPOSITORY = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEEP = Keep(newest=2, daily=0, weekly=0, monthly=0)
HOST = "core1"
needs_borg = pytest.mark.skipif(shutil.which("borg") is None, reason="borgbackup is not installed")


def archived(number: int, service: str = "documents", at: datetime | None = None) -> Archived:
    moment = at or NOW - timedelta(hours=number)
    name = f"{service}-{moment:%Y-%m-%dT%H:%M:%S}"
    return Archived(f"{number:064x}", name, moment.isoformat(timespec="seconds"))


# --- which go: pure ---------------------------------------------------------------------------------------------------

times = st.lists(st.integers(0, 400 * 24), max_size=80, unique=True)
counts = st.builds(Keep, st.integers(1, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))


@given(times, counts, st.data())
def test_what_goes_is_what_no_count_asks_for(hours: list[int], keep: Keep, data: st.DataObject) -> None:
    archives = [archived(hour) for hour in hours]
    protected = frozenset(item.id for item in archives if data.draw(st.booleans()))
    going = superfluous(archives, keep, protected)
    left = [item for item in archives if item not in going]
    assert not {item.id for item in going} & protected
    newest = sorted(archives, key=lambda item: item.at)[-keep.newest :]
    assert set(newest) <= set(left)
    assert len(left) <= keep.newest + keep.daily + keep.weekly + keep.monthly + len(protected)
    assert superfluous(left, keep, protected) == []
    days = {item.at[:10] for item in archives}
    assert len({item.at[:10] for item in left}) >= min(len(days), keep.daily)


@given(times)
def test_services_do_not_push_each_other_out_and_foreign_names_stay(hours: list[int]) -> None:
    mine = [archived(hour) for hour in hours]
    others = [replace(archived(hour, "mail"), id=f"m{hour}") for hour in range(50)]
    foreign = Archived("f", "checkpoint", NOW.isoformat())
    assert [
        item for item in superfluous([*others, *mine, foreign], KEEP) if item.service == "documents"
    ] == superfluous(mine, KEEP)
    assert foreign not in superfluous([*mine, foreign], KEEP)


@pytest.mark.parametrize("wrong", [(0, 1, 1, 1), (1, -1, 0, 0)])
def test_counts_that_keep_nothing_are_refused(wrong: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="no counts to keep"):
        Keep(*wrong)


# --- what is missing or strange: pure ---------------------------------------------------------------------------------


def test_missing_and_strange_archives_are_told_from_new_ones() -> None:
    old, older = archived(1), archived(2)
    before = Known({old.id: old, older.id: older}, NOW - timedelta(hours=1))
    fresh = archived(0)
    assert compare(HOST, (older, old, fresh), before, NOW).whole
    assert compare(HOST, (older, old, fresh), before, NOW).new == (fresh,)
    other = replace(old, id="e" * 64)
    assert compare(HOST, (older, other), before, NOW).missing == (old,), "the same name is not the same archive"
    strange = {
        "named as no backup is": Archived("1" * 64, "loot", NOW.isoformat()),
        "from the future": archived(9, at=NOW + timedelta(hours=2)),
        "from a time that control has seen": archived(8, at=NOW - timedelta(days=3)),
    }
    for why, item in strange.items():
        seen = compare(HOST, (older, old, item), before, NOW)
        assert seen.strange == (item,) and not seen.whole, why
    first = compare(HOST, (archived(8, at=NOW - timedelta(days=300)),), None, NOW)
    assert first.whole, "at the first look everything is new"
    late = archived(7, at=NOW - timedelta(hours=20))
    assert compare(HOST, (older, old, late), before, NOW).whole, "a backup may take hours"


# --- real repositories ------------------------------------------------------------------------------------------------


class Node:
    """A backup node with one repository, and the three keys to it as the role gives them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.store = folder, folder / "srv"
        self.store.mkdir()
        project = folder / "project"
        shutil.copytree(REPOSITORY / "inventories" / "lab" / "plan", project / "inventories" / "lab" / "plan")
        monkeypatch.setenv("EGOV_PROJECT", str(project))
        monkeypatch.setenv("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes")
        self.context = open_context(Inventory(project / "inventories" / "lab"))
        limit = f"--restrict-to-path {self.store}"
        self.keys = {
            "client": self.key("client", f"--append-only --storage-quota 50M {limit}"),
            "borg": self.key("borg", f"--append-only {limit}"),
            "retention": self.key("retention", limit),
        }
        monkeypatch.setattr(retention, "way_to", self.way)
        (folder / "data").mkdir()
        self.client("init", "-e", "repokey", self.location)

    @property
    def location(self) -> str:
        return f"ssh://node{self.store}/{HOST}"

    def key(self, name: str, options: str) -> str:
        """What ssh would run on the node, whatever the client asks for."""
        path = self.folder / f"ssh-{name}"
        path.write_text(f"#!/bin/sh\nexec borg serve {options}\n")
        path.chmod(0o755)
        return str(path)

    def way(self, context: Context, host: str, way: str) -> Repository:
        return Repository(self.location, "x", self.folder / "base", (self.keys[way],))

    def client(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        ways = {"BORG_PASSPHRASE": "x", "BORG_BASE_DIR": str(self.folder / "client"), "BORG_RSH": self.keys["client"]}
        done = subprocess.run(
            ["borg", *arguments], env={**os.environ, **ways}, check=False, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def backup(self, minute: int) -> str:
        (self.folder / "data" / str(minute)).write_bytes(os.urandom(60_000))
        name = f"documents-2026-01-01T00:{minute:02}:00"
        self.client("create", f"{self.location}::{name}", str(self.folder / "data"))
        return name

    @property
    def chain(self) -> Chain:
        return open_chain(self.context.inventory, self.context.city.plan_revision)

    def retain(self, keep: Keep = KEEP, **how: bool) -> retention.Retention:
        return retention.retain(self.context, HOST, self.chain, keep, **how)

    def names(self) -> list[str]:
        listed = register.listed(self.way(self.context, HOST, "borg"), retention.Deadline.after(60))
        return [item.name for item in listed]

    def kinds(self) -> list[str]:
        return [record.kind for record in self.chain.records()]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@needs_borg
def test_retention_deletes_by_count_and_frees_the_room(node: Node) -> None:
    names = [node.backup(minute) for minute in range(4)]
    before = bytes_of(node.store)
    wanted = node.retain(check_only=True)
    assert [item.name for item in wanted.deleted] == names[:2] and node.names() == names and node.kinds() == []
    (node.folder / "data" / "0").unlink()
    done = node.retain()
    assert [item.name for item in done.deleted] == names[:2] and node.names() == names[2:]
    assert bytes_of(node.store) <= before
    assert node.kinds() == [register.LOOK, register.PLANNED, register.RETIRED]
    assert {item.name for item in known(node.chain.records())[HOST].archives.values()} == set(names[2:])
    assert node.retain().deleted == (), "and a second time there is nothing to do"


@needs_borg
def test_what_a_client_deleted_is_noticed_and_nothing_becomes_final(node: Node) -> None:
    names = [node.backup(minute) for minute in range(4)]
    node.retain(Keep(9, 0, 0, 0))
    saved = bytes_of(node.store / HOST / "data")
    node.client("delete", node.location, names[3])
    node.client("compact", node.location, check=False)
    with pytest.raises(
        JudgedFailure, match=f"lacks 1 archives that were seen there .{names[3]}.: nothing was compacted"
    ):
        node.retain()
    assert node.names() == names[:3] and bytes_of(node.store / HOST / "data") >= saved
    # The same name again is no amends.
    node.client("create", f"{node.location}::{names[3]}", str(node.folder / "data"))
    with pytest.raises(JudgedFailure, match="lacks 1 archives"):
        node.retain()
    # A person who knows why goes on from there.
    seen, _ = retention.look(node.context, [HOST], node.chain)
    register.accept(node.chain, seen[0], "tester")
    assert [item.name for item in node.retain().deleted] == names[:2]


@needs_borg
def test_a_client_that_empties_what_it_cannot_delete_stops_retention(node: Node) -> None:
    names = [node.backup(minute) for minute in range(3)]
    node.retain(Keep(9, 0, 0, 0))
    # What root on the client can do with its key: delete objects of archives that stay in the list.
    dump = node.folder / "dump.json"
    node.client("debug", "dump-archive", f"{node.location}::{names[0]}", str(dump))
    chunks = re.findall(r'"chunks": \[\s*\[\s*"(?:\\u007f)?([0-9a-f]{64})"', dump.read_text())
    node.client("debug", "delete-obj", node.location, chunks[0])
    assert node.names() == names, "the list looks as ever"
    with pytest.raises(JudgedFailure, match="is not whole, nothing was deleted"):
        node.retain()
    assert register.RETIRED not in node.kinds() and register.PLANNED not in node.kinds()


@needs_borg
def test_an_archive_with_a_date_that_would_push_true_ones_out_stops_retention(node: Node) -> None:
    for minute in range(3):
        node.backup(minute)
    node.retain(Keep(9, 0, 0, 0))
    node.client(
        "create", "--timestamp", "2099-01-01T00:00:00", f"{node.location}::documents-2099-01-01T00:00:00", "/dev/null"
    )
    with pytest.raises(JudgedFailure, match="1 archives that no backup made"):
        node.retain()
    assert len(node.names()) == 4


@needs_borg
def test_the_archive_that_a_drill_brought_back_last_never_goes(node: Node) -> None:
    names = [node.backup(minute) for minute in range(4)]
    item = {"service": "documents", "host": HOST, "verdict": "met", "details": {"archive": names[0]}}
    failed = {**item, "verdict": "not_met", "details": {"archive": names[1]}}
    node.chain.append("drill.result", {"items": [item]})
    node.chain.append("drill.result", {"items": [failed]})
    assert [item.name for item in node.retain().deleted] == [names[1]]
    assert node.names() == [names[0], *names[2:]]


@needs_borg
def test_a_client_cannot_fill_more_than_its_quota_and_cannot_leave_its_repository(node: Node) -> None:
    node.backup(1)
    (node.folder / "data" / "big").write_bytes(os.urandom(60_000_000))
    done = node.client(
        "create", f"{node.location}::documents-2026-01-01T00:09:00", str(node.folder / "data"), check=False
    )
    assert done.returncode != 0 and "quota" in done.stderr.lower()
    other = node.client("init", "-e", "none", f"ssh://node{node.folder}/elsewhere", check=False)
    assert other.returncode != 0 and not (node.folder / "elsewhere").exists()


def test_what_cannot_be_seen_is_told_from_what_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    shutil.copytree(REPOSITORY / "inventories" / "lab" / "plan", project / "inventories" / "lab" / "plan")
    monkeypatch.setenv("EGOV_PROJECT", str(project))
    context = open_context(Inventory(project / "inventories" / "lab"))
    chain = open_chain(context.inventory, context.city.plan_revision)
    with pytest.raises(EgovError, match="secret borg_passphrase_core1 is missing"):
        retention.retain(context, HOST, chain, KEEP)
    Secrets(context.inventory).ensure_random([f"borg_passphrase_{HOST}"])
    seen, silent = retention.look(context, [HOST], chain)
    assert seen == [] and "run egovctl render" in silent[HOST]["en"] and silent[HOST]["zh"]
    (record,) = chain.records()
    assert record.body == {"hosts": {}, "silent": silent}
    with pytest.raises(EgovError, match="run egovctl render"):
        retention.retain(context, HOST, chain, KEEP)
