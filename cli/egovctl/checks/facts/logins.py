"""Who may log in, how, and with which rights: sshd, passwords, accounts, sudo, sessions."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from egovctl.checks.facts.answers import Answers, settings, whole

LISTS = ("ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms")
NO_SHELL = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync")
# sshd -T prints these always; an answer without one of them is no answer of sshd.
ALWAYS = ("permitrootlogin", "passwordauthentication", "permitemptypasswords", "maxauthtries", "x11forwarding")
DAY = 86_400
WELL_HASHED = frozenset(
    {"hash y", "hash gy", "hash 7", "hash 6", "hash 2b", "hash 2y"}
)  # crypt(5): yescrypt ... bcrypt


def sshd(answers: Answers) -> dict[str, Any]:
    """`sshd -T`: settings by lower-case name (of several lines the last), the lists split, the users let in."""
    one: dict[str, str] = {}
    users: list[str] = []
    for line in answers.text("sshd").splitlines():
        key, _, value = line.strip().partition(" ")
        if key == "allowusers":
            users += value.split()
        elif key:
            one[key.lower()] = value
    if missing := [key for key in ALWAYS if key not in one]:
        raise ValueError(f"sshd -T says nothing of {missing[0]}")
    return {
        "set": one,
        "users": sorted(set(users)),
        "max_tries": whole(one["maxauthtries"]),
        "grace": whole(one.get("logingracetime", "0")),
        "alive_interval": whole(one.get("clientaliveinterval", "0")),
        "lists": {name: [item for item in one.get(name, "").split(",") if item] for name in LISTS},
    }


def passwords(answers: Answers) -> dict[str, Any]:
    """The rules for passwords: login.defs, and which PAM modules ask for quality and count failures."""
    defs = settings(answers.text("/etc/login.defs"))
    quality_file = settings(answers.maybe("/etc/security/pwquality.conf") or "")
    password = _pam(answers.text("/etc/pam.d/common-password"))
    auth = _pam(answers.text("/etc/pam.d/common-auth"))
    login = _pam(answers.maybe("/etc/pam.d/sshd") or "")
    umask = defs.get("UMASK", "")
    quality = next((words for words in password if words[1] in ("pam_pwquality.so", "pam_passwdqc.so")), None)
    return {
        "max_days": whole(defs.get("PASS_MAX_DAYS", "99999")),
        "min_days": whole(defs.get("PASS_MIN_DAYS", "0")),
        "encrypt": defs.get("ENCRYPT_METHOD", "").upper(),
        "umask": umask,
        "umask_open": _open(umask),
        "quality": quality is not None,
        "min_length": _argument(quality or [], "minlen", quality_file.get("minlen", "8" if quality else "0")),
        "faillock": any(words[1] == "pam_faillock.so" for words in auth + login),
        "second_factor": any(
            words[1] in ("pam_oath.so", "pam_google_authenticator.so", "pam_u2f.so") for words in login
        ),
        "nullok": any("nullok" in words for words in auth),
        "waived": sorted(
            f"{name}: {waiver}" for name, text in answers.files("/etc/pam.d/").items() for waiver in _waivers(text)
        ),
    }


def _waivers(text: str) -> list[str]:
    """The lines of a PAM file that let somebody in who was asked nothing: one such module suffices."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        bare = line.split("#", 1)[0].strip()
        if not bare.lstrip("-").startswith("auth") or not re.search(r"\bpam_(permit|succeed_if)\.so\b", bare):
            continue
        control = bare.split(None, 1)[1]
        if control.startswith("sufficient") or re.search(r"\bsuccess=(ok|done)\b", control.split("]", 1)[0]):
            found.append(" ".join(bare.split())[:80])
    return found


def _open(umask: str) -> bool:
    """Whether what is made under this umask may be written by everybody."""
    return bool(re.fullmatch(r"[0-7]{1,4}", umask)) and not int(umask, 8) & 0o002


def _pam(text: str) -> list[list[str]]:
    """The lines of a PAM file as type, module, arguments; controls and includes are left out."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = re.sub(r"\[[^\]]*\]", "control", line.split("#", 1)[0]).split()
        if len(words) >= 3 and words[2].endswith(".so"):
            found.append([words[0].lstrip("-"), words[2].rsplit("/", 1)[-1], *words[3:]])
    return found


def _argument(words: list[str], name: str, otherwise: str) -> int:
    values = [word.split("=", 1)[1] for word in words if word.startswith(name + "=")]
    return whole(values[-1] if values else otherwise)


def accounts(answers: Answers) -> dict[str, Any]:
    """Accounts and what they may log in with: `with_password` have a usable password, `stale` one that is too old."""
    secrets: dict[str, list[str]] = {}
    for line in answers.text("shadow").splitlines():
        fields = line.split(":")
        if len(fields) != 8:
            raise ValueError("a line of /etc/shadow is none")
        secrets[fields[0]] = fields
    groups = [fields for fields in map(_colons, answers.text("/etc/group").splitlines()) if len(fields) == 4]
    group_names, group_ids = [fields[0] for fields in groups], {fields[2] for fields in groups}
    names: list[str] = []
    uids: list[int] = []
    root, shells, stray, groupless = [], [], [], []
    for line in answers.text("/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) != 7 or not fields[0]:
            raise ValueError("a line of /etc/passwd is none")
        name, uid = fields[0], whole(fields[2])
        names.append(name)
        uids.append(uid)
        if uid == 0:
            root.append(name)
        if fields[6] not in NO_SHELL:
            shells.append(name)
        if name not in secrets or len(fields[1]) > 1:
            stray.append(name)
        if fields[3] not in group_ids:
            groupless.append(name)
    if not names:
        raise ValueError("/etc/passwd is empty")
    usable = {name: fields for name, fields in secrets.items() if not fields[1].startswith("locked") and name in names}
    today = answers.at / DAY
    return {
        "names": sorted(names),
        "root": sorted(root),
        "with_shell": sorted(shells),
        "without_shadow": sorted(stray),
        "without_group": sorted(groupless),
        "empty": sorted(name for name, fields in usable.items() if fields[1] == "empty"),
        "with_password": sorted(usable),
        "weakly_hashed": sorted(n for n, f in usable.items() if f[1] != "empty" and f[1] not in WELL_HASHED),
        "stale": sorted(name for name, fields in usable.items() if _stale(fields, today)),
        "expired": sorted(n for n, f in usable.items() if f[7] and whole(f[7]) < today and n in shells),
        "twice": sorted(_repeated(names) | _repeated(list(map(str, uids)))),
        "groups_twice": sorted(_repeated(group_names)),
    }


def _colons(line: str) -> list[str]:
    return line.split(":")


def _repeated(names: list[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def _stale(fields: list[str], today: float) -> bool:
    """Changed more than 90 days ago, or at a day that nobody knows."""
    return not fields[2] or today - whole(fields[2]) > 90


def sudo(answers: Answers) -> dict[str, Any]:
    """Who may run everything (`all`), who of them is not asked for a password, and whether sudo's use is logged."""
    groups: dict[str, list[str]] = {}
    for line in answers.text("/etc/group").splitlines():
        fields = line.split(":")
        if len(fields) == 4:
            groups[fields[0]] = [name for name in fields[3].split(",") if name]
    everything: set[str] = set()
    defaults: list[str] = []
    unasked: set[str] = set()
    text = "\n".join(answers.files("/etc/sudoers").values())
    if not text.strip():
        raise ValueError("there is no /etc/sudoers")
    for line in text.replace("\\\n", " ").splitlines():
        bare = line.strip()
        if bare.startswith("Defaults"):
            defaults += re.split(r"[\s,]+", bare)[1:]
        if not bare or bare.startswith(("#", "@", "Defaults")) or re.match(r"[A-Z][a-z]+_Alias\b", bare):
            continue
        match = re.fullmatch(r"(\S+)\s+[^=]+=\s*(\([^)]*\))?\s*((?:[A-Z_]+:\s*)*)ALL", bare)
        if match:
            who = groups.get(match[1][1:], []) if match[1].startswith("%") else [match[1]]
            everything |= set(who)
            if "NOPASSWD:" in match[3]:
                unasked |= set(who)
    return {
        "all": sorted(everything),
        "all_unasked": sorted(unasked),
        "authenticate_off": "!authenticate" in text,
        "io_logged": "log_output" in text,
        "own_terminal": "use_pty" in defaults and "!use_pty" not in defaults,
        "unlogged": "!syslog" in defaults,
    }


def session(answers: Answers) -> dict[str, Any]:
    """Whether an idle shell ends (TMOUT, seconds; 0: never), what a host tells before a login, what shells make that
    everybody may write, where programs are looked for that anybody may put there, and what is loaded into them all."""
    limit = 0
    for text in answers.files("/etc/profile").values():
        for match in re.finditer(
            r"^\s*(?:export\s+|readonly\s+|declare\s+-\S+\s+)*TMOUT=(\d{1,6})\b", text, re.MULTILINE
        ):
            limit = int(match[1])
    told = "".join((answers.maybe(name) or "") for name in ("/etc/issue", "/etc/issue.net"))
    shells = {**answers.files("/etc/profile"), **answers.files("/etc/bash"), **answers.files("/root/")}
    umasks = [
        f"{name}: {match[1]}"
        for name, text in shells.items()
        for match in re.finditer(r"^[ \t]*umask[ \t]+([0-7]{1,4})\b", text, re.MULTILINE)
        if _open(match[1])
    ]
    shells |= answers.files("/etc/environment")
    return {
        "idle_seconds": limit,
        "tells_release": bool(re.search(r"\\[rvm]|Debian GNU/Linux \d", told)),
        "umasks_open": sorted(umasks),
        "path_open": sorted(
            f"{name}: {place or '(empty)'}" for name, text in shells.items() for place in _places(text)
        ),
        "preloaded": sorted(set((answers.maybe("/etc/ld.so.preload") or "").split())),
    }


def _places(text: str) -> list[str]:
    """What is in a PATH and is no folder of the system: the folder one stands in, or one that is everybody's."""
    found = []
    for match in re.finditer(r"^[ \t]*(?:export[ \t]+)?PATH=(\S{1,1000})", text, re.MULTILINE):
        for place in match[1].strip("\"'").split(":"):
            if not place.startswith(("/", "$", "~")) or place.startswith(("/tmp", "/var/tmp", "/dev/shm")):  # noqa: S108
                found.append(place[:40])
    return found
