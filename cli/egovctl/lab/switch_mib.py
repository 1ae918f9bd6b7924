"""The objects of the simulated switch: system (RFC 3418), interfaces and ifXTable (RFC 2863)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from egovctl.lab import switch_ber as ber
from egovctl.lab.switch_ports import Flow, Port, counts

SYSTEM: ber.Oid = (1, 3, 6, 1, 2, 1, 1)
INTERFACES: ber.Oid = (1, 3, 6, 1, 2, 1, 2)
IF_ENTRY: ber.Oid = (*INTERFACES, 2, 1)
IFX_ENTRY: ber.Oid = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
IF_TABLE_LAST_CHANGE: ber.Oid = (1, 3, 6, 1, 2, 1, 31, 1, 5, 0)
SYS_OBJECT_ID: ber.Oid = (
    1,
    3,
    6,
    1,
    4,
    1,
    8072,
    9999,
    9999,
    48,
)  # net-snmp's arc for experiments: no vendor's

ETHERNET, TRUE, FALSE, ENABLED = 6, 1, 2, 1
MAX32 = 0xFFFFFFFF

Value = Callable[[float], bytes]  # uptime in seconds -> encoded value
COUNTED = ("octets", "unicast", "multicast", "broadcast")


@dataclass(frozen=True, slots=True)
class Entry:
    """One object instance: its OID, the OID encoded once, and how its value is made."""

    oid: ber.Oid
    encoded: bytes
    value: Value

    def varbind(self, uptime: float) -> bytes:
        """The variable binding at this uptime (seconds), encoded."""
        return ber.encode_tlv(ber.SEQUENCE, self.encoded + self.value(uptime))


def entry(oid: ber.Oid, value: Value) -> Entry:
    """An Entry with its OID encoded."""
    return Entry(oid, ber.encode_oid(oid), value)


def fixed(encoded: bytes) -> Value:
    """A value that never changes."""
    return lambda uptime: encoded


def number(tag: int, value: int) -> Value:
    """A number that never changes."""
    return fixed(ber.encode_integer(tag, value))


def text(value: str) -> Value:
    """A string that never changes."""
    return fixed(ber.encode_tlv(ber.OCTET_STRING, value.encode()))


def counted(port: Port, flow: Flow, fields: tuple[str, ...], tag: int) -> Value:
    """A counter: the sum of `fields`, as Counter32 (which wraps) or Counter64."""
    bits = MAX32 if tag == ber.COUNTER32 else 0xFFFFFFFFFFFFFFFF

    def value(uptime: float) -> bytes:
        now = counts(port, flow, uptime)
        return ber.encode_integer(tag, sum(getattr(now, field) for field in fields) & bits)

    return value


def sys_uptime(uptime: float) -> bytes:
    """sysUpTime: hundredths of a second, 32 bits."""
    return ber.encode_integer(ber.TIMETICKS, int(uptime * 100) & MAX32)


def build_mib(name: str, ports: tuple[Port, ...], discontinuity: int = 0) -> list[Entry]:
    """All instances of the switch `name`. `discontinuity` is every port's ifCounterDiscontinuityTime (1/100 s)."""
    entries = list(_system(name, len(ports)))
    entries.append(entry((*INTERFACES, 1, 0), number(ber.INTEGER, len(ports))))
    entries.append(entry(IF_TABLE_LAST_CHANGE, number(ber.TIMETICKS, 0)))
    for port in ports:
        entries.extend(entry((*IF_ENTRY, column, port.index), value) for column, value in _if_row(port))
        entries.extend(
            entry((*IFX_ENTRY, column, port.index), value) for column, value in _ifx_row(port, discontinuity)
        )
    return entries


def _system(name: str, ports: int) -> Iterator[Entry]:
    yield entry((*SYSTEM, 1, 0), text(f"Simulated {ports}-port access switch of the lab"))
    yield entry((*SYSTEM, 2, 0), fixed(ber.encode_oid(SYS_OBJECT_ID)))
    yield entry((*SYSTEM, 3, 0), sys_uptime)
    yield entry((*SYSTEM, 4, 0), text("operations desk"))
    yield entry((*SYSTEM, 5, 0), text(name))
    yield entry((*SYSTEM, 6, 0), text("lab"))
    yield entry((*SYSTEM, 7, 0), number(ber.INTEGER, 2))


def _if_row(port: Port) -> Iterator[tuple[int, Value]]:
    """ifEntry, column by column; 11/17 count unicast, 12/18 all that is not."""
    yield 1, number(ber.INTEGER, port.index)
    yield 2, text(port.name)
    yield 3, number(ber.INTEGER, ETHERNET)
    yield 4, number(ber.INTEGER, 1500)
    yield 5, number(ber.GAUGE32, min(port.mbps * 1_000_000, MAX32))
    yield 6, fixed(ber.encode_tlv(ber.OCTET_STRING, port.mac))
    yield 7, number(ber.INTEGER, 1 if port.admin_up else 2)
    yield 8, number(ber.INTEGER, port.oper_status)
    yield 9, number(ber.TIMETICKS, port.last_change)
    for first, flow in ((10, port.inward), (16, port.outward)):
        yield first, counted(port, flow, ("octets",), ber.COUNTER32)
        yield first + 1, counted(port, flow, ("unicast",), ber.COUNTER32)
        yield first + 2, counted(port, flow, ("multicast", "broadcast"), ber.COUNTER32)
        yield first + 3, counted(port, flow, ("discards",), ber.COUNTER32)
        yield first + 4, counted(port, flow, ("errors",), ber.COUNTER32)
    yield 15, number(ber.COUNTER32, 0)
    yield 21, number(ber.GAUGE32, 0)
    yield 22, fixed(ber.encode_oid((0, 0)))


def _ifx_row(port: Port, discontinuity: int) -> Iterator[tuple[int, Value]]:
    """ifXEntry, column by column: multicast and broadcast in 32 bits (2-5), then all in 64 bits (6-13)."""
    yield 1, text(port.name)
    for first, flow in ((2, port.inward), (4, port.outward)):
        yield first, counted(port, flow, ("multicast",), ber.COUNTER32)
        yield first + 1, counted(port, flow, ("broadcast",), ber.COUNTER32)
    for first, flow in ((6, port.inward), (10, port.outward)):
        for offset, field in enumerate(COUNTED):
            yield first + offset, counted(port, flow, (field,), ber.COUNTER64)
    yield 14, number(ber.INTEGER, ENABLED)
    yield 15, number(ber.GAUGE32, port.mbps)
    yield 16, number(ber.INTEGER, FALSE)
    yield 17, number(ber.INTEGER, TRUE)
    yield 18, text(port.alias)
    yield 19, number(ber.TIMETICKS, discontinuity)
