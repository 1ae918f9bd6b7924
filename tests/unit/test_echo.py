"""Loss and round-trip times by echoes, on a network that is played: some come back late, twice, or from elsewhere.

If these fail, a lossy line looks clean, or somebody else's packets count as answers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egovctl.paths import project_root

PROGRAM = project_root() / "playbooks/roles/echo/files/egov-echo"
HOSTS = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
Answers = Callable[[str, int], list[tuple[float, str]]]


def program() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "egov_echo"}
    exec(compile(PROGRAM.read_text(encoding="utf-8"), str(PROGRAM), "exec"), names)
    return names


ECHO = program()


class Network:
    """A socket and a clock: `answers` says after how many seconds, and from where, copies of an echo come back."""

    def __init__(self, answers: Answers) -> None:
        self.answers, self.now, self.left = answers, 100.0, 0.0
        self.coming: list[tuple[float, bytes, str]] = []
        self.turns: dict[str, int] = {}

    def clock(self) -> float:
        return self.now

    def settimeout(self, seconds: float) -> None:
        self.left = seconds

    def sendto(self, packet: bytes, to: tuple[str, int]) -> None:
        assert ECHO["checksum"](packet) == 0, "a host would throw this echo away"
        turn = self.turns.get(to[0], 0)
        self.turns[to[0]] = turn + 1
        ip = b"\x45" + bytes(19)
        for after, source in self.answers(to[0], turn):
            self.coming.append((self.now + after, ip + b"\0" + packet[1:], source))
        self.coming.append((self.now, ip + packet, to[0]))  # a raw socket hears requests too
        self.coming.sort()

    def recvfrom(self, _: int) -> tuple[bytes, tuple[str, int]]:
        if not self.coming or self.coming[0][0] > self.now + self.left:
            self.now += self.left
            raise TimeoutError
        at, packet, source = self.coming.pop(0)
        self.now = max(self.now, at)
        return packet, (source, 0)


def times(answers: Answers, rounds: int = 10) -> list[list[float]]:
    network = Network(answers)
    found: list[list[float]] = ECHO["measured"](network, HOSTS, rounds, network.clock)
    assert network.now - 100 == pytest.approx(rounds - 1 / 3 + 2, abs=0.5)
    return found


def test_what_comes_back_is_counted_with_its_time() -> None:
    found = times(lambda to, turn: [(0.02, to)] if to != HOSTS[1] or turn % 2 else [])
    assert [len(one) for one in found] == [10, 5, 10]
    assert all(one == pytest.approx(0.02) for all_ in found for one in all_)


def test_twice_is_once_too_late_is_lost_and_from_elsewhere_is_no_answer() -> None:
    strange: dict[str, Answers] = {
        HOSTS[0]: lambda to, turn: [(0.01, to), (0.5, to)],
        HOSTS[1]: lambda to, turn: [(60.0, to)],
        HOSTS[2]: lambda to, turn: [(0.01, "192.0.2.66")],
    }
    assert [len(one) for one in times(lambda to, turn: strange[to](to, turn))] == [10, 0, 0]


def test_a_host_without_a_way_is_lost_and_the_others_are_measured() -> None:
    def answers(to: str, turn: int) -> list[tuple[float, str]]:
        if to == HOSTS[0]:
            raise OSError("Network is unreachable")
        return [(0.01, to)]

    assert [len(one) for one in times(answers)] == [0, 10, 10]


def test_the_text_says_loss_of_all_and_times_of_those_that_answered() -> None:
    lines = ECHO["text_of"](["a", "b"], [[0.01, 0.03, 0.02], []], 4, 1000.5).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'egov_echo_lost_ratio{to="a"} 0.25',
        'egov_echo_lost_ratio{to="b"} 1',
        'egov_echo_seconds{to="a"} 0.020000',
        "egov_echo_timestamp_seconds 1000.500",
    ]


@given(st.binary(max_size=80), st.binary(min_size=16, max_size=16))
def test_any_other_packet_is_none_of_ours(packet: bytes, mark: bytes) -> None:
    assert ECHO["reply"](packet, mark) is None or mark in packet


def test_another_runs_echo_is_none_of_ours() -> None:
    own, other = bytes(16), b"\1" * 16
    packet = b"\x45" + bytes(19) + b"\0" + ECHO["request"](own, 3, 7)[1:]
    assert ECHO["reply"](packet, own) == (3, 7) and ECHO["reply"](packet, other) is None
    assert struct.unpack_from("!B", packet, 20) == (0,)
