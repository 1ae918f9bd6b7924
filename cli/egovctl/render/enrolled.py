"""Public keys that hosts made at enrolment: inventories/<city>/enrolled/<host>.yml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import yaml

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.keys import FINGERPRINT, PUBLIC_KEY, TUNNEL_KEY
from egovctl.paths import Inventory
from egovctl.plan.source import Loader

CONTROL = "control"
SSH_KEYS = (
    "ssh_host_ed25519",
    "borg_ed25519",
    "deploy_ed25519",
    "borg_restore_ed25519",
    "borg_retention_ed25519",
    "evidence_ed25519",
    "log_seal_ed25519",
    "offsite_ed25519",
    "pgbackrest_ed25519",
    "pgbackrest_restore_ed25519",
    "wal_ed25519",
)
KEYS = {**dict.fromkeys(SSH_KEYS, PUBLIC_KEY), "syslog_sha256": FINGERPRINT, "wireguard": TUNNEL_KEY}


def read_enrolled(inventory: Inventory) -> Mapping[str, Mapping[str, str]]:
    """host → its public keys; UsageError names the file of anything that is not a public key in its place."""
    result: dict[str, Mapping[str, str]] = {}
    for path in sorted(inventory.enrolled_dir.glob("*.yml")):
        try:
            data = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506 - a safe one
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(
                tr(
                    f"{path}：不是 YAML；请重新登记该主机（{error}）",
                    f"{path}: not YAML; enrol the host again ({error})",
                )
            ) from None
        if not isinstance(data, dict) or data.get("host") != path.stem:
            raise UsageError(
                tr(
                    f"{path}：应有 host: {path.stem}；请重新登记该主机",
                    f"{path}: expected host: {path.stem}; enrol the host again",
                )
            )
        for key, value in data.items():
            if key != "host" and (key not in KEYS or not isinstance(value, str) or not KEYS[key].fullmatch(value)):
                raise UsageError(
                    tr(
                        f"{path}：{key} 不是已知的公钥；请重新登记该主机",
                        f"{path}: {key} is not a known public key; enrol the host again",
                    )
                )
        result[path.stem] = data
    return result


def require_control(inventory: Inventory, enrolled: Mapping[str, Mapping[str, str]], managed: Iterable[str]) -> None:
    """UsageError when a host is enrolled and control's deploy key is not: an apply would lock control out of it."""
    hosts = [name for name in managed if name in enrolled]
    if hosts and "deploy_ed25519" not in enrolled.get(CONTROL, {}):
        path, key = inventory.enrolled_dir / f"{CONTROL}.yml", f"{inventory.deploy_key}.pub"
        raise UsageError(
            tr(
                f"{path} 中没有 deploy_ed25519，而 {hosts[0]} 已登记：应用后控制机将无法登录；"
                f"请从 git 恢复该文件，或把 {key} 的公钥写入其中",
                f"{path} has no deploy_ed25519 although {hosts[0]} is enrolled: an apply would lock control out; "
                f"restore the file from git, or write the public key of {key} into it",
            )
        )
