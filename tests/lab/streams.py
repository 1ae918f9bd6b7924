"""Counted streams between two people's computers of a lab: how long a change of the network keeps them apart.

A stream sends a numbered UDP datagram every `PERIOD` seconds; its receiver notes when each number came. The outage is
the longest time without one, less the period: what a person would have noticed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType

from egovctl.checks.collect.places import Place
from egovctl.lab.inside import command_in
from egovctl.paths import Inventory

PERIOD = 0.005
PORT = 4999
SEND = """
import socket, struct, sys, time
to, port, period = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
s = socket.socket(socket.AF_INET6 if ':' in to else socket.AF_INET, socket.SOCK_DGRAM)
n, due = 0, time.monotonic()
while True:
    try:
        s.sendto(struct.pack('!Q', n), (to, port))
    except OSError:
        pass
    n += 1
    # After a stall no burst that a shaper would drop.
    due = max(due + period, time.monotonic())
    time.sleep(max(0, due - time.monotonic()))
"""
RECEIVE = """
import json, signal, socket, struct, sys, time
at, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ':' in at else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE: what comes during a stall waits
s.bind((at, port))
s.settimeout(0.2)
came = []
done = []
signal.signal(signal.SIGTERM, lambda *_: done.append(1))
print('ready', flush=True)
while not done:
    try:
        data, _ = s.recvfrom(64)
        came.append((struct.unpack('!Q', data)[0], time.monotonic()))
    except (TimeoutError, InterruptedError):
        pass
print(json.dumps(came))
"""

# A host (or with a condition one link of it) stays up and says nothing any more; and its end.
SILENT = (
    "nft 'add table inet fault; add chain inet fault in { type filter hook prerouting priority -400; };"
    " add chain inet fault out { type filter hook output priority -400; };"
    " add rule inet fault in iifname != { lo, mgmt } %s drop; add rule inet fault out oifname != { lo, mgmt } %s drop'"
)
HEAL = "nft delete table inet fault"


# What is lost, by kind, in turn: (host, its link; all of it when empty).
LOSSES = {"core": (("core1", ""), ("core2", "")), "uplink": (("hub-minqin", "up0"), ("hub-minqin", "up1"))}
SILENT_SECONDS = 3.0


@dataclass(frozen=True)
class Counted:
    """What came of a stream: datagrams sent between the first and the last that came, those lost, the longest gap."""

    sent: int
    lost: int
    outage: float


class Stream:
    """A running stream; `source` and `target` are command prefixes that enter a place, `address` is the target's."""

    def __init__(self, source: Sequence[str], target: Sequence[str], address: str) -> None:
        self._commands = (
            [*target, sys.executable, "-I", "-u", "-c", RECEIVE, address, str(PORT)],
            [*source, sys.executable, "-I", "-u", "-c", SEND, address, str(PORT), str(PERIOD)],
        )
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Stream:
        receiver = subprocess.Popen(self._commands[0], stdout=subprocess.PIPE, text=True)
        self._processes.append(receiver)
        assert receiver.stdout is not None and receiver.stdout.readline() == "ready\n"
        self._processes.append(subprocess.Popen(self._commands[1]))
        time.sleep(0.5)
        return self

    def stop(self) -> Counted:
        """End the stream and count."""
        receiver, sender = self._processes
        sender.kill()
        sender.wait()
        time.sleep(0.3)
        receiver.terminate()
        out, _ = receiver.communicate(timeout=20)
        return counted(json.loads(out))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def counted(came: list[tuple[int, float]]) -> Counted:
    """Judge what was received: (number, time) in order of arrival. Datagrams that overtook others are not lost."""
    if not came:
        return Counted(0, 0, float("inf"))
    numbers = {number for number, _ in came}
    times = sorted(at for _, at in came)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    sent = max(numbers) - min(numbers) + 1
    return Counted(sent, sent - len(numbers), max(0.0, max(gaps, default=0.0) - PERIOD))


def one_loss(inventory: Inventory, source: Place, target: Place, host: str, link: str) -> Counted:
    """A stream from `source` to `target` while `host`, or its `link` alone, is silent for SILENT_SECONDS."""
    rule = (f"iifname {link}", f"oifname {link}") if link else ("", "")
    with Stream(source.enter, target.enter, target.v4) as stream:
        time.sleep(1)
        subprocess.run(command_in(inventory, host, ["sh", "-c", SILENT % rule]), check=True)
        try:
            time.sleep(SILENT_SECONDS)
        finally:
            subprocess.run(command_in(inventory, host, ["sh", "-c", HEAL]), check=True)
        time.sleep(1.5)
        return stream.stop()


def told(seen: Sequence[Counted]) -> str:
    """Median and worst of the outages, and what was lost."""
    outages = [item.outage for item in seen]
    return (
        f"median {statistics.median(outages):.3f} s, worst {max(outages):.3f} s of {len(outages)}; "
        f"{sum(item.lost for item in seen)} of {sum(item.sent for item in seen)} datagrams lost"
    )
