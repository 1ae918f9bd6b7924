"""Secrets: one 0600 file each, on control only. Their values never reach build/, logs, evidence or a command line."""

from __future__ import annotations

import os
import secrets as random_secrets
from collections.abc import Iterable
from dataclasses import dataclass

from egovctl.errors import CannotMeasure
from egovctl.paths import Inventory


@dataclass(frozen=True)
class Secrets:
    """The secrets of one inventory."""

    inventory: Inventory

    def get(self, name: str) -> str:
        """The secret's value, without the line end; CannotMeasure when it is missing, empty or readable by others."""
        path = self.inventory.secrets / name
        try:
            mode = path.stat().st_mode & 0o777
            value = path.read_text(encoding="utf-8").rstrip("\n")
        except FileNotFoundError:
            raise CannotMeasure(f"secret {name} is missing: write it to {path} with mode 0600") from None
        if mode & 0o077:
            raise CannotMeasure(f"secret {name} can be read by others: run chmod 0600 {path}")
        if not value:
            raise CannotMeasure(f"secret {name} is empty: write it to {path}")
        return value

    def ensure_random(self, names: Iterable[str]) -> list[str]:
        """Make each missing secret at random (32 URL-safe characters, 192 bits); return the names made. For the lab."""
        made = []
        self.inventory.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in names:
            path = self.inventory.secrets / name
            if path.exists():
                continue
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(random_secrets.token_urlsafe(24) + "\n")
            made.append(name)
        return made
