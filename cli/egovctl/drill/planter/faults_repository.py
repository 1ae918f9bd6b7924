"""Faults of the repository itself: a disk that lies, files that are gone, keys that do not fit."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from egovctl.drill.causes import Cause
from egovctl.drill.planter.kinds import Stage, kind
from egovctl.drill.planter.segments import HEADER, Entry, needed
from egovctl.drill.planter.world import SERVICES, World


def _place(world: World) -> tuple[Entry, int]:
    """A byte of what the newest archive needs, each as likely as any other, and the entry that it is in."""
    entries = needed(world)
    chosen = world.rng.choices(entries, [entry.size for entry in entries])[0]
    return chosen, world.rng.randrange(chosen.offset, chosen.offset + chosen.size)


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)


@kind("bit-flip", "备份库中翻转一个比特", "one bit flipped", Stage.AFTER, Cause.REPOSITORY_DAMAGED)
def bit_flip(world: World) -> dict[str, Any]:
    entry, offset = _place(world)
    bit = world.rng.randrange(8)
    _overwrite(entry.segment, offset, bytes([entry.segment.read_bytes()[offset] ^ 1 << bit]))
    return {"segment": entry.segment.name, "offset": offset, "bit": bit}


@kind("block-lost", "备份库中一个磁盘块变为零", "a block of zeros", Stage.AFTER, Cause.REPOSITORY_DAMAGED)
def block_lost(world: World) -> dict[str, Any]:
    entry, offset = _place(world)
    size = world.rng.choice((512, 4096, 65_536))
    begin = offset // size * size
    size = min(size, entry.segment.stat().st_size - begin)
    before = entry.segment.read_bytes()[begin : begin + size]
    _overwrite(entry.segment, begin, bytes(size) if any(before) else b"\xff" * size)
    return {"segment": entry.segment.name, "offset": begin, "size": size}


@kind("segment-deleted", "删除一个段文件", "a segment file deleted", Stage.AFTER, Cause.REPOSITORY_DAMAGED)
def segment_deleted(world: World) -> dict[str, Any]:
    segment = world.rng.choice(sorted({entry.segment for entry in needed(world)}))
    segment.unlink()
    return {"segment": segment.name}


@kind("segment-cut", "截断一个段文件", "a segment file cut", Stage.AFTER, Cause.REPOSITORY_DAMAGED)
def segment_cut(world: World) -> dict[str, Any]:
    entries = needed(world)
    segment = world.rng.choice(sorted({entry.segment for entry in entries}))
    end = max(entry.offset + entry.size for entry in entries if entry.segment == segment)
    size = end - world.rng.randrange(1, HEADER.size) if world.rng.random() < 0.3 else world.rng.randrange(end)
    with segment.open("r+b") as stream:
        stream.truncate(size)
    return {"segment": segment.name, "size": size, "needed": end}


@kind("index-lost", "备份库索引丢失或损坏", "the index lost or damaged", Stage.AFTER, Cause.REPOSITORY_DAMAGED)
def index_lost(world: World) -> dict[str, Any]:
    index = next(world.repository.glob("index.*"))
    how = world.rng.choice(("deleted", "flipped", "cut", "with hints"))
    if how == "flipped":
        offset = world.rng.randrange(index.stat().st_size)
        _overwrite(index, offset, bytes([index.read_bytes()[offset] ^ 1 << world.rng.randrange(8)]))
    elif how == "cut":
        with index.open("r+b") as stream:
            stream.truncate(world.rng.randrange(index.stat().st_size))
    else:
        lost = [index, *(world.repository.glob("hints.*") if how == "with hints" else [])]
        for path in lost:
            path.unlink()
    return {"how": how}


@kind("config-lost", "备份库配置丢失", "the repository's configuration lost", Stage.AFTER, Cause.REPOSITORY_DAMAGED)
def config_lost(world: World) -> dict[str, Any]:
    config, how = world.repository / "config", world.rng.choice(("deleted", "emptied", "cut"))
    if how == "deleted":
        config.unlink()
    else:
        config.write_text("" if how == "emptied" else config.read_text()[: world.rng.randrange(10, 60)])
    return {"how": how}


@kind("key-lost", "密钥丢失", "the key lost", Stage.AFTER, Cause.KEY_LOST)
def key_lost(world: World) -> dict[str, Any]:
    config = world.repository / "config"
    config.write_text(re.sub(r"(?ms)^key = .*?(?=^\S|\Z)", "", config.read_text()))
    return {}


@kind("passphrase-wrong", "口令错误", "the wrong passphrase", Stage.AFTER, Cause.PASSPHRASE_WRONG)
def passphrase_wrong(world: World) -> dict[str, Any]:
    how = world.rng.choice(("another", "case", "cut"))
    right = world.passphrase
    world.passphrase = {"another": world.rng.randbytes(12).hex(), "case": right.upper(), "cut": right[:-1]}[how]
    return {"how": how}


@kind("no-archive", "没有该服务的备份", "no archive of the service", Stage.AFTER, Cause.NO_BACKUP)
def no_archive(world: World) -> dict[str, Any]:
    how = world.rng.choice(("others only", "new", "gone"))
    if how == "others only":
        other = next(name for name in SERVICES if name != world.service)
        world.create(other)
        names = world.borg("list", "--short", str(world.repository)).decode().split()
        world.borg("delete", str(world.repository), *(name for name in names if name.startswith(f"{world.service}-")))
    else:
        shutil.rmtree(world.repository)
        if how == "new":
            world.borg("init", "--encryption", "repokey", str(world.repository))
    return {"how": how}


@kind("rolled-back", "备份库被退回旧状态", "the repository put back to an older state", Stage.BETWEEN, Cause.STALE)
def rolled_back(world: World) -> dict[str, Any]:
    """The node's disk is an older snapshot, and control has seen the newer one; the age may be within the RPO."""
    shutil.copytree(world.repository, world.folder / "snapshot")
    world.create()
    world.primed = True
    world.prime()
    shutil.rmtree(world.repository)
    (world.folder / "snapshot").rename(world.repository)
    world.done = True
    return {}


@kind("two-hosts", "两台主机写入同一备份库", "two hosts in one repository", Stage.SOURCE, Cause.MIXED_REPOSITORY)
def two_hosts(world: World) -> dict[str, Any]:
    mine, age = world.hostname, world.age
    other = f"{mine}-2" if world.rng.random() < 0.5 else "jingtai-schools"
    last = world.rng.choice((mine, other))
    turns = [mine, other] * 2 if last == other else [other, mine, other]
    for number, name in enumerate(turns):
        world.hostname, world.age = name, age + (len(turns) - number) * 601
        world.backup()
    world.hostname, world.age = last, age
    return {"other": other, "last": last}
