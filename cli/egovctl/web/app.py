"""The server of our own pages: what is asked for is a page, a panel and names of the plan; PromQL stays here.

It answers reads only. Without TLS it listens on this machine alone, and answers only to who called it by a name of this
machine, so that no foreign page can have a browser ask it; with TLS the certificate sees to that, and a login is asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import jinja2
from aiohttp import web

from egovctl.boards import Board, Panel
from egovctl.boards.look import LANGUAGES, NO_DATA, Lang
from egovctl.i18n import Told, told
from egovctl.plan import City, Plan
from egovctl.signals import Signal
from egovctl.web.atlas import Atlas
from egovctl.web.login import Login
from egovctl.web.panels import Content, Studio
from egovctl.web.prometheus import DEFAULT_INTERVAL, Prometheus
from egovctl.web.runbooks import runbook
from egovctl.web.schematic import schematic
from egovctl.web.view import RANGES, Refused, View

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATIC = {"egov.css": "text/css", "egov.js": "text/javascript"}
NAMES = ("127.0.0.1", "localhost", "[::1]")
LONGEST = 2000  # of an address


@dataclass(frozen=True)
class House:
    """What the server serves from."""

    plan: Plan
    atlas: Atlas
    boards: Mapping[str, Board]
    catalogue: Mapping[str, Signal]
    dashboards: Path
    prometheus_url: str
    lang: Lang


def house(
    plan: Plan,
    city: City,
    boards: Mapping[str, Board],
    catalogue: Mapping[str, Signal],
    *,
    dashboards: Path,
    prometheus_url: str,
    lang: Lang,
) -> House:
    return House(plan, Atlas.of(plan, city), boards, catalogue, dashboards, prometheus_url.rstrip("/"), lang)


def application(here: House, login: Login | None = None, *, tls: bool = False) -> web.Application:
    """The server, ready to run; `tls` says that it will be run behind a certificate, called by any of its names."""
    guards = [_guard(here.lang, None if tls else NAMES), *([login.middleware] if login else [])]
    app = web.Application(middlewares=guards, client_max_size=1024)
    pages = _Pages(here)
    app.cleanup_ctx.append(pages.prepared)
    app.add_routes(
        [
            web.get("/", pages.start),
            web.get("/page/{board}", pages.page),
            web.get("/page/{board}/{value}", pages.page),
            web.get("/panel/{board}/{panel}", pages.panel),
            web.get("/panel/{board}/{panel}/{value}", pages.panel),
            web.get("/runbook/{room}", pages.runbook),
            web.get("/static/{name}", pages.static),
        ]
    )
    return app


def _guard(lang: Lang, names: tuple[str, ...] | None) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who may ask, and what every answer carries."""
        answer: web.StreamResponse
        try:
            if names is not None and _host(request.host) not in names:
                raise Refused(403, told("请用 127.0.0.1 或 localhost 访问", "call this by 127.0.0.1 or localhost"))
            if len(request.raw_path) > LONGEST:
                raise Refused(414, told("地址过长", "the address is too long"))
            answer = await handler(request)
        except Refused as refused:
            answer = web.Response(status=refused.status, text=_in(refused.why, lang) + "\n")
        except web.HTTPException as error:
            if error.status in (301, 302, 303):
                answer = web.Response(status=error.status, headers={"Location": error.headers["Location"]})
            else:
                answer = web.Response(status=error.status, text=f"{error.status}\n")
        answer.headers.update({key: value for key, value in HEADERS.items() if key not in answer.headers})
        return answer

    return guard


def _host(text: str) -> str:
    """The name of a Host header, without its port."""
    return text.partition("]")[0] + "]" if text.startswith("[") else text.partition(":")[0]


def _in(text: Told, lang: Lang) -> str:
    return text.zh if lang == "zh" else text.en


class _Pages:
    """The handlers."""

    def __init__(self, here: House) -> None:
        self.here = here
        self.studio: Studio | None = None
        folder = files("egovctl.web")
        self.assets = {name: (folder / "static" / name).read_bytes() for name in STATIC}
        self.marks = {name: hashlib.sha256(body).hexdigest()[:12] for name, body in self.assets.items()}
        self.templates = jinja2.Environment(
            loader=jinja2.PackageLoader("egovctl.web", "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    async def prepared(self, _app: web.Application) -> Any:
        connector = aiohttp.TCPConnector(limit=16)
        async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
            prometheus = Prometheus(self.here.prometheus_url, session)
            self.studio = Studio(self.here.atlas, self.here.catalogue, prometheus, schematic(self.here.atlas))
            yield

    async def start(self, request: web.Request) -> web.StreamResponse:
        view = self._view(request, "wall", "")
        raise web.HTTPFound(view.address("wall"))

    async def page(self, request: web.Request) -> web.StreamResponse:
        """A whole page, with its data."""
        view = self._view(request, request.match_info["board"], request.match_info.get("value", ""))
        assert self.studio is not None  # noqa: S101 - made before the first request
        contents = await asyncio.gather(*(self.studio.content(view, panel) for panel in view.board.panels))
        age = await self.studio.age()
        shown = [self._shown(view, panel, content) for panel, content in zip(view.board.panels, contents, strict=True)]
        text = self._render("page.html.j2", view, panels=shown, age=age, limit=2 * self.studio.prometheus.interval + 1)
        return web.Response(text=text, content_type="text/html")

    async def panel(self, request: web.Request) -> web.StreamResponse:
        """One panel of a page, to be put in the place of the one before."""
        view = self._view(request, request.match_info["board"], request.match_info.get("value", ""))
        panel = next((item for item in view.board.panels if item.name == request.match_info["panel"]), None)
        if panel is None:
            raise Refused(404, told("没有这个面板", "there is no such panel"))
        assert self.studio is not None  # noqa: S101
        content, age = await asyncio.gather(self.studio.content(view, panel), self.studio.age())
        text = self._render("one.html.j2", view, shown=self._shown(view, panel, content))
        headers = {} if age is None else {"X-Data-Age": f"{age:.1f}"}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def runbook(self, request: web.Request) -> web.StreamResponse:
        """What an alert means and what to do."""
        view = self._view(request, "wall", "")
        body = runbook(self.here.dashboards, request.match_info["room"])
        if body is None:
            raise Refused(404, told("没有这本处置手册", "there is no such runbook"))
        return web.Response(text=self._render("runbook.html.j2", view, body=body), content_type="text/html")

    async def static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in STATIC:
            raise web.HTTPNotFound
        # Named by its digest in the pages: it never changes under that name.
        headers = {"Cache-Control": "public, max-age=86400, immutable"}
        return web.Response(body=self.assets[name], content_type=STATIC[name], charset="utf-8", headers=headers)

    def _view(self, request: web.Request, board: str, value: str) -> View:
        return View.of(self.here.boards, self.here.atlas, board, value, request.query, self.here.lang)

    def _shown(self, view: View, panel: Panel, content: Content) -> dict[str, Any]:
        address = view.address(view.board.name, view.value, panel=panel.name)
        return {"panel": panel, "content": content, "address": address, "title": getattr(panel.title, view.lang)}

    def _render(self, template: str, view: View, **more: Any) -> str:
        own = self.here.atlas
        title = view.say("处置手册", "Runbook") if "body" in more else getattr(view.board.title, view.lang)
        if view.board.of and "body" not in more:
            title = own.title(view.board.of, view.value, view.lang)
        assert self.studio is not None  # noqa: S101
        return self.templates.get_template(template).render(
            view=view,
            title=title,
            city=getattr(self.here.plan.city.name, view.lang),
            menu=[
                (getattr(board.title, view.lang), view.address(name), name == view.board.name)
                for name, board in self.here.boards.items()
                if board.of is None
            ],
            counties=[(getattr(text, view.lang), view.address("county", name)) for name, text in own.counties.items()],
            up=self._up(view),
            following=self._following(view),
            ranges=list(RANGES),
            languages=LANGUAGES,
            marks=self.marks,
            refresh=max(2.0, min(60.0, self.studio.prometheus.interval or DEFAULT_INTERVAL)),
            now=time.time(),
            nodata=NO_DATA[view.lang],
            **more,
        )

    def _up(self, view: View) -> tuple[str, str] | None:
        """The page above: a link's site, a site's county, the wall."""
        own = self.here.atlas
        if view.board.of == "link":
            site = own.links[view.value].site
            return own.title("site", site, view.lang), view.address("site", site)
        if view.board.of == "site":
            county = own.sites[view.value].county or "_city"
            return own.title("county", county, view.lang), view.address("county", county)
        return None

    def _following(self, view: View) -> str:
        """Where a kiosk goes next: the wall, the map, what changed, each county, and again."""
        rounds = [("wall", ""), ("map", ""), ("changes", ""), *(("county", name) for name in self.here.atlas.counties)]
        here = (view.board.name, view.value)
        place = rounds.index(here) if here in rounds else -1
        return view.address(*rounds[(place + 1) % len(rounds)])
