"""Print the minutes that each room's tests took beside its budget: minutes.py FILE, one JSON object a line."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

BUDGET = {"lab and plan": 12, "extranet": 10, "exporter": 4, "backup": 10, "NOC": 8, "assess": 5, "the rest": 6}


def main() -> None:
    """Two tests that run side by side both count: it is the work that is budgeted, not the wait."""
    total: Counter[str] = Counter()
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        total.update(json.loads(line))
    print(f"{'room':<14}{'minutes':>8}{'budget':>8}")
    for room, budget in BUDGET.items():
        minutes = total[room] / 60
        print(f"{room:<14}{minutes:>8.1f}{budget:>8}{'  over' if minutes > budget else ''}")
    print(f"{'all':<14}{sum(total.values()) / 60:>8.1f}{sum(BUDGET.values()):>8}")


if __name__ == "__main__":
    main()
