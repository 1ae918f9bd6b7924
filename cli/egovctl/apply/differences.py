"""What a host differs in from its manifest, as the probe saw it. The host looks again, under its lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from egovctl.apply.manifest import FileEntry, FolderEntry, Manifest
from egovctl.apply.on_host import Unit, keyed_digest, same_value, sysctl_path, unit_difference
from egovctl.apply.probe import Info, Seen


@dataclass
class Differences:
    """`files` are those whose content must be sent; the rest only says that there is something to do."""

    files: list[FileEntry] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    unregistered: list[str] = field(default_factory=list)

    @property
    def none(self) -> bool:
        return not (self.files or self.others)


def wanted_digest(entry: FileEntry, content: bytes, values: Mapping[str, str], nonce: list[str]) -> str:
    """What the probe answers for the file when all is well; `content` is the rendered text, `values` its secrets."""
    if not entry.secrets:
        return entry.sha256
    for placeholder, value in values.items():
        content = content.replace(placeholder.encode(), value.encode())
    return keyed_digest(nonce, content)


def compare(
    whole: Manifest, part: Manifest, digests: Mapping[str, str], seen: Seen, bundles: list[str] | None
) -> Differences:
    """`part` of the `whole` manifest against what was seen; `digests` is what each file's should be."""
    found = Differences()
    for entry in part.files:
        info = seen.infos.get(entry.path)
        if (
            info is None
            or not info.is_file
            or seen.digests.get(entry.path) != digests[entry.path]
            or not _owned(info, entry)
        ):
            found.files.append(entry)
    for folder in part.folders:
        info = seen.infos.get(folder.path)
        if info is None or info.kind != "directory" or not _owned(info, folder):
            found.others.append(folder.path)
    found.others += [path for path, _ in part.absent if path in seen.infos]
    for unit in part.units:
        if unit_difference(Unit(unit.name, unit.bundle, unit.enabled, unit.active), *seen.units[unit.name]):
            found.others.append(unit.name)
    for item in part.sysctls:
        if not same_value(seen.sysctls.get(sysctl_path(item.name)), item.value):
            found.others.append(item.name)
    if seen.open_work:
        found.others.append("an interrupted apply")
    found.others += _dropped(whole, seen.registry, bundles)
    found.unregistered = _unregistered(part, seen.registry)
    return found


def kept(whole: Manifest) -> dict[str, list[str]]:
    """Everything that the whole manifest needs, by the registry's kinds: what is ours and not here is dropped."""
    found = _named(whole)
    above = {str(parent) for path in found["files"] + found["folders"] for parent in PurePosixPath(path).parents}
    return {**found, "folders": sorted(above.union(found["folders"]))}


def _named(manifest: Manifest) -> dict[str, list[str]]:
    return {
        "files": [item.path for item in manifest.files],
        "folders": [item.path for item in manifest.folders],
        "units": [item.name for item in manifest.units],
        "sysctls": [item.name for item in manifest.sysctls],
    }


def _owned(info: Info, entry: FileEntry | FolderEntry) -> bool:
    return (info.mode, info.owner, info.group) == (int(entry.mode, 8), entry.owner, entry.group)


def _dropped(whole: Manifest, registry: Mapping[str, Any], bundles: list[str] | None) -> list[str]:
    gone = []
    for kind, names in kept(whole).items():
        for name, record in registry.get(kind, {}).items():
            if name not in names and (bundles is None or record.get("bundle") in bundles):
                gone.append(name)
    return gone


def _unregistered(part: Manifest, registry: Mapping[str, Any]) -> list[str]:
    """As wanted, but not yet ours: entering it is no change, but from then on it is repaired when it drifts."""
    return [name for kind, names in _named(part).items() for name in names if name not in registry.get(kind, {})]
