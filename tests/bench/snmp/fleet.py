"""The simulated switches as the bench sees them: started, told what to do, asked what they counted."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from agents import Counts

HERE = Path(__file__).resolve().parent
# Toys: they guard nothing. Each exporter has its own, so that the switches can tell whose packets they count.
PASSWORD, PRIV_PASSWORD = "bench-auth-password", "bench-priv-password"


@dataclass
class Fleet:
    """`port` is the same at every address."""

    port: int
    _commands: IO[str]
    _answers: IO[str]

    def tell(self, command: str) -> Any:
        """Send a command of agents.py; returns its answer."""
        self._commands.write(command + "\n")
        self._commands.flush()
        answer = json.loads(self._answers.readline())
        if "error" in answer and isinstance(answer["error"], str):
            raise ValueError(answer["error"])
        return answer

    def counts(self, who: str) -> Counts:
        """What was counted of one community or user since the last reset; and of nobody, as discovery is."""
        found = self.tell("counts")
        own, nobodys = (Counts(**found.get(name, {})) for name in (who, ""))
        sums = {key: value + getattr(nobodys, key) for key, value in vars(own).items()}
        return Counts(**sums | {"in_flight": own.in_flight})

    def addresses(self, kind: int, first: int = 0) -> Iterator[str]:
        """Targets of one kind (agents.SMALL and so on) as HOST:PORT, from the `first` on, 64,516 in all."""
        for number in range(first, 254 * 254):
            yield f"127.{kind}.{number // 254}.{number % 254 + 1}:{self.port}"


@contextlib.contextmanager
def fleet(names: list[str], users: list[str] | None = None) -> Iterator[Fleet]:
    """Switches that know each of `names` as a community and as a v3 user with both passwords; and more `users`."""
    argv = [sys.executable, str(HERE / "agents.py")]
    for name in names:
        argv += ["--community", name, "--v3", f"{name}:{PASSWORD}:{PRIV_PASSWORD}"]
    for user in users or []:
        argv += ["--v3", user]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdin is not None and child.stdout is not None
            port = json.loads(child.stdout.readline())["port"]
            yield Fleet(port, child.stdin, child.stdout)
        finally:
            child.terminate()
