"""How a value looks: its tone, its words, its number in its unit. Wong's colours, always with a shape and a word."""

from __future__ import annotations

import math
from typing import Literal

from egovctl.signals.model import Signal, Tone, Unit

# Wong, Nature Methods 8, 441 (2011): told apart by colour-blind people too. There is no green.
COLOURS: dict[Tone, str] = {
    "good": "#0072B2",
    "warning": "#E69F00",
    "bad": "#D55E00",
    "quiet": "#56B4E9",
    "unknown": "#808080",
}
SHAPES: dict[Tone, str] = {"good": "●", "warning": "▲", "bad": "✖", "quiet": "◆", "unknown": "?"}
# Lines of a chart, in turn; each has dashes of its own.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DOWNWARD = ("low", "full")
# Where traffic comes from or goes to that is of no site which the router that counts it knows (playbooks/roles/flows).
NOWHERE = {"_elsewhere": ("市内其他", "elsewhere in the city"), "_unknown": ("规划之外", "not in the plan")}
# Words in place of a label's values, by the label: what programs call it is no language of people's.
LABELS: dict[str, dict[str, tuple[Tone, str, str]]] = {
    "verdict": {
        "met": ("good", "符合", "met"),
        "partly": ("warning", "部分符合", "partly"),
        "not_met": ("bad", "不符合", "not met"),
        "not_applicable": ("quiet", "不适用", "not applicable"),
        "unknown": ("unknown", "未知", "unknown"),
        "needs_statement": ("unknown", "待说明", "needs a statement"),
    },
    "period": {"day": ("quiet", "今日", "today"), "month": ("quiet", "本月", "this month")},
}
NO_DATA = {"zh": "无数据", "en": "no data"}
Lang = Literal["zh", "en"]
LANGUAGES: tuple[Lang, ...] = ("zh", "en")


def tone(signal: Signal, value: float | None) -> Tone:
    """How the value is to be taken; of a signal without states and thresholds: `quiet`, which says nothing."""
    if value is None or math.isnan(value):
        return "unknown"
    if signal.states:
        state = signal.states.get(int(value)) if float(value).is_integer() else None
        return state.tone if state else "unknown"
    levels = steps(signal)
    if not levels:
        return "quiet"
    crossed = [level for level, limit in levels if (value < limit if _downward(signal) else value > limit)]
    return crossed[-1] if crossed else "good"


def steps(signal: Signal) -> list[tuple[Tone, float]]:
    """(tone, limit) from the mildest: the first threshold is a warning, all others are bad."""
    return [("warning" if i == 0 else "bad", limit) for i, limit in enumerate(signal.thresholds.values())]


def _downward(signal: Signal) -> bool:
    return any(name in DOWNWARD for name in signal.thresholds)


def downward(signal: Signal) -> bool:
    """Whether less is worse."""
    return _downward(signal)


def words(signal: Signal, value: float | None, lang: Lang) -> str:
    """The value as a person reads it: a state's word, or the number with its unit."""
    if value is None or math.isnan(value):
        return NO_DATA[lang]
    if signal.states:
        state = signal.states.get(int(value)) if float(value).is_integer() else None
        return getattr(state, lang) if state else f"{value:g}?"
    return number(signal.unit, value, lang)


def number(unit: Unit, value: float, lang: Lang) -> str:
    """A number with its unit, short."""
    match unit:
        case "ratio":
            if 0 < value < 0.0005:
                return "< 0.1 %"
            return f"{value * 100:.1f} %" if 0 < abs(value) < 0.095 else f"{value * 100:.0f} %"
        case "seconds":
            return _time(value, lang)
        case "bits_per_second":
            return _scaled(value, 1000, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"))
        case "bytes":
            return _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))
        case "per_second":
            return _scaled(value, 1000, ("/s", "k/s", "M/s"))
        case "celsius":
            return f"{value:.0f} °C"
        case _:
            return f"{value:,.0f}"


def _scaled(value: float, base: int, names: tuple[str, ...]) -> str:
    step = 0
    while abs(value) >= base and step + 1 < len(names):
        value /= base
        step += 1
    digits = 0 if abs(value) >= 100 or step == 0 else 1
    return f"{value:.{digits}f}".removesuffix(".0") + f" {names[step]}"


def labelled(key: str, value: str, lang: Lang) -> str:
    """A label's value as a person reads it, with its shape where it is good or bad; one without words as it is."""
    if (found := LABELS.get(key, {}).get(value)) is None:
        return value
    looks, zh, en = found
    word = zh if lang == "zh" else en
    return word if looks == "quiet" else f"{SHAPES[looks]} {word}"


def tick(unit: Unit, value: float, lang: Lang) -> str:
    """A number at a chart's axis, where small ones must stay apart."""
    return f"{value * 100:.3g} %" if unit == "ratio" else number(unit, value, lang)


def _time(value: float, lang: Lang) -> str:
    sizes = ((86400, "天", "d"), (3600, "小时", "h"), (60, "分", "min"))
    for size, zh, en in sizes:
        if abs(value) >= 2 * size:
            return f"{value / size:.0f} {zh if lang == 'zh' else en}"
    if 0 < abs(value) < 1:
        thousandth = "毫秒" if lang == "zh" else "ms"
        if abs(value) < 0.000005:
            return f"< 0.01 {thousandth}"
        digits = 0 if abs(value) >= 0.01 else 1 if abs(value) >= 0.001 else 2
        return f"{value * 1000:.{digits}f}".removesuffix(".0") + f" {thousandth}"
    second = "秒" if lang == "zh" else "s"
    whole = abs(value) >= 10 or float(value).is_integer()
    return f"{value:.0f} {second}" if whole else f"{value:.2f} {second}"
