"""A few lines for the end of a longer story (`make demo`): what the checks and the drill said, in both languages.

They take what `egovctl assess run` and `egovctl drill run` print with --format json.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egovctl.report.words import OUTCOME, STATUS, VERDICT, duration

Lines = dict[str, str]


def checks_line(report: Mapping[str, Any]) -> Lines:
    """How many checks of how many results passed, and the names of those that did not."""
    results = report["results"]
    bad = sorted({result["check"] for result in results if result["status"] not in ("pass", "not_applicable")})
    counts = {name: count for name, count in report["totals"].items() if count}
    zh = "，".join(f"{STATUS[name]['zh']} {count}" for name, count in counts.items())
    en = ", ".join(f"{count} {STATUS[name]['en']}" for name, count in counts.items())
    checks = len({result["check"] for result in results})
    return {
        "zh": f"{checks} 项检查、{len(results)} 个结果：{zh}" + (f"（{'、'.join(bad)}）" if bad else ""),
        "en": f"{checks} checks, {len(results)} results: {en}" + (f" ({', '.join(bad)})" if bad else ""),
    }


def drill_line(report: Mapping[str, Any]) -> Lines:
    """Outcome and verdict of a drill, files compared, and the longest RTO and RPO beside their promises."""
    files = sum(item["files_compared"] for item in report["items"])
    rto, rpo = (_worst(report["items"], name) for name in ("rto", "rpo"))
    outcome, verdict = OUTCOME[report["outcome"]], VERDICT[report["verdict"]]
    zh = f"演练{outcome['zh']}，{verdict['zh']}：比对 {files} 个文件，RTO {rto['zh']}，RPO {rpo['zh']}"
    en = f"drill {outcome['en']}, promise {verdict['en']}: {files} files compared, RTO {rto['en']}, RPO {rpo['en']}"
    return {"zh": zh, "en": en}


def _worst(items: list[Mapping[str, Any]], name: str) -> Lines:
    """The measured value that comes nearest to, or goes farthest over, its promise."""
    measured = [item for item in items if item[f"{name}_seconds"] is not None]
    if not measured:
        return {"zh": "未测得", "en": "not measured"}
    worst = max(measured, key=lambda item: item[f"{name}_seconds"] / item[f"{name}_promised_seconds"])
    value, promise = duration(worst[f"{name}_seconds"]), duration(worst[f"{name}_promised_seconds"])
    return {"zh": f"{value}（承诺 {promise}）", "en": f"{value} (promised {promise})"}
