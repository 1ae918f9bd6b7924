"""Running the machine's programs: with a deadline, quietly, and with what they printed in the error."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from egovctl.errors import EgovError

PR_SET_PDEATHSIG = 1
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(**more: str) -> dict[str, str]:
    """This process's environment with a PATH that has sbin, in C.UTF-8, so that output can be compared."""
    return {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", **more}


def run(
    argv: Sequence[str | Path],
    *,
    given: str | None = None,
    timeout: float = 60,
    check: bool = True,
    **more: str,
) -> subprocess.CompletedProcess[str]:
    """Run a program, `given` on its standard input, `more` as environment.

    Raises EgovError with its name and last words when it fails (unless `check` is off), is missing or takes longer
    than `timeout` seconds.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment(**more),
            check=False,
        )
    except FileNotFoundError:
        raise EgovError(f"program {words[0]} is missing") from None
    except subprocess.TimeoutExpired:
        raise EgovError(f"{' '.join(words[:6])} took longer than {timeout:.0f} s") from None
    if check and done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise EgovError(f"{' '.join(words[:6])} failed ({done.returncode}): {' | '.join(last)}")
    return done


def dies_with_parent() -> Callable[[], None]:
    """A preexec function: the child gets SIGKILL when this process dies, however it dies."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare
