"""What is on record as metrics in Prometheus' text format, for node_exporter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from egov_exporters.websites.book import Book, Visit
from egov_exporters.websites.config import Config, Website
from egov_exporters.websites.page import LABELS, LINKED_MARKS, MARKS
from egov_exporters.websites.walk import Found

DAYS, VISITS_A_DAY = 7, 20  # of the indicators: a week of at least so many visits each day
Row = tuple[str, float]


@dataclass
class Metric:
    """One metric: its help and its series."""

    text: str
    rows: list[Row] = field(default_factory=list)


def exposition(config: Config, book: Book, now: float) -> str:
    """All metrics of all websites of the configuration; of what was never looked at there are none."""
    metrics = {name: Metric(text) for name, text in TEXTS.items()}
    midnight = datetime.combine(datetime.fromtimestamp(now).date(), time())
    since = (midnight - timedelta(days=DAYS)).timestamp()
    by_website: dict[str, list[Visit]] = {}
    for visit in book.visits(since, now):
        by_website.setdefault(visit.website, []).append(visit)
    for website in config.websites:
        for name, row in _of_visits(website, by_website.get(website.name, []), midnight):
            metrics[name].rows.append(row)
        if found := book.walk(website.name):
            for name, row in _of_walk(website, found):
                metrics[name].rows.append(row)
    metrics["egov_website_record_broken_lines"].rows.append(("", book.broken))
    return "".join(_written(name, metric) for name, metric in metrics.items() if metric.rows)


def _written(name: str, metric: Metric) -> str:
    head = f"# HELP {name} {metric.text}\n# TYPE {name} gauge\n"
    return head + "".join(f"{name}{labels} {value:.15g}\n" for labels, value in metric.rows)


def _of_visits(website: Website, visits: list[Visit], midnight: datetime) -> Iterator[tuple[str, Row]]:
    site = f'website="{website.name}"'
    if not visits:
        return
    last = max(visits, key=lambda visit: visit.at)
    yield "egov_website_open", (f'{{{site},family="4"}}', float(last.v4 == "open"))
    yield "egov_website_open", (f'{{{site},family="6"}}', float(last.v6 == "open"))
    for family, what in (("4", last.v4), ("6", last.v6)):
        yield "egov_website_address", (f'{{{site},family="{family}"}}', float(what != "no-name"))
    yield "egov_website_https_open", (f"{{{site}}}", float(last.https == "open"))
    if last.opened:
        yield "egov_website_open_seconds", (f"{{{site}}}", last.seconds)
    if last.certificate:
        yield "egov_website_certificate_ends_timestamp_seconds", (f"{{{site}}}", last.certificate)
    yield "egov_website_look_timestamp_seconds", (f"{{{site}}}", last.at)
    # The week is of whole days: what today has so far is not yet a day.
    week = [visit for visit in visits if visit.at < midnight.timestamp()]
    opened = sum(visit.opened for visit in week)
    for result, count in (("opened", opened), ("failed", len(week) - opened)):
        yield "egov_website_week_visits", (f'{{{site},result="{result}"}}', count)
    days = Counter(datetime.fromtimestamp(visit.at).date() for visit in week)
    yield "egov_website_week_full_days", (f"{{{site}}}", sum(count >= VISITS_A_DAY for count in days.values()))


def _of_walk(website: Website, found: Found) -> Iterator[tuple[str, Row]]:
    site = f'website="{website.name}"'
    yield "egov_website_walk_timestamp_seconds", (f"{{{site}}}", found.at)
    yield "egov_website_walk_read", (f"{{{site}}}", float(found.home_read))
    if not found.home_read:
        return
    yield "egov_website_walk_whole", (f"{{{site}}}", float(found.whole))
    yield "egov_website_walk_outside_reached", (f"{{{site}}}", float(found.outside_reached))
    yield "egov_website_pages", (f"{{{site}}}", found.pages)
    for home in (True, False):
        for inside in (True, False):
            for state in ("good", "dead", "unclear"):
                where, side = "home" if home else "other", "inside" if inside else "outside"
                labels = f'{{{site},page="{where}",side="{side}",state="{state}"}}'
                if inside or found.outside_reached:
                    yield "egov_website_links", (labels, found.tried.get((home, inside, state), 0))
    if found.home_newest is not None:
        yield "egov_website_newest_timestamp_seconds", (f"{{{site}}}", _noon(found.home_newest))
    for column in website.columns:
        one, labels = found.columns.get(column.name), f'{{{site},column="{column.name}"}}'
        yield "egov_website_column_promised_seconds", (labels, column.fresh)
        yield "egov_website_column_read", (labels, float(one is not None))
        if one is not None:
            yield "egov_website_column_articles", (labels, one[1])
            if one[0] is not None:
                yield "egov_website_column_newest_timestamp_seconds", (labels, _noon(one[0]))
    for mark in (*MARKS, *LINKED_MARKS):
        yield "egov_website_mark", (f'{{{site},mark="{mark}"}}', float(mark in found.marks))
    for label in LABELS:
        yield "egov_website_label", (f'{{{site},label="{label}"}}', float(label in found.labels))
    yield "egov_website_articles", (f'{{{site},labelled="yes"}}', found.labelled)
    yield "egov_website_articles", (f'{{{site},labelled="no"}}', found.articles - found.labelled)


def _noon(day: date) -> float:
    """A day as a moment: its noon, since pages say no more than the day."""
    return datetime.combine(day, time(12)).timestamp()


TEXTS = {
    "egov_website_open": "Whether the last visit opened the home page, over IPv4 and IPv6",
    "egov_website_address": "Whether its name has an address of the family",
    "egov_website_open_seconds": "How long that took",
    "egov_website_https_open": "Whether the home page opened over HTTPS with a certificate that is trusted",
    "egov_website_certificate_ends_timestamp_seconds": "When the certificate ends",
    "egov_website_look_timestamp_seconds": "When the home page was last visited",
    "egov_website_week_visits": "Visits of the last seven whole days, by result",
    "egov_website_week_full_days": "Those of these days that had at least 20 visits",
    "egov_website_walk_timestamp_seconds": "When the last walk through the website began",
    "egov_website_walk_read": "Whether it could read the home page",
    "egov_website_walk_whole": "Whether no limit ended it early",
    "egov_website_walk_outside_reached": "Whether some link to elsewhere answered, or none was asked",
    "egov_website_pages": "Pages that it read",
    "egov_website_links": "Links tried, by the page they are on, by whose they are, and by what came of it",
    "egov_website_newest_timestamp_seconds": "Noon of the day of the newest article on the home page",
    "egov_website_column_newest_timestamp_seconds": "The same of each column",
    "egov_website_column_promised_seconds": "Within which time something new is promised there",
    "egov_website_column_read": "Whether the column's page could be read",
    "egov_website_column_articles": "Articles with a day on the column's page",
    "egov_website_mark": "Whether the home page shows what it has to show",
    "egov_website_label": "Whether the home page carries this label for machines",
    "egov_website_articles": "Articles looked at, by whether they carry all labels for machines",
    "egov_website_record_broken_lines": "Lines of the record that could not be read",
}


def dead_links(found: Found | None) -> Iterable[str]:
    """The dead links of a walk, a line each: why, link, and the page that has it."""
    for one in sorted(found.dead if found else (), key=lambda one: (not one.home, one.page, one.link)):
        yield f"{one.why}\t{one.link}\t{one.page}"
