"""The probe: one plain POSIX-sh command that says what a host is like, and the reading of its answer.

It is the whole cost of an apply that has nothing to do: one round trip over the open connection, no Python there.
Files with secrets are answered by a digest under two random keys that are new each time, so that the answer (which
Ansible prints at -vvv) tells nothing; the keys go over standard input and stand in no process list.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from egovctl.apply.manifest import Manifest
from egovctl.apply.on_host import BASE, SEARCH_PATH, sysctl_path
from egovctl.errors import CannotMeasure
from egovctl.i18n import tr

FIRST, LAST = "egov-probe-1", "egov-probe-end"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
# Two cities may use the same names and addresses, and a connection that is kept open is quickly the wrong one: every
# probe asks for the host's key, and nothing goes to a host that is not the one that was enrolled.
WHO = f"grep -s '' /dev/null {HOST_KEY}"
REGISTRY = f"{BASE}/managed.json"


@dataclass(frozen=True)
class Info:
    """What stat said of a path; `kind` is stat's %F."""

    mode: int
    owner: str
    group: str
    kind: str

    @property
    def is_file(self) -> bool:
        return self.kind.startswith("regular")


@dataclass
class Seen:
    """One host as the probe saw it. `open_work`: an interrupted transaction or actions left over from one."""

    digests: dict[str, str] = field(default_factory=dict)
    infos: dict[str, Info] = field(default_factory=dict)
    units: dict[str, tuple[str, str]] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    registry: dict[str, Any] = field(default_factory=dict)
    open_work: bool = False


def new_nonce() -> list[str]:
    """Two keys for one round of keyed digests."""
    return [secrets.token_hex(32), secrets.token_hex(32)]


def command(manifest: Manifest, nonce: list[str]) -> str:
    """The script for `/bin/sh -s`; it only reads."""
    plain = [item.path for item in manifest.files if not item.secrets]
    secret = [item.path for item in manifest.files if item.secrets]
    paths = [*plain, *secret, *(item.path for item in manifest.folders), *(path for path, _ in manifest.absent)]
    parts = [f"LC_ALL=C PATH={SEARCH_PATH}; export LC_ALL PATH", f"echo {FIRST}"]
    if plain:
        parts.append(f"sha256sum -- {_words(plain)} 2>/dev/null")
    if paths:
        parts.append(f"stat -c 'S %a %U %G %F|%n' -- {_words(paths)} 2>/dev/null")
    if secret:
        parts.append(_keyed(secret, nonce))
    if manifest.units:
        parts.append(_units([item.name for item in manifest.units]))
    parts.append(f"if [ -e {BASE}/journal.json ] || [ -e {BASE}/pending.json ]; then echo O; fi")
    # One program for all that is read as it is: every program that is started costs a host most of a millisecond.
    places = [sysctl_path(item.name) for item in manifest.sysctls]
    parts.append(f"echo R; {WHO} {_words([REGISTRY, *places])}; echo; echo {LAST}")
    return "\n".join(parts) + "\n"


def _words(items: Iterable[str]) -> str:
    return " ".join(map(quote, items))


def _keyed(paths: list[str], nonce: list[str]) -> str:
    """The digest of on_host.keyed_digest in plain sh; printf is a builtin, so the keys show in no process list."""
    return (
        f'for f in {_words(paths)}; do if [ -f "$f" ]; then echo "K $f"; '
        f'{{ printf %s {nonce[0]}; cat -- "$f"; printf %s {nonce[1]}; }} | sha256sum; fi; done'
    )


def _units(names: list[str]) -> str:
    """list-unit-files tells what is on the disk, by name; what is no unit file is asked for one by one."""
    words = _words(names)
    return (
        f"e=$(systemctl list-unit-files --no-legend --no-pager --full {words} 2>/dev/null); nl='\n'\n"
        "printf '%s\\n' \"$e\" | sed 's/^/E /'\n"
        f'for u in {words}; do case "$nl$e" in *"$nl$u "*) ;; '
        '*) echo "E $u $(systemctl is-enabled "$u" 2>/dev/null)";; esac; done\n'
        f"echo A $(systemctl is-active {words} 2>/dev/null)"
    )


def parse(host: str, answer: str, manifest: Manifest) -> Seen:
    """Read the answer; CannotMeasure when it is not complete or systemd said nothing."""
    lines = answer.splitlines()
    try:
        start, end = lines.index(FIRST), len(lines) - 1 - lines[::-1].index(LAST)
    except ValueError:
        raise unanswered(host, next((line for line in reversed(lines) if line.strip()), "")) from None
    body = lines[start + 1 : end]
    cut = body.index("R")
    texts = _texts(body[cut + 1 :])
    seen = Seen(registry=_registry(host, texts.pop(REGISTRY, "")), sysctls=texts)
    enabled: dict[str, str] = {}
    active: list[str] = []
    keyed = ""
    for line in body[:cut]:
        kind, _, rest = line.partition(" ")
        if kind == "S":
            words, _, path = rest.partition("|")
            mode, owner, group, what = words.split(" ", 3)
            seen.infos[path] = Info(int(mode, 8), owner, group, what)
        elif kind == "K":
            keyed = rest
        elif kind == "E":
            name, _, states = rest.partition(" ")
            enabled[name] = (states.split() or ["not-found"])[0]
        elif kind == "A":
            active = rest.split()
        elif kind == "O":
            seen.open_work = True
        elif len(kind) == 64:
            seen.digests[keyed if rest == " -" else rest[1:]] = kind
    names = [item.name for item in manifest.units]
    if len(active) != len(names):
        said = " ".join(active)[:100]
        raise CannotMeasure(
            tr(
                f"{host}：该主机的 systemd 没有应答（{said}）；请查看该主机",
                f"{host}: systemd does not answer there ({said}); look at the host",
            )
        )
    seen.units = {name: (enabled.get(name, "not-found"), active[i]) for i, name in enumerate(names)}
    return seen


def unanswered(host: str, last: str) -> CannotMeasure:
    """The fault for a probe whose answer ends early; `last` is the last line that came."""
    last = last[:200] or tr("无输出", "nothing")
    return CannotMeasure(
        tr(
            f"{host}：探测没有完整应答（{last}）；该用户在主机上能用 sudo 吗？",
            f"{host}: the probe was not answered ({last}); can the user run sudo there?",
        )
    )


def refuse_other(host: str, enrolled: str, answer: str) -> None:
    """Given the enrolled public key, CannotMeasure when the answer comes from another host; nothing when none is."""
    shown = [
        " ".join(line[len(HOST_KEY) + 1 :].split()[:2])
        for line in answer.splitlines()
        if line.startswith(f"{HOST_KEY}:")
    ]
    if enrolled and shown and enrolled not in shown:
        raise CannotMeasure(
            tr(
                f"{host}：连接到的主机密钥与登记的不符，未做任何操作；请关闭保持的连接（ansible_control_path_dir），"
                "并查明是谁在该地址应答",
                f"{host}: the connection leads to a host with another host key than the enrolled one; nothing was "
                "done; close kept connections (ansible_control_path_dir) and look at who answers at its address",
            )
        )


def _texts(lines: Iterable[str]) -> dict[str, str]:
    """Path → content, from grep's "path:line" lines."""
    found: dict[str, list[str]] = {}
    for line in lines:
        place, colon, text = line.partition(":")
        if colon:
            found.setdefault(place, []).append(text)
    return {place: "\n".join(texts) for place, texts in found.items()}


def _registry(host: str, text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        raise CannotMeasure(
            tr(
                f"{host}：{BASE}/managed.json 已损坏；请修复或移走",
                f"{host}: {BASE}/managed.json is damaged; put it right or move it away",
            )
        ) from None
    return found
