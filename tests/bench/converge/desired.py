"""What a rendered host shall be, made ready for programs that know nothing of our manifests.

Each host gets a folder of files with their secrets put in, one archive of them, and a description as data. The folder
is private (0700) and outside the tree: whoever makes it deletes it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shlex
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egovctl.apply import placeholders
from egovctl.apply.manifest import FileEntry, Manifest
from egovctl.paths import Inventory, project_root
from egovctl.render.bundle import load_bundles
from egovctl.render.enrolled import CONTROL
from egovctl.secrets import Secrets

DAEMON_RELOAD = "daemon-reload"


@dataclass(frozen=True)
class Wanted:
    """One host: `files` maps a path to its bytes with the secrets put in; `spec` maps it to (bundle, path in the
    role), which is what an author of a playbook would write one task for."""

    manifest: Manifest
    files: Mapping[str, bytes]
    spec: Mapping[str, str]

    def digest(self, path: str) -> str:
        return hashlib.sha256(self.files[path]).hexdigest()


def wanted_hosts(inventory: Inventory, build: Path) -> dict[str, Wanted]:
    """Every host of a build but control, which is not reached over the network."""
    secret = Secrets(inventory).get
    patterns = _patterns()
    result = {}
    for folder in sorted(build.iterdir()):
        if folder.name == CONTROL or not (folder / "manifest.json").is_file():
            continue
        manifest = Manifest.load(build, folder.name)
        files = {entry.path: _resolved(manifest, entry, secret) for entry in manifest.files}
        spec = {entry.path: _spec_of(entry, patterns) for entry in manifest.files}
        result[folder.name] = Wanted(manifest, files, spec)
    return result


def _resolved(manifest: Manifest, entry: FileEntry, secret: Any) -> bytes:
    content = manifest.content(entry)
    for placeholder, value in placeholders.resolve(placeholders.find(content), secret).items():
        content = content.replace(placeholder.encode(), value.encode())
    return content


def _patterns() -> list[tuple[str, str, re.Pattern[str]]]:
    bundles = load_bundles(project_root() / "playbooks" / "roles")
    return [
        (bundle.name, spec.path, re.compile(re.escape(spec.path).replace(r"\{item\}", "[^/]+") + r"\Z"))
        for bundle in bundles
        for spec in bundle.spec.files
    ]


def _spec_of(entry: FileEntry, patterns: Iterable[tuple[str, str, re.Pattern[str]]]) -> str:
    return next(
        f"{bundle}: {path}" for bundle, path, form in patterns if bundle == entry.bundle and form.match(entry.path)
    )


def write_for_peers(wanted: Mapping[str, Wanted], folder: Path) -> None:
    """`folder`/<host>/{files/...,host.json,all.tar,converge.sh}, all of it private."""
    for name, host in wanted.items():
        place = folder / name
        place.mkdir(mode=0o700, parents=True)
        for path, data in host.files.items():
            target = place / "files" / path[1:]
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(data)
        archive = _archive(host)
        (place / "all.tar").write_bytes(archive)
        description = {**_description(host, place), "archive": base64.b64encode(archive).decode()}
        (place / "host.json").write_text(json.dumps(description), encoding="utf-8")


def _description(host: Wanted, place: Path) -> dict[str, Any]:
    manifest = host.manifest
    return {
        "packages": sorted({name for names in manifest.packages.values() for name in names}),
        "folders": [
            {"path": item.path, "mode": item.mode, "owner": item.owner, "group": item.group}
            for item in manifest.folders
        ],
        "files": [
            {
                "spec": host.spec[item.path],
                "src": str(place / "files" / item.path[1:]),
                "path": item.path,
                "mode": item.mode,
                "owner": item.owner,
                "group": item.group,
                "actions": list(item.actions),
            }
            for item in manifest.files
        ],
        "actions": [
            {
                "name": action,
                "command": action_command(action),
                "paths": [item.path for item in manifest.files if action in item.actions],
            }
            for action in manifest.order
        ],
        "tasks": tasks_of(host),
        "units": [{"name": item.name, "enabled": item.enabled, "active": item.active} for item in manifest.units],
        "look": look_script(host),
        "act": act_script(host),
    }


def _archive(host: Wanted) -> bytes:
    """Folders and files with their modes and owners, compressed once for all contenders' bulk forms."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:
        for folder in host.manifest.folders:
            info = _member(folder.path, folder.mode, folder.owner, folder.group)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
        for item in host.manifest.files:
            info = _member(item.path, item.mode, item.owner, item.group)
            info.size = len(host.files[item.path])
            archive.addfile(info, io.BytesIO(host.files[item.path]))
    return packed.getvalue()


def _member(path: str, mode: str, owner: str, group: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path[1:])
    info.mode, info.uname, info.gname = int(mode, 8), owner, group
    info.uid = info.gid = 0  # names count; tar falls back to numbers where there is no such name
    return info


def look_script(host: Wanted) -> str:
    """Plain sh that prints the paths whose content differs: what a bulk form asks before it sends anything."""
    sums = "\n".join(f"{host.digest(path)}  {path}" for path in host.files)
    return f"sha256sum -c --quiet 2>/dev/null <<'SUMS' | sed 's/: FAILED.*//'\n{sums}\nSUMS\ntrue\n"


def act_script(host: Wanted) -> str:
    """Plain sh that reads changed paths in $changed and does what follows, in the manifest's order, then the units."""
    parts = ["set -e"]
    for action in host.manifest.order:
        paths = [item.path for item in host.manifest.files if action in item.actions]
        cases = "|".join(f'*" {path} "*' for path in paths)
        parts.append(f'case " $changed " in {cases}) {action_command(action)};; esac')
    # One that is enabled is not enabled again: that costs a reload of systemd.
    enabled = [item.name for item in host.manifest.units if item.enabled]
    parts += [f"systemctl -q is-enabled {name} || systemctl -q enable {name}" for name in map(shlex.quote, enabled)]
    disabled = [item.name for item in host.manifest.units if item.enabled is False]
    parts += [f"! systemctl -q is-enabled {name} || systemctl -q disable {name}" for name in map(shlex.quote, disabled)]
    for verb, names in (
        ("start", [item.name for item in host.manifest.units if item.active]),
        ("stop", [item.name for item in host.manifest.units if item.active is False and not item.enabled]),
    ):
        if names:
            parts.append(f"systemctl -q {verb} {shlex.join(names)}")
    return "\n".join(parts) + "\n"


def action_command(action: str) -> str:
    """An action of a manifest as a shell command."""
    verb, _, rest = action.partition(":")
    if action == DAEMON_RELOAD:
        return "systemctl daemon-reload"
    if verb == "run":
        return rest
    return f"systemctl {'reload-or-restart' if verb == 'reload' else 'restart'} {shlex.quote(rest)}"


def tasks_of(host: Wanted) -> list[dict[str, Any]]:
    """Actions by the task that an author writes for them: one for all units of a kind, restart:wg-quick@ say.

    In the manifest's order, each with what it is about on this host.
    """
    grouped: dict[str, list[str]] = {}
    for action in host.manifest.order:
        grouped.setdefault(task_name(action), []).append(action.partition(":")[2])
    return [{"task": task, "names": names} for task, names in grouped.items()]


def task_name(action: str) -> str:
    """The task that an action belongs to."""
    if action.startswith("restart:egov-backup-"):
        return "restart:egov-backup-"  # timers, by service
    head, at, _ = action.partition("@")
    return head + at if at and not action.startswith("run:") else action
