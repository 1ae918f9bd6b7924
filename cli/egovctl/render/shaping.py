"""Shares of a thin link as classes with rates and queues: the arithmetic that templates do not do."""

from __future__ import annotations

from dataclasses import dataclass

from egovctl.plan import Host
from egovctl.plan.derived import Interface, Share

QUEUE_SECONDS = 0.1
PACKET_BITS = 12_000  # a full Ethernet frame
SHORTEST_QUEUE = 10  # packets


@dataclass(frozen=True)
class ShapedClass:
    """One share: its class number on the link, its guaranteed rate in kbit/s, its queue in packets."""

    minor: int
    name: str
    kbit: int
    queue: int
    dscp: tuple[int, ...]


@dataclass(frozen=True)
class Shaped:
    """One thin link: its contracted rate in kbit/s, and its classes; the last carries what has no class of its own."""

    name: str
    kbit: int
    classes: tuple[ShapedClass, ...]


def shaped_links(host: Host) -> tuple[Shaped, ...]:
    """The host's thin links and tunnels."""
    return tuple(_shaped(item) for item in host.interfaces if item.shares and item.mbps)


def _shaped(interface: Interface) -> Shaped:
    kbit = (interface.mbps or 0) * 1000
    # The one without code points last: it is the default, and the host's program takes the last one for it.
    ordered = sorted(interface.shares, key=lambda share: not share.dscp)
    classes = tuple(_class(number, share, kbit) for number, share in enumerate(ordered, start=1))
    return Shaped(interface.name, kbit, classes)


def _class(number: int, share: Share, kbit: int) -> ShapedClass:
    rate = max(8, kbit * share.percent // 100)
    queue = max(SHORTEST_QUEUE, int(kbit * 1000 * QUEUE_SECONDS / PACKET_BITS))
    return ShapedClass(number * 16, share.name, rate, queue, share.dscp)
