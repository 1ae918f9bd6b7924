"""The exporter's metrics about itself, in a registry of its own; no label grows with the number of targets."""

from __future__ import annotations

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

from egov_exporters.snmp.scrape import ScrapeResult

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)


def package_version() -> str:
    """The version of the installed distribution, or "unknown"."""
    try:
        return version("egov-suite")
    except PackageNotFoundError:
        return "unknown"


class SelfMetrics:
    """Counts scrapes, their outcome and time, datagrams, decode errors, bad requests and reloads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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

    def observe(self, result: ScrapeResult, seconds: float) -> None:
        """Count one finished scrape."""
        outcome = "failed" if not result.answered else "complete" if result.complete else "partial"
        self.scrapes.labels(outcome).inc()
        self.duration.observe(seconds)
        for module in result.modules:
            self.packets.inc(module.sent)
            self.retries.inc(module.retried)
        for reason, count in result.problems().items():
            self.decode_errors.labels(reason).inc(count)
