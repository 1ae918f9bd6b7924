"""Asking as Prometheus does: HTTP/1.1 over connections that are kept, gzip, and the scrape timeout in a header.

The client is small on purpose: its own time stands in every measurement of wall time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket

HEADERS = (
    "Accept: application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
    "Accept-Encoding: gzip\r\n"
    "User-Agent: Prometheus/2.42.0\r\n"
    "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n"
)
SECONDS = 30.0


class Failed(Exception):
    """The exporter did not answer 200."""


def request(path: str) -> bytes:
    """A GET as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{HEADERS}\r\n".encode()


def _head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    first, *lines = head.split(b"\r\n")
    fields = (line.partition(b":") for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in fields}


def _judge(path: str, status: int, fields: dict[bytes, bytes], body: bytes) -> bytes:
    """The body as it came; Failed when it is not a good answer."""
    if status != 200:
        shown = plain(body) if fields.get(b"content-encoding") == b"gzip" else body
        raise Failed(f"{path}: {status}: {shown[:200]!r}")
    if path.startswith("/snmp") and fields.get(b"content-encoding") != b"gzip":
        raise Failed(f"{path}: was not compressed")
    return body


def plain(body: bytes) -> bytes:
    """What was compressed."""
    return gzip.decompress(body)


class Client:
    """One kept connection, blocking."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb", buffering=1 << 16)

    def get(self, path: str) -> bytes:
        """The body, compressed as it came. Raises Failed or OSError."""
        lines = self._head_lines(path)
        if not lines:  # a kept connection may have been closed meanwhile: Prometheus opens another one, too
            self.close()
            self._connect()
            lines = self._head_lines(path)
        if not lines:
            raise Failed(f"{path}: the connection was closed")
        status, fields = _head(b"\r\n".join(lines))
        if fields.get(b"transfer-encoding") == b"chunked":
            parts = []
            while size := int(self._stream.readline(), 16):
                parts.append(self._stream.read(size))
                self._stream.readline()
            self._stream.readline()
            body = b"".join(parts)
        else:
            body = self._stream.read(int(fields[b"content-length"]))
        return _judge(path, status, fields, body)

    def _head_lines(self, path: str) -> list[bytes]:
        """Of the answer's head; none when there is no answer."""
        lines: list[bytes] = []
        try:
            self._socket.sendall(request(path))
            while (line := self._stream.readline()) not in (b"\r\n", b""):
                lines.append(line[:-2])
        except ConnectionError:
            return []
        return lines

    def close(self) -> None:
        """Give up the connection."""
        self._stream.close()
        self._socket.close()


class Pool:
    """Kept connections for many scrapes at a time; the one used last is used next, as Go's client does it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.opened = 0

    async def get(self, path: str) -> bytes:
        """The body, compressed as it came. Raises Failed, OSError or TimeoutError."""
        async with asyncio.timeout(SECONDS):
            while self._idle and self._idle[-1][0].at_eof():  # closed meanwhile
                self._idle.pop()[1].close()
            pair = self._idle.pop() if self._idle else await self._open()
            try:
                body = await self._exchange(path, *pair)
            except Exception:
                pair[1].close()
                raise
        self._idle.append(pair)
        return body

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.opened += 1
        return await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)

    async def _exchange(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(request(path))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            status, fields = _head(head[:-4])
            if fields.get(b"transfer-encoding") == b"chunked":
                parts = []
                while size := int(await reader.readline(), 16):
                    parts.append(await reader.readexactly(size))
                    await reader.readexactly(2)
                await reader.readexactly(2)
                body = b"".join(parts)
            else:
                body = await reader.readexactly(int(fields[b"content-length"]))
        except asyncio.IncompleteReadError:
            raise Failed(f"{path}: the connection was closed") from None
        try:
            return _judge(path, status, fields, body)
        except Failed:
            writer.close()
            raise

    async def close(self) -> None:
        """Give up all connections."""
        for _, writer in self._idle:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self._idle.clear()
