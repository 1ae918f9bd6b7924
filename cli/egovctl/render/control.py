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
# role → further ways there: suffix of the name in ssh_config, user, key. What each may do the host itself says.
BACKUP_WAYS = {
    "backup": (
        ("borg", "borg", "borg_restore_ed25519"),
        ("pgbackrest", "pgbackrest-read", "pgbackrest_restore_ed25519"),
        ("state", "borg", "borg_ed25519"),
        ("retention", "borg", "borg_retention_ed25519"),
    ),
    "offsite": (("restore", "egov-restore", "borg_restore_ed25519"),),
}


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
        for suffix, user, identity in BACKUP_WAYS.get(host.role, ()):
            entries.append(
                ENTRY.format(
                    name=f"{host.name}-{suffix}",
                    address=host.address_v4,
                    alias=host.name,
                    user=user,
                    identity=key.with_name(identity),
                )
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
