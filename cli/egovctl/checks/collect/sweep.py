"""Try many TCP connections from here, hundreds at a time; one letter for each. Standard library only, Python 3.9+.

o open, r refused (it was reached all the same), t no answer, u said to be unreachable, n no way from here, e another
error. Sent on standard input to wherever the trying must be done; protocol 1.
"""

from __future__ import annotations

import errno
import resource
import selectors
import socket
import time
from typing import Any

PROTOCOL = 1
BEGUN_AT_ONCE = 32  # connections that are begun before answers are looked for again
LETTERS = {
    0: "o",
    errno.ECONNREFUSED: "r",
    errno.EHOSTUNREACH: "u",
    errno.EACCES: "u",
    errno.ENETUNREACH: "n",
    errno.EADDRNOTAVAIL: "n",
    errno.ETIMEDOUT: "t",
}


def begin(address: str, port: int) -> tuple[Any, int]:
    """A connection under way, or (None, errno) when it is over at once."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    tried = socket.socket(family, socket.SOCK_STREAM)
    tried.setblocking(False)
    code = tried.connect_ex((address, port))
    if code in (0, errno.EINPROGRESS):
        return tried, 0
    tried.close()
    return None, code


def pause(waiting: dict[int, tuple[Any, float]], seconds: float) -> float:
    """How long nothing but an answer can happen: until the oldest has waited long enough."""
    oldest = next((begun for _, begun in waiting.values()), 0.0)
    return max(0.0, oldest + seconds - time.monotonic())


def sweep(connects: list[list[Any]], seconds: float, at_once: int) -> tuple[str, float]:
    """(a letter for each connection, seconds that the slowest answer took)."""
    found = ["e"] * len(connects)
    slowest = 0.0
    waiting: dict[int, tuple[Any, float]] = {}  # in the order in which they were begun
    following = 0
    with selectors.DefaultSelector() as selector:
        while following < len(connects) or waiting:
            # An answer's time is taken when it is seen: were all begun first, the first answers would seem slow.
            room = min(BEGUN_AT_ONCE, at_once - len(waiting), len(connects) - following)
            for number in range(following, following + room):
                tried, code = begin(*connects[number])
                if tried is None:
                    found[number] = LETTERS.get(code, "e")
                else:
                    waiting[number] = (tried, time.monotonic())
                    selector.register(tried, selectors.EVENT_WRITE, number)
            following += room
            more = following < len(connects) and len(waiting) < at_once
            for key, _ in selector.select(0 if more else pause(waiting, seconds)):
                number = key.data
                tried, begun = waiting.pop(number)
                selector.unregister(tried)
                code = tried.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                found[number] = LETTERS.get(code, "e")
                slowest = max(slowest, time.monotonic() - begun)
                tried.close()
            late = time.monotonic() - seconds
            while waiting:
                number = next(iter(waiting))  # the oldest: if it is not late, none is
                tried, begun = waiting[number]
                if begun > late:
                    break
                del waiting[number]
                selector.unregister(tried)
                tried.close()
                found[number] = "t"
    return "".join(found), slowest


def main(params: dict[str, Any]) -> dict[str, Any]:
    """Given {"connects": [[address, port], ...], "seconds", "at_once"}; returns letters, slowest answer, seconds."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard > 0 else 8192, hard))
    begun = time.monotonic()
    letters, slowest = sweep(params["connects"], params["seconds"], params["at_once"])
    return {
        "protocol": PROTOCOL,
        "letters": letters,
        "slowest": round(slowest, 3),
        "seconds": round(time.monotonic() - begun, 3),
    }
