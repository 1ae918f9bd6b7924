"""A device that says its link went down is read at once: the reading decides, not the trap.

What a reading found of the interface that the trap named is kept as a metric and written as a line, so that an alert
does not wait for the next scrape. A sender that nobody scrapes is not read: its address may be forged.
"""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from egov_exporters.snmp.devices import Device, Devices
from egov_exporters.snmp.events import Event
from egov_exporters.snmp.profiles import load_profiles
from egov_exporters.snmp.scrape import scrape
from egov_exporters.snmp.wire import Wire

MODULE = "if_bandwidth"
SECONDS = 10.0  # for a reading
KEPT = 1_000  # interfaces whose last reading is shown
KEPT_SECONDS = 3_600.0
UP = 1  # ifOperStatus (RFC 2863)
STATUS = re.compile(rb'^ifOperStatus\{[^\n]*?ifIndex="(\d+)"[^\n]*\} (\d+)$', re.M)


class TrapPolls(Collector):
    """Call it with an event. `emit` takes lines of JSON."""

    def __init__(self, wire: Wire, devices: Devices, emit: Callable[[str], None]) -> None:
        self._wire, self._devices, self._emit = wire, devices, emit
        self._states: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    async def __call__(self, event: Event) -> None:
        """Read the device that sent this, if it is one of ours. Never raises for what a device does."""
        device = self._devices.at(event.origin.source)
        if device is None:
            return
        result = await scrape(self._wire, device, [load_profiles()[MODULE]], SECONDS)
        index = str(event.facts.get("ifIndex", ""))
        found = {number.decode(): int(status) for number, status in STATUS.findall(result.page)}
        if index in found:
            self._keep(device, index, found[index])
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "event": "snmp_read_after_notification",
            "notification": event.notification,
            "target": str(device.target),
            "read": "complete" if result.complete else "partial" if result.answered else "nothing",
            "failure": result.failure,
            "ifIndex": index,
            "ifOperStatus": found.get(index),
        }
        self._emit(json.dumps(line, separators=(",", ":")))

    def _keep(self, device: Device, index: str, status: int) -> None:
        key = (str(device.target), index)
        self._states[key] = (status, time.monotonic())
        self._states.move_to_end(key)
        if len(self._states) > KEPT:
            self._states.popitem(last=False)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client: the interfaces that traps named, as the reading right after found them."""
        shown = GaugeMetricFamily(
            "egov_snmp_trap_link_up",
            "Whether the interface that a trap named within the last hour was up when it was read after the trap.",
            labels=["target", "ifIndex"],
        )
        now = time.monotonic()
        for (target, index), (status, at) in self._states.items():
            if now - at <= KEPT_SECONDS:
                shown.add_metric([target, index], int(status == UP))
        yield shown
