"""Write a rendered city to build/: all of it or nothing, and only what differs, so that times tell what changed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from egovctl.render.control import control_files
from egovctl.render.engine import HostFiles, Rendered
from egovctl.render.enrolled import CONTROL

WRITERS = 4


@dataclass(frozen=True)
class Written:
    """How many files there are, and which host's changed since the last render."""

    files: int
    changed_hosts: tuple[str, ...]


def write_build(rendered: Rendered) -> Written:
    """Given the whole city in memory, swap each host's folder in; a host that left the plan loses its folder."""
    build = rendered.inventory.build
    build.mkdir(parents=True, exist_ok=True)
    beside = {path: text.encode() for path, text in control_files(rendered).items()}

    def write(name: str) -> bool:
        # The host called control has what it needs itself in the same folder.
        return _write_host(build, name, _texts(rendered.hosts[name]), beside if name == CONTROL else {})

    # Making files is the kernel's work, and threads do it side by side.
    with ThreadPoolExecutor(WRITERS) as pool:
        changed = [name for name, new in zip(rendered.hosts, pool.map(write, rendered.hosts), strict=True) if new]
    kept = {*rendered.hosts, CONTROL}
    for folder in build.iterdir():
        if folder.name not in kept:
            shutil.rmtree(folder)
    for path, data in beside.items():
        _write_if_new(build / CONTROL / path, data)
    return Written(sum(len(host.files) for host in rendered.hosts.values()), tuple(changed))


def _write_host(build: Path, name: str, rendered: Mapping[str, bytes], own: Mapping[str, bytes]) -> bool:
    """Swap the host's folder in if it differs; whether what is rendered for it does, `own` aside."""
    texts = {**rendered, **own}
    current = _current(build / name)
    if current == texts:
        return False
    _swap_in(build, name, texts)
    return {path: data for path, data in current.items() if path not in own} != rendered


def _texts(host: HostFiles) -> dict[str, bytes]:
    manifest = json.dumps(host.manifest, indent=1, ensure_ascii=False) + "\n"
    return {"manifest.json": manifest.encode(), **{f"rootfs{path}": data for path, data in host.files.items()}}


def _current(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _swap_in(build: Path, name: str, texts: Mapping[str, bytes]) -> None:
    staged = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=build))
    for folder in _folders(texts):
        (staged / folder).mkdir()
    for path, data in texts.items():
        (staged / path).write_bytes(data)
    staged.chmod(0o755)
    old = build / name
    if old.exists():
        retired = staged.with_name(f"{staged.name}-old")
        old.rename(retired)
        staged.rename(old)
        shutil.rmtree(retired)
    else:
        staged.rename(old)


def _folders(paths: Iterable[str]) -> list[str]:
    """All folders that these paths are in, each after the one that it is in."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return sorted(found)


def _write_if_new(path: Path, data: bytes) -> None:
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.new")
    staged.write_bytes(data)
    staged.replace(path)
