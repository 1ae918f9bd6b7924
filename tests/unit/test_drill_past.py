"""What earlier runs say: limits for the next one, when each set was last proven, which promise would break."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from egovctl.drill import past
from egovctl.drill.causes import Cause
from egovctl.drill.judging import SHORTEST_LIMIT, UNUSUAL, Promise, too_slow
from egovctl.drill.model import Outcome, Target, Verdict
from egovctl.drill.phases import Timer
from egovctl.errors import UsageError
from egovctl.evidence import NO_RECORD, Record

TARGET = Target("documents", "noc")


def item(rto: float | None, verdict: str = "met", outcome: str = "completed", rpo: float | None = 60.0) -> dict:
    return {
        "service": "documents",
        "host": "noc",
        "outcome": outcome,
        "verdict": verdict,
        "rto_seconds": rto,
        "rpo_seconds": rpo,
    }


def result(
    *items: dict, drill: str = "restore-files", run: str = "abc123", at: str = "2026-11-01T00:00:00.000Z"
) -> Record:
    return Record(
        0, at, "control", "drill.result", "1", "", {"run": run, "drill": drill, "items": list(items)}, NO_RECORD
    )


def test_what_is_usual_is_the_median_of_healthy_runs_only() -> None:
    runs = [result(item(seconds)) for seconds in (10.0, 11.0, 500.0)]
    runs += [result(item(9000.0, verdict="not_met")), result(item(None, "unknown", "error"))]
    runs += [result(item(1.0), drill="restore-postgresql")] * 5
    assert past.usual_seconds(runs, "restore-files") == {"documents@noc": 11.0}
    assert past.usual_seconds(runs[:2], "restore-files") == {}  # two runs say nothing of what is usual
    many = [result(item(1000.0))] * 30 + [result(item(2.0))] * past.RUNS_KEPT
    assert past.usual_seconds(many, "restore-files") == {"documents@noc": 2.0}


@pytest.mark.parametrize(
    ("rto", "usual", "limit"),
    [
        (14_400, None, 28_800),  # nothing is known: twice the promise
        (14_400, 30.0, 300.0),  # much earlier than the promise, much later than ever
        (14_400, 2.0, SHORTEST_LIMIT),  # a loaded machine is no damaged backup
        (14_400, 5000.0, 28_800),
        (30, 25.0, SHORTEST_LIMIT),
        (30, None, SHORTEST_LIMIT),
    ],
)
def test_the_limit_follows_from_earlier_runs_and_the_promise(rto: int, usual: float | None, limit: float) -> None:
    promise = Promise(rto, 3600, usual)
    assert promise.limit == limit
    assert usual is None or promise.limit >= min(usual * UNUSUAL, promise.rto * 2, SHORTEST_LIMIT)


def test_stopped_before_the_promise_nobody_knows_stopped_after_it_it_is_broken() -> None:
    early = too_slow(TARGET, Promise(14_400, 3600, 30.0), Timer())
    late = too_slow(TARGET, Promise(30, 3600), Timer())
    assert (early.outcome, early.verdict, early.causes) == (Outcome.ABORTED, Verdict.UNKNOWN, (Cause.TOO_SLOW,))
    assert "where it used to take 30.0 s" in early.reasons[0]["en"]
    assert (late.outcome, late.verdict, late.causes) == (Outcome.ABORTED, Verdict.NOT_MET, (Cause.TOO_SLOW,))


def test_last_median_and_worst_of_all_restores() -> None:
    runs = [
        result(item(seconds), at=f"2026-11-0{day}T00:00:00.000Z") for day, seconds in ((1, 5.0), (2, 90.0), (3, 7.0))
    ]
    runs.append(result(item(None, "unknown", "aborted"), at="2026-11-04T00:00:00.000Z"))
    found = past.past_of(runs, "restore-files", TARGET)
    assert (found.last, found.middle, found.worst, len(found.rto)) == (7.0, 7.0, 90.0, 3)
    assert found.drilled_at == "2026-11-03T00:00:00.000Z"  # a run that could not say proves nothing
    empty = past.past_of(runs, "restore-files", Target("documents", "other"))
    assert (empty.last, empty.middle, empty.worst, empty.drilled_at) == (None, None, None, None)


def test_ninety_days_and_then_it_is_overdue() -> None:
    found = past.past_of([result(item(5.0))], "restore-files", TARGET)
    proven = datetime(2026, 11, 1, tzinfo=UTC)
    assert not found.overdue(proven + timedelta(days=90))
    assert found.overdue(proven + timedelta(days=90, seconds=1))
    assert past.Past("", TARGET).overdue(proven)


@pytest.mark.parametrize(
    ("items", "broken"),
    [
        ([item(5.0)], []),
        ([item(50.0), item(5.0)], ["rto"]),  # it was once too slow: the worst is what counts
        ([item(5.0, "not_met", rpo=9000.0)], ["rpo"]),
        ([item(50.0, "not_met", rpo=9000.0)], ["rto", "rpo"]),
        ([item(5.0, "not_met")], ["restore"]),
        ([item(5.0, "not_met"), item(5.0)], []),
        ([], []),
    ],
)
def test_which_promise_would_break(items: list[dict], broken: list[str]) -> None:
    runs = past.past_of([result(one) for one in items], "restore-files", TARGET)
    assert past.Covered("documents", "noc", "restore-files", 30, 3600, runs, False).breaks == broken


def test_one_run_is_found_by_the_beginning_of_its_id() -> None:
    records = [result(run="abc123"), result(run="abd456")]
    assert past.one_run(records, "abc") == (None, records[0])
    for wanted in ("ab", "zz", ""):
        with pytest.raises(UsageError, match="no single run"):
            past.one_run(records, wanted)


def test_a_call_that_hangs_is_killed_at_its_deadline(tmp_path) -> None:
    from egovctl.drill.call import Call, Deadline, TookTooLong

    begun = time.monotonic()
    with Call(["sleep", "60"], Deadline.after(0.3)) as call, pytest.raises(TookTooLong, match="sleep 60 was stopped"):
        call.end()
    assert time.monotonic() - begun < 5
    assert call._process.poll() == -9


def test_leaving_a_call_that_still_runs_kills_it() -> None:
    from egovctl.drill.call import Call, Deadline

    with Call(["sleep", "60"], Deadline.after(60)) as call:
        pass
    assert call._process.poll() == -9
