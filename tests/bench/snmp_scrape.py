"""Cost of a scrape: our SNMP exporter against Debian's snmp_exporter, on one simulated 48-port switch.

    PATH=$PWD/.tools/usr/bin:$PATH .venv/bin/python tests/bench/snmp_scrape.py

Both run all the time, on loopback, and are asked in turn; who is first changes with each round. Wall time holds the
simulated switch's own time as well. Exit codes: 0 measured, 1 not the same series, 3 no reference.
"""

from __future__ import annotations

import gzip
import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))

from exporter_lab import COMMUNITY, exporter, free_port, parse, process, switch, v2c_config, wait_for
from test_exporter_reference import reference_config

BINARY = "prometheus-snmp-exporter"
# As Prometheus asks
HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}
ROUNDS, SCRAPES, WARM_UP = 7, 40, 10  # rounds, scrapes of each in a round, scrapes before the first


class Wrong(Exception):
    """The two cannot be compared."""


class Scraped:
    """An exporter process and one kept connection to it, as Prometheus has."""

    def __init__(self, name: str, pid: int, port: int, target: str) -> None:
        self.name, self._pid = name, pid
        self._path = f"/snmp?target={target}&module=if_mib"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.cpu: list[float] = []  # ms a scrape, one number a round; so is wall
        self.wall: list[float] = []

    def scrape(self) -> bytes:
        """The compressed body."""
        self._connection.request("GET", self._path, headers=HEADERS)
        reply = self._connection.getresponse()
        body = reply.read()
        if (reply.status, reply.getheader("Content-Encoding")) != (200, "gzip"):
            raise Wrong(f"{self.name} answered {reply.status}, {reply.getheader('Content-Encoding')}: {body[:200]!r}")
        return body

    def series(self) -> set[object]:
        """The series of a scrape, without those about the scrape itself."""
        page = parse(gzip.decompress(self.scrape()).decode())
        return {key for key in page.series if key[0] != "snmp_module_success"}

    def round(self, scrapes: int) -> None:
        """Measure so many scrapes."""
        cpu, start = self._cpu_seconds(), time.perf_counter()
        bodies = [self.scrape() for _ in range(scrapes)]
        self.wall.append((time.perf_counter() - start) * 1000 / scrapes)
        time.sleep(0.05)  # what the process still does for these scrapes counts too
        self.cpu.append((self._cpu_seconds() - cpu) * 1000 / scrapes)
        if len({gzip.decompress(body).count(b"\n") for body in bodies}) != 1:
            raise Wrong(f"{self.name}: the scrapes of a round differ in length")

    def _cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime + stime

    def peak_mib(self) -> float:
        """VmHWM."""
        return int(Path(f"/proc/{self._pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def listening(port: int) -> bool:
    """Whether something answers there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def spread(values: Sequence[float], form: str = "{:.1f}") -> str:
    """Minimum, median and maximum; a single value as it is."""
    picked = (min, statistics.median, max) if len(values) > 1 else (min,)
    return " ".join(form.format(pick(values)).rjust(7) for pick in picked)


def report(ours: Scraped, theirs: Scraped, size: int) -> None:
    """Print the table."""
    print(f"{size} series; minimum, median, maximum of {len(ours.cpu)} rounds; {os.cpu_count()} CPUs")
    print(f"{'':16}{'ours':>24}  {'snmp_exporter':>24}  {'ours/theirs, paired':>24}")
    for label, mine, other in [
        ("CPU ms/scrape", ours.cpu, theirs.cpu),
        ("wall ms/scrape", ours.wall, theirs.wall),
        ("peak memory MiB", [ours.peak_mib()], [theirs.peak_mib()]),
    ]:
        ratios = [a / b if b else float("inf") for a, b in zip(mine, other, strict=True)]
        print(f"{label:16}{spread(mine):>24}  {spread(other):>24}  {spread(ratios, '{:.2f}'):>24}")


def main() -> int:
    """Start all, compare, measure, report."""
    binary = shutil.which(BINARY)
    if binary is None:
        print(f"{BINARY} is not here: `make test` fetches it into .tools.", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    print(subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stderr.partition("\n")[0])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(switch(folder))
        running = stack.enter_context(exporter(folder, v2c_config(public_v2=COMMUNITY)))
        config, output, port = folder / "snmp.yml", folder / "reference.log", free_port(socket.SOCK_STREAM)
        config.write_text(yaml.dump(reference_config(COMMUNITY)))  # 25 rows a request, as snmp_exporter defaults to
        argv = [binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
        child = stack.enter_context(process(argv, output))
        wait_for(lambda: listening(port), child, output)
        ours = Scraped("ours", running.child.pid, int(running.base.rpartition(":")[2]), target)
        theirs = Scraped("snmp_exporter", child.pid, port, target)
        series = ours.series()
        if different := series ^ theirs.series():
            raise Wrong(f"{len(different)} series are not in both, such as {next(iter(different))}")
        for number in range(-1, ROUNDS):
            for side in (ours, theirs) if number % 2 == 0 else (theirs, ours):
                side.round(SCRAPES if number >= 0 else WARM_UP)
        del ours.cpu[0], ours.wall[0], theirs.cpu[0], theirs.wall[0]  # the warm-up
        report(ours, theirs, len(series))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as problem:
        sys.exit(f"no measurement: {problem}")
