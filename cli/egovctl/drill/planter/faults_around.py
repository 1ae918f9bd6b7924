"""Faults of what a drill needs besides the backup: the lock, the way to it, and room."""

from __future__ import annotations

from typing import Any

from egovctl.drill.causes import Cause
from egovctl.drill.planter.kinds import UNKNOWN, Stage, kind
from egovctl.drill.planter.segments import needed
from egovctl.drill.planter.world import World


def _octets(world: World) -> int:
    """What goes over the way when the newest archive is restored."""
    return sum(entry.size for entry in needed(world))


def _much(world: World) -> None:
    """Enough that someone can fill the disk before all of it is restored."""
    for number in range(4):
        world.write(world.paths[0] / f"扫描件 {number}.sealed", world.rng.randbytes(8 << 20))


@kind("stale-lock", "遗留的锁", "a lock that was left", Stage.AFTER, Cause.LOCKED, verdict=UNKNOWN)
def stale_lock(world: World) -> dict[str, Any]:
    """Of another machine, so that borg cannot know whether its owner still lives."""
    lock = world.repository / "lock.exclusive"
    lock.mkdir()
    owner = f"{world.host}@{world.rng.randrange(1 << 47)}.{world.rng.randrange(2, 30_000)}-0"
    (lock / owner).touch()
    return {"owner": owner}


@kind(
    "slow-link",
    "链路过慢",
    "a link too slow for the promise",
    Stage.AFTER,
    Cause.TOO_SLOW,
    prepare=_much,
)
def slow_link(world: World) -> dict[str, Any]:
    world.rto = 15  # so that it need not be waited for long
    rate = int(_octets(world) / (world.rto * world.rng.uniform(1.1, 1.6)))
    world.link = {"delay": 0.0, "rate": rate}
    return {"octets_per_second": rate}


@kind("link-cut", "链路中断", "the link cut in the middle", Stage.AFTER, Cause.UNREACHABLE, verdict=UNKNOWN)
def link_cut(world: World) -> dict[str, Any]:
    """After a share of what the restore alone needs, so it may come at any time of the drill."""
    after = int(_octets(world) * world.rng.uniform(0.0, 0.95))
    world.link = {"delay": 0.0, "rate": 0, "cut_after": after}
    return {"after": after}


@kind(
    "disk-full",
    "临时目录空间不足",
    "no room in the scratch",
    Stage.AFTER,
    Cause.NO_ROOM,
    verdict=UNKNOWN,
    prepare=_much,
)
def disk_full(world: World) -> dict[str, Any]:
    """Too small from the beginning, or filled by someone else while it is restored into."""
    size = sum(path.stat().st_size for path in world.files())
    world.filled = world.rng.random() < 0.6
    world.scratch_octets = size + (60 << 20) if world.filled else max(1 << 20, int(size * world.rng.uniform(0.1, 0.9)))
    return {"filled meanwhile": world.filled, "octets": world.scratch_octets}
