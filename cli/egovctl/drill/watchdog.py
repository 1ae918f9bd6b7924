"""The dead-man of a run: undoes what it left as soon as it is gone, however it went. Armed before anything is begun.

usage: watchdog.py UNDO... < PIPE

The run holds the other end of the pipe. A run that ends in order says "done" first; one that is killed says nothing,
its end of the pipe closes, and UNDO is run. Standard library only and no imports of the suite: it waits all the while.
"""

import os
import signal
import subprocess
import sys

ARMED = b"armed\n"
DONE = b"done"


def main(undo: list[str]) -> int:
    """Wait for the end of the run; 0 when nothing was to be undone, else what the undoing said."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a signal to the whole group is for the run, not for its dead-man
    os.chdir("/")
    os.write(1, ARMED)
    os.close(1)
    heard = b""
    while block := os.read(0, 64):
        heard += block
    return 0 if heard == DONE else subprocess.call(undo, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
