"""What packs of self-assessments cost: every department of inventories/wuwei, from made-up results of mlps-level-3.

`python tests/bench/assessment_packs.py`: the processor time of all processes, the time on the clock, and the goal,
40 packs in 30 s on 2 cores. The results are made up; what is measured is reading, judging and writing.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).resolve()
PROJECT = HERE.parents[2]
sys.path.insert(0, str(PROJECT / "tests/unit"))

import assessed_town  # noqa: E402

from egovctl.assess.scope import scope_of  # noqa: E402
from egovctl.assess.standards import standards  # noqa: E402
from egovctl.checks import content  # noqa: E402
from egovctl.checks.context import Context, open_context  # noqa: E402
from egovctl.checks.model import Result, Status  # noqa: E402
from egovctl.evidence import open_chain  # noqa: E402
from egovctl.i18n import set_language  # noqa: E402
from egovctl.paths import Inventory  # noqa: E402
from egovctl.report.assessed.gather import assessed, read_past  # noqa: E402
from egovctl.report.assessed.made import made  # noqa: E402
from egovctl.report.assessed.packs import FORMS, parts, write_packs  # noqa: E402
from egovctl.report.document import content as written  # noqa: E402

STANDARD = "mlps-level-3"
RUNS = 4
GOAL_PACKS, GOAL_SECONDS = 40, 30.0
WEIGHTS = {Status.PASS: 88, Status.FAIL: 7, Status.PARTIAL: 2, Status.UNKNOWN: 3}


def seen(context: Context, luck: random.Random) -> list[Result]:
    """What the checks of the standard might say of each of their subjects."""
    wanted = standards(context.inventory).get(STANDARD).by_id
    found = []
    for check in content.checks(context.inventory).entries.values():
        if not {*check.items, *check.supports} & set(wanted):
            continue
        for subject in context.subjects(check.subject):
            status = luck.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            found.append(assessed_town.result(check.id, subject, status))
    return found


def spent() -> float:
    """Processor seconds of this process and its children."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> int:
    """Print the figures; 0 when the goal is met by processor time on two cores."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(PROJECT / "inventories/wuwei", root / "inventories/wuwei")
        (root / "ansible.cfg").touch()
        os.environ["EGOV_PROJECT"] = str(root)
        set_language("zh")
        inventory = Inventory(root / "inventories/wuwei")
        context, luck = open_context(inventory), random.Random(7)
        chain = open_chain(inventory, context.plan.revision)
        standard = standards(inventory).get(STANDARD)
        now = datetime.now(UTC)
        for number in range(RUNS):
            assessed_town.record(inventory, chain, f"run{number}", standard, seen(context, luck), now)
        begun, before = time.monotonic(), spent()
        past = read_past(context, STANDARD, chain)
        pasts = parts(context, past, "department")
        codes = write_packs(context, pasts, "department", root / "packs", FORMS, now + timedelta(hours=1), force=False)
        clock, cpu = time.monotonic() - begun, spent() - before
        size = sum(path.stat().st_size for path in (root / "packs").rglob("*") if path.is_file())
        share = GOAL_PACKS / len(codes)
        print(f"{len(past.run.results or ())} results on {len(context.city.hosts)} hosts, {RUNS} runs")
        print(
            f"{len(codes)} packs ({', '.join(FORMS)}; {size / 1e6:.0f} MB): {cpu:.1f} s CPU, {clock:.1f} s by the clock"
        )
        print(
            f"{GOAL_PACKS} packs: {cpu * share:.1f} s CPU, {cpu * share / 2:.1f} s on 2 cores (goal {GOAL_SECONDS:.0f})"
        )
        for form in (*FORMS, "pdf"):
            before = spent()
            written(made(context, assessed(past, scope_of(context, "city")), now).document, form)
            print(f"the whole city as {form}: {spent() - before:.1f} s CPU")
        print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
        return 0 if cpu * share / 2 <= GOAL_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
