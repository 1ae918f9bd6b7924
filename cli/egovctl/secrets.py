"""Secrets: one 0600 file each, on control only. Their values never reach build/, logs, evidence or a command line."""

from __future__ import annotations

import os
import re
import secrets as random_secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from egovctl.errors import CannotMeasure
from egovctl.i18n import tr
from egovctl.paths import Inventory

# What would end a word or a quotation in one of the files that secrets are put into, or start another line there.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\"'`\\]")


@dataclass(frozen=True)
class Secrets:
    """The secrets of one inventory."""

    inventory: Inventory

    def get(self, name: str) -> str:
        """The secret's value, without the line end.

        Raises CannotMeasure when it is missing, empty, readable by others, no text, or has a character that would break
        the files that it is put into. The sentence never shows the value.
        """
        path = self.inventory.secrets / name
        try:
            mode = path.stat().st_mode & 0o777
            value = path.read_text(encoding="utf-8").rstrip("\n")
        except FileNotFoundError:
            raise CannotMeasure(
                tr(
                    f"缺少密钥 {name}：请写入 {path}，权限 0600",
                    f"secret {name} is missing: write it to {path} with mode 0600",
                )
            ) from None
        except UnicodeDecodeError:
            raise CannotMeasure(_unfit(name, path)) from None
        if mode & 0o077:
            raise CannotMeasure(
                tr(
                    f"密钥 {name} 可被他人读取：请运行 chmod 0600 {path}",
                    f"secret {name} can be read by others: run chmod 0600 {path}",
                )
            )
        if not value:
            raise CannotMeasure(tr(f"密钥 {name} 是空的：请写入 {path}", f"secret {name} is empty: write it to {path}"))
        if UNFIT.search(value):
            raise CannotMeasure(_unfit(name, path))
        return value

    def ensure_random(self, names: Iterable[str]) -> list[str]:
        """Make each missing secret at random (32 URL-safe characters, 192 bits); return the names made. For the lab.

        A secret appears under its name whole or not at all. An empty file counts as missing.
        """
        self.inventory.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        return [name for name in names if _make(self.inventory.secrets / name)]


def _make(path: Path) -> bool:
    """Write the secret beside its place, then give it its name; False when somebody else has it by then."""
    empty = path.exists()
    if empty and path.stat().st_size:
        return False
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(random_secrets.token_urlsafe(24) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        if empty:
            beside.replace(path)
        else:
            os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink(missing_ok=True)
    return True


def _unfit(name: str, path: Path) -> str:
    return tr(
        f"密钥 {name} 含有引号、反斜杠或控制字符，会破坏用到它的配置文件：请在 {path} 中换一个",
        f"secret {name} has a quote, a backslash or a control character, which would break the files that it is put "
        f"into: write another one to {path}",
    )
