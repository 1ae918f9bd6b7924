"""Public keys that hosts made at enrolment: inventories/<city>/enrolled/<host>.yml."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from egovctl.errors import UsageError
from egovctl.paths import Inventory

PUBLIC_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]{68}\Z")
KEYS = ("ssh_host_ed25519", "borg_ed25519", "deploy_ed25519", "borg_restore_ed25519")


def read_enrolled(inventory: Inventory) -> Mapping[str, Mapping[str, str]]:
    """host → its public keys; UsageError names the file of anything that is not a public key in its place."""
    result: dict[str, Mapping[str, str]] = {}
    for path in sorted(inventory.enrolled_dir.glob("*.yml")):
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: not YAML; enrol the host again ({error})") from None
        if not isinstance(data, dict) or data.get("host") != path.stem:
            raise UsageError(f"{path}: expected host: {path.stem}; enrol the host again")
        for key, value in data.items():
            if key != "host" and (key not in KEYS or not isinstance(value, str) or not PUBLIC_KEY.match(value)):
                raise UsageError(f"{path}: {key} is not a known public key; enrol the host again")
        result[path.stem] = data
    return result
