"""`egovctl serve` for the office's network: a real server with a certificate, asked as a browser asks.

If this fails, pages are shown without a password, or a password goes over the line for everybody to read.
"""

from __future__ import annotations

import base64
import datetime
import http.client
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from played_city import until
from playwright.sync_api import sync_playwright
from ports import free_port
from promtool import PROJECT, program

PASSWORD = "canary-of-the-wall"


def certificate(folder: Path) -> None:
    """web.crt and web.key, for localhost and 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wall")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "web.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "web.key").touch(0o600)
    (folder / "web.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@dataclass
class Served:
    """Our server, listening on all addresses."""

    folder: Path
    port: int

    def ask(self, password: str | None, user: str = "wall", path: str = "/page/wall?lang=en") -> tuple[int, str]:
        """Status and body, over TLS that is verified."""
        context = ssl.create_default_context(cafile=self.folder / "web.crt")
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=context)
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        connection.request("GET", path, headers={} if password is None else {"Authorization": f"Basic {token}"})
        answer = connection.getresponse()
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.status != 401 or answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert answer.status != 429 or int(answer.headers["Retry-After"]) > 0
        return answer.status, answer.read().decode()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("login")
    certificate(folder)
    found = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    tls = "tls_server_config: {cert_file: web.crt, key_file: web.key}"
    (folder / "web.yml").write_text(f"{tls}\nbasic_auth_users: {{wall: {found}, duty: {found}}}\n")
    number = free_port()
    command = [sys.executable, "-m", "egovctl", "serve", "-i", "lab", "--prometheus", f"http://127.0.0.1:{free_port()}"]
    command += ["--listen", f"0.0.0.0:{number}", "--web-config", str(folder / "web.yml")]
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "EGOV_PROJECT": str(PROJECT), "EGOV_LANG": "en"}
        )
    made = Served(folder, number)
    try:
        until(lambda: "the wall: https://0.0.0.0:" in made.log, "our server should say where it is")
        yield made
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0


def test_nothing_is_shown_without_a_password(served: Served) -> None:
    for path in ("/", "/page/wall", "/panel/wall/truth", "/static/egov.js", "/runbook/sites", "/no/such", "/../etc"):
        assert served.ask(None, path=path) == (401, "请登录 / log in\n")


def test_the_right_password_opens_the_pages(served: Served) -> None:
    status, body = served.ask(PASSWORD)
    assert status == 200 and "data-address" in body
    assert served.ask(PASSWORD, path="/static/egov.js")[0] == 200
    assert served.ask(PASSWORD, path="/no/such")[0] == 404


def test_wrong_passwords_are_told_and_slowed(served: Served) -> None:
    statuses = [served.ask(f"{PASSWORD}{number}", "duty")[0] for number in range(6)]
    assert statuses[:3] == [401, 401, 401] and 429 in statuses[3:]
    assert served.ask(PASSWORD, "wall")[0] == 200
    assert "login refused: 127.0.0.1, user duty, number 1 in a row" in served.log
    assert "not heard for 1 s" in served.log and "canary" not in served.log


def test_nothing_is_said_without_tls(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as plain:
        plain.sendall(b"GET /page/wall HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/" not in plain.recv(100)


def test_a_browser_logs_in_once_and_goes_on(served: Served) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        login = {"username": "wall", "password": PASSWORD}
        page = browser.new_context(ignore_https_errors=True, http_credentials=login).new_page()  # type: ignore[arg-type]
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"https://localhost:{served.port}/page/wall?lang=en")
        with page.expect_response("**/panel/wall/truth*", timeout=40_000) as fetched:
            pass
        assert fetched.value.status == 200 and not wrong
        browser.close()


@pytest.mark.parametrize("listen", ["0.0.0.0:8600", "[::]:8600"])
def test_a_password_without_tls_is_for_this_machine_only(served: Served, listen: str) -> None:
    text = (served.folder / "web.yml").read_text().split("\n", 1)[1]
    (served.folder / "plain.yml").write_text(text)
    command = [sys.executable, "-m", "egovctl", "serve", "-i", "lab", "--listen", listen]
    command += ["--web-config", str(served.folder / "plain.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "the pages have no TLS" in done.stderr and "Traceback" not in done.stderr
