"""What a page says, as far as machines can read it: links, dates of articles, and the labels that official pages carry.

Pages come from anywhere: what cannot be read is taken as not there, and nothing here raises for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from lxml import html

# What browsers take these names for: GB 18030 holds all of the older ones.
CHINESE = frozenset({"gb2312", "gbk", "gb18030", "x-gbk", "gb_2312-80", "chinese", "csgb2312"})
CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.I)
BEGINNING = 4096
# A day as people write it, and as content systems have it in addresses: t20261120_1.html, art/2026/11/20/art_1.html,
# 2026-11/20/content_1.html.
DAY = re.compile(r"(?<!\d)(20\d\d)\s?[-/.年]\s?(\d{1,2})\s?[-/.月]\s?(\d{1,2})(?!\d)")
DAYS_IN_ADDRESS = (
    re.compile(r"/t?(20\d\d)(\d\d)(\d\d)[_./]"),
    re.compile(r"/(20\d\d)[-/](\d\d?)[-/](\d\d?)[_./]"),
    re.compile(r"/(20\d\d)(\d\d)/(\d\d)/"),
)
# The element that holds one line of a list: a date counts only beside the link that it is the date of, since many pages
# show today's date at the top.
ROWS = frozenset({"li", "tr", "dd", "dl", "p", "article"})
LONGEST_ROW = 400
MOST_LINKS, LONGEST_LINK = 5000, 2000  # of a page, and in characters: what is beyond is not there
LINKS = (("a", "href"), ("area", "href"), ("img", "src"), ("iframe", "src"))
LABELS = ("SiteName", "SiteDomain", "SiteIDCode")
ARTICLE_LABELS = ("ArticleTitle", "PubDate", "ContentSource")
# What the foot of each home page has to show, and how it is known.
MARKS: Mapping[str, re.Pattern[str]] = {
    "filing": re.compile(r"ICP\s{0,3}备", re.I),
    "police": re.compile(r"公\s{0,3}网\s{0,3}安\s{0,3}备"),
    "code": re.compile(r"标识码\s{0,3}[:：]?\s{0,3}[A-Za-z]{0,2}\d{8,12}"),
    "contact": re.compile(r"主办单位|联系电话"),
}
LINKED_MARKS: Mapping[str, re.Pattern[str]] = {
    "badge": re.compile(r"//[a-z0-9.]*conac\.cn/", re.I),
    "report": re.compile(r"//(zfwzzc\.www\.gov\.cn|pucha\.kaipuyun\.cn)/", re.I),
}


@dataclass(frozen=True)
class Page:
    """`links` in the page's order, each once; `dated`: link → the newest day beside it, or in its address."""

    links: tuple[str, ...]
    dated: Mapping[str, date]
    labels: Mapping[str, str]
    marks: frozenset[str]

    @property
    def published(self) -> date | None:
        """The day that an article says it was published on (PubDate)."""
        return next(iter(days_in(self.labels.get("pubdate", ""))), None)


def decoded(body: bytes, content_type: str) -> str:
    """The text, by what the server says, else the page's own beginning, else UTF-8, else GB 18030; never raises."""
    said = CHARSET.search(content_type.encode("latin-1", "replace")) or CHARSET.search(body[:BEGINNING])
    name = said[1].decode("ascii").lower() if said else ""
    for encoding in ("gb18030" if name in CHINESE else name, "utf-8"):
        try:
            return body.decode(encoding)
        except (LookupError, ValueError):
            continue
    # Cut or sloppy pages have a few bad bytes: better a page with some odd characters than none.
    return body.decode("utf-8" if name in ("utf-8", "utf8") else "gb18030", "replace")


def read_page(url: str, body: bytes, content_type: str, today: date) -> Page:
    """What a page has. Days after tomorrow are none of a publication."""
    tree = _tree(decoded(body, content_type))
    if tree is None:
        return Page((), {}, {}, frozenset())
    base = next((item.get("href", "") for item in tree.iter("base")), "")
    root = urljoin(url, base.strip()) if base else url
    links: dict[str, None] = {}
    dated: dict[str, date] = {}
    rows: dict[Any, list[date]] = {}  # each row is read once, however many links are in it
    for element, target in islice(_targets(tree, root), 4 * MOST_LINKS):
        if len(links) >= MOST_LINKS:
            break
        links.setdefault(target)
        if element.tag == "a" and (day := _newest(_days_of(element, target, rows), today)):
            dated[target] = max(day, dated.get(target, day))
    metas = ((item.get("name", ""), item.get("content", "")) for item in tree.iter("meta"))
    labels = {name.strip().lower(): content.strip() for name, content in metas if name and content.strip()}
    return Page(tuple(links), dated, labels, _marks(tree, links))


def days_in(text: str) -> Iterator[date]:
    """Every day that a text names, as far as there is such a day."""
    yield from _dates(DAY.finditer(text))


def _dates(found: Iterator[re.Match[str]]) -> Iterator[date]:
    for match in found:
        try:
            yield date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            continue


def _tree(text: str) -> Any:
    try:
        parser = html.HTMLParser(encoding="utf-8", recover=True, no_network=True, huge_tree=False)
        return html.document_fromstring(text.replace("\0", "").encode("utf-8", "replace"), parser=parser)
    except (ValueError, AssertionError, html.etree.LxmlError):
        return None  # empty, or no HTML at all


def _targets(tree: Any, root: str) -> Iterator[tuple[Any, str]]:
    """(element, whole address) of every link to something on the web."""
    for tag, attribute in LINKS:
        for element in tree.iter(tag):
            written = (element.get(attribute) or "").strip()
            if not written or written.startswith("#"):
                continue
            try:
                target = urldefrag(urljoin(root, written)).url
                place = urlsplit(target)
            except ValueError:
                continue
            if place.scheme in ("http", "https") and place.hostname and len(target) <= LONGEST_LINK:
                yield element, target


def _days_of(link: Any, target: str, rows: dict[Any, list[date]]) -> Iterator[date]:
    """The days in the line of a list that a link stands in, and in its address."""
    path = urlsplit(target).path
    for pattern in DAYS_IN_ADDRESS:
        yield from _dates(pattern.finditer(path))
    row = next((above for above in link.iterancestors() if above.tag in ROWS), link)
    if row not in rows:
        rows[row] = list(_days_beside(row))
    yield from rows[row]


def _days_beside(row: Any) -> Iterator[date]:
    yield from days_in(_text_of_row(row))
    for item in row.iter("time"):
        try:
            yield datetime.fromisoformat(item.get("datetime", "")).date()
        except ValueError:
            continue


def _text_of_row(row: Any) -> str:
    """The row's text; nothing when it is longer than a line of a list."""
    parts, length = [], 0
    for part in row.itertext():
        parts.append(str(part))
        length += len(part)
        if length > LONGEST_ROW:
            return ""
    return "".join(parts)


def _newest(days: Iterator[date], today: date) -> date | None:
    return max((day for day in days if day <= today + timedelta(days=1)), default=None)


def _marks(tree: Any, links: Mapping[str, None]) -> frozenset[str]:
    text = " ".join(str(part) for part in tree.itertext())
    found = {name for name, pattern in MARKS.items() if pattern.search(text)}
    found |= {name for name, pattern in LINKED_MARKS.items() if any(pattern.search(link) for link in links)}
    scripts = (item.get("src") or "" for item in tree.iter("script"))
    if any(LINKED_MARKS["badge"].search(source) for source in scripts):
        found.add("badge")
    return frozenset(found)
