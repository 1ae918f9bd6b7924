"""Packages and users: what must be there before the transaction, and is not undone by it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from egovctl.apply.manifest import Manifest
from egovctl.apply.on_host import SEARCH_PATH
from egovctl.apply.probe import WHO, unanswered
from egovctl.errors import UsageError
from egovctl.i18n import tr

LAST = "egov-prepare-end"


@dataclass(frozen=True)
class Wanted:
    """Packages, and sysusers.d(5) lines by the user or group that they make."""

    packages: tuple[str, ...]
    users: dict[str, str]
    groups: dict[str, str]


@dataclass(frozen=True)
class Missing:
    packages: tuple[str, ...]
    users: tuple[str, ...]
    lines: tuple[str, ...]


def wanted(build: Path, host: str, bundles: Sequence[str] | None) -> Wanted:
    """What the host's manifest asks for; UsageError for a line that is not sysusers.d's."""
    return wanted_of(Manifest.load(build, host).only(bundles))


def wanted_of(manifest: Manifest) -> Wanted:
    """The same of a manifest that is read already."""
    host = manifest.host
    users: dict[str, str] = {}
    groups: dict[str, str] = {}
    for lines in manifest.users.values():
        for line in lines:
            words = shlex.split(line)
            if len(words) < 2 or words[0] not in ("u", "u!", "g"):
                raise UsageError(
                    tr(
                        f"{host}：users：{line!r} 不是 sysusers.d(5) 的 u 或 g 行",
                        f"{host}: users: {line!r} is no u or g line of sysusers.d(5)",
                    )
                )
            (groups if words[0] == "g" else users)[words[1]] = line
    packages = dict.fromkeys(name for items in manifest.packages.values() for name in items)
    return Wanted(tuple(packages), users, groups)


def command(what: Wanted) -> str:
    """One plain script for `/bin/sh -s`; it only reads."""
    return f"LC_ALL=C PATH={SEARCH_PATH}; export LC_ALL PATH\n{WHO}\n{questions(what)}"


def questions(what: Wanted) -> str:
    """The part of it that asks for packages and users; `missing` reads the answer."""
    parts = []
    if what.packages:
        names = shlex.join(what.packages)
        parts.append(f"dpkg-query -W -f '${{db:Status-Status}} ${{Package}}\\n' {names} 2>/dev/null")
    if what.users:
        parts.append(f"getent passwd {shlex.join(what.users)} | sed 's/^/user /; s/:.*//'")
    if what.groups:
        parts.append(f"getent group {shlex.join(what.groups)} | sed 's/^/group /; s/:.*//'")
    return "\n".join([*parts, f"echo {LAST}"]) + "\n"


def missing(host: str, what: Wanted, answer: str) -> Missing:
    """What is not there; CannotMeasure when the answer is not complete."""
    lines = [line.split() for line in answer.splitlines()]
    if [LAST] not in lines:
        raise unanswered(host, next((" ".join(line) for line in reversed(lines) if line), ""))
    pairs = {tuple(line) for line in lines if len(line) == 2}
    packages = tuple(name for name in what.packages if ("installed", name) not in pairs)
    users = tuple(name for name in what.users if ("user", name) not in pairs)
    groups = tuple(name for name in what.groups if ("group", name) not in pairs)
    named = [what.users[name] for name in users] + [what.groups[name] for name in groups]
    return Missing(packages, users + groups, tuple(named))


# Services start when their configuration is in place, not before: policy-rc.d(8) says so while apt-get runs, and no
# longer than this very shell lives, so that a power cut leaves no host on which nothing starts. An operator's own
# policy-rc.d stays. apt-get itself, not Ansible's module, which would need python3-apt on every host.
INSTALL = """\
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH={path}
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\n[ -e /proc/%s/stat ] && exit 101\\nexit 0\\n' $$ >$policy
  chmod 0755 $policy
fi
apt-get -q -o DPkg::Lock::Timeout=120 update </dev/null >/dev/null 2>&1
apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \\
  --no-install-recommends install -- {packages} </dev/null 2>&1
"""


def install(packages: Sequence[str]) -> str:
    """The script for `/bin/sh -s` that installs packages; changed configuration files of ours stay as they are."""
    return INSTALL.format(path=SEARCH_PATH, packages=shlex.join(packages))


def make_users(lines: Sequence[str]) -> str:
    """The command that makes the missing users and groups."""
    return shlex.join(["systemd-sysusers", "--inline", *lines])
