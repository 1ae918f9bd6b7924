"""A real web server on the loopback that a test tells what to say, and a configuration that lets it be asked."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from egov_exporters.websites.config import Column, Config, read_config
from egovctl.paths import Inventory, project_root

Say = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Town:
    """One server: `pages` by path (text, bytes or a function), what was `asked`, and where it is."""

    host: str = "127.0.0.1"
    port: int = 0
    scheme: str = "http"
    pages: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/"

    def config(self, *columns: tuple[str, str, float], **limits: Any) -> Config:
        """The loopback and this port may be asked; a walk is as quick as it can be."""
        return read_config(
            {
                "websites": [{"name": "town", "url": self.url, "columns": [vars(Column(*one)) for one in columns]}],
                "inside": ["127.0.0.1/32", "::1/128"],
                "closed": ["127.0.0.0/8"],
                "ports": [self.port],
                "limits": {"seconds": 2.0, "per_second": 1000.0, **limits},
            }
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A visitor that hangs up is none."""


@contextmanager
def town(host: str = "127.0.0.1", certificate: Any = None, **pages: Any) -> Iterator[Town]:
    """A server until the block ends; with a (certificate, key) it speaks TLS."""
    place = Town(host, pages={f"/{name}": page for name, page in pages.items()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place.asked.append(self.path)
            page = place.pages.get(self.path)
            if callable(page):
                page(self)
            elif page is None:
                send(self, b"gone", 404)
            else:
                send(self, page if isinstance(page, bytes) else page.encode())

        def log_message(self, *_: object) -> None:
            pass

    class Server(_Server):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    server = Server((host, 0), Handler)
    place.port = server.server_address[1]
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        place.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield place
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """An answer with a length, HTML unless it says otherwise."""
    handler.send_response(status)
    for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def moved(target: str) -> Say:
    """A redirect."""
    return lambda handler: send(handler, b"", 302, Location=target)


def dripping(seconds: float) -> Say:
    """A byte now and then: no single wait is long, all together never end."""

    def say(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            handler.wfile.write(b".")
            time.sleep(0.05)

    return say


def article(day: str, title: str = "Something") -> str:
    """An article with all labels."""
    return (
        f'<html><head><meta name="ArticleTitle" content="{title}"><meta name="PubDate" content="{day} 09:00">'
        f'<meta name="ContentSource" content="office"></head><body><p>{title}</p></body></html>'
    )


def lab_with_websites(folder: Path, websites: dict[str, Any]) -> Inventory:
    """The sample city with these websites planned (JSON is YAML)."""
    shutil.copytree(project_root() / "inventories/lab", folder / "town")
    (folder / "town/plan/websites.yml").write_text(json.dumps(websites), encoding="utf-8")
    return Inventory(folder / "town")
