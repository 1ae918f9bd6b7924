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

FIRST, LAST = "egov-probe-1", "egov-probe-end"


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
    if manifest.sysctls:
        places = [sysctl_path(item.name) for item in manifest.sysctls]
        parts.append(f"grep -s '' /dev/null {_words(places)} | sed 's/^/V /'")
    parts.append(f"if [ -e {BASE}/journal.json ] || [ -e {BASE}/pending.json ]; then echo O; fi")
    parts.append(f"echo; echo R; cat {BASE}/managed.json 2>/dev/null; echo; echo {LAST}")
    return "\n".join(parts) + "\n"


def _words(items: Iterable[str]) -> str:
    return " ".join(map(quote, items))


def _keyed(paths: list[str], nonce: list[str]) -> str:
    """The digest of on_host.keyed_digest in plain sh; printf is a builtin, so the keys show in no process list."""
    return (
        f'for f in {_words(paths)}; do if [ -f "$f" ]; then '
        f'h=$({{ printf %s {nonce[0]}; cat -- "$f"; }} | sha256sum); '
        f'h=$(printf %s "{nonce[1]}${{h%% *}}" | sha256sum); echo "K ${{h%% *}} $f"; fi; done'
    )


def _units(names: list[str]) -> str:
    """is-enabled ends its answer at a unit that does not exist: then ask for each."""
    words = _words(names)
    return (
        f"e=$(systemctl is-enabled {words} 2>/dev/null); set -- $e; if [ $# -ne {len(names)} ]; then "
        f'e=; for u in {words}; do s=$(systemctl is-enabled "$u" 2>/dev/null); e="$e ${{s:-not-found}}"; done; fi; '
        f"echo E $e; echo A $(systemctl is-active {words} 2>/dev/null)"
    )


def parse(host: str, answer: str, manifest: Manifest) -> Seen:
    """Read the answer; CannotMeasure when it is not complete or systemd said nothing."""
    lines = answer.splitlines()
    try:
        start, end = lines.index(FIRST), len(lines) - 1 - lines[::-1].index(LAST)
    except ValueError:
        last = next((line for line in reversed(lines) if line.strip()), "nothing")
        raise CannotMeasure(
            f"{host}: the probe was not answered ({last[:200]}); can the user run sudo there?"
        ) from None
    body = lines[start + 1 : end]
    cut = body.index("R")
    seen = Seen(registry=_registry(host, "\n".join(body[cut + 1 :])))
    enabled: list[str] = []
    active: list[str] = []
    for line in body[:cut]:
        kind, _, rest = line.partition(" ")
        if kind == "S":
            words, _, path = rest.partition("|")
            mode, owner, group, what = words.split(" ", 3)
            seen.infos[path] = Info(int(mode, 8), owner, group, what)
        elif kind == "K":
            seen.digests[rest[65:]] = rest[:64]
        elif kind == "V":
            place, _, value = rest.partition(":")
            seen.sysctls[place] = value
        elif kind == "E":
            enabled = rest.split()
        elif kind == "A":
            active = rest.split()
        elif kind == "O":
            seen.open_work = True
        elif len(kind) == 64:
            seen.digests[rest[1:]] = kind
    names = [item.name for item in manifest.units]
    if len(enabled) != len(names) or len(active) != len(names):
        raise CannotMeasure(f"{host}: systemd does not answer there ({' '.join(active)[:100]}); look at the host")
    seen.units = {name: (enabled[i], active[i]) for i, name in enumerate(names)}
    return seen


def _registry(host: str, text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        raise CannotMeasure(f"{host}: {BASE}/managed.json is damaged; put it right or move it away") from None
    return found
