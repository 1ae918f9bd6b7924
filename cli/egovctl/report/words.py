"""The closed sets in both languages: statuses of a check, outcomes and verdicts of a drill."""

from __future__ import annotations

from egovctl.i18n import pick

STATUS = {
    "pass": {"zh": "通过", "en": "pass"},
    "partial": {"zh": "部分通过", "en": "partial"},
    "fail": {"zh": "不通过", "en": "FAIL"},
    "not_applicable": {"zh": "不适用", "en": "not applicable"},
    "manual": {"zh": "待人工", "en": "manual"},
    "unknown": {"zh": "未知", "en": "unknown"},
    "error": {"zh": "出错", "en": "ERROR"},
}
STYLE = {
    "pass": "green",
    "partial": "yellow",
    "fail": "bold red",
    "not_applicable": "dim",
    "manual": "yellow",
    "unknown": "yellow",
    "error": "bold red",
}
OUTCOME = {
    "completed": {"zh": "完成", "en": "completed"},
    "aborted": {"zh": "中止", "en": "aborted"},
    "error": {"zh": "出错", "en": "ERROR"},
}
VERDICT = {
    "met": {"zh": "兑现承诺", "en": "met"},
    "not_met": {"zh": "未兑现", "en": "NOT MET"},
    "unknown": {"zh": "未知", "en": "unknown"},
}
VERDICT_STYLE = {"met": "green", "not_met": "bold red", "unknown": "yellow"}


WHOLE = ((86_400, "d"), (3600, "h"), (60, "min"))
MANY = 100  # more than so many units are better said in the next larger ones


def word(table: dict[str, dict[str, str]], value: str) -> str:
    """The word for a value of a closed set, in the language in force."""
    return pick(table[value])


def duration(seconds: float | None) -> str:
    """A duration as people say it: 4.2 s, 12 min, 3.5 h, 2 d; whole units where they fit; a dash for none."""
    if seconds is None:
        return "—"
    for size, unit in WHOLE:
        if seconds >= size and seconds % size == 0 and seconds / size < MANY:
            return f"{seconds / size:.0f} {unit}"
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if abs(seconds) < limit:
            return f"{seconds / divisor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds / 86_400:.1f}".removesuffix(".0") + " d"
