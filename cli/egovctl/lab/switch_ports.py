"""What the simulated switch counts: ports, and traffic that is a pure function of the time since it came up."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cached_property

DAY = 86_400.0
BUSY_PERIOD = 420.0  # seconds: short swings, so that a board shows movement within minutes
SWING_DAY, SWING_SHORT = 0.35, 0.45  # their sum stays below 1: the rate never turns negative
UPLINKS = 4
FIRST_INDEX = 6  # as on many access switches: the first indexes belong to internal interfaces
MEAN_FRAME = 640  # octets of a unicast frame on an office network, about

ROLES_OF_PORT = ("PC", "PC", "PC", "IP phone", "Printer", "AP", "Camera", "PC")


@dataclass(frozen=True)
class Flow:
    """Traffic of one direction: `mean` octets per second, swinging by the day and by minutes, from a start phase."""

    mean: float
    phase: float

    def octets(self, uptime: float) -> int:
        """Octets since the switch came up; never decreases. `uptime` is in seconds, taken in steps of 10 ms."""
        uptime = math.floor(uptime * 100) / 100
        total = uptime
        for swing, period in ((SWING_DAY, DAY), (SWING_SHORT, BUSY_PERIOD)):
            omega = 2 * math.pi / period
            total += swing / omega * (math.cos(self.phase) - math.cos(omega * uptime + self.phase))
        return int(self.mean * max(total, 0.0))


@dataclass(frozen=True)
class Port:
    """One port: its names, its speed, and its traffic."""

    number: int
    index: int
    name: str
    alias: str
    mbps: int
    admin_up: bool
    link_up: bool
    mac: bytes
    last_change: int  # sysUpTime, hundredths of a second
    inward: Flow
    outward: Flow
    error_ratio: float

    @cached_property
    def oper_status(self) -> int:
        """ifOperStatus: up(1) or down(2)."""
        return 1 if self.admin_up and self.link_up else 2


def make_ports(switch: str, count: int) -> tuple[Port, ...]:
    """Given the switch's name and the number of ports: always the same ports. The last four are 10 Gbit uplinks."""
    uplinks = UPLINKS if count > 2 * UPLINKS else 0
    return tuple(_port(switch, number, count - uplinks) for number in range(1, count + 1))


def _port(switch: str, number: int, access_ports: int) -> Port:
    rng = random.Random(f"{switch}/{number}")  # noqa: S311 - a simulation, not a secret
    uplink = number > access_ports
    place = number - access_ports if uplink else number
    mbps = 10_000 if uplink else 1_000
    link_up = place <= 2 if uplink else rng.random() < 0.8
    admin_up = link_up or rng.random() < 0.7
    load = rng.uniform(0.05, 0.3) if uplink else 10 ** rng.uniform(-4.5, -1.2)
    live = mbps * 125_000 * load if link_up and admin_up else 0.0
    octets = rng.randbytes(4)
    return Port(
        number=number,
        index=FIRST_INDEX + number - 1,
        name=f"XGigabitEthernet0/0/{place}" if uplink else f"GigabitEthernet0/0/{place}",
        alias=f"Uplink {place}" if uplink else _alias(rng, place),
        mbps=mbps,
        admin_up=admin_up,
        link_up=link_up,
        mac=bytes((0x02, 0x00)) + octets[:3] + bytes((number & 0xFF,)),
        last_change=rng.randrange(200, 6_000),
        inward=Flow(live * rng.uniform(0.2, 0.6), rng.uniform(0, 2 * math.pi)),
        outward=Flow(live, rng.uniform(0, 2 * math.pi)),
        error_ratio=10 ** rng.uniform(-7, -5) if rng.random() < 0.2 else 0.0,
    )


def _alias(rng: random.Random, place: int) -> str:
    """What the department wrote on the port; a third of the ports carry no text, as in real life."""
    if rng.random() < 0.33:
        return ""
    return f"{rng.choice(ROLES_OF_PORT)} room {rng.randrange(1, 6)}{place:02d}"


@dataclass(frozen=True)
class Counts:
    """What one direction of a port has counted."""

    octets: int
    unicast: int
    multicast: int
    broadcast: int
    discards: int
    errors: int


def counts(port: Port, flow: Flow, uptime: float) -> Counts:
    """Given a port, a direction and the uptime in seconds: its counters, each of which never decreases."""
    octets = flow.octets(uptime)
    frames = octets // MEAN_FRAME
    return Counts(
        octets=octets,
        unicast=frames * 24 // 25,
        multicast=frames // 50,
        broadcast=frames // 90,
        discards=frames // 400_000,
        errors=int(frames * port.error_ratio),
    )
