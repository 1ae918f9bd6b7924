"""Overrides, formulas and rules, each by an example that a planner could write."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

import pytest
from plan_cases import Data, centre, city_of, load_data, site

from egovctl.i18n import set_language
from egovctl.plan import PlanError
from egovctl.plan.names import downward_name
from egovctl.plan.rules_backups import HEARTBEAT_SECONDS
from egovctl.plan.survive import survival
from egovctl.render.lookups import stanzas_of


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language(None)


def small(**education: Any) -> Data:
    """A city with one county, its hub and one department, whose entry can be changed."""
    sites = [
        *centre([1, 2, 3]),
        site(12, "hub-minqin", "hub", ["core1", "core2"], county="minqin"),
        site(221, "minqin-education", "department", ["hub-minqin"], county="minqin"),
    ]
    sites[-1].update(education)
    return city_of(sites, ["minqin"])


def service(**changes: Any) -> Data:
    one = {
        "name": "documents",
        "title": {"zh": "公文", "en": "Documents"},
        "owner": "core",
        "grade": 2,
        "availability": 99.5,
        "rto": "90m",
        "rpo": "1d",
        "hosts": ["minqin-education"],
        **changes,
    }
    return {"schema": 1, "services": [one]}


def fault(city: Data, services: Data | None = None) -> str:
    """The one sentence that loading gives, without file and line."""
    with pytest.raises(PlanError) as caught:
        load_data(city, services)
    (only,) = caught.value.faults
    return only.split(": ", 1)[1]


def test_addresses_follow_the_formulas() -> None:
    host = load_data(small())[1].hosts["minqin-education"]
    assert (host.address_v4, host.address_v6) == ("10.240.6.233", "2001:db8:221:ffff::1")
    lan, uplink = host.interface("lan0"), host.interface("up0")
    assert (str(lan.v4), str(lan.v6)) == ("10.64.221.1/24", "2001:db8:221:1::1/64")
    assert (str(uplink.v4), str(uplink.v6)) == ("10.241.6.233/31", "2001:db8:221:fe00::1/127")


def test_overrides_are_kept_and_move_nobody_else() -> None:
    kept = {"lan_v4": "172.20.5.0/24", "lan_v6": "2001:db8:ffff:7::/64", "loopback_v4": "10.250.0.9"}
    uplinks = [{"to": "hub-minqin", "mbps": 20, "slot": 2, "v4": "172.21.0.4/30", "v6": "2001:db8:fff0::/126"}]
    before, after = load_data(small())[1], load_data(small(addresses=kept, uplinks=uplinks))[1]
    host = after.hosts["minqin-education"]
    assert host.address_v4 == "10.250.0.9"
    assert host.interface("lan0").v4 == IPv4Interface("172.20.5.1/24")
    assert host.interface("lan0").v6 == IPv6Interface("2001:db8:ffff:7::1/64")
    assert host.interface("up2").v4 == IPv4Interface("172.21.0.6/30")
    assert host.interface("up2").v6 == IPv6Interface("2001:db8:fff0::2/126")
    assert after.hosts["hub-minqin"].interface("d-minqin-ed-221").v4 == IPv4Interface("172.21.0.5/30")
    assert before.hosts["noc"] == after.hosts["noc"]


def test_an_uplink_s_slot_keeps_its_addresses_when_another_goes() -> None:
    both = [{"to": "hub-minqin", "mbps": 20}, {"to": "core2", "mbps": 20}]
    alone = [{"to": "core2", "mbps": 20, "slot": 1}]
    first = load_data(small(uplinks=both))[1].hosts["minqin-education"]
    second = load_data(small(uplinks=alone))[1].hosts["minqin-education"]
    assert first.interface("up1") == second.interface("up1")


@pytest.mark.parametrize(
    ("router", "name"),
    [
        ("noc", "d-noc"),
        ("civil-affairs", "d-civil-affairs"),
        ("minqin-education", "d-minqin-ed-221"),
        ("liangzhou-x", "d-liangzhou-x"),
        ("aaaaaaaaa-bbbbb", "d-aaaaaaaaa-221"),
    ],
)
def test_names_of_downward_interfaces(router: str, name: str) -> None:
    assert downward_name(router, 221) == name


def test_two_links_never_share_a_name() -> None:
    data = small()
    data["sites"].append(site(77, "minqin-ed-221", "department", ["hub-minqin"], county="minqin"))
    assert "would both be d-minqin-ed-221 at hub-minqin" in fault(data)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"addresses": {"lan_v4": "10.64.12.0/24"}},
            "LAN of minqin-education 10.64.12.0/24 overlaps LAN of hub-minqin",
        ),
        ({"addresses": {"lan_v4": "10.64.12.7/24"}}, "its host bits must be zero"),
        ({"addresses": {"lan_v4": "10.64.12.0"}}, "write it with its length"),
        ({"addresses": {"lan_v4": "224.1.0.0/24"}}, "no unicast prefix"),
        ({"addresses": {"lan_v4": "172.16.0.0/31"}}, "it should be /16 to /30"),
        ({"addresses": {"lan_v6": "fe80::/64"}}, "no unicast prefix"),
        ({"addresses": {"lan_v6": "2001:db8:1::/80"}}, "it should be /64 to /64"),
        ({"addresses": {"loopback_v4": "10.240.0.97"}}, "loopback of minqin-education 10.240.0.97/32 overlaps"),
        ({"addresses": {"loopback_v4": "127.0.0.1"}}, "no unicast prefix"),
        ({"number": 10000}, "number of site minqin-education is 10000: it must be 9999 or less"),
        ({"number": True}, "write a whole number"),
        ({"number": "221"}, "write a whole number"),
        ({"name": "Minqin"}, "'Minqin' is not a name"),
        ({"title": {"zh": "局", "en": "a\x1b[31mb"}}, "characters that are not allowed"),
        ({"title": {"zh": "局"}}, "key 'en' is missing in site minqin-education, title"),
        ({"kind": "office"}, "it must be one of 'core', 'hub'"),
        ({"uplinks": []}, "department minqin-education has 0 uplinks; a department needs 1"),
        ({"uplinks": [{"to": "noc", "mbps": 10}]}, "uplinks lead to a core or to a hub"),
        ({"uplinks": [{"to": "core1", "mbps": 10}] * 2}, "two uplinks to core1; a second one protects nothing"),
        ({"uplinks": [{"to": "core1", "mbps": 1, "slot": 1}, {"to": "core2", "mbps": 1}]}, "the same slot"),
        ({"hosts": [{"name": "s", "role": "switch", "index": 5}]}, "it must be 10 or more"),
        (
            {"hosts": [{"name": "s", "role": "switch", "index": 200}], "addresses": {"lan_v4": "172.16.0.0/25"}},
            "host s has index 200, for which 172.16.0.0/25 has no room",
        ),
        ({"hosts": [{"name": "control2", "role": "control", "index": 11}]}, "exactly one host with role control"),
        ({"routers": ["a", "b"]}, "can have one router"),
        ({"uplinsk": []}, "did you mean 'uplinks'?"),
    ],
)
def test_a_slip_in_a_site_is_one_sentence(change: Data, sentence: str) -> None:
    assert sentence in fault(small(**change))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"owner": "nobody"}, "is owned by nobody, which is no site"),
        ({"hosts": ["control"]}, "runs on control, which is no managed host"),
        ({"hosts": ["noc", "noc"]}, "names noc twice"),
        ({"hosts": []}, "hosts of service documents is []: it needs 1 or more"),
        ({"rto": 30}, "30 is not a duration"),
        ({"availability": 100}, "it must be less than 100"),
        ({"grade": 5}, "5 is no grade"),
        ({"grade": True}, "True is no grade"),
        ({"grade": "3"}, "'3' is no grade"),
        ({"grade": "S3A5"}, "'S3A5' is no grade"),
        ({"grade": "S3A2G2"}, "G is the larger of S and A, so it is S3A2G3"),
        ({"backup": {"engine": "tape", "paths": ["/srv"], "schedule": "daily"}}, "it must be one of 'borg'"),
        ({"backup": {"engine": "borg", "paths": ["srv"], "schedule": "daily"}}, "paths 1 of service documents, backup"),
    ],
)
def test_a_slip_in_a_service_is_one_sentence(change: Data, sentence: str) -> None:
    assert sentence in fault(small(), service(**change))


@pytest.mark.parametrize(("rpo", "seconds"), [("12m", 60), ("15m", 150), ("20m", 300), ("1h", 300), ("7d", 300)])
def test_heartbeat_and_wal_fit_twice_into_the_rpo(rpo: str, seconds: int) -> None:
    """If this fails, one push that fails breaks the promise, or a shorter RPO than is possible is taken."""
    backup = {"engine": "postgresql", "database": "register", "schedule": "daily"}
    plan, city = load_data(small(), service(rpo=rpo, backup=backup))
    (stanza,) = stanzas_of(plan, city)
    assert (stanza.name, stanza.database, stanza.host.name) == ("documents", "register", "minqin-education")
    assert stanza.archive_timeout == seconds
    assert 2 * (seconds + HEARTBEAT_SECONDS) <= plan.services[0].rpo


@pytest.mark.parametrize(
    ("engine", "groups"),
    [
        ("borg", {"backup_clients"}),
        ("system", {"backup_clients"}),
        ("mariadb", {"backup_clients", "mariadb"}),
        ("postgresql", {"postgresql"}),
    ],
)
def test_a_host_is_in_the_groups_of_its_engines(engine: str, groups: set[str]) -> None:
    needs = {"borg": {"paths": ["/srv"]}, "mariadb": {"database": "a"}, "postgresql": {"database": "a"}}.get(engine, {})
    data = service(backup={"engine": engine, "schedule": "hourly", **needs})
    named = {"backup_clients", "mariadb", "postgresql"}
    _, city = load_data(small(), data)
    assert named.intersection(city.hosts["minqin-education"].groups) == groups
    assert ("postgresql_backups" in city.hosts["backup"].groups) == (engine == "postgresql")
    _, city = load_data(small(manage=["snmpd"]), data)
    assert named.isdisjoint(city.hosts["minqin-education"].groups), "what others answer for is not backed up by us"


def test_borg_runs_on_linux_only() -> None:
    backup = {"engine": "borg", "paths": ["/srv"], "schedule": "hourly"}
    assert "which is vrp8 and not linux" in fault(small(platform="vrp8"), service(backup=backup))


@pytest.mark.parametrize(
    ("schedule", "rpo", "good"),
    [
        ("*:0/15", "30m", True),
        ("*:0/15", "29m", False),
        ("hourly", "2h", True),
        ("hourly", "1h", False),
        ("daily", "2d", True),
        ("daily", "1d", False),
        ("weekly", "14d", True),
        ("weekly", "7d", False),
        ("Mon *-*-* 03:00", "1h", True),
    ],
)
def test_a_schedule_keeps_the_rpo_although_one_backup_fails(schedule: str, rpo: str, good: bool) -> None:
    """If this fails, a promise is planned that the timer itself breaks. Other calendar expressions are not judged."""
    data = service(rpo=rpo, backup={"engine": "borg", "paths": ["/srv"], "schedule": schedule})
    if good:
        load_data(small(), data)
    else:
        assert "cannot keep its RPO" in fault(small(), data)


def test_words_stand_for_hosts_and_durations_for_seconds() -> None:
    plan, city = load_data(small(), service(hosts=["core1", "all-hubs", "all-departments", "minqin-education"]))
    assert plan.services[0].hosts == ("core1", "hub-minqin", "minqin-education")
    assert city.hosts["hub-minqin"].services == ("documents",)
    assert (plan.services[0].rto, plan.services[0].rpo) == (5400, 86400)


def test_a_word_needs_somebody_to_stand_for() -> None:
    city = city_of(centre([1, 2, 3]))
    assert "runs on all-hubs, but the plan has none" in fault(city, service(hosts=["all-hubs"]))


def test_a_number_too_large_for_a_pool() -> None:
    city = small()
    city["addressing"]["lan_v4"] = "10.64.0.0/20"
    assert fault(city) == "site number 221 does not fit into lan_v4 10.64.0.0/20; enlarge the pool"


def test_every_fault_is_told_not_only_the_first() -> None:
    city = small(county="nowhere", uplinks=[])
    with pytest.raises(PlanError) as caught:
        load_data(city, service(owner="nobody"))
    assert len(caught.value.faults) == 3


def test_what_a_lost_link_or_router_cuts_off() -> None:
    data = small()
    data["sites"].append(site(222, "minqin-health", "department", ["hub-minqin", "core1"], county="minqin"))
    result = survival(load_data(data)[1])
    assert {loss.link.child: loss.cut_off for loss in result.links if loss.cut_off} == {
        "minqin-education": ("minqin-education",)
    }
    assert {loss.router: loss.cut_off for loss in result.routers if loss.cut_off} == {
        "hub-minqin": ("minqin-education",)
    }
    assert result.single_homed == ("minqin-education",)
