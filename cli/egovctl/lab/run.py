"""Running the machine's programs: with a deadline, quietly, and with what they printed in the error."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from egovctl.errors import EgovError
from egovctl.i18n import tr

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
    shown = " ".join(words[:6])
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
        raise EgovError(tr(f"缺少程序 {words[0]}", f"program {words[0]} is missing")) from None
    except subprocess.TimeoutExpired:
        text = tr(f"{shown} 超过 {timeout:.0f} 秒没有结束", f"{shown} took longer than {timeout:.0f} s")
        raise EgovError(text) from None
    if check and done.returncode:
        last = " | ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise EgovError(tr(f"{shown} 失败（{done.returncode}）：{last}", f"{shown} failed ({done.returncode}): {last}"))
    return done


@contextlib.contextmanager
def readable_by_all() -> Iterator[None]:
    """Make files with mode 644 and folders with 755 meanwhile: under root's own umask of 027 or 077 no guest's users
    could read their system. What is private is given its mode where it is made.
    """
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def dies_with_parent() -> Callable[[], None]:
    """A preexec function: the child gets SIGKILL when this process dies, however it dies."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare
