"""Accept TCP connections on some ports, in both families, until standard input ends. Standard library only.

Prints "ready" once all are open. To a line "SECONDS ADDRESS PORT [ADDRESS PORT ...]" it answers one line within that
time, a letter for each: o when this program really took a connection from here, e when not. Python 3.9 or newer.
"""

from __future__ import annotations

import socket
import sys
import threading
import time


def serve(listening: socket.socket) -> None:
    """Accept and close, for ever."""
    while True:
        try:
            accepted, _ = listening.accept()
            accepted.close()
        except OSError:
            return


def knock(address: str, port: int, seconds: float, letters: list[str], place: int) -> None:
    """Connect, and wait until `serve` ends the connection: the kernel alone would connect for a while."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as tried:
            tried.settimeout(seconds)
            tried.connect((address, port))
            if tried.recv(1) == b"":
                letters[place] = "o"
    except OSError:
        return


def prove(targets: list[tuple[str, int]], seconds: float) -> str:
    """A letter for each target. Whatever does not end in time is left behind and proves nothing."""
    letters = ["e"] * len(targets)
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=knock, args=(address, port, seconds, letters, place), daemon=True)
        for place, (address, port) in enumerate(targets)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return "".join(letters)


def main(ports: list[int]) -> None:
    """Open all ports, say so, and answer until standard input ends."""
    for port in ports:
        listening = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("::", port))
        listening.listen(16)
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, *words = line.split()
        targets = [(words[place], int(words[place + 1])) for place in range(0, len(words), 2)]
        print(prove(targets, float(seconds)), flush=True)


if __name__ == "__main__":
    main([int(port) for port in sys.argv[1:]])
