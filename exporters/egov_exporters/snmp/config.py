"""The exporter's configuration: `auths:` in snmp_exporter's form. Secrets stay out of every message and every repr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

SECURITY_LEVELS = ("noAuthNoPriv", "authNoPriv", "authPriv")
AUTH_PROTOCOL_NAMES = ("MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512")
PRIV_PROTOCOL_NAMES = ("DES", "AES", "AES192", "AES192C", "AES256", "AES256C")
MAX_FILE = 4 * 1024 * 1024


class ConfigError(Exception):
    """The file cannot be used. `str(error)` is one sentence with file and line, without any value from the file."""


@dataclass(frozen=True)
class Auth:
    """One entry of `auths`; the defaults are snmp_exporter's."""

    name: str
    version: int = 2
    community: str = field(default="public", repr=False)
    username: str = field(default="", repr=False)
    security_level: str = "noAuthNoPriv"
    password: str = field(default="", repr=False)
    auth_protocol: str = "MD5"
    priv_protocol: str = "DES"
    priv_password: str = field(default="", repr=False)
    context_name: str = ""


KEYS = tuple(name for name in Auth.__dataclass_fields__ if name != "name")
ONE_OF = {
    "security_level": SECURITY_LEVELS,
    "auth_protocol": AUTH_PROTOCOL_NAMES,
    "priv_protocol": PRIV_PROTOCOL_NAMES,
}


def load_auths(path: Path) -> Mapping[str, Auth]:
    """Given the configuration file: the auths by name. Raises ConfigError."""
    try:
        raw = path.read_bytes()
    except OSError as why:
        raise ConfigError(f"{path}: cannot be read: {why.strerror}") from None
    return parse_auths(raw, str(path))


def parse_auths(raw: bytes, where: str) -> Mapping[str, Auth]:
    """Given the bytes of a configuration and its name for messages: the auths by name. Raises ConfigError."""
    root = _compose(raw, where)
    if root is None:
        raise ConfigError(f"{where}: is empty; it needs `auths:`")
    found: MappingNode | None = None
    for key, value in _pairs(root, where, "the file"):
        if key.value == "modules":
            raise ConfigError(f"{where}:{_line(key)}: `modules` come with the exporter; leave them out here")
        if key.value != "auths":
            raise ConfigError(f"{where}:{_line(key)}: unknown key; only `auths` is known here")
        if not isinstance(value, MappingNode) or not value.value:
            raise ConfigError(f"{where}:{_line(value)}: `auths` must hold one auth or more, each with a name")
        found = value
    if found is None:
        raise ConfigError(f"{where}:1: `auths` is missing")
    return {str(key.value): _auth(key, value, where) for key, value in _pairs(found, where, "`auths`")}


def _compose(raw: bytes, where: str) -> Node | None:
    """The YAML tree. The parser's own words are not passed on: they can quote a password."""
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


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _pairs(node: Node, where: str, what: str) -> Iterator[tuple[ScalarNode, Node]]:
    """The entries of a mapping; a key that comes twice is refused."""
    if not isinstance(node, MappingNode):
        raise ConfigError(f"{where}:{_line(node)}: {what} must be a mapping of names to values")
    seen: set[str] = set()
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            raise ConfigError(f"{where}:{_line(key)}: {what} must be a mapping of names to values")
        if key.value in seen:
            raise ConfigError(f"{where}:{_line(key)}: this key comes twice in {what}")
        seen.add(key.value)
        yield key, value


def _auth(key: ScalarNode, node: Node, where: str) -> Auth:
    """One auth, checked as snmp_exporter checks it. Raises ConfigError."""
    name, place = str(key.value), f"auth `{key.value}`"
    values: dict[str, str] = {}
    for entry, value in _pairs(node, where, place):
        if entry.value not in KEYS:
            raise ConfigError(f"{where}:{_line(entry)}: unknown key in {place}; known are {', '.join(KEYS)}")
        if not isinstance(value, ScalarNode) or value.tag == "tag:yaml.org,2002:null":
            raise ConfigError(f"{where}:{_line(value)}: `{entry.value}` of {place} must be one value")
        allowed = ONE_OF.get(entry.value)
        if allowed is not None and value.value not in allowed:
            raise ConfigError(f"{where}:{_line(value)}: `{entry.value}` of {place} must be one of {', '.join(allowed)}")
        if entry.value == "version" and value.value not in ("2", "3"):
            raise ConfigError(
                f"{where}:{_line(value)}: `version` of {place} must be 2 or 3; version 1 is not supported"
            )
        values[entry.value] = value.value
    auth = Auth(name=name, version=int(values.pop("version", "2")), **values)
    missing = _missing(auth)
    if missing:
        raise ConfigError(f"{where}:{_line(key)}: {place} needs `{missing}`")
    return auth


def _missing(auth: Auth) -> str | None:
    """The key that this version and security level need and that is not there, if any."""
    if auth.version == 2:
        return None if auth.community else "community"
    if not auth.username:
        return "username"
    if auth.security_level != "noAuthNoPriv" and not auth.password:
        return "password"
    if auth.security_level == "authPriv" and not auth.priv_password:
        return "priv_password"
    return None
