"""Arm the dead-man of a run; see watchdog.py. Without one nothing is begun."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from egovctl.drill import watchdog
from egovctl.errors import CannotMeasure
from egovctl.i18n import told

UNDO = "from pathlib import Path; from egovctl.drill import journal; journal.undo(Path({!r}))"
ENDS_WITHIN = 10.0


@contextmanager
def armed(scratch: Path) -> Iterator[None]:
    """While inside, the end of this process, however it comes, undoes what is in `scratch`; CannotMeasure without."""
    argv = [sys.executable, "-I", "-S", watchdog.__file__, sys.executable, "-c", UNDO.format(str(scratch))]
    reading, writing = os.pipe()
    with subprocess.Popen(argv, stdin=reading, stdout=subprocess.PIPE, start_new_session=True) as dog:
        os.close(reading)
        try:
            if dog.stdout is None or dog.stdout.readline() != watchdog.ARMED:
                raise CannotMeasure(told("演练的看守进程未能启动", "the watchdog of the run did not start"))
            yield
        finally:
            with suppress(BrokenPipeError):
                os.write(writing, watchdog.DONE)
            os.close(writing)
            with suppress(subprocess.TimeoutExpired):
                dog.wait(ENDS_WITHIN)
