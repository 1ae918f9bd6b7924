"""The HTTP side: /snmp for Prometheus, /metrics about the exporter itself, /-/healthy, and a page for people."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ssl import SSLContext

from aiohttp import HttpVersion11, web
from isal import isal_zlib
from multidict import MultiMapping
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from egov_exporters.snmp import pages
from egov_exporters.snmp.config import Auth, Config, NoAuth, select_auth
from egov_exporters.snmp.devices import Device, Devices
from egov_exporters.snmp.doorstep import Doorstep, Memory, Page
from egov_exporters.snmp.expose import CONTENT_TYPE
from egov_exporters.snmp.profiles import Profile
from egov_exporters.snmp.scrape import ScrapeResult, explain_target, scrape
from egov_exporters.snmp.secret_yaml import ConfigError
from egov_exporters.snmp.selfmetrics import SelfMetrics, package_version
from egov_exporters.snmp.targets import BadTarget, Target, parse_target
from egov_exporters.snmp.web_config import BasicAuth
from egov_exporters.snmp.wire import Wire

log = logging.getLogger("egov_snmp_exporter")

TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
DEFAULT_SECONDS, MAX_SECONDS = 20.0, 120.0
AUTO = "auto"  # the module that means: what the device's family has
REMEMBERED_STATES = 10_000
BACKLOG = 128
GOOD = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\n".encode()
GOOD_GZIP = GOOD + b"Content-Encoding: gzip\r\n"
BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n"
GZIP_LEVEL, GZIP_WINDOW = 1, 31  # of isal: a tenth of zlib's time for a fifth more octets; 31 makes it gzip


class BadRequest(ValueError):
    """The query is wrong; `str(error)` is one sentence for the HTTP 400."""


class NoPage(Exception):
    """The target gave nothing; `str(error)` is one sentence for the HTTP 500."""


@dataclass(frozen=True)
class Query:
    """A checked request."""

    target: Target
    auth: Auth
    profiles: tuple[Profile, ...]
    auto: bool = False


@dataclass(frozen=True)
class Asked:
    """A request: what, in how many seconds, and whether the answer may be compressed."""

    query: Query
    seconds: float
    zipped: bool


def parse_query(query: MultiMapping[str], config: Config, profiles: Mapping[str, Profile]) -> Query:
    """Given the URL's parameters: what to scrape, with snmp_exporter's defaults. Raises BadRequest."""
    targets, names = query.getall("target", []), query.getall("auth", [])
    if len(targets) != 1 or not targets[0]:
        raise BadRequest("'target' parameter must be specified once")
    if len(names) > 1:
        raise BadRequest("'auth' parameter must only be specified once")
    name = names[0] if names else ""
    if name and name not in config.auths:
        raise BadRequest(f"Unknown auth {name[:80]!r}")
    modules = [one for part in query.getall("module", ["if_mib"]) for one in part.split(",") if one]
    if not modules:
        raise BadRequest("'module' parameter must contain at least one module name")
    for module in modules:
        if module not in profiles and module != AUTO:
            raise BadRequest(f"Unknown module {module[:80]!r}")
    try:
        target = parse_target(targets[0])
        auth = config.auths[name] if name else select_auth(config, target.host)
    except (BadTarget, NoAuth) as why:
        raise BadRequest(str(why)) from None
    named = tuple(profiles[module] for module in dict.fromkeys(modules) if module != AUTO)
    return Query(target, auth, named, AUTO in modules)


def budget(header: str | None) -> float:
    """Seconds for a scrape from Prometheus' timeout header: a little less, so that the answer still arrives in time."""
    try:
        seconds = float(header) if header else DEFAULT_SECONDS
    except ValueError:
        seconds = DEFAULT_SECONDS
    if not math.isfinite(seconds) or seconds <= 0:
        seconds = DEFAULT_SECONDS
    return min(seconds - min(0.5, seconds * 0.2), MAX_SECONDS)


class Exporter:
    """The running exporter: its auths (replaced by a reload), profiles, devices and metrics."""

    def __init__(
        self,
        config: Config,
        profiles: Mapping[str, Profile],
        *,
        guard: BasicAuth | None = None,
        in_flight: int = 1,
        read_again: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config
        self.guard = guard
        self.read_again = read_again
        self.on_take: Callable[[Config], None] = lambda _: None
        self.profiles = profiles
        self.wire = Wire()
        self.devices = Devices(in_flight)
        self.metrics = SelfMetrics(self.devices, self.wire)
        self.memory = Memory()
        self._states: OrderedDict[tuple[Target, str], str] = OrderedDict()

    def app(self) -> web.Application:
        """The web application."""
        guards = [] if self.guard is None else [self.guard.middleware]
        app = web.Application(client_max_size=1024, middlewares=guards)
        app.router.add_get("/", self.index)
        app.router.add_get("/snmp", self.snmp)
        app.router.add_get("/explain", self.explain)
        app.router.add_get("/metrics", self.own_metrics)
        app.router.add_get("/-/healthy", self.healthy)
        app.router.add_get("/-/ready", self.ready)
        app.router.add_post("/-/reload", self.reload)
        app.router.add_put("/-/reload", self.reload)
        return app

    async def listen(self, runner: web.AppRunner, address: tuple[str, int], tls: SSLContext | None) -> asyncio.Server:
        """Answer on an address, known requests in short. Raises OSError."""
        loop = asyncio.get_running_loop()
        manager = runner.server
        if manager is None:
            raise RuntimeError("the runner is not set up")

        def connected() -> Doorstep:
            return Doorstep(manager, self.memory, loop=loop, access_log=None)

        return await loop.create_server(connected, *address, ssl=tls, backlog=BACKLOG)

    async def index(self, request: web.Request) -> web.Response:
        """A page with a form."""
        return web.Response(
            text=pages.index(package_version(), [*sorted(self.profiles), AUTO]), content_type="text/html"
        )

    async def healthy(self, request: web.Request) -> web.Response:
        """The process answers; nothing is said about targets."""
        return web.Response(text="healthy\n")

    async def ready(self, request: web.Request) -> web.Response:
        """It has a configuration and can scrape; nothing is said about targets."""
        return web.Response(text="ready\n")

    async def reload(self, request: web.Request) -> web.Response:
        """Read the configuration again; a bad one is named, and the old one stays in use."""
        try:
            self.read_again()
        except ConfigError as why:
            return web.Response(status=500, text=f"{why}\n")
        return web.Response(text="reloaded\n")

    async def explain(self, request: web.Request) -> web.Response:
        """For people: what each module finds on a target, object by object."""
        try:
            query = parse_query(request.query, self.config, self.profiles)
        except BadRequest as why:
            return web.Response(status=400, text=f"{why}\n")
        told = await explain_target(self.wire, self.devices.get(query.target, query.auth), query.profiles, query.auto)
        return web.Response(text=pages.explained(str(query.target), query.auth.name, told), content_type="text/html")

    async def own_metrics(self, request: web.Request) -> web.Response:
        """Metrics of the exporter itself."""
        body = generate_latest(self.metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def snmp(self, request: web.Request) -> web.Response:
        """Scrape a target. 400: the query is wrong. 500: the target gave nothing at all, so `up` becomes 0."""
        try:
            query = parse_query(request.query, self.config, self.profiles)
        except BadRequest as why:
            self.metrics.request_errors.inc()
            return web.Response(status=400, text=f"{why}\n")
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        asked = Asked(query, budget(request.headers.get(TIMEOUT_HEADER)), zipped)
        self._remember(request, asked)
        try:
            body = await self._body(asked)
        except NoPage as why:
            return web.Response(status=500, text=f"{why}\n")
        headers = {"Content-Type": CONTENT_TYPE} | ({"Content-Encoding": "gzip"} if zipped else {})
        return web.Response(body=body, headers=headers)

    def _remember(self, request: web.Request, asked: Asked) -> None:
        """The same octets mean the same the next time, unless somebody has to show a password first."""
        words = getattr(request.protocol, "words", b"")
        if words and self.guard is None and request.keep_alive and request.version == HttpVersion11:
            self.memory.keep(words, partial(self._again, asked))

    async def _again(self, asked: Asked) -> Page:
        """What `snmp` answers to the same request, in short."""
        try:
            return Page(GOOD_GZIP if asked.zipped else GOOD, await self._body(asked))
        except NoPage as why:
            return Page(BAD, f"{why}\n".encode())

    async def _body(self, asked: Asked) -> bytes:
        """The page of a scrape, compressed if that was asked for. Raises NoPage."""
        query = asked.query
        try:
            result = await self._shared(query, asked.seconds)
        except TimeoutError:  # another's scrape, which has more time
            raise NoPage(f"{query.target} did not finish within {asked.seconds:.1f} s") from None
        if not result.answered:
            raise NoPage(f"{query.target} (auth {query.auth.name}) {result.failure}")
        return isal_zlib.compress(result.page, GZIP_LEVEL, GZIP_WINDOW) if asked.zipped else result.page

    def take(self, config: Config) -> None:
        """Use this configuration from now on."""
        self.config = config
        self.memory.clear()
        self.devices.retain(tuple(config.auths.values()))
        self.on_take(config)

    async def _shared(self, query: Query, seconds: float) -> ScrapeResult:
        """The scrape that is under way for the same question, or a new one. Raises TimeoutError."""
        device = self.devices.get(query.target, query.auth)
        key = (*(profile.name for profile in query.profiles), *([AUTO] if query.auto else []))
        running = device.running.get(key)
        if running is not None:
            self.metrics.shared.inc()
            async with asyncio.timeout(seconds):
                return await asyncio.shield(running)
        # Not a task of its own: that would cost each scrape three more turns of the loop, and a client that goes away
        # ends nothing here (aiohttp lets a handler finish).
        running = device.running[key] = asyncio.get_running_loop().create_future()
        try:
            result = await self._scrape(query, device, seconds)
            running.set_result(result)
            return result
        finally:
            running.cancel()
            del device.running[key]

    async def _scrape(self, query: Query, device: Device, seconds: float) -> ScrapeResult:
        self.metrics.in_flight.inc()
        try:
            result = await scrape(self.wire, device, query.profiles, seconds, query.auto)
        finally:
            self.metrics.in_flight.dec()
        self.metrics.observe(result)
        self._note(query, result)
        return result

    def _note(self, query: Query, result: ScrapeResult) -> None:
        """Log when a target's state changes, not at every scrape of a dead one."""
        key = (query.target, query.auth.name)
        if not result.answered:
            state = result.failure
        elif not result.complete:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(result.problems().items()))
            state = f"was read only in part: {result.failure or reasons or 'nothing to read'}"
        else:
            state = ""
        if self._states.get(key, "") != state:
            log.warning("%s (auth %s) %s", query.target, query.auth.name, state or "is read completely again")
        if not state:  # most are well; nothing is kept of them
            self._states.pop(key, None)
            return
        self._states[key] = state
        self._states.move_to_end(key)
        if len(self._states) > REMEMBERED_STATES:
            self._states.popitem(last=False)
