"""Metrics: what the service itself says, and the probe that asks it as a department would, for node_exporter."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from egov_sms.kannel import OPENER
from egov_sms.service import Service

FILE = "egov_sms.prom"
TIMEOUT = 5.0
# By its name in the service's counts: the metric, its help, and whether a reason goes with it.
COUNTERS = {
    "sent": ("egov_sms_sent_total", "Messages that Kannel took"),
    "parts": ("egov_sms_parts_total", "Parts that they had"),
    "refused": ("egov_sms_refused_total", "Requests refused, by reason"),
    "failed": ("egov_sms_failed_total", "Messages that Kannel did not take"),
    "delivered": ("egov_sms_delivered_total", "Messages reported as delivered"),
    "undelivered": ("egov_sms_undelivered_total", "Messages reported as not delivered"),
    "rejected": ("egov_sms_rejected_total", "Messages that the operator's centre refused"),
}


def exposition(service: Service, now: float) -> str:
    """The service's metrics in Prometheus' text format. Quotas only of who has a key or sent something."""
    return "\n".join([*_counters(service), *_quotas(service, now), *_kannel(service)]) + "\n"


def _counters(service: Service) -> Iterator[str]:
    """Of who has a key they begin at 0: the first step of a counter that was not there before is no increase."""
    counts = service.counted()
    keyed = [name for name in service.accounts.known() if name in service.config.accounts]
    for kind, (name, text) in COUNTERS.items():
        yield from _head(name, "counter", text)
        found = dict.fromkeys(((site, "") for site in keyed), 0) if kind != "refused" else {}
        found |= {(site, reason): number for (metric, site, reason), number in counts.items() if metric == kind}
        for (site, reason), number in sorted(found.items()):
            labels = f'department="{site}"' + (f',reason="{reason}"' if reason else "")
            yield f"{name}{{{labels}}} {number}"


def _quotas(service: Service, now: float) -> Iterator[str]:
    keyed = service.accounts.known()
    shown = [name for name in service.config.accounts if name in keyed or any(service.book.usage(name, now))]
    yield from _head("egov_sms_quota_used_parts", "gauge", "Parts that a department has sent today and this month")
    for name in shown:
        for period, used in zip(("day", "month"), service.book.usage(name, now), strict=True):
            yield f'egov_sms_quota_used_parts{{department="{name}",period="{period}"}} {used}'
    yield from _head("egov_sms_quota_parts", "gauge", "Parts that it may send")
    for name in shown:
        account = service.config.accounts[name]
        for period, quota in (("day", account.daily), ("month", account.monthly)):
            yield f'egov_sms_quota_parts{{department="{name}",period="{period}"}} {quota}'


def _kannel(service: Service) -> Iterator[str]:
    found = service.kannel.look()
    yield from _head("egov_sms_kannel_up", "gauge", "Whether Kannel answers")
    yield f"egov_sms_kannel_up {int(found is not None)}"
    yield from _head("egov_sms_centre_online", "gauge", "Whether Kannel is logged in at the operator's centre")
    yield f"egov_sms_centre_online {int(bool(found and found[0]))}"
    if found:
        yield from _head("egov_sms_queue_messages", "gauge", "Messages that wait in Kannel")
        yield f"egov_sms_queue_messages {found[1]}"
    yield from _head("egov_sms_log_broken_lines", "gauge", "Lines of the log that could not be read at the start")
    yield f"egov_sms_log_broken_lines {service.book.broken}"


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def probe(outside: tuple[str, int], inside: int, certificate: Path) -> str:
    """Ask the service over TLS as departments do, trusting its own certificate only, and add what it says of itself."""
    answering = _answers(outside, certificate)
    own = ""
    with suppress(OSError), OPENER.open(f"http://127.0.0.1:{inside}/metrics", timeout=TIMEOUT) as answer:
        own = answer.read().decode()
    lines = [*_head("egov_sms_answering", "gauge", "Whether the service answers over TLS at the address of the host")]
    lines.append(f"egov_sms_answering {int(answering)}")
    lines += _head("egov_sms_look_timestamp_seconds", "gauge", "When it was last asked")
    lines.append(f"egov_sms_look_timestamp_seconds {time.time():.0f}")
    return "\n".join(lines) + f"\n{own}"


def _answers(outside: tuple[str, int], certificate: Path) -> bool:
    try:
        context = ssl.create_default_context(cafile=str(certificate))
        context.check_hostname = False  # it is asked by address; the certificate itself is what is trusted
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        connection = http.client.HTTPSConnection(*outside, timeout=TIMEOUT, context=context)
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def write(folder: Path, text: str) -> None:
    """Replace node_exporter's file in one step. Raises OSError."""
    beside = folder / f"{FILE}.new"
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o644)
    beside.replace(folder / FILE)
