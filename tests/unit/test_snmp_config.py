"""The configuration: snmp_exporter's form is taken as it is; each mistake gets file, line, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egov_exporters.snmp.config import Auth, ConfigError, load_auths, parse_auths

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


@given(st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace"))))
def test_no_file_upsets_the_reader(raw: bytes) -> None:
    """Auths or a ConfigError, whatever the bytes."""
    try:
        parse_auths(raw, "f")
    except ConfigError as why:
        assert str(why).startswith("f:")
