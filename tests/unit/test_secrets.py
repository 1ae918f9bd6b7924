"""Secrets on control: what is refused, and that none is ever half there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from egovctl.errors import CannotMeasure
from egovctl.i18n import set_language
from egovctl.paths import Inventory
from egovctl.secrets import Secrets


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Secrets]:
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    set_language("en")
    made = Secrets(Inventory(tmp_path / "inventories" / "x"))
    made.inventory.secrets.mkdir(parents=True)
    yield made
    set_language(None)


def write(secrets: Secrets, value: bytes, mode: int = 0o600) -> None:
    path = secrets.inventory.secrets / "one"
    path.write_bytes(value)
    path.chmod(mode)


@pytest.mark.parametrize("value", [b'a"b', b"a'b", b"a`b", b"a\\b", b"a\nb", b"a\rb", b"a\tb", b"a\x7f", b"a\xff"])
def test_a_value_that_would_break_a_file_is_refused_and_not_shown(secrets: Secrets, value: bytes) -> None:
    """If this fails, a secret can end the quotation that it stands in and add lines to a host's configuration."""
    write(secrets, b"canary" + value)
    with pytest.raises(CannotMeasure, match="secret one has a quote, a backslash or a control character") as caught:
        secrets.get("one")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("value", ["correct horse", "a$b#c;d%e", "密码", "x"])
def test_other_values_are_read_as_they_are(secrets: Secrets, value: str) -> None:
    for end in ("", "\n", "\r\n", "\n\n"):
        write(secrets, f"{value}{end}".encode())
        assert secrets.get("one") == value


def test_missing_empty_and_open_ones_are_said(secrets: Secrets) -> None:
    with pytest.raises(CannotMeasure, match="is missing: write it to"):
        secrets.get("one")
    write(secrets, b"\n")
    with pytest.raises(CannotMeasure, match="is empty"):
        secrets.get("one")
    write(secrets, b"x\n", 0o640)
    with pytest.raises(CannotMeasure, match="can be read by others: run chmod 0600"):
        secrets.get("one")


def test_only_missing_ones_are_made(secrets: Secrets) -> None:
    write(secrets, b"mine\n")
    assert secrets.ensure_random(["one", "two"]) == ["two"]
    assert secrets.get("one") == "mine"
    assert len(secrets.get("two")) == 32
    assert secrets.ensure_random(["one", "two"]) == []
    assert sorted(path.name for path in secrets.inventory.secrets.iterdir()) == ["one", "two"]


def test_a_kill_while_writing_leaves_no_secret_that_is_then_skipped(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            secrets.ensure_random(["one"])
    assert not (secrets.inventory.secrets / "one").exists()
    write(secrets, b"")  # what earlier versions left
    assert secrets.ensure_random(["one"]) == ["one"]
    assert len(secrets.get("one")) == 32
    assert (secrets.inventory.secrets / "one").stat().st_mode & 0o777 == 0o600


def test_one_that_somebody_else_made_meanwhile_is_kept(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: write(secrets, b"theirs\n"))
    assert secrets.ensure_random(["one"]) == []
    assert secrets.get("one") == "theirs"
