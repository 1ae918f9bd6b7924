"""Namespaces, veth pairs, bridges and shaping on the machine, by iproute2; and their removal."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from egovctl.errors import EgovError
from egovctl.i18n import tr
from egovctl.lab.facts import KINDS, Fact, Kind, facts_of
from egovctl.lab.names import FABRIC, NETNS, LabNames
from egovctl.lab.run import run
from egovctl.lab.wiring import Wiring

MIN_BURST = 65_536  # one offloaded packet of a veth
BURST_SECONDS = 0.01
QUEUE_MILLISECONDS = 50


def lay(names: LabNames, wiring: Wiring) -> None:
    """Make all of the lab's network. Raises EgovError at the first thing that fails; `remove` clears what is there."""
    make(names, facts_of(wiring))


def make(names: LabNames, facts: Iterable[Fact]) -> None:
    """Make these things, in a network that has all that they stand on; one that is there already is set right."""
    found = sorted(facts)
    new = {name for name in _words(found, "netns") if not names.netns_path(name).exists()}
    for name in sorted(new):
        run(["ip", "netns", "add", names.netns(name)])
        _quiet(names, name)
    wires = [fact.words for fact in found if fact.kind == "wire"]
    missing = [words for words in wires if {words[0], words[2]} & new or not _has(names, words[0], words[1])]
    run(["ip", "-batch", "-"], given="".join(_veth(names, words) for words in missing))
    bridges = [name for name in _words(found, "bridge") if FABRIC in new or not _has(names, FABRIC, name)]
    added = "".join(f"link add {name} type bridge mcast_snooping 0\n" for name in bridges)
    run(["ip", "-n", names.netns(FABRIC), "-batch", "-"], given=added)
    for name, lines in commands(found).items():
        run(["ip", "-n", names.netns(name), "-batch", "-"], given="\n".join(lines) + "\n")
    shaping: dict[str, list[str]] = defaultdict(list)
    for fact in found:
        if fact.kind == "shape":
            name, interface, mbps = fact.words
            shaping[name].append(shape_command(interface, int(mbps)))
    for name, lines in shaping.items():
        run(["tc", "-n", names.netns(name), "-batch", "-"], given="\n".join(lines) + "\n")


def unmake(names: LabNames, facts: Sequence[Fact]) -> None:
    """Remove these things, in their order; what is gone already, or goes with another, is no fault.

    Raises EgovError when an interface stays all the same: a new one of its name would be taken for made.
    """
    lines: dict[str, list[str]] = defaultdict(list)
    ends: set[tuple[str, str]] = set()
    for fact in facts:
        match fact.kind, fact.words:
            case "route", (name, gateway):
                lines[name].append(f"route del {_everywhere(gateway)} via {gateway}")
            case "address", (name, interface, address):
                lines[name].append(f"addr del {address} dev {interface}")
            case "port", (_, interface, _):
                lines[FABRIC].append(f"link set {interface} nomaster")
            case "wire", (one, first, other, second):
                ends |= {(one, first), (other, second)}
            case "bridge", (bridge,):
                ends.add((FABRIC, bridge))
    for name, interface in sorted(ends):
        lines[name].append(f"link del {interface}")
    for name, items in lines.items():
        if names.netns_path(name).exists():
            run(["ip", "-n", names.netns(name), "-force", "-batch", "-"], given="\n".join(items) + "\n", check=False)
    for name, interface in sorted(ends):
        if names.netns_path(name).exists() and _has(names, name, interface):
            raise EgovError(
                tr(f"{name} 的接口 {interface} 无法移除", f"interface {interface} of {name} could not be removed")
            )
    for fact in facts:
        if fact.kind == "shape":
            name, interface, _ = fact.words
            run(["tc", "-n", names.netns(name), "qdisc", "del", "dev", interface, "root"], check=False)
    remove([names.netns(name) for name in _words(facts, "netns")])


def forget_neighbours(names: LabNames, shorts: Iterable[str]) -> None:
    """Who was replaced has another hardware address: these namespaces ask again instead of calling the old one."""
    for name in shorts:
        run(["ip", "-n", names.netns(name), "neigh", "flush", "all"], check=False)


def _words(facts: Iterable[Fact], kind: Kind) -> list[str]:
    return [fact.words[0] for fact in facts if fact.kind == kind]


def _has(names: LabNames, name: str, interface: str) -> bool:
    return run(["ip", "-n", names.netns(name), "link", "show", "dev", interface], check=False).returncode == 0


def shape_command(interface: str, mbps: int) -> str:
    """A token bucket for one direction; the burst is 10 ms of traffic, never less than one offloaded packet."""
    burst = max(MIN_BURST, int(mbps * 1e6 / 8 * BURST_SECONDS))
    return f"qdisc replace dev {interface} root tbf rate {mbps}mbit burst {burst} latency {QUEUE_MILLISECONDS}ms"


def _veth(names: LabNames, words: tuple[str, ...]) -> str:
    one, first, other, second = words
    return f"link add {first} netns {names.netns(one)} type veth peer name {second} netns {names.netns(other)}\n"


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


def commands(facts: Iterable[Fact]) -> dict[str, list[str]]:
    """`ip` commands for each namespace, for interfaces that are there: states, ports, addresses, routes."""
    lines: dict[str, list[str]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: KINDS.index(fact.kind)):
        match fact.kind, fact.words:
            case "netns", (name,):
                lines[name].append("link set lo up")
            case "bridge", (bridge,):
                lines[FABRIC].append(f"link set {bridge} addrgenmode none up")
            case "wire", (one, first, other, second):
                for name, interface in ((one, first), (other, second)):
                    if name != FABRIC:
                        lines[name].append(f"link set {interface} up")
            case "port", (bridge, interface, isolated):
                lines[FABRIC].append(f"link set {interface} addrgenmode none master {bridge} up")
                if isolated:
                    lines[FABRIC].append(f"link set {interface} type bridge_slave isolated on")
            case "address", (name, interface, address):
                lines[name].append(f"addr replace {address} dev {interface}")
            case "route", (name, gateway):
                lines[name].append(f"route replace {_everywhere(gateway)} via {gateway}")
    return lines


def _everywhere(gateway: str) -> str:
    return "::/0" if ":" in gateway else "0.0.0.0/0"


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
