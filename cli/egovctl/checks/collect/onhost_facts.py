"""The read-only program that gathers how a host is set up: all groups in one pass, JSON back. Standard library only.

It is sent on standard input, stored nowhere, and writes nothing. It only fetches; what the answers mean is decided on
control. Password hashes and keys never leave the host: of /etc/shadow only the kind of each password does, and of files
that may hold other secrets only the lines that are asked for (LINES).
Python 3.9 or newer; protocol 1.
"""

from __future__ import annotations

import glob
import os
import re
import resource
import stat
import subprocess
import time
from typing import Any

PROTOCOL = 1
MOST = 1_000_000  # bytes of one answer; more is told as "cut" and not judged
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# apt's caches are switched off, so that simulating an upgrade leaves no file behind.
APT = ["apt-get", "-s", "-qq", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "-o"]
COMMANDS = {
    "sshd": {"sshd": ["sshd", "-T"]},
    "listening": {"ss": ["ss", "-H", "-lntup"]},
    # Without the elements of sets: some come and go with the traffic, and tell who talks to whom.
    "firewall": {"chains": ["nft", "-j", "list", "chains"], "rules": ["nft", "-s", "-t", "list", "ruleset"]},
    "units": {
        "enabled": ["systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--plain", "--no-pager"],
        "active": ["systemctl", "list-units", "--state=active", "--no-legend", "--plain", "--no-pager"],
        "failed": ["systemctl", "list-units", "--state=failed", "--no-legend", "--plain", "--no-pager"],
    },
    "packages": {
        "installed": ["dpkg-query", "-W", "-f=${db:Status-Status} ${Package} ${Version}\n"],
        "upgrades": [*APT, "Debug::NoLocking=true", "upgrade"],
        "states": ["dpkg-query", "-W", "-f=${db:Status-Want} ${db:Status-Status} ${Package}\n"],
        # By name: the whole of apt's settings may hold a proxy's password.
        "apt": [
            "apt-config",
            "shell",
            *("ALLOW_UNAUTHENTICATED", "APT::Get::AllowUnauthenticated"),
            *("ALLOW_INSECURE", "Acquire::AllowInsecureRepositories"),
            *("ALLOW_WEAK", "Acquire::AllowWeakRepositories"),
            *("ALLOW_DOWNGRADE", "Acquire::AllowDowngradeToInsecureRepositories"),
        ],
    },
    "interfaces": {"link": ["ip", "-j", "link", "show"], "peers": ["wg", "show", "all", "peers"]},
    "journal": {"journald": ["systemd-analyze", "cat-config", "systemd/journald.conf"]},
    "audit": {"status": ["auditctl", "-s"], "rules": ["auditctl", "-l"]},
}
FILES = {
    "passwords": [
        "/etc/login.defs",
        "/etc/pam.d/common-password",
        "/etc/pam.d/common-auth",
        "/etc/pam.d/sshd",
        "/etc/pam.d/login",
        "/etc/pam.d/su",
        "/etc/pam.d/sudo",
        "/etc/security/pwquality.conf",
        "/etc/security/faillock.conf",
    ],
    "accounts": ["/etc/passwd", "/etc/group"],
    "sudo": ["/etc/sudoers", "/etc/sudoers.d/*", "/etc/group"],
    "modules": ["/proc/modules", "/etc/modprobe.d/*.conf", "/etc/usbguard/rules.conf"],
    "logs": ["/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf"],
    "session": [
        "/etc/profile",
        "/etc/profile.d/*.sh",
        "/etc/bash.bashrc",
        "/etc/issue",
        "/etc/issue.net",
        "/etc/ld.so.preload",
    ],
    "system": ["/etc/os-release", "/proc/uptime", "/etc/resolv.conf", "/etc/exports", "/etc/exports.d/*.exports"],
    "consoles": [
        "/etc/systemd/system/rescue.service",
        "/etc/systemd/system/rescue.service.d/*.conf",
        "/etc/systemd/system/emergency.service",
        "/etc/systemd/system/emergency.service.d/*.conf",
        "/etc/systemd/system/*getty@*.service.d/*.conf",
        "/etc/systemd/system/console-getty.service.d/*.conf",
    ],
    "machine": [
        "/proc/cmdline",
        "/sys/block/dm-*/dm/uuid",
        "/sys/class/tpm/tpm*/tpm_version_major",
        "/sys/firmware/efi/efivars/SecureBoot-*",
        "/sys/fs/selinux/enforce",
        "/sys/module/apparmor/parameters/enabled",
    ],
    "interfaces": ["/sys/class/net/*/phy80211/name"],
}
# Of these files only the lines that match; the rest may hold secrets.
SHELL_LINES = r"\s*(?:export\s+)?(?:PATH=|umask\s)"
LINES = {
    "session": {"/etc/environment": r"PATH=", "/root/.profile": SHELL_LINES, "/root/.bashrc": SHELL_LINES},
    "interfaces": {"/etc/wireguard/*.conf": r"\s*PublicKey\b"},
    "modes": {"/proc/self/mounts": r"\S+ (?:/tmp|/var/tmp|/dev/shm) "},
    "databases": {
        "/etc/postgresql/*/*/postgresql.conf": r"\s*archive_(?:mode|command|library)\b",
        "/etc/postgresql/*/*/conf.d/*.conf": r"\s*archive_(?:mode|command|library)\b",
        "/etc/postgresql/*/*/pg_hba.conf": r"\s*host\w*\s.*\strust\s*(?:#.*)?$",
    },
    "packages": {
        "/etc/apt/sources.list": r"\s*deb",
        "/etc/apt/sources.list.d/*.list": r"\s*deb",
        "/etc/apt/sources.list.d/*.sources": r"(?i)(?:uris|trusted|enabled):|\s*$",
    },
}
STATS = [
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d/*",
    "/etc/crontab",
    "/etc/cron.d/*",
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d/*.conf",
    "/etc/ssh/ssh_host_*_key",
    "/etc/egov/keys/*",
    "/etc/egov/borg_passphrase",
    "/etc/wireguard/*.conf",
    "/etc/snmp/*.conf",
    "/etc/borgmatic.d/*",
    "/root",
    "/home/*",
    "/home/*/.ssh/authorized_keys",
    "/root/.ssh/authorized_keys",
    "/var/log",
    "/var/log/journal",
    "/srv/borg",
    "/srv/pgbackrest",
    "/tmp",  # noqa: S108 - only its mode is asked for
    "/var/tmp",  # noqa: S108
    "/dev/shm",  # noqa: S108
    "/etc/hosts.equiv",
    "/etc/ssh/shosts.equiv",
    *(f"{home}/{name}" for home in ("/root", "/home/*") for name in (".netrc", ".rhosts", ".shosts")),
]
# Where nobody but root may write, and no stranger's setuid program may lie.
WALKED = ["/etc", "/usr/local", "/usr/bin", "/usr/sbin"]
CRONTABS = ["/etc/crontab", "/etc/cron.d/*"]
UNITS = "/etc/systemd/system/*.service"
SYSCTLS = [
    "fs.protected_hardlinks",
    "fs.protected_symlinks",
    "fs.suid_dumpable",
    "kernel.dmesg_restrict",
    "kernel.kptr_restrict",
    "kernel.randomize_va_space",
    "kernel.sysrq",
    "kernel.yama.ptrace_scope",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.all.accept_source_route",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.icmp_echo_ignore_broadcasts",
    "net.ipv4.tcp_syncookies",
    "net.ipv6.conf.all.accept_ra",
    "net.ipv6.conf.all.accept_redirects",
    "net.ipv6.conf.all.accept_source_route",
]
GROUPS = sorted({*COMMANDS, *FILES, *LINES, "certificates", "modes", "sysctls"})


def ask(argv: list[str], seconds: float) -> dict[str, Any]:
    """Run one command; its exit code and what it printed, or why there is no answer."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env={"PATH": PATH, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        return {"code": 127, "out": "", "err": argv[0] + " is not installed"}
    except subprocess.TimeoutExpired:
        return {"code": 124, "out": "", "err": argv[0] + " gave no answer in time"}
    except OSError as error:
        return {"code": 126, "out": "", "err": str(error)}
    return {
        "code": done.returncode,
        "out": done.stdout[:MOST].decode("utf-8", "replace"),
        "err": done.stderr.decode("utf-8", "replace").strip()[-300:],
        "cut": len(done.stdout) > MOST,
    }


def read(path: str) -> dict[str, Any]:
    """One regular file's text; a pipe or device is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return {"code": 1, "out": "", "err": "it is no file"}
            data = b""
            while len(data) <= MOST:
                piece = os.read(descriptor, 65536)
                if not piece:
                    break
                data += piece
        finally:
            os.close(descriptor)
    except OSError as error:
        return {"code": 127 if isinstance(error, FileNotFoundError) else 1, "out": "", "err": str(error.strerror)}
    return {"code": 0, "out": data[:MOST].decode("utf-8", "replace"), "err": "", "cut": len(data) > MOST}


def kind_of(password: str) -> str:
    """What the second field of /etc/shadow holds, without what is in it."""
    if password == "":
        return "empty"
    if password[0] in "!*":
        return "locked"
    if password.startswith("$"):
        return "hash " + password.split("$")[1][:8]
    return "hash des" if len(password) == 13 else "other"


def shadow() -> dict[str, Any]:
    """Name, kind of password and dates of each account, a line each, never the hash."""
    answer = read("/etc/shadow")
    lines = []
    for line in answer["out"].splitlines():
        fields = line.split(":")
        if len(fields) == 9:
            lines.append(":".join([fields[0], kind_of(fields[1]), *fields[2:8]]))
        else:
            lines.append("?")
    return {**answer, "out": "\n".join(lines)}


def stats() -> dict[str, Any]:
    """Type, mode and owner of each file of interest, and what anyone may write to in /etc."""
    found: dict[str, Any] = {}
    for pattern in STATS:
        for path in sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]:
            try:
                seen = os.lstat(path)
            except OSError:
                continue
            found[path] = [stat.S_IFMT(seen.st_mode), stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid]
    writable, setuid = [], []
    for path, mode in walk():
        sticky = stat.S_ISDIR(mode) and mode & stat.S_ISVTX
        if mode & 0o002 and not stat.S_ISLNK(mode) and not sticky:
            writable.append(path)
        if stat.S_ISREG(mode) and mode & stat.S_ISUID:
            setuid.append(path)
    return {
        "files": found,
        "writable": sorted(writable)[:100],
        "setuid": sorted(setuid)[:100],
        "jobs": sorted(path for path in jobs() if changeable(path))[:100],
    }


def walk() -> list[tuple[str, int]]:
    """Path and mode of everything below WALKED."""
    found = []
    for top in WALKED:
        for folder, folders, names in os.walk(top):
            for path in [folder] * (folder == top) + [os.path.join(folder, name) for name in folders + names]:
                try:
                    found.append((path, os.lstat(path).st_mode))
                except OSError:
                    continue
    return found


def jobs() -> set[str]:
    """The programs that root's jobs and units begin with."""
    found = []
    for pattern in CRONTABS:
        for path in glob.glob(pattern):
            lines = (line.split(None, 6) for line in read(path)["out"].splitlines())
            found += [words[6].split()[0] for words in lines if len(words) == 7 and words[5] == "root"]
    for path in glob.glob(UNITS):
        found += re.findall(r"^Exec\w+=[-@:+!]*(/\S+)", read(path)["out"], re.MULTILINE)
    return {path for path in found if path.startswith("/")}


def changeable(path: str) -> bool:
    """Whether somebody else may change a program, or put another one in its place. In a sticky folder such as /tmp
    whoever comes first may make it."""
    while True:
        try:
            mode = os.stat(path).st_mode
        except OSError:
            mode = 0
        if mode & 0o002:
            return True
        if path == "/":
            return False
        path = os.path.dirname(path)


def newest(folder: str) -> float:
    """When the newest file of a folder was changed; 0 when there is none."""
    times = [0.0]
    for path in glob.glob(folder + "/*_Packages*") + glob.glob(folder + "/*InRelease"):
        try:
            times.append(os.lstat(path).st_mtime)
        except OSError:
            continue
    return max(times)


def lines_of(path: str, pattern: str) -> dict[str, Any]:
    """The lines of a file that match, without names and passwords in addresses."""
    answer = read(path)
    kept = [line for line in answer["out"].splitlines() if re.match(pattern, line)]
    return {**answer, "out": "".join(re.sub(r"//[^/@\s]*@", "//", line) + "\n" for line in kept)}


def certificates(seconds: float) -> dict[str, Any]:
    """When each certificate of the suite ends, as openssl tells it."""
    argv = ["openssl", "x509", "-noout", "-enddate", "-in"]
    return {path: ask([*argv, path], seconds) for path in sorted(glob.glob("/etc/egov/keys/*.crt"))}


def gather(group: str, seconds: float) -> dict[str, Any]:
    """All answers of one group by query: a file's path, or a command's name."""
    answers: dict[str, Any] = {}
    for name, argv in COMMANDS.get(group, {}).items():
        answers[name] = ask(argv, seconds)
    for pattern in FILES.get(group, []):
        for path in sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]:
            answers[path] = read(path)
    for pattern, wanted in LINES.get(group, {}).items():
        for path in sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]:
            answers[path] = lines_of(path, wanted)
    if group == "certificates":
        answers |= certificates(seconds)
    if group == "accounts":
        answers["shadow"] = shadow()
    if group == "modes":
        answers["stats"] = stats()
    if group == "sysctls":
        for name in SYSCTLS:
            answers[name] = read("/proc/sys/" + name.replace(".", "/"))
    if group == "packages":
        answers["lists"] = newest("/var/lib/apt/lists")
    return answers


def main(params: dict[str, Any]) -> dict[str, Any]:
    """Given {"groups": [...], "seconds": limit a command}; returns the answers, this host's clock and the CPU used."""
    groups = {}
    for group in params["groups"]:
        at = time.time()
        groups[group] = {"at": at, "answers": gather(group, params["seconds"])}
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    return {"protocol": PROTOCOL, "at": time.time(), "cpu": cpu, "groups": groups}
