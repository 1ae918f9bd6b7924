"""The tools for people at a terminal: walk a device, and explain what the profiles find on it."""

from __future__ import annotations

import click
from multidict import MultiDict

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import END_OF_MIB_VIEW, BadMessage, Cell, decode_oid
from egov_exporters.snmp.config import Config
from egov_exporters.snmp.devices import Devices
from egov_exporters.snmp.dialogue import Dialogue
from egov_exporters.snmp.oid import dotted, is_under, parse_oid
from egov_exporters.snmp.pages import rows_of
from egov_exporters.snmp.profiles import load_profiles
from egov_exporters.snmp.scrape import explain_target
from egov_exporters.snmp.session import AgentError, SessionError
from egov_exporters.snmp.web import BadRequest, Query, parse_query
from egov_exporters.snmp.wire import Wire

USAGE, CANNOT_MEASURE = 2, 3
REPETITIONS, MOST = 25, 1_000_000
NAMES = {
    ber.INTEGER: "INTEGER", ber.OCTET_STRING: "STRING", ber.OBJECT_IDENTIFIER: "OID", ber.IP_ADDRESS: "IpAddress",
    ber.COUNTER32: "Counter32", ber.GAUGE32: "Gauge32", ber.TIMETICKS: "Timeticks", ber.OPAQUE: "Opaque",
    ber.COUNTER64: "Counter64", ber.NULL: "NULL",
}  # fmt: skip
Told = tuple[str, int]


def _query(config: Config, target: str, auth: str, module: str) -> Query:
    """Raises BadRequest."""
    words = [("target", target), ("module", module)] + ([("auth", auth)] if auth else [])
    return parse_query(MultiDict(words), config, load_profiles())


async def walk(config: Config, target: str, auth: str, start: str) -> Told:
    """Print every object below `start`. Returns a sentence and an exit code, or an empty sentence."""
    try:
        query, root = _query(config, target, auth, "system"), parse_oid(start)
    except (BadRequest, ValueError) as why:
        return str(why), USAGE
    wire, devices = Wire(), Devices()
    cursor, count = root, 0
    try:
        session = Dialogue(wire, await devices.get(query.target, query.auth).peer())
        while count < MOST:
            reply = await session.get_bulk([cursor], REPETITIONS)
            if not reply:
                return f"{query.target} sent an empty reply after {dotted(cursor)}", CANNOT_MEASURE
            for oid, cell in reply:
                if cell.tag == END_OF_MIB_VIEW or not is_under(oid, root):
                    return "", 0
                if oid <= cursor:
                    return f"{query.target} goes in circles after {dotted(cursor)}", CANNOT_MEASURE
                click.echo(f"{dotted(oid)} = {shown(cell)}")
                cursor, count = oid, count + 1
    except (SessionError, AgentError) as why:
        return f"{query.target} (auth {query.auth.name}) {why}", CANNOT_MEASURE
    finally:
        wire.close()
    return f"{query.target} has more than {MOST} objects there", CANNOT_MEASURE


def shown(cell: Cell) -> str:
    """A cell for people: its type, and its value as text without control characters, or its octets."""
    tag, raw = cell
    kind = NAMES.get(tag, f"type {tag:#x}")
    if tag == ber.OCTET_STRING:
        text = raw.decode("utf-8", "replace")
        return f'{kind}: "{text}"' if text.isprintable() and "\ufffd" not in text else f"{kind}: 0x{raw.hex()}"
    if tag == ber.OBJECT_IDENTIFIER:
        try:
            return f"{kind}: {dotted(decode_oid(raw))}"
        except BadMessage:
            return f"{kind}: 0x{raw.hex()}"
    if tag == ber.IP_ADDRESS:
        return f"{kind}: {'.'.join(map(str, raw))}"
    if tag in (ber.OPAQUE, ber.NULL) or tag not in NAMES:
        return f"{kind}: 0x{raw.hex()}"
    return f"{kind}: {int.from_bytes(raw, 'big', signed=tag == ber.INTEGER)}"


async def explain(config: Config, target: str, auth: str, module: str) -> Told:
    """Print what each module finds. Returns a sentence and an exit code, or an empty sentence."""
    try:
        query = _query(config, target, auth, module)
    except BadRequest as why:
        return str(why), USAGE
    wire, devices = Wire(), Devices()
    try:
        told = await explain_target(wire, devices.get(query.target, query.auth), query.profiles, query.auto)
    finally:
        wire.close()
    if told.identity:
        one = told.identity
        click.echo(f"{query.target}: family {one.family}; module=auto: {', '.join(one.profiles)}")
    for name, found in told.modules:
        click.echo(f"\n{name}")
        for metric, source, rows, series, state, example in rows_of(found):
            click.echo(f"  {metric:<44} {rows:>5} rows {series:>5} series  {state:<18} {source}  {example}".rstrip())
    return (f"{query.target} (auth {query.auth.name}) {told.failure}", CANNOT_MEASURE) if told.failure else ("", 0)
