"""TLS and passwords of the HTTP side: what the file may say, and a real server with a certificate of the test's own.

If this fails, the exporter might serve without the protection that the file asks for, or show a password.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import logging
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import bcrypt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from egov_exporters.snmp import web_config
from egov_exporters.snmp.secret_yaml import ConfigError
from egov_exporters.snmp.web_config import (
    BasicAuth,
    WebConfig,
    load_web_config,
    parse_web_config,
    server_context,
)

PASSWORD = "password-canary-1"
# One salt: what parametrizes tests must be the same in every worker.
HASH = bcrypt.hashpw(PASSWORD.encode(), b"$2b$04$Tuti4A8465VTlcEdcInCOO").decode()
HERE = Path("/etc/egov/web.yml")
Key = ec.EllipticCurvePrivateKey


@dataclass
class Authority:
    """A certificate authority made for a test."""

    folder: Path
    name: str

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(self.name, self.key, authority=True)
        self.file = self.folder / f"{self.name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name: str, key: Key, authority: bool = False) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if authority else self.certificate.subject
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str, password: bytes = b"") -> tuple[Path, Path]:
        """A certificate and its key, written to NAME.crt and NAME.key; those that are there are replaced."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(self._sign(name, key).public_bytes(serialization.Encoding.PEM))
        secret.touch(0o600)
        locked: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            locked = serialization.BestAvailableEncryption(password)
        form = serialization.PrivateFormat.PKCS8
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
        return certificate, secret


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    one = Authority(tmp_path, "authority")
    one.issue("server")
    return one


def written(folder: Path, text: str) -> Path:
    path = folder / "web.yml"
    path.write_text(text)
    return path


TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"


# The file


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}\n", "http_server_config:\n  http2: true\n"])
def test_a_file_may_ask_for_nothing(text: str) -> None:
    assert parse_web_config(text.encode(), HERE) == WebConfig()


def test_a_whole_file_is_read() -> None:
    text = f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: /ca.pem\n  min_version: TLS13\n"
    config = parse_web_config(f"{text}basic_auth_users:\n  prometheus: {HASH}\n".encode(), HERE)
    assert config.tls is not None and config.users == {"prometheus": HASH.encode()}
    assert config.tls.files == (Path("/etc/egov/server.crt"), Path("/etc/egov/server.key"), Path("/ca.pem"))
    assert (config.tls.client_auth_type, config.tls.min_version) == ("RequireAndVerifyClientCert", "TLS13")
    assert HASH not in repr(config)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x: 1\n", 1, "`x` is not supported here"),
        ("[]\n", 1, "must be a mapping"),
        ("basic_auth_users:\n  a: x\n  a: y\n", 2, "bcrypt hash"),
        (f"basic_auth_users:\n  a: {HASH}\n  a: {HASH}\n", 3, "comes twice"),
        (f"basic_auth_users:\n  'a:b': {HASH}\n", 2, "without a colon"),
        (f"basic_auth_users:\n  a: {HASH.replace('$04$', '$31$')}\n", 2, "cost"),
        (f"basic_auth_users:\n  a: {PASSWORD}\n", 2, "bcrypt hash"),
        ("basic_auth_users:\n  a: [x]\n", 2, "bcrypt hash"),
        ("tls_server_config:\n  cert_file: a\n", 1, "needs `key_file`"),
        ("tls_server_config:\n  key_file: a\n", 1, "needs `cert_file`"),
        (f"{TLS}  cipher_suites: [x]\n", 4, "`cipher_suites` is not supported here"),
        (f"{TLS}  min_version: TLS10\n", 4, "one of TLS12, TLS13"),
        (f"{TLS}  client_auth_type: RequireAnyClientCert\n", 4, "one of NoClientCert"),
        (f"{TLS}  client_auth_type: VerifyClientCertIfGiven\n", 1, "need each other"),
        (f"{TLS}  client_ca_file: ca.pem\n", 1, "need each other"),
        (f"{TLS}  client_ca_file: []\n", 4, "one value"),
        ("http_server_config:\n  headers: {}\n", 2, "`headers` is not supported"),
        ("a: [\n", 2, "not valid YAML"),
    ],
)
def test_a_wrong_file_is_one_sentence_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_web_config(text.encode(), HERE)
    said = str(caught.value)
    assert said.startswith(f"{HERE}:{line}: ") and words in said and "\n" not in said
    assert PASSWORD not in said and HASH not in said


@given(st.binary(max_size=200))
def test_no_bytes_upset_the_reader(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse_web_config(data, HERE)


def test_files_that_must_be_refused(tmp_path: Path, authority: Authority) -> None:
    """Each with the line of the key that names it."""
    path = written(tmp_path, TLS)
    assert load_web_config(path).tls is not None

    def refused(words: str, line: int, text: str = TLS) -> None:
        written(tmp_path, text)
        with pytest.raises(ConfigError) as caught:
            load_web_config(path)
        assert str(caught.value).startswith(f"{path}:{line}: ") and words in str(caught.value), caught.value

    secret = tmp_path / "server.key"
    for mode in (0o640, 0o604, 0o620, 0o644):
        secret.chmod(mode)
        refused("others may read or write it", 3)
    secret.chmod(0o400)
    assert load_web_config(path).tls is not None
    refused("server.missing cannot be read: No such file", 2, TLS.replace("server.crt", "server.missing"))
    refused("not a certificate and its key", 2, TLS.replace("server.crt", "web.yml"))
    authority.issue("locked", b"secret")
    refused("not a certificate and its key", 2, TLS.replace("server.key", "locked.key"))
    authority.issue("other")
    refused("not a certificate and its key", 2, TLS.replace("server.key", "other.key"))
    verified = f"{TLS}  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: server.key\n"
    refused("holds no certificates", 5, verified)
    with pytest.raises(ConfigError, match=r"^[^\n]*missing.yml: cannot be read: No such file or directory$"):
        load_web_config(tmp_path / "missing.yml")


def test_a_credential_of_systemd_may_show_a_group(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, secret = written(tmp_path, TLS), tmp_path / "server.key"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    secret.chmod(0o440)
    assert load_web_config(path).tls is not None
    for mode in (0o444, 0o460):
        secret.chmod(mode)
        with pytest.raises(ConfigError, match="others may read or write it"):
            load_web_config(path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "elsewhere"))
    secret.chmod(0o440)
    with pytest.raises(ConfigError, match="others may read or write it"):
        load_web_config(path)


# TLS, with a real server


@dataclass
class Server:
    """A server on a free port."""

    port: int
    folder: Path
    trusted: Authority

    async def get(self, client: str | None = None, header: str = "", version: ssl.TLSVersion | None = None) -> int:
        """The status of a GET with the certificate of this client."""
        context = ssl.create_default_context(cafile=self.trusted.file)
        if client is not None:
            context.load_cert_chain(self.folder / f"{client}.crt", self.folder / f"{client}.key")
        if version is not None:
            context.maximum_version = version
        headers = {"Authorization": header} if header else {}
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
            session.get(f"https://localhost:{self.port}/", ssl=context, headers=headers) as reply,
        ):
            await reply.read()
            return reply.status

    async def refused(self, client: str | None = None, version: ssl.TLSVersion | None = None) -> bool:
        try:
            await self.get(client, version=version)
        except (aiohttp.ClientError, ssl.SSLError, OSError):
            return True
        return False


@contextlib.asynccontextmanager
async def serving(authority: Authority, more: str = "") -> AsyncIterator[Server]:
    """A server with this web configuration."""
    config = load_web_config(written(authority.folder, TLS + more))
    assert config.tls is not None

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application(middlewares=[BasicAuth(config.users).middleware])
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "localhost", 0, ssl_context=server_context(config.tls))
        await site.start()
        yield Server(runner.addresses[0][1], authority.folder, authority)
    finally:
        await runner.cleanup()


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await body()

    asyncio.run(bounded())


def test_tls_and_password_together(authority: Authority) -> None:
    async def body() -> None:
        async with serving(authority, f"basic_auth_users:\n  prometheus: {HASH}\n") as server:
            assert await server.get() == 401
            assert await server.get(header=basic("prometheus", "wrong")) == 401
            assert await server.get(header=basic("prometheus", PASSWORD)) == 200

    run(body)


def test_the_least_version_is_kept(authority: Authority) -> None:
    async def body() -> None:
        async with serving(authority, "  min_version: TLS13\n") as server:
            assert await server.get() == 200
            assert await server.refused(version=ssl.TLSVersion.TLSv1_2)
        async with serving(authority) as server:
            assert await server.get(version=ssl.TLSVersion.TLSv1_2) == 200

    run(body)


@pytest.mark.parametrize(
    ("kind", "without"), [("RequireAndVerifyClientCert", False), ("VerifyClientCertIfGiven", True)]
)
def test_clients_are_verified(authority: Authority, kind: str, without: bool) -> None:
    authority.issue("client")
    Authority(authority.folder, "stranger").issue("unknown")

    async def body() -> None:
        more = f"  client_auth_type: {kind}\n  client_ca_file: authority.pem\n"
        async with serving(authority, more) as server:
            assert await server.get("client") == 200
            assert await server.refused("unknown")
            assert await server.refused() is not without

    run(body)


def test_files_are_read_again_when_they_change(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    """Another certificate, then a broken one, then another authority for clients; connections go on."""
    authority.issue("client")
    other = Authority(authority.folder, "other")
    other.issue("newcomer")
    clients = authority.folder / "clients.pem"
    clients.write_bytes(authority.file.read_bytes())

    async def served(server: Server) -> int:
        """The serial number of the certificate that a new connection sees."""
        context = ssl.create_default_context(cafile=authority.file)
        context.load_cert_chain(authority.folder / "client.crt", authority.folder / "client.key")
        _, writer = await asyncio.open_connection("localhost", server.port, ssl=context)
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(found).serial_number

    def serial() -> int:
        return x509.load_pem_x509_certificate((authority.folder / "server.crt").read_bytes()).serial_number

    async def body() -> None:
        more = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n"
        async with serving(authority, more) as server:
            first = serial()
            assert await served(server) == first
            authority.issue("server")
            assert await served(server) == serial() != first
            good = serial()
            (authority.folder / "server.key").write_text("broken")
            with caplog.at_level(logging.ERROR):
                assert [await served(server) for _ in range(3)] == [good] * 3
            said = [record.message for record in caplog.records if record.levelno == logging.ERROR]
            assert len(said) == 1 and "the old one stays in use" in said[0]
            authority.issue("server")
            assert await served(server) == serial() != good
            assert await server.refused("newcomer")
            clients.write_bytes(other.file.read_bytes())
            assert await server.get("newcomer") == 200
            assert await server.refused("client")

    run(body)


# Passwords


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that bcrypt was asked about."""
    asked: list[bytes] = []
    real = bcrypt.checkpw

    def noted(password: bytes, wanted: bytes) -> bool:
        asked.append(wanted)
        return real(password, wanted)

    monkeypatch.setattr(web_config.bcrypt, "checkpw", noted)
    return asked


def test_right_and_wrong_passwords(checks: list[bytes]) -> None:
    async def body() -> None:
        guard = BasicAuth({"prometheus": HASH.encode(), "二": HASH.replace("$2b$", "$2y$").encode()})
        for header, right in (
            (basic("prometheus", PASSWORD), True),
            (basic("二", PASSWORD), True),
            (basic("prometheus", PASSWORD).replace("Basic", "basic"), True),
            (basic("prometheus", PASSWORD + "x"), False),
            (basic("prometheus", ""), False),
            (basic("prometheus", PASSWORD + "\0"), False),
            (basic("nobody", PASSWORD), False),
            (basic("", ""), False),
            ("", False),
            ("Bearer " + basic("prometheus", PASSWORD)[6:], False),
            ("Basic !!!", False),
            ("Basic " + base64.b64encode(b"prometheus").decode(), False),
            ("Basic " + base64.b64encode(b"\xff:x").decode(), False),
        ):
            assert await guard.allowed(header) is right, header

    run(body)


def test_a_right_password_costs_one_check_and_a_wrong_one_always(checks: list[bytes]) -> None:
    async def body() -> None:
        guard = BasicAuth({"a": HASH.encode()}, remembered=2)
        assert [await guard.allowed(basic("a", PASSWORD)) for _ in range(5)] == [True] * 5
        assert len(checks) == 1
        assert [await guard.allowed(basic("a", "wrong")) for _ in range(3)] == [False] * 3
        assert [await guard.allowed(basic("nobody", PASSWORD)) for _ in range(3)] == [False] * 3
        assert len(checks) == 7  # a user that does not exist costs a check too
        guard.use({"a": HASH.encode()})
        assert await guard.allowed(basic("a", PASSWORD)) and len(checks) == 8
        guard.use({"a": bcrypt.hashpw(b"another", bcrypt.gensalt(4))})
        assert not await guard.allowed(basic("a", PASSWORD))

    run(body)


def test_what_is_remembered_is_bounded_and_no_password(checks: list[bytes]) -> None:
    async def body() -> None:
        guard = BasicAuth({name: HASH.encode() for name in "abcde"}, remembered=3)
        for name in "abcde":
            assert await guard.allowed(basic(name, PASSWORD))
        assert len(guard._right) == 3
        assert all(len(mark) == 32 and PASSWORD.encode() not in mark for mark in guard._right)
        assert await guard.allowed(basic("e", PASSWORD)) and len(checks) == 5
        assert await guard.allowed(basic("a", PASSWORD)) and len(checks) == 6

    run(body)


def test_a_flood_of_passwords_is_bounded_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One check at a time, in a thread; more than may wait are told to come again; who is known passes at once."""
    go, running, most = threading.Event(), 0, 0

    def slow(password: bytes, wanted: bytes) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        go.wait(30)
        running -= 1
        return False

    async def body() -> None:
        guard = BasicAuth({"a": HASH.encode()}, waiting=4)
        assert await guard.allowed(basic("a", PASSWORD))
        monkeypatch.setattr(web_config.bcrypt, "checkpw", slow)
        flood = [asyncio.create_task(guard.allowed(basic("a", f"guess {number}"))) for number in range(20)]
        await asyncio.sleep(0)
        assert await guard.allowed(basic("a", PASSWORD))
        go.set()
        answers = await asyncio.gather(*flood)
        assert answers.count(None) == 16 and answers.count(False) == 4 and most == 1

    run(body)


@given(st.text(alphabet="./ABCXYZabcxyz0189", min_size=53, max_size=53), st.binary(max_size=100))
def test_no_hash_that_is_let_in_upsets_the_check(tail: str, password: bytes) -> None:
    text = f"basic_auth_users:\n  a: $2y$04${tail}\n"
    config = parse_web_config(text.encode(), HERE)
    assert web_config._same(password, config.users["a"]) is False


def test_without_users_nobody_is_asked() -> None:
    async def body() -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(text="ok")

        refusals: list[None] = []
        guard = BasicAuth({}, refused=lambda: refusals.append(None))
        app = web.Application(middlewares=[guard.middleware])
        app.router.add_get("/", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
            async with session.get(url) as reply:
                assert reply.status == 200 and not refusals
            guard.use({"a": HASH.encode()})
            async with session.get(url) as reply:
                assert reply.status == 401 and reply.headers["WWW-Authenticate"] == "Basic" and len(refusals) == 1
        await runner.cleanup()

    run(body)
