"""What one simulated switch holds: the system group, ifTable and ifXTable, with counters that move as real ones do.

Every value follows from (object, ifIndex, seconds) alone, so two readers of the same second see the same.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

Oid = tuple[int, ...]

INTEGER, OCTETS, OBJECT = 0x02, 0x04, 0x06
COUNTER32, GAUGE32, TICKS, COUNTER64 = 0x41, 0x42, 0x43, 0x46
SYSTEM, INTERFACES, IF_ENTRY = (1, 3, 6, 1, 2, 1, 1), (1, 3, 6, 1, 2, 1, 2), (1, 3, 6, 1, 2, 1, 2, 2, 1)
IFX, IFX_ENTRY = (1, 3, 6, 1, 2, 1, 31, 1), (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
UPLINK = 48  # every so manieth port is an uplink; its octets have passed 2^53, where a float no longer holds them


@dataclass(frozen=True)
class Identity:
    """How a device introduces itself; exporters choose by it how much they may ask of it."""

    object_id: Oid
    description: str


# The enterprise number that is kept for documentation: a device that nobody knows.
UNKNOWN = Identity((1, 3, 6, 1, 4, 1, 32473, 1, 1), "Example access switch, release 1")
# A family that is known to bear several requests at a time: net-snmp on Linux.
KNOWN = Identity((1, 3, 6, 1, 4, 1, 8072, 3, 2, 10), "Linux edge-17 6.1.0-28-amd64 #1 SMP Debian 6.1.119-1 x86_64")


@dataclass(frozen=True)
class Value:
    """`start` grows by `rate` a second where that is not 0; octets for texts and object identifiers."""

    tag: int
    start: int | bytes
    rate: int = 0


def mixed(one: int, other: int) -> int:
    """32 bits that look like chance and are always the same."""
    word = (one << 32 | other) & 0xFFFFFFFFFFFFFFFF
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        word ^= word >> 33
        word = word * factor & 0xFFFFFFFFFFFFFFFF
    return (word ^ word >> 33) & 0xFFFFFFFF


def length(size: int) -> bytes:
    """The length octets of BER."""
    if size < 0x80:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def tlv(tag: int, body: bytes) -> bytes:
    """Tag, length, value."""
    return bytes((tag,)) + length(len(body)) + body


def number(tag: int, value: int) -> bytes:
    """An integer of any of SNMP's types, in the fewest octets."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return bytes((tag, size)) + value.to_bytes(size, "big", signed=True)


def oid_body(oid: Oid) -> bytes:
    """The value octets of an object identifier."""
    body = bytearray()
    for part in (oid[0] * 40 + oid[1], *oid[2:]):
        octets = [part & 0x7F]
        while part := part >> 7:
            octets.insert(0, 0x80 | part & 0x7F)
        body += bytes(octets)
    return bytes(body)


class Mib:
    """Objects in their order. `varbind(position, second)` is the encoded binding of one of them."""

    def __init__(self, objects: dict[Oid, Value]) -> None:
        self.oids = sorted(objects)
        self.values = [objects[oid] for oid in self.oids]
        self._names = [tlv(OBJECT, oid_body(oid)) for oid in self.oids]
        self._still = [
            None if value.rate else self._binding(name, value, 0)
            for name, value in zip(self._names, self.values, strict=True)
        ]

    def after(self, oid: Oid) -> int:
        """The position of the first object behind `oid`; len(oids) when there is none."""
        return bisect_right(self.oids, oid)

    def at(self, oid: Oid) -> int | None:
        """The position of this very object."""
        position = bisect_right(self.oids, oid) - 1
        return position if position >= 0 and self.oids[position] == oid else None

    def varbind(self, position: int, second: int) -> bytes:
        """The binding as it stands in a reply."""
        still = self._still[position]
        return self._binding(self._names[position], self.values[position], second) if still is None else still

    def name(self, position: int) -> bytes:
        """The encoded object identifier."""
        return self._names[position]

    def value(self, position: int, second: int) -> int | bytes:
        """The value at that second."""
        value = self.values[position]
        if isinstance(value.start, bytes):
            return value.start
        return (value.start + value.rate * second) & (0xFFFFFFFFFFFFFFFF if value.tag == COUNTER64 else 0xFFFFFFFF)

    @staticmethod
    def _binding(name: bytes, value: Value, second: int) -> bytes:
        if isinstance(value.start, bytes):
            return tlv(0x30, name + tlv(value.tag, value.start))
        size = 0xFFFFFFFFFFFFFFFF if value.tag == COUNTER64 else 0xFFFFFFFF
        return tlv(0x30, name + number(value.tag, (value.start + value.rate * second) & size))


def switch(ports: int, identity: Identity = UNKNOWN) -> Mib:
    """A switch with so many ports, ifIndex 1 and on."""
    objects: dict[Oid, Value] = {
        (*SYSTEM, 1, 0): Value(OCTETS, identity.description.encode()),
        (*SYSTEM, 2, 0): Value(OBJECT, oid_body(identity.object_id)),
        (*SYSTEM, 3, 0): Value(TICKS, 123_456_789, 100),
        (*SYSTEM, 4, 0): Value(OCTETS, b"noc@example.net"),
        (*SYSTEM, 5, 0): Value(OCTETS, b"sw-access-17"),
        (*SYSTEM, 6, 0): Value(OCTETS, b"Rack 12, room 3"),
        (*SYSTEM, 7, 0): Value(INTEGER, 6),
        (*INTERFACES, 1, 0): Value(INTEGER, ports),
        (*IFX, 5, 0): Value(TICKS, 4_242),
        (*IFX, 6, 0): Value(TICKS, 17),
    }
    for index in range(1, ports + 1):
        objects |= {(*IF_ENTRY, column, index): value for column, value in _if_row(index).items()}
        objects |= {(*IFX_ENTRY, column, index): value for column, value in _ifx_row(index).items()}
    return Mib(objects)


def _place(index: int) -> str:
    return f"{1 + (index - 1) // 48}/0/{1 + (index - 1) % 48}"


def _octets(index: int, column: int) -> tuple[int, int]:
    """Where a port's octets started, and how many come each second; a port in five is down."""
    start = mixed(index, 40 + column) % 2000 << 32 | mixed(index, column)
    rate = 0 if index % 5 == 0 else 100_000 + mixed(index, 7 + column) % 1_000_000
    return (start | 3 << 53, rate * 100) if index % UPLINK == 0 else (start, rate)


def _if_row(index: int) -> dict[int, Value]:
    """ifTable, RFC 2863."""
    octets_in, octets_out = _octets(index, 6), _octets(index, 10)
    mac = bytes((0x00, 0x1B, 0x54, mixed(index, 1) & 0xFF, mixed(index, 2) & 0xFF, index & 0xFF))
    busy = int(index % 5 != 0)

    def counter(column: int, rate: int, limit: int = 1 << 32) -> Value:
        return Value(COUNTER32, mixed(index, column) % limit, rate * busy)

    return {
        1: Value(INTEGER, index),
        2: Value(OCTETS, f"GigabitEthernet{_place(index)}".encode()),
        3: Value(INTEGER, 6),
        4: Value(INTEGER, 1500),
        5: Value(GAUGE32, 1_000_000_000),
        6: Value(OCTETS, mac),
        7: Value(INTEGER, 1),
        8: Value(INTEGER, 1 if busy else 2),
        9: Value(TICKS, mixed(index, 9) % 100_000_000),
        10: Value(COUNTER32, octets_in[0] & 0xFFFFFFFF, octets_in[1]),
        11: counter(11, 1000),
        12: Value(COUNTER32, 0),
        13: counter(13, int(index % 6 == 0), 100),
        14: counter(14, int(index % 9 == 0), 10),
        15: Value(COUNTER32, 0),
        16: Value(COUNTER32, octets_out[0] & 0xFFFFFFFF, octets_out[1]),
        17: counter(17, 1000),
        18: Value(COUNTER32, 0),
        19: counter(19, int(index % 4 == 0), 1000),
        20: Value(COUNTER32, 0),
        21: Value(GAUGE32, 0),
        22: Value(OBJECT, b"\x00"),
    }


def _ifx_row(index: int) -> dict[int, Value]:
    """ifXTable, RFC 2863."""
    busy = int(index % 5 != 0)
    multicast, broadcast = (mixed(index, 32), 10 * busy), (mixed(index, 33), 5 * busy)
    multicast_out, broadcast_out = (mixed(index, 34), 10 * busy), (mixed(index, 35), 5 * busy)
    alias = "" if index % 7 == 0 else f"access port {index} rack {index % 40}"
    return {
        1: Value(OCTETS, f"Gi{_place(index)}".encode()),
        2: Value(COUNTER32, *multicast),
        3: Value(COUNTER32, *broadcast),
        4: Value(COUNTER32, *multicast_out),
        5: Value(COUNTER32, *broadcast_out),
        6: Value(COUNTER64, *_octets(index, 6)),
        7: Value(COUNTER64, mixed(index, 41) % 8 << 32 | mixed(index, 11), 1000 * busy),
        8: Value(COUNTER64, *multicast),
        9: Value(COUNTER64, *broadcast),
        10: Value(COUNTER64, *_octets(index, 10)),
        11: Value(COUNTER64, mixed(index, 43) % 8 << 32 | mixed(index, 17), 1000 * busy),
        12: Value(COUNTER64, *multicast_out),
        13: Value(COUNTER64, *broadcast_out),
        14: Value(INTEGER, 1),
        15: Value(GAUGE32, 10_000 if index % UPLINK == 0 else 1_000),
        16: Value(INTEGER, 2),
        17: Value(INTEGER, 1),
        18: Value(OCTETS, alias.encode()),
        19: Value(TICKS, 0),
    }
