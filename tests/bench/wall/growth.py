"""What becomes of Prometheus with ten and a hundred times the sites: the played city, copied under other names.

A copy is one target that tells of all hosts of its city, with the labels that Prometheus would have given them, `up`
and what it notes of scrapes included: so the same series are there as if each host were asked, by fewer connections.
What the plan renders into rules is copied as well. Names of the first copy stay, so that boards ask for what is there.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from played_city import Played, asked, configure, prometheus, until
from ports import free_port
from wall_times import cpu, queries

from egovctl.prometheus import ask
from egovctl.render.topology import is_measured

NAMES = ("host", "site", "county", "link", "peer_site", "parent_site", "behind", "subject", "source", "service")
NAMES = (*NAMES, "instance", "exported_host", "exported_site")
OWN = re.compile(r'\b(host|site|county|job|instance)="')  # renamed as Prometheus does where the target has such a label
NAMED = re.compile(rf'\b({"|".join(NAMES)})="([^"]*)"')
NOTED = {
    "up": "1",
    "scrape_duration_seconds": "0.004",
    "scrape_samples_scraped": "60",
    "scrape_samples_post_metric_relabeling": "60",
    "scrape_series_added": "0",
}
SCRAPE = 15
PATIENCE = 900  # seconds: the first rounds of 10,000 sites take minutes


def renamed(value: str, copy: int) -> str:
    """A name in this copy; the first keeps its own."""
    return f"k{copy}-{value}" if copy and value else value


@dataclass
class Copies:
    """The text of each copy. All tell the same values; the lines' beginnings are made once."""

    played: Played
    count: int
    _made: float = 0.0
    _values: list[str] = field(default_factory=list)
    _heads: list[list[str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.jobs = [
            (host, job)
            for host in self.played.city.hosts.values()
            if is_measured(host)
            for job in ("node", "snmp_egov_v3")
            if job != "node" or host.platform != "unmanaged"
        ]
        heads = [line.rpartition(" ")[0] for line in self._lines()]
        self._heads = [
            [NAMED.sub(lambda found, copy=copy: f'{found[1]}="{renamed(found[2], copy)}"', head) for head in heads]
            for copy in range(self.count)
        ]

    def text(self, copy: int) -> str:
        """What one copy answers a scrape."""
        with self._lock:
            if time.monotonic() - self._made > SCRAPE / 2:
                self._values = [line.rpartition(" ")[2] for line in self._lines()]
                self._made = time.monotonic()
            values = self._values
        return "".join([f"{head} {value}\n" for head, value in zip(self._heads[copy], values, strict=True)])

    def _lines(self) -> list[str]:
        found = []
        for host, job in self.jobs:
            labels = f'job="{job}",instance="{host.name}",host="{host.name}",site="{host.site}"'
            labels += f',county="{host.county}"' if host.county else ""
            for line in self.played.said(host.name, job).splitlines():
                head, _, value = line.rpartition(" ")
                name, _, own = head.partition("{")
                own = OWN.sub(r'exported_\1="', own.rstrip("}"))
                found.append(f"{name}{{{own + ',' if own else ''}{labels}}} {value}")
            found += [f"{name}{{{labels}}} {value}" for name, value in NOTED.items()]
        return found


@contextmanager
def told(copies: Copies) -> Iterator[str]:
    """All copies on one port, /<copy> each; gives the address."""

    class Copy(BaseHTTPRequestHandler):
        wbufsize = 1 << 20
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = copies.text(int(self.path.strip("/"))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Copy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def arrange(folder: Path, copies: Copies, address: str, own: int) -> None:
    """prometheus.yml and rules: the NOC's, with the plan's part copied."""
    configure(folder, copies.played, address, own)
    path = folder / "topology.rules.yml"
    rules = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    for group in rules["groups"]:
        group["rules"] = [
            {**rule, "labels": {k: renamed(v, copy) if k in NAMES else v for k, v in rule.get("labels", {}).items()}}
            for copy in range(copies.count)
            for rule in group["rules"]
        ]
    path.write_text(json.dumps(rules), encoding="utf-8")
    configuration = yaml.safe_load((folder / "prometheus.yml").read_text(encoding="utf-8"))
    own_job = configuration["scrape_configs"][-1]
    targets = [
        {"targets": [address], "labels": {"__metrics_path__": f"/{n}", "copy": str(n)}} for n in range(copies.count)
    ]
    played = {"job_name": "played", "honor_labels": True, "static_configs": targets}
    # Without `copy`, which the hosts' own series would not have.
    played["metric_relabel_configs"] = [{"action": "labeldrop", "regex": "copy"}]
    configuration["scrape_configs"] = [played, own_job]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")


def memory(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Resident bytes now and at most."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return {key: int(re.search(rf"^{word}:\s+(\d+) kB", text, re.M)[1]) * 1024 for key, word in MEMORY}  # type: ignore[index]


MEMORY = (("resident", "VmRSS"), ("peak", "VmHWM"))


def grown(folder: Path, played: Played, count: int, seconds: float, rounds: int) -> dict[str, Any]:
    """One size measured: series, processor time, rules, memory, and the wall's queries."""
    copies, number = Copies(played, count), free_port()
    folder.mkdir(parents=True)
    with told(copies) as address:
        arrange(folder, copies, address, number)
        with prometheus(folder, number) as (url, process):
            sites = count * len(played.topology.places)
            until(lambda: first(url, "city:sites_planned:count") == sites, "all sites should be known", PATIENCE)
            until(lambda: first(url, f"count(link:usage:ratio) >= {count * 10}") > 0, "rates should be there", PATIENCE)
            time.sleep(60)
            begin, used, before = time.monotonic(), cpu(process), first(url, MISSED)
            clock = []
            while time.monotonic() - begin < seconds:
                time.sleep(5)
                clock.append(first(url, RULES))
            share = (cpu(process) - used) / (time.monotonic() - begin)
            series = first(url, "prometheus_tsdb_head_series")
            return {
                "sites": sites,
                "series": series,
                "per_site": series / sites,
                "share_of_a_core": share,
                "rules_share_by_clock": statistics.median(clock),
                "slowest_group_s": first(url, "max(prometheus_rule_group_last_duration_seconds)"),
                "slowest_rules": slowest(url),
                "missed": first(url, MISSED) - before,
                "up": first(url, "city:sites_up:count"),
                **memory(process),
                "wall": queries(url, played, rounds, only=("wall",))["wall"],
            }


def slowest(url: str) -> dict[str, float]:
    """The rules that took longest, seconds each."""
    found = {
        rule["name"]: float(rule["evaluationTime"])
        for group in ask(url, "rules", {})["groups"]
        for rule in group["rules"]
    }
    return {name: found[name] for name in sorted(found, key=found.__getitem__, reverse=True)[:8]}


RULES = "sum(prometheus_rule_group_last_duration_seconds / prometheus_rule_group_interval_seconds)"
MISSED = "sum(prometheus_rule_group_iterations_missed_total)"


def first(url: str, expression: str) -> float:
    found = asked(url, expression)
    return float(found[0]["value"][1]) if found else -1.0
