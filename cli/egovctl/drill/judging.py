"""What all restores are judged by: the promise, the heartbeat, and whose backup it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egovctl.drill.causes import Cause
from egovctl.drill.model import Item, Outcome, Target, Verdict
from egovctl.drill.phases import Timer
from egovctl.i18n import both

PATIENCE = 2.0  # times the promised RTO: whoever takes longer is stopped
SHORTEST_LIMIT = 120.0
CLOCK_TOLERANCE = 60.0
HEADROOM = 16 << 20  # octets that a scratch must have beyond what is restored


@dataclass(frozen=True)
class Promise:
    """What the plan promises for a service, in seconds."""

    rto: int
    rpo: int

    @property
    def limit(self) -> float:
        """Seconds after which a restore is stopped."""
        return max(SHORTEST_LIMIT, self.rto * PATIENCE)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: its cause, and a sentence in both languages."""

    cause: Cause
    text: dict[str, str]


def finding(cause: Cause, zh: str, en: str) -> Finding:
    """A finding from its two sentences."""
    return Finding(cause, {"zh": zh, "en": en})


def heartbeat_age(path: Path, moment: float) -> float | None:
    """Seconds from the heartbeat in a restored heartbeat.json to `moment` (Unix time); None when there is none."""
    try:
        return round(moment - float(json.loads(path.read_text(encoding="utf-8"))["unix"]), 3)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def broken_promises(promise: Promise, rto: float, age: float | None) -> list[Finding]:
    """What was promised and not kept; `age` is the data's, in seconds."""
    found = []
    if rto > promise.rto:
        text = f"RTO {rto:.0f} s > {promise.rto} s"
        found.append(finding(Cause.TOO_SLOW, f"恢复超时：{text}", f"restored too late: {text}"))
    if age is not None and age > promise.rpo:
        text = f"RPO {age:.0f} s > {promise.rpo} s"
        found.append(finding(Cause.STALE, f"备份过旧：{text}", f"the backup is too old: {text}"))
    return found


def judged(
    target: Target,
    promise: Promise,
    timer: Timer,
    findings: Iterable[Finding],
    *,
    compared: int,
    age: float | None,
    details: dict[str, Any],
) -> Item:
    """A restore that ran to its end. Nothing compared is an error; no credible heartbeat leaves the RPO unknown."""
    kept = list(findings)
    outcome, verdict = Outcome.COMPLETED, Verdict.NOT_MET if kept else Verdict.MET
    if compared == 0 and not kept:
        outcome, verdict = Outcome.ERROR, Verdict.UNKNOWN
        kept = [finding(Cause.SOURCE_EMPTY, "没有比对任何内容：不算通过", "nothing was compared: that is no pass")]
    elif age is None or age < -CLOCK_TOLERANCE:
        sentence = ("备份中没有可信的心跳时间，RPO 未知", "no credible heartbeat: the RPO is unknown")
        kept.append(finding(Cause.CLOCK_WRONG, *sentence))
        verdict = Verdict.UNKNOWN if verdict is Verdict.MET else verdict
    return Item(
        target.service,
        target.host,
        outcome,
        verdict,
        tuple(one.text for one in kept),
        timer.phases,
        timer.total,
        float(promise.rto),
        age,
        float(promise.rpo),
        compared,
        details,
        tuple(dict.fromkeys(one.cause for one in kept)),
    )


def hindered(
    target: Target, promise: Promise, timer: Timer, outcome: Outcome, verdict: Verdict, findings: Iterable[Finding]
) -> Item:
    """A restore that did not come to its end."""
    kept = list(findings)
    return Item(
        target.service,
        target.host,
        outcome,
        verdict,
        tuple(one.text for one in kept),
        timer.phases,
        rto_promised_seconds=float(promise.rto),
        rpo_promised_seconds=float(promise.rpo),
        causes=tuple(dict.fromkeys(one.cause for one in kept)),
    )


def too_slow(target: Target, promise: Promise, timer: Timer) -> Item:
    """A restore that was stopped at its limit: the promise is broken, whatever would have come."""
    limit = promise.limit
    found = finding(
        Cause.TOO_SLOW,
        f"{limit:.0f} 秒（承诺 RTO 的 {PATIENCE:g} 倍）内未能恢复，已停止",
        f"not restored within {limit:.0f} s, {PATIENCE:g} times the promised RTO: stopped",
    )
    return hindered(target, promise, timer, Outcome.ABORTED, Verdict.NOT_MET, [found])


def not_possible(cause: Cause, error: Exception) -> Finding:
    """A finding from an error's own two sentences."""
    said = both(error)
    return finding(cause, f"无法完成：{said['zh']}", said["en"])
