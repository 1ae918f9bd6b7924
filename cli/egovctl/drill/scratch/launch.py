"""Starts a box, or enters one: the last trusted program before hostile content. usage: launch.py DESCRIPTOR

The descriptor is a file with the specification, in JSON:

    {"parent": PID, "groups": [cgroup.procs files], "boot": {"seconds": N, "staging": FOLDER, "files": {name: text},
     "argv": [systemd-nspawn ...]}}
    {"parent": PID, "groups": [...], "enter": {"pid": PID, "user": 0, "group": 0, "argv": [...], "environment": {}}}
    {"parent": PID, "groups": [], "no_namespaces": {"pid": PID}}

It dies with its parent, joins the box's cgroups before anything else, and gives what follows a seccomp filter that
stays whatever is executed. A boot has a PID namespace around systemd-nspawn, so that when one process is killed
nothing of the box is left, and a time after which that happens. Standard library and libseccomp only; run with -I -S.
It imports nothing once it is inside a box: modules would be hostile there.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
NEW_NS, NEW_CGROUP, NEW_UTS, NEW_IPC, NEW_USER = 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000
NEW_PID, NEW_NET = 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_SLAVE = 2, 4, 8, 4096, 16384, 1 << 19
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1  # SCMP_ACT_ERRNO(EPERM)
# clone3's flags cannot be looked at. At ENOSYS libc makes its threads with clone, at EPERM none.
NOT_THERE, ASKED_OTHERWISE = 0x00050000 | 38, ("clone3",)
EQUAL, GREATER, MASKED = 4, 6, 7
LAST_CAPABILITY = 63

# What nothing in a box needs, beside what systemd-nspawn itself refuses. Sockets: a machine's hypervisor answers on
# AF_VSOCK (40) whatever the network namespace; the other families are rare code of the kernel. io_uring makes
# sockets without socket().
NEVER = [
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "keyctl",
    "add_key",
    "request_key",
    "open_by_handle_at",
    "iopl",
    "ioperm",
    "swapon",
    "swapoff",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "acct",
    "quotactl",
    "quotactl_fd",
    "lookup_dcookie",
    "syslog",
    "fanotify_init",
    "process_vm_writev",
    "kcmp",
    "vmsplice",
]
# Who enters comes past the filter of systemd-nspawn, and has nothing to mount or to trace.
NOT_WHO_ENTERS = [
    "mount",
    "umount2",
    "pivot_root",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "unshare",
    "setns",
    "clone3",
    "ptrace",
    "process_vm_readv",
    "mknod",
    "mknodat",
    "reboot",
    "chroot",
]
FAMILIES = (3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15)  # and all above 16: what is left is UNIX, INET, INET6, NETLINK
CAPABILITIES_WHO_ENTERS = (0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 13)  # files, kill, set*id, bind, net admin and raw


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> None:
    """A function of libc; its failure is an OSError."""
    if getattr(libc, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument."""
    call("prctl", option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def prepare_filter(more: Iterable[str] = ()) -> Callable[[], None]:
    """A seccomp filter, ready to be loaded: all libraries are open already. Other ABIs (32 bit, x32) are killed."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ALLOW)))

    def refuse(name: str, *comparisons: Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # not on this architecture
            return
        action = NOT_THERE if name in ASKED_OTHERWISE else REFUSE
        array = (Comparison * max(1, len(comparisons)))(*comparisons)
        if library.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(comparisons), array) < 0:
            raise OSError(f"seccomp: no rule for {name}")

    for name in (*NEVER, *more):
        refuse(name)
    for family in FAMILIES:
        refuse("socket", Comparison(0, EQUAL, family, 0))
    refuse("socket", Comparison(0, GREATER, 16, 0))
    if more:
        refuse("clone", Comparison(0, MASKED, NEW_USER, NEW_USER))

    def load() -> None:
        if library.seccomp_load(context) < 0:
            raise OSError("seccomp: the filter was not loaded")

    return load


def die_with(parent: int) -> None:
    """From here on this process does not outlive its parent."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(125)


def join(groups: Iterable[str]) -> None:
    """Into the box's cgroups, before anything else: its limits hold for what prepares it, too."""
    for path in groups:
        with open(path, "w", encoding="ascii") as stream:
            stream.write("0")


def boot(wanted: dict[str, Any]) -> int:
    """systemd-nspawn as PID 1 of a namespace; this process waits for it, kills it in time, and ends as it did."""
    me = os.getpid()
    call("unshare", NEW_PID | NEW_NS)
    child = os.fork()
    if child == 0:
        try:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # os.getppid() is 0 here: the parent is outside
            if not os.path.exists(f"/proc/{me}"):
                os._exit(125)
            stage(wanted["staging"], wanted["files"])
            prepare_filter()()
            environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_NSPAWN_LOCK": "0", "LC_ALL": "C.UTF-8"}
            environment |= {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
            os.execvpe(wanted["argv"][0], wanted["argv"], environment)
        except BaseException as error:
            print(f"launch: {error}", file=sys.stderr, flush=True)
            os._exit(125)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, wanted["seconds"])
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def stage(staging: str, files: dict[str, str | None]) -> None:
    """A mount namespace in which nothing of the machine's own state is shown to the box: /proc of this PID namespace,
    an empty folder for what systemd-nspawn notes, a root of a few files for boxes of programs (`files`: None makes
    a folder, a text that begins with -> a link), and nothing of the machine's os-release.
    """
    call("mount", None, b"/", None, MS_REC | MS_SLAVE, None)
    call("mount", b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None)
    call("mount", b"tmpfs", os.fsencode(staging), b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=755,size=4M")
    os.umask(0o022)
    for name, text in files.items():
        path = os.path.join(staging, "root", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if text is None:
            os.makedirs(path, exist_ok=True)
        elif text.startswith("->"):
            os.symlink(text[2:], path)
        else:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
    empty = os.path.join(staging, "os-release")
    with open(empty, "w", encoding="ascii") as stream:
        stream.write("ID=scratch\n")
    os.makedirs(os.path.join(staging, "nspawn"), exist_ok=True)
    # Where no container ever ran this is missing; systemd-nspawn would make it behind our back and show it to the box.
    os.makedirs("/run/systemd/nspawn", exist_ok=True)
    for source, target in ((empty, os.path.realpath("/etc/os-release")), (f"{staging}/nspawn", "/run/systemd/nspawn")):
        if os.path.exists(target):
            call("mount", os.fsencode(source), os.fsencode(target), None, MS_BIND, None)


def enter(wanted: dict[str, Any]) -> None:
    """All namespaces of the box's PID 1, no capability that the box has not, no way to gain one; then the program."""
    load = prepare_filter(NOT_WHO_ENTERS)
    target = os.pidfd_open(wanted["pid"])
    argv = [os.fsencode(word) for word in wanted["argv"]]
    environment = {os.fsencode(key): os.fsencode(value) for key, value in wanted["environment"].items()}
    group, user = wanted["group"], wanted["user"]
    me = os.getpid()
    if os.readlink(f"/proc/{wanted['pid']}/ns/user") == os.readlink("/proc/self/ns/user"):
        raise OSError("the box is gone")
    call("setns", target, NEW_USER | NEW_NS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_NET | NEW_PID)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # another user namespace, another prctl: it was forgotten
    child = os.fork()
    if child:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
            signal.signal(number, lambda received, _: forward(child, received))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code < 0:
            signal.signal(-code, signal.SIG_DFL)
            os.kill(me, -code)
        os._exit(code if code >= 0 else 128 - code)
    os.setsid()
    os.chdir(b"/")
    for capability in set(range(LAST_CAPABILITY + 1)) - set(CAPABILITIES_WHO_ENTERS):
        libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)  # fails where the kernel has no such one
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    load()
    try:
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        os.write(2, os.fsencode(f"{wanted['argv'][0]}: {error.strerror}\n"))
        os._exit(127)


def forward(child: int, number: int) -> None:
    """A signal for the program and its process group; SIGUSR1 stands for SIGKILL, which nobody can forward."""
    try:
        os.killpg(child, signal.SIGKILL if number == signal.SIGUSR1 else number)
    except ProcessLookupError:
        pass


def no_namespaces(wanted: dict[str, Any]) -> None:
    """Nobody in the box may make a user namespace in it: most of the kernel's holes begin with one."""
    call("setns", os.pidfd_open(wanted["pid"]), NEW_USER)
    with open("/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as stream:
        stream.write("0")


def main() -> int:
    with open(int(sys.argv[1]), "rb") as stream:
        stream.seek(0)
        specification = json.loads(stream.read())
    die_with(specification["parent"])
    # 1, not 0: a core_pattern that is a pipe would still run its program on the machine for 0.
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    join(specification["groups"])
    if "boot" in specification:
        return boot(specification["boot"])
    if "enter" in specification:
        enter(specification["enter"])
    else:
        no_namespaces(specification["no_namespaces"])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        print(f"launch: {error}", file=sys.stderr)
        sys.exit(125)
