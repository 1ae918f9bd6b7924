"""What Prometheus says of the mail and SMS services when all is well, and for each check what turns it red. As in
measured_cases; there are two hosts, since a statement of all hosts is no statement of some."""

from __future__ import annotations

from typing import Any

from measured_cases import Case, Change, Seen, named, nothing, put, spoilt

from egovctl.checks.model import Status

SUBJECT: dict[str, Any] = {"name": "s", "kind": "service", "hosts": ["a", "b"]}


def both(value: float) -> Seen:
    """The same of both hosts."""
    return named({"a": value, "b": value})


MAIL = {name: both(1.0) for name in ("postfix", "dovecot", "imap")}
SMS = {name: both(1.0) for name in ("answering", "kannel", "centre")}
GOOD: dict[str, Case] = {
    "mail-delivering": ({}, {**MAIL, "looked": both(179.9), "waiting": both(899.9)}),
    "sms-answering": ({}, {**SMS, "looked": both(119.9)}),
}


def without(query: str, host: str) -> Change:
    """A query has no answer of one host."""

    def change(planned: Seen, seen: Seen) -> None:
        del seen[query]["by"][host]
        seen[query]["keys"].remove(host)

    return change


RED: dict[str, list[Change]] = {
    "mail-delivering": [
        *(without(query, "b") for query in (*MAIL, "waiting")),
        *map(nothing, (*MAIL, "waiting")),
        put("waiting", "b", 900.0),
        put("waiting", "a", 1200.0),
    ],
    "sms-answering": [*(without(query, "b") for query in SMS), *map(nothing, SMS)],
}


UNKNOWN: dict[str, list[Change]] = {
    "mail-delivering": [without("looked", "b"), nothing("looked"), put("looked", "a", 180.0)],
    "sms-answering": [without("looked", "b"), nothing("looked"), put("looked", "a", 120.0)],
}


def case(name: str, change: Change | None = None) -> Case:
    """The good case of a check, changed or not."""
    return spoilt(GOOD[name], change)


OTHER = [(name, Status.UNKNOWN, change) for name, changes in UNKNOWN.items() for change in changes]
