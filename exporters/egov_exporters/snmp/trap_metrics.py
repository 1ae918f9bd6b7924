"""What the receiver of notifications counts. No label has a value that a sender can choose."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from egov_exporters.snmp.notifications import Catalogue, load_catalogue

VERSIONS = ("1", "2c", "3")
REASONS = (
    "community",  # none of the configured ones
    "digest",  # version 3: wrong password or protocol
    "engine_id",  # version 3: no usable engine ID, and not a request for ours
    "malformed",
    "not_a_notification",
    "queue_full",
    "rate",  # of all sources together
    "replay",  # version 3: sent before, or older than what was sent before
    "security_level",  # version 3: not the one that the configuration gives the user
    "source_rate",
    "too_large",
    "too_many_varbinds",
    "undecodable",  # let in, and then refused by pysnmp
    "user",  # version 3: none of the configured ones
    "version",
)
POLLS = ("asked", "joined", "busy", "failed")


class TrapMetrics:
    """Counters in `registry`; every series is there from the start."""

    def __init__(self, registry: CollectorRegistry, catalogue: Catalogue | None = None) -> None:
        self.received = Counter(
            "egov_snmp_traps",
            "Traps and informs by notification; `other` has no name here.",
            ["notification", "version"],
            registry=registry,
        )
        self.dropped = Counter(
            "egov_snmp_traps_dropped", "Datagrams that became no notification.", ["reason"], registry=registry
        )
        self.duplicates = Counter(
            "egov_snmp_trap_duplicates", "Informs that came again and were answered again.", registry=registry
        )
        self.reports = Counter(
            "egov_snmp_trap_reports",
            "Answers to version 3 senders that ask for our engine ID or time.",
            registry=registry,
        )
        self.flaps = Counter(
            "egov_snmp_trap_flaps", "linkDown and linkUp that only a summary shows.", registry=registry
        )
        self.polls = Counter(
            "egov_snmp_trap_polls",
            "Polls for a notification: asked for, joined with another, not begun because many ran, failed.",
            ["outcome"],
            registry=registry,
        )
        self.busy = Counter(
            "egov_snmp_trap_busy_seconds", "Time spent on notifications behind the gate.", registry=registry
        )
        self.queue = Gauge("egov_snmp_trap_queue", "Datagrams that wait.", registry=registry)
        self.sources = Gauge("egov_snmp_trap_sources", "Sources remembered for their rate.", registry=registry)
        for name in (catalogue or load_catalogue()).names:
            for version in VERSIONS:
                self.received.labels(name, version)
        for reason in REASONS:
            self.dropped.labels(reason)
        for outcome in POLLS:
            self.polls.labels(outcome)
