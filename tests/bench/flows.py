"""What counting flows costs a router: by the kernel's sets as the role `flows` has them, and by pmacctd beside it.

    python tests/bench/flows.py [--rounds 7] [--packets 150000] [--pmacctd PROGRAM]

Three network namespaces in a row; the first sends datagrams of 500 octets to many addresses through the second, which
forwards them. Packets over veth are forwarded in the sender's own processor time (unless the kernel accounts for
interrupts apart: IRQ_TIME_ACCOUNTING), so what a packet takes longer with counting than without is what it costs.
pmacctd (Debian 12 has 1.7.7; it is not installed by the suite) reads the same packets in a process of its own, whose
processor time is added. Then: what one look costs with few and many pairs, and what those take in the kernel's memory.
Needs root; nothing of it is left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from egovctl.paths import Inventory
from egovctl.render import render_city

NAMES = ("egovbench-a", "egovbench-r", "egovbench-b")
SEND = """
import socket, sys, time
packets, pairs = int(sys.argv[1]), int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
to = [(f"10.{64 + n // 62500 % 8}.{n // 250 % 250}.{n % 250 + 1}", 9) for n in range(pairs)]
data, send, count = bytes(472), s.sendto, 0
begin = time.process_time()
while count < packets:
    for place in to:
        send(data, place)
    count += pairs
print((time.process_time() - begin) / count)
"""
WIRES = """
for n in a r b; do ip netns add egovbench-$n; ip -n egovbench-$n link set lo up; done
ip link add ra netns egovbench-r type veth peer name eth0 netns egovbench-a
ip link add rb netns egovbench-r type veth peer name eth0 netns egovbench-b
ip -n egovbench-a address add 198.18.0.2/30 dev eth0; ip -n egovbench-a link set eth0 up
ip -n egovbench-b address add 198.18.0.6/30 dev eth0; ip -n egovbench-b link set eth0 up
ip -n egovbench-r address add 198.18.0.1/30 dev ra; ip -n egovbench-r link set ra up
ip -n egovbench-r address add 198.18.0.5/30 dev rb; ip -n egovbench-r link set rb up
ip -n egovbench-a route add default via 198.18.0.1; ip -n egovbench-r route add 10.64.0.0/11 via 198.18.0.6
ip netns exec egovbench-r sysctl -qw net.ipv4.ip_forward=1
ip netns exec egovbench-b nft 'add table ip d; \
  add chain ip d p { type filter hook prerouting priority 0; policy drop; }'
"""
PMACCTD = """\
daemonize: false
pcap_interface: rb
pcap_filter: ip or ip6
snaplen: 96
aggregate: src_host, dst_host
plugins: memory
imt_path: {folder}/pipe
imt_mem_pools_number: 64
imt_mem_pools_size: 65536
"""


def at(name: str, *argv: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    command = ["ip", "netns", "exec", name, *argv]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True)


@contextmanager
def wires() -> Iterator[None]:
    try:
        subprocess.run(["sh", "-ec", WIRES], check=True)
        yield
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def sent(packets: int, pairs: int) -> float:
    """Processor seconds a packet takes from the sender to the last namespace."""
    return float(at(NAMES[0], sys.executable, "-I", "-c", SEND, str(packets), str(pairs)).stdout)


def spent(process: subprocess.Popen[bytes]) -> float:
    """Processor seconds of a process and its children that still run."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process.pid or path.parent.name == str(process.pid):
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def with_pmacctd(program: str, folder: Path, packets: int, pairs: int) -> tuple[float, float]:
    """(processor seconds a packet takes to send, and those of pmacctd itself)."""
    (folder / "pmacctd.conf").write_text(PMACCTD.format(folder=folder), encoding="utf-8")
    command = ["ip", "netns", "exec", NAMES[1], program, "-f", str(folder / "pmacctd.conf")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            time.sleep(2)
            before = spent(process)
            each = sent(packets, pairs)
            time.sleep(2)
            return each, (spent(process) - before) / packets
        finally:
            process.terminate()


def forwarding(table: str, options: argparse.Namespace, folder: Path) -> None:
    drop = "delete table inet egov_flows"
    for pairs in (100, 5000):
        seen: dict[str, list[float]] = {"without": [], "kernel": [], "pmacctd": [], "pmacctd itself": []}
        for _ in range(options.rounds):
            seen["without"].append(sent(options.packets, pairs))
            at(NAMES[1], "nft", "-f", "-", given=table)
            seen["kernel"].append(sent(options.packets, pairs))
            at(NAMES[1], "nft", drop)
            if options.pmacctd:
                each, own = with_pmacctd(options.pmacctd, folder, options.packets, pairs)
                seen["pmacctd"].append(each)
                seen["pmacctd itself"].append(own)
        print(f"{pairs} pairs, {options.packets} packets, {options.rounds} rounds, ns a packet:")
        for name, values in seen.items():
            if values:
                best, middle = min(values) * 1e9, statistics.median(values) * 1e9
                print(f"  {name:<16} best {best:7.0f}  median {middle:7.0f}")
        cost = min(seen["kernel"]) - min(seen["without"])
        said = "{:.0f} ns a packet, {:.1f} % of a core at 100,000 a second"
        print("  counting in the kernel:", said.format(cost * 1e9, cost * 1e7))
        if seen["pmacctd"]:
            cost = min(seen["pmacctd"]) - min(seen["without"]) + min(seen["pmacctd itself"])
            print("  pmacctd:", said.format(cost * 1e9, cost * 1e7))


def looking(table: str, settings: bytes, program: Path, folder: Path, rounds: int) -> None:
    (folder / "flows.json").write_bytes(settings)
    command = [str(program), "look", "--config", str(folder / "flows.json"), "--state", str(folder / "last.json")]
    command = ["ip", "netns", "exec", NAMES[1], "/usr/bin/python3", "-I", *command, "--metrics", str(folder)]
    for pairs in (0, 100, 5000, 16_384):
        at(NAMES[1], "nft", "-f", "-", given=table)
        if pairs:
            sent(pairs, pairs)
        costs = []
        for _ in range(rounds):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        told = json.loads((folder / "last.json").read_text(encoding="utf-8"))
        cost = statistics.median(costs)
        share = f"{cost * 1000:.0f} ms, {cost / 30 * 100:.2f} % of a core each 30 s"
        print(f"a look at {len(told['pairs'])} pairs: {share}")
    at(NAMES[1], "nft", "-f", "-", given=table)
    before = kernel_bytes()
    sent(16_384, 16_384)
    print(f"16,384 pairs: {(kernel_bytes() - before) / 1e6:.1f} MB of the kernel's memory, with what others changed")


def kernel_bytes() -> int:
    """What the kernel itself uses: slabs and counters of each processor."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words[0] in ("Slab:", "Percpu:"))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--packets", type=int, default=150_000)
    parser.add_argument("--pmacctd", default="", help="the program, to measure it beside")
    options = parser.parse_args()
    files = render_city(Inventory.find("wuwei")).hosts["core1"].files
    table = files["/etc/egov/flows.nft"].decode()
    program = Path(__file__).resolve().parents[2] / "playbooks/roles/flows/files/egov-flows"
    with wires(), tempfile.TemporaryDirectory() as name:
        forwarding(table, options, Path(name))
        looking(table, files["/etc/egov/flows.json"], program, Path(name), options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
