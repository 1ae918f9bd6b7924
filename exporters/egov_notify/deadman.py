"""On the backup node: whether the NOC still gives a sign of life, asked every minute; if not, people are told of it.

The Watchdog is an alert that always fires: it comes to the notifier every five minutes, by the same way as all others.
When the last one is older than a quarter of an hour, or nobody answers that long, alerting has stopped.
"""

from __future__ import annotations

import json
import logging
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egov_notify import texts, ways
from egov_notify.config import Config
from egov_notify.lanes import Lanes, give_up, too_old
from egov_notify.state import Incident, State, Words, add_message
from egov_notify.store import Store
from egov_notify.ways import Refused, Trouble

log = logging.getLogger("egov_notify")
SILENCE = 900.0
KEY = "watchdog"


@dataclass(frozen=True)
class Watch:
    """What to ask. `silence`: seconds without a sign of life until people are told."""

    url: str
    silence: float = SILENCE


def ask(watch: Watch) -> float | None:
    """How long ago the NOC's notifier heard the Watchdog, by its own clock; None when it says nothing."""
    try:
        with ways.OPENER.open(watch.url, timeout=ways.TIMEOUT) as answer:
            data: dict[str, Any] = json.loads(answer.read(ways.LONGEST_ANSWER))
            heard, there = float(data["watchdog"]), float(data["now"])
    except (OSError, ValueError, KeyError, TypeError, urllib.error.URLError):
        return None
    return max(0.0, there - heard) if heard > 0 else None


def judge(state: State, config: Config, age: float | None, silence: float, now: float) -> None:
    """Take one look into the state: `state.watchdog` is when the last Watchdog was heard, as far as is known here."""
    if age is not None:
        state.watchdog = max(state.watchdog, now - age)
    elif state.watchdog == 0.0:
        state.watchdog = now  # the first look finds nothing: from here it has its quarter of an hour
    quiet = now - state.watchdog
    told = KEY in state.incidents
    if quiet > silence and not told:
        state.incidents[KEY] = Incident(now, now, now, "critical", {}, [], [])
        for recipient in config.told_of("", "critical", now):
            _say(state, config, recipient.name, "silent", round(quiet / 60), now)
            state.incidents[KEY].told += [[recipient.name, way] for way in recipient.ways]
    elif quiet <= silence and told:
        names = dict.fromkeys(name for name, _ in state.incidents.pop(KEY).told)
        for name in names:
            _say(state, config, name, "heard", 0, now)


def _say(state: State, config: Config, name: str, what: str, minutes: int, now: float) -> None:
    recipient = config.recipient(name)
    if recipient is None:
        return
    words = texts.WORDS[recipient.language]
    line = words[what].format(minutes=minutes)
    kind = "open" if what == "silent" else "end"
    body = f"{line}\n\n{words['advice'] if what == 'silent' else texts.stamp(now)}\n"
    city = config.city[recipient.language]
    said = Words(kind, KEY, f"[{city}] {line}", body, texts.cut(line, config.sms_room), line)
    for way in recipient.ways:
        add_message(state, recipient, way, said, now)


def deliver(state: State, store: Store, config: Config) -> None:
    """One attempt for each message that waits; what fails stays for the next minute."""
    for way in ways.WAYS:
        lanes = Lanes()
        while (found := lanes.next(state, config, way, time.time())[0]) is not None:
            recipient = config.recipient(found.message.recipient)
            try:
                if recipient is None:
                    raise Refused("the recipient is no longer planned")
                ways.send(config, recipient, found.message, time.time())
            except Refused as why:
                store.bury(give_up(state, found.covers), str(why))
                log.error("given up: %s to %s: %s", way, found.message.recipient, why)
            except Trouble as why:
                lanes.failed(found, time.time())
                log.error("%s to %s failed, again in a minute: %s", way, found.message.recipient, why)
                store.bury(give_up(state, [i for i in too_old(state, way, time.time()) if i in found.covers]), str(why))
            else:
                lanes.went(state, found, time.time())
                log.warning("sent %s to %s: %s", way, found.message.recipient, found.message.what)
            store.save(state)


def look(config: Config, watch: Watch, store: Store, metrics: Path | None) -> bool:
    """One look, and what follows from it; returns whether the NOC is alive. Raises OSError when nothing can be kept."""
    state = store.load()
    age = ask(watch)
    judge(state, config, age, watch.silence, time.time())
    store.save(state)
    quiet = time.time() - state.watchdog
    alive = KEY not in state.incidents
    if not alive:
        log.error("no sign of life of the NOC for %.0f s", quiet)
    deliver(state, store, config)
    if metrics is not None:
        _write(metrics, quiet, len(state.waiting))
    return alive


def _write(folder: Path, quiet: float, waiting: int) -> None:
    lines = [
        "# HELP egov_deadman_quiet_seconds How old the NOC's last sign of life is, as seen from the backup node",
        "# TYPE egov_deadman_quiet_seconds gauge",
        f"egov_deadman_quiet_seconds {quiet:.0f}",
        "# HELP egov_deadman_waiting Messages of the dead-man that nobody took yet",
        "# TYPE egov_deadman_waiting gauge",
        f"egov_deadman_waiting {waiting}",
        "# HELP egov_deadman_look_timestamp_seconds When the backup node last looked",
        "# TYPE egov_deadman_look_timestamp_seconds gauge",
        f"egov_deadman_look_timestamp_seconds {time.time():.0f}",
    ]
    beside = folder / "egov_deadman.prom.new"
    beside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    beside.chmod(0o644)
    beside.replace(folder / "egov_deadman.prom")
