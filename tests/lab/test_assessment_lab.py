"""A self-assessment of real hosts: each is looked at once, nothing is written there, and a fault makes it worse.

If these fail, what an inspector reads rests on made-up hosts.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from conftest import CityLab

from egovctl.assess.kept_results import folder_of
from egovctl.plan import load_city

pytestmark = pytest.mark.lab
STANDARD = "mlps-level-3"
HOST = "core1"
CPU_SECONDS = 30.0  # of one host's look
# What a host that nobody looks at writes by itself.
ITS_OWN = (
    "/var/cache/", "/var/lib/chrony/", "/var/lib/egov/", "/var/lib/logrotate/", "/var/lib/prometheus/",
    "/var/lib/systemd/", "/var/log/", "/var/spool/rsyslog/",
)  # fmt: skip
PLANT = "cp -a /etc/shadow /root/kept-shadow && chmod 644 /etc/shadow"
MEND = "cp -a /root/kept-shadow /etc/shadow && rm /root/kept-shadow"


def assess(lab: CityLab) -> dict[str, Any]:
    """A run; its results lie in the file that the evidence names."""
    done = lab.egovctl("assess", "run", STANDARD, "-i", str(lab.inventory.root), "--format", "json", check=False)
    assert done.returncode in (1, 3), done.stdout[-2000:] + done.stderr[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    file = folder_of(lab.inventory) / f"{told['run']}.json.gz"
    told["results"] = json.loads(gzip.decompress(file.read_bytes()))["results"]
    return told


def test_hosts_are_looked_at_once_without_a_trace_and_what_is_spoilt_makes_it_worse(city_lab: CityLab) -> None:
    city_lab.settle()
    city_lab.on(HOST, "touch /root/before && sleep 1")
    first = assess(city_lab)
    written = city_lab.on(HOST, "find / -xdev -type f -newer /root/before; rm /root/before").stdout.split()
    assert [path for path in written if not path.startswith(ITS_OWN)] == []
    hosts = {host.name for host in load_city(city_lab.inventory).hosts.values() if "managed" in host.groups}
    judged = {one["subject"] for one in first["results"] if one["check"] == "files-secrets-closed"}
    assert judged == hosts, "each managed host, and nobody else"
    assert not [one for one in first["results"] if one["status"] in ("unknown", "error")], "all could be measured"
    assert set(first["cpu_seconds"]) == hosts and max(first["cpu_seconds"].values()) <= CPU_SECONDS
    city_lab.on(HOST, PLANT)
    try:
        second = assess(city_lab)
    finally:
        city_lab.on(HOST, MEND)
    before, after = (
        {(one["check"], one["subject"]): one["status"] for one in told["results"]} for told in (first, second)
    )
    # What is measured of the city as a whole (targets, logs, seals) goes by its own clock: it may have changed.
    changed = {key: status for key, status in after.items() if key[1] in hosts and status != before[key]}
    assert {host for _, host in changed} == {HOST} and set(changed.values()) == {"fail"}, changed
    where = ("-i", str(city_lab.inventory.root), "--lang", "en")
    worse = city_lab.egovctl("assess", "diff", STANDARD, *where, check=False)
    assert worse.returncode == 1 and HOST in worse.stdout, worse.stdout
