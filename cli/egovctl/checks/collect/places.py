"""Places to try flows from: a user's computer on a LAN, control, a router. A place runs an on-host program.

In the lab a user's computer is a namespace of its own. In production there is none (yet): no agent sits on a
department's LAN, so what can only be tried from there does not apply.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Any

from egovctl import transport
from egovctl.checks.context import Context
from egovctl.errors import CannotMeasure
from egovctl.i18n import told
from egovctl.lab.names import LabNames
from egovctl.lab.users import ensure_user_namespace

PROTOCOL = 1
READY_SECONDS = 10.0
GRACE_SECONDS = 2.0  # for a listener's answer to come, beyond the time that it was given
PROBE_SECONDS = 30.0
# What runs at a place needs the standard library only: no start looks for installed packages.
PYTHON = (sys.executable, "-I", "-S")
Runner = Callable[[str, Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Place:
    """A user's computer on a site's LAN."""

    site: str
    v4: str
    v6: str
    enter: tuple[str, ...]

    def run(self, program: str, params: Mapping[str, Any]) -> Any:
        """Run an on-host program there."""
        return _run_here(self.site, list(self.enter), program, params)


@dataclass
class Listener:
    """A running listener, which can be asked to prove that it still accepts connections."""

    site: str
    stdin: IO[bytes]
    stdout: IO[bytes]
    silent: bool = False

    def prove(self, connects: list[list[Any]], seconds: float) -> str:
        """A letter for each [address, port] of the place, o for open. CannotMeasure if no answer comes in time.

        A listener that was silent once is not asked again: a late answer would be taken for the next one.
        """
        if not self.silent:
            words = [f"{seconds:g}", *(str(word) for connect in connects for word in connect)]
            try:
                os.write(self.stdin.fileno(), f"{' '.join(words)}\n".encode())
                letters = _line(self.stdout, seconds + GRACE_SECONDS).decode()
            except OSError:
                letters = ""
            if len(letters) == len(connects) + 1 and letters.endswith("\n"):
                return letters[:-1]
            self.silent = True
        raise CannotMeasure(
            told(f"{self.site} 的局域网内的监听没有应答", f"the listener on the LAN of {self.site} does not answer")
        )


def user_place(context: Context, site: str) -> Place | None:
    """The user's place on a LAN; None where there is none to be had."""
    if not LabNames(context.inventory.name).run.is_dir():
        return None
    found = ensure_user_namespace(context.inventory, context.city, site)
    return Place(site, found.v4, found.v6, ("nsenter", f"--net={found.namespace}", "--"))


def run_at_control(context: Context, program: str, params: Mapping[str, Any]) -> Any:
    """Run an on-host program where control is in the network."""
    return _run_here("control", transport.control_prefix(context.inventory), program, params)


def run_at_host(context: Context, host: str) -> Runner:
    """A function that runs an on-host program on a host."""
    return lambda program, params: transport.run_python(context.inventory, host, program, params, timeout=PROBE_SECONDS)


def source_of(name: str) -> str:
    """The text of an on-host program beside this file."""
    return resources.files("egovctl.checks.collect").joinpath(f"{name}.py").read_text(encoding="utf-8")


def _run_here(name: str, prefix: list[str], program: str, params: Mapping[str, Any]) -> Any:
    argv = [*prefix, *PYTHON, "-"]
    text = transport.with_params(program, params)
    try:
        done = subprocess.run(argv, input=text, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(
            told(f"{name}：无法从这里试探：{error}", f"{name}: nothing can be tried from here: {error}")
        ) from None
    return transport.decode_result(name, done)


@contextmanager
def listening(place: Place, ports: list[int]) -> Iterator[Listener]:
    """While inside, the place accepts connections on these ports. It always ends."""
    program = Path(str(resources.files("egovctl.checks.collect").joinpath("listener.py")))
    argv = [*place.enter, *PYTHON, str(program), *map(str, ports)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            stdin, stdout = process.stdin, process.stdout
            if stdin is None or stdout is None or _line(stdout, READY_SECONDS) != b"ready\n":
                raise CannotMeasure(
                    told(
                        f"无法在 {place.site} 的局域网内启动监听",
                        f"no listener could be started on the LAN of {place.site}",
                    )
                )
            yield Listener(place.site, stdin, stdout)
        finally:
            process.kill()


def _line(stream: IO[bytes], seconds: float) -> bytes:
    """The one line that a program is to say, or what came of it in time. Nothing else may read the stream."""
    line, until = b"", time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not line.endswith(b"\n") and selector.select(max(0.0, until - time.monotonic())):
            said = os.read(stream.fileno(), 4096)
            if not said:
                break
            line += said
    return line
