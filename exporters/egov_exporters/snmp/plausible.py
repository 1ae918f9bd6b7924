"""Whether counters may be believed: steps that no link of that speed can make, and breaks that the device admits.

A spike of terabits on a wall is worse than a gap. Nothing is hidden, though: the counters are served as they came, and
what is odd is counted beside them, so that a rule can leave it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import gt

from egov_exporters.snmp.values import MANTISSA

OCTETS = ("ifHCInOctets", "ifHCOutOctets")
SPEED, BREAK, UPTIME, STATUS = "ifHighSpeed", "ifCounterDiscontinuityTime", "sysUpTime", "ifOperStatus"
WATCHED = (*OCTETS, SPEED, BREAK, UPTIME, STATUS)
MARGIN = 1.1  # beyond the link's speed
SHORTEST = 5.0  # seconds between two readings that say anything: agents themselves look at their counters now and then
ROLL = 1 << 32  # hundredths of a second after which sysUpTime begins anew

# family → its numbers, in the order of its rows; rows → something that is equal when the rows are the same
Numbers = Mapping[str, Sequence[float]]


@dataclass
class Watch:
    """The last reading of a device's interfaces, and what was odd so far."""

    implausible: int = 0
    discontinuities: int = 0
    at: float = 0.0
    rows: object = None
    numbers: Numbers = field(default_factory=dict)

    def look(self, numbers: Numbers, rows: object, now: float) -> None:
        """Compare with the reading before; `now` is monotonic. Rows that changed are another table: nothing is said."""
        before, self.numbers = self.numbers, numbers
        seconds, self.at = now - self.at, now
        same, self.rows = rows == self.rows, rows
        if not before or not same:
            return
        if _restarted(before.get(UPTIME, ()), numbers.get(UPTIME, ())):
            self.discontinuities += 1
            return
        broken = {
            row
            for row, (old, new) in enumerate(zip(before.get(BREAK, ()), numbers.get(BREAK, ()), strict=False))
            if old != new
        }
        self.discontinuities += len(broken)
        if seconds < SHORTEST:
            self.numbers, self.at = before, now - seconds
            return
        speeds = numbers.get(SPEED, ())
        for name in OCTETS:
            old, new = before.get(name, ()), numbers.get(name, ())
            if len(old) == len(new) == len(speeds):
                self.implausible += _steps(old, new, speeds, seconds, broken)


def shaken(before: Numbers, numbers: Numbers) -> bool:
    """Whether a row may be another interface than it was: its state, its speed or its break changed, or octets became
    fewer. Then the names that were read before are not to be trusted.
    """
    return any(before.get(name) != numbers.get(name) for name in (STATUS, SPEED, BREAK)) or any(
        any(map(gt, before.get(name, ()), numbers.get(name, ()))) for name in OCTETS
    )


def _steps(
    old: Sequence[float], new: Sequence[float], speeds: Sequence[float], seconds: float, broken: set[int]
) -> int:
    """How many counters made a step that their link cannot have carried; a counter that went back made a long one."""
    most = [speed * 1e6 / 8 * seconds * MARGIN for speed in speeds]
    made = [(after - before) % MANTISSA for before, after in zip(old, new, strict=True)]
    if not any(map(gt, made, most)):
        return 0
    return sum(step > limit > 0 and row not in broken for row, (step, limit) in enumerate(zip(made, most, strict=True)))


def _restarted(old: Sequence[float], new: Sequence[float]) -> bool:
    """Whether the device came up anew in between: its uptime went back, and not because it began to count anew."""
    return bool(old and new and new[0] < old[0] < ROLL * 0.99)
