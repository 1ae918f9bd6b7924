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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import and_, itemgetter
from typing import NamedTuple

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import BadMessage, Cell, Pdu, oid_octets, read_tlv
from egov_exporters.snmp.decode import MANTISSA, BadValue, number
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.profiles import Profile
from egov_exporters.snmp.reads import column_oids
from egov_exporters.snmp.walk import ColumnData, Harvest

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
def _same(mask: int) -> int:
    """Two of them would not stay in the processor's caches as long as one."""
    return mask


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
        self.mask = _same(int.from_bytes(keep, "little"))
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


Pick = Callable[[tuple[int, ...]], tuple[int, ...]]


@lru_cache(maxsize=50_000)
def picker(places: tuple[int, ...]) -> Pick:
    """What takes the numbers at these places; devices of one kind share it."""
    if len(places) == 1:  # itemgetter would give the number itself
        return itemgetter(slice(places[0], places[0] + 1))
    return itemgetter(*places) if places else none_of


def none_of(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """No numbers."""
    return ()


@dataclass(slots=True, eq=False)
class Block:
    """The text of one family: as it is, or from a template of its rows, which families with the same rows share.

    A template has one line a row, each after a newline and without the family's name: `\\n{labels} %d`. No label holds
    a newline (it is escaped), so putting the name after each newline makes the lines. `scales`, if any is not 1, has
    what each number is multiplied by. `pick` takes the family's numbers from those of the plan.
    """

    name: str
    head: bytes
    text: bytes = b""
    rows: bytes = b""
    start: bytes = b""
    pick: Pick = none_of
    scales: tuple[float, ...] = ()

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
    uptime: int | None = None  # which number is the device's uptime
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

    def read(self, asked: Sequence[int], replies: Sequence[bytes]) -> tuple[int, ...]:
        """The numbers of all chunks; those that need not be asked for have none. Raises Stale."""
        found: list[int] = []
        for at, reply in zip(asked, replies, strict=True):
            found += self.chunks[at].read(reply)
        return tuple(found)

    def ran_on(self, read: tuple[int, ...], now: float) -> bool:
        """Whether the device has been up since its labels were read: its uptime went on as time did."""
        if self.uptime is None:
            return False
        ticks = read[self.uptime]
        before, self.beat = self.beat, (now, ticks)
        if before is None:
            return False
        seconds, went = now - before[0], ((ticks - before[1]) % ROLL) / 100
        return abs(went - seconds) <= UPTIME_SLACK + UPTIME_DRIFT * seconds

    def page(self, read: tuple[int, ...], seen: set[str]) -> list[bytes]:
        """The families' texts; those whose name is in `seen` are left out, and the others' names are added to it."""
        parts = []
        for block in self.blocks:
            if block.name in seen:
                continue
            seen.add(block.name)
            parts.append(block.text if not block.rows else block.print(block.pick(read)))
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
