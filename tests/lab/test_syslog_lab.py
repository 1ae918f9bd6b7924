"""Logs on real hosts: what a host logs is on the NOC under that host's name, from nobody else, and nothing is lost.

If these fail, the NOC's logs have gaps, or lines that somebody else wrote.
"""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

pytestmark = pytest.mark.lab
IN_FLIGHT = 32  # messages without a receipt when the host's rsyslog ends; 8 and 14 were seen
PATIENCE = 60.0
SEAL = "python3 -I /usr/local/lib/egov/egov-seal-logs"


def found(city_lab, token: str) -> list[str]:
    """HOST:LINE for each line of today's logs on the NOC that has the token."""
    done = city_lab.on("noc", f"cd /var/log/egov && grep -H -- '{token}' */*.log | sed 's,/[^:]*,,'", check=False)
    # What tells of the search itself, or of the command that logged, is not the message.
    return [line for line in done.stdout.splitlines() if " egov-test " in line]


def arrived(city_lab, token: str, count: int) -> list[str]:
    """Wait for `count` different lines with the token; fail with what there is."""
    deadline = time.monotonic() + PATIENCE
    while len(set(lines := found(city_lab, token))) < count:
        assert time.monotonic() < deadline, f"{len(set(lines))} of {count} lines after {PATIENCE:.0f} s: {lines[:3]}"
        time.sleep(1)
    return lines


def log(city_lab, host: str, token: str, count: int = 1) -> None:
    city_lab.on(host, f"for n in $(seq {count}); do echo '{token} '$n; done | logger -t egov-test")


def test_a_message_arrives_once_under_its_own_host_and_with_the_plans_name(city_lab) -> None:
    token = uuid4().hex
    for host in ("core2", "noc"):
        log(city_lab, host, token)
    lines = arrived(city_lab, token, 2)
    assert sorted(line.split(":")[0] for line in lines) == ["core2", "noc"]
    for line in lines:
        host, text = line.split(":", 1)
        assert text.startswith("<13>1 ") and text.split()[2] == host


def test_a_host_that_takes_anothers_name_is_filed_under_its_own(city_lab) -> None:
    """The name in a message is a claim. rsyslog goes by the address that the connection comes from."""
    token = uuid4().hex
    conf = "/etc/rsyslog.conf"
    city_lab.on(
        "core2", f"cp -p {conf} /root/kept.conf && sed -i 's/date-rfc3339% core2 /date-rfc3339% core1 /' {conf}"
    )
    try:
        city_lab.on("core2", "systemctl restart rsyslog")
        log(city_lab, "core2", token)
        (line,) = arrived(city_lab, token, 1)
        assert line.startswith("core2:") and " core1 egov-test " in line
    finally:
        city_lab.on("core2", f"cp -p /root/kept.conf {conf} && systemctl restart rsyslog")


def test_a_key_that_is_not_enrolled_is_refused_and_what_waited_comes_with_the_right_one(city_lab) -> None:
    token, keys = uuid4().hex, "/etc/egov/keys"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=core2 -days 9"
    city_lab.on(
        "core2",
        f"systemctl stop rsyslog; cp -pr {keys} /root/kept && {make} -keyout {keys}/syslog.key -out {keys}/syslog.crt"
        " 2>/dev/null && systemctl start rsyslog",
    )
    try:
        log(city_lab, "core2", token)
        deadline = time.monotonic() + PATIENCE
        refused = "journalctl -u rsyslog --since -2min --no-pager | grep -c 'non-permited fingerprint'"
        while city_lab.on("noc", refused, check=False).stdout.strip() in ("", "0"):
            assert time.monotonic() < deadline, "the NOC refused nobody"
            time.sleep(1)
        assert found(city_lab, token) == []
    finally:
        city_lab.on(
            "core2",
            f"systemctl stop rsyslog; cp -p /root/kept/syslog.key /root/kept/syslog.crt {keys}/ && rm -r /root/kept"
            " && systemctl start rsyslog",
        )
    arrived(city_lab, token, 1)


def test_what_is_logged_while_the_noc_is_away_comes_later_even_if_the_host_restarts_its_own(city_lab) -> None:
    """What is on its way when the NOC goes is resent, all of it; once the host knows, it waits on the host's disk.

    When the host's own rsyslog ends while the NOC is away, what was sent without a receipt stays in its journal only.
    """
    token, count = uuid4().hex, 500
    city_lab.on("noc", "systemctl stop rsyslog")
    try:
        log(city_lab, "core2", token, count)
    finally:
        city_lab.on("noc", "systemctl start rsyslog")
    arrived(city_lab, token, count)
    city_lab.on("noc", "systemctl stop rsyslog")
    try:
        log(city_lab, "core2", uuid4().hex)
        deadline = time.monotonic() + PATIENCE
        knows = "journalctl -u rsyslog --since -1min --no-pager | grep -c 'omrelp. suspended'"
        while city_lab.on("core2", knows, check=False).stdout.strip() in ("", "0"):
            assert time.monotonic() < deadline, "the host did not notice that the NOC is away"
            time.sleep(1)
        log(city_lab, "core2", token + "-before", count)
        city_lab.on("core2", "systemctl restart rsyslog")
        log(city_lab, "core2", token + "-after", count)
    finally:
        city_lab.on("noc", "systemctl start rsyslog")
    lines = arrived(city_lab, token, 3 * count - IN_FLIGHT)
    print(f"\n{3 * count - len(set(lines))} of {3 * count} messages are in the host's journal only")
    assert {line.split(":")[0] for line in lines} == {"core2"}


def test_a_closed_day_is_sealed_verified_and_a_change_of_it_found(city_lab) -> None:
    """On a copy of the store and with a date of its own: today is not over."""
    place = "/root/rehearsal"
    # With the seals: midnight may have passed since the lab's start, and what is packed must be in a seal.
    city_lab.on("noc", "systemctl start egov-seal-logs.service")
    city_lab.on(
        "noc",
        f"rm -rf {place} && mkdir {place} &&"
        f" cp -rp /var/log/egov {place}/logs && cp -rp /var/log/egov-seals {place}/seals &&"
        f" sed 's,/var/log/egov-seals,{place}/seals,; s,/var/log/egov,{place}/logs,;"
        f" s,/var/lib/prometheus/[^\"]*,{place},' /etc/egov/seal-logs.json > {place}/config.json",
    )
    tomorrow = city_lab.on("noc", "date -d tomorrow +%F").stdout.strip()
    run = f"{SEAL} %s --config {place}/config.json --today {tomorrow}"
    try:
        sealed = city_lab.on("noc", run % "seal").stdout
        assert "sealed " in sealed and "0 faults" in sealed
        assert "0 faults" in city_lab.on("noc", run % "verify").stdout
        metrics = city_lab.on("noc", f"cat {place}/egov_log_seals.prom").stdout
        assert "egov_log_seal_ok 1" in metrics and "egov_log_seal_timestamp_seconds" in metrics
        city_lab.on(
            "noc", f"for f in {place}/logs/core2/*.gz; do zcat $f | sed 1d | gzip -n > /root/x && cp /root/x $f; done"
        )
        tampered = city_lab.on("noc", run % "verify", check=False)
        assert tampered.returncode == 1 and "core2/" in tampered.stderr and "was changed" in tampered.stderr
    finally:
        city_lab.on("noc", f"rm -rf {place} /root/x")


def test_the_sealing_unit_runs_confined_and_leaves_todays_logs_alone(city_lab) -> None:
    # One of a day that is over may be sealed now, and a host may begin today's.
    todays = "ls /var/log/egov/*/$(date +%F).log"
    before = set(city_lab.on("noc", todays).stdout.split())
    city_lab.on("noc", "systemctl start egov-seal-logs.service")
    assert before <= set(city_lab.on("noc", todays).stdout.split())
    assert (
        "egov_log_seal_ok 1" in city_lab.on("noc", "cat /var/lib/prometheus/node-exporter/egov_log_seals.prom").stdout
    )
