"""Dumps of real databases, cut and damaged: what is whole passes, what is not is found, wherever it was cut."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

import database_bench as bench
import pytest

from egovctl.drill.call import Deadline
from egovctl.drill.causes import Cause
from egovctl.drill.dumps import Kind, check_dump

OURS = (15, 0)
CUTS = 25

pytestmark = pytest.mark.skipif(
    not bench.available(bench.POSTGRESQL / "postgres"), reason="make .tools/.ready was not run"
)


@pytest.fixture(scope="session")
def dumps() -> Iterator[Path]:
    """A folder with the register as `custom`, `plain` and `packed`."""
    with bench.workplace() as folder:
        cluster = bench.Cluster(folder / "cluster", settings={"archive_mode": "off"})
        cluster.initialise()
        with cluster.running():
            cluster.sql("CREATE DATABASE register", database="postgres")
            cluster.sql(bench.REGISTER.format(rows=2000))
            argv = [bench.POSTGRESQL / "pg_dump", "-h", cluster.folder, "-U", "postgres", "-d", "register"]
            (folder / "custom").write_bytes(bench.call([*argv, "-Fc"]))
            (folder / "plain").write_bytes(bench.call(argv))
        (folder / "packed").write_bytes(gzip.compress((folder / "plain").read_bytes()))
        yield folder


def causes(folder: Path, octets: bytes, kind: Kind) -> list[Cause]:
    path = folder / f"spoiled-{kind}"
    path.write_bytes(octets)
    box = bench.ToolsBox(folder)
    return [one.cause for one in check_dump(box, box.inside(path), kind, OURS, Deadline.after(30))]


@pytest.mark.parametrize("kind", Kind)
def test_a_whole_dump_passes(dumps: Path, kind: Kind) -> None:
    assert causes(dumps, (dumps / kind).read_bytes(), kind) == []


@pytest.mark.parametrize("kind", Kind)
def test_a_dump_is_found_to_be_cut_wherever_it_was(dumps: Path, kind: Kind) -> None:
    octets = (dumps / kind).read_bytes()
    chosen = random.Random(kind)
    places = [
        0,
        1,
        len(octets) * 6 // 10,
        len(octets) - 100,
        *(chosen.randrange(len(octets) - 100) for _ in range(CUTS)),
    ]
    missed = [place for place in places if causes(dumps, octets[:place], kind) != [Cause.DUMP_CUT]]
    assert not missed, f"of {len(octets)} octets"


def test_a_dump_that_was_cut_before_it_was_packed_is_found(dumps: Path) -> None:
    text = (dumps / "plain").read_bytes()
    assert causes(dumps, gzip.compress(text[: len(text) // 2]), Kind.PACKED) == [Cause.DUMP_CUT]


def test_the_last_word_of_a_dump_inside_a_row_is_no_end(dumps: Path) -> None:
    """A table may hold any text."""
    text = (dumps / "plain").read_bytes()
    word = b"-- PostgreSQL database dump complete\n"
    half = text[: len(text) // 2]
    assert causes(dumps, half + b"\n" + word + b"1\tmore\n", Kind.PLAIN) == [Cause.DUMP_CUT]


def test_a_dump_of_a_newer_version_is_told(dumps: Path) -> None:
    text = (
        (dumps / "plain").read_bytes().replace(b"Dumped from database version 15.", b"Dumped from database version 17.")
    )
    assert causes(dumps, text, Kind.PLAIN) == [Cause.VERSION_MISMATCH]
    octets = bytearray((dumps / "custom").read_bytes())
    octets[6] += 3  # the format's minor version
    assert causes(dumps, bytes(octets), Kind.CUSTOM) == [Cause.VERSION_MISMATCH]
