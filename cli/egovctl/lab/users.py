"""A person's computer on a site's LAN: a bare namespace plugged into that LAN, made when a check first needs one.

Its name begins like all of this lab's namespaces, so `lab down` removes it with the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from egovctl.errors import CannotMeasure
from egovctl.i18n import tr
from egovctl.lab.names import FABRIC, LabNames
from egovctl.lab.run import run
from egovctl.lab.state import locked
from egovctl.lab.wiring import lan_bridge
from egovctl.paths import Inventory
from egovctl.plan import City, Lan

GATEWAY_INDEX = 1
INTERFACE = "eth0"
PREFIX = "user-"


@dataclass(frozen=True)
class UserPlace:
    """Where a user of a site sits: the namespace to enter, and its addresses."""

    site: str
    namespace: Path
    v4: str
    v6: str


def ensure_user_namespace(inventory: Inventory, city: City, site: str) -> UserPlace:
    """The place of a user on the LAN of `site`, made if it is not there. CannotMeasure when the lab is not up."""
    names = LabNames.of(inventory)
    if not names.netns_path(FABRIC).exists():
        up = f"egovctl lab up -i {inventory.name}"
        raise CannotMeasure(
            tr(f"实验环境 {inventory.name} 没有启动：请运行 {up}", f"the lab of {inventory.name} is not up: run {up}")
        )
    lan = next(item for item in city.lans if item.site == site)
    bridge = lan_bridge(city, lan)
    v4, v6 = user_addresses(city, lan)
    short = f"{PREFIX}{site}"
    with locked(names.run / "users.lock", wait=30):
        if not _complete(names, short, str(v4)):
            gateways = [str(net.network_address + GATEWAY_INDEX) for net in (lan.v4, lan.v6)]
            _make(names, short, bridge, [str(v4), str(v6)], gateways)
    return UserPlace(site, names.netns_path(short), str(v4.ip), str(v6.ip))


def user_addresses(city: City, lan: Lan) -> tuple[IPv4Interface, IPv6Interface]:
    """The last address of the LAN that no host of the plan has; CannotMeasure if none.

    In IPv6 the same number, which no host has either: the plan gives each one number for both.
    """
    taken = {interface.v4.ip for host in city.hosts.values() for interface in host.interfaces}
    for index in range(lan.v4.num_addresses - 2, GATEWAY_INDEX, -1):
        if lan.v4.network_address + index not in taken:
            v4 = IPv4Interface((lan.v4.network_address + index, lan.v4.prefixlen))
            return v4, IPv6Interface((lan.v6.network_address + index, lan.v6.prefixlen))
    raise CannotMeasure(
        tr(f"{lan.site} 的局域网 {lan.v4} 没有空闲地址", f"the LAN {lan.v4} of {lan.site} has no address left")
    )


def _complete(names: LabNames, short: str, address: str) -> bool:
    """Whether the namespace is there with this address and its default routes, which are added last."""
    if not names.netns_path(short).exists():
        return False
    shown = run(["ip", "-n", names.netns(short), "-6", "route", "show", "default"], check=False)
    has = run(["ip", "-n", names.netns(short), "-o", "-4", "address", "show", "dev", INTERFACE], check=False)
    return "default" in shown.stdout and f" {address} " in has.stdout


def _make(names: LabNames, short: str, bridge: str, addresses: list[str], gateways: list[str]) -> None:
    namespace, fabric, port = names.netns(short), names.netns(FABRIC), f"u{bridge}"
    if names.netns_path(short).exists():  # half made before
        run(["ip", "netns", "del", namespace])
        run(["ip", "-n", fabric, "link", "del", port], check=False)
    run(["ip", "netns", "add", namespace])
    quiet = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_ra; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad"
    run(["nsenter", f"--net={names.netns_path(short)}", "sh", "-ec", quiet])
    run(
        [
            "ip",
            "link",
            "add",
            port,
            "netns",
            fabric,
            "type",
            "veth",
            "peer",
            "name",
            INTERFACE,
            "netns",
            namespace,
        ]
    )
    run(["ip", "-n", fabric, "link", "set", port, "addrgenmode", "none", "master", bridge, "up"])
    lines = ["link set lo up", f"link set {INTERFACE} up"]
    lines += [f"address add {address} dev {INTERFACE}" for address in addresses]
    lines += [f"route add default via {gateway}" for gateway in gateways]
    run(["ip", "-n", namespace, "-batch", "-"], given="\n".join(lines) + "\n")
