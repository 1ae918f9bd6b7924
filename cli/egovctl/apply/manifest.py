"""The manifest of one host: what its files, folders, units and sysctls shall be (build/<inventory>/<host>/)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from egovctl.errors import UsageError
from egovctl.i18n import tr

PROTOCOL = 1
# No blanks, quotes or control characters: paths stand in shell words and in line-by-line answers.
PATH = re.compile(r"/[A-Za-z0-9@%+=:,._/-]+")
UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]+")
SYSCTL = re.compile(r"[A-Za-z0-9_./-]+")
ACTION = re.compile(r"daemon-reload|(reload|restart):[A-Za-z0-9:_.\\@-]+|run:\S.*")
MODE = re.compile(r"0?[0-7]{3,4}")


@dataclass(frozen=True)
class FileEntry:
    """A file; `sha256` is that of the rendered bytes, before secrets."""

    path: str
    mode: str
    owner: str
    group: str
    bundle: str
    sha256: str
    secrets: tuple[str, ...] = ()
    validate: str = ""
    actions: tuple[str, ...] = ()


@dataclass(frozen=True)
class FolderEntry:
    path: str
    mode: str
    owner: str
    group: str
    bundle: str


@dataclass(frozen=True)
class UnitEntry:
    """None: not looked at."""

    name: str
    bundle: str
    enabled: bool | None = None
    active: bool | None = None


@dataclass(frozen=True)
class SysctlEntry:
    name: str
    value: str
    bundle: str


@dataclass(frozen=True)
class Manifest:
    """All that one host shall be; `absent` are (path, bundle) pairs, `confirm` the bundles that can cut it off.

    `settled`: by bundle, the command that tells whether what the role does beside the transaction is done.
    """

    host: str
    inventory: str
    plan_revision: str
    rootfs: Path
    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    users: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folders: tuple[FolderEntry, ...] = ()
    files: tuple[FileEntry, ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    units: tuple[UnitEntry, ...] = ()
    sysctls: tuple[SysctlEntry, ...] = ()
    order: tuple[str, ...] = ()
    confirm: tuple[str, ...] = ()
    settled: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, build: Path, host: str) -> Manifest:
        """Read `build`/`host`/manifest.json; UsageError says what is wrong with it and what to do."""
        path = build / host / "manifest.json"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(
                tr(
                    f"{host}：尚未生成配置（缺少 {path}）；请运行 egovctl render",
                    f"{host}: nothing is rendered for it ({path} is missing); run egovctl render",
                )
            ) from None
        except ValueError as error:
            raise UsageError(_rerender(path, tr(f"不是 JSON（{error}）", f"not JSON ({error})"))) from None
        if raw.get("protocol") != PROTOCOL:
            other = raw.get("protocol")
            said = tr(f"协议 {other}，本 egovctl 使用 {PROTOCOL}", f"protocol {other}, this egovctl speaks {PROTOCOL}")
            raise UsageError(_rerender(path, said))
        try:
            manifest = _decode(raw, path.parent / "rootfs")
            _check(manifest)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(_rerender(path, f"{type(error).__name__}: {error}")) from None
        return manifest

    def only(self, bundles: Iterable[str] | None) -> Manifest:
        """The part that belongs to these bundles; all of it when None."""
        if bundles is None:
            return self
        chosen = frozenset(bundles)
        return replace(
            self,
            packages={name: items for name, items in self.packages.items() if name in chosen},
            users={name: items for name, items in self.users.items() if name in chosen},
            folders=tuple(item for item in self.folders if item.bundle in chosen),
            files=tuple(item for item in self.files if item.bundle in chosen),
            absent=tuple(item for item in self.absent if item[1] in chosen),
            units=tuple(item for item in self.units if item.bundle in chosen),
            sysctls=tuple(item for item in self.sysctls if item.bundle in chosen),
            settled={name: command for name, command in self.settled.items() if name in chosen},
        )

    def content(self, entry: FileEntry) -> bytes:
        """The rendered bytes; UsageError when they are not those that the manifest tells of."""
        place = self.rootfs / entry.path[1:]
        try:
            data = place.read_bytes()
        except OSError as error:
            raise UsageError(_rerender(place, str(error.strerror))) from None
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise UsageError(
                tr(
                    f"{place}：生成后被改动过；请修改规划或模板，再运行 egovctl render",
                    f"{place}: edited after rendering; change the plan or a template and run egovctl render",
                )
            )
        return data


def _rerender(path: Path, said: str) -> str:
    return tr(f"{path}：{said}；请运行 egovctl render", f"{path}: {said}; run egovctl render")


def _decode(raw: Mapping[str, Any], rootfs: Path) -> Manifest:
    return Manifest(
        host=raw["host"],
        inventory=raw["inventory"],
        plan_revision=raw["plan_revision"],
        rootfs=rootfs,
        packages={name: tuple(items) for name, items in raw.get("packages", {}).items()},
        users={name: tuple(items) for name, items in raw.get("users", {}).items()},
        folders=tuple(FolderEntry(**item) for item in raw.get("folders", ())),
        files=tuple(_file(item) for item in raw.get("files", ())),
        absent=tuple((item["path"], item["bundle"]) for item in raw.get("absent", ())),
        units=tuple(UnitEntry(**item) for item in raw.get("units", ())),
        sysctls=tuple(
            SysctlEntry(name, str(value), bundle)
            for bundle, values in raw.get("sysctl", {}).items()
            for name, value in values.items()
        ),
        order=tuple(raw.get("order", ())),
        confirm=tuple(raw.get("confirm", ())),
        settled=dict(raw.get("settled", {})),
    )


def _file(item: Mapping[str, Any]) -> FileEntry:
    lists = {name: tuple(item.get(name, ())) for name in ("secrets", "actions")}
    return FileEntry(**{**item, **lists})


def _check(manifest: Manifest) -> None:
    """ValueError with what is wrong: a path, mode, unit, sysctl or action that the on-host program could not take."""
    paths = [item.path for item in manifest.files] + [item.path for item in manifest.folders]
    paths += [path for path, _ in manifest.absent]
    for path in paths:
        if not PATH.fullmatch(path) or path != str(Path(path)) or ".." in path.split("/"):
            raise ValueError(f"{path!r} is not a plain absolute path")
    if twice := {path for path in paths if paths.count(path) > 1}:
        raise ValueError(f"{sorted(twice)[0]} is named twice")
    owned: tuple[FileEntry | FolderEntry, ...] = (*manifest.files, *manifest.folders)
    for item in owned:
        if not MODE.fullmatch(item.mode):
            raise ValueError(f"{item.path}: mode {item.mode!r} is not octal")
    known = set(manifest.order)
    for entry in manifest.files:
        for action in entry.actions:
            if not ACTION.fullmatch(action):
                raise ValueError(f"{entry.path}: action {action!r} is not known")
            if action not in known:
                raise ValueError(f"{entry.path}: action {action!r} has no place in order")
    for unit in manifest.units:
        if not UNIT.fullmatch(unit.name):
            raise ValueError(f"{unit.name!r} is not a unit's name")
    for sysctl in manifest.sysctls:
        if not SYSCTL.fullmatch(sysctl.name) or ".." in sysctl.name:
            raise ValueError(f"{sysctl.name!r} is not a sysctl's name")
