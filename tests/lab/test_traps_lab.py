"""Traps on real hosts: what a device says by itself is heard at the NOC, and read again at once; others are not heard.

If these fail, a link that goes down shows only at the next scrape, or anybody on a LAN can make noise at the NOC.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from egovctl.checks import open_context
from egovctl.checks.context import Context
from egovctl.secrets import Secrets

pytestmark = pytest.mark.lab
PATIENCE = 30.0
HEARD, POLLED, DROPPED = "egov_snmp_traps_total", "egov_snmp_trap_polls_total", "egov_snmp_traps_dropped_total"
LINK_DOWN = "'' 1.3.6.1.6.3.1.1.5.3 1.3.6.1.2.1.2.2.1.1.3 i 3 1.3.6.1.2.1.2.2.1.7.3 i 1 1.3.6.1.2.1.2.2.1.8.3 i 2"


@pytest.fixture(scope="module")
def context(city_lab: Any) -> Context:
    return open_context(city_lab.inventory)


def counted(city_lab: Any, context: Context, what: str) -> float:
    """The sum of an own metric of the NOC's exporter."""
    address = context.city.hosts["noc"].address_v4
    text = city_lab.on("noc", f"curl -sS http://{address}:9116/metrics").stdout
    return sum(float(value) for value in re.findall(rf"^{what}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def send(city_lab: Any, folder: Path, community: str, host: str, address: str) -> None:
    """A linkDown from a host; the community goes through a file, not over a command line."""
    (folder / "snmp.conf").write_text(f"defVersion 2c\ndefCommunity {community}\n")
    city_lab.on(host, f"SNMPCONFPATH={folder} MIBS= snmptrap {address}:162 {LINK_DOWN}")


def rises(city_lab: Any, context: Context, what: str, before: dict[str, float]) -> None:
    """Wait until a counter is higher than it was."""
    deadline = time.monotonic() + PATIENCE
    while counted(city_lab, context, what) == before[what]:
        assert time.monotonic() < deadline, f"{what} is still {before[what]}"
        time.sleep(0.5)


def test_a_devices_trap_is_heard_and_the_device_is_read_at_once(
    city_lab: Any, context: Context, tmp_path: Path
) -> None:
    (device,) = (host for host in context.city.hosts.values() if host.platform == "unmanaged")
    noc, community = context.city.hosts["noc"].address_v4, Secrets(context.inventory).get("snmp_switch_community")
    before = {name: counted(city_lab, context, name) for name in (HEARD, POLLED, DROPPED)}
    send(city_lab, tmp_path, community, device.name, noc)
    rises(city_lab, context, HEARD, before)
    rises(city_lab, context, POLLED, before)
    journal = city_lab.on("noc", "journalctl -u egov-snmp-exporter -o cat --no-pager -n 50").stdout
    assert '"notification":"linkDown"' in journal and community not in journal
    send(city_lab, tmp_path, "wrong-community", device.name, noc)
    rises(city_lab, context, DROPPED, before)
    assert counted(city_lab, context, HEARD) == before[HEARD] + 1
