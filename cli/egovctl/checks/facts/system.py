"""How a host is set up: what listens, the firewall, kernel, units, packages, modules, files, logs, audit."""

from __future__ import annotations

import hashlib
import re
import stat
from typing import Any

from egovctl.checks.facts.answers import Answers, settings, showable, whole
from egovctl.checks.facts.outside import exports, resolvers, unsigned

LOOPBACK = ("127.", "[::1]", "::1", "[::ffff:127.")
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "hour": 3600, "hours": 3600}
SECONDS |= {"d": 86_400, "day": 86_400, "days": 86_400, "w": 604_800, "week": 604_800, "weeks": 604_800}
SECONDS |= {"month": 2_629_800, "months": 2_629_800, "y": 31_557_600, "year": 31_557_600, "years": 31_557_600}
DAY = 86_400
WHOLE = ("installed", "config-files", "not-installed")
EPHEMERAL = 32_768  # from here on the kernel gives ports to whoever only asks others
ROOTS = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh/sshd_config")
OTHERS_WRITE = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - everybody's by design, if they are sticky


def listening(answers: Answers) -> dict[str, Any]:
    """`ss -lntup`: "tcp 22", of what is open to more than this host; `lasting` without ports that somebody was given
    to ask from; and programs by that name."""
    ports: set[str] = set()
    programs: set[str] = set()
    for line in answers.text("ss").splitlines():
        fields = line.split()
        if len(fields) < 5 or fields[0] not in ("tcp", "udp"):
            raise ValueError(f"a line of ss is none: {line[:60]!r}")
        address, _, port = fields[4].rpartition(":")
        if not address.startswith(LOOPBACK):
            ports.add(f"{fields[0]} {whole(port)}")
            programs |= set(re.findall(r'\("([^"]{1,40})",pid=', line))
    lasting = {port for port in ports if port.startswith("tcp") or int(port.split()[1]) < EPHEMERAL}
    return {"open": sorted(ports), "lasting": sorted(lasting), "programs": sorted(programs)}


def firewall(answers: Answers) -> dict[str, Any]:
    """nftables: what becomes of a packet that no rule speaks of, and a hash of all rules without their counters."""
    policies: dict[str, list[str]] = {"input": [], "forward": []}
    for entry in answers.json("chains")["nftables"]:
        chain = entry.get("chain", {})
        if (
            chain.get("hook") in policies
            and chain.get("type") == "filter"
            and chain.get("family") in ("inet", "ip", "ip6")
        ):
            if chain["policy"] not in ("accept", "drop"):
                raise ValueError("a chain's policy is none")
            policies[chain["hook"]].append(f"{chain['family']} {chain['policy']}")
    rules = answers.text("rules")
    return {
        "input": sorted(policies["input"]),
        "forward": sorted(policies["forward"]),
        "input_denies": _denies(policies["input"]),
        "forward_denies": _denies(policies["forward"]),
        "stateful": "ct state" in rules,
        **_limits(rules),
        "sha256": hashlib.sha256(rules.encode()).hexdigest(),
    }


def _limits(rules: str) -> dict[str, Any]:
    """By what the chains for incoming and forwarded packets let them: `unbounded` rules let in whoever asks."""
    found: dict[str, Any] = {"by_address": False, "by_port": False, "unbounded": []}
    counted = False
    for line in map(str.strip, rules.splitlines()):
        if line.startswith(("chain ", "}")):
            counted = False
        elif line.startswith("type "):
            counted = bool(re.match(r"type filter hook (input|forward) ", line))
        elif counted and re.search(r"\baccept$", line):
            found["by_address"] |= bool(re.search(r"\b[sd]addr\b", line))
            found["by_port"] |= bool(re.search(r"\b[sd]port\b", line))
            if not re.search(r"\b([sd]addr|iif|iifname|oif|oifname|ct state|icmp|icmpv6|limit)\b", line):
                found["unbounded"].append(line[:80])
    return found


def _denies(policies: list[str]) -> bool:
    """Both families end in drop: by one chain for both, or by one for each."""
    return "inet drop" in policies or {"ip drop", "ip6 drop"} <= set(policies)


def sysctls(answers: Answers) -> dict[str, Any]:
    """The kernel's settings as they are in force; those that this kernel does not have are left out."""
    found = {name: answers.maybe(name) for name in sorted(answers.data)}
    return {"set": {name: text.strip() for name, text in found.items() if text is not None}}


def units(answers: Answers) -> dict[str, Any]:
    """Names of the units that are enabled, active and failed."""
    found = {}
    for name in ("enabled", "active", "failed"):
        words = [line.split()[0] for line in answers.text(name).splitlines() if line.strip()]
        found[name] = sorted({word for word in words if re.fullmatch(r"[\w@.:\\-]{1,255}", word)})
    if not found["active"]:
        raise ValueError("systemctl knows of no unit")
    return found


def packages(answers: Answers) -> dict[str, Any]:
    """Installed packages, and the upgrades that this host's own lists know of, with the age of the lists in days; those
    that are held back or half installed, and whence packages come that nobody signed."""
    names = set()
    for line in answers.text("installed").splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "installed":
            names.add(words[1])
    if not names:
        raise ValueError("dpkg knows of no package")
    upgrades, security = set(), set()
    for line in answers.text("upgrades").splitlines():
        match = re.match(r"Inst (\S+) ", line)
        if match:
            upgrades.add(match[1])
            if "security" in line.lower():
                security.add(match[1])
    changed = answers.number("lists")
    states = [words for words in map(str.split, answers.text("states").splitlines()) if len(words) == 3]
    return {
        "installed": sorted(names),
        "upgrades": sorted(upgrades),
        "security": sorted(security),
        "lists_days": (answers.at - changed) / DAY if changed else -1.0,
        "held": sorted(name for want, _, name in states if want == "hold"),
        "broken": sorted(name for _, state, name in states if state not in WHOLE),
        "unsigned": sorted(unsigned(answers)),
    }


def modules(answers: Answers) -> dict[str, Any]:
    """Loaded kernel modules, those that modprobe refuses, and whether USBGuard has rules."""
    loaded = sorted({line.split()[0] for line in (answers.maybe("/proc/modules") or "").splitlines() if line.strip()})
    refused = set()
    for text in answers.files("/etc/modprobe.d/").values():
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 3 and words[0] == "install" and words[2] in ("/bin/false", "/bin/true", "/usr/bin/false"):
                refused.add(words[1].replace("-", "_"))
    rules = answers.maybe("/etc/usbguard/rules.conf")
    return {"loaded": loaded, "refused": sorted(refused), "usb_rules": rules is not None}


def modes(answers: Answers) -> dict[str, Any]:
    """Files with secrets that others may read, files of the system that others may write, and the good of each."""
    data = answers.data["stats"]
    files = {showable(path): _mode(entry) for path, entry in data["files"].items()}
    secret = re.compile(
        r"(/etc/(g?shadow-?|ssh/ssh_host_.*_key|egov/keys/.*|egov/borg_passphrase|wireguard/.*|snmp/egov.*)|"
        r"/srv/(borg|pgbackrest))$"
    )
    public = (".pub", ".crt")
    secrets = {path: mode for path, mode in files.items() if secret.match(path) and not path.endswith(public)}
    writable, setuid, jobs = (_paths(data[name]) for name in ("writable", "setuid", "jobs"))
    trusting = re.compile(r".*(/\.(rhosts|shosts|netrc)|hosts\.equiv)$")
    if "/etc/shadow" not in files or "/etc/passwd" not in files:
        raise ValueError("nothing is said of /etc/passwd and /etc/shadow")
    return {
        "secrets": sorted(secrets),
        "secrets_readable": sorted(path for path, mode in secrets.items() if mode & 0o007),
        "keys_readable": sorted(
            p for p, m in secrets.items() if "shadow" not in p and not p.startswith("/srv/") and m & 0o077
        ),
        "writable": sorted(
            {*map(showable, writable)}
            | {p for p, m in files.items() if m & 0o022 and p.startswith("/etc/")}
            | {p for p, m in files.items() if m & 0o002 and p.startswith(("/home/", "/var/log", "/srv/"))}
            | {p for p, m in files.items() if p in OTHERS_WRITE and m & 0o002 and not m & stat.S_ISVTX}
        ),
        "strangers": sorted(
            showable(p) for p, entry in data["files"].items() if p.startswith("/etc/") and p in ROOTS and entry[2] != 0
        ),
        "setuid": sorted(map(showable, setuid)),
        "jobs_open": sorted(map(showable, jobs)),
        "trusting": sorted(path for path in files if trusting.match(path)),
        "mounts_open": sorted(_mounts_open(answers)),
        "sudoers": sorted(p for p, m in files.items() if p.startswith("/etc/sudoers") and m & 0o337),
        "root_home_open": bool(files.get("/root", 0) & 0o027),
        "login_keys_writable": sorted(p for p, m in files.items() if p.endswith("authorized_keys") and m & 0o022),
        "journal_readable": bool(files.get("/var/log/journal", 0) & 0o002),
    }


def _paths(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(path, str) for path in value):
        raise TypeError("a list of paths is none")
    return value


def _mounts_open(answers: Answers) -> set[str]:
    """Places that are everybody's, are file systems of their own, and take devices or privileged programs."""
    found = set()
    for line in (answers.maybe("/proc/self/mounts") or "").splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[1] in OTHERS_WRITE:
            found |= {f"{fields[1]}: {option}" for option in ("nosuid", "nodev") if option not in fields[3].split(",")}
    return found


def _mode(entry: Any) -> int:
    """The permission bits of one entry [type, mode, uid, gid]; a link counts as closed, its target is its own entry."""
    kind, mode, uid, gid = entry
    if not all(type(number) is int and number >= 0 for number in (kind, mode, uid, gid)):
        raise TypeError("a mode is no number")
    return 0 if kind == stat.S_IFLNK else mode


def journal(answers: Answers) -> dict[str, Any]:
    """journald's settings in force: where it keeps, how long (days; 0: no limit in time), how fast it may be filled."""
    found = settings("\n".join(line for line in answers.text("journald").splitlines() if not line.startswith("[")))
    return {
        "storage": found.get("Storage", "auto"),
        "retention_days": _span(found.get("MaxRetentionSec", "0")) / DAY,
        "max_use": found.get("SystemMaxUse", ""),
    }


def _span(text: str) -> float:
    """A time span of systemd.time(7) in seconds; a bare number counts seconds."""
    total = 0.0
    parts = re.findall(r"(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)", text)
    if not parts or re.sub(r"\d{1,12}(?:\.\d{1,6})?\s*[a-z]*\s*", "", text):
        raise ValueError(f"{text[:40]!r} is no time span")
    for number, unit in parts:
        if (unit or "s") not in SECONDS:
            raise ValueError(f"{text[:40]!r} is no time span")
        total += float(number) * SECONDS[unit or "s"]
    return total


def logs(answers: Answers) -> dict[str, Any]:
    """What rsyslog sends away: to whom, whether encrypted, pinned, and kept while the other end is away."""
    text = "\n".join(line for part in answers.files("/etc/rsyslog").values() for line in _uncommented(part))
    targets = re.findall(r'target\s*=\s*"([^"]{1,255})"', text, re.IGNORECASE)
    targets += re.findall(r"^\S+\s+@@?\(?[a-z0-9,]*\)?([\w.:\[\]-]+)", text, re.MULTILINE)
    return {
        "targets": sorted(set(targets)),
        "encrypted": bool(re.search(r'tls\s*=\s*"on"|StreamDriver\s*=\s*"(gtls|ossl)"', text, re.IGNORECASE)),
        "pinned": bool(re.search(r"(permittedPeer|StreamDriverPermittedPeers)\s*=", text, re.IGNORECASE)),
        "queued": bool(re.search(r"queue\.(filename|saveOnShutdown)\s*=", text, re.IGNORECASE)),
    }


def _uncommented(text: str) -> list[str]:
    return [line.split("#", 1)[0] for line in text.splitlines()]


def audit(answers: Answers) -> dict[str, Any]:
    """The kernel's audit: is there a program for it, is it on, and how many rules it has."""
    status, rules = answers.maybe("status"), answers.maybe("rules")
    if status is None or rules is None:
        return {"installed": False, "enabled": False, "rules": 0}
    lines = [line for line in rules.splitlines() if line.startswith("-")]
    enabled = re.search(r"^enabled (\d)", status, re.MULTILINE)
    return {"installed": True, "enabled": bool(enabled and enabled[1] in "12"), "rules": len(lines)}


def system(answers: Answers) -> dict[str, Any]:
    """The operating system's name and version, the hours since it was started, who is asked for names out of the
    internet, and which folders are exported to everybody or with root's rights."""
    release = settings(answers.text("/etc/os-release"))
    return {
        "os": release.get("ID", "").strip('"'),
        "version": release.get("VERSION_ID", "").strip('"'),
        "up_hours": float(answers.text("/proc/uptime").split()[0]) / 3600,
        "resolvers": sorted(resolvers(answers.maybe("/etc/resolv.conf") or "")),
        "exports_open": sorted(exports(answers)),
    }
