"""Is a box what it must be? Looked up in the kernel's own words, on each box, before anything is asked of it.

"Could be reached from live" means: a network interface but lo, a namespace that is the machine's, a user who is one
of the machine's, a file system of the machine other than the room and the trusted programs (those read-only), a
process outside the limits, or one that may gain privileges.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egovctl.drill.scratch.room import IDS

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
# Made by the kernel in every namespace when a tunnel's module is loaded; down, and without anything below them.
FALLBACKS = {"tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"}
MEMORY_ONLY = {
    *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "devpts", "fusectl", "hugetlbfs", "mqueue", "proc"),
    *("ramfs", "securityfs", "sysfs", "tmpfs"),
}


@dataclass(frozen=True)
class Expected:
    """What is right for a box: its users' first number, its room, what else it may see (read-only)."""

    base: int
    room: Path
    readonly: frozenset[str]
    group: str


def faults(pid: int, expected: Expected) -> list[str]:
    """What is wrong with the box whose PID 1 this is; empty when nothing is."""
    process = Path(f"/proc/{pid}")
    try:
        return [
            *(f"{name} namespace of the machine" for name in NAMESPACES if _same_namespace(process, name)),
            *(f"interface {name}" for name in _interfaces(process) if name != "lo" and name not in FALLBACKS),
            *_users(process, expected.base),
            *_mounts(process, expected),
            *_privileges(process),
            *_groups(process, expected.group),
        ]
    except (OSError, IndexError, ValueError) as error:
        return [f"it has ended or cannot be looked at: {error}"]


def _same_namespace(process: Path, name: str) -> bool:
    return (process / "ns" / name).readlink() == Path(f"/proc/self/ns/{name}").readlink()


def _interfaces(process: Path) -> list[str]:
    lines = (process / "net/dev").read_text(encoding="ascii").splitlines()[2:]
    return [line.split(":")[0].strip() for line in lines]


def _users(process: Path, base: int) -> Iterator[str]:
    for name in ("uid_map", "gid_map"):
        found = (process / name).read_text(encoding="ascii").split()
        if found != ["0", str(base), str(IDS)]:
            yield f"{name} {' '.join(found)}"


def _mounts(process: Path, expected: Expected) -> Iterator[str]:
    device = os.lstat(expected.room).st_dev
    of_room = f"{os.major(device)}:{os.minor(device)}"
    for line in (process / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        left, right = line.split(" - ")
        words, kind = left.split(), right.split()[0]
        number, where, options = words[2], words[4], words[5].split(",")
        if kind in MEMORY_ONLY or number == of_room:
            continue
        if "ro" in options and any(where == top or where.startswith(f"{top}/") for top in expected.readonly):
            continue
        yield f"{kind} of the machine at {where} ({words[5]})"


def _privileges(process: Path) -> Iterator[str]:
    lines = (process / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    found = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    for name, wanted in (("NoNewPrivs", "1"), ("Seccomp", "2")):
        if found.get(name, "?").strip() != wanted:
            yield f"{name} {found.get(name, '?').strip()}"


def _groups(process: Path, group: str) -> Iterator[str]:
    """Limits: in each hierarchy that has the controller."""
    lines = [line.split(":", 2) for line in (process / "cgroup").read_text(encoding="utf-8").splitlines()]
    controllers = {word: path for _, words, path in lines for word in words.split(",")}
    for word in ("memory", "pids"):
        if group not in controllers.get(word, controllers.get("", "")):
            yield f"no limit of {word}"
