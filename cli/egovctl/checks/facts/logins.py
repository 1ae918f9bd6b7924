"""Who may log in, how, and with which rights: sshd, passwords, accounts, sudo, sessions."""

from __future__ import annotations

import re
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
    quality = next((words for words in password if words[1] in ("pam_pwquality.so", "pam_passwdqc.so")), None)
    return {
        "max_days": whole(defs.get("PASS_MAX_DAYS", "99999")),
        "min_days": whole(defs.get("PASS_MIN_DAYS", "0")),
        "encrypt": defs.get("ENCRYPT_METHOD", "").upper(),
        "umask": defs.get("UMASK", ""),
        "quality": quality is not None,
        "min_length": _argument(quality or [], "minlen", quality_file.get("minlen", "8" if quality else "0")),
        "faillock": any(words[1] == "pam_faillock.so" for words in auth + login),
        "second_factor": any(
            words[1] in ("pam_oath.so", "pam_google_authenticator.so", "pam_u2f.so") for words in login
        ),
        "nullok": any("nullok" in words for words in auth),
    }


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
    names: list[str] = []
    uids: list[int] = []
    root, shells, stray = [], [], []
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
        if name not in secrets:
            stray.append(name)
    if not names:
        raise ValueError("/etc/passwd is empty")
    usable = {name: fields for name, fields in secrets.items() if not fields[1].startswith("locked") and name in names}
    today = answers.at / DAY
    return {
        "names": sorted(names),
        "root": sorted(root),
        "with_shell": sorted(shells),
        "without_shadow": sorted(stray),
        "empty": sorted(name for name, fields in usable.items() if fields[1] == "empty"),
        "with_password": sorted(usable),
        "weakly_hashed": sorted(n for n, f in usable.items() if f[1] != "empty" and f[1] not in WELL_HASHED),
        "stale": sorted(name for name, fields in usable.items() if _stale(fields, today)),
        "expired": sorted(n for n, f in usable.items() if f[7] and whole(f[7]) < today and n in shells),
        "twice": sorted({n for n in names if names.count(n) > 1} | {str(u) for u in uids if uids.count(u) > 1}),
    }


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
    unasked: set[str] = set()
    text = "\n".join(answers.files("/etc/sudoers").values())
    if not text.strip():
        raise ValueError("there is no /etc/sudoers")
    for line in text.replace("\\\n", " ").splitlines():
        bare = line.strip()
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
    }


def session(answers: Answers) -> dict[str, Any]:
    """Whether an idle shell ends (TMOUT, seconds; 0: never), and what a host tells before a login."""
    limit = 0
    for text in answers.files("/etc/profile").values():
        for match in re.finditer(
            r"^\s*(?:export\s+|readonly\s+|declare\s+-\S+\s+)*TMOUT=(\d{1,6})\b", text, re.MULTILINE
        ):
            limit = int(match[1])
    told = "".join((answers.maybe(name) or "") for name in ("/etc/issue", "/etc/issue.net"))
    return {"idle_seconds": limit, "tells_release": bool(re.search(r"\\[rvm]|Debian GNU/Linux \d", told))}
