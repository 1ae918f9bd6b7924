"""The first program in a box of programs: starts others in it on the word of its socket, which is its standard input.

A message is JSON in one packet: {"start": N, "argv": [...], "user": NUMBER, "environment": {}} with three descriptors
(standard input, output, error), or {"signal": NUMBER, "to": N}. It says {"ready": true}, and of each program
{"ended": N, "code": exit code, negative for a signal}. A program is the head of a session of its own; signals go to
its whole process group. All that runs in the box is a child of this: its limits, its filter, its lack of privileges
are everybody's. Standard library only.
"""

import array
import json
import os
import select
import signal
import socket
import sys
from typing import Any

LARGEST = 1 << 17
NOT_FOUND = 127


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """One message and its descriptors; None at the end."""
    size = array.array("i").itemsize
    data, ancillary, _, _ = channel.recvmsg(LARGEST, socket.CMSG_SPACE(3 * size))
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % size])
    return (json.loads(data), list(descriptors)) if data else None


def start(message: dict[str, Any], descriptors: list[int]) -> int:
    """The process that runs the program."""
    child = os.fork()
    if child:
        for descriptor in descriptors:
            os.close(descriptor)
        return child
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        for place, descriptor in enumerate(descriptors):
            os.dup2(descriptor, place)
        os.closerange(3, 4096)
        os.setsid()
        os.setgroups([])
        user = message["user"]
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        os.chdir("/data")
        os.execvpe(message["argv"][0], message["argv"], message["environment"])
    except BaseException as error:
        os.write(2, os.fsencode(f"{message['argv'][0]}: {getattr(error, 'strerror', None) or error}\n"))
    os._exit(NOT_FOUND)


def reap(channel: socket.socket, running: dict[int, int]) -> None:
    """Tell of programs that ended; whoever was left by them is reaped silently."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid in running:
            tell(channel, {"ended": running.pop(pid), "code": os.waitstatus_to_exitcode(status)})


def tell(channel: socket.socket, message: dict[str, Any]) -> None:
    """One message to the other side."""
    channel.send(json.dumps(message).encode())


def main() -> int:
    """Until the socket is closed."""
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(os.open("/dev/null", os.O_RDWR), 0)
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    running: dict[int, int] = {}
    tell(channel, {"ready": True})
    while True:
        readable, _, _ = select.select([channel.fileno(), woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            reap(channel, running)
        if channel.fileno() in readable:
            received = receive(channel)
            if received is None:
                return 0
            message, descriptors = received
            if "start" in message:
                try:
                    running[start(message, descriptors)] = message["start"]
                except OSError:  # no process left within the limit
                    for descriptor in descriptors:
                        os.close(descriptor)
                    tell(channel, {"ended": message["start"], "code": 126})
            else:
                for pid, number in running.items():
                    if number == message["to"]:
                        signal_group(pid, message["signal"])


def signal_group(pid: int, number: int) -> None:
    """To the program's process group; to itself when it has none of its own yet."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    sys.exit(main())
