"""The exporter's configuration: `auths:` in snmp_exporter's form, and `targets:`, which says who gets which auth.

Secrets stay out of every message and every repr.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from egov_exporters.snmp.assign import BadMatch, Match, Rules, make_rules, parse_match
from egov_exporters.snmp.credentials import REFERENCES, NoSecret, Surroundings
from egov_exporters.snmp.secret_yaml import ConfigError, compose, line_of, pairs, read, scalar

SECURITY_LEVELS = ("noAuthNoPriv", "authNoPriv", "authPriv")
AUTH_PROTOCOL_NAMES = ("MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512")
PRIV_PROTOCOL_NAMES = ("DES", "AES", "AES192", "AES192C", "AES256", "AES256C")
SECRETS = ("community", "password", "priv_password")
DEFAULT_AUTH = "public_v2"  # snmp_exporter's


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


@dataclass(frozen=True)
class Config:
    """A configuration that was read: the auths by name, and which targets get which when the URL names none."""

    auths: Mapping[str, Auth]
    targets: Rules = field(default_factory=Rules)


class NoAuth(ValueError):
    """No auth is named, and none is set for the target. `str(error)` is one sentence."""


KEYS = tuple(name for name in Auth.__dataclass_fields__ if name != "name")
BY_REFERENCE = {secret + form: (secret, read) for secret in SECRETS for form, read in REFERENCES.items()}
ONE_OF = {
    "security_level": SECURITY_LEVELS,
    "auth_protocol": AUTH_PROTOCOL_NAMES,
    "priv_protocol": PRIV_PROTOCOL_NAMES,
}


def select_auth(config: Config, target_host: str, resolved_address: str | None = None) -> Auth:
    """The auth of a target for which the URL names none: see `Rules.find`; else `public_v2`. Raises NoAuth."""
    name = config.targets.find(target_host, resolved_address) or DEFAULT_AUTH
    if name not in config.auths:
        raise NoAuth("no auth is named, none is set for this target, and there is no auth 'public_v2'")
    return config.auths[name]


def load_config(path: Path) -> Config:
    """Given the configuration file: what it says, with secrets fetched from where it refers to. Raises ConfigError."""
    return parse_config(read(path), str(path), Surroundings(path.parent, os.environ))


def load_auths(path: Path) -> Mapping[str, Auth]:
    """Given the configuration file: the auths by name. Raises ConfigError."""
    return load_config(path).auths


def parse_config(raw: bytes, where: str, around: Surroundings) -> Config:
    """Given the bytes of a configuration and its name for messages: what it says. Raises ConfigError."""
    root = compose(raw, where)
    if root is None:
        raise ConfigError(f"{where}: is empty; it needs `auths:`")
    found: MappingNode | None = None
    targets: Node | None = None
    for key, value in pairs(root, where, "the file"):
        if key.value == "modules":
            raise ConfigError(f"{where}:{line_of(key)}: `modules` come with the exporter; leave them out here")
        if key.value == "targets":
            targets = value
            continue
        if key.value != "auths":
            raise ConfigError(f"{where}:{line_of(key)}: unknown key; only `auths` and `targets` are known here")
        if not isinstance(value, MappingNode) or not value.value:
            raise ConfigError(f"{where}:{line_of(value)}: `auths` must hold one auth or more, each with a name")
        found = value
    if found is None:
        raise ConfigError(f"{where}:1: `auths` is missing")
    auths = {str(key.value): _auth(key, value, where, around) for key, value in pairs(found, where, "`auths`")}
    return Config(auths, make_rules(_targets(targets, auths, where)))


def parse_auths(raw: bytes, where: str) -> Mapping[str, Auth]:
    """The auths of a configuration; references are relative to the current folder. Raises ConfigError."""
    return parse_config(raw, where, Surroundings(Path(), os.environ)).auths


def _auth(key: ScalarNode, node: Node, where: str, around: Surroundings) -> Auth:
    """One auth, checked as snmp_exporter checks it. Raises ConfigError."""
    name, place = str(key.value), f"auth `{key.value}`"
    values: dict[str, str] = {}
    written: dict[str, str] = {}  # secret → the key that gave it
    for entry, value in pairs(node, where, place):
        if entry.value not in KEYS and entry.value not in BY_REFERENCE:
            known = f"known are {', '.join(KEYS)}; {', '.join(SECRETS)} also with {', '.join(REFERENCES)} behind them"
            raise ConfigError(f"{where}:{line_of(entry)}: unknown key in {place}; {known}")
        text = scalar(value, where, f"`{entry.value}` of {place}")
        secret, fetch = BY_REFERENCE.get(entry.value, (entry.value, None))
        if secret in written:
            both = f"`{written[secret]}` and `{entry.value}`"
            raise ConfigError(f"{where}:{line_of(entry)}: {place} has {both}; give one of them")
        written[secret] = entry.value
        if fetch is not None:
            try:
                text = fetch(text, around)
            except NoSecret as why:
                raise ConfigError(f"{where}:{line_of(value)}: `{entry.value}` of {place} {why}") from None
        allowed = ONE_OF.get(entry.value)
        if allowed is not None and text not in allowed:
            raise ConfigError(
                f"{where}:{line_of(value)}: `{entry.value}` of {place} must be one of {', '.join(allowed)}"
            )
        if entry.value == "version" and text not in ("2", "3"):
            raise ConfigError(
                f"{where}:{line_of(value)}: `version` of {place} must be 2 or 3; version 1 is not supported"
            )
        values[secret] = text
    auth = Auth(name=name, version=int(values.pop("version", "2")), **values)
    missing = _missing(auth)
    if missing:
        raise ConfigError(f"{where}:{line_of(key)}: {place} needs `{missing}`")
    return auth


def _targets(node: Node | None, auths: Mapping[str, Auth], where: str) -> list[tuple[Match, str]]:
    """The entries of `targets`, in order. Raises ConfigError."""
    if node is None:
        return []
    if not isinstance(node, SequenceNode):
        raise ConfigError(f"{where}:{line_of(node)}: `targets` must be a list of entries with `match` and `auth`")
    found: dict[Match, str] = {}
    for item in node.value:
        values: dict[str, tuple[str, int]] = {}
        for key, value in pairs(item, where, "an entry of `targets`"):
            if key.value not in ("match", "auth"):
                raise ConfigError(f"{where}:{line_of(key)}: an entry of `targets` has `match` and `auth`, nothing else")
            values[key.value] = scalar(value, where, f"`{key.value}` of an entry of `targets`"), line_of(value)
        for wanted in ("match", "auth"):
            if wanted not in values:
                raise ConfigError(f"{where}:{line_of(item)}: an entry of `targets` needs `{wanted}`")
        (text, line), (auth, auth_line) = values["match"], values["auth"]
        try:
            match = parse_match(text)
        except BadMatch as why:
            raise ConfigError(f"{where}:{line}: `match` of an entry of `targets` {why}") from None
        if auth not in auths:
            raise ConfigError(f"{where}:{auth_line}: `auth` of an entry of `targets` is not the name of one in `auths`")
        if match in found:
            raise ConfigError(f"{where}:{line}: an entry of `targets` before this one matches the same")
        found[match] = auth
    return list(found.items())


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
