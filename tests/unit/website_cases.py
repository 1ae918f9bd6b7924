"""What Prometheus says of a website when all is well, and for each check what turns it red. As in measured_cases."""

from __future__ import annotations

from typing import Any

from measured_cases import Case, Change, named, nothing, put, said, spoilt

from egovctl.checks.model import Status

DAY = 86_400.0
SUBJECT: dict[str, Any] = {
    "name": "www",
    "kind": "website",
    "owner": "core",
    "url": "http://www.city.example/",
    "columns": ["a", "b", "c", "d", "e", "f"],
}
COLUMNS = dict.fromkeys(SUBJECT["columns"], 1.0)
LOOKED = {"looked": named({"www": 7199.0})}
WALKED = {"walked": named({"www": 259199.0}), "read": named({"www": 1.0})}
OPEN = {"open": named({"4": 1.0, "6": 1.0})}
LINKS = {
    **WALKED,
    "reached": named({"www": 1.0}),
    "links": named({"inside good": 9.0, "inside dead": 0.0, "outside good": 2.0, "outside dead": 0.0}),
}
OVER = {**WALKED, "there": named(COLUMNS), "over": named(dict.fromkeys(COLUMNS, 43200.0))}
ARTICLES = {**WALKED, "there": named(COLUMNS), "articles": named(COLUMNS)}
GOOD: dict[str, Case] = {
    "websites-open": (
        {},
        {**LOOKED, "days": named({"www": 7.0}), "visits": named({"failed": 4.0, "opened": 96.0})},
    ),
    "websites-home-fresh": ({}, {**WALKED, "age": named({"www": 14.5 * DAY})}),
    "websites-columns-kept": ({}, OVER),
    "websites-columns-fresh": ({}, OVER),
    "websites-columns-few-blank": ({}, ARTICLES),
    "websites-columns-filled": ({}, ARTICLES),
    "websites-links-home": ({}, LINKS),
    "websites-links-other": ({}, LINKS),
    "websites-ipv6": ({}, {**LOOKED, **OPEN, "named": named({"4": 1.0, "6": 1.0})}),
    "websites-marked": ({}, {**WALKED, "marks": named({"badge": 1.0, "police": 1.0})}),
    "websites-labelled": (
        {},
        {**WALKED, "labels": named({"SiteName": 1.0, "SiteDomain": 1.0}), "articles": named({"yes": 1.0, "no": 0.0})},
    ),
    "websites-https": ({}, {**LOOKED, **OPEN, "safe": named({"www": 1.0})}),
    "websites-certificate": ({}, {**LOOKED, "left": named({"www": 30 * DAY})}),
}


def columns(query: str, value: float | None, *names: str) -> Change:
    """These columns have another value, or none."""
    others = {name: COLUMNS[name] for name in COLUMNS if name not in names}
    base = dict.fromkeys(others, 43200.0 if query == "over" else 1.0)
    return said(**{query: named(base if value is None else {**base, **dict.fromkeys(names, value)})})


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(planned: Any, seen: Any) -> None:
        for one in changes:
            one(planned, seen)

    return change


# What is dead inside is sure, though nothing outside can be reached.
CUT_OFF = both(put("links", "inside dead", 1.0), nothing("reached"))
DEAD = [put("links", "inside dead", 1.0), put("links", "outside dead", 1.0), CUT_OFF]
RED: dict[str, list[Change]] = {
    "websites-open": [said(visits=named({"failed": 5.0, "opened": 95.0})), put("visits", "opened", 0.0)],
    "websites-home-fresh": [put("age", "www", 14.5 * DAY + 1), nothing("age")],
    "websites-columns-kept": [
        columns("over", 43201.0, "a", "b", "c", "d", "e"),
        columns("over", None, "a", "b", "c", "d", "e"),
        nothing("over"),
    ],
    "websites-columns-fresh": [columns("over", 43201.0, "a"), columns("over", None, "f")],
    "websites-columns-few-blank": [columns("articles", 0.0, "a", "b", "c", "d", "e"), nothing("articles")],
    "websites-columns-filled": [columns("articles", 0.0, "a"), columns("articles", None, "b")],
    "websites-links-home": DEAD,
    "websites-links-other": DEAD,
    "websites-ipv6": [said(open=named({"4": 1.0})), said(open=named({"4": 1.0}), named=named({"4": 1.0}))],
    "websites-marked": [put("marks", "badge", 0.0)],
    "websites-labelled": [
        put("labels", "SiteName", 0.0),
        put("articles", "no", 1.0),
        said(articles=named({"yes": 0.0, "no": 0.0})),
    ],
    "websites-https": [nothing("safe"), *(both(nothing("safe"), said(open=named({f: 1.0}))) for f in "46")],
    "websites-certificate": [put("left", "www", 30 * DAY - 1), nothing("left")],
}
GREEN: dict[str, list[Change]] = {
    "websites-columns-kept": [columns("over", 43201.0, "a", "b", "c", "d"), put("over", "a", -5 * DAY)],
    "websites-columns-few-blank": [columns("articles", 0.0, "a", "b", "c", "d")],
    "websites-columns-filled": [put("articles", "a", 20.0)],
    "websites-home-fresh": [put("age", "www", 0.0)],
    "websites-ipv6": [said(open=named({"6": 1.0}))],
    "websites-https": [nothing("open"), said(open=named({"4": 1.0})), said(open=named({"6": 1.0}))],
    "websites-links-home": [said(links=named({"inside good": 0.0}))],
    "websites-open": [put("visits", "failed", 0.0), said(visits=named({"failed": 49.99, "opened": 950.01}))],
    "websites-marked": [said(marks=named({"badge": 1.0}))],
}
# Nothing was looked at, not of late, or not enough to say.
UNLOOKED = [nothing("looked"), put("looked", "www", 7200.0)]
UNWALKED = [nothing("walked"), put("walked", "www", 259200.0), nothing("read")]
UNREAD = said(there=named({"a": 1.0}))  # the walk ended before the other columns
UNKNOWN: dict[str, list[Change]] = {
    "websites-open": [*UNLOOKED, put("days", "www", 6.999), nothing("days"), nothing("visits")],
    "websites-home-fresh": UNWALKED,
    "websites-columns-kept": [*UNWALKED, nothing("there"), UNREAD],
    "websites-columns-fresh": [*UNWALKED, nothing("there"), UNREAD],
    "websites-columns-few-blank": [*UNWALKED, nothing("there"), UNREAD],
    "websites-columns-filled": [*UNWALKED, nothing("there"), UNREAD],
    "websites-links-home": [*UNWALKED, nothing("reached"), nothing("links")],
    "websites-links-other": [*UNWALKED, nothing("reached"), nothing("links")],
    "websites-ipv6": [*UNLOOKED, nothing("open")],
    "websites-marked": [*UNWALKED, nothing("marks")],
    "websites-labelled": [*UNWALKED, nothing("labels"), nothing("articles")],
    "websites-https": [*UNLOOKED, both(nothing("safe"), nothing("open"))],
    "websites-certificate": UNLOOKED,
}


def case(name: str, change: Change | None = None) -> Case:
    """The good case of a check, changed or not."""
    return spoilt(GOOD[name], change)


OTHER = [(name, Status.UNKNOWN, change) for name, changes in UNKNOWN.items() for change in changes]
