"""Accept TCP connections on some ports, in both families, until standard input ends. Standard library only.

Prints "ready" once all are open. Python 3.9 or newer.
"""

from __future__ import annotations

import socket
import sys
import threading


def serve(listening: socket.socket) -> None:
    """Accept and close, for ever."""
    while True:
        try:
            accepted, _ = listening.accept()
            accepted.close()
        except OSError:
            return


def main(ports: list[int]) -> None:
    """Open all ports, say so, and wait for the end of standard input."""
    for port in ports:
        listening = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("::", port))
        listening.listen(16)
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main([int(port) for port in sys.argv[1:]])
