"""egov-offsite against real borg repositories: what is good is kept, what is not never pushes out what was.

A failure here means that whoever holds the backup node can take the last good copy away, or that a damaged one counts.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offsite_site import STATES, Site, archives, needs_tools, offsite


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository after its first backup and after its second; making them costs seconds, copying nothing."""
    folder = tmp_path_factory.mktemp("stock")
    with pytest.MonkeyPatch.context() as patch:
        made = Site(folder / "work", patch)
        for number, name in enumerate(STATES, start=1):
            made.backup(number)
            shutil.copytree(made.node / "h1", folder / name)
    shutil.copytree(made.base, folder / "base")
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stock: Path) -> Site:
    return Site(tmp_path, monkeypatch, stock)


@needs_tools
def test_a_generation_is_a_repository_that_borg_reads_and_unchanged_segments_cost_a_name_each(site: Site) -> None:
    site.backup(1)
    first = site.generation()["borg/h1"]
    site.backup(2)
    second = site.generation()["borg/h1"]
    assert first["why"] == second["why"] == "" and second["head"] > first["head"]  # type: ignore[operator]
    assert archives(site, site.kept(place=0)) == ["documents-2026-01-01T00:00:00"]
    assert len(archives(site, site.kept())) == 2
    shared = [path for path in site.kept(place=0).rglob("data/*/*") if path.stat().st_nlink == 2]
    assert shared and all(path.samefile(site.kept() / path.relative_to(site.kept(place=0))) for path in shared)
    assert not [path for path in site.kept().rglob("*") if path.is_file() and path.stat().st_mode & 0o222]
    assert 'egov_offsite_repository_ok{repository="borg/h1"} 1' in site.textfile.read_text()


def flip(site: Site, number: int) -> None:
    path = site.segments()[number]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, (1, 1))


def lose(site: Site) -> None:
    next(path for path in site.segments() if path.stat().st_size > 1000).unlink()


def cut(site: Site, number: int) -> None:
    path = site.segments()[number]
    path.write_bytes(path.read_bytes()[:-5])


def foreign(site: Site) -> None:
    shutil.rmtree(site.node / "h1")
    site.backup(3, "h9")
    (site.node / "h9").rename(site.node / "h1")


def prune(site: Site) -> None:
    site.borg("delete", str(site.node / "h1") + "::documents-2026-01-01T00:00:00", "documents-2026-01-02T00:00:00")
    site.borg("compact", "--cleanup-commits", "--threshold", "1", str(site.node / "h1"))


def roll_back(site: Site) -> None:
    site.backup(1)


ATTACKS: dict[str, tuple[Callable[[Site], object], str]] = {
    "rm -rf": (lambda site: shutil.rmtree(site.node / "h1"), "gone from the backup node"),
    "emptied": (lambda site: [path.unlink() for path in site.segments()], "no segment of it ends in a commit"),
    "an old segment flipped": (lambda site: flip(site, 0), "damaged"),
    "the newest data flipped": (lambda site: flip(site, -3), "damaged|missing|had come to"),
    "the last commit flipped": (lambda site: flip(site, -1), "had come to commit"),
    "an old segment cut": (lambda site: cut(site, 1), "cut|damaged"),
    "a segment deleted": (lose, "segments are missing, the first is"),
    "another repository": (foreign, "another repository than before"),
    "deleted and compacted": (prune, "per cent of what was there before is gone"),
    "an old state put back": (roll_back, "had come to"),
    "no configuration": (lambda site: (site.node / "h1" / "config").write_text("x"), "no configuration"),
    "a link in its place": (
        lambda site: (shutil.rmtree(site.node / "h1"), (site.node / "h1").symlink_to("/etc")),
        "gone from the backup node",
    ),
}


@needs_tools
@pytest.mark.parametrize("attack", ATTACKS)
def test_whatever_the_backup_node_shows_the_last_good_state_stays(site: Site, attack: str) -> None:
    site.backup(2)
    good = site.generation()["borg/h1"]
    act, words = ATTACKS[attack]
    act(site)
    for _ in range(2):
        found = site.generation()["borg/h1"]
        assert re.search(words, str(found["why"])), found
        assert found["at"] == good["at"] and found["head"] == good["head"]
        assert len(archives(site, site.kept())) == 2
    assert 'egov_offsite_repository_ok{repository="borg/h1"} 0' in site.textfile.read_text()


@needs_tools
def test_the_others_go_on_when_one_is_damaged_and_a_new_one_that_is_bad_is_not_kept(site: Site) -> None:
    site.backup(1)
    site.backup(1, "h2")
    site.generation()
    flip(site, 0)
    site.backup(2, "h2")
    (site.node / "h3").mkdir()
    (site.node / "h3" / "config").write_text("[repository]\n")
    found = site.generation()
    assert found["borg/h1"]["why"] and not found["borg/h2"]["why"]
    assert found["borg/h3"]["at"] is None and not site.kept("h3").exists()
    assert len(archives(site, site.kept("h2"))) == 2


@needs_tools
def test_a_person_can_accept_what_the_backup_node_has(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.backup(1)
    site.backup(2)
    site.generation()
    prune(site)
    assert site.generation()["borg/h1"]["why"]
    with pytest.raises(SystemExit, match="there is no borg/h9"):
        offsite.main(["accept", "borg/h9"])
    offsite.main(["accept", "borg/h1"])
    assert site.generation()["borg/h1"]["why"] == ""
    assert archives(site, site.kept()) == [] and len(archives(site, site.kept(place=0))) == 2
    site.backup(3)
    assert site.generation()["borg/h1"]["why"] == "", "accepted once, and no more"


@needs_tools
def test_ordinary_retention_is_no_loss_of_history(site: Site) -> None:
    for number in range(1, 6):
        site.backup(number)
    site.generation()
    site.borg("delete", f"{site.node / 'h1'}::documents-2026-01-01T00:00:00")
    site.borg("compact", str(site.node / "h1"))
    site.backup(6)
    assert site.generation()["borg/h1"]["why"] == ""
    assert len(archives(site, site.kept())) == 5


@needs_tools
def test_a_write_under_way_is_no_fault(site: Site) -> None:
    site.backup(1)
    site.generation()
    newest = site.segments()[-1]
    (newest.parent / str(int(newest.name) + 1)).write_bytes(site.segments()[0].read_bytes()[:100])
    (site.node / "h1" / "lock.exclusive").mkdir()
    assert site.generation()["borg/h1"]["why"] == ""
    assert not list(site.kept().glob("lock*"))


@needs_tools
def test_what_was_read_once_is_read_again_after_some_days(site: Site) -> None:
    site.backup(1)
    site.generation()
    rotten = next(path for path in site.kept().rglob("data/*/*") if path.stat().st_size > 1000)
    status = rotten.stat()
    rotten.chmod(0o600)
    data = bytearray(rotten.read_bytes())
    data[500] ^= 1
    rotten.write_bytes(data)
    os.utime(rotten, (status.st_atime, status.st_mtime))
    assert site.generation()["borg/h1"]["why"] == "", "the same file, and read when it came"
    site.settings["read_whole_days"] = 0
    site.write()
    assert "damaged" in str(site.generation()["borg/h1"]["why"])


def test_a_pull_that_failed_leaves_everything_as_it_was(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    offsite.main(["prepare"])
    site.settings["sources"] = [{"name": "borg", "kind": "borg", "from": f"{site.node}/nowhere/"}]
    site.write()
    with pytest.raises(SystemExit, match="nothing could be pulled"):
        offsite.main(["pull"])
    assert "borg: rsync exited 23" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="nothing was pulled"):
        offsite.main(["seal"])
    assert list((site.root / "generations").iterdir()) == []
    assert "egov_offsite_failed_pulls 1\n" in site.textfile.read_text()
    site.settings["reserve_mib"] = 1 << 40
    site.write()
    with pytest.raises(SystemExit, match="are kept free: nothing is pulled"):
        offsite.main(["prepare"])


class Stanza:
    """A pgBackRest repository as its files look: nothing of it can be read without the passphrase."""

    def __init__(self, site: Site) -> None:
        self.site, self.root = site, site.node.parent / "pgbackrest"
        source = {"name": "pgbackrest", "kind": "pgbackrest", "from": f"{self.root}/"}
        site.settings["sources"] = [source, *site.settings["sources"]]  # type: ignore[misc]
        site.write()
        self.lists("one")
        for number in range(4):
            self.put(f"archive/register/15-1/0000000100000000/{number:024}-{'a' * 40}", b"w" * 1000)
        self.put("backup/register/20260101-000000F/backup.manifest", b"m")
        self.put("backup/register/20260101-000000F/pg_data/x", b"d" * 1000)

    def put(self, path: str, content: bytes) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return place

    def lists(self, text: str) -> None:
        for part in ("archive", "backup"):
            for end in ("", ".copy"):
                self.put(f"{part}/register/{part}.info{end}", text.encode())


@needs_tools
def test_a_pgbackrest_repository_goes_on_by_files_that_are_written_once(site: Site) -> None:
    stanza = Stanza(site)
    site.backup(1)
    assert {name: found["why"] for name, found in site.generation().items()} == {
        "borg/h1": "",
        "pgbackrest/archive": "",
        "pgbackrest/backup": "",
    }
    stanza.lists("two")
    stanza.put(f"archive/register/15-1/0000000100000000/{9:024}-{'a' * 40}", b"w" * 1000)
    under_way = stanza.put("backup/register/20260102-000000F/pg_data/x", b"half")
    stanza.put("backup/register/20260102-000000F/backup.manifest.copy", b"m")
    assert not any(found["why"] for found in site.generation().values())
    under_way.write_bytes(b"other")
    assert not any(found["why"] for found in site.generation().values()), "it was being made"
    next(stanza.root.glob("archive/*/*/*/*0-a*")).write_bytes(b"x" * 1000)
    (stanza.root / "backup/register/backup.info").write_text("three")
    found = site.generation()
    assert "which nothing changes once it is written" in str(found["pgbackrest/archive"]["why"])
    assert "backup.info and its copy differ" in str(found["pgbackrest/backup"]["why"])
    assert not found["borg/h1"]["why"]
    shutil.rmtree(stanza.root)
    found = site.generation()
    assert {found[f"pgbackrest/{part}"]["why"] for part in ("archive", "backup")} == {"it could not be fetched"}
    assert not found["borg/h1"]["why"], "and the others go on"
    kept = sorted((site.root / "generations").iterdir())[-1] / "pgbackrest" / "archive"
    assert len([path for path in kept.rglob("*") if path.stat().st_size == 1000 and path.is_file()]) == 5


@given(
    st.lists(st.integers(0, 3 * 366 * 24), max_size=120, unique=True),
    st.fixed_dictionaries({name: st.integers(0, 20) for name in ("newest", "daily", "weekly", "monthly")}),
)
@settings(max_examples=150, deadline=None)
def test_generations_are_dropped_by_count_alone_and_the_newest_never(hours: list[int], keep: dict[str, int]) -> None:
    from datetime import UTC, datetime, timedelta

    begin = datetime(2026, 1, 1, tzinfo=UTC)
    stamps = sorted((begin + timedelta(hours=hour)).strftime("%Y%m%dT%H%M%SZ") for hour in hours)
    dropped = offsite.superfluous(stamps, keep)
    kept = [stamp for stamp in stamps if stamp not in dropped]
    assert set(dropped) <= set(stamps) and (not stamps or stamps[-1] in kept)
    assert len(kept) <= sum(keep.values()) + 1
    assert set(stamps[-keep["newest"] :] if keep["newest"] else []) <= set(kept)
    assert offsite.superfluous(kept, keep) == []
    months = dict.fromkeys(stamp[:6] for stamp in stamps)
    assert len({stamp[:6] for stamp in kept}) >= min(len(months), keep["monthly"])
