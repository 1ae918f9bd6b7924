"""What a host tells of itself each minute (role watch), under the plan's names: sessions, tunnels, clock, certificates.

A session is known by what its daemon calls it (`at`): OSPF by interface and router id, BGP by the peer's address, BFD
by the interface. The program on the host compares; nothing on it knows the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from egovctl.plan import City, Host

KEYS = "/etc/egov/keys"
FAMILIES = ("ipv4", "ipv6")
# (host, interface) → link.
LinkNames = Mapping[tuple[str, str], str]


def link_names(city: City) -> LinkNames:
    """(host, interface) → the name that rules and boards have for the link there: its lower end."""
    found = {}
    for link in city.links:
        name = f"{link.child}:{link.child_interface}"
        found[link.child, link.child_interface] = found[link.parent, link.parent_interface] = name
    return found


def watched(
    host: Host, city: City, links: LinkNames, enrolled: Mapping[str, Mapping[str, str]], outside: Sequence[str]
) -> dict[str, Any]:
    """The host's part of the plan for its egov-watch; what the plan leaves to others is not looked at."""
    routes = host.router and host.manages("frr")
    return {
        "sessions": [*_sessions(host, city, links)] if routes else [],
        "tunnels": [*_tunnels(host, links)] if host.manages("wireguard") else [],
        "certificates": dict(_certificates(host, enrolled)),
        "clock": host.manages("base"),
        # Where the city's time comes from is the cores' business alone.
        "outside_clocks": list(outside) if host.role == "core" and host.manages("base") else [],
    }


def _sessions(host: Host, city: City, links: LinkNames) -> Iterator[dict[str, str]]:
    for interface in host.interfaces:
        if interface.role != "transit" or interface.peer_host is None:
            continue
        peer = city.hosts[interface.peer_host]
        of_link = {"peer": peer.name, "link": links[host.name, interface.name]}
        for family in FAMILIES:
            yield {"protocol": "ospf", "family": family, **of_link, "at": f"{interface.name} {peer.address_v4}"}
            # A router that others configure may speak OSPF and no BFD.
            if peer.manages("frr"):
                yield {"protocol": "bfd", "family": family, **of_link, "at": interface.name}
    for session in host.bgp:
        for family, address in zip(FAMILIES, (session.v4, session.v6), strict=True):
            yield {"protocol": "bgp", "family": family, "peer": session.host, "link": "", "at": address}


def _tunnels(host: Host, links: LinkNames) -> Iterator[dict[str, str]]:
    for tunnel in host.tunnels:
        link = links[host.name, tunnel.interface]
        yield {"interface": tunnel.interface, "peer": tunnel.peer_host, "link": link}


def _certificates(host: Host, enrolled: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """What the suite puts on the host: certificate → its file."""
    if host.manages("rsyslog") and "syslog_sha256" in enrolled.get(host.name, {}):
        yield "logs", f"{KEYS}/syslog.crt"
    if "mail" in host.groups and host.manages("mail"):
        yield "mail", f"{KEYS}/mail.crt"
