"""Where the lab seats a user on a LAN of any size: at a usable address that no host of the plan has."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from egovctl.errors import CannotMeasure
from egovctl.lab.users import user_addresses
from egovctl.paths import Inventory
from egovctl.plan import City, load_city

LAB = Path(__file__).resolve().parents[2] / "inventories" / "lab"
NETWORK = "10.200.0.0"


def resized(length: int, host_index: int) -> City:
    """The lab with the hub's LAN of this length and its switch at this number."""
    city = load_city(Inventory(LAB))
    lans = tuple(
        replace(lan, v4=IPv4Network(f"{NETWORK}/{length}")) if lan.site == "hub-minqin" else lan for lan in city.lans
    )
    switch = city.hosts["switch-minqin"]
    address = IPv4Interface((IPv4Network(f"{NETWORK}/{length}").network_address + host_index, length))
    interface = replace(switch.interfaces[0], v4=address)
    hosts = {**city.hosts, switch.name: replace(switch, address_v4=str(address.ip), interfaces=(interface,))}
    return replace(city, hosts=hosts, lans=lans)


@pytest.mark.parametrize(
    ("length", "host_index", "address"),
    [
        (24, 10, "10.200.0.254/24"),
        (25, 10, "10.200.0.126/25"),
        (25, 126, "10.200.0.125/25"),
        (30, 10, "10.200.0.2/30"),
        (16, 10, "10.200.255.254/16"),
    ],
)
def test_the_last_free_address_of_the_lan(length: int, host_index: int, address: str) -> None:
    city = resized(length, host_index)
    lan = next(item for item in city.lans if item.site == "hub-minqin")
    v4, v6 = user_addresses(city, lan)
    assert str(v4) == address and v4.ip in lan.v4 and v6.ip in lan.v6
    assert int(v6.ip) - int(lan.v6.network_address) == int(v4.ip) - int(lan.v4.network_address)


def test_a_full_lan_is_said_to_be_full() -> None:
    city = resized(30, 2)
    lan = next(item for item in city.lans if item.site == "hub-minqin")
    with pytest.raises(CannotMeasure, match="no address left"):
        user_addresses(city, lan)
