"""The planter's process, as the judging side sees it: cases that are told, labels that are sealed until asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from egovctl.drill.call import DIES_WITH_US
from egovctl.errors import CannotMeasure, UsageError
from egovctl.i18n import language, told, tr

MODULE = "egovctl.drill.planter"
ENDS_WITHIN = 30.0


@dataclass(frozen=True)
class Sealed:
    """A case: what a drill is told of it, and the seal on what was planted."""

    number: int
    case: dict[str, Any]
    commitment: str


class Planting:
    """The process. Answers come in the order of the questions, and a question does not wait for its answer."""

    def __init__(self, folder: Path, seed: int, kinds: Sequence[str], instances: int, clean: int) -> None:
        argv = [*DIES_WITH_US, sys.executable, "-m", MODULE, "--folder", str(folder), "--seed", str(seed)]
        argv += ["--instances", str(instances), "--clean", str(clean)]
        argv += [word for name in kinds for word in ("--kind", name)]
        self._planted: deque[dict[str, Any]] = deque()
        pipe, environment = subprocess.PIPE, {**os.environ, "EGOV_LANG": language()}
        self._process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)

    def __enter__(self) -> Planting:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        try:
            self._process.communicate(timeout=ENDS_WITHIN)  # it ends with its standard input, and cleans up
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def cases(self) -> int:
        """How many there are; UsageError for a kind that is not known."""
        self._ask({"do": "schedule"})
        return int(self._answer()["cases"])

    def ask(self, number: int) -> None:
        """Have this case planted meanwhile."""
        self._ask({"do": "plant", "number": number})

    def sealed(self) -> Sealed:
        """The case that was asked for, once it is planted."""
        if not self._planted:
            self._planted.append(self._answer())
        return Sealed(**self._planted.popleft())

    def reveal(self, number: int) -> tuple[dict[str, Any], str]:
        """Have the seal of this case opened: label and nonce."""
        self._ask({"do": "reveal", "number": number})
        while "label" not in (answer := self._answer()):
            self._planted.append(answer)  # the next case, which was asked for before
        return answer["label"], answer["nonce"]

    def _ask(self, request: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise _gone("")
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> Exception:
        """Why it is gone. The process parses its arguments itself, since only it knows its kinds."""
        said = self._process.communicate()[1].decode("utf-8", "replace").strip().splitlines()
        last = said[-1] if said else ""
        if self._process.returncode == UsageError.exit_code:
            return UsageError(tr(f"--kind 有误：{last}", f"--kind: {last.partition('error: ')[2] or last}"))
        return _gone(last)


def _gone(last: str) -> CannotMeasure:
    return CannotMeasure(told(f"植入故障的进程已退出：{last}", f"the process that plants faults has ended: {last}"))
