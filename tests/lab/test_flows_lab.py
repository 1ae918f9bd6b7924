"""Top talkers on real routers: a known amount between two people's computers shows up under the right pair of sites,
on the router that forwards it and on the page of the site; a flood of addresses grows nothing.

If these fail, whoever looks for what fills a line is told the wrong department, or a scan fills the NOC's disk.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conftest import CityLab

from egovctl.lab.users import ensure_user_namespace
from egovctl.plan import load
from egovctl.prometheus import prometheus_url, query

pytestmark = pytest.mark.lab
HUB, PUPILS, SCHOOL = "hub-minqin", "minqin-education", "education"  # one vertical network: any protocol, both ways
DATAGRAMS, PAYLOAD, HEADERS = 3000, 1000, 28  # of IPv4 and UDP
TOLERANCE = 0.02
PORT = 29_895
SEND = """
import socket, sys, time
to, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
due = time.monotonic()
for n in range(count):
    s.sendto(bytes(size), (to, 9))
    # After a stall no burst that a shaper would drop.
    due = max(due + 0.001, time.monotonic())
    time.sleep(max(0, due - time.monotonic()))
"""
# From the hub itself, to nobody: the department's router lets none of it onto its LAN.
FLOOD = """
import random, socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for n in range(int(sys.argv[2])):
    tail = ":".join("%x" % random.randrange(1, 1 << 16) for _ in range(4))
    s.sendto(bytes(100), (sys.argv[1] + tail, 9))
"""
TOLD, STATE = "/var/lib/prometheus/node-exporter/egov_flows.prom", "/run/egov-flows/last.json"


@contextmanager
def looked_at_by_hand(city_lab: CityLab) -> Iterator[Callable[[], dict[str, float]]]:
    """While inside, the hub's flows are looked at when this is called, which gives what is told."""

    def look() -> dict[str, float]:
        text = city_lab.on(HUB, f"systemctl start egov-flows-look.service && cat {TOLD}").stdout
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    city_lab.on(HUB, "systemctl stop egov-flows-look.timer; systemctl start egov-flows-look.service")
    try:
        yield look
    finally:
        city_lab.on(HUB, "systemctl restart egov-flows.service && systemctl start egov-flows-look.timer")


def test_who_fills_the_line_is_told_with_what_went(city_lab: CityLab) -> None:
    _, city = load(city_lab.inventory)
    source, target = (ensure_user_namespace(city_lab.inventory, city, site) for site in (PUPILS, SCHOOL))
    with looked_at_by_hand(city_lab) as look:
        send = [sys.executable, "-I", "-c", SEND, target.v4, str(DATAGRAMS), str(PAYLOAD)]
        subprocess.run(["nsenter", f"--net={source.namespace}", "--", *send], check=True, timeout=60)
        told = look()
        state = json.loads(city_lab.on(HUB, f"cat {STATE}").stdout)
        sent = DATAGRAMS * (PAYLOAD + HEADERS)
        for of in (HUB, PUPILS):
            labels = f'of="{of}",source_site="{PUPILS}",destination_site="{SCHOOL}"'
            counted = told[f"egov_talker_bits_per_second{{{labels}}}"] / 8 * state["seconds"]
            assert counted == pytest.approx(sent, rel=TOLERANCE), (of, told)
        assert (source.v4, target.v4) in [tuple(row[:2]) for row in state["top"]]
        assert not re.search(r"10\.64\.|2001:db8", city_lab.on(HUB, f"cat {TOLD}").stdout)
        _is_on_the_page(city_lab, sent * 8 / state["seconds"])


def _is_on_the_page(city_lab: CityLab, rate: float) -> None:
    """The NOC has it, and the page of the site shows it: nobody looks at the hub's flows meanwhile."""
    url = prometheus_url(city_lab.inventory, load(city_lab.inventory)[1])
    asked = f'site:talker_bits:rate30s{{site="{PUPILS}", host="{HUB}", destination_site="{SCHOOL}"}}'
    limit = time.monotonic() + 100
    while not (found := query(url, asked)) or float(found[0]["value"][1]) < rate * (1 - TOLERANCE):
        assert time.monotonic() < limit, found
        time.sleep(1)
    command = ["egovctl", "serve", "-i", str(city_lab.inventory.root), "--listen", f"127.0.0.1:{PORT}"]
    environment = {**os.environ, "EGOV_LAB_PORT_BASE": city_lab.port_base}
    with subprocess.Popen([sys.executable, "-m", *command], cwd=city_lab.project, env=environment) as server:
        try:
            text = _panel(f"http://127.0.0.1:{PORT}/panel/site/talkers/{PUPILS}?lang=zh", limit + 20)
        finally:
            server.send_signal(signal.SIGINT)
    assert 'data-state="ok"' in text
    rows = [re.sub(r"<[^>]+>|\s+", " ", row).split() for row in re.findall(r"<tr>(.*?)</tr>", text, re.S)]
    shown = [row for row in rows if row[:3] == [HUB, "民勤县教育局", "市教育局"]]
    assert len(shown) == 1 and shown[0][-1] in ("kbit/s", "Mbit/s"), rows


def _panel(address: str, limit: float) -> str:
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < limit, "egovctl serve does not answer"
            time.sleep(0.3)


def test_a_flood_of_addresses_grows_neither_the_table_nor_the_series(city_lab: CityLab) -> None:
    """With room for 512 pairs in each family, 5,000 new ones come: the rest is in the total, and its share is told."""
    size, flood = 512, 5000
    with looked_at_by_hand(city_lab) as look:
        city_lab.on(HUB, f"sed 's/^\\(\\t*size\\) .*/\\1 {size}/' /etc/egov/flows.nft | nft -f -")
        look()
        city_lab.on(
            HUB, f"cat > /root/flood.py <<'END'\n{FLOOD}\nEND\npython3 -I /root/flood.py 2001:db8:104:1: {flood}"
        )
        told = look()
        below = json.loads(city_lab.on(HUB, "rm /root/flood.py; cat /etc/egov/flows.json").stdout)["below"]
        assert size <= told["egov_flows_pairs"] <= 2 * size
        assert told["egov_flows_untold_ratio"] > 0.05
        assert 0 < len([name for name in told if "talker" in name]) <= 10 + 3 * len(below)
        assert int(city_lab.on(HUB, f"stat -c %s {STATE}").stdout) < 200 * size
