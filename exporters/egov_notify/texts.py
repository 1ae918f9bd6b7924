"""What people read: subjects, bodies and text messages in zh and en. Pure functions.

A text message is one message: at most 70 UCS-2 characters, the summary cut where it must be, never the rest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

SEVERITIES = ("none", "info", "warning", "critical")
WORDS = {
    "zh": {
        "open": "告警：", "news": "续报：", "end": "恢复：", "critical": "严重", "warning": "警告", "info": "提示",
        "more": "，另 {n} 条", "lasted": "，历时{time}", "since": "开始", "runbook": "处置", "until": "结束",
        "sum": "告警汇总：新增 {open} 起，恢复 {end} 起：", "comma": "、", "and_more": "等",
        "silent": "监测中断：{minutes} 分钟未收到网络运行中心的心跳", "heard": "监测恢复：又收到网络运行中心的心跳",
        "advice": "网络运行中心、Prometheus、Alertmanager 或到它的链路已停；在此期间没有任何告警。由备份节点发出。",
    },
    "en": {
        "open": "ALERT: ", "news": "MORE: ", "end": "OVER: ", "critical": "critical", "warning": "warning",
        "info": "info", "more": ", {n} more", "lasted": ", after {time}", "since": "since", "runbook": "what to do",
        "until": "until", "sum": "Alerts: {open} new, {end} over: ", "comma": ", ", "and_more": ", ...",
        "silent": "No sign of life of the NOC for {minutes} min", "heard": "The NOC's sign of life is back",
        "advice": "The NOC, Prometheus, Alertmanager or the way there has stopped; nobody is alerted of anything "
        "meanwhile. Sent by the backup node.",
    },
}  # fmt: skip


def ucs2(text: str) -> int:
    """The length as a text message counts it: what UCS-2 lacks takes two places."""
    return sum(2 if ord(character) > 0xFFFF else 1 for character in text)


def cut(text: str, room: int) -> str:
    """The text, with its end replaced by an ellipsis when it is longer than `room` UCS-2 characters."""
    if ucs2(text) <= room:
        return text
    kept = ""
    for character in text:
        if ucs2(kept) + ucs2(character) > room - 1:
            break
        kept += character
    return kept + "…"


def one_line(text: str) -> str:
    """Whatever a label holds, on one line: no header, no field and no log line is broken by it."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def summary(alert: Mapping[str, Any], language: str) -> str:
    """What an alert says of itself; its name and its labels when it has no words."""
    annotations, labels = alert.get("annotations", {}), alert.get("labels", {})
    said = annotations.get("summary_zh" if language == "zh" else "summary") or annotations.get("summary")
    if not said:
        said = " ".join(str(labels[name]) for name in ("alertname", "site", "host") if labels.get(name))
    return one_line(str(said))


def severity(alert: Mapping[str, Any]) -> str:
    """The alert's severity; what is unknown is a warning."""
    found = alert.get("labels", {}).get("severity", "warning")
    return found if found in SEVERITIES else "warning"


def worst(alerts: Sequence[Mapping[str, Any]]) -> str:
    """The highest severity among them."""
    return max((severity(alert) for alert in alerts), key=SEVERITIES.index, default="none")


def leading(alerts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The alert that speaks for all: of the worst the one that began first."""
    top = worst(alerts)
    return min((alert for alert in alerts if severity(alert) == top), key=lambda alert: str(alert.get("startsAt", "")))


def short(what: str, lead: str, others: int, language: str, room: int, lasted: float | None = None) -> str:
    """The text message, within `room` characters."""
    words = WORDS[language]
    tail = words["more"].format(n=others) if others else ""
    tail += words["lasted"].format(time=duration(lasted, language)) if lasted is not None else ""
    return words[what] + cut(lead, room - ucs2(words[what] + tail)) + tail


def summed(opened: Sequence[str], ended: Sequence[str], language: str, room: int) -> str:
    """Many messages as one: how many, and the first of them by name as far as there is room."""
    words = WORDS[language]
    head = words["sum"].format(open=len(opened), end=len(ended))
    return head + cut(words["comma"].join([*opened, *ended]), room - ucs2(head))


def body(what: str, alerts: Sequence[Mapping[str, Any]], language: str, lasted: float | None = None) -> str:
    """The mail: each alert with its severity, what it means, since when, and where to read on."""
    words, parts = WORDS[language], []
    for alert in sorted(alerts, key=lambda item: (-SEVERITIES.index(severity(item)), str(item.get("startsAt", "")))):
        annotations = alert.get("annotations", {})
        meaning = annotations.get("description_zh" if language == "zh" else "description")
        lines = [f"[{words.get(severity(alert), severity(alert))}] {summary(alert, language)}"]
        lines += [one_line(str(meaning))] if meaning else []
        lines.append(f"{words['since']}: {clock(str(alert.get('startsAt', '')))}")
        lines += [f"{words['runbook']}: {annotations['runbook']}"] if annotations.get("runbook") else []
        parts.append("\n".join(lines))
    if lasted is not None:
        parts.append(words["lasted"].format(time=duration(lasted, language)).strip("，, "))
    return "\n\n".join(parts) + "\n"


def clock(moment: str) -> str:
    """An RFC 3339 time as Alertmanager writes it, to the second; the words as they are when it is none."""
    return moment[:19].replace("T", " ") + moment[19:].lstrip(".0123456789").replace("Z", " UTC")


def duration(seconds: float, language: str) -> str:
    """As people say it: 40 s, 12 min, 3 h 5 min, 2 d 4 h."""
    units = {"zh": ("秒", "分钟", "小时", "天"), "en": ("s", "min", "h", "d")}[language]
    gap = "" if language == "zh" else " "
    total = max(0, round(seconds))
    if total < 60:
        return f"{total}{gap}{units[0]}"
    if total < 3600:
        return f"{total // 60}{gap}{units[1]}"
    big, small, size = (3, 2, 86_400) if total >= 86_400 else (2, 1, 3600)
    rest = total % size // (3600 if big == 3 else 60)
    return f"{total // size}{gap}{units[big]}" + (f"{gap}{rest}{gap}{units[small]}" if rest else "")


def stamp(now: float) -> str:
    """The host's local time for a subject or a log."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(now))
