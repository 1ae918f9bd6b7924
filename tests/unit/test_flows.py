"""egov-flows: who talks to whom, added up by site, of bounded length, and never an address of anybody's in what leaves.

If these fail, the page of a site whose line is full names the wrong site, or an address of a person's computer goes to
the NOC for 400 days.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import ipaddress
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egovctl.paths import Inventory, project_root
from egovctl.plan import load
from egovctl.render import render_city
from egovctl.render.flows import SitePrefixes

PROGRAM = project_root() / "playbooks/roles/flows/files/egov-flows"


def _load() -> Any:
    loader = importlib.machinery.SourceFileLoader("egov_flows", str(PROGRAM))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


flows = _load()
SETTINGS: dict[str, Any] = {
    "site": "hub",
    "below": ["school", "clinic"],
    "city": ["10.64.0.0/11", "10.240.0.0/16", "2001:db8::/32"],
    "places": {
        "hub": ["10.64.12.0/24", "10.240.0.97/32", "2001:db8:12:1::/64"],
        "school": ["10.64.221.0/24", "2001:db8:221:1::/64"],
        "clinic": ["10.64.222.0/24", "2001:db8:222:1::/64"],
        "servers": ["10.64.5.0/24", "10.240.0.41/32", "2001:db8:5:1::/64"],
    },
    "pairs": 100,
    "top": 10,
    "top_below": 3,
}


def listing(total: int, pairs: dict[tuple[str, str], int]) -> str:
    """What `nft -j list table` prints of these counters."""
    entries: list[dict[str, Any]] = [{"metainfo": {"version": "1.0.6"}}, {"table": {"name": "egov_flows"}}]
    entries.append({"counter": {"family": "inet", "name": "total", "packets": 1, "bytes": total}})
    for name in ("pairs4", "pairs6"):
        elements = [
            {"elem": {"val": {"concat": list(pair)}, "expires": 99, "counter": {"packets": 1, "bytes": count}}}
            for pair, count in pairs.items()
            if (":" in pair[0]) == (name == "pairs6")
        ]
        entries.append({"set": {"name": name, "size": 100} | ({"elem": elements} if elements else {})})
    return json.dumps({"nftables": entries})


class Router:
    """A router's folder, and looks at it."""

    def __init__(self, folder: Path) -> None:
        (folder / "flows.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
        self.state, self.told = folder / "last.json", folder / "egov_flows.prom"
        self.arguments = argparse.Namespace(
            config=str(folder / "flows.json"), state=str(self.state), metrics=str(folder)
        )

    def look(self, at: float, total: int, pairs: dict[tuple[str, str], int]) -> dict[str, float]:
        flows.look(self.arguments, listing(total, pairs), at, 1_800_000_000.0 + at)
        lines = [line for line in self.told.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture
def router(tmp_path: Path) -> Router:
    return Router(tmp_path)


def talker(of: str, source: str, destination: str) -> str:
    labels = f'of="{of}",source_site="{source}",destination_site="{destination}"'
    return f"egov_talker_bits_per_second{{{labels}}}"


def test_what_went_between_two_looks_is_told_by_site(router: Router) -> None:
    pupil, other, server = "10.64.221.7", "10.64.221.8", "10.240.0.41"
    first = router.look(100, 50_000, {(server, pupil): 40_000})
    assert not [name for name in first if "talker" in name or "bits" in name]  # of what came before nothing is known
    second = router.look(130, 1_050_000, {(server, pupil): 640_000, (server, other): 300_000, (pupil, server): 100_000})
    rates = {name: value for name, value in second.items() if "talker" in name}
    assert rates == {
        talker("hub", "servers", "school"): 240_000,
        talker("hub", "school", "servers"): 26_666.7,
        talker("school", "servers", "school"): 240_000,
        talker("school", "school", "servers"): 26_666.7,
    }
    assert second["egov_flows_bits_per_second"] == pytest.approx(1_000_000 * 8 / 30, abs=0.1)
    assert second["egov_flows_untold_ratio"] == 0 and second["egov_flows_pairs"] == 3
    assert second["egov_flows_max_pairs"] == 200
    # Nothing more went: no talker, and that is told as of now.
    third = router.look(160, 1_050_000, {(server, pupil): 640_000})
    assert [name for name in third if "talker" in name] == []
    assert third["egov_flows_look_timestamp_seconds"] == 1_800_000_160


def test_addresses_stay_on_the_router_and_root_alone_reads_them(router: Router, capsys: Any) -> None:
    pair = ("2001:db8:221:1::7", "198.51.100.9")
    pairs = {("2001:db8:221:1::7", "2001:db8:5:1::2"): 9000, ("10.64.221.7", "198.51.100.9"): 8000}
    router.look(100, 0, {})
    router.look(130, 17_000, pairs)
    told = router.told.read_text(encoding="utf-8")
    assert talker("school", "school", "_unknown") in told
    assert not re.search(r"198\.51|10\.64|2001:|::", told)
    assert stat.S_IMODE(router.state.stat().st_mode) == 0o600
    flows.show(router.arguments)
    said = capsys.readouterr().out
    assert f"{pair[0]} (school) -> 2001:db8:5:1::2 (servers)" in said and "198.51.100.9 (_unknown)" in said


def test_a_flood_of_addresses_is_told_in_as_few_lines_and_its_untold_share_is_said(router: Router) -> None:
    flood = {(f"10.64.221.{n % 250}", f"10.{n % 200}.{n // 250}.9"): 100 for n in range(5000)}
    flood[("10.240.0.41", "10.64.222.9")] = 2_000_000
    router.look(100, 0, {})
    told = router.look(130, 10_000_000, flood)
    rows = [name for name in told if "talker" in name]
    assert len(rows) <= SETTINGS["top"] + SETTINGS["top_below"] * len(SETTINGS["below"])
    assert told[talker("clinic", "servers", "clinic")] == pytest.approx(2_000_000 * 8 / 30, abs=0.1)
    assert told["egov_flows_untold_ratio"] == pytest.approx(1 - (2_000_000 + 500_000) / 10_000_000, abs=1e-3)


def test_counters_that_began_anew_are_no_reading_and_a_pair_that_did_is_what_it_has(router: Router) -> None:
    pair = ("10.64.221.7", "10.64.222.9")
    router.look(100, 1_000_000, {pair: 900_000})
    again = router.look(130, 5_000, {pair: 5_000})  # the table was loaded again
    assert not [name for name in again if "talker" in name]
    router.look(160, 305_000, {pair: 305_000})
    forgotten = router.look(190, 315_000, {pair: 10_000})  # silent for a while, then back
    assert forgotten[talker("school", "school", "clinic")] == pytest.approx(10_000 * 8 / 30, abs=0.1)


@pytest.mark.parametrize("said", ["", "{}", '{"nftables": []}', '{"nftables": [{"counter": {"name": "total"}}]}', "[]"])
def test_what_is_no_listing_writes_nothing(router: Router, said: str) -> None:
    router.look(100, 10, {})
    before = router.told.read_text(encoding="utf-8")
    with pytest.raises(flows.CannotDo):
        flows.look(router.arguments, said, 130, 2e9)
    assert router.told.read_text(encoding="utf-8") == before


def test_a_state_that_was_cut_short_is_none(router: Router) -> None:
    router.look(100, 10, {})
    for text in ("", "{", "[]", '{"pairs": {"a b": "x"}, "total": 1, "at": 1}', '{"pairs": [], "total": 1, "at": 1}'):
        router.state.write_text(text, encoding="utf-8")
        assert "egov_flows_bits_per_second" not in router.look(130, 20, {})


ADDRESSES = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.ip_addresses(network="10.64.0.0/11"),
    st.ip_addresses(network="10.64.221.0/24"),
    st.ip_addresses(network="10.240.0.0/25"),
    st.ip_addresses(network="2001:db8:221::/63"),
).map(str)


@given(ADDRESSES)
def test_a_site_is_found_by_the_longest_prefix(address: str) -> None:
    given_address = ipaddress.ip_address(address)
    prefixes = [(ipaddress.ip_network(text), "_elsewhere") for text in SETTINGS["city"]]
    prefixes += [(ipaddress.ip_network(text), name) for name, own in SETTINGS["places"].items() for text in own]
    found = [
        (net.prefixlen, name) for net, name in prefixes if net.version == given_address.version and given_address in net
    ]
    expected = max(found)[1] if found else "_unknown"
    assert flows.Atlas(SETTINGS["places"], SETTINGS["city"]).site(address) == expected


@given(st.dictionaries(st.tuples(ADDRESSES, ADDRESSES), st.integers(1, 10**12), max_size=40))
def test_no_byte_of_a_sites_is_lost_or_told_twice(moved: dict[tuple[str, str], int]) -> None:
    atlas = flows.Atlas(SETTINGS["places"], SETTINGS["city"])
    known = sum(count for pair, count in moved.items() if any(atlas.site(end)[0] != "_" for end in pair))
    sites = flows.by_site(moved, atlas)
    assert sum(sites.values()) == known
    rows = flows.chosen(sites, SETTINGS)
    assert len(rows) == len({row[:3] for row in rows}) <= 16
    assert all(row[0] in (SETTINGS["site"], *row[1:3]) for row in rows)
    best = max(sites.values(), default=0)
    assert best == max((row[3] for row in rows if row[0] == "hub"), default=0)


@pytest.mark.parametrize("city", ["lab", "wuwei"])
def test_a_core_knows_every_site_and_a_hub_those_that_concern_it(city: str) -> None:
    rendered = render_city(Inventory.find(city))
    for name, host in rendered.hosts.items():
        planned = rendered.city.hosts[name]
        has = "/etc/egov/flows.json" in host.files
        assert has == (planned.role in ("core", "hub")), name
        if not has:
            continue
        told = json.loads(host.files["/etc/egov/flows.json"])
        sites = {site.name: site for site in rendered.plan.sites}
        wanted = {one for one, site in sites.items() if planned.role == "core" or site.county in (None, planned.county)}
        assert set(told["places"]) == wanted and told["site"] == planned.site
        atlas = flows.Atlas(told["places"], told["city"])
        for other in rendered.city.hosts.values():
            expected = other.site if other.site in wanted else "_elsewhere"
            assert {atlas.site(other.address_v4), atlas.site(other.address_v6)} == {expected}, other.name
        links = {link.child for link in rendered.city.links if link.parent == name}
        leaves = {rendered.city.hosts[child].site for child in links if rendered.city.hosts[child].role != "hub"}
        assert set(told["below"]) == leaves - {planned.site}


def test_addresses_of_links_are_nobodys() -> None:
    plan, city = load(Inventory.find("lab"))
    told = SitePrefixes(plan, city).seen_from(city.hosts["core1"])
    atlas = flows.Atlas(told["places"], told["city"])
    for host in city.hosts.values():
        for interface in host.interfaces:
            if interface.role == "transit":
                assert atlas.site(str(interface.v4.ip)).startswith("_"), interface
                assert atlas.site(str(interface.v6.ip)).startswith("_"), interface
