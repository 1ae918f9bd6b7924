"""The configuration that render makes of the plan, as frozen data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names the file and what is wrong."""


@dataclass(frozen=True)
class Limits:
    """What a look may cost at most. `seconds` is how long one page may take: the indicators say 15.

    `pages` are read and `links` tried in one walk; `per_second` requests go out to all that one website names.
    """

    seconds: float = 15.0
    page_bytes: int = 2_000_000
    pages: int = 300
    depth: int = 3
    links: int = 2000
    per_second: float = 2.0
    redirects: int = 5
    walk_seconds: float = 1200.0


@dataclass(frozen=True)
class Column:
    """A column's page, and within how many seconds something new is promised there."""

    name: str
    path: str
    fresh: float


@dataclass(frozen=True)
class Website:
    """One website: its home page, and its columns."""

    name: str
    url: str
    columns: tuple[Column, ...]

    @property
    def host(self) -> str:
        """The name in the home page's address, in lower case."""
        return (urlsplit(self.url).hostname or "").lower()


@dataclass(frozen=True)
class Config:
    """All of it. `inside`: networks of the city in which websites are; `closed`: those that nothing is asked of,
    where `inside` does not name them. Of other networks only those that the whole Internet shares are asked.
    """

    websites: tuple[Website, ...]
    inside: tuple[Network, ...]
    closed: tuple[Network, ...]
    ports: frozenset[int] = frozenset({80, 443})
    limits: Limits = field(default_factory=Limits)


def load_config(path: Path) -> Config:
    """The file as data. Raises ConfigError."""
    try:
        return read_config(json.loads(path.read_text(encoding="utf-8")))
    except OSError as why:
        raise ConfigError(f"{path}: {why.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as why:
        raise ConfigError(f"{path}: not a configuration of egov-websites ({type(why).__name__})") from None


def read_config(data: Mapping[str, Any]) -> Config:
    """The same from data that is read already; KeyError, TypeError or ValueError when it has another form."""
    websites = tuple(
        Website(item["name"], item["url"], tuple(Column(**column) for column in item["columns"]))
        for item in data["websites"]
    )
    inside, closed = (tuple(map(ip_network, data[name])) for name in ("inside", "closed"))
    return Config(websites, inside, closed, frozenset(data["ports"]), Limits(**data["limits"]))
