"""Something that is done beside something else. Whoever leaves in the middle does not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from egovctl.drill.call import Deadline, TookTooLong
from egovctl.i18n import told

T = TypeVar("T")


class Aside(Generic[T]):
    """Does it in a thread of its own from now on; a box that it uses ends it when the box ends."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._found: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._do, daemon=True)
        self._thread.start()

    def result(self, deadline: Deadline) -> T:
        """What came of it, or its error; TookTooLong after the deadline."""
        self._thread.join(deadline.left)
        if self._error is not None:
            raise self._error
        if not self._found:
            raise TookTooLong(told("本次演练的时限已过", "the time for this drill has passed"))
        return self._found[0]

    def _do(self) -> None:
        try:
            self._found.append(self._work())
        except BaseException as error:  # it is raised where the result is asked for
            self._error = error
