"""The way from pgBackRest inside a box to a repository outside: reading commands of one stanza, and nothing else.

The box has no network, and the key stays outside. pgBackRest thinks that it starts ssh; what it starts tells this
process which reading command it wants, over a unix socket in the box's folder; this process starts it at the
repository with arguments of its own making and hands it the socket. Closed before anything restored is started.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from egovctl.drill.scratch import Box, User

READING = ("info", "restore", "archive-get", "repo-ls", "repo-get")
REQUEST = re.compile(r"pgbackrest (?:--[a-z0-9-]+(?:=\S*)? )*(?P<command>[a-z-]+):remote")
NUMBER = re.compile(r" --process=(\d{1,3}) ")
RUN = re.compile(r" --exec-id=([0-9]+-[0-9a-f]+) ")
LONGEST_REQUEST = 8192
PATIENCE = 10.0
LEFT_ALONE = ("unexpected EOF", "unable to write to")  # what pgBackRest says there when the one in the box is gone
CLIENT = """\
#!/usr/bin/python3 -I
import os, socket, sys, threading

way = socket.socket(socket.AF_UNIX)
way.connect({path!r})
way.sendall(sys.argv[-1].encode() + b"\\n")


def send():
    while block := os.read(0, 1 << 18):
        way.sendall(block)
    way.shutdown(socket.SHUT_WR)


threading.Thread(target=send, daemon=True).start()
try:
    while block := way.recv(1 << 18):
        while block:
            block = block[os.write(1, block) :]
except (BrokenPipeError, ConnectionResetError):
    pass
"""


class Relay:
    """Serves while entered. `client` is what pgBackRest is to start for ssh, as a path inside the box."""

    def __init__(self, box: Box, folder: Path, user: User, stanza: str, remote: Sequence[str], joined: bool) -> None:
        """`remote` starts pgBackRest at the repository; `joined`: it is ssh, which takes the rest as one word."""
        self._stanza, self._remote, self._joined = stanza, tuple(remote), joined
        self._children: list[tuple[subprocess.Popen[bytes], socket.socket]] = []
        self._lock = threading.Lock()
        self._words: list[str] = []
        self._closed = False
        folder.mkdir(mode=0o755)
        client = folder / "ssh"
        client.write_text(CLIENT.format(path=box.inside(folder / "socket")), encoding="utf-8")
        client.chmod(0o755)
        self._listener = _listening(folder, "socket")
        box.owned(folder, user)
        self.client = box.inside(client)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)
        with self._lock:
            children = list(self._children)
        for child, connection in children:
            with suppress(OSError):
                connection.close()
            if child.poll() is None:
                child.kill()
            child.wait()

    @property
    def trouble(self) -> str:
        """What the far side said when it ended badly: an unknown host, a refused key. Empty when it did not."""
        with self._lock:
            return self._words[-1] if self._words else ""

    def _serve(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        try:
            argv = self._argv(_line(connection))
        except (OSError, ValueError):
            connection.close()
            return
        connection.settimeout(None)
        child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *argv],
            stdin=connection.fileno(),
            stdout=connection.fileno(),
            stderr=subprocess.PIPE,
        )
        with self._lock:
            self._children.append((child, connection))
        said = child.stderr.read().decode("utf-8", "replace").strip() if child.stderr else ""
        if child.wait() != 0 and not any(words in said for words in LEFT_ALONE):
            with self._lock:
                self._words.append(said.splitlines()[-1][:300] if said else f"{argv[0]}: exit code {child.returncode}")
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def _argv(self, request: str) -> list[str]:
        """What is started for a request; ValueError for one that is not to read this stanza."""
        found = REQUEST.fullmatch(request)
        if found is None or found.group("command") not in READING:
            raise ValueError(request)
        number, run = NUMBER.search(request), RUN.search(request)
        options = [f"--exec-id={run.group(1)}"] if run else []
        options += [f"--process={number.group(1) if number else 0}", "--log-level-console=off", "--log-level-file=off"]
        options += ["--log-level-stderr=error", "--remote-type=repo", "--repo=1", f"--stanza={self._stanza}"]
        if found.group("command") in ("restore", "archive-get"):
            options.append("--pg1-path=/nowhere")
        words = [*options, f"{found.group('command')}:remote"]
        return [*self._remote, shlex.join(["pgbackrest", *words])] if self._joined else [*self._remote, *words]


class NoRelay:
    """For a repository that is in the box: there is no way to go."""

    client = trouble = ""

    def __enter__(self) -> NoRelay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing was begun."""


def _listening(folder: Path, name: str) -> socket.socket:
    """A unix socket in a folder however long its name is: the address is taken by way of the folder's descriptor."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"/proc/self/fd/{descriptor}/{name}")
        listener.listen(32)
        return listener
    finally:
        os.close(descriptor)


def _line(connection: socket.socket) -> str:
    """The request; octet by octet, since what follows belongs to the program that will get the socket."""
    found = bytearray()
    while len(found) < LONGEST_REQUEST:
        octet = connection.recv(1)
        if octet in (b"\n", b""):
            return found.decode("ascii")
        found += octet
    raise ValueError("too long")
