"""Try TCP connections, all at the same time; say of each when it was tried and what came of it. Standard library only.

Sent on standard input to wherever the trying must be done. Python 3.9 or newer; protocol 1.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from typing import Any

PROTOCOL = 1
RESULTS = {errno.ECONNREFUSED: "refused", errno.EHOSTUNREACH: "unreachable", errno.ENETUNREACH: "no route"}


def connect(item: dict[str, Any], seconds: float) -> str:
    """Try once: open, refused, timeout, unreachable, no route, or the error's name."""
    family = socket.AF_INET6 if ":" in item["address"] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.settimeout(seconds)
        try:
            tried.connect((item["address"], item["port"]))
        except socket.timeout:  # noqa: UP041 - not the same before Python 3.10
            return "timeout"
        except OSError as error:
            return RESULTS.get(error.errno or 0, errno.errorcode.get(error.errno or 0, "error"))
        return "open"


def attempts(item: dict[str, Any], params: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Try `times` times, `pause` seconds apart; append (time, result) of each."""
    for number in range(params["times"]):
        if number:
            time.sleep(params["pause"])
        begun = time.time()
        found.append({"at": begun, "result": connect(item, params["seconds"])})


def main(params: dict[str, Any]) -> dict[str, Any]:
    """Given {"connects": [{"id", "address", "port"}], "times", "pause", "seconds"}; returns id → list of attempts."""
    found: dict[str, list[dict[str, Any]]] = {item["id"]: [] for item in params["connects"]}
    threads = []
    for item in params["connects"]:
        threads.append(threading.Thread(target=attempts, args=(item, params, found[item["id"]])))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"protocol": PROTOCOL, "found": found}
