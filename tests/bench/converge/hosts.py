"""The hosts between the runs: put back to "not applied", and looked at afterwards, the same way for all contenders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from desired import Wanted

from egovctl import transport
from egovctl.apply.on_host import BASE, active_as_wanted, enabled_as_wanted
from egovctl.paths import Inventory

PATIENCE = 180.0
# Without these a host is not reached, or cuts itself off when it gets them back: they stay.
KEPT_ACTIONS = ("restart:systemd-networkd.service", "restart:frr.service", "restart:wg-quick@")
KEPT_FILES = ("/etc/sudoers.d/egov-deploy", "/home/egov-deploy/.ssh/authorized_keys")
# These get an earlier version, one comment longer, so that they differ and their action runs without harm.
OLDER = {"/etc/ssh/sshd_config.d/50-egov.conf": "# ", "/etc/nftables.conf": "# ", "/etc/frr/frr.conf": "! "}
KEPT_UNITS = ("ssh.service", "systemd-networkd.service", "frr.service", "nftables.service", "wg-quick@")

RESET = """
import json, os, subprocess
def main(params):
    stop = params["units"]
    subprocess.run(["systemctl", "-q", "disable", "--now", *stop], stderr=subprocess.DEVNULL)
    for path in params["remove"]:
        if os.path.exists(path):
            os.unlink(path)
    for path, mark in params["older"].items():
        with open(path) as stream:
            text = stream.read()
        line = mark + "an earlier version\\n"
        if not text.endswith(line):
            with open(path, "w") as stream:
                stream.write(text + line)
    try:
        with open(params["registry"]) as stream:
            registry = json.load(stream)
    except FileNotFoundError:
        registry = {}
    for kind, names in (("files", params["remove"]), ("units", stop)):
        for name in names:
            registry.get(kind, {}).pop(name, None)
    if registry:
        with open(params["registry"] + ".new", "w") as stream:
            json.dump(registry, stream)
        os.chmod(params["registry"] + ".new", 0o600)
        os.rename(params["registry"] + ".new", params["registry"])
    subprocess.run(["systemctl", "daemon-reload"])
    subprocess.run(["systemctl", "reset-failed"])
    return True
"""

LOOK = """
import grp, hashlib, os, pwd, subprocess
def main(params):
    files = {}
    for path in params["files"]:
        try:
            info = os.lstat(path)
            with open(path, "rb") as stream:
                digest = hashlib.sha256(stream.read()).hexdigest()
            owner, group = pwd.getpwuid(info.st_uid).pw_name, grp.getgrgid(info.st_gid).gr_name
            files[path] = [digest, "%04o" % (info.st_mode & 0o7777), owner, group, info.st_ino, info.st_mtime_ns]
        except (OSError, KeyError) as error:
            files[path] = [type(error).__name__, "", "", "", 0, 0]
    words = ["systemctl", "show", "-p", "ActiveState", "-p", "UnitFileState", "--", *params["units"]]
    said = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode()
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in said.strip().split("\\n\\n")]
    active = [block["ActiveState"] for block in blocks]
    return {"files": files, "active": active, "enabled": [block["UnitFileState"] or "not-found" for block in blocks]}
"""


def _is_kept(host: Wanted, path: str) -> bool:
    entry = next(item for item in host.manifest.files if item.path == path)
    return path in KEPT_FILES or path in OLDER or any(action.startswith(KEPT_ACTIONS) for action in entry.actions)


def reset(inventory: Inventory, wanted: Mapping[str, Wanted]) -> None:
    """Every host as it was before the first apply, but reachable.

    Files that the way in needs stay, three get an earlier version, all others are removed; their units are stopped and
    disabled. Our own register on the host forgets them too, so that nobody starts with an advantage.
    """

    def one(name: str) -> Any:
        host = wanted[name]
        params = {
            "remove": _removed(host),
            "older": {path: mark for path, mark in OLDER.items() if path in host.files},
            "units": [item.name for item in host.manifest.units if not item.name.startswith(KEPT_UNITS)],
            "registry": f"{BASE}/managed.json",
        }
        return transport.run_python(inventory, name, RESET, params, timeout=PATIENCE)

    _all_or_raise(transport.each(wanted, one))


def _removed(host: Wanted) -> list[str]:
    return [path for path in host.files if not _is_kept(host, path)]


def reset_counts(wanted: Mapping[str, Wanted]) -> dict[str, int]:
    """How many files a reset removes, makes older and keeps, of all hosts together."""
    removed = sum(len(_removed(host)) for host in wanted.values())
    older = sum(path in host.files for host in wanted.values() for path in OLDER)
    return {
        "removed": removed,
        "older": older,
        "kept": sum(len(host.files) for host in wanted.values()) - removed - older,
    }


def look(inventory: Inventory, wanted: Mapping[str, Wanted]) -> dict[str, Any]:
    """What every host has now: digest, mode, owner, group, inode and time of each file; states of its units."""

    def one(name: str) -> Any:
        host = wanted[name]
        params = {"files": list(host.files), "units": [item.name for item in host.manifest.units]}
        return transport.run_python(inventory, name, LOOK, params, timeout=PATIENCE)

    return _all_or_raise(transport.each(wanted, one))


def wrong(wanted: Mapping[str, Wanted], seen: Mapping[str, Any]) -> list[str]:
    """What differs from what was asked for, one sentence each; empty when the result is right on every host."""
    found = []
    for name, host in wanted.items():
        for entry in host.manifest.files:
            want = [host.digest(entry.path), entry.mode.zfill(4), entry.owner, entry.group]
            have = seen[name]["files"][entry.path][:4]
            if have != want:
                what = "content" if have[0] != want[0] else "mode or owner"
                found.append(f"{name}: {entry.path}: {what} differs")
        for i, unit in enumerate(host.manifest.units):
            active, enabled = seen[name]["active"][i], seen[name]["enabled"][i]
            if not active_as_wanted(unit.active, active):
                found.append(f"{name}: {unit.name} is {active}")
            if not enabled_as_wanted(unit.enabled, enabled):
                found.append(f"{name}: {unit.name} is {enabled}")
    return found


def touched(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Files that a run with nothing to change has written all the same."""
    return [
        f"{name}: {path} was written again"
        for name, seen in before.items()
        for path, state in seen["files"].items()
        if after[name]["files"][path][4:] != state[4:]
    ]


def _all_or_raise(results: Mapping[str, Any]) -> dict[str, Any]:
    for result in results.values():
        if isinstance(result, Exception):
            raise result
    return json.loads(json.dumps(results))  # tuples as lists, as in the JSON that is kept
