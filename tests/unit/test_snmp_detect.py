"""Detection: a device's own words lead to its family; unknown devices and odd words lead to what every device has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egov_exporters.snmp.detect import UNKNOWN, Identity, identify
from egov_exporters.snmp.oid import MAX_SUBIDENTIFIER, Oid, parse_oid
from egov_exporters.snmp.profiles import load_profiles, parse_profile


@pytest.mark.parametrize(
    ("oid", "descr", "family", "module"),
    [
        ("1.3.6.1.4.1.2011.2.23.294", "S5720 Huawei Versatile Routing Platform Software", "huawei_vrp", "huawei_vrp"),
        ("1.3.6.1.4.1.25506.11.1.172", "HP Comware Platform Software", "h3c_comware", "h3c_comware"),
        ("1.3.6.1.4.1.4881.1.1.10.1.45", "Ruijie Switch", "ruijie", "ruijie"),
        ("1.3.6.1.4.1.3902.3.100.20", "ZXR10 5928", "zte_zxr10", "zte"),
        ("1.3.6.1.4.1.3902.1082.1001.320.2.1", "C320 Version V2.1.0", "zte_zxa10", "zte"),
        ("1.3.6.1.4.1.9.1.1208", "Cisco IOS Software, C2960X Software", "cisco_ios", "cisco"),
        ("1.3.6.1.4.1.9.1.2694", "Cisco IOS Software [Gibraltar], Catalyst L3", "cisco_iosxe", "cisco"),
        ("1.3.6.1.4.1.9.12.3.1.3.1163", "Cisco NX-OS(tm) n3000", "cisco_nxos", "cisco"),
        ("1.3.6.1.4.1.14988.1", "RouterOS RB760iGS", "mikrotik_routeros", "mikrotik"),
        ("1.3.6.1.4.1.12356.101.1.643", "", "fortigate", "fortigate"),
        ("1.3.6.1.4.1.50001", "Linux Embedded Net DVR", "hikvision", "hikvision"),
        ("1.3.6.1.4.1.1004849.2.10.2", "", "dahua", "dahua"),
        ("1.3.6.1.4.1.318.1.3.27", "APC Web/SNMP Management Card", "apc_powernet", "apc_powernet"),
        ("1.3.6.1.2.1.33", "Generic UPS", "ups", "ups_mib"),
        ("1.3.6.1.4.1.8072.3.2.10", "Linux host 6.1.0", "linux", "linux"),
    ],
)
def test_families(oid: str, descr: str, family: str, module: str) -> None:
    """Each family has its own profile, after the interfaces."""
    found = identify(parse_oid(oid), descr)
    assert found.family == family
    assert found.profiles[:2] == ("if_mib", module)


def test_an_unknown_device_has_its_interfaces_one_request_at_a_time() -> None:
    """Nothing is known of what it bears."""
    assert identify((1, 3, 6, 1, 4, 1, 99_999), "Gadget") == Identity(UNKNOWN, ("if_mib", "system"), 1)


def test_words_help_where_the_number_says_nothing() -> None:
    """A recorder that answers with net-snmp's own sysObjectID is Linux; one with no number at all goes by its words."""
    assert identify((1, 3, 6, 1, 4, 1, 8072, 3, 2, 10), "HIKVISION").family == "linux"
    assert identify((), "HIKVISION recorder").family == "hikvision"


def rules(*detections: dict[str, object]) -> str:
    """The family that these rules find for 1.3.6.1.4.1.7.1.2 with the words «model X»."""
    profile = parse_profile({"module": "p", "detect": list(detections)}, "p.yml")
    return identify((1, 3, 6, 1, 4, 1, 7, 1, 2), "model X", {"p": profile}).family


def test_the_longest_prefix_wins_then_the_words() -> None:
    """Whatever the order of the rules; a rule whose words are not there does not count."""
    broad = {"family": "broad", "sysObjectID": ["1.3.6.1.4.1.7"]}
    near = {"family": "near", "sysObjectID": ["1.3.6.1.4.1.7.1"]}
    worded = {"family": "worded", "sysObjectID": ["1.3.6.1.4.1.7"], "sysDescr": "X$"}
    other = {"family": "other", "sysObjectID": ["1.3.6.1.4.1.7.1.2"], "sysDescr": "Y"}
    assert rules(broad, near) == rules(near, broad) == "near"
    assert rules(broad, worded, other) == rules(other, worded, broad) == "worded"
    assert rules(other) == UNKNOWN


@given(st.lists(st.integers(0, MAX_SUBIDENTIFIER), max_size=20).map(tuple), st.text(max_size=3_000))
def test_any_words_lead_somewhere(oid: Oid, descr: str) -> None:
    """Never an exception; always the interfaces first, and modules that exist."""
    found = identify(oid, descr)
    assert found.profiles[0] == "if_mib" and set(found.profiles) <= set(load_profiles())
    assert 1 <= found.in_flight <= 4
