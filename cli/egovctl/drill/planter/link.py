"""The way to a repository, in place of ssh: as it is, or with delay, a low rate, or cut after so many octets.

usage: link.py SPEC.json [what ssh would be given]

Runs `borg serve` here. SPEC: {"delay": seconds a block, "rate": octets a second (0: any), "cut_after": octets}.
All that was said to ssh (the host, the command) is passed over. Standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

SERVE = ["borg", "serve"]
BLOCK = 1 << 14
CUT = 255  # what ssh exits with when its connection is lost


def main(spec: dict[str, Any]) -> None:
    """Become borg, or carry its octets as the spec says."""
    if not any(spec.get(name) for name in ("delay", "rate")) and "cut_after" not in spec:
        os.environ.pop("PYTHONIOENCODING", None)  # ssh would not carry it
        os.execvp(SERVE[0], SERVE)  # noqa: S606 - a fixed program
    with subprocess.Popen(SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None and server.stdout is not None  # noqa: S101 - for the type checker
        threading.Thread(target=pump, args=(0, server.stdin.fileno(), {}), daemon=True).start()
        cut = pump(server.stdout.fileno(), 1, spec)
        server.kill()  # nobody reads its words any more, so it would wait for ever
        status = server.wait()
        os._exit(CUT if cut else max(0, status))


def pump(reading: int, writing: int, spec: dict[str, Any]) -> bool:
    """Carry octets until an end closes, then close the other; whether it was cut."""
    rate, passed, begun = spec.get("rate") or 0, 0, time.monotonic()
    limit = spec.get("cut_after")
    block = max(64, min(BLOCK, rate // 20)) if rate else BLOCK
    while True:
        try:
            data = os.read(reading, block)
            if limit is not None and passed + len(data) > limit:
                os.write(writing, data[: limit - passed])
                return True
            if data:
                passed += len(data)
                time.sleep(spec.get("delay") or 0)
                if rate and (ahead := passed / rate - (time.monotonic() - begun)) > 0:
                    time.sleep(ahead)
                view = memoryview(data)
                while view:
                    view = view[os.write(writing, view) :]
        except OSError:
            data = b""
        if not data:
            break
    os.close(writing)
    return False


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as stream:
        main(json.load(stream))
