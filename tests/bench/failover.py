"""How long the loss of a core or of an uplink keeps two departments apart, with a counted stream, on a lab that is up.

    python tests/bench/failover.py [--inventory lab] [--rounds 10]

The loss is silent: the line stays up and carries nothing, so that only BFD notices. 200 datagrams a second run between
users of one vertical network; the outage is the longest time without one. Prints each round, the median and the worst,
and writes build/failover.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "lab"))

from streams import LOSSES, one_loss, told  # noqa: E402

from egovctl.checks import content, open_context  # noqa: E402
from egovctl.checks.collect import places  # noqa: E402
from egovctl.checks.context import Context  # noqa: E402
from egovctl.checks.engine import run_checks  # noqa: E402
from egovctl.checks.model import Status  # noqa: E402
from egovctl.paths import Inventory  # noqa: E402

SETTLE_SECONDS = 120


def settle(context: Context) -> None:
    """Wait until every session is up; CannotMeasure's place is taken by an exit with one sentence."""
    limit = time.monotonic() + SETTLE_SECONDS
    while {r.status for r in run_checks(context, [content.checks().get("neighbours-up")])} != {Status.PASS}:
        if time.monotonic() > limit:
            sys.exit(
                f"the lab is not settled after {SETTLE_SECONDS} s: egovctl assess run as-planned says what is wrong"
            )
        time.sleep(1)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inventory", default=os.environ.get("EGOV_INVENTORY", "lab"))
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    context = open_context(Inventory.find(options.inventory))
    ends = [places.user_place(context, site) for site in ("education", "minqin-education")]
    source, target = ends
    assert source is not None and target is not None
    result = {}
    for kind, lost in LOSSES.items():
        seen = []
        for number in range(options.rounds):
            settle(context)
            seen.append(one_loss(context.inventory, source, target, *lost[number % 2]))
            print(f"loss of {kind} {number + 1}/{options.rounds}: {seen[-1].outage:.3f} s", flush=True)
        result[kind] = [asdict(item) for item in seen]
        print(f"loss of {kind}: {told(seen)}", flush=True)
    out = REPOSITORY / "build" / "failover.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
