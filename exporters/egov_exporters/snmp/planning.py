"""How a module of one device will be read by the hot path: which requests, which shape of reply, which page.

Made once from a complete general reading; `fast` holds what comes out and uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from egov_exporters.snmp.ber import GET_BULK, Cell, Pdu, encode_pdu, oid_octets
from egov_exporters.snmp.decode import BadValue, Decoded, number
from egov_exporters.snmp.expose import Family, first_of_each_name, header, lines
from egov_exporters.snmp.fast import IGNORED, NUMBER, STATIC, SYS_UPTIME, Block, Chunk, Plan, picker
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.plausible import WATCHED
from egov_exporters.snmp.profiles import NUMBERS, Profile, Table
from egov_exporters.snmp.walk import Harvest

REPLY_OCTETS = 1_400  # of a reply PDU: what fits an Ethernet frame beside the headers of UDP and SNMP
BINDING_OCTETS = 7  # three headers, and one octet for a number to grow
PDU_OCTETS, TAIL_OCTETS = 30, 32  # around all bindings; of a binding behind the last row
MAX_CELLS = 96  # net-snmp answers with 100 at most
TRIED_WIDTHS = 6
MAX_COLUMNS = 60  # so that a request fits a frame as well


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
    read = (cell for chunk, cells in chunks for cell, kind in zip(cells, chunk.kinds, strict=True) if kind == NUMBER)
    places = {cell: place for place, cell in enumerate(read)}
    uptime = places.get((SYS_UPTIME, (0,)))
    templates: dict[tuple[str, ...], bytes] = {}
    blocks = [_block(family, places, templates) for family in families]
    return Plan(
        [chunk for chunk, _ in chunks],
        blocks,
        {table.name: _rests(table, harvest, kinds) for table in profile.tables},
        uptime,
        watched=tuple(block for block in blocks if block.name in WATCHED and block.rows),
    )


class _Kinds:
    """What each cell's value means for the page."""

    def __init__(self, profile: Profile, numbers: set[tuple[Oid, Oid]]) -> None:
        columns = [*profile.scalars, *(column for table in profile.tables for column in table.columns)]
        labels = [label for table in profile.tables for label in (*table.labels, *table.lookups)]
        self._fixed = {label.oid for label in labels} | {label.via for label in labels if label.via} | profile.pinned
        self._texts = {one.oid for one in columns if one.type not in NUMBERS or one.conditional}
        self._numbers = numbers

    def of(self, column: Oid, row: Oid, cell: Cell) -> int:
        """A number that is shown is read; a text, and what decides whether something is shown, is compared. So is what
        should be a number and is none: the next one may be, and is to be shown."""
        if column in self._fixed:
            return STATIC
        if (column, row) in self._numbers or column == SYS_UPTIME:
            return NUMBER
        return STATIC if column in self._texts or not _is_number(cell) else IGNORED


def _is_number(cell: Cell) -> bool:
    try:
        number(cell)
    except BadValue:
        return False
    return True


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
        rows == set(cells) and all(kinds.of(column.oid, row, cell) == NUMBER for row, cell in cells.items())
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
    meaning = bytes(kinds.of(*cell, value) for cell, value in zip(cells, values, strict=True))
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


def _block(family: Family, places: Mapping[tuple[Oid, Oid], int], templates: dict[tuple[str, ...], bytes]) -> Block:
    """A family with numbers that are read again gets a template of its rows; one that has none is text."""
    forms: list[str] = []
    read: list[int] = []
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
    return Block(family.name, head, b"", templates[key], start, picker(tuple(read)), scaled)


@lru_cache(maxsize=10_000)
def _head(text: bytes) -> bytes:
    return text
