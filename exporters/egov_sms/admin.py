"""What people at the host of the service do: hand keys out, see quotas and the log; and what units need done once."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from egov_sms.book import ZONE, Book
from egov_sms.config import Config
from egov_sms.service import hash_of, read_hashes

HOME = Path("/var/lib/egov-sms")
KEYS = Path("/etc/egov/keys")
ACCOUNTS, SALT, LOG, COPY = "accounts", "salt", "log", "copy"
OWNER = "egov-sms"
OWN = "@own:password@"  # where a configuration of Kannel's has the password that this host made


class Wrong(Exception):
    """A person's mistake, in one sentence."""


def replace(path: Path, data: str, mode: int, group: str = "root") -> None:
    """Write a file in one step."""
    beside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    if os.geteuid() == 0:
        shutil.chown(beside, "root", group)
    beside.chmod(mode)
    beside.replace(path)


def init(name: str, home: Path = HOME, keys: Path = KEYS) -> None:
    """The host's own key and certificate, the passwords between the programs, and the first, empty lists. Once."""
    key, certificate = keys / "sms.key", keys / "sms.crt"
    if not certificate.exists():
        made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{key}.new"]
        asked = ["-out", f"{certificate}.new", "-days", "3650", "-subj", f"/CN={name}"]
        names = ["-addext", f"subjectAltName=DNS:{name}"]
        done = subprocess.run(["openssl", "req", "-x509", *made, *asked, *names], capture_output=True, check=False)
        if done.returncode != 0:
            raise Wrong("openssl could not make the key and certificate")
        Path(f"{key}.new").replace(key)
        Path(f"{certificate}.new").replace(certificate)
    password = keys / "sms_kannel.key"
    if not password.exists():
        replace(password, secrets.token_urlsafe(24) + "\n", 0o600)
    for file, data in ((ACCOUNTS, ""), (SALT, secrets.token_hex(32) + "\n")):
        if not (home / file).exists():
            replace(home / file, data, 0o640, OWNER)


def fill(credentials: Path, target: Path) -> None:
    """Kannel's configuration from the plan with this host's own password in it, for the unit that reads it."""
    said = (credentials / "password").read_text(encoding="utf-8").strip()
    text = (credentials / "conf").read_text(encoding="utf-8")
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text.replace(OWN, said))


def new_key(config: Config, site: str, home: Path = HOME) -> str:
    """A new key for a department; the old one, if any, opens nothing any more. It is shown once and kept nowhere."""
    _known(config, site)
    key, hashes = secrets.token_urlsafe(24), read_hashes(home / ACCOUNTS)
    _keep(home, {**hashes, site: hash_of(key)})
    return key


def lock(config: Config, site: str, home: Path = HOME) -> None:
    """Take a department's key away."""
    hashes = read_hashes(home / ACCOUNTS)
    if site not in hashes:
        _known(config, site)
        raise Wrong(f"{site} has no key")
    _keep(home, {name: value for name, value in hashes.items() if name != site})


def _known(config: Config, site: str) -> None:
    if site not in config.accounts:
        raise Wrong(f"{site} is no department, town or village of the plan")


def _keep(home: Path, hashes: dict[str, str]) -> None:
    replace(home / ACCOUNTS, "".join(f"{name} {hashes[name]}\n" for name in sorted(hashes)), 0o640, OWNER)


def listed(config: Config, home: Path = HOME) -> list[str]:
    """Every account, and whether it has a key."""
    keyed = read_hashes(home / ACCOUNTS)
    lines = [
        f"{name} {'key' if name in keyed else 'no key'} ({account.title['zh']} / {account.title['en']})"
        for name, account in config.accounts.items()
    ]
    return lines + [f"{name} key, not in the plan: it opens nothing" for name in keyed if name not in config.accounts]


def quotas(config: Config, home: Path = HOME) -> list[str]:
    """What each account has used of its quotas, of those that have a key or sent something."""
    now, keyed = time.time(), read_hashes(home / ACCOUNTS)
    book = Book(home / LOG, now)
    lines = []
    for name, account in config.accounts.items():
        day, month = book.usage(name, now)
        if name in keyed or month:
            lines.append(f"{name} today {day} of {account.daily}, this month {month} of {account.monthly}")
    return lines


def logged(site: str | None, home: Path = HOME) -> list[str]:
    """The messages of this month and the last as the log has them now, of one department or of all."""
    book = Book(home / LOG, time.time())
    lines = []
    for entry in book.entries.values():
        if site in (None, entry.site):
            lines.append(f"{_moment(entry.at)} {entry.site} {entry.id} {entry.to} parts={entry.parts} {entry.state}")
    return lines


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(at + ZONE.utcoffset(None).total_seconds()))


def copy(home: Path = HOME) -> int:
    """A still copy for the backup that follows: accounts, salt, and of each log its whole lines. Returns the files."""
    target, fresh = home / COPY, home / f"{COPY}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / LOG).mkdir(mode=0o700, parents=True)
    for name in (ACCOUNTS, SALT):
        shutil.copy2(home / name, fresh / name)
    logs = sorted((home / LOG).glob("*.jsonl"))
    for path in logs:
        data = path.read_bytes()
        (fresh / LOG / path.name).write_bytes(data[: data.rfind(b"\n") + 1])
        shutil.copystat(path, fresh / LOG / path.name)
    for path in (fresh, *fresh.rglob("*")):
        if os.geteuid() == 0:
            shutil.chown(path, OWNER, OWNER)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return len(logs) + 2
