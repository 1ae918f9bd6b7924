"""The whole derived plan of each inventory, as it was read and agreed.

A difference here means that a change of the plan or of the derivation gives some host other addresses, names,
neighbours or groups than before. If that is meant: `make goldens`, read the difference, commit it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from egovctl.paths import Inventory
from egovctl.plan import City, Host, Interface, load_city
from egovctl.plan.derived import Lan, Tunnel

HERE = Path(__file__).resolve().parent


def interface_line(item: Interface) -> str:
    """All of an interface on one line: name, role, addresses, then the far end."""
    words = [item.name, item.role, str(item.v4), str(item.v6), f"cost {item.cost}"]
    if item.peer_host is not None:
        words += ["up to" if item.upward else "to", item.peer_host, str(item.peer_interface), f"{item.mbps} Mbit/s"]
    words += [item.medium] if item.medium != "line" else []
    words += [f"mtu {item.mtu}"] if item.mtu else []
    words += [f"{share.name} {share.percent} %" for share in item.shares]
    return " ".join(words) + (f" | {item.description}" if item.description else "")


def tunnel_line(item: Tunnel) -> str:
    way = f"listens on {item.listen_port}" if item.listen_port else f"calls {item.endpoint_v4}:{item.endpoint_port}"
    return f"{item.interface} {item.peer_host} {way} keepalive {item.keepalive} mtu {item.mtu}"


def host_data(host: Host) -> dict[str, Any]:
    return {
        "site": f"{host.site} {host.site_number}, index {host.index}",
        "role": host.role,
        "platform": host.platform,
        "county": host.county,
        "router": host.router,
        "addresses": f"{host.address_v4} {host.address_v6}",
        "gateways": f"{host.gateway_v4} {host.gateway_v6}" if host.gateway_v4 else None,
        "groups": " ".join(host.groups),
        "services": " ".join(host.services),
        "interfaces": [interface_line(item) for item in host.interfaces],
        "outside": None if host.outside is None else f"{host.outside.name} {host.outside.v4 or 'by DHCP'}",
        "tunnels": [tunnel_line(item) for item in host.tunnels],
        "bgp": [f"{peer.host} {peer.v4} {peer.v6}{' client' if peer.client else ''}" for peer in host.bgp],
    }


def lan_line(lan: Lan) -> str:
    leased = f" leases {lan.dhcp_v4[0]}-{lan.dhcp_v4[1]}" if lan.dhcp_v4 else ""
    vertical = f" vertical {lan.vertical}" if lan.vertical else ""
    return f"{lan.site} {lan.zone} {lan.v4} {lan.v6}: {' '.join(lan.hosts)}{vertical}{leased}"


def derived(city: City) -> dict[str, Any]:
    """The city as data that people can read line by line; nothing of the derived model is left out but the revision."""
    return {
        "inventory": city.inventory,
        "hosts": {host.name: host_data(host) for host in city.hosts.values()},
        "links": [
            f"{link.child} {link.child_interface} -> {link.parent} {link.parent_interface} "
            f"{link.mbps} Mbit/s {link.v4} {link.v6}"
            for link in city.links
        ],
        "lans": [lan_line(lan) for lan in city.lans],
    }


@pytest.mark.parametrize("name", ["lab", "wuwei", "lab-private"])
def test_derived_plan(name: str) -> None:
    path = HERE / f"plan-{name}.json"
    now = derived(load_city(Inventory.find(name)))
    if os.environ.get("EGOV_UPDATE_GOLDENS"):
        path.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    before = json.loads(path.read_text(encoding="utf-8"))
    names = {**before["hosts"], **now["hosts"]}
    other = [host for host in names if before["hosts"].get(host) != now["hosts"].get(host)]
    assert not other, f"hosts that are derived differently: {', '.join(other)}; if that is meant, run make goldens"
    assert now == before
