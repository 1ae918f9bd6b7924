"""Targets, queries and deadlines of the HTTP side."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict

from egov_exporters.snmp.config import Auth, Config
from egov_exporters.snmp.profiles import load_profiles
from egov_exporters.snmp.targets import BadTarget, Target, parse_target
from egov_exporters.snmp.web import BadRequest, budget, parse_query

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

AUTHS = {"public_v2": Auth("public_v2"), "lab": Auth("lab")}


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("192.0.2.1", Target("192.0.2.1", 161)),
        ("192.0.2.1:1161", Target("192.0.2.1", 1161)),
        ("switch-1.example.net:161", Target("switch-1.example.net", 161)),
        ("2001:db8::1", Target("2001:db8::1", 161)),
        ("[2001:db8::1]", Target("2001:db8::1", 161)),
        ("[2001:db8::1]:1161", Target("2001:db8::1", 1161)),
        ("[fe80::1%eth0]:161", Target("fe80::1%eth0", 161)),
        ("udp://192.0.2.1:161", Target("192.0.2.1", 161)),
    ],
)
def test_targets(text: str, target: Target) -> None:
    """All forms, and back."""
    assert parse_target(text) == target
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    "text",
    [
        "tcp://h",
        "http://h/",
        "h:",
        "h:0",
        "h:65536",
        "h:x",
        "h:1:2",
        "[::1",
        "[::1]161",
        "[h]:1",
        "a b",
        "-h",
        "h/x",
        "h\n",
        "h:161\n",
        "x" * 301,
        "é.example",
        "[]:1",
        "fe80::1%x\nforged log line",
        "[fe80::1%a b]:161",
        ":161",
        "h:+161",
        "h:١٦١",
    ],
)
def test_bad_targets(text: str) -> None:
    """Refused with a sentence."""
    with pytest.raises(BadTarget, match="'target'"):
        parse_target(text)


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    """No other outcome; what is accepted has a port."""
    with contextlib.suppress(BadTarget):
        assert 1 <= parse_target(text).port <= 65_535


def test_query_defaults_are_snmp_exporters() -> None:
    """auth public_v2, module if_mib; modules by comma or repeated, each once."""
    query = parse_query(MultiDict({"target": "h"}), Config(AUTHS), load_profiles())
    assert (query.auth.name, [profile.name for profile in query.profiles]) == ("public_v2", ["if_mib"])
    more = MultiDict([("target", "h"), ("auth", "lab"), ("module", "if_mib,if_mib,"), ("module", "if_mib")])
    query = parse_query(more, Config(AUTHS), load_profiles())
    assert (query.auth.name, len(query.profiles)) == ("lab", 1)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ([], "'target' parameter must be specified once"),
        ([("target", "")], "'target' parameter must be specified once"),
        ([("target", "a"), ("target", "b")], "'target' parameter must be specified once"),
        ([("target", "a"), ("auth", "lab"), ("auth", "lab")], "'auth' parameter must only be specified once"),
        ([("target", "a"), ("auth", "none")], "Unknown auth 'none'"),
        ([("target", "a"), ("module", "none")], "Unknown module 'none'"),
        ([("target", "a"), ("module", ",")], "at least one module"),
        ([("target", "a:b")], "no valid port"),
    ],
)
def test_bad_queries(params: list[tuple[str, str]], words: str) -> None:
    """Each with its sentence."""
    with pytest.raises(BadRequest, match=words):
        parse_query(MultiDict(params), Config(AUTHS), load_profiles())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("10", 9.5),
        ("1", 0.8),
        ("0.5", 0.4),
        ("1000", 120),
        (None, 19.5),
        ("", 19.5),
        ("x", 19.5),
        ("nan", 19.5),
        ("-1", 19.5),
        ("inf", 19.5),
    ],
)
def test_budget(header: str | None, seconds: float) -> None:
    """A little less than Prometheus waits; nonsense counts as no header."""
    assert budget(header) == pytest.approx(seconds)
