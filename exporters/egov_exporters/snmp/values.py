"""Values: one raw cell as a number or a text, in snmp_exporter's forms. Nothing here raises anything but BadValue."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import BadMessage, Cell
from egov_exporters.snmp.oid import dotted

UNSIGNED32 = frozenset((ber.COUNTER32, ber.GAUGE32, ber.TIMETICKS))
MANTISSA = 1 << 53  # Prometheus keeps float64: larger counters wrap here, as snmp_exporter wraps them
MAX_TEXT = 1_024  # octets of a string that become a label
MAX_BITS = 1_024  # octets of a BITS value
OPAQUE_FLOAT, OPAQUE_DOUBLE = b"\x9f\x78\x04", b"\x9f\x79\x08"  # net-snmp's application types 48 and 49 inside Opaque
SURROGATES = re.compile("[\udc80-\udcff]+")


class BadValue(ValueError):
    """A cell cannot be served; `str(error)` is one word for the counter of decode errors."""


def number(cell: Cell) -> int:
    """The number in a cell. Raises BadValue: wrong_type, bad_number or out_of_range.

    Unsigned types are read unsigned even where an agent forgot the leading zero octet. Counter64 wraps at 2^53.
    """
    tag, raw = cell
    if tag == ber.INTEGER:
        if not 1 <= len(raw) <= 8:
            raise BadValue("bad_number")
        value = int.from_bytes(raw, "big", signed=True)
        if not -(1 << 31) <= value < 1 << 32:
            raise BadValue("out_of_range")
        return value
    if tag in UNSIGNED32 or tag == ber.COUNTER64:
        if not 1 <= len(raw) <= 9:
            raise BadValue("bad_number")
        value = int.from_bytes(raw, "big")
        if value >> (64 if tag == ber.COUNTER64 else 32):
            raise BadValue("out_of_range")
        return value % MANTISSA
    raise BadValue("wrong_type")


def floating(cell: Cell) -> float:
    """The number in net-snmp's Opaque float or double, or a plain number. NaN and infinities are refused."""
    tag, raw = cell
    if tag != ber.OPAQUE:
        return number(cell)
    if raw[:3] == OPAQUE_FLOAT and len(raw) == 7:
        (value,) = struct.unpack(">f", raw[3:])
    elif raw[:3] == OPAQUE_DOUBLE and len(raw) == 11:
        (value,) = struct.unpack(">d", raw[3:])
    else:
        raise BadValue("bad_number")
    if not math.isfinite(value):
        raise BadValue("out_of_range")
    return float(value)


def parsed(cell: Cell, pattern: re.Pattern[str]) -> float:
    """The number that `pattern` finds in a text, in its first group if it has one. A number is itself."""
    if cell.tag != ber.OCTET_STRING:
        return number(cell)
    found = pattern.search(text(cell, "DisplayString"))
    if found is None:
        raise BadValue("no_number_in_text")
    try:
        value = float(found.group(1 if pattern.groups else 0))
    except (TypeError, ValueError):
        raise BadValue("no_number_in_text") from None
    if not math.isfinite(value):
        raise BadValue("out_of_range")
    return value


def unix_time(cell: Cell) -> float:
    """DateAndTime (RFC 2579) as seconds since 1970. Eight octets have no time zone and are taken as UTC."""
    raw = octets(cell)
    if len(raw) not in (8, 11):
        raise BadValue("bad_date")
    year, (month, day, hour, minute, second, tenth) = int.from_bytes(raw[:2], "big"), raw[2:8]
    if second > 60:  # 60 is a leap second
        raise BadValue("bad_date")
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        if len(raw) == 11:
            sign = {b"+": 1, b"-": -1}[raw[8:9]]
            moment -= sign * timedelta(hours=raw[9], minutes=raw[10])
        return moment.timestamp() + second // 60 + min(tenth, 9) / 10
    except (ValueError, KeyError, OverflowError):
        raise BadValue("bad_date") from None


def octets(cell: Cell) -> bytes:
    """The octets of a string. Raises BadValue."""
    if cell.tag != ber.OCTET_STRING:
        raise BadValue("wrong_type")
    return cell.raw


def set_bits(cell: Cell) -> frozenset[int]:
    """The numbers of the bits that a BITS value has set: bit 0 is the highest bit of the first octet (RFC 2578)."""
    raw = octets(cell)
    if len(raw) > MAX_BITS:
        raise BadValue("text_too_long")
    return frozenset(place * 8 + bit for place, octet in enumerate(raw) for bit in range(8) if octet & 0x80 >> bit)


def text(cell: Cell, kind: str, enum: Mapping[int, str] | None = None) -> str:
    """A cell as label text, in snmp_exporter's form for `kind`. Raises BadValue."""
    tag, raw = cell
    if kind == "EnumAsInfo":
        value = number(cell)
        return (enum or {}).get(value, str(value))
    if tag == ber.OBJECT_IDENTIFIER:
        try:
            return dotted(ber.decode_oid(raw))
        except BadMessage:
            raise BadValue("bad_oid") from None
    if tag == ber.IP_ADDRESS:
        if len(raw) > MAX_TEXT:
            raise BadValue("text_too_long")
        return ".".join(map(str, raw))
    if tag != ber.OCTET_STRING:
        return str(number(cell))
    if len(raw) > MAX_TEXT:
        raise BadValue("text_too_long")
    return octets_text(raw, kind)


def octets_text(raw: bytes, kind: str) -> str:
    """The octets of a string as text."""
    if kind == "PhysAddress48":
        return ":".join(f"{octet:02X}" for octet in raw[:6].ljust(6, b"\0"))
    if kind == "PrintableOrHex":
        raw, kind = (raw.rstrip(b"\0"), "DisplayString") if _printable(raw) else (raw, "OctetString")
    if kind == "OctetString":
        return f"0x{raw.hex().upper()}" if raw else ""
    if kind in ("InetAddress", "InetAddressIPv4", "InetAddressIPv6"):
        return address_text(raw)
    return SURROGATES.sub("\ufffd", raw.decode("utf-8", "surrogateescape"))


def _printable(raw: bytes) -> bool:
    """Whether octets are a text, as far as one can tell."""
    try:
        return raw.rstrip(b"\0").decode().isprintable()
    except UnicodeDecodeError:
        return False


def address_text(raw: bytes) -> str:
    """An address by its length (RFC 4001): IPv4, IPv6 in its short form, either with a zone; else as octets."""
    if len(raw) in (4, 8):
        shown = ".".join(map(str, raw[:4]))
    elif len(raw) in (16, 20):
        shown = str(IPv6Address(raw[:16]))
    else:
        return octets_text(raw, "OctetString")
    return f"{shown}%{int.from_bytes(raw[-4:], 'big')}" if len(raw) in (8, 20) else shown


def huawei_dbm(value: float) -> float:
    """Optical power as VRP gives it: microwatts where positive (older releases), else hundredths of dBm."""
    return 10 * math.log10(value / 1_000) if value > 0 else value / 100


def huawei_amperes(value: float) -> float:
    """Bias current as VRP gives it: microamperes, and milliamperes where the number is under a thousand."""
    return value / (1_000_000 if value >= 1_000 else 1_000)


def fahrenheit(value: float) -> float:
    """Degrees Fahrenheit in degrees Celsius."""
    return (value - 32) * 5 / 9


CONVERSIONS: Mapping[str, Callable[[float], float]] = {
    "fahrenheit": fahrenheit,
    "huawei_amperes": huawei_amperes,
    "huawei_dbm": huawei_dbm,
}
