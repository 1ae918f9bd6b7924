"""The hot path: what was read completely once is read again by the same requests, at a fraction of the cost.

Each request is a GetBulk over several columns whose reply is known but for its numbers: all other octets are compared
at once with a skeleton (`reply & mask == skeleton`, both as one large integer), and the numbers are taken out by one
`struct.unpack`. Texts are part of the skeleton. A reply of another shape (a counter grew an octet) is parsed and
becomes the new skeleton. A reply of other rows, another text, an error or a value that cannot be served is `Stale`: the
general path (`walk`, `decode`) reads the module again. Both give the same page; a property test holds them to it.

The labels of a table whose numbers are read are asked for only once in LABEL_SECONDS, and before that as soon as they
may be others: the device's uptime is not what it must be by now, or a row's state, speed, break or octets say so (see
`plausible.shaken`). Rows that come, go or move show in the numbers' own names, every time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import and_
from typing import NamedTuple

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import GET_BULK, BadMessage, Cell, Pdu, encode_pdu, oid_octets, read_tlv
from egov_exporters.snmp.decode import MANTISSA, BadValue, Decoded, number
from egov_exporters.snmp.expose import Family, first_of_each_name, header, lines
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.plausible import WATCHED
from egov_exporters.snmp.profiles import NUMBERS, Profile, Table
from egov_exporters.snmp.walk import ColumnData, Harvest

REPLY_OCTETS = 1_400  # of a reply PDU: what fits an Ethernet frame beside the headers of UDP and SNMP
BINDING_OCTETS = 7  # three headers, and one octet for a number to grow
PDU_OCTETS, TAIL_OCTETS = 30, 32  # around all bindings; of a binding behind the last row
MAX_CELLS = 96  # net-snmp answers with 100 at most
TRIED_WIDTHS = 6
MAX_COLUMNS = 60  # so that a request fits a frame as well
STATIC, NUMBER, IGNORED = 0, 1, 2
SYS_UPTIME: Oid = (1, 3, 6, 1, 2, 1, 1, 3)
LABEL_SECONDS = 60.0  # how old a label may be on the page
UPTIME_SLACK, UPTIME_DRIFT = 3.0, 0.02  # seconds that an agent's uptime may lag, and the share it may run wrong
ROLL = 1 << 32  # hundredths of a second after which sysUpTime begins anew
HEAD = (ber.INTEGER, ber.INTEGER, ber.INTEGER, ber.SEQUENCE)  # request id, error status, error index, bindings
NO_FORM = struct.Struct("")


class Stale(Exception):
    """The plan does not fit the device any more; `str(error)` is one word."""


class Position(NamedTuple):
    """Where a variable binding lies in a reply: its name's octets, its type, its value's octets."""

    name: int
    name_end: int
    tag: int
    value: int
    value_end: int


def split(reply: bytes) -> tuple[int, int, list[Position]]:
    """Given a response PDU: the offset of its request id, its error status, its bindings. Raises BadMessage."""
    tag, at, end = read_tlv(reply, 0, len(reply))
    if tag != ber.RESPONSE:
        raise BadMessage("not a response")
    head, identity, at = read_tlv(reply, at, end)
    error, start, stop = read_tlv(reply, at, end)
    index, first_index, at_index = read_tlv(reply, stop, end)
    listed, at, end = read_tlv(reply, at_index, end)
    if (head, error, index, listed) != HEAD or not (0 < stop - start <= 8 and 0 < at_index - first_index <= 8):
        raise BadMessage("not a response")
    if start - 2 - identity != 4:
        raise BadMessage("not our request id")
    status = int.from_bytes(reply[start:stop], "big", signed=True)
    found: list[Position] = []
    while at < end:
        binding, inner, at = read_tlv(reply, at, end)
        tag, name, name_end = read_tlv(reply, inner, at)
        kind, value, value_end = read_tlv(reply, name_end, at)
        if binding != ber.SEQUENCE or tag != ber.OBJECT_IDENTIFIER:
            raise BadMessage("not a binding")
        found.append(Position(name, name_end, kind, value, value_end))
    return identity, status, found


@lru_cache(maxsize=50_000)
def _struct(form: str) -> struct.Struct:
    """Devices of one kind answer in the same form."""
    return struct.Struct(form)


@lru_cache(maxsize=50_000)
def _shared(masks: tuple[int, ...]) -> tuple[int, ...]:
    return masks


@dataclass(slots=True, eq=False)
class Chunk:
    """One request and what its reply looks like.

    `kinds` says for each name whether its value is compared (STATIC), read (NUMBER) or of no interest (IGNORED).
    `tails` are the columns that the bindings behind the last name must have left: another row there is Stale.
    """

    request: Pdu
    names: tuple[bytes, ...]
    kinds: bytes
    tails: tuple[bytes, ...]
    known: tuple[Cell | None, ...] | None  # values of STATIC cells, until a skeleton holds them
    labels: bool = False  # nothing but labels of a table whose numbers other chunks have
    size: int = -1
    mask: int = 0
    skeleton: int = 0
    form: struct.Struct = NO_FORM
    masks: tuple[int, ...] = ()

    def read(self, reply: bytes) -> tuple[int, ...]:
        """Given a reply PDU: its numbers, in the order of the names. Raises Stale."""
        if len(reply) == self.size and int.from_bytes(reply, "little") & self.mask == self.skeleton:
            return tuple(map(and_, self.form.unpack(reply), self.masks))
        return self._parse(reply)

    def _parse(self, reply: bytes) -> tuple[int, ...]:
        try:
            identity, status, found = split(reply)
        except BadMessage:
            raise Stale("malformed") from None
        if status:
            raise Stale("agent_error")
        if len(found) < len(self.names) + len(self.tails):
            raise Stale("short_reply")
        known, numbers = self._statics(), []
        for name, kind, before, (start, name_end, tag, value, value_end) in zip(
            self.names, self.kinds, known, found, strict=False
        ):
            if reply[start:name_end] != name:
                raise Stale("rows_changed")
            if kind == NUMBER:
                try:
                    numbers.append(number(Cell(tag, reply[value:value_end])))
                except BadValue:
                    raise Stale("bad_value") from None
            elif kind == STATIC and (tag, reply[value:value_end]) != before:
                raise Stale("text_changed")
        for column, (start, name_end, tag, _, _) in zip(self.tails, found[len(self.names) :], strict=False):
            if tag != ber.END_OF_MIB_VIEW and reply[start:name_end].startswith(column):
                raise Stale("rows_added")
        self._learn(reply, identity, found, known)
        return tuple(numbers)

    def last(self) -> bytes:
        """A reply as it was, if it has nothing but texts; else, and if none was kept, empty."""
        whole = self.size >= 0 and set(self.kinds) == {STATIC}
        return self.skeleton.to_bytes(self.size, "little") if whole else b""

    def _statics(self) -> tuple[Cell | None, ...]:
        """The values that must be as they were; the skeleton has them unchanged, for its mask keeps them whole."""
        if self.known is not None:
            return self.known
        raw = self.skeleton.to_bytes(self.size, "little")
        _, _, found = split(raw)
        return tuple(
            Cell(one.tag, raw[one.value : one.value_end]) if kind == STATIC else None
            for kind, one in zip(self.kinds, found, strict=False)
        )

    def _learn(self, reply: bytes, identity: int, found: list[Position], known: tuple[Cell | None, ...]) -> None:
        """Make the skeleton from a good reply; a reply with a number of odd form is parsed every time instead."""
        keep = bytearray(b"\xff" * len(reply))
        keep[identity : identity + 4] = bytes(4)
        form, at, masks = [">"], 0, []
        for kind, (_, _, tag, value, end) in zip(self.kinds, found, strict=False):
            if kind == STATIC:
                continue
            keep[value:end] = bytes(end - value)
            if kind == IGNORED:
                continue
            fixed = _fixed(tag, reply[value:end])
            if fixed is None or end - 8 < at:
                self.size, self.known = -1, known
                return
            keep[value : value + len(fixed)] = fixed
            form.append(f"{end - 8 - at}xQ")
            at = end
            mask = (1 << 8 * min(end - value, 8)) - 1
            masks.append(mask & (MANTISSA - 1))
        for _, _, _, value, end in found[len(self.names) :]:
            keep[value:end] = bytes(end - value)
        form.append(f"{len(reply) - at}x")
        self.form, self.masks = _struct("".join(form)), _shared(tuple(masks))
        self.size, self.known = len(reply), None
        self.mask = int.from_bytes(keep, "little")
        self.skeleton = int.from_bytes(reply, "little") & self.mask


def _fixed(tag: int, raw: bytes) -> bytes | None:
    """Which bits of a number's first octet must stay as they are for its octets to be that number, read as unsigned: a
    mask of no or one octet. None: they may not be read so. Agrees with `decode.number`."""
    if tag == ber.INTEGER:
        if raw[0] & 0x80 or len(raw) > 5:
            return None
        return b"\xff" if len(raw) == 5 else b"\x80"
    size = 8 if tag == ber.COUNTER64 else 4
    if len(raw) > size + 1 or (len(raw) > size and raw[0]):
        return None
    return b"\xff" if len(raw) > size else b""


class Run(NamedTuple):
    """Some numbers of one reply: which chunk's, and which of them."""

    chunk: int
    part: slice


@dataclass(slots=True, eq=False)
class Block:
    """The text of one family: as it is, or from a template of its rows, which families with the same rows share.

    A template has one line a row, each after a newline and without the family's name: `\\n{labels} %d`. No label holds
    a newline (it is escaped), so putting the name after each newline makes the lines. `scales`, if any is not 1, has
    what each number is multiplied by.
    """

    name: str
    head: bytes
    text: bytes = b""
    rows: bytes = b""
    start: bytes = b""
    runs: tuple[Run, ...] = ()
    scales: tuple[float, ...] = ()

    def numbers(self, read: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """This family's numbers, from those of all chunks."""
        if len(self.runs) == 1:
            chunk, part = self.runs[0]
            return read[chunk][part]
        return tuple(chain.from_iterable(read[chunk][part] for chunk, part in self.runs))

    def print(self, numbers: tuple[int, ...]) -> bytes:
        """The family's lines."""
        values: tuple[float, ...] = numbers
        if self.scales:
            values = tuple(one if by == 1 else one * by for one, by in zip(numbers, self.scales, strict=True))
        return self.head + (self.rows % values).replace(b"\n", self.start) + b"\n"


@dataclass(slots=True, eq=False)
class Plan:
    """How to read one module of one device again."""

    chunks: list[Chunk]
    blocks: list[Block]
    ages: dict[str, bool]  # table → whether its labels rest
    uptime: tuple[int, int] | None = None  # which chunk's which number is the device's uptime
    until: float = 0.0  # monotonic; when it is to be made anew
    watched: tuple[Block, ...] = ()  # those whose numbers are compared with the ones before
    labels_at: float = 0.0  # monotonic; when the labels were read
    beat: tuple[float, int] | None = None  # monotonic, and the device's uptime then

    @property
    def requests(self) -> list[Pdu]:
        """All requests."""
        return [chunk.request for chunk in self.chunks]

    def due(self, now: float) -> list[int]:
        """Which chunks to ask for now; labels that are not old are left out."""
        young = self.uptime is not None and self.beat is not None and now - self.labels_at < LABEL_SECONDS
        return [at for at, chunk in enumerate(self.chunks) if not (young and chunk.labels)]

    def varbinds(self, asked: Iterable[int]) -> int:
        """How many bindings these chunks' replies have."""
        return sum(len(self.chunks[at].names) + len(self.chunks[at].tails) for at in asked)

    def read(self, asked: Sequence[int], replies: Sequence[bytes]) -> list[tuple[int, ...]]:
        """The numbers of each chunk, none of those that were not asked for. Raises Stale."""
        found: list[tuple[int, ...]] = [()] * len(self.chunks)
        for at, reply in zip(asked, replies, strict=True):
            found[at] = self.chunks[at].read(reply)
        return found

    def ran_on(self, read: Sequence[tuple[int, ...]], now: float) -> bool:
        """Whether the device has been up since its labels were read: its uptime went on as time did."""
        if self.uptime is None:
            return False
        chunk, place = self.uptime
        ticks = read[chunk][place]
        before, self.beat = self.beat, (now, ticks)
        if before is None:
            return False
        seconds, went = now - before[0], ((ticks - before[1]) % ROLL) / 100
        return abs(went - seconds) <= UPTIME_SLACK + UPTIME_DRIFT * seconds

    def page(self, read: Sequence[tuple[int, ...]], seen: set[str]) -> list[bytes]:
        """The families' texts; those whose name is in `seen` are left out, and the others' names are added to it."""
        parts = []
        for block in self.blocks:
            if block.name in seen:
                continue
            seen.add(block.name)
            parts.append(block.text if not block.rows else block.print(block.numbers(read)))
        return parts

    def harvest(self, profile: Profile, asked: Sequence[int], replies: Sequence[bytes]) -> Harvest:
        """What the replies that came (others are empty) hold, for the general path to decode. Labels that were not
        asked for are as they were.
        """
        columns = {oid_octets(one): ColumnData(one) for one in column_oids(profile)}
        harvest = Harvest(columns={one.column: one for one in columns.values()})
        scalars = {oid_octets((*one.oid, 0)): one.oid for one in profile.scalars}
        also = oid_octets((*SYS_UPTIME, 0))
        expected: dict[Oid, int] = {}
        came = dict(zip(asked, replies, strict=True))
        spoke = any(replies)  # what is remembered of a device is no sign of its life
        for at, chunk in enumerate(self.chunks):
            reply = came.get(at, chunk.last() if spoke else b"")
            found = split(reply)[2] if reply else []
            harvest.varbinds += len(found)
            for place, name in enumerate(chunk.names):
                cell = (
                    Cell(found[place].tag, reply[found[place].value : found[place].value_end])
                    if place < len(found) and reply[found[place].name : found[place].name_end] == name
                    else None
                )
                if name in scalars:
                    if cell:
                        harvest.scalars[scalars[name]] = cell
                    continue
                if name == also:
                    continue
                column = columns[next(name[:end] for end in range(len(name), 0, -1) if name[:end] in columns)]
                expected[column.column] = expected.get(column.column, 0) + 1
                if cell:
                    column.cells[ber.decode_oid(name)[len(column.column) :]] = cell
        for column in columns.values():
            column.complete = len(column.cells) == expected.get(column.column, 0)
        return harvest


def column_oids(profile: Profile) -> Iterator[Oid]:
    """All columns of the module's tables, labels first in each, as they are read."""
    for table in profile.tables:
        yield from table_oids(table)


def table_oids(table: Table) -> Iterator[Oid]:
    """The table's columns, labels first."""
    yield from (label.oid for label in table.labels)
    yield from (column.oid for column in table.columns)


def make_plan(profile: Profile, harvest: Harvest, decoded: Decoded, octets: int = REPLY_OCTETS) -> Plan | None:
    """Given one complete general reading: the plan for the next ones, of replies of at most `octets` each.

    None: not all of it was read.
    """
    if not harvest.complete:
        return None
    families = first_of_each_name(decoded.families)
    numbers = {(sample.source.column, sample.source.row) for one in families for sample in one.samples if sample.source}
    kinds = _Kinds(profile, numbers)
    chunks = list(_chunks(profile, harvest, kinds, octets))
    places: dict[tuple[Oid, Oid], tuple[int, int]] = {}
    for number_of_chunk, (chunk, cells) in enumerate(chunks):
        read = [cell for cell, kind in zip(cells, chunk.kinds, strict=True) if kind == NUMBER]
        places.update({cell: (number_of_chunk, place) for place, cell in enumerate(read)})
    uptime = places.get((SYS_UPTIME, (0,)))
    templates: dict[tuple[str, ...], bytes] = {}
    blocks = [_block(family, places, templates) for family in families]
    return Plan(
        [chunk for chunk, _ in chunks],
        blocks,
        {table.name: _rests(table, harvest, kinds) for table in profile.tables},
        uptime,
        watched=tuple(block for block in blocks if block.name in WATCHED and block.runs),
    )


class _Kinds:
    """What each cell's value means for the page."""

    def __init__(self, profile: Profile, numbers: set[tuple[Oid, Oid]]) -> None:
        columns = [*profile.scalars, *(column for table in profile.tables for column in table.columns)]
        labels = [label for table in profile.tables for label in (*table.labels, *table.lookups)]
        self._fixed = {label.oid for label in labels} | {label.via for label in labels if label.via} | profile.pinned
        self._texts = {one.oid for one in columns if one.type not in NUMBERS or one.conditional}
        self._numbers = numbers

    def of(self, column: Oid, row: Oid) -> int:
        """A number that is shown is read; a text, and what decides whether something is shown, is compared."""
        if column in self._fixed:
            return STATIC
        if (column, row) in self._numbers or column == SYS_UPTIME:
            return NUMBER
        return STATIC if column in self._texts else IGNORED


def _chunks(
    profile: Profile, harvest: Harvest, kinds: _Kinds, octets: int
) -> Iterator[tuple[Chunk, list[tuple[Oid, Oid]]]]:
    """The requests, labels before values, each with its cells (column, row) in the order of the reply."""
    scalars: list[tuple[Oid, Oid]] = [(oid, (0,)) for oid in harvest.scalars]
    if (*SYS_UPTIME, 0) in harvest.also and SYS_UPTIME not in harvest.scalars:
        scalars.append((SYS_UPTIME, (0,)))
    read: set[Oid] = set()
    for table in profile.tables:
        labels = [label.oid for label in table.labels]
        for columns in (labels, [column.oid for column in table.columns]):
            fresh = [one for one in dict.fromkeys(columns) if one not in read and harvest.columns[one].cells]
            read.update(fresh)
            groups: dict[tuple[Oid, ...], list[Oid]] = {}
            for column in fresh:
                groups.setdefault(tuple(sorted(harvest.columns[column].cells)), []).append(column)
            # New rows show in the labels, and between two readings of these in the first numbers.
            ends, resting = True, columns is labels and _rests(table, harvest, kinds)
            for rows, group in groups.items():
                for part, first, last in pack(group, rows, harvest, octets, ends):
                    tails = part if ends and last == len(rows) else []
                    ends = ends and not (tails and columns is not labels)  # one column's end is enough
                    yield _chunk(part, rows, first, last, tails, [] if resting else scalars, harvest, kinds, resting)
                    scalars = scalars if resting else []
                ends = False
    if scalars:
        yield _chunk([], (), 0, 0, [], scalars, harvest, kinds)


def _rests(table: Table, harvest: Harvest, kinds: _Kinds) -> bool:
    """Whether the table's labels need not be read each time: numbers of the same rows are."""
    rows = {row for label in table.labels for row in harvest.columns[label.oid].cells}
    return any(
        rows == set(cells) and all(kinds.of(column.oid, row) == NUMBER for row in cells)
        for column in table.columns
        if (cells := harvest.columns[column.oid].cells)
    )


def pack(
    columns: list[Oid], rows: Sequence[Oid], harvest: Harvest, octets: int, ends: bool = False
) -> Iterator[tuple[list[Oid], int, int]]:
    """Split columns x rows into few blocks whose replies have at most `octets`, but for a row that alone has more.

    The few widths that promise most by the mean size of a cell are tried with the true sizes. If `ends`, the last
    blocks have room for one row more, of whatever stands behind the last one.
    """
    names = [len(oid_octets(column)) for column in columns]
    tails = [len(oid_octets((1, 3, *row))) - 1 for row in rows]
    sizes = [
        [
            BINDING_OCTETS + name + tail + len(harvest.columns[column].cells[row].raw)
            for column, name in zip(columns, names, strict=True)
        ]
        for row, tail in zip(rows, tails, strict=True)
    ]
    cells = max(1, min(MAX_CELLS, octets * len(columns) * len(rows) // max(1, sum(map(sum, sizes)))))

    def requests(width: int) -> int:
        return -(-len(columns) // width) * -(-len(rows) // max(1, cells // width))

    widths = sorted(range(1, min(len(columns), cells, MAX_COLUMNS) + 1), key=lambda one: (requests(one), one))
    room, tail = octets - PDU_OCTETS, TAIL_OCTETS if ends else 0
    tried = [list(_blocks(columns, sizes, width, room, tail)) for width in widths[:TRIED_WIDTHS]]
    yield from min(tried, key=len)


def _blocks(
    columns: list[Oid], sizes: list[list[int]], width: int, room: int, tail: int
) -> Iterator[tuple[list[Oid], int, int]]:
    """Blocks of `width` columns, as many rows in each as have room; beside the last row `tail` octets a column."""
    for left in range(0, len(columns), width):
        part = columns[left : left + width]
        heights = [sum(row[left : left + width]) for row in sizes]
        first = total = 0
        for last, height in enumerate(heights):
            behind = bool(tail) and last == len(heights) - 1
            rows = last + 1 - first + behind
            if last > first and (total + height + behind * tail * len(part) > room or rows * len(part) > MAX_CELLS):
                yield part, first, last
                first = last
                total = 0
            total += height
        yield part, first, len(sizes)


def _chunk(
    columns: list[Oid],
    rows: Sequence[Oid],
    first: int,
    last: int,
    tails: list[Oid],
    scalars: list[tuple[Oid, Oid]],
    harvest: Harvest,
    kinds: _Kinds,
    labels: bool = False,
) -> tuple[Chunk, list[tuple[Oid, Oid]]]:
    """One request: scalars as non-repeaters, then `columns` from row `first` on, and one row more for `tails`."""
    cells = [*scalars, *((column, row) for row in rows[first:last] for column in columns)]
    cursors = [oid_octets((*column, *(rows[first - 1] if first else ()))) for column in columns]
    asked = [*(oid_octets(oid) for oid, _ in scalars), *cursors]
    repetitions = last - first + bool(tails)
    single: dict[tuple[Oid, Oid], Cell] = {(oid, (0,)): cell for oid, cell in harvest.scalars.items()}
    single |= {(oid[:-1], oid[-1:]): cell for oid, cell in harvest.also.items()}
    values = [single[cell] if cell in single else harvest.columns[cell[0]].cells[cell[1]] for cell in cells]
    meaning = bytes(kinds.of(column, row) for column, row in cells)
    chunk = Chunk(
        _interned(encode_pdu(GET_BULK, asked, len(scalars), repetitions)),
        _names(tuple(oid_octets((*column, *row)) for column, row in cells)),
        meaning,
        tuple(oid_octets(column) for column in tails),
        tuple(value if kind == STATIC else None for kind, value in zip(meaning, values, strict=True)),
        labels,
    )
    return chunk, cells


@lru_cache(maxsize=50_000)
def _interned(request: Pdu) -> Pdu:
    """Devices of one kind are asked in the same words."""
    return request


@lru_cache(maxsize=50_000)
def _names(names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return names


def _block(
    family: Family, places: Mapping[tuple[Oid, Oid], tuple[int, int]], templates: dict[tuple[str, ...], bytes]
) -> Block:
    """A family with numbers that are read again gets a template of its rows; one that has none is text."""
    forms: list[str] = []
    read: list[tuple[int, int]] = []
    scales: list[float] = []
    for labels, value, source in family.samples:
        shown = ("{" + labels.text.replace("%", "%%") + "}") if labels.text else ""
        place = places.get((source.column, source.row)) if source else None
        if source is None or place is None:
            forms.append(f"{shown} {value!r}")
            continue
        read.append(place)
        scales.append(source.scale)
        forms.append(f"{shown} %d" if source.scale == 1 else f"{shown} %a")
    if not read:
        return Block(family.name, b"", text=header(family) + lines(family))
    key = tuple(forms)
    if key not in templates:
        templates[key] = "".join(f"\n{one}" for one in key).encode()
    # The header ends where the first row's newline begins.
    head, start = _head(header(family)[:-1]), f"\n{family.name}".encode()
    scaled = tuple(scales) if any(scale != 1 for scale in scales) else ()
    return Block(family.name, head, b"", templates[key], start, tuple(runs_of(read)), scaled)


@lru_cache(maxsize=10_000)
def _head(text: bytes) -> bytes:
    return text


def runs_of(places: Iterable[tuple[int, int]]) -> Iterator[Run]:
    """(chunk, place) one after another, as few slices as their order allows."""
    chunk, start, step, last = -1, 0, 0, 0
    for here, place in places:
        if here == chunk and ((step == 0 and place > last) or (step and place - last == step)):
            step = place - last
        else:
            if chunk >= 0:
                yield Run(chunk, slice(start, last + 1, step or 1))
            chunk, start, step = here, place, 0
        last = place
    if chunk >= 0:
        yield Run(chunk, slice(start, last + 1, step or 1))
