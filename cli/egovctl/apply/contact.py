"""First contact: how a host is reached before it is in band, and whether it is in band already."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from egovctl.apply.enrolment import read_record
from egovctl.errors import CannotMeasure, EgovError, UsageError
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.transport import run

DEPLOY_USER = "egov-deploy"
IN_BAND_SECONDS = 10.0


@dataclass(frozen=True)
class Entry:
    """What the operator read on a host's console: where it is, who may log in there, and its host key."""

    address: str
    port: int
    user: str
    host_key: str
    identity: str | None


def read_note(inventory: Inventory, host: str) -> tuple[Entry, str | None]:
    """The host's entry of first_contact.yml, and the proxy command if there is one; UsageError when it is not good."""
    path = inventory.first_contact
    try:
        note = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise UsageError(
            _helped(f"{host}：尚未带内可达，且缺少 {path}", f"{host}: not in band yet, and {path} is missing")
        ) from None
    except yaml.YAMLError as error:
        raise UsageError(_helped(f"{path}：不是 YAML（{error}）", f"{path}: not YAML ({error})")) from None
    hosts = note.get("hosts") if isinstance(note, dict) else None
    if not isinstance(hosts, dict) or not isinstance(hosts.get(host), dict):
        raise UsageError(
            _helped(
                f"{host}：尚未带内可达，且 {path} 中没有它", f"{host}: not in band yet, and {path} has no entry for it"
            )
        )
    proxy = note.get("proxy")
    return _entry(path, host, hosts[host]), None if proxy is None else str(proxy)


def _helped(zh: str, en: str) -> str:
    return tr(f"{zh}；格式见 docs/enrol.md", f"{en}; docs/enrol.md shows the form")


def _entry(path: Path, host: str, raw: Mapping[str, Any]) -> Entry:
    for name in ("address", "host_key"):
        if not isinstance(raw.get(name), str) or not raw[name].strip():
            raise UsageError(_helped(f"{path}：{host} 缺少 {name}", f"{path}: {host} has no {name}"))
    key = raw["host_key"].split()
    if len(key) < 2 or not key[0].startswith(("ssh-", "ecdsa-")):
        raise UsageError(
            _helped(
                f"{path}：{host}：host_key 不是形如 'ssh-ed25519 AAAA...' 的公钥",
                f"{path}: {host}: host_key is not a public key like 'ssh-ed25519 AAAA...'",
            )
        )
    identity = raw.get("identity")
    return Entry(
        address=raw["address"].strip(),
        port=int(raw.get("port", 22)),
        user=str(raw.get("user", "root")),
        host_key=" ".join(key[:2]),
        identity=None if identity is None else str(identity),
    )


def first_contact_variables(inventory: Inventory, host: str) -> dict[str, Any]:
    """Ansible's connection variables for the first contact; writes the known_hosts file that they name.

    The host key is the one the operator read on the console, and no other is accepted.
    """
    entry, proxy = read_note(inventory, host)
    options = [
        "-F /dev/null",
        f"-o UserKnownHostsFile={_known_hosts(inventory, host, entry)}",
        "-o GlobalKnownHostsFile=/dev/null",
        "-o StrictHostKeyChecking=yes",
        f"-o HostKeyAlias={host}",
        f"-o HostKeyAlgorithms={_algorithms(entry.host_key.split()[0])}",
        "-o IdentitiesOnly=yes",
        "-o ServerAliveInterval=5",
    ]
    if proxy:
        options.append("-o " + shlex.quote(f"ProxyCommand={proxy}"))
    return {
        "ansible_host": entry.address,
        "ansible_port": entry.port,
        "ansible_user": entry.user,
        "ansible_become": entry.user != "root",
        "ansible_ssh_private_key_file": entry.identity or "",
        "ansible_ssh_common_args": " ".join(options),
    }


def in_band_variables(inventory: Inventory, host: str) -> dict[str, Any]:
    """Ansible's connection variables once the host is in band, as the inventory plugin gives them."""
    return {
        "ansible_host": host,
        "ansible_port": 22,
        "ansible_user": DEPLOY_USER,
        "ansible_become": True,
        "ansible_ssh_private_key_file": str(inventory.deploy_key),
        "ansible_ssh_common_args": f"-F {inventory.ssh_config}",
    }


def _algorithms(kind: str) -> str:
    return "rsa-sha2-512,rsa-sha2-256" if kind == "ssh-rsa" else kind


def _known_hosts(inventory: Inventory, host: str, entry: Entry) -> Path:
    folder = inventory.state / "first_contact_known_hosts"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / host
    text = f"{host} {entry.host_key}\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        fresh = path.with_name(f".{host}.{os.getpid()}")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    return path


def in_band(inventory: Inventory, host: str, seconds: float = IN_BAND_SECONDS) -> str:
    """Empty when the host answers as egov-deploy, with root's rights, under its enrolled host key; else why not."""
    record = read_record(inventory, host)
    if not record:
        return tr("尚未登记", "not enrolled")
    try:
        entry, _ = read_note(inventory, host)
    except UsageError:
        entry = None
    if entry and entry.host_key.startswith("ssh-ed25519") and entry.host_key != record.get("ssh_host_ed25519"):
        return tr("first_contact.yml 中的主机密钥是新的", "its host key in first_contact.yml is a new one")
    try:
        done = run(inventory, host, ["true"], timeout=seconds)
    except EgovError as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return tr(f"{host}：{DEPLOY_USER} 在该主机上不能成为 root", f"{host}: {DEPLOY_USER} may not become root there")


def wait_in_band(inventory: Inventory, host: str, seconds: float) -> None:
    """Wait until the host is in band; CannotMeasure with the last reason when it is not after `seconds`."""
    limit = time.monotonic() + seconds
    while why := in_band(inventory, host):
        if time.monotonic() > limit:
            raise CannotMeasure(
                tr(
                    f"{host}：已配置，但 {seconds:g} 秒后仍未带内可达：{why}；请检查其上行链路",
                    f"{host}: configured, but not in band after {seconds:g} s: {why}; check its uplinks",
                )
            )
        time.sleep(1)
