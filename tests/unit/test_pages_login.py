"""The login of our own pages: who is let in, who has to wait, and what is written down about it.

If this fails, a wall that the whole office can reach shows the network to whom it should not, or lets guesses go on.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egov_exporters.snmp import web_config
from egovctl.errors import UsageError
from egovctl.i18n import both
from egovctl.web.login import FORGOTTEN, FREE, LONGEST, REMEMBERED, Login, Patience, read_login

RIGHT = "right-canary"
# Cheap ones: the cost is what read_login asks for, not what is compared here.
USERS = {name: bcrypt.hashpw(RIGHT.encode(), b"$2b$04$Tuti4A8465VTlcEdcInCOO") for name in ("wall", "duty")}
STRONG = bcrypt.hashpw(RIGHT.encode(), b"$2b$10$Tuti4A8465VTlcEdcInCOO").decode()
DESK, SCREEN = "10.1.2.3", "10.1.2.4"


class Clock:
    """A clock that goes on when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def door() -> tuple[Clock, list[str], Callable[..., int]]:
    """A clock, what was written down, and a way to knock: the status, 200 for who is let in."""
    clock, said = Clock(), []
    login = Login(USERS, said.append, Patience(clock))

    def knock(user: str, password: str = "wrong", address: str = DESK) -> int:
        answer = asyncio.run(login.refused(header(user, password), address))
        return 200 if answer is None else answer.status

    return clock, said, knock


def test_only_the_right_password_of_a_user_is_let_in() -> None:
    _, said, knock = door()
    assert [knock("wall", RIGHT), knock("duty", RIGHT), knock("wall", RIGHT + "x"), knock("nobody", RIGHT)] == [
        200, 200, 401, 401,
    ]  # fmt: skip
    assert len(said) == 2


@pytest.mark.parametrize("text", ["", "Basic", "Basic !!!", "Basic d2FsbA==", "Bearer abc", "Basic " + "A" * 9000])
def test_no_password_is_asked_for_and_not_counted(text: str) -> None:
    said: list[str] = []
    login = Login(USERS, said.append)
    for _ in range(3 * FREE):
        answer = asyncio.run(login.refused(text, DESK))
        assert answer is not None and answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert said == []


def test_wrong_passwords_make_wait_and_the_right_one_waits_as_well() -> None:
    clock, said, knock = door()
    assert [knock("wall") for _ in range(FREE)] == [401] * FREE
    assert knock("wall", RIGHT) == 429  # otherwise guessing went on behind the wait
    clock.now += 1.01
    assert knock("wall") == 401
    clock.now += 1.01
    assert knock("wall") == 429  # now it is two seconds
    clock.now += 1.01
    assert knock("wall", RIGHT) == 200
    assert len(said) == FREE + 1


def test_who_guesses_does_not_keep_others_out() -> None:
    _, _, knock = door()
    for _ in range(3 * FREE):
        knock("wall", address=DESK)
    assert knock("wall", RIGHT, DESK) == 429
    assert knock("wall", RIGHT, SCREEN) == 200 and knock("duty", RIGHT, DESK) == 200


def test_a_name_that_is_nobodys_is_treated_as_any() -> None:
    """Else the wait would tell which users there are."""
    _, _, knock = door()
    assert [knock("wall") for _ in range(FREE + 2)] == [knock("nobody") for _ in range(FREE + 2)]


def test_a_name_that_is_nobodys_costs_a_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    monkeypatch.setattr(web_config, "_same", lambda password, wanted: bool(compared.append(wanted)))
    _, _, knock = door()
    assert knock("nobody") == 401 and knock("wall") == 401 and len(compared) == 2


def test_guesses_sent_at_the_same_time_count_as_well() -> None:
    clock = Clock()
    said: list[str] = []

    async def flood() -> list[int]:
        login = Login(USERS, said.append, Patience(clock))
        answers = await asyncio.gather(*(login.refused(header("wall", f"guess{n}"), DESK) for n in range(40)))
        return [answer.status for answer in answers if answer is not None]

    statuses = asyncio.run(flood())
    assert statuses.count(401) == FREE == len(said) and set(statuses) == {401, 429, 503} and len(statuses) == 40


def test_one_network_of_ipv6_is_one_caller() -> None:
    _, _, knock = door()
    for number in range(FREE):
        knock("wall", address=f"2001:db8::{number + 1:x}")
    assert knock("wall", RIGHT, "2001:db8::ffff") == 429 and knock("wall", RIGHT, "2001:db8:0:1::1") == 200


def test_what_is_written_down_names_users_only() -> None:
    _, said, knock = door()
    for _ in range(FREE):
        knock("wall")
    knock("my-password-by-mistake")
    first, last = both(ValueError(said[0])), both(ValueError(said[FREE - 1]))
    assert first["en"] == f"login refused: {DESK}, user wall, number 1 in a row" and "第 1 次" in first["zh"]
    assert last["en"].endswith("not heard for 1 s") and last["zh"].endswith("1 秒内不再受理")
    assert both(ValueError(said[-1]))["en"] == f"login refused: {DESK}, an unknown user, number 1 in a row"
    assert not any("mistake" in text or "wrong" in text for text in said)


@given(st.lists(st.integers(min_value=0, max_value=120), max_size=40))
def test_waits_grow_are_bounded_and_end(pauses: list[int]) -> None:
    clock = Clock()
    patience, who = Patience(clock), (DESK, "wall")
    for number, pause in enumerate(pauses, 1):
        assert patience.wrong(who) == number
        wait = patience.wait(who)
        assert (wait > 0) == (number >= FREE) and wait <= LONGEST
        clock.now += pause
        assert patience.wait(who) == max(0.0, wait - pause)
    clock.now += FORGOTTEN
    assert patience.wait(who) == 0 and patience.wrong(who) == 1


def test_what_is_remembered_is_bounded() -> None:
    patience = Patience(Clock())
    for number in range(2 * REMEMBERED):
        patience.wrong((DESK, str(number)))
    assert len(patience._seen) == REMEMBERED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no basic_auth_users"),
        ("basic_auth_users: {}", "has no basic_auth_users"),
        ("basic_auth_users: {wall: secret-canary}", "a bcrypt hash"),
        (f"basic_auth_users: {{wall: {USERS['wall'].decode()}}}", "at least 10"),
        (f"basic_auth_users: {{a: {STRONG}, b: {STRONG.replace('$10$', '$11$')}}}", "one cost"),
        (f"basic_auth_users: {{a: {STRONG}}}\nusers: x", "`users` is not supported"),
        (f"basic_auth_users: {{a: {STRONG}}}\ntls_server_config: {{cert_file: a, key_file: b}}", "cannot be read"),
    ],
)
def test_a_login_that_protects_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "web.yml").write_text(text)
    with pytest.raises(UsageError) as error:
        read_login(tmp_path / "web.yml")
    told = both(error.value)
    assert said in told["en"] and "canary" not in told["en"] + told["zh"] and told["zh"] != told["en"]


def test_a_login_that_is_good_is_taken(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{wall: {STRONG}}}")
    assert list(read_login(tmp_path / "web.yml").users) == ["wall"]
