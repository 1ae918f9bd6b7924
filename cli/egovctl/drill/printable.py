"""Names that are no UTF-8, as folders of long ago have them (GB 18030), so that evidence and tables can hold them."""

from __future__ import annotations

from typing import Any


def printable(value: Any) -> Any:
    """The same with every octet that is not UTF-8 written as \\xNN: in texts, and in lists and mappings of them."""
    if isinstance(value, str):
        return value if value.isascii() else _text(value)
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, list | tuple) else value


def _text(value: str) -> str:
    try:
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a pair, as a hostile manifest may have
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
