"""What parts of a calibration left in files, and the page that shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from egovctl.drill.calibration.run import Judged
from egovctl.drill.calibration.score import Score, Share, score
from egovctl.errors import UsageError
from egovctl.i18n import tr

BEGIN, END = "<!-- calibration: begin -->", "<!-- calibration: end -->"


def save(path: Path, about: dict[str, Any], judged: Sequence[Judged]) -> None:
    """Write what was judged, with where it came from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"about": about, "judged": [asdict(one) for one in judged]}, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def load(paths: Sequence[Path]) -> tuple[list[dict[str, Any]], list[Judged]]:
    """What these files hold together; UsageError for one that is none, or for a case that is there twice."""
    about, judged, seen = [], [], set()
    for path in paths:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            about.append(dict(data["about"]))
            some = [
                Judged(**{**one, "causes": tuple(one["causes"]), "reasons": tuple(one["reasons"])})
                for one in data["judged"]
            ]
        except (OSError, ValueError, KeyError, TypeError):
            text = (f"{path}：不是校准结果", f"{path}: these are no results of a calibration")
            raise UsageError(tr(*text)) from None
        for one in some:
            key = (one.label["seed"], one.number)
            if key in seen:
                text = (f"{path}：用例 {key[1]} 重复", f"{path}: case {key[1]} is there twice")
                raise UsageError(tr(*text))
            seen.add(key)
        judged += some
    return about, judged


def page_text(about: Sequence[dict[str, Any]], judged: Sequence[Judged]) -> str:
    """The measured part of docs/drill-calibration.md."""
    result = score(judged)
    seeds = ", ".join(sorted({str(one["seed"]) for one in about}))
    revisions = ", ".join(sorted({str(one["revision"]) for one in about}))
    dates = sorted(str(one["at"])[:10] for one in about)
    lines = [
        f"Measured {dates[0]}, seeds {seeds}, revision {revisions}, {about[0]['cpus']} CPUs. "
        "In brackets: 95 % intervals (Wilson).",
        "",
        *(f"**Missed:** {goal['en']}." for goal in result.missed),
        *([""] if result.missed else []),
        "| kind | what is planted | n | found | cause named | median s | named instead |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result.rows:
        instead = ", ".join(f"{cause} {count}" for cause, count in row.instead.items()) or "-"
        lines.append(
            f"| `{row.kind}` | {row.title['en']} | {row.found.of} | {_share(row.found)} | {_share(row.named)} "
            f"| {row.seconds:.1f} | {instead} |"
        )
    lines.append(f"| **all** | | {result.found.of} | {_share(result.found)} | {_share(result.named)} | | |")
    lines += ["", _clean(result)]
    return "\n".join(lines)


def _clean(result: Score) -> str:
    below = result.alarms.interval[1]
    return (
        f"Clean runs mixed in: {result.alarms.of}, false alarms: {result.alarms.count} "
        f"(95 %: at most {below:.1%} of clean runs)."
    )


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.count}/{share.of} [{low:.0%}-{high:.0%}]"


def write_page(page: Path, text: str) -> None:
    """Put the text between the page's marks; UsageError when they are not there."""
    before = page.read_text(encoding="utf-8")
    if BEGIN not in before or END not in before:
        raise UsageError(tr(f"{page}：缺少标记 {BEGIN}", f"{page}: it has no mark {BEGIN}"))
    head, _, rest = before.partition(BEGIN)
    page.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
