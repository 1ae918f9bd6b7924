"""What must hold across the administrators of a plan: three roles, nobody in two of them, nobody's key twice."""

from __future__ import annotations

from collections.abc import Iterator

from egovctl.i18n import tr
from egovctl.plan.models import ADMINISTRATOR_ROLES, Plan
from egovctl.plan.public_keys import read_public_key
from egovctl.plan.source import KeyPath

# Accounts and groups of Debian and of what the suite installs; those that begin with egov or systemd are taken too.
# fmt: off
TAKEN_ACCOUNTS = frozenset((
    "adm", "audio", "backup", "bin", "borg", "cdrom", "chrony", "crontab", "daemon", "dialout", "dip", "disk",
    "fax", "floppy", "frr", "frrvty", "games", "gnats", "input", "irc", "kmem", "kvm", "list", "lp", "mail", "man",
    "messagebus", "news", "nobody", "nogroup", "nvram", "operator", "plugdev", "polkitd", "postfix", "postgres",
    "prometheus", "proxy", "render", "root", "sasl", "sgx", "shadow", "snmp", "sshd", "src", "staff", "sudo",
    "sync", "sys", "syslog", "tape", "tty", "unbound", "users", "utmp", "uucp", "video", "voice", "www-data",
))
# fmt: on
TAKEN_BEGINNINGS = ("egov", "systemd")


def people_separated(plan: Plan) -> Iterator[tuple[KeyPath, str]]:
    """(key path in people.yml, sentence) for each fault. A plan without administrators has none."""
    roles: dict[str, str] = {}
    owners: dict[str, str] = {}
    for i, person in enumerate(plan.administrators):
        here: KeyPath = ("administrators", i)
        if sentence := _wrong_name(person.name, person.role, roles.get(person.name)):
            yield (*here, "name"), sentence
        roles.setdefault(person.name, person.role)
        for j, key in enumerate(person.ssh_keys):
            text = read_public_key(key).text
            if text in owners:
                yield (
                    (*here, "ssh_keys", j),
                    tr(
                        f"{person.name} 的公钥已属于 {owners[text]}；一把密钥只能写一次",
                        f"this key of {person.name} is {owners[text]}'s already; a key is written once",
                    ),
                )
            owners.setdefault(text, person.name)
    if plan.administrators:
        for role in ADMINISTRATOR_ROLES:
            if role not in {person.role for person in plan.administrators}:
                yield (
                    ("administrators",),
                    tr(
                        f"没有 role 为 {role} 的管理员；三种角色各需至少一人",
                        f"there is no {role} administrator; each of the three roles needs a person",
                    ),
                )


def _wrong_name(name: str, role: str, other: str | None) -> str:
    """What is wrong with this person's name; "" when nothing is. `other` is the role that it has already."""
    if name in TAKEN_ACCOUNTS or name.startswith(TAKEN_BEGINNINGS):
        return tr(f"账号名 {name} 已由系统使用；请换一个", f"account {name} is the system's own; take another name")
    if other == role:
        return tr(f"管理员 {name} 出现两次；请去掉一个", f"administrator {name} is planned twice; take one out")
    if other is not None:
        return tr(
            f"{name} 既是 {other} 又是 {role}；一人只能有一种角色",
            f"{name} is {other} and {role} administrator; a person has one role",
        )
    return ""
