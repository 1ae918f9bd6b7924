"""YAML files that hold secrets, read as trees: every fault has its line, and no message has a value from the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

MAX_FILE = 4 * 1024 * 1024


class ConfigError(Exception):
    """The file cannot be used. `str(error)` is one sentence with file and line, without any value from the file."""


def read(path: Path) -> bytes:
    """The file's octets. Raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as why:
        raise ConfigError(f"{path}: cannot be read: {why.strerror}") from None


def compose(raw: bytes, where: object) -> Node | None:
    """The tree; None of an empty file. The parser's own words are not passed on: they can quote a password."""
    if len(raw) > MAX_FILE:
        raise ConfigError(f"{where}: is larger than {MAX_FILE} bytes")
    try:
        root: Node | None = yaml.compose(raw.decode(), Loader=yaml.SafeLoader)
    except yaml.YAMLError as why:
        mark = getattr(why, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise ConfigError(f"{where}:{line}: is not valid YAML (quote values with special characters)") from None
    except (UnicodeDecodeError, RecursionError):
        raise ConfigError(f"{where}: is not a YAML text in UTF-8") from None
    return root


def line_of(node: Node) -> int:
    """Where it begins, from 1."""
    return int(node.start_mark.line) + 1


def is_null(node: Node | None) -> bool:
    """Whether nothing stands there."""
    return node is None or (isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:null")


def pairs(node: Node, where: object, what: str) -> Iterator[tuple[ScalarNode, Node]]:
    """The entries of a mapping; a key that comes twice is refused. Raises ConfigError."""
    if not isinstance(node, MappingNode):
        raise ConfigError(f"{where}:{line_of(node)}: {what} must be a mapping of names to values")
    seen: set[str] = set()
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            raise ConfigError(f"{where}:{line_of(key)}: {what} must be a mapping of names to values")
        if key.value in seen:
            raise ConfigError(f"{where}:{line_of(key)}: this key comes twice in {what}")
        seen.add(key.value)
        yield key, value


def scalar(node: Node, where: object, what: str) -> str:
    """One value. Raises ConfigError."""
    if not isinstance(node, ScalarNode) or is_null(node):
        raise ConfigError(f"{where}:{line_of(node)}: {what} must be one value")
    return str(node.value)
