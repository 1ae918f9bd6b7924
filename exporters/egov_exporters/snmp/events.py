"""From the varbinds of a notification to an event: pure, bounded, and harmless whatever a device sent.

An event's line is one line of JSON with printable characters only; no community, user or password ever stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import BadMessage, Cell, Varbind
from egov_exporters.snmp.notifications import UNKNOWN, Catalogue, Fact, Notification
from egov_exporters.snmp.oid import Oid, dotted, is_under

SYS_UP_TIME: Oid = (1, 3, 6, 1, 2, 1, 1, 3, 0)
SNMP_TRAP_OID: Oid = (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
SNMP_TRAP_ADDRESS: Oid = (1, 3, 6, 1, 6, 3, 18, 1, 3, 0)  # RFC 3584: who sent it, where a proxy passed it on
SNMP_TRAP_COMMUNITY: Oid = (1, 3, 6, 1, 6, 3, 18, 1, 4, 0)  # RFC 3584: the community of a translated version 1 trap
UNSIGNED = frozenset((ber.COUNTER32, ber.GAUGE32, ber.TIMETICKS, ber.COUNTER64))
NUMBERS = UNSIGNED | {ber.INTEGER}
HIDDEN = "(hidden)"
MAX_SHOWN = 32  # varbinds of an event
MAX_CHARACTERS = 256  # of a value
SECRET_INSIDE = 8  # octets from which on a secret is looked for inside longer values, not only as a whole value

Value = str | int


@dataclass(frozen=True)
class Origin:
    """Where a notification came from. `auth` is the name that the configuration gives the community or user."""

    time: float
    source: str
    version: str  # 1, 2c or 3
    kind: str  # trap or inform
    auth: str


@dataclass(frozen=True)
class Event:
    """One notification. `varbinds` are (OID, printable value); `left_out` counts those beyond MAX_SHOWN.

    `agent` is the address that the message itself names as its origin, if another than the sender's: a claim, no more.
    `changes` is not 0 in a summary of a flapping interface: how many linkDown and linkUp it stands for.
    """

    origin: Origin
    oid: str
    known: Notification = UNKNOWN
    facts: Mapping[str, Value] = field(default_factory=dict)
    varbinds: tuple[tuple[str, Value], ...] = ()
    left_out: int = 0
    agent: str = ""
    uptime: float | None = None
    changes: int = 0

    @property
    def notification(self) -> str:
        """The name, or `other`."""
        return self.known.name

    def line(self) -> str:
        """The event as one line of JSON."""
        varbinds: dict[str, Value] = {}
        for oid, value in self.varbinds:
            varbinds.setdefault(oid, value)  # of an OID that comes twice the first value is shown
        known, origin = self.known, self.origin
        shown: dict[str, Any] = {
            "time": timestamp(origin.time),
            "event": "snmp_flapping" if self.changes else "snmp_notification",
            "notification": known.name,
            "severity": known.severity,
            "title": {"zh": known.title_zh, "en": known.title_en},
            "source": origin.source,
            "agent": self.agent or None,
            "version": origin.version,
            "kind": origin.kind,
            "auth": origin.auth,
            "oid": self.oid or None,
            "uptime_seconds": self.uptime,
            "changes": self.changes or None,
            "facts": dict(self.facts) or None,
            "varbinds": varbinds or None,
            "left_out": self.left_out or None,
        }
        kept = {key: value for key, value in shown.items() if value is not None}
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def timestamp(seconds: float) -> str:
    """UTC, RFC 3339, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def translate(
    origin: Origin, varbinds: Sequence[Varbind], catalogue: Catalogue, secrets: Collection[bytes] = ()
) -> Event:
    """Given the varbinds of a notification in version 2's form: the event. Never raises for what a device sent.

    `secrets` are the configured communities and passwords: a value that is or holds one is hidden.
    """
    oid: Oid = ()
    uptime: float | None = None
    agent = ""
    shown: list[tuple[str, Value]] = []
    left_out = 0
    for varbind in varbinds:
        name, cell = varbind
        if name == SNMP_TRAP_OID and not oid:
            oid = _oid(cell)
        elif name == SYS_UP_TIME and uptime is None:
            uptime = _hundredths(cell)
        elif name == SNMP_TRAP_ADDRESS and not agent:
            agent = _address(cell)
        elif len(shown) < MAX_SHOWN:
            shown.append((dotted(name), show(cell, name, secrets)))
        else:
            left_out += 1
    known = catalogue.find(oid, varbinds)
    if agent in (origin.source, "0.0.0.0"):  # noqa: S104 - an address that says nothing, not one to listen on
        agent = ""
    facts = dict(_facts(known.facts, varbinds, secrets))
    return Event(origin, dotted(oid), known, facts, tuple(shown), left_out, agent, uptime)


def _oid(cell: Cell) -> Oid:
    try:
        return ber.decode_oid(cell.raw) if cell.tag == ber.OBJECT_IDENTIFIER else ()
    except BadMessage:
        return ()


def _hundredths(cell: Cell) -> float | None:
    value = show(cell)
    return value / 100 if cell.tag == ber.TIMETICKS and isinstance(value, int) else None


def _address(cell: Cell) -> str:
    return ".".join(map(str, cell.raw)) if cell.tag == ber.IP_ADDRESS and len(cell.raw) == 4 else ""


def _facts(
    facts: Iterable[Fact], varbinds: Sequence[Varbind], secrets: Collection[bytes]
) -> Iterable[tuple[str, Value]]:
    """The facts that the varbinds hold, by name."""
    for fact in facts:
        cell = next((one for one in varbinds if is_under(one.oid, fact.value)), None)
        if cell is not None:
            value = show(cell.cell, cell.oid, secrets)
            yield fact.name, fact.names.get(value, value) if isinstance(value, int) else value
            continue
        row = next((one.oid[len(root) :] for root in fact.index for one in varbinds if is_under(one.oid, root)), None)
        if row is not None:
            yield fact.name, row[0] if len(row) == 1 else dotted(row)


def show(cell: Cell, name: Oid = (), secrets: Collection[bytes] = ()) -> Value:
    """A value as a number or as printable text of at most MAX_CHARACTERS; what has no better form is hexadecimal."""
    tag, raw = cell
    if name == SNMP_TRAP_COMMUNITY or (tag not in NUMBERS and _is_secret(raw, secrets)):
        return HIDDEN
    if tag == ber.INTEGER and 1 <= len(raw) <= 8:
        return int.from_bytes(raw, "big", signed=True)
    if tag in UNSIGNED and 1 <= len(raw) <= 9:
        return int.from_bytes(raw, "big")
    if tag == ber.IP_ADDRESS and len(raw) == 4:
        return ".".join(map(str, raw))
    if tag == ber.OBJECT_IDENTIFIER and (oid := _oid(cell)):
        return _cut(dotted(oid))
    if tag == ber.OCTET_STRING:
        return text(raw)
    return hexadecimal(raw)


def _is_secret(raw: bytes, secrets: Collection[bytes]) -> bool:
    return raw in secrets or any(len(secret) >= SECRET_INSIDE and secret in raw for secret in secrets)


def text(raw: bytes) -> str:
    """An octet string: its characters if it is UTF-8, with every unprintable one escaped; else hexadecimal."""
    body = raw.rstrip(b"\0")
    try:
        characters = body.decode()
    except UnicodeDecodeError:
        return hexadecimal(raw)
    if "\0" in characters or (raw and not body):
        return hexadecimal(raw)
    return _cut(printable(characters[: MAX_CHARACTERS + 1]))


def printable(characters: str) -> str:
    """Control characters, line ends, and marks that turn the direction of writing, as escapes."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in characters)


def hexadecimal(raw: bytes) -> str:
    """0x and the octets, or nothing for no octets."""
    return _cut("0x" + raw[:MAX_CHARACTERS].hex()) if raw else ""


def _cut(characters: str) -> str:
    return characters if len(characters) <= MAX_CHARACTERS else characters[: MAX_CHARACTERS - 1] + "…"


def summary(last: Event, changes: int) -> Event:
    """Given the last event of a flapping interface: the event that stands for `changes` of them, that one included."""
    return replace(last, changes=changes, varbinds=(), left_out=0)
