"""Text messages of departments: what is counted, what is sent once, and what is refused with a reason.

If these fail, a department sends past its quota or pays twice for one message, somebody sends in another's name, or a
restart forgets what was used.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ports import free_port

from egov_sms import admin, metrics
from egov_sms.answers import SENTENCES
from egov_sms.book import Book, Entry, month_of, seconds_left
from egov_sms.config import MOST_PARTS, OF_MANY, Config, Unfit, masked, parts_of, read_config
from egov_sms.kannel import Kannel
from egov_sms.service import Accounts, Service, hash_of

PROGRAM = Path(__file__).resolve().parents[2] / "exporters"
NOW = 1_795_700_000.0  # 2026-11-26, in the afternoon in China
KEY = "a key of thirty-two characters!!"
TITLE = {"zh": "市教育局", "en": "Education"}


def configured(**changes: Any) -> Config:
    data = {
        "accounts": {name: {"title": TITLE, "daily": 5, "monthly": 8} for name in ("education", "health")},
        "signature": "武威政务", "per_minute": 60, "kannel": "127.0.0.1:9", "status": "127.0.0.1:9",
        "listen": ["127.0.0.1"], "port": 0, "inside": 0,
    }  # fmt: skip
    return read_config(data | changes)


class Peer:
    """Kannel's sendsms and status page: keeps what came, answers as told."""

    def __init__(self) -> None:
        self.came: list[dict[str, str]] = []
        self.status, self.silent = 202, False
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                place = urlsplit(self.path)
                body = b"<gateway><sms><storesize>2</storesize></sms><smscs><smsc><status>online 5s</status>"
                body += b"<queued>1</queued></smsc></smscs></gateway>"
                if place.path == "/cgi-bin/sendsms":
                    peer.came.append({name: found[0] for name, found in parse_qs(place.query).items()})
                    body = b"0: Accepted for delivery"
                    if peer.silent:
                        self.close_connection = True
                        return
                self.send_response(peer.status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def peer() -> Iterator[Peer]:
    found = Peer()
    yield found
    found.server.shutdown()


@pytest.fixture
def service(tmp_path: Path, peer: Peer) -> Service:
    (tmp_path / "log").mkdir()
    (tmp_path / "accounts").write_text(f"education {hash_of(KEY)}\nhealth {hash_of(KEY[::-1])}\n")
    kannel = Kannel(peer.at, peer.at, "http://127.0.0.1:1/receipt", "secret")
    book = Book(tmp_path / "log", NOW)
    return Service(configured(), book, Accounts(tmp_path / "accounts"), kannel, b"salt")


def login(site: str = "education", key: str = KEY) -> str:
    return "Basic " + base64.b64encode(f"{site}:{key}".encode()).decode()


def post(service: Service, header: str | None = None, now: float = NOW, **changes: Any) -> tuple[int, dict[str, Any]]:
    data = {"id": "n1", "to": "13900000001", "text": "明日停水"} | changes
    body = json.dumps({name: value for name, value in data.items() if value is not ...}).encode()
    status, answer, _ = service.post(login() if header is None else header, body, now)
    return status, dict(answer)


@given(st.text(alphabet=st.characters(max_codepoint=0xFFFF, exclude_categories=["Cc", "Cs"]), min_size=1, max_size=400))
def test_a_text_is_as_many_parts_as_it_is_cut_into(text: str) -> None:
    whole = f"【武威政务】{text}"
    if not text.strip() or len(whole) > MOST_PARTS * OF_MANY:
        with pytest.raises(Unfit):
            configured().text(text, None)
        return
    assert configured().text(text, None) == whole
    pieces = [whole] if len(whole) <= 70 else [whole[at : at + 67] for at in range(0, len(whole), 67)]
    assert parts_of(whole) == len(pieces) and all(len(piece.encode("utf-16-be")) <= 140 for piece in pieces)


@pytest.mark.parametrize(("length", "parts"), [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (335, 5)])
def test_seventy_characters_alone_and_sixty_seven_in_a_row(length: int, parts: int) -> None:
    assert parts_of("字" * length) == parts


@given(st.from_regex(r"\+?[0-9]{5,15}", fullmatch=True))
def test_a_masked_number_hides_four_digits_at_least(mobile: str) -> None:
    shown = masked(mobile)
    hidden = shown.count("*")
    assert hidden >= min(4, len(mobile.removeprefix("+")) - 7) and hidden >= 1
    assert masked("13912340001") == "139****0001"


def test_a_message_is_signed_filled_and_handed_over_once(service: Service, peer: Peer) -> None:
    told = {"text": "{name}：{what}，{name}", "values": {"name": "李娜", "what": "{name}已通过"}}
    status, answer = post(service, **told)
    assert (status, answer["state"], answer["parts"]) == (202, "sent", 1)
    (sent,) = peer.came
    assert sent["text"] == "【武威政务】李娜：{name}已通过，李娜", "a value is not looked at again"
    assert (sent["coding"], sent["charset"], sent["to"]) == ("2", "UTF-8", "13900000001")
    status, answer = post(service, **told)
    assert (status, answer["repeated"]) == (200, True) and len(peer.came) == 1
    assert post(service, text="别的")[1]["error"] == "other" and len(peer.came) == 1
    assert post(service, login("health", KEY[::-1]))[0] == 202, "another department's ids are its own"


def test_a_quota_is_kept_and_ends_with_its_day(service: Service, peer: Peer) -> None:
    long = "长" * 100  # 2 parts
    assert [post(service, id=f"m{i}", text=long)[0] for i in range(3)] == [202, 202, 429]
    _, answer = post(service, id="m4", text=long)
    assert answer["error"] == "day" and "今日限额 5 条已用 4 条，这条要 2 条" in answer["zh"]
    assert post(service, id="m5")[0] == 202, "one part is left"
    tomorrow = NOW + seconds_left(NOW, month=False)
    assert post(service, id="m6", text=long, now=tomorrow)[0] == 202
    assert post(service, id="m7", text=long, now=tomorrow)[1]["error"] == "month", "8 a month, 7 are used"
    assert post(service, id="m8", text=long, now=NOW + seconds_left(NOW, month=True))[0] == 202
    assert len(peer.came) == 5 and post(service, login("health", KEY[::-1]))[0] == 202


def test_what_kannel_refuses_is_not_counted_and_may_be_sent_again(service: Service, peer: Peer) -> None:
    peer.status = 503
    status, answer = post(service)
    assert (status, answer["error"]) == (503, "kannel") and service.book.usage("education", NOW) == (0, 0)
    peer.status = 202
    assert post(service)[0] == 202 and service.book.usage("education", NOW) == (1, 1)


def test_what_may_have_been_taken_is_never_sent_again(service: Service, peer: Peer) -> None:
    peer.silent = True
    status, answer = post(service)
    assert (status, answer["state"]) == (202, "unknown")
    assert post(service)[1]["state"] == "unknown" and len(peer.came) == 1
    assert service.book.usage("education", NOW) == (1, 1), "it counts: somebody may have got it"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"id": "no spaces"}, "id"), ({"id": ""}, "id"), ({"id": "x" * 65}, "id"), ({"id": 5}, "form"),
        ({"id": ...}, "form"), ({"to": "139 0000"}, "to"), ({"to": "13900000001,13900000002"}, "to"),
        ({"to": ["13900000001"]}, "form"), ({"text": " \n"}, "empty"), ({"text": "好😀"}, "character"),
        ({"text": "a\x00b"}, "character"), ({"text": "字" * 400}, "long"),
        ({"text": "{name}你好", "values": {}}, "word"), ({"values": {"name": 5}}, "form"), ({"values": []}, "form"),
        ({"values": "name"}, "form"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_in_both_languages(
    service: Service, peer: Peer, changes: dict[str, Any], error: str
) -> None:
    status, answer = post(service, **changes)
    if changes == {"values": []}:
        assert status == 202, "no words, no values"
        return
    assert (status, answer["error"]) == (400, error)
    assert answer["zh"] and answer["en"] and "{{" not in answer["zh"] + answer["en"]
    assert peer.came == [] and service.book.entries == {}


def test_every_refusal_is_said_in_both_languages() -> None:
    for key, (status, zh, en) in SENTENCES.items():
        assert 400 <= status < 600 and any("一" <= letter <= "鿿" for letter in zh) and en.isascii(), key


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic !!!", "Bearer x", login(key="wrong"), login("nobody"), login("health"), login(key=""),
     "Digest " + login().partition(" ")[2]],
)  # fmt: skip
def test_nobody_sends_without_his_own_key(service: Service, peer: Peer, header: str) -> None:
    status, answer, more = service.post(header, b"{}", NOW)
    assert (status, answer["error"]) == (401, "login") and "Basic" in more["WWW-Authenticate"] and peer.came == []


def test_a_key_of_a_site_that_left_the_plan_opens_nothing(service: Service) -> None:
    service.config = replace(service.config, accounts={"health": service.config.accounts["health"]})
    assert post(service)[0] == 401


def test_who_asks_too_often_waits_and_others_do_not(service: Service) -> None:
    service.config = configured(per_minute=3)
    assert [post(service, id="same")[0] for _ in range(4)] == [202, 200, 200, 429]
    assert post(service, login("health", KEY[::-1]))[0] == 202
    assert post(service, id="same", now=NOW + 21)[0] == 200, "a third of a minute brings one back"


def test_reports_of_delivery_are_taken_with_their_token_only(service: Service) -> None:
    post(service)
    assert not service.receipt("education", "n1", "0" * 32, "delivered", NOW)
    token = service.token("education", "n1")
    assert service.receipt("education", "n1", token, "submitted", NOW)
    assert service.receipt("education", "n1", token, "delivered", NOW)
    service.receipt("education", "n1", token, "undelivered", NOW)
    assert service.message(login(), "n1", NOW)[1]["state"] == "delivered", "an end is an end"
    assert service.message(login("health", KEY[::-1]), "n1", NOW)[0] == 404


def test_nothing_is_sent_that_cannot_be_put_on_record(service: Service, peer: Peer) -> None:
    service.book.folder = service.book.folder / "gone"
    assert post(service)[1]["error"] == "disk" and peer.came == []


def events() -> st.SearchStrategy[list[tuple[str, str, int, str]]]:
    states = st.sampled_from(["sent", "failed", "delivered", "undelivered", "unknown"])
    one = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2", "3"]), st.integers(1, 5), states)
    return st.lists(one, max_size=30)


@settings(max_examples=30, deadline=None)
@given(events(), st.integers(0, 40))
def test_a_restart_knows_what_was_known(tmp_path_factory: pytest.TempPathFactory, told: Any, cut: int) -> None:
    folder = tmp_path_factory.mktemp("book")
    book = Book(folder, NOW)
    for step, (site, identity, parts, state) in enumerate(told):
        at = NOW + step * 7200
        book.take(Entry(at, site, identity, "139****0001", parts, "d", changed=at), 9, 30)
        book.note(site, identity, state, at)
    again = Book(folder, NOW + len(told) * 7200)
    assert again.broken == 0 and again.entries.keys() == book.entries.keys()
    assert {key: entry.state for key, entry in again.entries.items()} == {k: e.state for k, e in book.entries.items()}
    for site in ("a", "b"):
        for step in range(len(told)):
            assert again.usage(site, NOW + step * 7200) == book.usage(site, NOW + step * 7200)
    # A crash in the middle of a line costs that line, and not the next one.
    path = folder / f"{month_of(NOW)}.jsonl"
    if path.exists() and cut:
        path.write_bytes(path.read_bytes()[:-cut])
        torn = Book(folder, NOW)
        torn.take(Entry(NOW, "c", "new", "139****0001", 1, "d"), 9, 30)
        assert ("c", "new") in Book(folder, NOW).entries


def test_a_new_month_forgets_what_is_older_than_the_last(tmp_path: Path) -> None:
    book, month = Book(tmp_path, NOW), 31 * 86_400
    for number in range(3):
        at = NOW + number * month
        book.take(Entry(at, "a", str(number), "1", 1, "d", changed=at), 9, 9)
    assert [key[1] for key in book.entries] == ["1", "2"]
    assert [key[1] for key in Book(tmp_path, NOW + 2 * month).entries] == ["1", "2"]


def test_metrics_say_what_was_sent_refused_and_used(service: Service) -> None:
    post(service), post(service, id="no spaces"), post(service, id="m2", text="长" * 100)
    said = metrics.exposition(service, NOW).splitlines()
    for line in (
        'egov_sms_sent_total{department="education"} 2', 'egov_sms_parts_total{department="education"} 3',
        'egov_sms_refused_total{department="education",reason="id"} 1',
        'egov_sms_quota_used_parts{department="education",period="day"} 3',
        'egov_sms_quota_parts{department="education",period="month"} 8',
        "egov_sms_kannel_up 1", "egov_sms_centre_online 1", "egov_sms_queue_messages 3",
        # Counted from 0 on, of who has a key: a rate sees the first one too.
        'egov_sms_undelivered_total{department="education"} 0',
    ):  # fmt: skip
        assert line in said, line
    service.kannel = replace(service.kannel, status="127.0.0.1:9")
    assert "egov_sms_kannel_up 0" in metrics.exposition(service, NOW)


# The program as it lies on a host.


@pytest.fixture
def host(tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # no user egov-sms here
    for name in ("sms", "keys", "home/log"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "sms/egov_sms").symlink_to(PROGRAM / "egov_sms")
    (tmp_path / "sms/__main__.py").symlink_to(PROGRAM / "egov_sms/__main__.py")
    admin.init("sms.x.example", tmp_path / "home", tmp_path / "keys")
    (tmp_path / "keys/sms_kannel.key").rename(tmp_path / "keys/password")
    account = {"title": TITLE, "daily": 5, "monthly": 8}
    data = {
        "accounts": {"education": account}, "signature": "武威政务", "per_minute": 60, "kannel": peer.at,
        "status": peer.at, "listen": ["127.0.0.1"], "port": free_port(), "inside": free_port(),
    }  # fmt: skip
    (tmp_path / "sms.json").write_text(json.dumps(data), encoding="utf-8")
    return tmp_path


def program(host: Path, *words: str) -> list[str]:
    told = ["--config", str(host / "sms.json"), "--home", str(host / "home")]
    return [sys.executable, "-I", "-B", str(host / "sms"), *told, *words]


@contextmanager
def running(host: Path) -> Iterator[subprocess.Popen[bytes]]:
    data = json.loads((host / "sms.json").read_text())
    with subprocess.Popen(program(host, "serve", "--keys", str(host / "keys"))) as process:
        try:
            for port in (data["inside"], data["port"]):
                limit = time.monotonic() + 20
                while True:
                    with socket.socket() as probe:
                        if probe.connect_ex(("127.0.0.1", port)) == 0:
                            break
                    assert process.poll() is None and time.monotonic() < limit
                    time.sleep(0.05)
            yield process
        finally:
            process.kill()


def call(host: Path, path: str, key: str, data: Any = None) -> tuple[int, dict[str, Any]]:
    port = json.loads((host / "sms.json").read_text())["port"]
    context = ssl.create_default_context(cafile=str(host / "keys/sms.crt"))
    context.check_hostname = False
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", body, {"Authorization": login(key=key)})
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_from_a_new_key_to_a_report_of_delivery_and_over_a_kill(host: Path, peer: Peer) -> None:
    data = json.loads((host / "sms.json").read_text())
    key = admin.new_key(read_config(data), "education", host / "home")
    message = {"id": "n1", "to": "13900000001", "text": "明日停水"}
    with running(host) as process:
        assert call(host, "/messages", "wrong", message)[0] == 401
        assert call(host, "/messages", key, message)[0] == 202
        report = peer.came[0]["dlr-url"].replace("%d", "1")
        urllib.request.urlopen(report, timeout=5).close()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(report.replace("token=", "token=0"), timeout=5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running(host):
        status, answer = call(host, "/messages", key, message)
        assert (status, answer["state"], answer["repeated"]) == (200, "delivered", True) and len(peer.came) == 1
        assert call(host, "/quota", key)[1]["day"] == {"used": 1, "quota": 5}
        assert call(host, "/nowhere", key)[0] == 404
        said = metrics.probe(("127.0.0.1", data["port"]), data["inside"], host / "keys/sms.crt")
        assert "egov_sms_answering 1" in said and "egov_sms_centre_online 1" in said
        admin.lock(read_config(data), "education", host / "home")
        assert call(host, "/quota", key)[0] == 401, "at once, without a restart"
    said = metrics.probe(("127.0.0.1", data["port"]), data["inside"], host / "keys/sms.crt")
    assert "egov_sms_answering 0" in said and "kannel_up" not in said
    files = [path for path in (host / "home").rglob("*") if path.is_file()]
    assert all(key not in path.read_text() and "13900000001" not in path.read_text() for path in files)


def test_the_tool_lists_locks_and_logs_and_says_what_is_wrong_in_a_sentence(host: Path) -> None:
    def told(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(program(host, *words), capture_output=True, text=True, timeout=20, check=False)

    now = time.time()
    Book(host / "home/log", now).take(Entry(now, "education", "n1", "139****0001", 2, "d", changed=now), 5, 8)
    assert told("list").stdout == "education no key (市教育局 / Education)\n"
    assert told("quota").stdout == "education today 2 of 5, this month 2 of 8\n"
    assert told("log", "education").stdout.split()[1:] == ["education", "n1", "139****0001", "parts=2", "taken"]
    assert told("log", "elsewhere").stdout == ""
    for words in (("key", "nobody"), ("lock", "education"), ("lock", "nobody")):
        done = told(*words)
        assert done.returncode == 3 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, words
    assert told().returncode == 2
    (host / "sms.json").write_text("{}")
    assert told("list").returncode == 2


def test_the_copy_for_the_backup_is_whole_lines_and_all_that_a_restore_needs(host: Path) -> None:
    home = host / "home"
    Book(home / "log", NOW).take(Entry(NOW, "education", "n1", "139****0001", 1, "d", changed=NOW), 5, 8)
    with (home / "log" / f"{month_of(NOW)}.jsonl").open("a") as stream:
        stream.write('{"at": 1, "si')
    admin.copy(home), admin.copy(home)
    assert {path.name for path in (home / "copy").rglob("*") if path.is_file()} == {
        "accounts", "salt", f"{month_of(NOW)}.jsonl",
    }  # fmt: skip
    assert Book(home / "copy/log", NOW).broken == 0
    assert list(Book(home / "copy/log", NOW).entries) == [("education", "n1")]


def test_keys_and_passwords_are_made_once_and_belong_to_the_host(host: Path) -> None:
    before = {path.name: path.read_text() for path in (host / "keys").iterdir()}
    assert "PRIVATE KEY" in before["sms.key"] and len(before["password"].strip()) == 32
    (host / "keys/password").rename(host / "keys/sms_kannel.key")
    admin.init("sms.x.example", host / "home", host / "keys")
    assert (host / "keys/sms.key").read_text() == before["sms.key"]
    assert (host / "keys/sms_kannel.key").read_text() == before["password"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (host / "keys").glob("*.key"))


def test_kannels_configuration_gets_the_hosts_own_password_for_its_unit_only(host: Path) -> None:
    (host / "keys/conf").write_text('password = "@own:password@"\n')
    done = subprocess.run(program(host, "fill", str(host / "keys"), str(host / "out.conf")), timeout=20, check=False)
    assert done.returncode == 0 and (host / "out.conf").stat().st_mode & 0o077 == 0
    assert (host / "out.conf").read_text() == f'password = "{(host / "keys/password").read_text().strip()}"\n'
