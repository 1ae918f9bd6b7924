"""A planned city whose hosts are played by one HTTP server, and a real Prometheus that scrapes them by the real rules.

Nothing is back-filled: what a page shows has gone the whole way, from a scrape through the rules to the page.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from promtool import PROJECT, program

from egovctl.paths import Inventory
from egovctl.plan import City, Plan
from egovctl.plan.routing import TRANSIT_ROLES
from egovctl.render import render_city
from egovctl.render.flows import SitePrefixes
from egovctl.render.topology import Topology, is_measured, topology_for_rules

UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass
class Played:
    """A city and what its hosts say. `dead` hosts do not answer; `mbps`: what a link carries towards its lower end."""

    plan: Plan
    city: City
    topology: Topology
    rules: dict[str, bytes]
    watched: dict[str, dict[str, Any]]
    dead: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    mbps: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    octets: dict[str, float] = field(default_factory=dict)
    last: float = field(default_factory=time.time)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, inventory: str) -> Played:
        rendered = render_city(Inventory(PROJECT / "inventories" / inventory))
        files = rendered.hosts["noc"].files
        rules = {Path(path).name: text for path, text in files.items() if path.endswith(".rules.yml")}
        watched = {
            name: json.loads(host.files["/etc/egov/watch.json"])
            for name, host in rendered.hosts.items()
            if "/etc/egov/watch.json" in host.files
        }
        played = cls(rendered.plan, rendered.city, topology_for_rules(rendered.plan, rendered.city), rules, watched)
        for number, link in enumerate(played.topology.links):
            played.mbps[link.name] = link.bits_per_second / 1e6 * (0.05 + 0.6 * (number * 37 % 100) / 100)
        return played

    def said(self, host: str, job: str) -> str:
        """What the host answers a scrape."""
        now = time.time()
        if job == "node":
            return self._node(host, now)
        with self.lock:
            for link in self.topology.links:
                moved = self.mbps[link.name] * 1e6 / 8 * (now - self.last)
                self.octets[link.name] = self.octets.get(link.name, 0.0) + moved
            self.last = now
        lines = ['snmp_module_success{module="if_mib"} 1', "snmp_implausible_deltas_total 0"]
        for link in self.topology.links:
            for end in link.ends:
                if end.host.name != host:
                    continue
                labels = f'{{ifName="{end.interface}"}}'
                towards = int(self.octets[link.name])
                into, out = (towards, towards // 3) if end.end == "lower" else (towards // 3, towards)
                lines += [
                    f"ifOperStatus{labels} {2 if link.name in self.down else 1}",
                    f"ifHCInOctets{labels} {into}",
                    f"ifHCOutOctets{labels} {out}",
                    *(f"{name}{labels} {towards // 800}" for name in ("ifHCInUcastPkts", "ifHCOutUcastPkts")),
                    *(f"{name}{labels} {towards // 8_000_000}" for name in ("ifInErrors", "ifOutErrors")),
                ]
        return "\n".join([*lines, ""])

    def _node(self, host: str, now: float) -> str:
        spent = now - self.started
        lines = [
            f"node_time_seconds {now:.3f}",
            "node_memory_MemAvailable_bytes 6e8",
            "node_memory_MemTotal_bytes 1e9",
            "node_textfile_scrape_error 0",
            f'node_cpu_seconds_total{{cpu="0",mode="idle"}} {spent * 0.9:.3f}',
            'node_filesystem_avail_bytes{mountpoint="/",fstype="ext4"} 6e9',
            'node_filesystem_size_bytes{mountpoint="/",fstype="ext4"} 1e10',
            'node_filesystem_files{mountpoint="/",fstype="ext4"} 1e6',
            'node_filesystem_files_free{mountpoint="/",fstype="ext4"} 9e5',
            'node_filesystem_readonly{mountpoint="/",fstype="ext4"} 0',
            'node_hwmon_temp_celsius{chip="cpu",sensor="temp1"} 41',
        ]
        for service in self.plan.services:
            if service.backup and host in service.hosts:
                label = f'{{service="{service.name}"}}'
                lines += [
                    f"egov_backup_last_success_timestamp_seconds{label} {now - 600:.0f}",
                    f"egov_backup_bytes{label} 123456789",
                    f"egov_backup_duration_seconds{label} 42",
                ]
            if service.provides and host in service.hosts:
                lines += self._provided(service.provides, now)
        if self.city.hosts[host].role in TRANSIT_ROLES:
            lines += self._talkers(host, now)
        if host in self.watched:
            lines += self._watched(self.watched[host], now)
        if host == "noc":
            lines += self._noc(now)
        return "\n".join([*lines, ""])

    def _provided(self, what: str, now: float) -> Iterator[str]:
        """What the probe of a service tells, and what the service tells of itself."""
        yield f"egov_{what}_look_timestamp_seconds {now - 5:.0f}"
        if what == "mail":
            for part in ("postfix", "dovecot", "imap"):
                yield f"egov_mail_{part}_up 1"
            yield from ("egov_mail_queue_messages 2", "egov_mail_oldest_waiting_seconds 40")
            return
        yield from ("egov_sms_answering 1", "egov_sms_kannel_up 1", "egov_sms_centre_online 1")
        yield "egov_sms_queue_messages 0"
        sent = int((now - self.started) / 2)
        for number, site in enumerate(place.name for place in self.topology.places if "hub" not in place.name):
            label = f'department="{site}"'
            for name, count in (("parts", sent + 40), ("delivered", sent + 38), ("undelivered", 1), ("rejected", 0)):
                yield f"egov_sms_{name}_total{{{label}}} {count}"
            for period, quota in (("day", 200), ("month", 3000)):
                yield f'egov_sms_quota_parts{{{label},period="{period}"}} {quota}'
                yield f'egov_sms_quota_used_parts{{{label},period="{period}"}} {(number * 23) % 170}'

    def _talkers(self, host: str, now: float) -> Iterator[str]:
        """What a core or hub tells of those that talk through it."""
        flows = SitePrefixes(self.plan, self.city).seen_from(self.city.hosts[host])
        yield f"egov_flows_look_timestamp_seconds {now - 5:.3f}"
        yield "egov_flows_untold_ratio 0"
        for number, site in enumerate([flows["site"], *flows["below"]]):
            for other, mbps in (("shared-services", 8), ("noc", 0.3), ("_elsewhere", 2)):
                labels = f'of="{site}",source_site="{other}",destination_site="{site}"'
                yield f"egov_talker_bits_per_second{{{labels}}} {mbps * 1e6 + number}"

    @staticmethod
    def _watched(planned: dict[str, Any], now: float) -> Iterator[str]:
        for item in planned["sessions"]:
            labels = ",".join(f'{key}="{item[key]}"' for key in ("protocol", "family", "peer", "link") if item[key])
            yield f"egov_neighbour_up{{{labels}}} 1"
        for protocol, family in itertools.product(("ospf", "bgp"), ("ipv4", "ipv6")):
            yield f'egov_neighbours_unplanned{{protocol="{protocol}",family="{family}"}} 0'
        for item in planned["tunnels"]:
            labels = f'peer="{item["peer"]}",link="{item["link"]}"'
            yield f"egov_tunnel_handshake_timestamp_seconds{{{labels}}} {now - 60:.0f}"
        yield f'egov_certificate_expiry_timestamp_seconds{{certificate="logs"}} {now + 6e8:.0f}'
        yield "egov_clock_synchronised 1"
        yield f"egov_clock_reference_timestamp_seconds {now - 30:.3f}"
        yield "egov_clock_offset_seconds -0.00002"
        yield "egov_clock_stratum 9"
        yield f"egov_watch_timestamp_seconds {now - 20:.3f}"

    @staticmethod
    def _websites(now: float) -> Iterator[str]:
        """Two that open; the second has something to mend of everything that is no alert."""
        for name, good in (("portal", True), ("health", False)):
            site = f'website="{name}"'
            for family, opens in (("4", True), ("6", good)):
                yield f'egov_website_open{{{site},family="{family}"}} {opens:d}'
            yield f"egov_website_https_open{{{site}}} {good:d}"
            yield f"egov_website_open_seconds{{{site}}} {0.4 if good else 6.5}"
            yield f"egov_website_look_timestamp_seconds{{{site}}} {now - 900:.0f}"
            yield f"egov_website_certificate_ends_timestamp_seconds{{{site}}} {now + 86400 * 60:.0f}"
            for result, count in (("opened", 330), ("failed", 6 if good else 12)):
                yield f'egov_website_week_visits{{{site},result="{result}"}} {count}'
            yield f"egov_website_walk_timestamp_seconds{{{site}}} {now - 3600 * 9:.0f}"
            yield f"egov_website_newest_timestamp_seconds{{{site}}} {now - 86400 * 2:.0f}"
            for side in ("inside", "outside"):
                for state, count in (("good", 240), ("dead", 0 if good else 3)):
                    yield f'egov_website_links{{{site},page="home",side="{side}",state="{state}"}} {count}'
            for column, days in (("news", 2), ("notices", 2 if good else 40)):
                labels = f'{site},column="{column}"'
                yield f"egov_website_column_promised_seconds{{{labels}}} {86400 * 14}"
                yield f"egov_website_column_newest_timestamp_seconds{{{labels}}} {now - 86400 * days:.0f}"
                yield f"egov_website_column_articles{{{labels}}} {12 if good or days == 2 else 0}"

    def _noc(self, now: float) -> Iterator[str]:
        for name in self.city.hosts:
            yield f'egov_drift_items{{host="{name}"}} 0'
            yield f'egov_log_last_timestamp_seconds{{source="{name}"}} {now - 5:.0f}'
        yield from self._websites(now)
        for number, check in enumerate(("time-in-step", "targets-up", "backups-fresh")):
            labels = f'{{check="{check}",subject="city"}}'
            yield f"egov_check_ok{labels} {0 if number == 2 else 1}"
            yield f"egov_check_run_timestamp_seconds{labels} {now - 7200:.0f}"
        drill = '{drill="restore-files",service="documents",source="shared-services"}'
        yield f"egov_drill_verdict_ok{drill} 1"
        yield f"egov_drill_run_timestamp_seconds{drill} {now - 86400 * 3:.0f}"
        for name, value in (("rto_seconds", 95), ("rto_promised_seconds", 3600), ("rpo_seconds", 300)):
            yield f"egov_drill_{name}{drill} {value}"
        for bound, rate, hazards in (("low", 0.42, 2), ("high", 0.71, 9)):
            yield f'egov_assess_rate{{standard="mlps-level-3",bound="{bound}"}} {rate}'
            yield f'egov_assess_hazards{{standard="mlps-level-3",bound="{bound}"}} {hazards}'
        for verdict, items in (("met", 89), ("not_met", 20), ("partly", 41), ("needs_statement", 61)):
            yield f'egov_assess_items{{standard="mlps-level-3",verdict="{verdict}"}} {items}'
        yield f'egov_assess_run_timestamp_seconds{{standard="mlps-level-3"}} {now - 86400 * 9:.0f}'
        yield 'egov_assess_worse_items{standard="mlps-level-3"} 1'
        until = f"{now + 86400 * 30:.0f}"
        yield f'egov_assess_accepted_until_timestamp_seconds{{standard="mlps-level-3",item="L3-4.1d"}} {until}'
        for name in self.city.hosts:
            if name != "noc":
                yield f'egov_echo_lost_ratio{{to="{name}"}} 0'
                yield f'egov_echo_seconds{{to="{name}"}} 0.004'
        yield f"egov_echo_timestamp_seconds {now - 20:.3f}"
        yield f'egov_evidence_signed_timestamp_seconds{{writer="control"}} {now - 1500:.0f}'
        yield 'egov_evidence_records{writer="control"} 57'
        yield "egov_log_seal_ok 1"
        yield "egov_log_unsealed_seconds 60"


def faster(text: str, interval: int) -> str:
    """The rules for scrapes each `interval` seconds: ranges of traffic are as much shorter, and waits still more."""

    def shorter(match: re.Match[str]) -> str:
        return f"{match[1]}{max(1, int(match[2]) * UNITS[match[3]] * interval // 40)}s"

    text = re.sub(r"^( *(?:for|keep_firing_for|interval): )([0-9]+)([smh])$", shorter, text, flags=re.M)
    return text.replace("[2m]", f"[{interval * 4}s]").replace("[5m]", f"[{interval * 10}s]")


@contextmanager
def hosts_of(played: Played) -> Iterator[str]:
    """All hosts on one port, /<host>/<job> each; gives the address."""

    class Host(BaseHTTPRequestHandler):
        wbufsize = 1 << 16  # one packet an answer

        def do_GET(self) -> None:
            host, job = self.path.strip("/").split("/")
            alive = host not in played.dead
            body = played.said(host, job).encode() if alive else b""
            self.send_response(200 if alive else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def configure(folder: Path, played: Played, address: str, own: int, interval: int = 15) -> None:
    """prometheus.yml and its rules in the folder, as the NOC has them but for addresses and, when asked, for speed."""
    for name, text in played.rules.items():
        said = text.decode() if interval == 15 else faster(text.decode(), interval)
        (folder / name).write_text(said, encoding="utf-8")
    jobs: dict[str, list[dict[str, Any]]] = {"node": [], "snmp_egov_v3": []}
    for host in filter(is_measured, played.city.hosts.values()):
        labels = {"host": host.name, "site": host.site} | ({"county": host.county} if host.county else {})
        labels["instance"] = host.name  # they share one address
        for job, targets in jobs.items():
            if job == "node" and host.platform == "unmanaged":
                continue
            targets.append({"targets": [address], "labels": {**labels, "__metrics_path__": f"/{host.name}/{job}"}})
    scrapes = [{"job_name": job, "static_configs": targets} for job, targets in jobs.items()]
    self = [{"targets": [f"127.0.0.1:{own}"], "labels": {"host": "noc", "site": "noc", "instance": "noc"}}]
    configuration = {
        "global": {
            "scrape_interval": f"{interval}s",
            "scrape_timeout": f"{min(interval, 10)}s",
            "evaluation_interval": f"{interval}s",
        },
        "rule_files": [f"{folder}/*.rules.yml"],
        "scrape_configs": [*scrapes, {"job_name": "prometheus", "static_configs": self}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")


@contextmanager
def prometheus(folder: Path, number: int, *more: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Prometheus over the folder's configuration and data; gives its address and its process."""
    command = [program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("ab") as log:
        command += [f"--web.listen-address=127.0.0.1:{number}", *more]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{number}"
    try:
        until(lambda: answers(f"{url}/-/ready"), f"Prometheus should answer; see {folder}/log")
        yield url, process
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def asked(url: str, expression: str) -> list[dict[str, Any]]:
    """The samples of an instant vector."""
    data = urllib.parse.urlencode({"query": expression}).encode()
    with urllib.request.urlopen(f"{url}/api/v1/query", data=data, timeout=30) as answer:
        return list(json.load(answer)["data"]["result"])


def until(true: Callable[[], bool], what: str, seconds: float = 40) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, what
        time.sleep(0.1)
