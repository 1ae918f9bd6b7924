"""Faults of what is backed up: left out, empty, changed under the backup's hands, encrypted by someone else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from egovctl.drill.causes import Cause
from egovctl.drill.planter import content
from egovctl.drill.planter.kinds import UNKNOWN, Stage, kind
from egovctl.drill.planter.world import MODES, OWNERS, SERVICES, World


@kind("stale", "备份早已停止", "backups stopped long ago", Stage.FIRST, Cause.STALE)
def stale(world: World) -> dict[str, Any]:
    world.age = world.rpo * world.rng.uniform(1.2, 20)
    return {"age": round(world.age)}


@kind("clock-ahead", "主机时钟超前", "the host's clock is ahead", Stage.FIRST, Cause.CLOCK_WRONG, verdict=UNKNOWN)
def clock_ahead(world: World) -> dict[str, Any]:
    world.skew = world.rng.uniform(600, 30 * 86_400) + world.rpo
    return {"ahead": round(world.skew)}


@kind("wrong-host", "备份属于另一台主机", "the backup of another host", Stage.FIRST, Cause.WRONG_SOURCE)
def wrong_host(world: World) -> dict[str, Any]:
    world.hostname = f"{world.host}-old" if world.rng.random() < 0.5 else "jingtai-schools"
    world.quirks = [name for name in world.quirks if name != "renamed"]
    return {"host": world.hostname}


@kind("path-left-out", "规划的路径未备份", "a path of the plan not backed up", Stage.FIRST, Cause.PATH_LEFT_OUT)
def path_left_out(world: World) -> dict[str, Any]:
    extra = world.folder / "host" / "opt" / "data"
    world.write(extra / "a.txt", content.text(world.rng, 100))
    world.paths = [*world.paths, extra]
    lost = world.rng.choice(world.paths)
    world.told = [path for path in world.paths if path != lost]
    return {"path": lost.name}


def _second_path(world: World) -> None:
    """The hook refuses a backup without any file, so there is another path."""
    if len(world.paths) == 1:
        extra = world.folder / "host" / "etc" / "more.conf"
        world.write(extra, content.text(world.rng, 100))
        world.paths, world.told = [*world.paths, extra], [*world.told, extra]


@kind(
    "source-empty",
    "源目录为空（未挂载）",
    "an empty source, as when a disk is not mounted",
    Stage.SOURCE,
    Cause.SOURCE_EMPTY,
    prepare=_second_path,
)
def source_empty(world: World) -> dict[str, Any]:
    lost = world.paths[0]
    for item in lost.iterdir():
        shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()
    return {"path": lost.name}


@kind("subtree-missing", "子目录被排除", "a subtree excluded from the archive", Stage.BETWEEN, Cause.FILES_MISSING)
def subtree_missing(world: World) -> dict[str, Any]:
    folders = sorted({path.parent for path in world.files()} - set(world.paths)) or [world.paths[0]]
    chosen = world.rng.choice([folder for folder in folders if folder.is_dir() and "\n" not in str(folder)])
    world.excluded.append(str(chosen))
    return {"folder": str(chosen.relative_to(world.folder))}


@kind("file-missing", "缺少一个文件", "one file missing", Stage.BETWEEN, Cause.FILES_MISSING)
def file_missing(world: World) -> dict[str, Any]:
    chosen = world.rng.choice(_alone(world))
    chosen.unlink()
    return {"file": chosen.name}


@kind(
    "content-changed",
    "文件内容与清单不符",
    "a file's content is not the manifest's",
    Stage.BETWEEN,
    Cause.CONTENT_CHANGED,
)
def content_changed(world: World) -> dict[str, Any]:
    chosen = world.rng.choice([path for path in _alone(world) if path.stat().st_size])
    status, data = chosen.stat(), bytearray(chosen.read_bytes())
    place = world.rng.randrange(len(data))
    data[place] ^= 1 << world.rng.randrange(8)
    with chosen.open("r+b") as stream:
        stream.write(data)
    return {"file": chosen.name, "offset": place, "size": status.st_size}


@kind("file-cut", "文件被截断", "a file cut", Stage.BETWEEN, Cause.CONTENT_CHANGED)
def file_cut(world: World) -> dict[str, Any]:
    chosen = world.rng.choice([path for path in _alone(world) if path.stat().st_size])
    size = world.rng.randrange(chosen.stat().st_size)
    with chosen.open("r+b") as stream:
        stream.truncate(size)
    return {"file": chosen.name, "size": size}


@kind(
    "files-extra", "备份中有清单没有的文件", "files that the manifest does not know", Stage.BETWEEN, Cause.FILES_EXTRA
)
def files_extra(world: World) -> dict[str, Any]:
    count = world.rng.randrange(1, 6)
    for _ in range(count):
        world.add(world.paths[0])
    return {"files": count}


@kind("wrong-owner", "属主错误", "wrong owner", Stage.BETWEEN, Cause.METADATA_CHANGED)
def wrong_owner(world: World) -> dict[str, Any]:
    for path in (chosen := world.rng.sample(files := _alone(world), world.rng.randrange(1, len(files) + 1))):
        status = path.stat()
        user = world.rng.choice([owner for owner in OWNERS if owner != status.st_uid])
        shutil.chown(path, user, status.st_gid)
        path.chmod(status.st_mode & 0o7777)
    return {"files": len(chosen)}


@kind("wrong-mode", "权限错误", "wrong mode", Stage.BETWEEN, Cause.METADATA_CHANGED)
def wrong_mode(world: World) -> dict[str, Any]:
    for path in (chosen := world.rng.sample(files := _alone(world), world.rng.randrange(1, len(files) + 1))):
        path.chmod(world.rng.choice([mode for mode in MODES if mode != path.stat().st_mode & 0o7777]))
    return {"files": len(chosen)}


def _readable(world: World) -> None:
    for _ in range(12):
        world.add(world.paths[0], world.rng.choice(content.READABLE))


@kind(
    "ransomware",
    "源数据被勒索软件加密",
    "the source encrypted by ransomware",
    Stage.SOURCE,
    Cause.ENCRYPTED_SOURCE,
    prepare=_readable,
)
def ransomware(world: World) -> dict[str, Any]:
    """Readable files are encrypted, in place or under a longer name, all or a share, whole or their beginnings."""
    rng, suffix = world.rng, world.rng.choice(("", ".locked", ".a1b2c3"))
    readable = [path for path in world.files(*content.READABLE) if path.stat().st_size >= 2048]
    share = rng.uniform(0.2, 1.0)
    chosen = rng.sample(readable, max(4, int(len(readable) * share))) if len(readable) > 4 else readable
    part = rng.choice((1 << 62, 1 << 18))
    for path in chosen:
        data = path.read_bytes()
        path.write_bytes(rng.randbytes(len(data[:part])) + data[part:])
        if suffix:
            path.rename(path.with_name(path.name + suffix))
    if rng.random() < 0.5:
        world.write(world.paths[0] / "READ ME.txt", b"your files are encrypted\n" * 20)
    return {"files": len(chosen), "share": round(share, 2), "suffix": suffix}


@kind(
    "manifest-lost", "备份中没有清单", "no manifest in the archive", Stage.BETWEEN, Cause.MANIFEST_LOST, verdict=UNKNOWN
)
def manifest_lost(world: World) -> dict[str, Any]:
    manifest, how = world.proof / world.service / "manifest.json", world.rng.choice(("deleted", "cut", "emptied"))
    if how == "deleted":
        manifest.unlink()
    else:
        text = manifest.read_text()
        manifest.write_text("" if how == "emptied" else text[: world.rng.randrange(1, len(text))])
    return {"how": how}


@kind("wrong-service", "清单属于另一服务", "the manifest of another service", Stage.BETWEEN, Cause.WRONG_SOURCE)
def wrong_service(world: World) -> dict[str, Any]:
    manifest = world.proof / world.service / "manifest.json"
    other = world.rng.choice([name for name in SERVICES if name != world.service])
    manifest.write_text(manifest.read_text().replace(f'"service": "{world.service}"', f'"service": "{other}"'))
    return {"service": other}


def _alone(world: World) -> list[Path]:
    """Files with one name only, so that one change is one file's."""
    return [path for path in world.files() if path.stat().st_nlink == 1]
