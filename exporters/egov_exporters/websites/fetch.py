"""One request under limits of time and size, redirects followed by hand, each through the guard."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import aiohttp
from yarl import URL

from egov_exporters.websites.config import Config
from egov_exporters.websites.guard import Refused, Resolver, require_askable

AGENT = "egov-websites"
# We take anything, and have it as it is: what is compressed all the same is unpacked under the same limit.
HEADERS = {"User-Agent": f"{AGENT}/1", "Accept": "*/*", "Accept-Encoding": "identity"}
MOVED = frozenset({301, 302, 303, 307, 308})
FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6, "any": socket.AF_UNSPEC}
CHUNK = 65_536
log = logging.getLogger("egov_websites")


@dataclass(frozen=True)
class Answer:
    """What came of one address. `outcome`: answered (then `status` is not 0), or why nothing did:

    no-name, refused (ours: not an address that is asked), silent (not within the time), tls, unreachable, loop.
    `url` is where redirects led; `cut`: the body is longer than what was read.
    """

    outcome: str
    url: str
    status: int = 0
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    cut: bool = False
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """A page was there."""
        return self.outcome == "answered" and 200 <= self.status < 300


class Fetcher:
    """Asks over one family of addresses, or over any."""

    def __init__(self, config: Config, session: aiohttp.ClientSession, family: str) -> None:
        self._config, self._session, self._family = config, session, family

    async def get(self, url: str, most: int | None = None) -> Answer:
        """The page at an address, wherever redirects lead, at most `most` bytes of it (0: none); never raises."""
        started = time.monotonic()
        limit = self._config.limits.page_bytes if most is None else most
        here = urldefrag(url).url
        try:
            async with asyncio.timeout(self._config.limits.seconds):
                return await self._follow(here, limit, started)
        except TimeoutError:
            outcome = "silent"
        except (aiohttp.ClientError, OSError, ValueError, zlib.error) as why:
            outcome = _reason(why)
        return Answer(outcome, here, seconds=time.monotonic() - started)

    async def _follow(self, url: str, limit: int, started: float) -> Answer:
        for _ in range(self._config.limits.redirects + 1):
            require_askable(url, self._config)
            self._require_family(url)
            async with self._session.get(_as_written(url), allow_redirects=False) as response:
                target = response.headers.get("Location")
                if response.status in MOVED and target:
                    url = urldefrag(urljoin(url, target)).url
                    continue
                body, cut = await _read(response, limit)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer("answered", url, response.status, headers, body, cut, time.monotonic() - started)
        return Answer("loop", url, seconds=time.monotonic() - started)

    def _require_family(self, url: str) -> None:
        """An address that is written out is one of its own family only. Raises gaierror, as for a name without one."""
        try:
            version = ip_address(urlsplit(url).hostname or "").version
        except ValueError:
            return
        if self._family not in ("any", str(version)):
            raise socket.gaierror(socket.EAI_NONAME, "no address of this family")


def _as_written(url: str) -> URL:
    """The address as the page has it, where it is one already; else quoted, as browsers do."""
    return URL(url, encoded=all("!" <= character <= "~" for character in url))


async def _read(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """(at most `limit` bytes, whether there are more), unpacked where the server packs without being asked to."""
    if not limit:
        return b"", False
    packed = response.headers.get("Content-Encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed else None
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        body += unpack.decompress(chunk, limit + 1 - len(body)) if unpack else chunk
        if len(body) > limit:
            return bytes(body[:limit]), True
    return bytes(body), False


def _reason(why: Exception) -> str:
    """The outcome that an exception means."""
    inner: BaseException | None = why
    while inner is not None:
        if isinstance(inner, Refused):
            return "refused"
        inner = getattr(inner, "os_error", None) or inner.__cause__
    if isinstance(why, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return "no-name"
    if isinstance(why, aiohttp.ClientSSLError | ssl.SSLError | aiohttp.ClientConnectorCertificateError):
        return "tls"
    return "unreachable"


@asynccontextmanager
async def fetcher(config: Config, family: str = "any", context: ssl.SSLContext | None = None) -> AsyncIterator[Fetcher]:
    """A fetcher over 4, 6 or any; its connections end with it. `context` is for those that have one already."""
    connector = aiohttp.TCPConnector(
        family=FAMILIES[family],
        resolver=Resolver(config),
        use_dns_cache=False,
        limit=0,
        ssl=context or ssl.create_default_context(),
    )
    # No cookies are kept, no proxy is asked, no body is unpacked behind our back.
    options: dict[str, Any] = {"auto_decompress": False, "cookie_jar": aiohttp.DummyCookieJar(), "trust_env": False}
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS, timeout=timeout, **options) as session:
        yield Fetcher(config, session, family)


async def certificate_ends(host: str, port: int, config: Config, context: ssl.SSLContext) -> float | None:
    """When the certificate that a host shows ends, in seconds since 1970; None where none is shown that is trusted."""
    try:
        async with asyncio.timeout(config.limits.seconds):
            for item in await Resolver(config).resolve(host, port):
                try:
                    _, writer = await asyncio.open_connection(
                        item["host"], port, ssl=context, server_hostname=host, family=item["family"]
                    )
                except ssl.SSLError:
                    return None
                except OSError:
                    continue
                shown = writer.get_extra_info("peercert") or {}
                writer.close()
                return ssl.cert_time_to_seconds(shown["notAfter"])
    except (OSError, TimeoutError, ValueError, KeyError):
        pass
    return None
