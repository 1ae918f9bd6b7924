"""A bounded walk through one website, once a day: which links are dead, and when each column was last fed.

At most so many pages and links, so many requests a second and so many seconds (config.Limits); only pages of the home
page's own host are read, and only those that its robots.txt leaves open. Links elsewhere are tried once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from egov_exporters.websites.config import Config, Website
from egov_exporters.websites.fetch import AGENT, Answer, Fetcher
from egov_exporters.websites.page import ARTICLE_LABELS, LABELS, Page, read_page

ARTICLES = 10  # of a column, newest on its page first, whose own PubDate is read
ROBOTS_BYTES = 100_000
WAITING = 50_000  # addresses that are kept to be read on
# Statuses that say nothing of whether people see something there: logins, and servers that want no machines.
UNCLEAR = frozenset({401, 402, 403, 405, 406, 407, 408, 418, 429, 451, 999})


@dataclass(frozen=True)
class Dead:
    """A dead link: the page that has it, whether that is the home page, and what came of it."""

    link: str
    page: str
    home: bool
    inside: bool
    why: str


@dataclass
class Found:
    """What a walk found. `columns`: name → (newest day or None, links to articles on its page); None: not readable.

    `tried` counts links by (home, inside, state); state is good, dead or unclear. Of links outside nothing counts when
    not one of them answered (`outside_reached` is false): then it is we who cannot get there. `whole`: no limit ended
    the walk.
    """

    at: float
    home_newest: date | None = None
    home_read: bool = False
    columns: dict[str, tuple[date | None, int] | None] = field(default_factory=dict)
    dead: list[Dead] = field(default_factory=list)
    tried: dict[tuple[bool, bool, str], int] = field(default_factory=dict)
    pages: int = 0
    marks: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    articles: int = 0
    labelled: int = 0
    whole: bool = True
    outside_reached: bool = False


class Walk:
    """One walk through one website."""

    def __init__(self, website: Website, config: Config, fetcher: Fetcher, now: float, today: date) -> None:
        self.website, self.limits, self.today = website, config.limits, today
        self.found = Found(now)
        self._fetcher = fetcher
        self._robots = RobotFileParser()
        self._next = time.monotonic()
        self._ends = time.monotonic() + config.limits.walk_seconds
        self._answers: dict[str, Answer] = {}
        self._pages: dict[str, Page | None] = {}
        self._articles: dict[str, bool] = {}  # article → whether it has all of its labels
        self._where: dict[str, tuple[str, bool]] = {}  # link → the first page that has it, and whether that is home

    async def run(self) -> Found:
        """All of it. Never raises for what a website says."""
        await self._read_robots()
        home = await self._page(self.website.url, asked_for=True)
        if home is None:
            return self.found
        self.found.home_read = True
        self.found.marks = home.marks
        self.found.labels = frozenset(name for name in LABELS if name.lower() in home.labels)
        self.found.home_newest = (await self._look(home))[0]
        for column in self.website.columns:
            page = await self._page(urljoin(self.website.url, column.path), asked_for=True)
            self.found.columns[column.name] = None if page is None else await self._look(page)
        self.found.articles, self.found.labelled = len(self._articles), sum(self._articles.values())
        await self._read_on()
        await self._try_links()
        return self.found

    async def _look(self, page: Page) -> tuple[date | None, int]:
        """(newest day, articles) of what a page links to inside: as dated there, or as articles themselves say.

        Of those dated there the newest are read; where none is, the first of all links are.
        """
        own = {link: day for link, day in page.dated.items() if self._is_inside(link)}
        newest = sorted(own, key=lambda link: own[link], reverse=True)[:ARTICLES]
        days, dating = list(own.values()), 0
        for link in newest or [link for link in page.links if self._is_inside(link)][:ARTICLES]:
            article = await self._page(link)
            if article is None:
                continue
            if link in own or article.published:
                self._articles[link] = all(name.lower() in article.labels for name in ARTICLE_LABELS)
            if article.published and article.published <= self.today + timedelta(days=1):
                days.append(article.published)
                dating += 1
        return max(days, default=None), len(own) or dating

    async def _read_on(self) -> None:
        """From page to page, nearest first, as far as the limits go."""
        waiting = deque((link, 1) for page in list(self._pages.values()) if page for link in page.links)
        while waiting:
            link, depth = waiting.popleft()
            if link in self._pages or depth > self.limits.depth or not self._is_inside(link) or not _is_page(link):
                continue
            if self.found.pages >= self.limits.pages or time.monotonic() > self._ends:
                self.found.whole = False
                return
            page = await self._page(link)
            if page and len(waiting) < WAITING:
                waiting.extend((found, depth + 1) for found in page.links)

    async def _try_links(self) -> None:
        """Every link that pages had, once; what is dead is tried again at the end, since a moment's fault is none."""
        links = sorted(self._where, key=lambda link: not self._where[link][1])  # the home page's first
        if len(links) > self.limits.links:
            self.found.whole = False
        states: dict[str, str] = {}
        for link in links[: self.limits.links]:
            if link not in self._answers and time.monotonic() > self._ends:
                self.found.whole = False
                break
            kept_out = self._is_inside(link) and not self._may_read(link)
            states[link] = "unclear" if kept_out else _state(await self._ask(link, 0))
        for link in [link for link, state in states.items() if state == "dead" and time.monotonic() <= self._ends]:
            del self._answers[link]
            states[link] = _state(await self._ask(link, 0))
        outside = [self._answers[link] for link in states if not self._is_inside(link)]
        asked = [answer for answer in outside if answer.outcome != "refused"]
        self.found.outside_reached = not asked or any(answer.status for answer in asked)
        for link, state in states.items():
            page, home = self._where[link]
            inside = self._is_inside(link)
            if not inside and not self.found.outside_reached:
                continue
            key = (home, inside, state)
            self.found.tried[key] = self.found.tried.get(key, 0) + 1
            if state == "dead":
                answer = self._answers[link]
                why = str(answer.status) if answer.status else answer.outcome
                self.found.dead.append(Dead(link, page, home, inside, why))

    async def _page(self, link: str, asked_for: bool = False) -> Page | None:
        """A page of the website, read; None where there is none, it is elsewhere, or robots.txt asks to keep out.

        The home page is asked for whatever robots.txt says: it is what everybody calls up.
        """
        if link in self._pages:
            return self._pages[link]
        page = None
        if self._may_read(link) and (asked_for or self.found.pages < self.limits.pages):
            answer = await self._ask(link, None)
            kind = (answer.headers or {}).get("content-type", "text/html")
            if answer.good and self._is_inside(answer.url) and "html" in kind.lower():
                self.found.pages += 1
                page = read_page(answer.url, answer.body, kind, self.today)
                self._note(page.links, link)
        self._pages[link] = page
        return page

    def _note(self, links: Iterable[str], page: str) -> None:
        for link in links:
            if len(self._where) > self.limits.links:
                return  # more than will be tried; that there are more is known
            self._where.setdefault(link, (page, page == self.website.url))

    async def _ask(self, link: str, most: int | None) -> Answer:
        """One request at a time, no more of them a second than the limit says; each address once."""
        if link not in self._answers:
            wait = self._next - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self._next = time.monotonic() + 1 / self.limits.per_second
            answer = await self._fetcher.get(link, most)
            self._answers[link] = replace(answer, body=b"", headers=None)
            return answer
        return self._answers[link]

    def _may_read(self, link: str) -> bool:
        return link == self.website.url or self._robots.can_fetch(AGENT, link)

    def _is_inside(self, link: str) -> bool:
        return (urlsplit(link).hostname or "").lower() == self.website.host

    async def _read_robots(self) -> None:
        """What robots.txt says; a website without one, or with one that nobody can read, leaves all open."""
        answer = await self._ask(urljoin(self.website.url, "/robots.txt"), ROBOTS_BYTES)
        text = answer.body.decode("utf-8", "replace") if answer.good else ""
        self._robots.parse(text.splitlines())


def _is_page(link: str) -> bool:
    """Whether an address looks like a page and not like a file to be taken home."""
    name = urlsplit(link).path.rpartition("/")[2]
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return ending in ("", "html", "htm", "shtml", "xhtml", "php", "asp", "aspx", "jsp", "do", "action")


def _state(answer: Answer) -> str:
    if answer.good:
        return "good"
    if answer.outcome == "refused" or answer.status in UNCLEAR:
        return "unclear"
    return "dead"


async def walk(website: Website, config: Config, fetcher: Fetcher, now: float, today: date) -> Found:
    """Walk through one website."""
    return await Walk(website, config, fetcher, now, today).run()
