"""Damaged and random datagrams for everything that reads what devices send.

    python tests/bench/snmp/fuzz.py [--count 1000000] [--seed N] [--only NAME]
    python tests/bench/snmp/fuzz.py --seed N --replay NUMBER --only NAME      # one input again, in hex

An entry point may return or raise what it is allowed to; anything else, an input that takes longer than SLOW_SECONDS of
processor time, and memory that grows beyond MOST_MIB are faults. Input NUMBER follows from the seed alone. Exit codes:
0 no fault, 1 faults.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import mib
from fuzz_entries import Entry, entries

COUNT = 1_000_000
SLOW_SECONDS, MOST_MIB = 1.0, 64.0
LARGEST = 65_507  # octets of a UDP datagram
TELLING = (0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x30, 0x7F, 0x80, 0x81, 0x82, 0x83, 0x84, 0x88, 0xA2, 0xA8, 0xFF)
KEPT_FAULTS = 20
LARGE_SHARE = 0.002


# --- damage ----------------------------------------------------------------------------------------------------------


def damaged(seeds: Sequence[bytes], large: Sequence[bytes], seed: int, number: int) -> bytes:
    """Input `number`: a good datagram with one to four kinds of damage, now and then pure chance."""
    chance = random.Random(seed << 32 | number)
    if chance.random() < 0.03:
        return chance.randbytes(chance.choice((0, 1, 2, 7, 60, 1472)))
    data = bytearray(chance.choice(large if large and chance.random() < LARGE_SHARE else seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        chance.choice(DAMAGES)(data, chance, seeds)
    return bytes(data[:LARGEST])


def _place(data: bytearray, chance: random.Random) -> int:
    """An offset; the front, where the structure is, is hit more often."""
    limit = len(data) if len(data) <= 1472 and chance.random() < 0.6 else min(len(data), 60)
    return chance.randrange(limit) if limit else 0


def _cut(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    del data[_place(data, chance) :]


def _octet(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    if data:
        data[_place(data, chance)] = chance.choice(TELLING) if chance.random() < 0.7 else chance.randrange(256)


def _bit(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    if data:
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _length(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    """The octet behind something that looks like a tag."""
    tags = [at for at in range(len(data) - 1) if data[at] in (0x30, 0x06, 0x02, 0x04, 0xA2, 0x46)]
    if tags:
        data[chance.choice(tags) + 1] = chance.choice((0, 1, 0x7F, 0x80, 0x81, 0x82, 0x84, 0x88, 0xFF))


def _again(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    """A part comes several times, once in a while very often."""
    start = _place(data, chance)
    part = data[start : start + chance.choice((1, 2, 20, 200))]
    data[start:start] = part * (chance.choice((1, 2, 8)) if chance.random() < 0.995 else LARGEST // max(len(part), 1))


def _without(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    start = _place(data, chance)
    del data[start : start + chance.choice((1, 2, 5, 30))]


def _splice(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    other = chance.choice(seeds)
    data[_place(data, chance) :] = other[chance.randrange(len(other)) :]


def _nest(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    """Structures within structures."""
    for _ in range(chance.choice((1, 3, 100))):
        data[:] = mib.tlv(chance.choice((0x30, 0xA2, 0x04)), bytes(data[: 0xFFFF - 4]))


def _number(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    """Octets that a number of any size may have."""
    start = _place(data, chance)
    data[start : start + 4] = chance.choice((b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", bytes(4)))


DAMAGES = (_cut, _octet, _octet, _bit, _length, _length, _again, _without, _splice, _nest, _number)


# --- the run ---------------------------------------------------------------------------------------------------------


@dataclass
class Found:
    """What came of one entry point's inputs."""

    name: str
    seed: int
    inputs: int = 0
    returned: int = 0
    raised: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    slowest_ms: float = 0.0
    slowest: int = 0  # its number
    slowest_octets: int = 0
    grown_mib: float = 0.0
    seconds: float = 0.0


class Hang(BaseException):
    """Not an Exception: what catches everything must not catch it."""


def _hang(*_: object) -> NoReturn:
    raise Hang


def _forget_peak() -> None:
    """Let the peak begin at what is resident now, where the kernel can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> float:
    return int(Path("/proc/self/status").read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0]) / 1024


def fuzz(entry: Entry, count: int, seed: int) -> Found:
    """Give so many inputs to an entry point."""
    found, raised = Found(entry.name, seed), Counter[str]()
    seeds, large = entry.seeds(), entry.large()
    for good in (*seeds, *large):
        with contextlib.suppress(*entry.allowed):
            entry.call(good)
    _forget_peak()
    before, begun = _peak_mib(), time.monotonic()
    previous = signal.signal(signal.SIGALRM, _hang)
    try:
        for number in range(count):
            data = damaged(seeds, large, seed, number)
            signal.setitimer(signal.ITIMER_REAL, 10 * SLOW_SECONDS)
            start = time.thread_time()
            try:
                entry.call(data)
                found.returned += 1
            except entry.allowed as why:
                raised[type(why).__name__] += 1
            except (Exception, Hang) as why:
                found.faults.append(f"input {number}: {type(why).__name__}: {why}"[:200])
            took = (time.thread_time() - start) * 1000
            if took > found.slowest_ms:
                found.slowest_ms, found.slowest, found.slowest_octets = took, number, len(data)
            found.inputs += 1
            if len(found.faults) >= KEPT_FAULTS:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    found.raised, found.seconds, found.grown_mib = dict(raised), time.monotonic() - begun, _peak_mib() - before
    if found.slowest_ms > SLOW_SECONDS * 1000:
        found.faults.append(f"input {found.slowest}: took {found.slowest_ms:.0f} ms")
    if found.grown_mib > MOST_MIB:
        found.faults.append(f"memory grew by {found.grown_mib:.0f} MiB")
    return found


def told(found: Found) -> str:
    """One line, and one a fault."""
    raised = ", ".join(f"{number} {name}" for name, number in sorted(found.raised.items())) or "nothing"
    slowest = f"{found.slowest_ms:.2f} ms (input {found.slowest}, {found.slowest_octets} octets)"
    line = (
        f"{found.name}: {found.inputs} inputs (seed {found.seed}) in {found.seconds:.0f} s; {found.returned} read, "
        f"raised: {raised}; slowest {slowest}; memory grew by {found.grown_mib:.1f} MiB; {len(found.faults)} faults"
    )
    return "\n".join([line, *(f"  {fault}" for fault in found.faults)])


def run(count: int, seed: int, only: str = "") -> list[dict[str, Any]]:
    """So many inputs for each entry point; what came of them as JSON takes it."""
    results = []
    for entry in entries():
        if only not in entry.name:
            continue
        found = fuzz(entry, count, seed)
        print(told(found), flush=True)
        results.append(asdict(found))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz.py")
    parser.add_argument("--count", type=int, default=COUNT, help="inputs for each entry point")
    parser.add_argument("--seed", type=int, default=secrets.randbits(31))
    parser.add_argument("--only", default="", help="entry points whose name holds this; fuzz_entries.py has them")
    parser.add_argument("--json", type=Path, help="also write what was found to this file")
    parser.add_argument("--replay", type=int, metavar="NUMBER")
    options = parser.parse_args()
    if options.replay is not None:
        for entry in entries():
            if options.only in entry.name:
                print(f"{entry.name}: {damaged(entry.seeds(), entry.large(), options.seed, options.replay).hex()}")
        return 0
    results = run(options.count, options.seed, options.only)
    if options.json:
        options.json.write_text(json.dumps(results), encoding="utf-8")
    return 1 if any(found["faults"] for found in results) else 0


if __name__ == "__main__":
    sys.exit(main())
