"""Tries to leave a box, every way it knows, and says how each try ended. usage: escape_kit.py FACTS (JSON)

Prints one JSON object: name of the try → "done" when it succeeded, else the errno's name, else what was seen. It is
part of the hostile image in test_drill_scratch.py, which runs the harmless ones outside as well: there they succeed,
so they are real. Standard library only.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import stat
import sys

MACHINE = json.loads(sys.argv[1])  # pid, port, abstract, address, disk ([major, minor]), group
CALLS = {
    "x86_64": {
        "bpf": 321,
        "io_uring_setup": 425,
        "open_by_handle_at": 304,
        "keyctl": 250,
        "kexec_load": 246,
        "init_module": 175,
        "perf_event_open": 298,
        "userfaultfd": 323,
        "clock_settime": 227,
    },
    "aarch64": {
        "bpf": 280,
        "io_uring_setup": 425,
        "open_by_handle_at": 265,
        "keyctl": 219,
        "kexec_load": 104,
        "init_module": 105,
        "perf_event_open": 241,
        "userfaultfd": 282,
        "clock_settime": 112,
    },
}
NEW_USER, NEW_NS = 0x10000000, 0x20000
libc = ctypes.CDLL(None, use_errno=True)
folder = MACHINE["folder"]


def call(name, *arguments):
    result = getattr(libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def system_call(name, *arguments):
    return call("syscall", CALLS[os.uname().machine][name], *arguments)


def opened(path, flags=os.O_WRONLY):
    """Nothing is written: that it could be written is enough, and harmless outside."""
    os.close(os.open(path, flags))


def mount(source, kind, flags=0, data=None):
    where = os.path.join(folder, "mount")
    os.makedirs(where, exist_ok=True)
    call("mount", source.encode(), where.encode(), kind.encode(), flags, data)
    return where


def core_limit():
    """A core larger than one octet would be handed to the machine's core_pattern, by the machine's root."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    except ValueError as error:
        raise PermissionError(errno.EPERM, str(error)) from error


def fresh_proc():
    opened(os.path.join(mount("proc", "proc"), "sys/kernel/core_pattern"))


def node(kind, path):
    path = os.path.join(folder, path)
    os.mknod(path, kind | 0o600, os.makedev(*MACHINE["disk"]))
    try:
        opened(path, os.O_RDONLY)
    finally:
        os.unlink(path)


def connect(family, address):
    with socket.socket(family) as stream:
        stream.settimeout(3)
        stream.connect(address)


def release_agent():
    """Of the cgroups that are there, or that can be mounted."""
    for top, _, files in os.walk("/sys/fs/cgroup"):
        if "release_agent" in files:
            return opened(os.path.join(top, "release_agent"))
    opened(os.path.join(mount("cgroup", "cgroup", 0, b"memory"), "release_agent"))


def own_limits():
    for top, _, files in os.walk("/sys/fs/cgroup"):
        for name in ("pids.max", "memory.max", "memory.limit_in_bytes"):
            if MACHINE["group"] in top and name in files:
                return opened(os.path.join(top, name))
    raise OSError(errno.ENOENT, "limits")


def setuid_helper():
    """The image's own setuid-root copy of id, as a user who is not root."""
    helper = MACHINE["helper"]
    status = os.stat(helper)
    assert status.st_mode & stat.S_ISUID and status.st_uid == 0, "no helper"
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
        os.execv(helper, ["id", "-u"])
    os.close(writing)
    said = os.read(reading, 100).strip()
    os.waitpid(child, 0)
    if said != b"0":
        raise OSError(errno.EPERM, f"euid {said!r}")


def trace():
    call("ptrace", 16, MACHINE["pid"], 0, 0)  # PTRACE_ATTACH
    os.waitpid(MACHINE["pid"], 0)
    call("ptrace", 17, MACHINE["pid"], 0, 0)


def fork_bomb():
    """How many children there can be at once; more than allowed is an escape."""
    children = []
    try:
        while len(children) <= MACHINE["processes"]:
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
        return
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def memory_hog():
    """A child touches more than the limit; it is killed, and lives to the end of it where there is none."""
    child = os.fork()
    if child == 0:
        kept = []
        for _ in range(MACHINE["memory"] >> 20):
            kept.append(b"x" * (1 << 20))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(errno.ENOMEM, f"ended {code}")


def disk_filler(preallocated):
    path = os.path.join(MACHINE["writable"], "filler")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        if preallocated:
            os.posix_fallocate(descriptor, 0, MACHINE["disk_octets"])
            return
        block, written = b"x" * (4 << 20), 0
        while written < MACHINE["disk_octets"]:
            written += os.write(descriptor, block)
    finally:
        os.close(descriptor)
        os.unlink(path)


def hostname():
    """A host name is the box's own; what the machine is called is looked at outside."""
    call("sethostname", b"escaped", 7)


def swapped_root():
    """Up and out through a folder that was opened before chroot."""
    descriptor = os.open("/", os.O_RDONLY)
    os.makedirs(os.path.join(folder, "jail"), exist_ok=True)
    os.chroot(os.path.join(folder, "jail"))
    try:
        os.fchdir(descriptor)
        for _ in range(64):
            os.chdir("..")
        os.chroot(".")
        opened(MACHINE["secret"], os.O_RDONLY)
    finally:
        os.fchdir(descriptor)
        os.chroot(".")


def everybody():
    """All that can be seen get the signal that asks nothing."""
    for name in os.listdir("/proc"):
        if name.isdigit() and os.path.exists(f"/proc/{name}/environ"):
            with open(f"/proc/{name}/cmdline", "rb") as stream:
                words = stream.read()
            if MACHINE["mark"].encode() in words and b"escape_kit" not in words:
                return os.kill(int(name), 0)
    raise OSError(errno.ESRCH, "nobody of the machine")


TRIES = {
    "core_pattern": lambda: opened("/proc/sys/kernel/core_pattern"),
    "core_pattern in a fresh proc": fresh_proc,
    "core limit": core_limit,
    "modprobe path": lambda: opened("/proc/sys/kernel/modprobe"),
    "uevent_helper": lambda: opened("/sys/kernel/uevent_helper"),
    "sysrq-trigger": lambda: opened("/proc/sysrq-trigger"),
    "machine's disk, by name": lambda: opened(MACHINE["device"], os.O_RDONLY),
    "machine's disk, by node": lambda: node(stat.S_IFBLK, "node"),
    "machine's disk, mounted": lambda: mount(MACHINE["device"], MACHINE["kind"], 1),
    "machine's file": lambda: opened(MACHINE["secret"], os.O_RDONLY),
    "machine's file through a link": lambda: opened("/data/link" if os.path.lexists("/data/link") else "/link", 0),
    "machine's file past chroot": swapped_root,
    "kmsg": lambda: opened("/dev/kmsg"),
    "loop-control": lambda: opened("/dev/loop-control", os.O_RDWR),
    "fuse": lambda: opened("/dev/fuse", os.O_RDWR),
    "mem": lambda: opened("/dev/mem", os.O_RDONLY),
    "kill": lambda: os.kill(MACHINE["pid"], 0),
    "kill whom it can see": everybody,
    "ptrace": trace,
    "connect to the machine's lo": lambda: connect(socket.AF_INET, ("127.0.0.1", MACHINE["port"])),
    "connect to the machine's address": lambda: connect(socket.AF_INET, (MACHINE["address"], MACHINE["port"])),
    "connect to the machine's socket": lambda: connect(socket.AF_UNIX, "\0" + MACHINE["abstract"]),
    "vsock": lambda: socket.socket(40, socket.SOCK_STREAM).close(),
    "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "release_agent": release_agent,
    "own limits": own_limits,
    "setuid helper": setuid_helper,
    "nested users": lambda: call("unshare", NEW_USER | NEW_NS),
    "kernel keys": lambda: system_call("keyctl", 0, -3, 0),
    "bpf": lambda: system_call("bpf", 0, None, 0),
    "io_uring": lambda: system_call("io_uring_setup", 4, ctypes.create_string_buffer(256)),
    "perf": lambda: system_call("perf_event_open", ctypes.create_string_buffer(128), 0, -1, -1, 0),
    "userfaultfd": lambda: system_call("userfaultfd", 0),
    "handles": lambda: system_call("open_by_handle_at", os.open("/", 0), ctypes.create_string_buffer(64), 0),
    "module": lambda: system_call("init_module", None, 0, None),
    "kexec": lambda: system_call("kexec_load", 0, 0, None, 0),
    "clock": lambda: system_call("clock_settime", 0, None),
    "fork bomb": fork_bomb,
    "memory hog": memory_hog,
    "disk filler": lambda: disk_filler(False),
    "disk filler, at once": lambda: disk_filler(True),
    "host name": hostname,
}


def tried(attempt):
    """In a child: what a try does to its process is no matter for the next."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            attempt()
            said = "done"
        except OSError as error:
            said = errno.errorcode.get(error.errno, str(error))
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said or f"ended {code}"


if __name__ == "__main__":
    wanted = sys.argv[2:] or list(TRIES)
    print(json.dumps({name: tried(TRIES[name]) for name in wanted}))
