"""The short way for requests that come again, octet by octet: it answers what aiohttp's way answers, or is not taken.

If this fails, Prometheus gets another target's page, a page after the configuration said no, or none at all.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from exporter_lab import COMMUNITY, Running, exporter, free_port, parse, switch, v2c_config

SUCCESS = ("snmp_module_success", frozenset({("module", "if_mib")}))


class Client:
    """A connection that sends just the octets it is told, and reads answers one by one."""

    def __init__(self, running: Running) -> None:
        parts = urlsplit(running.base)
        self.socket = socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=15)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)
            time.sleep(0.05)

    def read(self) -> HTTPResponse:
        """An answer, its body read. `HTTPResponse` buffers, so two answers in one segment need `both`."""
        answer = HTTPResponse(self.socket)
        answer.begin()
        answer.body = answer.read()  # type: ignore[attr-defined]
        return answer

    def raw(self, seconds: float = 2.0) -> bytes:
        """All octets that come until it is quiet for so long, or the other end closes."""
        self.socket.settimeout(seconds)
        found = b""
        try:
            while piece := self.socket.recv(1 << 20):
                found += piece
        except TimeoutError:
            pass
        return found


def words(target: str, *headers: str) -> bytes:
    """A request as Prometheus writes it."""
    lines = [
        f"GET /snmp?target={target} HTTP/1.1",
        "Host: exporter",
        "X-Prometheus-Scrape-Timeout-Seconds: 5",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def short(answer: HTTPResponse) -> bool:
    """Whether the short way was taken: aiohttp says its name."""
    return answer.getheader("Server") is None


def page(answer: HTTPResponse) -> dict[object, float]:
    """The series of an answer."""
    return parse(answer.body.decode()).series  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with switch(tmp_path_factory.mktemp("switch")) as target:
        yield target


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with switch(tmp_path_factory.mktemp("other"), "--ports", "4") as target:
        yield target


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with exporter(tmp_path_factory.mktemp("ours"), v2c_config(public_v2=COMMUNITY)) as running:
        yield running


def test_the_second_time_is_short_and_says_the_same(ours: Running, device: str) -> None:
    """On the same connection and on a new one; headers that matter are the same."""
    request = words(device)
    client = Client(ours)
    client.send(request)
    first = client.read()
    client.send(request)
    second = client.read()
    assert not short(first) and short(second)
    assert (first.status, second.status) == (200, 200)
    for header in ("Content-Type", "Content-Encoding"):
        assert first.getheader(header) == second.getheader(header)
    assert second.getheader("Date") and set(page(first)) == set(page(second)) and page(second)[SUCCESS] == 1
    fresh = Client(ours)
    fresh.send(request)
    assert short(fresh.read())


def test_two_targets_are_not_mixed_up(ours: Running, device: str, other: str) -> None:
    client = Client(ours)
    ports = []
    for target in (device, other, device, other, other, device):
        client.send(words(target))
        answer = client.read()
        ports.append(sum(key[0] == "ifHCInOctets" for key in page(answer)))  # type: ignore[index]
    assert ports == [48, 4, 48, 4, 4, 48]


def test_requests_in_a_row_are_answered_in_order(ours: Running, device: str, other: str) -> None:
    """Known and unknown ones sent before any answer came, in one piece or in several."""
    known, fresh = words(device), words(other, f"X-Nobody-Sent: {time.monotonic()}")
    warm = Client(ours)
    warm.send(known)
    warm.read()
    for pieces in ([known + fresh + known], [known, fresh, known], [fresh, known], [known, known[:40], known[40:]]):
        client = Client(ours)
        client.send(*pieces)
        found = client.raw()
        wanted = [48 if piece == known else 4 for piece in _requests(b"".join(pieces))]
        heads = found.split(b"HTTP/1.1 ")[1:]
        assert [one.count(b"ifHCInOctets{") for one in heads] == wanted
        assert all(one.startswith(b"200 OK") for one in heads)


def _requests(data: bytes) -> list[bytes]:
    return [one + b"\r\n\r\n" for one in data.split(b"\r\n\r\n") if one]


def test_a_known_request_inside_another_is_not_taken_for_one(ours: Running, device: str) -> None:
    """The first half of a request, or a body, and then octets that would be a request if they stood alone."""
    known = words(device)
    warm = Client(ours)
    warm.send(known)
    assert warm.read().status == 200
    half = Client(ours)
    half.send(b"GET /-/healthy HTTP/1.1\r\nX-Half: ", known)
    answers = half.raw(1.0).split(b"HTTP/1.1 ")[1:]
    assert len(answers) == 1 and b"ifHCInOctets" not in answers[0]
    body = Client(ours)
    body.send(b"POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(known), known)
    answers = body.raw(1.0).split(b"HTTP/1.1 ")[1:]
    assert len(answers) == 1 and b"ifHCInOctets" not in answers[0]


@pytest.mark.parametrize("header", ["Connection: close", "Content-Length: 0", "Expect: 100-continue", "Upgrade: h2c"])
def test_what_is_more_than_a_question_is_never_remembered(ours: Running, device: str, header: str) -> None:
    request = words(device, header)
    for _ in range(2):
        client = Client(ours)
        client.send(request)
        assert b"Server: " in client.raw(1.0)


def test_a_dead_target_is_an_error_each_time(ours: Running) -> None:
    request = words(f"127.0.0.1:{free_port()}")
    client = Client(ours)
    for number in range(3):
        client.send(request)
        answer = client.read()
        assert answer.status == 500 and short(answer) == (number > 0)
        assert b"has no agent on that port" in answer.body  # type: ignore[attr-defined]


def test_a_reload_forgets_what_words_meant(tmp_path: Path, device: str) -> None:
    """A name of credentials that is gone is refused, although the same words were good before."""
    with exporter(tmp_path, v2c_config(public_v2=COMMUNITY, extra=COMMUNITY)) as running:
        client, request = Client(running), words(f"{device}&auth=extra")
        for _ in range(2):
            client.send(request)
            assert client.read().status == 200
        running.config.write_text(v2c_config(public_v2=COMMUNITY))
        running.child.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while "reloaded" not in running.output.read_text() and time.monotonic() < end:
            time.sleep(0.05)
        client.send(request)
        answer = client.read()
        assert answer.status == 400 and b"Unknown auth" in answer.body  # type: ignore[attr-defined]


def test_who_must_show_a_password_shows_it_every_time(tmp_path: Path, device: str) -> None:
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users:\n  noc: $2b$04$B9sGwzxGUOYEDXJ7kWJ5RedPx05RRYwRQyrzkYfFhDcXdAiUHrOxm\n")
    with exporter(tmp_path, v2c_config(public_v2=COMMUNITY), "--web-config", str(web)) as running:
        client = Client(running)
        for _ in range(3):
            client.send(words(device))
            answer = client.read()
            assert answer.status == 401 and not short(answer)


def test_who_goes_away_and_who_never_reads_harms_nobody(ours: Running, device: str) -> None:
    request = words(device)
    for _ in range(3):
        gone = Client(ours)
        gone.send(request)
        gone.socket.close()
    deaf = Client(ours)
    deaf.socket.settimeout(3)
    try:
        for _ in range(400):
            deaf.socket.sendall(request)
    except TimeoutError:
        pass  # it is not read from any more: good
    client = Client(ours)
    client.send(request)
    assert client.read().status == 200


def test_what_is_under_way_ends_before_the_exporter_does(tmp_path: Path) -> None:
    """SIGTERM while a known request waits for a silent device."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        request = words(f"127.0.0.1:{hole.getsockname()[1]}").replace(b"Seconds: 5", b"Seconds: 2")
        with exporter(tmp_path, v2c_config(public_v2=COMMUNITY)) as running:
            client = Client(running)
            client.send(request)
            assert client.read().status == 500
            client.send(request)
            running.child.send_signal(signal.SIGTERM)
            answer = client.read()
            assert answer.status == 500 and short(answer)
            assert running.child.wait(10) == 0
