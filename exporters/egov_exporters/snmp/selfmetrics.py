"""The exporter's metrics about itself, in a registry of its own; series a target for those that are scraped only."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from egov_exporters.snmp.devices import Devices
from egov_exporters.snmp.scrape import ScrapeResult
from egov_exporters.snmp.wire import Wire

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)


def package_version() -> str:
    """The version of the installed distribution, or "unknown"."""
    try:
        return version("egov-suite")
    except PackageNotFoundError:
        return "unknown"


class DeviceCollector(Collector):
    """What each target costs, and what came over the wire that was not taken."""

    def __init__(self, devices: Devices, wire: Wire) -> None:
        self._devices, self._wire = devices, wire

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        labels = ["target", "auth"]
        seconds = GaugeMetricFamily(
            "egov_snmp_target_scrape_duration_seconds", "Time that the last scrape of the target took.", labels=labels
        )
        counts = {
            key: CounterMetricFamily(f"egov_snmp_target_{name}", text, labels=labels)
            for key, name, text in (
                ("sent", "packets", "Datagrams sent to the target, retries included."),
                ("retried", "packet_retries", "Datagrams sent to the target again."),
                ("plans_held", "plan_hits", "Readings of a module by what was learned of it."),
                ("plans_stale", "plan_misses", "Readings of a module where what was learned did not hold."),
            )
        }
        for device in self._devices:
            words = [str(device.target), device.auth.name]
            seconds.add_metric(words, device.seconds)
            for key, family in counts.items():
                family.add_metric(words, device.counts[key])
        dropped = CounterMetricFamily(
            "egov_snmp_datagrams_dropped", "Datagrams received that no request waited for.", labels=["reason"]
        )
        for reason, count in sorted(self._wire.dropped.items()):
            dropped.add_metric([reason], count)
        shared = GaugeMetricFamily(
            "egov_snmp_shared_engine_id",
            "Set for each target whose SNMPv3 engine ID another target has as well: one of them is a copy.",
            labels=["target", "engine_id"],
        )
        for engine_id, targets in self._devices.engines.shared().items():
            for target in sorted(map(str, targets)):
                shared.add_metric([target, engine_id.hex()], 1)
        yield from (seconds, *counts.values(), dropped, shared)


class SelfMetrics:
    """Counts scrapes, their outcome and time, datagrams, decode errors, bad requests and reloads."""

    def __init__(self, devices: Devices, wire: Wire) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(DeviceCollector(devices, wire))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        here = self.registry
        self.scrapes = Counter("egov_snmp_scrapes", "Scrapes by outcome.", ["outcome"], registry=here)
        self.duration = Histogram(
            "egov_snmp_scrape_duration_seconds", "Time of a whole scrape.", buckets=BUCKETS, registry=here
        )
        self.packets = Counter("egov_snmp_packets", "Datagrams sent, retries included.", registry=here)
        self.retries = Counter("egov_snmp_packet_retries", "Datagrams sent again.", registry=here)
        self.decode_errors = Counter(
            "egov_snmp_decode_errors",
            "Values left out and columns that ended early.",
            ["reason"],
            registry=here,
        )
        self.request_errors = Counter("egov_snmp_request_errors", "Requests refused with HTTP 400.", registry=here)
        self.shared = Counter(
            "egov_snmp_scrapes_shared", "Requests answered by a scrape that was under way already.", registry=here
        )
        self.stale = Counter(
            "egov_snmp_plans_stale",
            "Readings where what was learned of a device did not hold.",
            ["reason"],
            registry=here,
        )
        self.in_flight = Gauge("egov_snmp_scrapes_in_flight", "Scrapes under way.", registry=here)
        self.reload_ok = Gauge(
            "egov_snmp_config_last_reload_successful",
            "Whether the last reading of the configuration succeeded.",
            registry=here,
        )
        self.reload_time = Gauge(
            "egov_snmp_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was read.",
            registry=here,
        )
        build = Gauge("egov_snmp_build_info", "The version, as a label.", ["version"], registry=here)
        build.labels(package_version()).set(1)
        for outcome in ("complete", "partial", "failed"):
            self.scrapes.labels(outcome)

    def observe(self, result: ScrapeResult) -> None:
        """Count one finished scrape."""
        outcome = "failed" if not result.answered else "complete" if result.complete else "partial"
        self.scrapes.labels(outcome).inc()
        self.duration.observe(result.seconds)
        for module in result.modules:
            self.packets.inc(module.traffic.sent)
            if module.traffic.retried:
                self.retries.inc(module.traffic.retried)
            if module.stale:
                self.stale.labels(module.stale).inc()
        for reason, count in result.problems().items():
            self.decode_errors.labels(reason).inc(count)
