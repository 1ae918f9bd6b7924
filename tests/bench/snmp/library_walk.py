"""Read columns of a switch with a library, again and again. Runs in the libraries' own environment.

    library_walk.py pysnmp|gufo-snmp HOST:PORT COMMUNITY ROUNDS COLUMN...

Prints JSON: the median of processor time, how many values there were, and numbers by OID as the library gave them.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import Any

REPETITIONS = 25


async def with_pysnmp(host: str, port: int, community: str, columns: list[str], rounds: int) -> list[tuple[float, Any]]:
    """The high-level interface, without MIBs, 25 rows a request."""
    from pysnmp.hlapi.v3arch import asyncio as api
    from pysnmp.smi.rfc1902 import ObjectIdentity, ObjectType

    engine, place = api.SnmpEngine(), await api.UdpTransportTarget.create((host, port), timeout=2, retries=1)
    who, context = api.CommunityData(community, mpModel=1), api.ContextData()
    runs = []
    for _ in range(rounds + 1):
        cells, begun = {}, time.process_time()
        for column in columns:
            cursor, inside = column, True
            while inside:
                name = ObjectType(ObjectIdentity(cursor))
                error, status, _, rows = await api.bulk_cmd(
                    engine, who, place, context, 0, REPETITIONS, name, lookupMib=False
                )
                if error or status or not rows:
                    raise RuntimeError(f"{column}: {error or status or 'empty'}")
                for oid, value in rows:
                    cursor = str(oid)
                    if not cursor.startswith(column + "."):
                        inside = False
                        break
                    cells[cursor] = value
        runs.append((time.process_time() - begun, cells))
    engine.close_dispatcher()
    return runs[1:]


def with_gufo(host: str, port: int, community: str, columns: list[str], rounds: int) -> list[tuple[float, Any]]:
    """Its blocking session, getbulk, 25 rows a request."""
    from gufo.snmp import SnmpVersion
    from gufo.snmp.sync import SnmpSession

    runs = []
    with SnmpSession(addr=host, port=port, community=community, version=SnmpVersion.v2c, timeout=2) as session:
        for _ in range(rounds + 1):
            cells, begun = {}, time.process_time()
            for column in columns:
                for oid, value in session.getbulk(column, max_repetitions=REPETITIONS):
                    cells[oid] = value
            runs.append((time.process_time() - begun, cells))
    return runs[1:]


def plain(value: Any) -> str | None:
    """A number as text; None for what is none."""
    try:
        return str(int(value)) if not isinstance(value, str | bytes) else None
    except (TypeError, ValueError):
        return None


def main() -> None:
    name, target, community, rounds, *columns = sys.argv[1:]
    host, _, port = target.rpartition(":")
    if name == "pysnmp":
        runs = asyncio.run(with_pysnmp(host, int(port), community, columns, int(rounds)))
    else:
        runs = with_gufo(host, int(port), community, columns, int(rounds))
    cells = runs[-1][1]
    numbers = {oid: shown for oid, value in cells.items() if (shown := plain(value)) is not None}
    cpu_ms = statistics.median(seconds for seconds, _ in runs) * 1000
    print(json.dumps({"cpu_ms": cpu_ms, "cells": len(cells), "still": numbers}))


if __name__ == "__main__":
    main()
