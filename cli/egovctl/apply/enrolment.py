"""Enrolment: the host makes its own keys; only public halves come back, into inventories/<city>/enrolled/."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from egovctl.errors import CannotMeasure, UsageError
from egovctl.i18n import tr
from egovctl.keys import FINGERPRINT, PUBLIC_KEY, TUNNEL_KEY
from egovctl.paths import Inventory

FIRST, LAST = "egov-enrol-1", "egov-enrol-end"
CONTROL = "control"
# Control's keys at the backup node, each with a forced command of its own: read, append its own state, delete.
BACKUP_KEYS = {
    "borg_restore_ed25519": "restore",
    "pgbackrest_restore_ed25519": "restore",
    "borg_ed25519": "borg",
    "borg_retention_ed25519": "retention",
}
EVIDENCE_KEY = "evidence_ed25519"  # signs control's evidence, and opens nothing
ALWAYS = ("ssh_host_ed25519", "borg_ed25519", "syslog_sha256")
# SSH keys that only some places in the plan ask for, by the group of the hosts that need them.
BY_GROUP = {"postgresql": "wal_ed25519", "postgresql_backups": "pgbackrest_ed25519", "role_offsite": "offsite_ed25519"}
SSH_KEYS = ("ssh_host_ed25519", "borg_ed25519", "log_seal_ed25519", *BY_GROUP.values())
OTHER_KEYS = {
    "wireguard": (TUNNEL_KEY, " WireGuard 公钥", "a WireGuard public key"),
    "syslog_sha256": (FINGERPRINT, "证书的 SHA-256 指纹", "the SHA-256 fingerprint of a certificate"),
}


def read_record(inventory: Inventory, host: str) -> dict[str, str]:
    """The host's public keys as committed; empty when it is not enrolled. UsageError for a file that is not YAML."""
    path = inventory.enrolled_dir / f"{host}.yml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise UsageError(
            tr(
                f"{path}：不是 YAML（{error}）；请删除它并重新登记该主机",
                f"{path}: not YAML ({error}); delete it and enrol the host again",
            )
        ) from None
    return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}


def write_record(inventory: Inventory, host: str, keys: Mapping[str, str]) -> bool:
    """Write inventories/<city>/enrolled/<host>.yml, sorted; returns whether it changed."""
    path = inventory.enrolled_dir / f"{host}.yml"
    text = "---\n# Public keys, written by playbooks/enrol.yml.\n"
    text += yaml.safe_dump({"host": host, **keys}, sort_keys=True, width=1000)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{host}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return True


def ensure_control(inventory: Inventory) -> str:
    """Control's own keys, made at first use: to deploy, and those at the backup node. The deploy key's public half."""
    folder = inventory.deploy_key.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # every host's worker comes here
        fcntl.flock(lock, fcntl.LOCK_EX)
        deploy = _ensure_key(inventory.deploy_key, f"egov-deploy@{inventory.name}")
        others = {
            name: _ensure_key(inventory.deploy_key.with_name(name), f"{what}@{inventory.name}")
            for name, what in BACKUP_KEYS.items()
        }
        evidence = _ensure_key(inventory.deploy_key.with_name(EVIDENCE_KEY), f"egov-evidence@{inventory.name}")
        write_record(inventory, CONTROL, {"deploy_ed25519": deploy, **others, EVIDENCE_KEY: evidence})
    return deploy


def ensure_evidence_key(inventory: Inventory, path: Path | None = None) -> str:
    """The key that signs evidence, made at first use at its place or at `path`; its public half."""
    path = path or inventory.deploy_key.with_name(EVIDENCE_KEY)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _ensure_key(path, f"egov-evidence@{inventory.name}")


def record_evidence_key(inventory: Inventory, public: str) -> bool:
    """Put its public half into control's record, which is to be committed; whether that changed."""
    return write_record(inventory, CONTROL, read_record(inventory, CONTROL) | {EVIDENCE_KEY: public})


def _ensure_key(path: Path, comment: str) -> str:
    public = path.with_name(f"{path.name}.pub")
    if not path.is_file():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], check=True)
    if not public.is_file():
        done = subprocess.run(["ssh-keygen", "-y", "-f", str(path)], capture_output=True, text=True, check=True)
        public.write_text(done.stdout, encoding="utf-8")
    return _plain(public.read_text(encoding="utf-8"), str(public))


def _plain(text: str, where: str) -> str:
    """Type and key, without the comment."""
    match = PUBLIC_KEY.match(text)
    if match is None:
        raise CannotMeasure(tr(f"{where}：不是 Ed25519 公钥", f"{where}: not an Ed25519 public key"))
    return match[0]


def keys_of_groups(groups: Iterable[str]) -> list[str]:
    """The SSH keys that a host needs for being in these groups."""
    return [BY_GROUP[name] for name in groups if name in BY_GROUP]


def lacking(record: Mapping[str, str], tunnels: bool, seals: bool, more: Iterable[str] = ()) -> list[str]:
    """Keys that a host's record does not have yet, of those that its place in the plan asks for."""
    wanted = [*ALWAYS, *(["wireguard"] if tunnels else []), *(["log_seal_ed25519"] if seals else []), *more]
    return [name for name in wanted if name not in record]


def script(
    program: str, deploy_key: str, check: bool, tunnels: bool = False, seals: bool = False, more: Iterable[str] = ()
) -> str:
    """The first contact's script with its settings in front, for `/bin/sh -s`.

    `tunnels`: the host ends tunnels; `seals`: it keeps the city's logs and seals them; `more`: other SSH keys it needs.
    """
    flags = {"CHECK": check, "TUNNELS": tunnels, "SEALS": seals}
    settings = {"DEPLOY_KEY": deploy_key, **{name: "yes" if flag else "" for name, flag in flags.items()}}
    settings["MORE_KEYS"] = " ".join(more)
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()) + program


def parse(host: str, answer: str) -> tuple[dict[str, str], list[str]]:
    """(public keys, what was changed there) from the script's answer; CannotMeasure with its reason when it failed."""
    lines = [line.strip() for line in answer.splitlines()]
    said = [line for line in lines if line]
    if FIRST not in lines or LAST not in lines:
        reason = next(
            (line[6:] for line in said if line.startswith("error:")), said[-1] if said else tr("无应答", "no answer")
        )
        reason = reason.strip()[:300]
        raise CannotMeasure(tr(f"{host}：{reason}；该主机未登记", f"{host}: {reason}; the host was not enrolled"))
    keys: dict[str, str] = {}
    changed: list[str] = []
    for line in lines[lines.index(FIRST) + 1 : lines.index(LAST)]:
        name, _, rest = line.partition(" ")
        if name == "changed":
            changed += rest.split()
        elif name in SSH_KEYS:
            keys[name] = _plain(rest, f"{host}: {name}")
        elif name in OTHER_KEYS:
            keys[name] = _whole(host, name, rest)
    return keys, changed


def _whole(host: str, name: str, text: str) -> str:
    pattern, zh, en = OTHER_KEYS[name]
    if pattern.fullmatch(text) is None:
        raise CannotMeasure(tr(f"{host}：不是{zh}", f"{host}: not {en}"))
    return text
