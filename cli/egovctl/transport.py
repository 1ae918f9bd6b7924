"""Reaching hosts: ssh with the rendered ssh_config, one kept connection a host, a time limit on everything.

Nothing is ever copied to a host by hand: on-host programs are stdlib-only Python sent on standard input.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from egovctl.errors import CannotMeasure
from egovctl.i18n import both, told
from egovctl.paths import Inventory

T = TypeVar("T")
Completed = subprocess.CompletedProcess[bytes]
SSH_FAILED = 255
CONNECT_SECONDS = 8
KEEP_SECONDS = 600
MAX_SOCKET_PATH = 90  # sun_path ends at 107 bytes, and ssh adds 17 while it makes the socket; ssh(1), ControlPath
THREADS = 16


class HostSilent(CannotMeasure):
    """A host did not answer, or not in time. `host` names it."""

    def __init__(self, host: str, reason: str) -> None:
        texts = both(reason)
        super().__init__(told(f"{host} 无应答：{texts['zh']}", f"{host} does not answer: {texts['en']}"))
        self.host = host
        self.reason = reason


def not_rendered(inventory: Inventory, path: Path) -> CannotMeasure:
    """The error for a file that only rendering makes."""
    run = f"egovctl render -i {inventory.name}"
    return CannotMeasure(told(f"无法读取 {path}：请先运行 {run}", f"{path} cannot be read: run {run} first"))


def ssh_options(inventory: Inventory) -> list[str]:
    """The options that every ssh of ours uses; also good for BORG_RSH and the like."""
    options = [
        "-F",
        str(inventory.ssh_config),
        "-o",
        "BatchMode=yes",
        "-o",
        f"ConnectTimeout={CONNECT_SECONDS}",
    ]
    return [*options, "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3", "-o", "LogLevel=ERROR"]


def socket_path(folder: Path) -> Path | None:
    """Where ssh keeps its connections below `folder`, with ssh's own %C in it; None where a socket's name ends earlier.

    What begins one connection and what goes on over it must agree on the name, be it ssh alone or Ansible's.
    """
    socket = folder / "cm-%C"
    return socket if len(str(socket)) - len("%C") + 40 <= MAX_SOCKET_PATH else None


def _multiplex_options(folder: Path) -> list[str]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket = socket_path(folder)
    if socket is None:
        return ["-o", "ControlMaster=no"]
    return ["-o", "ControlMaster=auto", "-o", f"ControlPath={socket}", "-o", f"ControlPersist={KEEP_SECONDS}"]


def run(
    inventory: Inventory,
    host: str,
    command: Sequence[str] | str,
    *,
    input: bytes | None = None,
    sudo: bool = True,
    timeout: float = 30.0,
    sockets: Path | None = None,
) -> Completed:
    """Run an argument list, or a string as a POSIX shell script, on a host.

    The connection is kept below `sockets`, or below the inventory's own folder for checks and drills. Returns the
    completed process whatever its exit code. Raises HostSilent when ssh cannot connect or `timeout` (seconds, for
    everything together) has passed, CannotMeasure when the inventory was not rendered.
    """
    if not inventory.ssh_config.is_file():
        raise not_rendered(inventory, inventory.ssh_config)
    words = ["sh", "-c", command] if isinstance(command, str) else list(command)
    if sudo:
        words = ["sudo", "-n", "--", *words]
    argv = [
        "ssh",
        *ssh_options(inventory),
        *_multiplex_options(sockets or inventory.state / "control"),
        host,
        "--",
        shlex.join(words),
    ]
    try:
        done = subprocess.run(argv, input=input or b"", capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise HostSilent(host, told(f"{timeout:g} 秒内没有结果", f"no result within {timeout:g} s")) from None
    if done.returncode == SSH_FAILED:
        raise HostSilent(host, _last_line(done.stderr) or told("ssh 失败", "ssh failed"))
    return done


def run_python(
    inventory: Inventory, host: str, program: str, params: Mapping[str, Any], *, timeout: float = 30.0
) -> Any:
    """Run an on-host program (source text that defines `main(params)` and returns what JSON can say).

    Returns the decoded result. Raises HostSilent, or CannotMeasure when the program fails there.
    """
    done = run(inventory, host, ["python3", "-I", "-"], input=with_params(program, params), timeout=timeout)
    return decode_result(host, done)


def with_params(program: str, params: Mapping[str, Any]) -> bytes:
    """The program with its call appended, to be sent on standard input."""
    call = f"\nimport json as _json\nprint(_json.dumps(main(_json.loads({json.dumps(params)!r}))))\n"
    return (program + call).encode()


def decode_result(host: str, done: Completed) -> Any:
    """What an on-host program printed; CannotMeasure with its last words when it did not finish well."""
    if done.returncode != 0:
        said = _last_line(done.stderr) or f"exit code {done.returncode}"
        raise CannotMeasure(
            told(f"{host}：采集程序在那里失败：{said}", f"{host}: the collecting program failed there: {said}")
        )
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise CannotMeasure(
            told(f"{host}：采集程序返回的不是 JSON", f"{host}: the collecting program sent no JSON back")
        ) from None


def each(hosts: Iterable[str], action: Callable[[str], T]) -> dict[str, T | Exception]:
    """Do `action` for all hosts at once; a host that fails gives its exception, the others go on."""
    names = list(dict.fromkeys(hosts))
    if not names:
        return {}

    def attempt(host: str) -> T | Exception:
        try:
            return action(host)
        except Exception as error:  # the caller decides, host by host
            return error

    with ThreadPoolExecutor(max_workers=min(THREADS, len(names))) as pool:
        return dict(zip(names, pool.map(attempt, names), strict=True))


def run_many(
    inventory: Inventory,
    hosts: Iterable[str],
    command: Sequence[str] | str,
    *,
    input: bytes | None = None,
    sudo: bool = True,
    timeout: float = 30.0,
) -> dict[str, Completed | Exception]:
    """`run` on many hosts at once; see `each`."""
    return each(hosts, lambda host: run(inventory, host, command, input=input, sudo=sudo, timeout=timeout))


def write_file(inventory: Inventory, host: str, path: str, content: bytes, *, timeout: float = 30.0) -> None:
    """Replace one small world-readable file on a host atomically; HostSilent or CannotMeasure when it cannot be."""
    target = shlex.quote(path)
    script = f'set -e; t=$(mktemp {target}.XXXXXX); trap \'rm -f "$t"\' EXIT; cat >"$t"; chmod 0644 "$t"; '
    done = run(inventory, host, script + f'mv -f "$t" {target}', input=content, timeout=timeout)
    if done.returncode != 0:
        said = _last_line(done.stderr)
        raise CannotMeasure(told(f"{host}：无法写入 {path}：{said}", f"{host}: {path} could not be written: {said}"))


def control_prefix(inventory: Inventory) -> list[str]:
    """What to put before a command so that it runs where control is in the network.

    On a real control node that is here; in the lab it is control's network namespace.
    """
    namespace = Path(f"/run/netns/egov-{inventory.name}-control")
    return ["nsenter", f"--net={namespace}", "--"] if namespace.exists() else []


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
