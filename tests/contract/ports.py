"""A port for a server that a test starts itself.

Not one of the kernel's own: those it also gives to outgoing connections, of this test run and of others beside it, so
that a port which was free a moment ago is somebody's when the server comes to listen.
"""

from __future__ import annotations

import os
import socket
from itertools import cycle

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
FIRST, EACH = 20000, 1000  # below the kernel's (32768) and the labs' (29000)
_ahead = cycle(range(FIRST + EACH * (WORKER % 8), FIRST + EACH * (WORKER % 8 + 1)))


def free_port() -> int:
    """A port of 127.0.0.1 that no other worker takes; not the same one again soon."""
    for port in _ahead:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError
