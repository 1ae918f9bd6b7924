"""What the answers of a host mean, in the plan's words. Pure functions; a host may lie in its types."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from egovctl.errors import CannotMeasure
from egovctl.i18n import told
from egovctl.plan import City, Host

Answers = Mapping[str, Mapping[str, Any]]
UNUSABLE = frozenset({"blackhole", "unreachable", "prohibit", "throw"})
UNUSABLE_FLAGS = frozenset({"dead", "linkdown"})
CHRONY_FIELDS = 14  # chronyc(1), -c tracking: reference ID, address, stratum, ... leap status
NO_REFERENCE = "00000000"


def decode(section: str, city: City, host: Host, answers: Answers, units: list[str]) -> dict[str, Any]:
    """The facts of one section; CannotMeasure when an answer is not what that command gives."""
    try:
        match section:
            case "neighbours":
                return _neighbours(city, answers)
            case "routes":
                return {**_routes(answers), "next_hops": _next_hops(city, host, answers)}
            case "time":
                return _time(city, answers["tracking"])
            case "units":
                return _units(answers["units"], units)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise CannotMeasure(
            told(
                f"{host.name}：关于 {section} 的应答无法理解：{error!r}",
                f"{host.name}: the answer about {section} cannot be understood: {error!r}",
            )
        ) from None
    raise CannotMeasure(
        told(f"主机采集器没有 {section} 这一部分", f"there is no section {section} of the host collector")
    )


def _json(answers: Answers, name: str) -> Any:
    """What a command printed as JSON; nothing (None) when the daemon behind it does not answer."""
    answer = answers[name]
    text = answer["out"].strip()
    return json.loads(text) if answer["code"] == 0 and text.startswith(("{", "[")) else None


def _neighbours(city: City, answers: Answers) -> dict[str, Any]:
    names = {host.address_v4: host.name for host in city.hosts.values()}
    names |= {host.address_v6: host.name for host in city.hosts.values()}

    def name(address: str) -> str:
        return names.get(address, address)

    up: list[str] = []
    down: list[str] = []
    readers: dict[str, Callable[[Any], list[tuple[str, str]]]] = {
        "ospf4": lambda data: _ospf4(data, name),
        "ospf6": lambda data: _ospf6(data, name),
        "bgp4": lambda data: _bgp(data, name),
        "bgp6": lambda data: _bgp(data, name),
    }
    for kind, read in readers.items():
        for peer, state in read(_json(answers, kind) or {}):
            if state in ("Full", "Established"):
                up.append(f"{kind} {peer}")
            else:
                down.append(f"{kind} {peer} ({state})")
    return {"neighbours": sorted(up), "neighbours_not_up": sorted(down)}


def _ospf4(data: Any, name: Callable[[str], str]) -> list[tuple[str, str]]:
    found = []
    neighbours = data.get("neighbors", data.get("default", {}).get("neighbors", {}))
    for router_id, entries in neighbours.items():
        for entry in entries:
            interface = str(entry["ifaceName"]).split(":")[0]
            state = str(entry.get("nbrState") or entry["state"]).split("/")[0]
            found.append((f"{name(router_id)}@{interface}", state))
    return found


def _ospf6(data: Any, name: Callable[[str], str]) -> list[tuple[str, str]]:
    found = []
    for entry in data.get("neighbors", []):
        peer = f"{name(entry['neighborId'])}@{entry['interfaceName']}"
        found.append((peer, str(entry["state"]).split("/")[0]))
    return found


def _bgp(data: Any, name: Callable[[str], str]) -> list[tuple[str, str]]:
    for wrapper in ("ipv4Unicast", "ipv6Unicast"):
        data = data.get(wrapper, data)
    return [(name(address), str(peer["state"])) for address, peer in data.get("peers", {}).items()]


def _routes(answers: Answers) -> dict[str, Any]:
    found = set()
    for family, default in (("routes4", "0.0.0.0/0"), ("routes6", "::/0")):
        for route in _json(answers, family) or []:
            if route.get("type") in UNUSABLE or UNUSABLE_FLAGS & set(route.get("flags", [])):
                continue
            text = default if route["dst"] == "default" else route["dst"]
            found.add(str(ip_network(text, strict=False)))
    return {"prefixes": sorted(found)}


def _next_hops(city: City, host: Host, answers: Answers) -> list[str]:
    """Where the kernel sends what is for each core's own address: "core1 IPv4 via PEER@INTERFACE"."""
    cores = {
        ip_address(address): core.name
        for core in city.hosts.values()
        if core.role == "core"
        for address in (core.address_v4, core.address_v6)
    }
    peers = {item.name: item.peer_host for item in host.interfaces}
    best: dict[str, tuple[int, set[str]]] = {}
    for family, name in ((4, "routes4"), (6, "routes6")):
        for route in _json(answers, name) or []:
            target = _single(route["dst"])
            core = cores.get(target) if target is not None else None
            if core is None or core == host.name or route.get("type") in UNUSABLE:
                continue
            key, metric = f"{core} IPv{family}", int(route.get("metric", 0))
            if key in best and best[key][0] < metric:
                continue
            hops = {
                f"{key} via {peers.get(hop['dev']) or hop.get('gateway', '?')}@{hop['dev']}"
                for hop in route.get("nexthops", [route])
                if not UNUSABLE_FLAGS & set(hop.get("flags", []))
            }
            kept = best[key][1] if key in best and best[key][0] == metric else set()
            best[key] = (metric, kept | hops)
    return sorted(hop for _, hops in best.values() for hop in hops)


def _single(destination: str) -> IPv4Address | IPv6Address | None:
    """The one address that a route is for; None when it is for more."""
    if destination == "default":
        return None
    network = ip_network(destination, strict=False)
    return network.network_address if network.num_addresses == 1 else None


def _time(city: City, answer: Mapping[str, Any]) -> dict[str, Any]:
    """`offset_seconds` is without its sign. A host whose chronyd is silent is not synchronised."""
    fields = answer["out"].strip().split(",")
    if answer["code"] != 0 or len(fields) != CHRONY_FIELDS:
        reason = (answer["out"] + answer["err"]).strip()[:120] or "no answer"
        return {
            "time": {
                "synchronised": False,
                "offset_seconds": 0.0,
                "reference": "",
                "stratum": 0,
                "said": reason,
            }
        }
    names = {host.address_v4: host.name for host in city.hosts.values()}
    names |= {host.address_v6: host.name for host in city.hosts.values()}
    synchronised = fields[0] != NO_REFERENCE and fields[13] != "Not synchronised"
    return {
        "time": {
            "synchronised": synchronised,
            "offset_seconds": abs(float(fields[4])),
            "reference": names.get(fields[1], fields[1] or "itself"),
            "stratum": int(fields[2]),
            "said": fields[13],
        }
    }


def _units(answer: Mapping[str, Any], asked: list[str]) -> dict[str, Any]:
    states = answer["out"].split()
    if len(states) != len(asked):
        raise ValueError(f"{len(asked)} units asked, {len(states)} states")
    named = dict(zip(asked, states, strict=True))
    active = sorted(unit for unit, state in named.items() if state in ("active", "reloading"))
    other = sorted(f"{unit} ({state})" for unit, state in named.items() if unit not in active)
    return {"units_active": active, "units_other": other}
