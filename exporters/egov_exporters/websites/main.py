"""egov-websites: the city's websites as anybody sees them.

  show                what the last visit and the last walk found of each website
  dead NAME           the dead links of a website: why, link, and the page that has it

The units run visit and walk.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import ssl
import sys
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from egov_exporters.websites import metrics
from egov_exporters.websites.book import HOME, Book, Visit, replace_file
from egov_exporters.websites.config import Config, ConfigError, Website, load_config
from egov_exporters.websites.fetch import Answer, Fetcher, certificate_ends, fetcher
from egov_exporters.websites.walk import walk

USAGE, CANNOT = 2, 3
CONFIG = Path("/etc/egov/websites.json")
METRICS = "egov_websites.prom"
HTTPS = 443
AT_ONCE = 8


def main() -> None:
    """Exit codes: 0 good, 2 usage or a bad configuration, 3 it cannot be done."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING, format="level=%(levelname)s msg=%(message)s", stream=sys.stderr)
    try:
        _run(arguments, load_config(arguments.config))
    except ConfigError as why:
        _end(str(why), USAGE)
    except OSError as why:
        _end(f"{why.filename or 'websites'}: {why.strerror or why}", CANNOT)


def _parser() -> argparse.ArgumentParser:
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="egov-websites", description=__doc__, formatter_class=shown)
    parser.add_argument("--config", type=Path, default=CONFIG, help="what render made of the plan")
    parser.add_argument("--home", type=Path, default=HOME, help="where the record is")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in ("show", "visit", "walk"):
        commands.add_parser(name)
    commands.add_parser("dead").add_argument("website")
    return parser


def _run(arguments: argparse.Namespace, config: Config) -> None:
    book = Book(arguments.home)
    match arguments.command:
        case "show":
            sys.stdout.write(metrics.exposition(config, book, time.time()))
        case "dead":
            if arguments.website not in {website.name for website in config.websites}:
                _end(f"there is no website {arguments.website}", USAGE)
            sys.stdout.write("".join(f"{line}\n" for line in metrics.dead_links(book.walk(arguments.website))))
        case "visit":
            asyncio.run(visit_all(config, book))
            _publish(config, book, arguments.home)
        case _:
            asyncio.run(walk_all(config, book))
            book.prune(time.time())
            _publish(config, book, arguments.home)


def _publish(config: Config, book: Book, home: Path) -> None:
    replace_file(home / METRICS, metrics.exposition(config, book, time.time()))


async def visit_all(config: Config, book: Book) -> None:
    """Visit each website once, a few at a time, and put that on record. Raises OSError."""
    room, context = asyncio.Semaphore(AT_ONCE), ssl.create_default_context()

    async def one(website: Website, four: Fetcher, six: Fetcher, either: Fetcher) -> Visit:
        async with room:
            return await visit(website, config, (four, six, either), context)

    async with (
        fetcher(config, "4", context) as four,
        fetcher(config, "6", context) as six,
        fetcher(config, "any", context) as either,
    ):
        for found in await asyncio.gather(*(one(website, four, six, either) for website in config.websites)):
            book.note(found)


async def visit(
    website: Website, config: Config, fetchers: tuple[Fetcher, Fetcher, Fetcher], context: ssl.SSLContext
) -> Visit:
    """Call up one home page over IPv4, over IPv6, and over HTTPS."""
    now = time.time()
    four, six, either = fetchers
    seen4, seen6, safe, ends = await asyncio.gather(
        four.get(website.url),
        six.get(website.url),
        either.get(safe_url(website)),
        certificate_ends(website.host, urlsplit(safe_url(website)).port or HTTPS, config, context),
    )
    told = [_told(answer, website) for answer in (seen4, seen6)]
    took = [answer.seconds for answer, what in zip((seen4, seen6), told, strict=True) if what == "open"]
    return Visit(
        now, website.name, told[0], told[1], _told(safe, website), round(min(took, default=0.0), 3), ends or 0.0
    )


def safe_url(website: Website) -> str:
    """The home page over HTTPS: as planned, where it is planned so, else at the usual port."""
    if website.url.startswith("https:"):
        return website.url
    return f"https://[{website.host}]/" if ":" in website.host else f"https://{website.host}/"


def _told(answer: Answer, website: Website) -> str:
    """open, elsewhere (a page of another website came), empty, the status, or the outcome."""
    if not answer.good:
        return str(answer.status) if answer.status else answer.outcome
    if not _same_website(answer.url, website):
        return "elsewhere"
    return "open" if answer.body.strip() else "empty"


def _same_website(url: str, website: Website) -> bool:
    """Whether an address is the website's: its host, with or without www."""
    host = (urlsplit(url).hostname or "").lower()
    return host.removeprefix("www.") == website.host.removeprefix("www.")


async def walk_all(config: Config, book: Book) -> None:
    """Walk through each website, a few at a time; what each found is on record as soon as it is through."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(website: Website, either: Fetcher) -> None:
        async with room:
            now = time.time()
            book.keep_walk(website.name, await walk(website, config, either, now, datetime.fromtimestamp(now).date()))

    async with fetcher(config) as either:
        await asyncio.gather(*(one(website, either) for website in config.websites))


def _end(sentence: str, code: int) -> None:
    sys.stderr.write(f"egov-websites: {sentence}\n")
    raise SystemExit(code)
