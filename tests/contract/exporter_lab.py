"""What the exporter's contract tests share: real processes on loopback, and reading of the text format."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

COMMUNITY = "lab-community"
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def need(binary: str, package: str) -> str:
    """The path of a Debian program. If it is absent the test fails in CI (EGOV_CI=1), and else is skipped."""
    path = shutil.which(binary, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        message = f"{binary} is not installed; get it with: apt-get install {package}"
        if os.environ.get("EGOV_CI") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM, host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(argv: list[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its output in a file; it is stopped, if need be killed, at the end."""
    with output.open("wb") as sink:
        child = subprocess.Popen(argv, stdout=sink, stderr=subprocess.STDOUT)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(10)


def wait_for(ready: object, child: subprocess.Popen[bytes], output: Path, seconds: float = 15) -> None:
    """Poll until `ready()` is true; fails with the program's own words."""
    end = time.monotonic() + seconds
    while not ready():  # type: ignore[operator]
        if child.poll() is not None or time.monotonic() > end:
            pytest.fail(f"{child.args!r} did not come up: {output.read_text(errors='replace')}")
        time.sleep(0.03)


@contextlib.contextmanager
def switch(folder: Path, *options: str, host: str = "127.0.0.1", community: str = COMMUNITY) -> Iterator[str]:
    """A simulated switch; gives its HOST:PORT."""
    secret, output = folder / "community", folder / "switch.log"
    secret.write_text(community + "\n")
    port = free_port(host=host)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    argv = [sys.executable, "-m", "egovctl.lab.switch", "--listen", address]
    with process([*argv, "--community-file", str(secret), *options], output) as child:
        wait_for(lambda: "ready" in output.read_text(), child, output)
        yield address


@dataclass
class Running:
    """An exporter that answers."""

    base: str
    child: subprocess.Popen[bytes]
    output: Path
    config: Path

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Status and body of a GET."""
        status, body, _ = fetch(self.base + path, headers)
        return status, body.decode()

    def scrape(self, target: str, seconds: float | None = None, **params: str) -> tuple[int, str]:
        """Status and body of /snmp."""
        query = urllib.parse.urlencode({"target": target, **params})
        headers = {} if seconds is None else {"X-Prometheus-Scrape-Timeout-Seconds": str(seconds)}
        return self.get(f"/snmp?{query}", headers)


def fetch(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes, Mapping[str, str]]:
    """Status, body and headers of a GET; an HTTP error is an answer like any other."""
    request = urllib.request.Request(url, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read(), dict(reply.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


@contextlib.contextmanager
def exporter(folder: Path, config_text: str, *options: str) -> Iterator[Running]:
    """Our exporter as a process with this configuration and these options."""
    config, output = folder / "exporter.yml", folder / "exporter.log"
    config.write_text(config_text)
    port = free_port(socket.SOCK_STREAM)
    argv = [sys.executable, "-m", "egov_exporters.snmp.main", "--config", str(config)]
    with process([*argv, "--listen", f"127.0.0.1:{port}", *options], output) as child:
        running = Running(f"http://127.0.0.1:{port}", child, output, config)
        wait_for(lambda: "listens on" in output.read_text(), child, output)
        yield running


def v2c_config(**communities: str) -> str:
    """A configuration with one v2c auth per argument."""
    entries = [f"  {name}:\n    version: 2\n    community: {value}\n" for name, value in communities.items()]
    return "auths:\n" + "".join(entries)


@dataclass
class Page:
    """A parsed page: values by series, and each family's type and help."""

    series: Series
    types: dict[str, str]
    helps: dict[str, str]


def parse(text: str, without: str = "snmp_scrape_") -> Page:
    """Read the text format with prometheus_client's parser; families that start with `without` are left out."""
    page = Page({}, {}, {})
    for family in text_string_to_metric_families(text):
        if family.name.startswith(without):
            continue
        page.types[family.name] = family.type
        page.helps[family.name] = family.documentation
        for sample in family.samples:
            key = (family.name, frozenset(sample.labels.items()))  # the parser renames counters to _total
            assert key not in page.series, f"duplicate series {key}"
            page.series[key] = sample.value
    return page
