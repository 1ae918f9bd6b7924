"""Namespaces, veth pairs, bridges and shaping on the machine, by iproute2; and their removal."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import defaultdict
from pathlib import Path

from egovctl.lab.names import FABRIC, NETNS, LabNames
from egovctl.lab.run import run
from egovctl.lab.wiring import INTERNET, MANAGEMENT, Wire, Wiring

MIN_BURST = 65_536  # one offloaded packet of a veth
BURST_SECONDS = 0.01
QUEUE_MILLISECONDS = 50


def lay(names: LabNames, wiring: Wiring) -> None:
    """Make all of the lab's network. Raises EgovError at the first thing that fails; `remove` clears what is there."""
    for short in wiring.namespaces:
        run(["ip", "netns", "add", names.netns(short)])
        _quiet(names, short)
    run(["ip", "-batch", "-"], given="".join(_veth(names, wire) for wire in wiring.wires))
    lines = _commands(wiring)
    for short in wiring.namespaces:
        run(["ip", "-n", names.netns(short), "-batch", "-"], given="\n".join(lines[short]) + "\n")
    shaping: dict[str, list[str]] = defaultdict(list)
    for wire in wiring.wires:
        for short, interface in (wire.a, wire.b) if wire.mbps else ():
            shaping[short].append(shape_command(interface, wire.mbps or 0))
    for short, commands in shaping.items():
        run(["tc", "-n", names.netns(short), "-batch", "-"], given="\n".join(commands) + "\n")


def shape_command(interface: str, mbps: int) -> str:
    """A token bucket for one direction; the burst is 10 ms of traffic, never less than one offloaded packet."""
    burst = max(MIN_BURST, int(mbps * 1e6 / 8 * BURST_SECONDS))
    return f"qdisc replace dev {interface} root tbf rate {mbps}mbit burst {burst} latency {QUEUE_MILLISECONDS}ms"


def _veth(names: LabNames, wire: Wire) -> str:
    (ns_a, if_a), (ns_b, if_b) = wire.a, wire.b
    return f"link add {if_a} netns {names.netns(ns_a)} type veth peer name {if_b} netns {names.netns(ns_b)}\n"


def _quiet(names: LabNames, short: str) -> None:
    """A new namespace inherits the machine's IPv4 switches: start from a plain host's. Roles set what they need."""
    values = {
        "net.ipv4.ip_forward": 0,
        "net.ipv4.conf.all.rp_filter": 0,
        "net.ipv4.conf.default.rp_filter": 0,
        "net.ipv6.conf.all.forwarding": 0,
        "net.ipv6.conf.default.accept_ra": 0,
        "net.ipv6.conf.default.accept_dad": 0,
    }
    script = "\n".join(f"echo {value} > /proc/sys/{key.replace('.', '/')}" for key, value in values.items())
    run(["nsenter", f"--net={names.netns_path(short)}", "sh", "-e"], given=script)


def _commands(wiring: Wiring) -> dict[str, list[str]]:
    """`ip` commands for each namespace: bridges, ports, management addresses, and all of a bare host."""
    lines: dict[str, list[str]] = defaultdict(list)
    for short in wiring.namespaces:
        lines[short].append("link set lo up")
    for bridge in wiring.bridges:
        lines[FABRIC].append(f"link add {bridge} type bridge mcast_snooping 0")
        lines[FABRIC].append(f"link set {bridge} addrgenmode none up")
    for port in wiring.ports:
        lines[FABRIC].append(f"link set {port.interface} addrgenmode none master {port.bridge} up")
        if port.isolated:
            lines[FABRIC].append(f"link set {port.interface} type bridge_slave isolated on")
    if wiring.internet is not None:
        lines[FABRIC].append(f"addr add {wiring.internet} dev {INTERNET}")
    for wire in wiring.wires:
        for short, interface in (wire.a, wire.b):
            if short != FABRIC:
                lines[short].append(f"link set {interface} up")
    for short, address in wiring.management.items():
        lines[short].append(f"addr add {address} dev {MANAGEMENT}")
    for short, bare in wiring.bare.items():
        lines[short].extend(f"addr add {address} dev {interface}" for interface, address in bare.addresses)
        for gateway in bare.gateways:
            lines[short].append(f"route replace {'::/0' if ':' in gateway else '0.0.0.0/0'} via {gateway}")
    return lines


def leftovers(names: LabNames, known: tuple[str, ...], others: set[str]) -> list[str]:
    """Full names of this lab's namespaces: those recorded, and those only their prefix tells, unless another lab's."""
    prefix = names.netns("")
    found = {path.name for path in NETNS.glob(f"{prefix}*")} - others if NETNS.is_dir() else set()
    recorded = {names.netns(short) for short in known}
    return sorted(found | {name for name in recorded if (NETNS / name).exists()})


def processes_in(namespaces: list[str]) -> set[int]:
    """Processes whose network is one of these namespaces: shells, proxies, whatever was started in them."""
    inodes = set()
    for name in namespaces:
        with contextlib.suppress(OSError):
            status = (NETNS / name).stat()
            inodes.add((status.st_dev, status.st_ino))
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                status = (entry / "ns" / "net").stat()
                if (status.st_dev, status.st_ino) in inodes:
                    found.add(int(entry.name))
    return found


def remove(namespaces: list[str], patience: float = 5.0) -> None:
    """End what still runs in the namespaces, then delete them. An empty file that a crash left is deleted too."""
    deadline = time.monotonic() + patience
    while (pids := processes_in(namespaces)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    for name in namespaces:
        done = run(["ip", "netns", "del", name], check=False)
        if done.returncode:
            run(["umount", "-l", NETNS / name], check=False)
            (NETNS / name).unlink(missing_ok=True)
