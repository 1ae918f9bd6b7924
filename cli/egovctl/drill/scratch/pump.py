"""What programs in a box print, taken in without trust: never more than a limit, never longer than a deadline."""

from __future__ import annotations

import os
import selectors
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from egovctl.drill.borg import Deadline

MOST = 64 << 20  # octets of output that are kept of one program
BLOCK = 1 << 16
TAIL = 64 << 10


class TooMuch(Exception):
    """A program printed more than is taken."""


@dataclass
class Pipes:
    """Our ends of a program's standard input, output and error, and the program's own ends until it is started."""

    ours: tuple[int, int, int]
    theirs: tuple[int, int, int]

    @classmethod
    def made(cls) -> Pipes:
        read_in, write_in = os.pipe()
        read_out, write_out = os.pipe()
        read_error, write_error = os.pipe()
        return cls((write_in, read_out, read_error), (read_in, write_out, write_error))

    def close_theirs(self) -> None:
        """After the program has them."""
        for descriptor in self.theirs:
            with suppress(OSError):
                os.close(descriptor)


def exchange(pipes: Pipes, given: bytes, deadline: Deadline) -> tuple[bytes, bytes]:
    """Write what is given, read both outputs to their end. Closes our ends, whatever happens.

    TimeoutError at the deadline, TooMuch when it prints without end.
    """
    writing, *reading = pipes.ours
    kept: dict[int, list[bytes]] = {descriptor: [] for descriptor in reading}
    total, rest = 0, memoryview(given)
    with selectors.DefaultSelector() as selector:
        try:
            for descriptor in reading:
                selector.register(descriptor, selectors.EVENT_READ)
            if rest:
                os.set_blocking(writing, False)
                selector.register(writing, selectors.EVENT_WRITE)
            else:
                os.close(writing)
            while selector.get_map():
                if deadline.at <= time.monotonic():
                    raise TimeoutError
                for key, _ in selector.select(deadline.left):
                    descriptor = key.fd
                    if descriptor == writing:
                        with suppress(BlockingIOError):
                            rest = rest[_write(descriptor, rest) :]
                        if not rest:
                            selector.unregister(descriptor)
                            os.close(descriptor)
                        continue
                    block = os.read(descriptor, BLOCK)
                    total += len(block)
                    if total > MOST:
                        raise TooMuch
                    kept[descriptor].append(block)
                    if not block:
                        selector.unregister(descriptor)
                        os.close(descriptor)
        finally:
            for key in list(selector.get_map().values()):
                os.close(key.fd)
    return b"".join(kept[reading[0]]), b"".join(kept[reading[1]])


def _write(descriptor: int, rest: memoryview) -> int:
    """How much was taken; all of it when nobody reads any more."""
    try:
        return os.write(descriptor, rest[:BLOCK])
    except BrokenPipeError:
        return len(rest)


@dataclass
class Tail:
    """The last of what comes out of a descriptor, read by a thread until its end; the descriptor is closed then."""

    descriptor: int
    _text: bytes = b""
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while block := os.read(self.descriptor, BLOCK):
                self._text = (self._text + block)[-TAIL:]
        except OSError:
            pass
        finally:
            os.close(self.descriptor)

    @property
    def text(self) -> str:
        """What there is of it by now."""
        return self._text.decode("utf-8", "replace")

    def wait(self, seconds: float) -> None:
        """For its end, which may never come while a child of the program is alive."""
        self._thread.join(seconds)
