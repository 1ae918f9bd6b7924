"""TLS and passwords of the HTTP side, in the ecosystem's form: what Prometheus' programs take as web.config.file.

A key that is known there and not here is refused by name, never ignored: who asks for protection must get it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import os
import re
import secrets
import ssl
import stat
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
from aiohttp import web
from yaml.nodes import Node, ScalarNode

from egov_exporters.snmp.credentials import DIRECTORY
from egov_exporters.snmp.secret_yaml import ConfigError, compose, is_null, line_of, pairs, read

log = logging.getLogger("egov_snmp_exporter")

MAX_COST = 14  # of a bcrypt hash; each step doubles the time, and 14 takes about a second
MAX_PASSWORD = 72  # octets that bcrypt looks at
HASH = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}\Z")
TLS_KEYS = ("cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version")
VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
CLIENTS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
ONE_OF: Mapping[str, tuple[str, ...]] = {"min_version": tuple(VERSIONS), "client_auth_type": tuple(CLIENTS)}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class TlsConfig:
    """`tls_server_config`. `places` says for each key where it stands, FILE:LINE."""

    cert_file: Path
    key_file: Path
    client_auth_type: str = "NoClientCert"
    client_ca_file: Path | None = None
    min_version: str = "TLS12"
    places: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """What must be read again when it changes."""
        return tuple(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path is not None)


@dataclass(frozen=True)
class WebConfig:
    """The whole file; an empty one asks for neither TLS nor a password."""

    tls: TlsConfig | None = None
    users: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def load_web_config(path: Path) -> WebConfig:
    """Given the file: what it asks for; its certificate and key have been tried. Raises ConfigError."""
    config = parse_web_config(read(path), path)
    if config.tls is not None:
        _fresh_context(config.tls)
    return config


def parse_web_config(raw: bytes, path: Path) -> WebConfig:
    """Given the file's octets and its path: what it asks for. Raises ConfigError without a value in it."""
    root = compose(raw, path)
    tls: TlsConfig | None = None
    users: dict[str, bytes] = {}
    for key, value in pairs(root, path, "the file") if root is not None and not is_null(root) else ():
        if key.value == "tls_server_config":
            tls = _tls(key, value, path)
        elif key.value == "basic_auth_users":
            users = {str(name.value): _hash(name, entry, path) for name, entry in pairs(value, path, "the users")}
        elif key.value == "http_server_config":
            for name, _ in pairs(value, path, "`http_server_config`"):
                if name.value != "http2":  # this server speaks HTTP/1.1, to which every client can fall back
                    raise ConfigError(f"{path}:{line_of(name)}: `{name.value}` is not supported here")
        else:
            known = "tls_server_config, basic_auth_users, http_server_config"
            raise ConfigError(f"{path}:{line_of(key)}: `{key.value}` is not supported here; known are {known}")
    return WebConfig(tls, users)


def _tls(key: ScalarNode, node: Node, path: Path) -> TlsConfig:
    values: dict[str, str] = {}
    places: dict[str, str] = {}
    for name, value in pairs(node, path, "`tls_server_config`"):
        where = f"{path}:{line_of(value)}"
        if name.value not in TLS_KEYS:
            known = ", ".join(TLS_KEYS)
            raise ConfigError(f"{path}:{line_of(name)}: `{name.value}` is not supported here; known are {known}")
        if not isinstance(value, ScalarNode) or not value.value:
            raise ConfigError(f"{where}: `{name.value}` must be one value")
        allowed = ONE_OF.get(name.value)
        if allowed is not None and value.value not in allowed:
            raise ConfigError(f"{where}: `{name.value}` must be one of {', '.join(allowed)}")
        values[name.value], places[name.value] = str(value.value), where
    for needed in ("cert_file", "key_file"):
        if needed not in values:
            raise ConfigError(f"{path}:{line_of(key)}: `tls_server_config` needs `{needed}`")
    client = values.get("client_auth_type", "NoClientCert")
    if (client == "NoClientCert") != ("client_ca_file" not in values):
        raise ConfigError(
            f"{path}:{line_of(key)}: `client_ca_file` and a `client_auth_type` that verifies need each other"
        )
    authority = values.get("client_ca_file")
    return TlsConfig(
        cert_file=path.parent / values["cert_file"],
        key_file=path.parent / values["key_file"],
        client_auth_type=client,
        client_ca_file=path.parent / authority if authority else None,
        min_version=values.get("min_version", "TLS12"),
        places=places,
    )


def _hash(name: ScalarNode, node: Node, path: Path) -> bytes:
    found = HASH.match(node.value) if isinstance(node, ScalarNode) else None
    if found is None or not name.value or ":" in name.value:
        raise ConfigError(f"{path}:{line_of(node)}: a user must have a name without a colon and a bcrypt hash")
    if not 4 <= int(found[1]) <= MAX_COST:
        raise ConfigError(f"{path}:{line_of(node)}: the cost of a bcrypt hash must be between 4 and {MAX_COST}")
    return str(node.value).encode()


def _fresh_context(tls: TlsConfig) -> ssl.SSLContext:
    """A context with what the files hold now. Raises ConfigError."""
    for name, path in (
        ("cert_file", tls.cert_file),
        ("key_file", tls.key_file),
        ("client_ca_file", tls.client_ca_file),
    ):
        if path is not None:
            _check_file(tls.places.get(name, name), name, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[tls.min_version]
    context.set_alpn_protocols(["http/1.1"])
    place = tls.places.get("cert_file", "cert_file")
    try:
        # An encrypted key must not make OpenSSL ask at the terminal: it gets an empty password, which is wrong.
        context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError):
        raise ConfigError(
            f"{place}: {tls.cert_file} and {tls.key_file} are not a certificate and its key in PEM without a password"
        ) from None
    context.verify_mode = CLIENTS[tls.client_auth_type]
    if tls.client_ca_file is not None:
        try:
            context.load_verify_locations(tls.client_ca_file)
        except (ssl.SSLError, OSError):
            place = tls.places.get("client_ca_file", "client_ca_file")
            raise ConfigError(f"{place}: {tls.client_ca_file} holds no certificates in PEM") from None
    return context


def _check_file(place: str, name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            mode = path.stat().st_mode
    except OSError as why:
        raise ConfigError(f"{place}: {path} cannot be read: {why.strerror}") from None
    others = stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
    if not _is_credential(path):
        others |= stat.S_IRGRP
    if name == "key_file" and mode & others:
        raise ConfigError(f"{place}: {path} holds a key and others may read or write it; its mode must be 0600 or 0400")


def _is_credential(path: Path) -> bool:
    """Whether systemd handed the file over (LoadCredential=): its ACL for the service shows as rights of the group."""
    folder = os.environ.get(DIRECTORY)
    return bool(folder) and path.resolve().is_relative_to(Path(folder or ".").resolve())


def server_context(tls: TlsConfig) -> ssl.SSLContext:
    """The context for the server. Raises ConfigError.

    At each new connection the files are looked at, and read again if one has changed; if they are no good then, the log
    says so once and the old ones stay in use. Whether clients are verified, and the version, stay as they are.
    """
    outer = _fresh_context(tls)
    current, seen = outer, _state(tls)

    def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        nonlocal current, seen
        now = _state(tls)
        if now != seen:
            seen = now
            try:
                current = _fresh_context(tls)
            except ConfigError as why:
                log.error("certificate not read again, the old one stays in use: %s", why)
            else:
                log.warning("certificate read again from %s", tls.cert_file)
        connection.context = current

    outer.sni_callback = choose
    return outer


def _state(tls: TlsConfig) -> tuple[object, ...]:
    """Something that differs once a file differs."""
    found: list[object] = []
    for path in tls.files:
        try:
            about = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((about.st_mtime_ns, about.st_size, about.st_ino, about.st_mode))
    return tuple(found)


class BasicAuth:
    """Asks for a user and password if there are users. bcrypt runs in a thread, one at a time, at most `waiting` wait.

    Passwords that were right are remembered as a keyed hash, at most `remembered` of them, so that each scrape does not
    cost a bcrypt. A user that does not exist costs the same time as a wrong password.
    """

    def __init__(
        self,
        users: Mapping[str, bytes],
        *,
        remembered: int = 100,
        waiting: int = 16,
        refused: Callable[[], object] = lambda: None,
    ) -> None:
        self._remembered, self._most, self._refused = remembered, waiting, refused
        self._waiting = 0
        self._one = asyncio.Lock()
        self.use(users)

    def use(self, users: Mapping[str, bytes]) -> None:
        """Take these users from now on; what was remembered is forgotten."""
        self._users = dict(users)
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """For `web.Application(middlewares=[...])`: 401 without the right password, 503 if too many ask at a time."""
        if self._users:
            allowed = await self.allowed(request.headers.get("Authorization", ""))
            if allowed is None:
                return web.Response(status=503, text="Too many passwords to check\n", headers={"Retry-After": "1"})
            if not allowed:
                self._refused()
                return web.Response(status=401, text="Unauthorized\n", headers={"WWW-Authenticate": "Basic"})
        return await handler(request)

    def remembers(self, header: str) -> bool:
        """Whether this header was found right before: to know that costs no bcrypt."""
        found = credentials(header)
        known = self._users.get(found[0]) if found is not None else None
        return found is not None and known is not None and self._mark(found[0], known, found[1]) in self._right

    async def allowed(self, header: str) -> bool | None:
        """Whether this Authorization header is right; None if it cannot be checked now."""
        found = credentials(header)
        if found is None:
            return False
        user, password = found
        known = self._users.get(user)
        # A hash is compared in any case: how long the answer takes says nothing about which users there are.
        wanted = known if known is not None else next(iter(self._users.values()), None)
        if wanted is None:
            return False
        right, mark = self._right, self._mark(user, wanted, password)
        if known is not None and mark in right:
            right.move_to_end(mark)
            return True
        if self._waiting >= self._most:
            return None
        self._waiting += 1
        try:
            async with self._one:
                same = await asyncio.to_thread(_same, password, wanted)
        finally:
            self._waiting -= 1
        if not same or known is None:
            return False
        right[mark] = None
        if len(right) > self._remembered:
            right.popitem(last=False)
        return True

    def _mark(self, user: str, wanted: bytes, password: bytes) -> bytes:
        return hmac.digest(self._key, b"%d:%s%s%s" % (len(user), user.encode(), wanted, password), "sha256")


def credentials(header: str) -> tuple[str, bytes] | None:
    """User and password of an Authorization header, if it is one of that kind."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def _same(password: bytes, wanted: bytes) -> bool:
    """bcrypt's own comparison, which takes the same time wherever they differ."""
    try:
        return bcrypt.checkpw(password[:MAX_PASSWORD], wanted)
    except ValueError:
        return False
