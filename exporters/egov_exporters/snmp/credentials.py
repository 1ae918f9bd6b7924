"""Secrets by reference: a file, an environment variable, or a credential that systemd hands over.

No message shows what the configuration holds, not even a path: somebody may have put the secret itself there.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = "CREDENTIALS_DIRECTORY"  # systemd.exec(5), LoadCredential=
MAX_SECRET = 4096  # octets


class NoSecret(Exception):
    """The reference gives no secret. `str(error)` completes the sentence "`password_file` of auth `NAME` ..."."""


@dataclass(frozen=True)
class Surroundings:
    """Where references lead: the configuration's folder and the process's environment."""

    folder: Path
    environment: Mapping[str, str]


def from_file(text: str, around: Surroundings) -> str:
    """The one line in a file; its path is relative to the configuration's folder. Raises NoSecret."""
    return _read(around.folder / text)


def from_environment(text: str, around: Surroundings) -> str:
    """The value of an environment variable. Raises NoSecret."""
    value = around.environment.get(text)
    if value is None:
        raise NoSecret("names an environment variable that is not set")
    return _checked(value)


def from_credential(text: str, around: Surroundings) -> str:
    """The one line in a credential of this service. Raises NoSecret."""
    folder = around.environment.get(DIRECTORY)
    if not folder:
        raise NoSecret(f"needs a service with credentials ({DIRECTORY} is not set)")
    if "/" in text or text in (".", ".."):
        raise NoSecret("must be a credential's name, without a path")
    return _read(Path(folder) / text)


REFERENCES = {"_file": from_file, "_env": from_environment, "_credential": from_credential}


def _read(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NoSecret("names something that is not a file")
        with path.open("rb") as source:
            raw = source.read(MAX_SECRET + 1)
    except (OSError, ValueError) as why:  # ValueError: a NUL in the path
        raise NoSecret(f"cannot be read: {getattr(why, 'strerror', None) or 'not a path'}") from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise NoSecret("leads to something that is not text in UTF-8") from None
    return _checked(text.removesuffix("\n").removesuffix("\r"))


def _checked(secret: str) -> str:
    """The secret, if it can be one."""
    try:
        size = len(secret.encode())
    except UnicodeEncodeError:  # octets of an environment variable
        raise NoSecret("leads to something that is not text in UTF-8") from None
    if not secret:
        raise NoSecret("leads to an empty secret")
    if size > MAX_SECRET:
        raise NoSecret(f"leads to more than {MAX_SECRET} bytes")
    if any(mark in secret for mark in "\n\r\0"):
        raise NoSecret("leads to more than one line")
    return secret
