"""HTTP: Alertmanager's webhook and the metrics on the loopback; at the NOC's own address nothing but the heartbeat."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from egov_notify import ways
from egov_notify.service import Service

log = logging.getLogger("egov_notify")
LONGEST_REQUEST = 8_000_000
HELP = {
    "egov_notify_sent_total": ("counter", "Messages that were taken by a relay, a gateway or a robot"),
    "egov_notify_failed_total": ("counter", "Attempts that failed; they are made again"),
    "egov_notify_dead_total": ("counter", "Messages given up: refused for good, or taken by nobody for a day"),
    "egov_notify_summed_total": ("counter", "Messages that went out as part of a summary"),
    "egov_notify_waiting": ("gauge", "Messages that wait"),
    "egov_notify_oldest_waiting_seconds": ("gauge", "How long the oldest of them has waited; 0 when none waits"),
    "egov_notify_incidents": ("gauge", "Incidents that are not over"),
    "egov_notify_dead_letters": ("gauge", "Messages given up since the state began"),
    "egov_notify_watchdog_timestamp_seconds": ("gauge", "When the Watchdog was last heard; 0 when never"),
    "egov_notify_state_lost": ("gauge", "1 when the state could not be read at the start"),
}


def exposition(service: Service, now: float) -> str:
    """The metrics in Prometheus' text format."""
    state, counts = service.snapshot(), service.counts
    values: dict[str, list[tuple[str, float]]] = {
        "egov_notify_incidents": [("", len(state.incidents))],
        "egov_notify_dead_letters": [("", state.dead)],
        "egov_notify_watchdog_timestamp_seconds": [("", state.watchdog)],
        "egov_notify_state_lost": [("", float(service.store.lost))],
    }
    for way in ways.WAYS:
        label = f'{{way="{way}"}}'
        ages = [max(0.0, now - item.created) for item in state.waiting if item.way == way]
        values.setdefault("egov_notify_waiting", []).append((label, len(ages)))
        values.setdefault("egov_notify_oldest_waiting_seconds", []).append((label, max(ages, default=0.0)))
        for kind in ("sent", "failed", "dead", "summed"):
            values.setdefault(f"egov_notify_{kind}_total", []).append((label, counts[kind, way]))
    return "\n".join(_lines(values)) + "\n"


def _lines(values: dict[str, list[tuple[str, float]]]) -> Iterator[str]:
    for name, (kind, text) in HELP.items():
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} {kind}"
        for label, value in values[name]:
            yield f"{name}{label} {value:.10g}" if value < 1e9 else f"{name}{label} {value:.3f}"


class _Handler(BaseHTTPRequestHandler):
    """What both listeners share: short timeouts, quiet logs."""

    timeout = 10
    server_version = "egov-notify"
    sys_version = ""

    def answer(self, code: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        data = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: what matters is logged where it happens."""


def listen_inside(service: Service, address: tuple[str, int]) -> ThreadingHTTPServer:
    """POST /alerts and GET /metrics. Raises OSError when the address cannot be had."""

    class Inside(_Handler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self.answer(200, exposition(service, time.time()), "text/plain; version=0.0.4; charset=utf-8")
            else:
                self.answer(404, "there is /metrics, and POST /alerts\n")

        def do_POST(self) -> None:
            if self.path != "/alerts":
                self.answer(404, "there is /metrics, and POST /alerts\n")
                return
            length = self.headers.get("Content-Length", "")
            if not length.isascii() or not length.isdigit() or int(length) > LONGEST_REQUEST:
                self.answer(413, "too long, or without a length\n")
                return
            try:
                service.take(json.loads(self.rfile.read(int(length))))
            except (ValueError, TypeError, KeyError, AttributeError) as why:
                log.error("what came to /alerts is no notification of Alertmanager's (%s)", type(why).__name__)
                self.answer(400, "not a notification of Alertmanager's\n")
            except OSError as why:
                # Alertmanager sends it again; nothing was taken.
                log.error("a notification could not be kept, and was refused: %s", why.strerror)
                self.answer(503, "it could not be kept\n")
            else:
                self.answer(200, "kept\n")

    return ThreadingHTTPServer(address, Inside)


def listen_outside(service: Service, address: tuple[str, int]) -> ThreadingHTTPServer:
    """GET /watchdog, for the backup node. Raises OSError when the address cannot be had."""

    class Outside(_Handler):
        def do_GET(self) -> None:
            if self.path != "/watchdog":
                self.answer(404, "there is /watchdog\n")
                return
            with service.changed:
                heard = service.state.watchdog
            self.answer(200, json.dumps({"watchdog": heard, "now": time.time()}), "application/json")

    return ThreadingHTTPServer(address, Outside)
