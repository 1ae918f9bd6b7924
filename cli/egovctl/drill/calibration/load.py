"""Load on the machine while a drill runs: programs that reckon, and one that writes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from egovctl.drill.call import DIES_WITH_US

RECKON = ["sh", "-c", "while :; do :; done"]
WRITE = ["sh", "-c", 'while :; do dd if=/dev/zero of="$0" bs=64k count=160 conv=fdatasync; done 2>/dev/null']


@contextmanager
def load(reckoning: int, writing: bool, folder: Path) -> Iterator[None]:
    """So many of them while inside; what is written is removed."""
    written = folder / "written"
    programs = [RECKON] * reckoning + ([[*WRITE, str(written)]] if writing else [])
    started = [
        subprocess.Popen([*DIES_WITH_US, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for argv in programs
    ]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
        written.unlink(missing_ok=True)
