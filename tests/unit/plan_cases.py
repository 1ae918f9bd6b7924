"""Random good plans for properties, and the least that is needed to load one. No files, no network."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from egovctl.plan import City, Plan
from egovctl.plan.load import check
from egovctl.plan.source import parse_source

Data = dict[str, Any]
WORDS = ("education", "health", "finance", "human-resources", "natural-resources", "audit", "water", "emergency")
KEPT_LANS = [f"172.{16 + i}.{i}.0/24" for i in range(8)]


def load_data(city: Data, services: Data | None = None) -> tuple[Plan, City]:
    """Plan and city of this data, by the loader that everybody uses (JSON is YAML)."""
    texts = {"city": json.dumps(city), "services": json.dumps(services or {"schema": 1, "services": []})}
    return check({name: parse_source(f"{name}.yml", text) for name, text in texts.items()}, "random")


def site(number: int, name: str, kind: str, uplinks: list[str] = (), **more: Any) -> Data:  # type: ignore[assignment]
    """A site as data, with an uplink of 100 Mbit/s to each of `uplinks`."""
    title = {"zh": "站点", "en": "Site"}
    links = [{"to": to, "mbps": 100} for to in uplinks]
    return {"number": number, "name": name, "kind": kind, "title": title, "uplinks": links, **more}


def city_of(sites: list[Data], counties: list[str] = ()) -> Data:  # type: ignore[assignment]
    """A city of these sites, with the pools that the inventories use."""
    return {
        "schema": 1,
        "city": {"name": {"zh": "城", "en": "City"}, "domain": "city.example", "asn": 64600},
        "addressing": {
            "loopback_v4": "10.240.0.0/17",
            "transit_v4": "10.241.0.0/16",
            "lan_v4": "10.64.0.0/12",
            "v6": "2001:db8::/32",
        },
        "counties": [{"name": name, "title": {"zh": "县", "en": "County"}} for name in counties],
        "sites": sites,
    }


def centre(numbers: list[int]) -> list[Data]:
    """What every city must have, with the three numbers given: core pair, NOC with control, backup."""
    both = ["core1", "core2"]
    control = [{"name": "control", "role": "control", "index": 10}]
    return [
        site(numbers[0], "core", "core", routers=both),
        site(numbers[1], "noc", "noc", both, hosts=control),
        site(numbers[2], "backup", "backup", both),
    ]


@st.composite
def cities(draw: st.DrawFn) -> Data:
    """A good city: 1-3 counties of 0-5 departments, 0-5 city departments; numbers, order and some LANs at random."""
    first, step = draw(st.integers(0, 3999)), draw(st.sampled_from([1, 3, 7, 999, 1373]))
    take = (1 + (first + i * step) % 4000 for i in range(40))  # all different: no step shares a factor with 4000
    sites = centre([next(take) for _ in range(3)])
    counties = [f"county-{i}" for i in range(draw(st.integers(1, 3)))]
    for county in counties:
        sites.append(site(next(take), f"hub-{county}", "hub", ["core1", "core2"], county=county))
        for word in WORDS[: draw(st.integers(0, 5))]:
            dual = draw(st.booleans())
            uplinks = [f"hub-{county}", "core2"] if dual else [f"hub-{county}"]
            sites.append(site(next(take), f"{county}-{word}", "department", uplinks, county=county))
    for word in WORDS[: draw(st.integers(0, 5))]:
        sites.append(site(next(take), word, "department", ["core1", "core2"]))
    for kept in draw(st.lists(st.sampled_from(KEPT_LANS), max_size=3, unique=True)):
        chosen = draw(st.sampled_from([item for item in sites if item["kind"] != "core"]))
        chosen["addresses"] = {"lan_v4": kept}
    return city_of(draw(st.permutations(sites)), counties)
