"""The configuration: snmp_exporter's form is taken as it is; each mistake gets file, line, and never a secret."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egov_exporters.snmp.assign import BadMatch, parse_match
from egov_exporters.snmp.config import (
    Auth,
    Config,
    ConfigError,
    NoAuth,
    load_auths,
    load_config,
    parse_auths,
    parse_config,
    select_auth,
)
from egov_exporters.snmp.credentials import Surroundings

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

CANARY = "s3cret-canary"

GOOD = """
auths:
  public_v2:
    version: 2
  numbers:
    community: 12345
  lab_v3:
    version: 3
    username: noc
    security_level: authPriv
    password: "*with: special #characters"
    auth_protocol: SHA256
    priv_protocol: AES
    priv_password: other-password
    context_name: vlan-7
"""


def test_snmp_exporters_form() -> None:
    """Defaults, numbers as text, and all of v3."""
    auths = parse_auths(GOOD.encode(), "exporter.yml")
    assert auths["public_v2"] == Auth("public_v2", community="public")
    assert auths["numbers"].community == "12345"
    assert auths["lab_v3"].password == "*with: special #characters"
    assert (auths["lab_v3"].version, auths["lab_v3"].context_name) == (3, "vlan-7")
    assert "password" not in repr(auths["lab_v3"]) and "12345" not in repr(auths["numbers"])


BAD = {
    "empty": ("", "is empty"),
    "no auths": ("other: 1", ":1: unknown key"),
    "snmp_exporter's modules": ("auths:\n  a: {version: 2}\nmodules: {}", ":3: `modules` come with the exporter"),
    "auths is a list": ("auths: [a]", ":1: `auths` must hold"),
    "auths is empty": ("auths: {}", ":1: `auths` must hold"),
    "an auth is text": (f"auths:\n  a: {CANARY}", ":2: auth `a` must be a mapping"),
    "typo in a key": (
        f"auths:\n  a:\n    comunity: {CANARY}",
        ":3: unknown key in auth `a`; known are version, community",
    ),
    "secret as key": (f"auths:\n  a:\n    {CANARY}: 1", ":3: unknown key in auth `a`"),
    "version 1": ("auths:\n  a:\n    version: 1", ":3: `version` of auth `a` must be 2 or 3"),
    "version text": (f"auths:\n  a:\n    version: {CANARY}", ":3: `version`"),
    "v3 without user": (f"auths:\n  a:\n    version: 3\n    password: {CANARY}", ":2: auth `a` needs `username`"),
    "auth without password": (
        "auths:\n  a: {version: 3, username: u, security_level: authNoPriv}",
        ":2: auth `a` needs `password`",
    ),
    "priv without password": (
        f"auths:\n  a: {{version: 3, username: u, security_level: authPriv, password: {CANARY}}}",
        ":2: auth `a` needs `priv_password`",
    ),
    "unknown level": (
        f"auths:\n  a:\n    security_level: {CANARY}",
        ":3: `security_level` of auth `a` must be one of noAuthNoPriv",
    ),
    "unknown digest": (f"auths:\n  a:\n    auth_protocol: {CANARY}", ":3: `auth_protocol`"),
    "unknown cipher": (f"auths:\n  a:\n    priv_protocol: {CANARY}", ":3: `priv_protocol`"),
    "a list as value": (f"auths:\n  a:\n    community: [{CANARY}]", ":3: `community` of auth `a` must be one value"),
    "null": ("auths:\n  a:\n    community:", ":3: `community` of auth `a` must be one value"),
    "empty community": ("auths:\n  a:\n    community: ''", ":2: auth `a` needs `community`"),
    "key twice": (
        f"auths:\n  a:\n    community: {CANARY}\n    community: {CANARY}",
        ":4: this key comes twice in auth `a`",
    ),
    "an alias by mistake": (f"auths:\n  a:\n    community: *{CANARY}", ":3: is not valid YAML"),
    "a tab": (f"auths:\n\ta: {CANARY}", ":2: is not valid YAML"),
    "an open quote": (f'auths:\n  a:\n    community: "{CANARY}', "is not valid YAML"),
    "a percent sign": (f"auths:\n  a:\n    community: %{CANARY}", ":3: is not valid YAML"),
    "two forms of one secret": (
        f"auths:\n  a:\n    community: {CANARY}\n    community_env: {CANARY}",
        ":4: auth `a` has `community` and `community_env`; give one of them",
    ),
    "a reference that is a list": (
        f"auths:\n  a:\n    password_file: [{CANARY}]",
        ":3: `password_file` of auth `a` must",
    ),
    "a file that is not there": (
        f"auths:\n  a:\n    community_file: {CANARY}",
        ":3: `community_file` of auth `a` cannot",
    ),
    "an empty path": ("auths:\n  a:\n    community_file: ''", ":3: `community_file` of auth `a` names something"),
    "a NUL in a path": (f'auths:\n  a:\n    community_file: "{CANARY}\\0"', ":3: `community_file` of auth `a` cannot"),
    "a device": ("auths:\n  a:\n    community_file: /dev/zero", ":3: `community_file` of auth `a` names something"),
    "a variable that is not set": (
        f"auths:\n  a:\n    community_env: {CANARY}",
        ":3: `community_env` of auth `a` names an environment variable that is not set",
    ),
    "no credentials": (f"auths:\n  a:\n    community_credential: {CANARY}", "a service with credentials"),
    "targets is a mapping": ("auths: {a: {}}\ntargets: {a: b}", ":2: `targets` must be a list"),
    "a target is text": (f"auths: {{a: {{}}}}\ntargets: [{CANARY}]", ":2: an entry of `targets` must be a mapping"),
    "a target without auth": ("auths: {a: {}}\ntargets:\n - match: h", ":3: an entry of `targets` needs `auth`"),
    "a target without match": ("auths: {a: {}}\ntargets:\n - auth: a", ":3: an entry of `targets` needs `match`"),
    "more in a target": (
        f"auths: {{a: {{}}}}\ntargets:\n - {{match: h, auth: a, {CANARY}: 1}}",
        ":3: an entry of `targets` has `match` and `auth`, nothing else",
    ),
    "a target's auth is not there": (
        f"targets:\n - match: h\n   auth: {CANARY}\nauths: {{a: {{}}}}",
        ":3: `auth` of an entry of `targets` is not the name",
    ),
    "two targets alike": (
        "auths: {a: {}}\ntargets:\n - {match: H.example, auth: a}\n - {match: h.example., auth: a}",
        ":4: an entry of `targets` before this one matches the same",
    ),
    "a network with host bits": (
        "auths: {a: {}}\ntargets:\n - {match: 10.1.2.3/16, auth: a}",
        ":3: `match` of an entry of `targets` has bits set behind",
    ),
    "no match at all": (
        f"auths: {{a: {{}}}}\ntargets:\n - {{match: '{CANARY} b', auth: a}}",
        ":3: `match` of an entry",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes(name: str) -> None:
    """One sentence with the line, and no value of the file in it."""
    content, words = BAD[name]
    with pytest.raises(ConfigError) as caught:
        parse_auths(content.encode(), "exporter.yml")
    assert str(caught.value).startswith("exporter.yml:")
    assert words in str(caught.value)
    assert CANARY not in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, or not text."""
    for path in (tmp_path / "none.yml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            load_auths(path)
    with pytest.raises(ConfigError, match="UTF-8"):
        parse_auths(b"auths: \xff", "f")


BY_REFERENCE = """
auths:
  a:
    community_file: secrets/community
  b:
    version: 3
    username: noc
    security_level: authPriv
    password_env: NOC_PASSWORD
    priv_password_credential: noc-priv
"""


def test_secrets_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file beside the configuration, from the environment, from systemd; and read again at a reload."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "given").mkdir()
    (tmp_path / "secrets" / "community").write_text("from a file \r\n")
    (tmp_path / "given" / "noc-priv").write_text("密码, without a newline")
    (tmp_path / "exporter.yml").write_text(BY_REFERENCE)
    monkeypatch.setenv("NOC_PASSWORD", "from the environment")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "given"))
    auths = load_config(tmp_path / "exporter.yml").auths
    assert auths["a"].community == "from a file "
    assert (auths["b"].password, auths["b"].priv_password) == ("from the environment", "密码, without a newline")
    assert "environment" not in repr(auths["b"])
    (tmp_path / "secrets" / "community").write_text("another")
    assert load_auths(tmp_path / "exporter.yml")["a"].community == "another"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty secret"),
        (b"\n", "an empty secret"),
        (b"one\ntwo\n", "more than one line"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"x" * 5_000, "more than 4096 bytes"),
    ],
)
def test_files_that_hold_no_secret(tmp_path: Path, content: bytes, words: str) -> None:
    """Named with the line of the configuration, without what is in them."""
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(ConfigError, match=f"f:2: `community_file` of auth `a` .*{words}"):
        parse_config(b"auths:\n  a: {community_file: secret}", "f", Surroundings(tmp_path, {}))


@pytest.mark.parametrize(
    ("key", "value", "environment", "words"),
    [
        ("community_credential", "../a", {"CREDENTIALS_DIRECTORY": "/"}, "a credential's name"),
        ("community_credential", "..", {"CREDENTIALS_DIRECTORY": "/tmp"}, "a credential's name"),
        ("community_credential", "no-such-thing", {"CREDENTIALS_DIRECTORY": "/nowhere"}, "cannot be read"),
        ("community_env", "A", {"A": ""}, "an empty secret"),
        ("community_env", "A", {"A": os.fsdecode(b"\xff")}, "not text in UTF-8"),
    ],
)
def test_references_that_lead_nowhere(key: str, value: str, environment: dict[str, str], words: str) -> None:
    """One sentence each."""
    with pytest.raises(ConfigError, match=f"f:2: `{key}` of auth `a` .*{words}"):
        parse_config(f"auths:\n  a: {{{key}: {value}}}".encode(), "f", Surroundings(Path(), environment))


TARGETS = """
auths: {public_v2: {}, office: {}, county: {}, rack: {}, core: {}, named: {}, cameras: {}, wide: {}}
targets:
  - {match: "*", auth: wide}
  - {match: 10.0.0.0/8, auth: office}
  - {match: 10.20.0.0/16, auth: county}
  - {match: 10.20.30.0/24, auth: rack}
  - {match: 10.20.30.40, auth: core}
  - {match: 2001:db8::/32, auth: county}
  - {match: "2001:DB8:0:0::1", auth: core}
  - {match: SW1.Example.Net, auth: named}
  - {match: "cam-*.example.net", auth: cameras}
"""


@pytest.mark.parametrize(
    ("host", "address", "auth"),
    [
        ("10.1.2.3", "10.1.2.3", "office"),
        ("10.20.1.1", "10.20.1.1", "county"),
        ("10.20.30.1", None, "rack"),
        ("10.20.30.40", "10.20.30.40", "core"),
        ("sw1.example.net", "10.20.30.40", "named"),
        ("SW1.example.NET.", None, "named"),
        ("sw2.example.net", "10.20.30.40", "core"),
        ("sw2.example.net", "10.20.30.41", "rack"),
        ("cam-1.example.net", "10.20.1.1", "county"),
        ("cam-1.example.net", "192.0.2.1", "cameras"),
        ("cam-1.example.net", None, "cameras"),
        ("2001:db8::1", "2001:db8::1", "core"),
        ("2001:db8::2%eth0", None, "county"),
        ("::ffff:10.20.30.1", None, "rack"),
        ("192.0.2.1", "192.0.2.1", "wide"),
    ],
)
def test_the_most_specific_entry_wins(host: str, address: str | None, auth: str) -> None:
    """The host, then its address, then the longest prefix, then a pattern; the order in the file does not matter."""
    config = parse_config(TARGETS.encode(), "f", Surroundings(Path(), {}))
    assert len(config.targets) == 9
    assert select_auth(config, host, address).name == auth


def test_without_an_entry() -> None:
    """snmp_exporter's default, and a sentence where even that is missing."""
    assert select_auth(Config({"public_v2": Auth("public_v2")}), "h").name == "public_v2"
    with pytest.raises(NoAuth, match="no auth is named"):
        select_auth(Config({"a": Auth("a")}), "h", "192.0.2.1")


NO_MATCH = ["", "a b", "/", "10.0.0.0/33", "10.0.0.256", "a/b", "h\n", "é", "x" * 300, "-a", "1.2/a"]


@pytest.mark.parametrize("text", NO_MATCH)
def test_what_matches_nothing(text: str) -> None:
    """Refused with a sentence."""
    with pytest.raises(BadMatch, match="address"):
        parse_match(text)


@given(st.data())
def test_prefixes_are_found_as_one_by_one(data: st.DataObject) -> None:
    """The table gives what comparing with every network gives: the longest that holds the address."""
    near = st.builds(
        lambda start, length: ipaddress.ip_network((start & 0x0A03_0F0F, length), strict=False),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    )
    wide = st.builds(
        lambda start, length: ipaddress.ip_network((start, length), strict=False),
        st.integers(2**120, 2**120 + 15),
        st.integers(110, 128),
    )
    members = data.draw(st.lists(st.one_of(near, wide), max_size=12, unique=True))
    address = data.draw(
        st.one_of(
            st.integers(0, 2**32 - 1).map(lambda bits: ipaddress.IPv4Address(bits & 0x0A03_0F0F)),
            st.integers(2**120, 2**120 + 15).map(ipaddress.IPv6Address),
        )
    )
    names = {f"n{number}": member for number, member in enumerate(members)}
    auths = ", ".join(f"{name}: {{}}" for name in ["public_v2", *names])
    targets = ", ".join(f'{{match: "{member}", auth: {name}}}' for name, member in names.items())
    text = f"auths: {{{auths}}}\ntargets: [{targets}]"
    holding = [name for name, member in names.items() if member.version == address.version and address in member]
    expected = max(holding, key=lambda name: names[name].prefixlen, default="public_v2")
    config = parse_config(text.encode(), "f", Surroundings(Path(), {}))
    assert select_auth(config, "switch.example", str(address)).name == expected


@given(st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace"))))
def test_no_file_upsets_the_reader(raw: bytes) -> None:
    """Auths or a ConfigError, whatever the bytes."""
    try:
        parse_auths(raw, "f")
    except ConfigError as why:
        assert str(why).startswith("f:")
