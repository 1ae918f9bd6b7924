"""The month that a report is of, in the city's time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from egovctl.errors import UsageError
from egovctl.i18n import tr

# All of China keeps one time, without daylight saving.
ZONE = timezone(timedelta(hours=8))
MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])\Z")


@dataclass(frozen=True)
class Month:
    """A calendar month. `until` is its end, or now where that is earlier: nothing is said of what is to come."""

    name: str
    begin: datetime
    end: datetime
    until: datetime

    @property
    def over(self) -> bool:
        """Whether all of it is past."""
        return self.until == self.end

    @property
    def seconds(self) -> int:
        """How long the part is that can be spoken of."""
        return int((self.until - self.begin).total_seconds())


def read_month(text: str, now: datetime | None = None) -> Month:
    """The month of `2026-10`; UsageError when it is none, or has not begun."""
    match = MONTH.match(text)
    if match is None:
        raise UsageError(
            tr(f"{text!r} 不是月份：请写成 2026-10", f"{text!r} is no month: write it as in 2026-10"),
        )
    begin = datetime(int(match[1]), int(match[2]), 1, tzinfo=ZONE)
    end = (begin + timedelta(days=31)).replace(day=1)
    here = (now or datetime.now(UTC)).astimezone(ZONE)
    if begin >= here:
        raise UsageError(tr(f"{text} 还没有开始", f"{text} has not begun"))
    return Month(text, begin, end, min(end, here.replace(microsecond=0)))
