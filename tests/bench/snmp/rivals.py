"""The two exporters: their configurations, their processes, and what these have cost so far."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from asking import Client, Failed
from fleet import PASSWORD, PRIV_PASSWORD

from egov_exporters.snmp.oid import dotted
from egov_exporters.snmp.profiles import load_profiles

OURS, THEIRS = "ours", "snmp_exporter"
BINARY = "prometheus-snmp-exporter"
FULL, BANDWIDTH = "if_mib", "if_bandwidth"
V2C, V3 = "v2c", "v3"
READY_SECONDS = 20.0
TICKS = os.sysconf("SC_CLK_TCK")
INTERFACES, IFX_TABLE, UPTIME = "1.3.6.1.2.1.2", "1.3.6.1.2.1.31.1.1", "1.3.6.1.2.1.1.3.0"


class NoRival(Exception):
    """There is nothing to compare with."""


def our_config(extra: str = "") -> str:
    """Two auths, and what the caller adds."""
    auths = {
        V2C: {"version": 2, "community": OURS},
        V3: {
            "version": 3,
            "username": OURS,
            "security_level": "authPriv",
            "auth_protocol": "SHA256",
            "password": PASSWORD,
            "priv_protocol": "AES",
            "priv_password": PRIV_PASSWORD,
        },
    }
    return yaml.safe_dump({"auths": auths}) + extra


def their_config() -> str:
    """snmp_exporter 0.21's form: a module holds its credentials. Columns and texts are those of our profiles.

    if_mib walks both tables whole, as the shipped module does; if_bandwidth walks its columns and its labels' columns.
    """
    modules = {}
    for name in (FULL, BANDWIDTH):
        for version in (V2C, V3):
            modules[their_module(name, version)] = _module(name) | _credentials(version)
    return yaml.safe_dump(modules)


def their_module(name: str, version: str) -> str:
    """The module's name there."""
    return f"{name}_{version}"


def _credentials(version: str) -> dict[str, Any]:
    if version == V2C:
        return {"version": 2, "auth": {"community": THEIRS}}
    secrets = {"password": PASSWORD, "priv_password": PRIV_PASSWORD}
    levels = {"security_level": "authPriv", "auth_protocol": "SHA256", "priv_protocol": "AES"}
    return {"version": 3, "auth": {"username": THEIRS, **levels, **secrets}}


def _module(name: str) -> dict[str, Any]:
    profile = load_profiles()[name]
    (table,) = profile.tables
    index = table.index[0].label
    lookups = [
        {"labels": [index], "labelname": label.label, "oid": dotted(label.oid), "type": label.type}
        for label in table.labels
    ]
    metrics: list[dict[str, Any]] = [
        {"name": one.name, "oid": dotted(one.oid), "type": one.type, "help": f"{one.help} - {dotted(one.oid)}"}
        for one in profile.scalars
    ]
    for column in table.columns:
        oid = dotted(column.oid)
        metric: dict[str, Any] = {"name": column.name, "oid": oid, "type": column.type, "lookups": lookups}
        metric |= {"help": f"{column.help} - {oid}", "indexes": [{"labelname": index, "type": "gauge"}]}
        if column.enum:
            metric["enum_values"] = dict(column.enum)
        metrics.append(metric)
    if name == FULL:
        return {"walk": [INTERFACES, IFX_TABLE], "get": [UPTIME], "metrics": metrics}
    walk = sorted(dotted(one.oid) for one in (*table.columns, *table.labels))
    return {"walk": walk, "metrics": metrics}


@dataclass
class Rival:
    """A running exporter. `start_seconds`: from its start until it answered."""

    name: str
    pid: int
    port: int
    start_seconds: float

    def path(self, target: str, module: str, version: str) -> str:
        """The path of a scrape's URL."""
        if self.name == OURS:
            return f"/snmp?target={target}&auth={version}&module={module}"
        return f"/snmp?target={target}&module={their_module(module, version)}"

    def cpu(self) -> float:
        """Seconds of processor time of the process and its children, living and waited for."""
        waited = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[13:15]
        return sum(map(_clock, self._family())) + sum(map(int, waited)) / TICKS

    def peak(self) -> float:
        """MiB: the most that was resident at a time, children included."""
        return sum(_status(pid, "VmHWM") for pid in self._family()) / 1024

    def _family(self) -> list[int]:
        found, queue = [], [self.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    queue += map(int, (task / "children").read_text(encoding="ascii").split())
        return found


def _clock(pid: int) -> float:
    """The kernel's clock of a process's processor time, in nanoseconds: /proc's own figure has steps of 10 ms."""
    try:
        return time.clock_gettime(~pid << 3 | 2)  # what clock_getcpuclockid(3) makes of a process id
    except OSError:
        return 0.0


def _status(pid: int, key: str) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/status").read_text(encoding="utf-8").partition(f"{key}:")[2].split()[0])
    return 0


def their_version() -> str:
    """As the binary says it. Raises NoRival where it is absent."""
    binary = shutil.which(BINARY)
    if binary is None:
        raise NoRival(f"{BINARY} is not here; `make .tools/.ready` fetches it")
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    return (said.stdout + said.stderr).split("\n")[0].partition(" (")[0]


@contextlib.contextmanager
def started(name: str, folder: Path, extra: str = "") -> Iterator[Rival]:
    """Start one of them and wait until it answers. Raises NoRival with its own words when it does not."""
    port = _free_port()
    config, log = folder / f"{name}.yml", folder / f"{name}.log"
    if name == OURS:
        config.write_text(our_config(extra), encoding="utf-8")
        argv = [sys.executable, "-m", "egov_exporters.snmp.main", "--config", str(config)]
        argv += ["--listen", f"127.0.0.1:{port}"]
    else:
        config.write_text(their_config(), encoding="utf-8")
        argv = [BINARY, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
    config.chmod(0o600)
    begun = time.perf_counter()
    with log.open("wb") as out, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as child:
        try:
            _wait(child, port, "/-/healthy" if name == OURS else "/", log)
            yield Rival(name, child.pid, port, time.perf_counter() - begun)
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


def _wait(child: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    limit = time.monotonic() + READY_SECONDS
    while child.poll() is None and time.monotonic() < limit:
        with contextlib.suppress(OSError, Failed), contextlib.closing(Client(port)) as client:
            client.get(path)
            return
        time.sleep(0.002)
    raise NoRival(f"{child.args!r} did not come up: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
