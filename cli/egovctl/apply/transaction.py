"""One host, one transaction: probe, and only if something differs, send the program and what differs."""

from __future__ import annotations

import base64
import json
import shlex
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from egovctl.apply import differences, on_host, placeholders, probe
from egovctl.apply.manifest import PROTOCOL, FileEntry, Manifest
from egovctl.errors import CannotMeasure, EgovError
from egovctl.i18n import tr

PYTHON = "/usr/bin/python3"
ROUNDS = 3  # looks at a host that somebody edits at the same time
# Reads the two lengths, then the program, and leaves the job on standard input: nothing of it in the process list.
BOOTSTRAP = (
    "import sys,zlib;i=sys.stdin.buffer;n=int(i.readline());s=zlib.decompress(i.read(n)).decode();"
    "SOURCE=s;sys.argv=['egov-apply','apply'];exec(compile(s,'egov-apply','exec'))"
)
EMPTY: dict[str, Any] = {
    "files": [],
    "folders": [],
    "units": [],
    "sysctls": [],
    "removed": [],
    "actions": [],
    "why": {},
}


class ConnectionLost(CannotMeasure):
    """The connection went away under a command that may still be running on the host."""


@dataclass(frozen=True)
class Answer:
    """What a command on the host said."""

    code: int
    stdout: str
    stderr: str


# Given a command line and its standard input, run it on the host as root; raises ConnectionLost.
Shell = Callable[[str, bytes], Answer]
# Given a command line, run it on the host as root over a new connection in band; None when none could be made.
Knock = Callable[[str], "Answer | None"]
CONFIRM_MARGIN = 3.0  # seconds; who knocks in the last moment may meet the host's own undoing


@dataclass(frozen=True)
class Request:
    """What is asked for: the host's part of the build, and the caller's wishes. `host_key` is the enrolled one.

    What can cut the host off is undone by the host itself unless `knock` reaches it anew within `confirm_seconds`
    (0: it is not asked for). `ready` is called once before anything is changed; it raises EgovError to refuse.
    """

    build: Path
    host: str
    secret: Callable[[str], str]
    bundles: Sequence[str] | None = None
    adopt: bool = False
    check: bool = False
    diff: bool = False
    python: str = PYTHON
    host_key: str = ""
    confirm_seconds: float = 0.0
    knock: Knock = lambda command: None
    ready: Callable[[], None] = lambda: None
    test: dict[str, Any] = field(default_factory=dict)


def apply_host(request: Request, shell: Shell, again: Shell | None = None) -> dict[str, Any]:
    """Bring the host to its manifest. Returns Ansible's result keys and ours; raises EgovError before anything is sent.

    `again` is a shell over a fresh connection, for asking what became of a transaction whose connection was lost.
    """
    whole = Manifest.load(request.build, request.host)
    part = whole.only(request.bundles)
    contents = {entry.path: part.content(entry) for entry in part.files}
    values = placeholders.resolve(
        [text for entry in part.files if entry.secrets for text in placeholders.find(contents[entry.path])],
        request.secret,
    )
    started = time.monotonic()
    forced: list[str] = []
    for _ in range(ROUNDS):
        nonce = probe.new_nonce()
        digests = {
            entry.path: differences.wanted_digest(entry, contents[entry.path], values, nonce) for entry in part.files
        }
        answer = shell("/bin/sh -s", probe.command(part, nonce).encode())
        probe.refuse_other(request.host, request.host_key, answer.stdout)
        seen = probe.parse(request.host, answer.stdout or answer.stderr, part)
        bundles = None if request.bundles is None else list(request.bundles)
        found = differences.compare(whole, part, digests, seen, bundles)
        t_probe = round(time.monotonic() - started, 3)
        if found.none and not forced and (request.check or not found.unregistered):
            return {"changed": False, **EMPTY, **({"diff": []} if request.diff else {}), "t_probe": t_probe}
        if not request.check and not forced:
            request.ready()
        send = {entry.path for entry in found.files} | set(forced)
        job = job_of(request, whole, part, digests, nonce, values, {path: contents[path] for path in send})
        result = _send(request, job, shell, again or shell)
        if "confirm" in result:
            result = _confirm(request, result, again or shell)
        result.update(t_probe=t_probe, t_apply=round(time.monotonic() - started - t_probe, 3))
        if "again" not in result:
            return {"changed": False, **EMPTY, **result}
        forced = result["again"]
    raise CannotMeasure(
        tr(
            f"{request.host}：有人在不断改动 {forced[0]}；请查明是谁，再重新落实",
            f"{request.host}: somebody changes {forced[0]} all the time; find out who, then apply again",
        )
    )


def job_of(
    request: Request,
    whole: Manifest,
    part: Manifest,
    digests: dict[str, str],
    nonce: list[str],
    values: dict[str, str],
    send: dict[str, bytes],
) -> dict[str, Any]:
    """What the on-host program is told: everything that shall be, and the content of what differs."""
    return {
        "protocol": PROTOCOL,
        "id": str(time.time_ns()),
        "host": request.host,
        "revision": whole.plan_revision,
        "nonce": nonce,
        "bundles": None if request.bundles is None else list(request.bundles),
        "keep": differences.kept(whole),
        "files": [_file(entry, digests[entry.path], send.get(entry.path)) for entry in part.files],
        "folders": [asdict(item) for item in part.folders],
        "absent": [{"path": path, "bundle": bundle} for path, bundle in part.absent],
        "units": [asdict(item) for item in part.units],
        "sysctls": [asdict(item) for item in part.sysctls],
        "order": list(whole.order),
        "secrets": values,
        "check": request.check,
        "diff": request.diff,
        "adopt": request.adopt,
        "confirm": list(whole.confirm),
        "confirm_seconds": request.confirm_seconds,
        "test": request.test,
    }


def _file(entry: FileEntry, digest: str, content: bytes | None) -> dict[str, Any]:
    fields = asdict(entry)
    del fields["sha256"]
    fields.update(secret=bool(fields.pop("secrets")), digest=digest, actions=list(entry.actions))
    fields["data"] = None if content is None else base64.b64encode(content).decode()
    return fields


@lru_cache(maxsize=1)
def program() -> bytes:
    """The on-host program, compressed: it goes along with every job."""
    return zlib.compress(Path(on_host.__file__).read_bytes(), 9)


def stream(job: dict[str, Any]) -> bytes:
    """What the bootstrap reads: length and program, then the job."""
    source = program()
    return b"%d\n" % len(source) + source + zlib.compress(json.dumps(job).encode(), 6)


def _send(request: Request, job: dict[str, Any], shell: Shell, again: Shell) -> dict[str, Any]:
    command = f"{shlex.quote(request.python)} -I -S -c {shlex.quote(BOOTSTRAP)}"
    try:
        answer = shell(command, stream(job))
    except ConnectionLost as lost:
        if request.check:
            raise
        return _ask_again(request, str(job["id"]), again, lost)
    if (decoded := _last_json(answer.stdout)) is not None:
        return decoded
    said = (answer.stderr or answer.stdout).strip().splitlines()
    reason = said[-1][-300:] if said else tr(f"退出码 {answer.code}", f"exit code {answer.code}")
    raise CannotMeasure(
        tr(
            f"{request.host}：落实没有返回结果（{reason}）；请重新落实，它会被完成或撤销",
            f"{request.host}: the apply ended without a result ({reason}); apply again, it will be finished or undone",
        )
    )


def _confirm(request: Request, done: dict[str, Any], again: Shell) -> dict[str, Any]:
    """Knock until the host keeps the change; when nobody gets through in time, learn that it has put it back."""
    job, seconds = str(done.pop("confirm")), float(done.pop("confirm_seconds"))
    program = f"{on_host.BASE}/tx/{job}/egov-apply"
    command = f"{shlex.quote(request.python)} -I -S {program} confirm {job}"
    limit = time.monotonic() + seconds - CONFIRM_MARGIN
    while time.monotonic() < limit:
        answer = request.knock(command)
        found = _last_json(answer.stdout) if answer is not None else None
        if found is not None and found.get("confirmed"):
            return {**done, "confirmed": True}
        if found is not None and found.get("failed"):
            return found
        time.sleep(1)
    place = f"{on_host.BASE}/tx/{job}/result.json"
    script = (
        f"for i in $(seq 90); do grep -q '\"confirm\":' {place} || {{ cat {place}; exit; }}; sleep 1; done; exit 3\n"
    )
    answer = again("/bin/sh -s", script.encode())
    if (found := _last_json(answer.stdout)) is not None:
        return found
    raise CannotMeasure(
        tr(
            f"{request.host}：变更后 {seconds:g} 秒内无法重新连上，也未能得知主机是否已自行恢复；请到控制台查看",
            f"{request.host}: no new connection within {seconds:g} s of the change, and no word whether the host "
            "has put it back; look at its console",
        )
    )


def _last_json(text: str) -> dict[str, Any] | None:
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            decoded: dict[str, Any] = json.loads(line)
            return decoded
    return None


def _ask_again(request: Request, job: str, again: Shell, lost: EgovError) -> dict[str, Any]:
    """The program goes on without us: over a fresh connection, wait for the result that it leaves behind."""
    place = f"{on_host.BASE}/tx/{job}/result.json"
    script = f"for i in $(seq 60); do [ -e {place} ] && cat {place} && exit 0; sleep 1; done; exit 3\n"
    answer = again("/bin/sh -s", script.encode())
    if (found := _last_json(answer.stdout)) is not None:
        return {**found, "connection_lost": True}
    raise CannotMeasure(
        tr(
            f"{request.host}：{lost}；请重新落实，它会被完成或撤销",
            f"{request.host}: {lost}; apply again, it will be finished or undone",
        )
    ) from lost
