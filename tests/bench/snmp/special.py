"""Cases of another shape: the steady state of 1,000 targets, start-up, and a second replica of Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import statistics
import threading
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from agents import SMALL
from asking import Client, Failed, Pool, plain
from cases import DELAY_MS, Bench
from figures import STEADY_TARGETS
from rivals import BANDWIDTH, OURS, THEIRS, V2C, Rival

INTERVAL = 15.0  # seconds between two scrapes of one target
LATE_SECONDS = 1.0
RELOAD_SECONDS = 0.5  # neither says when it has done it


@dataclass
class Tally:
    """What the scrapes of a steady state were like; `late`: begun more than a second behind their time."""

    walls: list[float] = field(default_factory=list)
    octets: int = 0
    late: int = 0
    failed: list[str] = field(default_factory=list)
    lines: set[int] = field(default_factory=set)
    at_a_time: int = 0


async def _ask(pool: Pool, path: str, due: float, tally: Tally, running: set[int], number: int) -> None:
    running.add(number)
    tally.at_a_time = max(tally.at_a_time, len(running))
    begun = time.monotonic()
    tally.late += begun - due > LATE_SECONDS
    try:
        body = await pool.get(path)
    except (Failed, OSError, TimeoutError, ValueError) as why:
        tally.failed.append(f"{type(why).__name__}: {why}"[:200])
        return
    finally:
        running.discard(number)
    tally.walls.append(time.monotonic() - begun)
    tally.octets += len(body)
    if number % 10 == 0:
        tally.lines.add(plain(body).count(b"\n"))


async def _cycles(rival: Rival, paths: list[str], cycles: int) -> tuple[Tally, float, float]:
    """One cycle that is not counted, then so many that are: (tally, seconds of processor time, seconds)."""
    pool, tally, running = Pool(rival.port), Tally(), set[int]()
    begun = time.monotonic()
    cpu = cpu_begun = 0.0
    tasks: set[asyncio.Task[None]] = set()
    for number in range(len(paths) * (cycles + 1)):
        if number == len(paths):
            tally, cpu, cpu_begun = Tally(), rival.cpu(), time.monotonic()
        due = begun + number * INTERVAL / len(paths)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        task = asyncio.create_task(_ask(pool, paths[number % len(paths)], due, tally, running, number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    cpu, seconds = rival.cpu() - cpu, time.monotonic() - cpu_begun
    await asyncio.gather(*tasks)
    await pool.close()
    return tally, cpu, seconds


def steady(bench: Bench, seconds: float, count: int = STEADY_TARGETS) -> dict[str, Any]:
    """So many targets of 48 ports every 15 s, spread over the interval, one exporter after the other."""
    cycles = max(1, round(seconds / INTERVAL))
    found: dict[str, Any] = {}
    for name in (THEIRS, OURS):
        targets = list(islice(bench.new_targets(SMALL), count))
        with bench.rival(name) as (rival, _):
            bench.fleet.tell("reset")
            tally, cpu, took = asyncio.run(_cycles(rival, [rival.path(t, BANDWIDTH, V2C) for t in targets], cycles))
            counts = bench.fleet.counts(name)
            number = len(tally.walls)
            if not number:
                raise Failed(f"{name}: no scrape went well: {tally.failed[:1]}")
            found[name] = {
                "cpu_ms": cpu * 1000 / number,
                "share_of_a_core": cpu / took,
                "wall_ms": statistics.median(tally.walls) * 1000,
                "wall_p99_ms": sorted(tally.walls)[int(number * 0.99)] * 1000,
                "packets": counts.requests / (count * (cycles + 1)),
                "octets": tally.octets / number,
                "targets": count,
                "scrapes": number,
                "late": tally.late,
                "failed": len(tally.failed),
                "failure": tally.failed[0] if tally.failed else "",
                "shapes": len(tally.lines),
                "at_a_time": tally.at_a_time,
                "peak_mib": rival.peak(),
                "seconds": took,
            }
        print(f"  {name}: " + ", ".join(f"{key} {_short(value)}" for key, value in found[name].items()), flush=True)
    return {"rounds": [found]}


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def startup(bench: Bench) -> dict[str, Any]:
    """Until a health check is answered; then the very first scrape, and the first after a reload, of one target."""
    rounds = []
    for number in range(bench.rounds):
        found = {}
        for name in (OURS, THEIRS) if number % 2 == 0 else (THEIRS, OURS):
            with bench.rival(name) as (rival, client):
                path = rival.path(next(bench.new_targets(SMALL)), BANDWIDTH, V2C)
                first = _first(bench, name, client, path)
                client.get(path)
                os.kill(rival.pid, signal.SIGHUP)
                time.sleep(RELOAD_SECONDS)
                reload = _first(bench, name, client, path)
                found[name] = {
                    "start_s": rival.start_seconds,
                    **{f"first_{figure}": value for figure, value in first.items()},
                    **{f"reload_{figure}": value for figure, value in reload.items()},
                }
        print(f"  round {number + 1}: " + ", ".join(f"{key} {one['start_s']:.2f} s" for key, one in found.items()))
        rounds.append(found)
    return {"rounds": rounds}


def _first(bench: Bench, name: str, client: Client, path: str) -> dict[str, float]:
    bench.fleet.tell("reset")
    begun = time.perf_counter()
    client.get(path)
    return {"wall_ms": (time.perf_counter() - begun) * 1000, "packets": bench.fleet.counts(name).requests}


def replica(bench: Bench) -> dict[str, Any]:
    """Packets of one scrape of a known target, and of two at the same time."""
    rounds = []
    fleet = bench.fleet
    for _ in range(bench.rounds):
        found = {}
        for name in (OURS, THEIRS):
            target = next(bench.new_targets(SMALL))
            with bench.rival(name) as (rival, client), contextlib.closing(Client(rival.port)) as second:
                path = rival.path(target, BANDWIDTH, V2C)
                for _ in range(3):
                    client.get(path)
                fleet.tell(f"delay {DELAY_MS}")
                try:
                    fleet.tell("reset")
                    client.get(path)
                    alone = fleet.counts(name).requests
                    fleet.tell("reset")
                    _together(client, second, path)
                    found[name] = {"one": alone, "two": fleet.counts(name).requests}
                finally:
                    fleet.tell("delay 0")
        print("  packets of one and of two: " + ", ".join(f"{key} {one}" for key, one in found.items()), flush=True)
        rounds.append(found)
    return {"rounds": rounds}


def _together(one: Client, other: Client, path: str) -> None:
    """Both at once. Raises what either raised."""
    barrier, problems = threading.Barrier(2), list[Exception]()

    def ask(client: Client) -> None:
        barrier.wait()
        try:
            client.get(path)
        except (Failed, OSError) as why:
            problems.append(why)

    threads = [threading.Thread(target=ask, args=(client,)) for client in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
