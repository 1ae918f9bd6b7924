"""Which auth a target gets when the URL names none: `targets:` of the configuration, the most specific entry first."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")
NUMBERS = re.compile(r"[0-9.]+")  # an address with a mistake in it
GLOB = re.compile(r"[a-z0-9_.*?\[\]!-]{1,253}")
WILD = re.compile(r"[*?\[]")


class BadMatch(ValueError):
    """`str(error)` completes the sentence "`match` of an entry of `targets` ..."."""


@dataclass(frozen=True)
class Match:
    """What an entry matches, in one form for all spellings: one host, a network, or names by a pattern."""

    host: str = ""
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    glob: str = ""


def parse_match(text: str) -> Match:
    """Given CIDR, an address, a host name, or a pattern of host names with * ? [...]. Raises BadMatch."""
    text = text.lower().removesuffix(".")
    address = _address(text)
    if address is not None:
        return Match(host=str(address))
    if "/" in text:
        try:
            return Match(network=ipaddress.ip_network(text))
        except ValueError:
            pass
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise BadMatch("is not an address, ADDRESS/LENGTH, host name or pattern of host names") from None
        raise BadMatch("has bits set behind the network's length")
    if WILD.search(text) and GLOB.fullmatch(text):
        return Match(glob=text)
    if HOST.fullmatch(text) and not NUMBERS.fullmatch(text):
        return Match(host=text)
    raise BadMatch("is not an address, ADDRESS/LENGTH, host name or pattern of host names")


@dataclass(frozen=True)
class Rules:
    """All entries, ready for look-ups that do not get slower with their number, except for patterns."""

    hosts: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[int, Mapping[int, Mapping[int, str]]] = field(default_factory=dict)  # version, length, bits
    globs: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.hosts) + len(self.globs) + sum(len(one) for by in self.networks.values() for one in by.values())

    def find(self, host: str, address: str | None) -> str | None:
        """Given the target's host as it was asked for, and the address it stands for if that is known: an auth's name.

        The host itself comes first, then its address, then the network with the longest prefix, then the pattern
        with the most characters that are not wild; of two alike, the one that stands first in the file.
        """
        name = host.lower().removesuffix(".")
        literal = _address(name)
        name = name if literal is None else str(literal)
        known = literal if literal is not None else _address(address or "")
        for one in (name, "" if known is None else str(known)):
            if one in self.hosts:
                return self.hosts[one]
        if known is not None:
            bits = known.max_prefixlen
            for length, members in self.networks.get(known.version, {}).items():
                found = members.get(int(known) >> (bits - length))
                if found is not None:
                    return found
        return next((auth for glob, auth in self.globs if fnmatchcase(name, glob)), None)


def make_rules(entries: Iterable[tuple[Match, str]]) -> Rules:
    """Given what is matched and the auth's name, in the file's order: the rules. No match may come twice."""
    hosts: dict[str, str] = {}
    networks: dict[int, dict[int, dict[int, str]]] = {}
    globs: list[tuple[str, str]] = []
    for match, auth in entries:
        if match.network is not None:
            net = match.network
            lengths = networks.setdefault(net.version, {})
            bits = int(net.network_address) >> (net.max_prefixlen - net.prefixlen)
            lengths.setdefault(net.prefixlen, {})[bits] = auth
        elif match.glob:
            globs.append((match.glob, auth))
        else:
            hosts[match.host] = auth
    ordered = {version: dict(sorted(by.items(), reverse=True)) for version, by in networks.items()}
    globs.sort(key=lambda pair: -len(re.sub(r"\[[^\]]*\]|[*?]", "", pair[0])))
    return Rules(hosts, ordered, tuple(globs))


def _address(text: str) -> IpAddress | None:
    """The address, without a zone; an IPv4 address that is written as IPv6 is IPv4."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
