"""What has been told to whom, and what is still to be told: the incidents and the messages that wait. Pure.

An incident is what Alertmanager groups: all that is wrong at one site. It is told once, and once when it ends. Within
it, what joins soon belongs to it; what is worse, or joins late, is told as news, so that a small old fault does not
keep a new one quiet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from egov_notify import texts
from egov_notify.config import Config, Recipient

JOINS = 1800.0  # seconds in which what begins at the same site is part of the same incident
# Alertmanager repeats what still fires every five minutes. What it has not repeated for long is over, though its end
# was never said: a restart of Prometheus and Alertmanager loses it. Only while the Watchdog, which is repeated too,
# shows that alerts flow.
LEASE, GAP = 1200.0, 660.0
FORMAT = 1


@dataclass
class Incident:
    """One that is not over. `seen` are fingerprints of its alerts, `told` pairs of recipient and way."""

    opened: float
    heard: float
    spoken: float
    severity: str
    lead: dict[str, str]
    seen: list[str]
    told: list[list[str]]


@dataclass
class Message:
    """One message to one recipient by one way. `id` is the same in all attempts: a receiver may know it again."""

    id: str
    recipient: str
    way: str
    what: str
    incident: str
    created: float
    subject: str
    body: str
    short: str
    lead: str


@dataclass
class State:
    """All that must outlive a restart. `sent`: for each lane (recipient and way) when something was sent lately.

    `watchdog`: when the Watchdog was heard last; `alive`: since when it has come without a gap.
    """

    incidents: dict[str, Incident] = field(default_factory=dict)
    waiting: list[Message] = field(default_factory=list)
    sent: dict[str, list[float]] = field(default_factory=dict)
    serial: int = 0
    watchdog: float = 0.0
    alive: float = 0.0
    dead: int = 0


def dump(state: State) -> str:
    """The state as JSON."""
    return json.dumps({"format": FORMAT, **asdict(state)}, ensure_ascii=False)


def read(text: str) -> State:
    """What `dump` wrote; ValueError, TypeError or KeyError when it is something else."""
    data = json.loads(text)
    if data.pop("format") != FORMAT:
        raise ValueError("another format")
    data["incidents"] = {key: Incident(**item) for key, item in data["incidents"].items()}
    data["waiting"] = [Message(**item) for item in data["waiting"]]
    return State(**data)


def incident_key(payload: Mapping[str, Any]) -> str:
    """One name an incident: the labels that Alertmanager groups by, whichever route they came by."""
    return json.dumps(dict(sorted(payload.get("groupLabels", {}).items())), ensure_ascii=False)


def hear(state: State, config: Config, payload: Mapping[str, Any], now: float) -> None:
    """Take one of Alertmanager's notifications (its webhook, version 4) into the state.

    Raises KeyError, TypeError, ValueError or AttributeError when it is none; the state is to be thrown away then.
    """
    if payload["receiver"] == "watchdog":
        state.alive = now if now - state.watchdog > GAP else state.alive
        state.watchdog = now
        end_unheard(state, config, now)
        return
    key = incident_key(payload)
    alerts = [alert for alert in payload["alerts"] if alert["status"] == "firing"]
    if payload["status"] == "firing" and alerts:
        _goes_on(state, config, key, alerts, str(payload["groupLabels"].get("county", "")), now)
    elif key in state.incidents:
        _ends(state, config, key, payload["alerts"], now)


def end_unheard(state: State, config: Config, now: float) -> None:
    """End the incidents that are repeated no more while alerts flow; they would keep the next one there quiet."""
    for key in [key for key, item in state.incidents.items() if now - max(item.heard, state.alive) > LEASE]:
        _ends(state, config, key, [], now)


def _goes_on(
    state: State, config: Config, key: str, alerts: Sequence[Mapping[str, Any]], county: str, now: float
) -> None:
    severity, prints = texts.worst(alerts), [str(alert.get("fingerprint", "")) for alert in alerts]
    incident = state.incidents.get(key)
    if incident is None:
        lead = texts.leading(alerts)
        words = {language: texts.summary(lead, language) for language in ("zh", "en")}
        incident = state.incidents[key] = Incident(now, now, now, severity, words, prints, [])
        _tell(state, config, key, "open", alerts, words, config.told_of(county, severity, now), now)
        return
    new = [alert for alert, mark in zip(alerts, prints, strict=True) if mark not in incident.seen]
    worse = texts.SEVERITIES.index(severity) > texts.SEVERITIES.index(incident.severity)
    incident.heard = now
    incident.seen += [mark for mark in prints if mark not in incident.seen]
    if worse or (new and now - incident.spoken > JOINS):
        lead = texts.leading(alerts if worse else new)
        words = {language: texts.summary(lead, language) for language in ("zh", "en")}
        incident.spoken = now
        incident.severity = max(severity, incident.severity, key=texts.SEVERITIES.index)
        incident.lead = words if worse else incident.lead
        _tell(state, config, key, "news", alerts, words, config.told_of(county, severity, now), now)


def _ends(state: State, config: Config, key: str, alerts: Sequence[Mapping[str, Any]], now: float) -> None:
    incident = state.incidents.pop(key)
    names = dict.fromkeys(name for name, _ in incident.told)
    who = [item for name in names if (item := config.recipient(name)) is not None]
    for recipient in who:
        for name, way in incident.told:
            if name == recipient.name and way in recipient.ways:
                lasted = now - incident.opened
                _add(state, config, key, "end", alerts, incident.lead, recipient, way, now, lasted)


def _tell(
    state: State,
    config: Config,
    key: str,
    what: str,
    alerts: Sequence[Mapping[str, Any]],
    words: Mapping[str, str],
    who: Sequence[Recipient],
    now: float,
) -> None:
    told = state.incidents[key].told
    for recipient in who:
        for way in recipient.ways:
            _add(state, config, key, what, alerts, words, recipient, way, now)
            if [recipient.name, way] not in told:
                told.append([recipient.name, way])


def _add(
    state: State,
    config: Config,
    key: str,
    what: str,
    alerts: Sequence[Mapping[str, Any]],
    words: Mapping[str, str],
    recipient: Recipient,
    way: str,
    now: float,
    lasted: float | None = None,
) -> None:
    language, others = recipient.language, max(0, len(alerts) - 1)
    lead = words[language]
    line = texts.short(what, lead, others, language, 200, lasted)
    add_message(
        state,
        recipient,
        way,
        Words(
            what,
            key,
            f"[{config.city[language]}] {line}",
            texts.body(what, alerts, language, lasted),
            texts.short(what, lead, others, language, config.sms_room, lasted),
            lead,
        ),
        now,
    )


@dataclass(frozen=True)
class Words:
    """What a message says, by whatever way it goes."""

    what: str
    incident: str
    subject: str
    body: str
    short: str
    lead: str


def add_message(state: State, recipient: Recipient, way: str, words: Words, now: float) -> None:
    """Put one message at the end of those that wait."""
    state.serial += 1
    said = (words.subject, words.body, words.short, words.lead)
    identity = f"{int(now)}.{state.serial}"
    state.waiting.append(Message(identity, recipient.name, way, words.what, words.incident, now, *said))
