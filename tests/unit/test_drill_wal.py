"""WAL by its names: whatever is taken out of an archive is missed, and nothing is missed in a whole one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egovctl.drill.wal import SEGMENT_OCTETS, Archive, Place, Segment, before, lsn, lsn_text, parse_history, way

NUMBERS = st.integers(0, 1 << 32)


def archive(places: list[Place], *histories: int) -> Archive:
    segments = {place: Segment(place, "0" * 40, 100, float(place.number)) for place in places}
    return Archive(segments, frozenset(histories))


@given(st.integers(0, (1 << 64) - 1))
def test_an_lsn_is_read_as_it_is_written(number: int) -> None:
    assert lsn(lsn_text(number)) == number


@given(st.integers(1, 0xFFFFFFFF), st.integers(0, (1 << 40) - 1))
def test_a_segment_is_named_as_postgresql_does(timeline: int, number: int) -> None:
    place = Place(timeline, number)
    assert Place.of(place.name) == place and len(place.name) == 24
    assert place.name[8:] == f"{place.start >> 32:08X}{(place.start & 0xFFFFFFFF) // SEGMENT_OCTETS:08X}"


@pytest.mark.parametrize("text", ["", "0", "1/2/3x", "x/y", "0000000100000000000000", "00000001000000000000000G"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        lsn(text)
    with pytest.raises(ValueError):
        Place.of(text)


@given(NUMBERS, st.integers(1, 300), st.data())
def test_of_one_timeline_exactly_what_was_taken_out_is_missing(first: int, length: int, data: st.DataObject) -> None:
    places = [Place(1, first + n) for n in range(length)]
    gone = data.draw(st.sets(st.sampled_from(places[:-1] or [Place(1, first + 10**6)])))
    found = way(archive([place for place in places if place not in gone]), places[0], 1, [])
    assert set(found.missing) == gone & set(places) and found.last == places[-1]
    assert found.usable == tuple(places[: min((places.index(one) for one in gone if one in places), default=length)])


@given(NUMBERS, st.lists(st.integers(0, 20), min_size=1, max_size=5), st.data())
def test_over_timelines_too(first: int, lengths: list[int], data: st.DataObject) -> None:
    """Each timeline begins within a segment, whose copy on the old timeline nobody needs."""
    places: list[Place] = []
    ancestors: list[tuple[int, int]] = []
    number = first
    for timeline, length in enumerate(lengths, start=1):
        places += [Place(timeline, number + n) for n in range(length)]
        number += length
        if timeline < len(lengths):
            ancestors.append((timeline, number * SEGMENT_OCTETS + data.draw(st.integers(0, SEGMENT_OCTETS - 1))))
    places.append(Place(len(lengths), number))
    whole = archive(places, *range(2, len(lengths) + 1))
    assert whole.newest_timeline(1) == len(lengths) and not whole.unreachable(1)
    found = way(whole, Place(1, first), len(lengths), ancestors)
    assert found.needed == tuple(places) and not found.missing
    gone = data.draw(st.sampled_from(places[:-1] or places))
    if gone != places[-1]:
        assert way(
            archive([one for one in places if one != gone]), Place(1, first), len(lengths), ancestors
        ).missing == (gone,)


def test_a_timeline_without_its_history_is_not_reached() -> None:
    there = archive([Place(1, 1), Place(2, 2), Place(4, 9)], 2, 4)
    assert there.newest_timeline(1) == 2 and there.unreachable(1) == [4]


def test_an_archive_is_read_from_its_listing() -> None:
    sha = "0123456789abcdef0123456789abcdef01234567"
    there = Archive.listed(
        {
            f"0000000100000000/000000010000000000000003-{sha}.zst": (10, 5.0),
            f"0000000100000000/000000010000000000000003-{sha[::-1]}.gz": (10, 5.0),
            f"0000000100000000/000000010000000000000004-{sha}": (10, 5.0),
            f"0000000100000000/000000010000000000000005.partial-{sha}.zst": (10, 5.0),
            "0000000100000000/000000010000000000000003.00000028.backup": (1, 5.0),
            "00000002.history": (1, 5.0),
            "archive.info": (1, 5.0),
        }
    )
    assert sorted(place.number for place in there.segments) == [3, 4]
    assert there.twice == (Place(1, 3),) and there.histories == {2}


def test_a_history_is_read_as_postgresql_writes_it() -> None:
    text = "1\t0/A0000D8\tno recovery target specified\n\n# a remark\n2\t1/B000000\tbefore 2026-01-01\n"
    assert parse_history(text) == [(1, lsn("0/A0000D8")), (2, lsn("1/B000000"))]


@given(st.integers(1, 50), st.floats(0, 60))
def test_for_a_moment_as_much_is_needed_as_was_written_by_then(length: int, moment: float) -> None:
    places = [Place(1, n) for n in range(length)]  # number n was archived at second n
    found = before(way(archive(places), places[0], 1, []), archive(places), moment, 2.0)
    assert [place for place in places if place.number <= moment] == list(found.needed)[: int(moment) + 1]
    assert len(found.needed) <= moment + 4
