"""Boxes whose programs come from a folder: a calibration's databases need not be installed on the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from egovctl.drill.database import OpenBox
from egovctl.drill.scratch import Box, Limits, Scratch, Started

INSIDE = "/var"  # a folder that every box has
LIBRARIES = "usr/lib/x86_64-linux-gnu"
NO_MORE: Mapping[str, str] = {}


class WithTools:
    """A box that takes its programs from a folder before those of the machine."""

    def __init__(self, box: Box, tools: Path) -> None:
        self._box, self._tools, self.folder = box, tools, box.folder
        self.owned, self.inside = box.owned, box.inside

    def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str] = NO_MORE, **how: Any
    ) -> CompletedProcess[bytes]:
        """As the box's own."""
        return self._box.run(self._programs(argv), environment=self._with(environment), **how)

    def start(self, argv: Sequence[str], *, environment: Mapping[str, str] = NO_MORE, **how: Any) -> Started:
        """As the box's own."""
        return self._box.start(self._programs(argv), environment=self._with(environment), **how)

    def _with(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": f"{INSIDE}/{LIBRARIES}", **environment}

    def _programs(self, argv: Sequence[str]) -> list[str]:
        found = []
        for word in argv:
            there = word.startswith("/usr/") and (self._tools / word[1:]).is_file()
            found.append(f"{INSIDE}{word}" if there else word)
        return [f"--basedir={INSIDE}/usr" if word == "--basedir=/usr" else word for word in found]


def boxes(tools: Path) -> OpenBox:
    """What a restore takes as `open_box`."""

    @contextmanager
    def opened(folder: Path, limits: Limits) -> Iterator[Box]:
        with Scratch.programs(folder, limits, readonly={tools: INSIDE}) as box:
            yield WithTools(box, tools)

    def open_box(folder: Path, limits: Limits) -> AbstractContextManager[Box]:
        return opened(folder, limits)

    return open_box
