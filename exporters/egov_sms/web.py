"""HTTPS for departments at the host's addresses; reports of delivery and metrics on the loopback."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from egov_sms.answers import refusal
from egov_sms.kannel import RECEIPTS
from egov_sms.metrics import exposition
from egov_sms.service import Answer, Service

log = logging.getLogger("egov_sms")
LONGEST_REQUEST = 16_384
SECONDS = 15  # for a handshake, and for each read and write
MOST_AT_ONCE = 64


class _Handler(BaseHTTPRequestHandler):
    """What both listeners share: short timeouts, quiet logs."""

    timeout = SECONDS
    server_version = "egov-sms"
    sys_version = ""

    def answer(self, code: int, text: str, kind: str, more: dict[str, str] | None = None) -> None:
        data = text.encode()
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: what matters is logged where it happens."""


class Server(ThreadingHTTPServer):
    """Connections in threads, at most so many at once; with a context each begins with a handshake in its thread."""

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.context, self._room = context, threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(SECONDS)
        with self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was broken off, or no TLS: nothing to tell anybody. What is ours is logged by its kind."""
        why = sys.exc_info()[1]
        if not isinstance(why, OSError):
            log.error("a request ended in %s", type(why).__name__)


def listen_outside(service: Service, address: tuple[str, int], context: ssl.SSLContext) -> Server:
    """POST /messages, GET /messages/ID, GET /quota, GET /health. Raises OSError when the address cannot be had."""

    class Outside(_Handler):
        def say(self, answer: Answer) -> None:
            code, body, more = answer
            text = json.dumps(body, ensure_ascii=False) + "\n"
            self.answer(code, text, "application/json; charset=utf-8", more)

        def do_GET(self) -> None:
            header, now = self.headers.get("Authorization", ""), time.time()
            if self.path == "/health":
                self.say((200, {"state": "listening"}, {}))
            elif self.path == "/quota":
                self.say(service.quota(header, now))
            elif self.path.startswith("/messages/"):
                self.say(service.message(header, self.path.removeprefix("/messages/"), now))
            else:
                self.say((*refusal("place"), {}))

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != "/messages":
                self.say((*refusal("place"), {}))
            elif not length.isascii() or not length.isdigit() or int(length) > LONGEST_REQUEST:
                self.say((*refusal("size"), {}))
            else:
                body = self.rfile.read(int(length))
                self.say(service.post(self.headers.get("Authorization", ""), body, time.time()))

    return Server(address, Outside, context)


def listen_inside(service: Service, address: tuple[str, int]) -> Server:
    """GET /receipt for Kannel and GET /metrics. Raises OSError when the address cannot be had."""

    class Inside(_Handler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            if place.path == "/metrics":
                self.answer(200, exposition(service, time.time()), "text/plain; version=0.0.4; charset=utf-8")
            elif place.path == "/receipt":
                self._receipt({name: found[0] for name, found in parse_qs(place.query).items()})
            else:
                self.answer(404, "there is /metrics and /receipt\n", "text/plain")

        def _receipt(self, said: dict[str, str]) -> None:
            try:
                state = RECEIPTS[int(said["state"])]
                known = service.receipt(said["site"], said["id"], said["token"], state, time.time())
            except (KeyError, ValueError):
                known = False
            except OSError as why:
                log.error("a report of delivery could not be put on record: %s", why.strerror)
                self.answer(503, "it could not be kept\n", "text/plain")
                return
            self.answer(200 if known else 403, "", "text/plain")

    return Server(address, Inside, None)
