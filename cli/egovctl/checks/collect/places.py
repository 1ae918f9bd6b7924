"""Places to try flows from: a user's computer on a LAN, control, a router. A place runs an on-host program.

In the lab a user's computer is a namespace of its own. In production there is none (yet): no agent sits on a
department's LAN, so what can only be tried from there does not apply.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from egovctl import transport
from egovctl.checks.context import Context
from egovctl.errors import CannotMeasure
from egovctl.i18n import told
from egovctl.lab.names import LabNames
from egovctl.lab.users import ensure_user_namespace

PROTOCOL = 1
READY_SECONDS = 10
PROBE_SECONDS = 30.0
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
    argv = [*prefix, sys.executable, "-I", "-"]
    text = transport.with_params(program, params)
    try:
        done = subprocess.run(argv, input=text, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(
            told(f"{name}：无法从这里试探：{error}", f"{name}: nothing can be tried from here: {error}")
        ) from None
    return transport.decode_result(name, done)


@contextmanager
def listening(place: Place, ports: list[int]) -> Iterator[None]:
    """While inside, the place accepts connections on these ports. It always ends."""
    program = Path(str(resources.files("egovctl.checks.collect").joinpath("listener.py")))
    argv = [*place.enter, sys.executable, "-I", str(program), *map(str, ports)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise CannotMeasure(
                    told(
                        f"无法在 {place.site} 的局域网内启动监听",
                        f"no listener could be started on the LAN of {place.site}",
                    )
                )
            yield
        finally:
            process.kill()
