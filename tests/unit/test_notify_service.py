"""The service as a process: what it was told is on disk before it answers, and arrives once through kills and outages.

If these fail, an alert is lost while the NOC restarts or the gateway is down, or people are told twice.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from notify_peers import CITY, Gateway, Relay, alert, gateway, person, posted, relay, until
from ports import free_port

from egov_notify import deadman, service
from egov_notify.config import read_config
from egov_notify.deadman import Watch
from egov_notify.state import State
from egov_notify.store import STATE, Store

PROGRAM = Path(__file__).resolve().parents[2] / "exporters"
SECRET = "do-not-show-me"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The program as it lies on a host, and a place for its state."""
    (tmp_path / "notify").mkdir()
    (tmp_path / "notify/egov_notify").symlink_to(PROGRAM / "egov_notify")
    (tmp_path / "notify/__main__.py").symlink_to(PROGRAM / "egov_notify/__main__.py")
    (tmp_path / "state").mkdir()
    return tmp_path


def configure(folder: Path, mail: int, sms: str) -> dict[str, Any]:
    data = {
        "city": CITY,
        "recipients": [person("duty"), person("on-call", language="en", ways=["sms"], severities=["critical"])],
        "mail": {"host": "127.0.0.1", "port": mail, "tls": "none", "sender": "noc@example.org"},
        "sms": [{"kind": "http", "url": sms, "secret": SECRET,
                 "fields": {"to": "{mobile}", "text": "{text}", "id": "{id}"},
                 "sign": {"field": "sign", "algorithm": "md5", "tail": "{secret}", "encoding": "hex"}}],
    }  # fmt: skip
    (folder / "notify.json").write_text(json.dumps(data), encoding="utf-8")
    return data


class Running:
    """egov-notify serve, alone (-I, as its unit starts it)."""

    def __init__(self, folder: Path) -> None:
        self.url, watch = f"http://127.0.0.1:{free_port()}", free_port()
        self.watch = f"http://127.0.0.1:{watch}"
        command = [sys.executable, "-I", "-B", folder / "notify", "serve", "--config", folder / "notify.json"]
        command += ["--state", folder / "state", "--listen", self.url[7:], "--watch", f"127.0.0.1:{watch}"]
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(item) for item in command], stdout=log, stderr=log)
        until(lambda: self.answers(), "it should listen")

    def answers(self) -> bool:
        try:
            return bool(self.metrics())
        except OSError:
            return False

    def metrics(self) -> str:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        return float(re.findall(rf"^{re.escape(name)} (\S+)$", self.metrics(), re.M)[0])

    def post(self, data: Any, path: str = "/alerts") -> int:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, body), timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as why:
            why.close()
            return why.code

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    one = Running(folder)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


@pytest.fixture
def peers() -> Iterator[tuple[Relay, Gateway]]:
    with relay() as mail, gateway() as sms:
        yield mail, sms


def over(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "status": "resolved"}


def test_one_mail_and_one_text_message_through_restarts_and_one_each_at_the_end(
    folder: Path, peers: tuple[Relay, Gateway]
) -> None:
    mail, sms = peers
    configure(folder, mail.port, sms.url)
    with running(folder) as one:
        assert one.post(posted(alert())) == 200
        until(lambda: len(mail.letters) == 1 and len(sms.requests) == 1, "both arrive")
        assert one.end() == 0
    with running(folder) as one:
        assert one.post(posted(alert())) == 200  # Alertmanager says it again after a restart
        assert one.metric("egov_notify_incidents") == 1
        one.end(signal.SIGKILL)
    with running(folder) as one:
        assert one.post(posted(over(alert()))) == 200
        until(lambda: len(mail.letters) == 2 and len(sms.requests) == 2, "both hear the end")
        until(lambda: one.metric('egov_notify_waiting{way="sms"}') == 0, "nothing waits")
        assert one.metric("egov_notify_incidents") == 0 and one.metric('egov_notify_sent_total{way="mail"}') == 1
        assert one.end() == 0
    assert [letter["Subject"][5:8] for _, _, letter in mail.letters] == ["告警：", "恢复："]
    assert [request[1]["text"].split(":")[0] for request in sms.requests] == ["ALERT", "OVER"]
    assert SECRET not in (folder / "log").read_text() + (folder / "state" / STATE).read_text()


def test_nothing_is_lost_while_the_gateway_is_down_and_the_service_is_killed(
    folder: Path, peers: tuple[Relay, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    mail, sms = peers
    configure(folder, mail.port, sms.url)
    sms.status = 503
    with running(folder) as one:
        one.post(posted(alert()))
        until(lambda: one.metric('egov_notify_failed_total{way="sms"}') >= 1, "the gateway refuses")
        one.post(posted(over(alert())))
        until(lambda: len(mail.letters) == 2, "mail goes its own way meanwhile")
        assert one.metric('egov_notify_waiting{way="sms"}') == 2
        one.end(signal.SIGKILL)
    sms.status = 200
    with running(folder) as one:
        until(lambda: len(sms.requests) == 2, "what waited arrives, in its order")
        until(lambda: one.metric('egov_notify_oldest_waiting_seconds{way="sms"}') == 0, "nothing waits")
    assert [request[1]["text"].split(":")[0] for request in sms.requests] == ["ALERT", "OVER"]
    assert len({request[1]["id"] for request in sms.requests}) == 2


def test_what_cannot_be_kept_is_not_answered_as_kept(folder: Path, peers: tuple[Relay, Gateway]) -> None:
    mail, sms = peers
    data = configure(folder, mail.port, sms.url)
    one = service.Service(read_config(data), Store(folder / "gone"))
    with pytest.raises(OSError):
        one.take(posted(alert()))
    assert one.state == State(), "nothing of it was taken, so Alertmanager's second attempt is no repetition"


def test_nonsense_is_refused_and_the_service_goes_on(folder: Path, peers: tuple[Relay, Gateway]) -> None:
    mail, sms = peers
    configure(folder, mail.port, sms.url)
    with running(folder) as one:
        assert one.post(b"{") == 400 and one.post([]) == 400 and one.post({"receiver": "x"}) == 400
        assert one.post(posted(alert()), "/elsewhere") == 404
        assert one.post(posted(alert("Watchdog"), receiver="watchdog")) == 200
        with urllib.request.urlopen(f"{one.watch}/watchdog", timeout=5) as answer:
            heard = json.load(answer)
        assert 0 <= heard["now"] - heard["watchdog"] < 10
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{one.watch}/metrics", timeout=5)
        assert one.metric("egov_notify_incidents") == 0


def test_a_bad_configuration_is_one_sentence(folder: Path) -> None:
    for text in ("{", "{}", '{"city": 1, "recipients": 2}'):
        (folder / "notify.json").write_text(text)
        command = [sys.executable, "-I", folder / "notify", "check", "--config", folder / "notify.json"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


NOW = 1_800_000_000.0


def looked(ages: list[float | None], every: float = 60) -> tuple[State, list[str]]:
    """The state after these looks, a minute apart, and what was said."""
    people, state = read_config({"city": CITY, "recipients": [person()]}), State()
    for number, age in enumerate(ages):
        deadman.judge(state, people, age, 900, NOW + number * every)
    return state, [item.subject for item in state.waiting]


def test_the_dead_man_speaks_after_a_quarter_of_an_hour_once_and_once_when_it_is_over() -> None:
    assert looked([10.0, *[None] * 14])[1] == []
    said = looked([10.0, *[None] * 40])[1]
    assert len(said) == 1 and said[0].startswith("[某市] 监测中断：15 分钟未收到")
    assert [text[5:9] for text in looked([10.0, *[None] * 40, 20.0, 30.0])[1]] == ["监测中断", "监测恢复"]


def test_a_notifier_that_answers_but_hears_nothing_is_as_dead() -> None:
    ages: list[float | None] = [60.0 * minute for minute in range(40)]
    assert len(looked(ages)[1]) == 1


def test_a_sign_of_life_every_five_minutes_is_enough_and_a_fresh_node_waits() -> None:
    alive: list[float | None] = [float(60 * minute % 300) for minute in range(90)]
    assert looked(alive)[1] == []
    assert looked([None] * 15)[1] == [] and len(looked([None] * 17)[1]) == 1


def test_the_dead_man_asks_tells_past_the_noc_and_leaves_a_metric(
    folder: Path, peers: tuple[Relay, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    mail, sms = peers
    config = read_config(configure(folder, mail.port, sms.url))
    store, clock = Store(folder / "state"), [time.time()]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    with gateway() as noc:
        noc.answer = {"watchdog": clock[0] - 30, "now": clock[0]}
        watch = Watch(noc.url + "/watchdog", 900)
        assert deadman.look(config, watch, store, folder)
        assert "egov_deadman_quiet_seconds 30" in (folder / "egov_deadman.prom").read_text()
        noc.status = 500
        clock[0] += 901
        sms.status = 503
        assert not deadman.look(config, watch, store, folder)
        assert len(mail.letters) == 1 and sms.requests == []
        sms.status, clock[0] = 200, clock[0] + 60
        assert not deadman.look(config, watch, store, folder)
        assert len(mail.letters) == 1 and len(sms.requests) == 1, "once, and the gateway is tried again"
        noc.status, noc.answer = 200, {"watchdog": clock[0], "now": clock[0]}
        assert deadman.look(config, watch, store, folder)
        assert len(mail.letters) == 2 and len(sms.requests) == 2
    assert "No sign of life" in sms.requests[0][1]["text"]


@pytest.mark.parametrize("answer", [{}, {"watchdog": 0, "now": NOW}, {"watchdog": "x", "now": 1}, {"watchdog": None}])
def test_an_answer_without_a_sign_of_life_is_none(answer: dict[str, Any]) -> None:
    with gateway() as noc:
        noc.answer = answer
        assert deadman.ask(Watch(noc.url)) is None


def test_every_metric_has_its_help_and_a_value(folder: Path, peers: tuple[Relay, Gateway]) -> None:
    mail, sms = peers
    configure(folder, mail.port, sms.url)
    with running(folder) as one:
        text = one.metrics()
    names = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    assert names == {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
