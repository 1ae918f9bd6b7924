"""What control itself needs to reach the hosts in band: ssh_config and known_hosts. Public halves only."""

from __future__ import annotations

import yaml

from egovctl.render.engine import Rendered

ENTRY = """\
Host {name}
  HostName {address}
  HostKeyAlias {alias}
  User {user}
  IdentityFile {identity}
"""
COMMON = """\
Host *
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile {known_hosts}
  GlobalKnownHostsFile /dev/null
  KexAlgorithms curve25519-sha256
  HostKeyAlgorithms ssh-ed25519
  ConnectTimeout 10
  ServerAliveInterval 5
  ServerAliveCountMax 3
"""


def control_files(rendered: Rendered) -> dict[str, str]:
    """name under build/<inventory>/control/ → text."""
    return {"ssh_config": _ssh_config(rendered), "known_hosts": _known_hosts(rendered)}


def _ssh_config(rendered: Rendered) -> str:
    inventory = rendered.inventory
    key = inventory.deploy_key
    entries = []
    for host in rendered.city.hosts.values():
        if "managed" in host.groups:
            entries.append(
                ENTRY.format(name=host.name, address=host.address_v4, alias=host.name, user="egov-deploy", identity=key)
            )
        if host.role == "backup":
            for name, user in (("borg", "borg"), ("pgbackrest", "pgbackrest-read")):
                alias, restore = f"{host.name}-{name}", key.with_name(f"{name}_restore_ed25519")
                entries.append(
                    ENTRY.format(name=alias, address=host.address_v4, alias=host.name, user=user, identity=restore)
                )
    common = COMMON.format(known_hosts=inventory.build / "control" / "known_hosts")
    if proxy := _proxy(rendered):
        common += f"  ProxyCommand {proxy}\n"
    return "\n".join([*entries, common])


def _proxy(rendered: Rendered) -> str | None:
    """The lab's way into control's network; a real control is in its network already and notes none."""
    path = rendered.inventory.first_contact
    if not path.is_file():
        return None
    data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return data.get("in_band_proxy")


def _known_hosts(rendered: Rendered) -> str:
    lines = []
    for name, keys in rendered.enrolled.items():
        if "ssh_host_ed25519" in keys:
            lines.append(f"{name} {keys['ssh_host_ed25519']}")
    return "\n".join([*lines, ""])
