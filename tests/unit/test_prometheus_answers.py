"""What Prometheus' answers mean, for all that ask it.

If this fails, a broken answer is taken for data, or ends in a traceback.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egovctl.errors import CannotMeasure
from egovctl.i18n import both
from egovctl.prometheus import alerts_of, data_of, evaluated_each, query, result_of

URL = "http://noc:9090"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


@given(st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_answer_is_said_in_one_sentence(body: bytes) -> None:
    with pytest.raises(CannotMeasure) as error:
        data_of(URL, body, "up")
    assert URL in both(error.value)["en"] and "up" in both(error.value)["zh"]


@given(values)
def test_the_data_of_a_success_is_given_as_it_is(data: object) -> None:
    assert data_of(URL, json.dumps({"status": "success", "data": data}).encode(), "up") == data
    with pytest.raises(CannotMeasure):
        result_of(URL, data, "vector")
    with pytest.raises(CannotMeasure):
        alerts_of(URL, data)


def test_a_refusal_says_why() -> None:
    body = json.dumps({"status": "error", "errorType": "bad_data", "error": "parse error at char 3"}).encode()
    with pytest.raises(CannotMeasure, match=r"refuses 'u p'.*parse error at char 3"):
        data_of(URL, body, "u p")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("global:\n  evaluation_interval: 15s\n", ("15s", 15.0)),
        ("global:\n  evaluation_interval: 1m30s\n", ("1m30s", 90.0)),
        ("global:\n  evaluation_interval: 500ms\n", ("500ms", 0.5)),
        ("global: {}\n", ("1m", 60.0)),
        ("", ("1m", 60.0)),
        ("global:\n  evaluation_interval: soon\n", ("soon", None)),
        ("global: [", ("?", None)),
        ("- 1", ("?", None)),
    ],
)
def test_how_often_rules_are_evaluated(text: str, found: tuple[str, float | None]) -> None:
    assert evaluated_each({"yaml": text}) == found


def test_an_answer_without_a_configuration_tells_prometheus_own_interval() -> None:
    assert evaluated_each(None) == ("1m", 60.0)


@pytest.fixture
def refusing() -> Iterator[str]:
    """A server that refuses with 400 and a reason."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"status":"error","error":"no such thing"}'
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_reason_in_a_refusals_body_is_read(refusing: str) -> None:
    with pytest.raises(CannotMeasure, match=r"refuses 'up'.*no such thing"):
        query(refusing, "up")


def test_who_does_not_answer_is_named() -> None:
    with pytest.raises(CannotMeasure, match="does not answer"):
        query("http://127.0.0.1:1", "up")
