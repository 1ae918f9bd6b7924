"""The ways out, against peers in this process: what arrives, what is signed, what counts as taken, what is never said.

If these fail, a gateway refuses every message of the city, or a secret stands in a log.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_peers import alert, config, gateway, person, posted, relay

from egov_notify import fill, ways
from egov_notify.config import Config, Gateway, Signature, read_config
from egov_notify.state import Message, State, hear
from egov_notify.ways import Refused, Trouble
from egovctl.lab import gateway as stand_in
from egovctl.plan.models import SmsHttp, SmsSignature
from egovctl.plan.rules_contacts import TEMPLATE_WORDS

NOW = 1_800_000_000.0
SECRET = "s3cret-of-the-gateway"
HTTP = {
    "kind": "http",
    "user": "noc",
    "secret": SECRET,
    "fields": {"account": "{user}", "phones": "{mobile}", "content": "【某市】{text}", "msgid": "{id}"},
    "accepted": {"code": "0"},
}
SIGNED = {"field": "sign", "algorithm": "hmac-sha256", "tail": "", "encoding": "hex"}


def message(people: Config, way: str) -> Message:
    one = State()
    hear(one, people, posted(alert()), NOW)
    return next(item for item in one.waiting if item.way == way)


def send(people: Config, way: str) -> Message:
    found = message(people, way)
    ways.send(people, people.recipients[0], found, NOW)
    return found


def mail_config(port: int, **fields: Any) -> Config:
    return config(mail={"host": "127.0.0.1", "port": port, "tls": "may", "sender": "noc@example.org"}, **fields)


def sms_config(url: str, **changes: Any) -> Config:
    return config(person(ways=["sms"]), sms=[{**HTTP, "url": url, **changes}])


def test_a_letter_arrives_whole_and_keeps_its_identity() -> None:
    with relay() as kept:
        people = mail_config(kept.port)
        for _ in range(2):
            ways.send(people, people.recipients[0], message(people, "mail"), NOW)
        (sender, to, letter), (_, _, again) = kept.letters
    assert (sender, to) == ("noc@example.org", ["duty@example.org"])
    assert letter["Subject"] == "[某市] 告警：中断：民勤县汇聚节点（+4）"
    assert "所有主机都没有应答。" in letter.get_content()
    assert letter["Message-ID"] == again["Message-ID"] and letter["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(("code", "wrong"), [(550, Refused), (450, Trouble)])
def test_a_refused_recipient_is_given_up_a_busy_relay_is_not(code: int, wrong: type[Exception]) -> None:
    with relay() as kept:
        kept.refuse = code
        with pytest.raises(wrong, match=str(code)) as caught:
            send(mail_config(kept.port), "mail")
    assert type(caught.value) is wrong


def test_a_relay_that_is_not_there_or_has_no_trusted_certificate_is_trouble() -> None:
    with relay() as kept:
        people = config(mail={"host": "127.0.0.1", "port": kept.port, "tls": "verify", "sender": "noc@example.org"})
        with pytest.raises(Trouble):
            send(people, "mail")
        assert kept.letters == []
    with pytest.raises(Trouble, match="refused"):
        send(mail_config(9), "mail")


def test_a_gateway_gets_its_fields_and_what_it_answers_decides() -> None:
    with gateway() as kept:
        found = send(sms_config(kept.url + "/send", sign=SIGNED), "sms")
        ((path, fields, _),) = kept.requests
        assert path == "/send" and fields["phones"] == "10000000001" and fields["msgid"] == found.id
        assert fields["content"] == "【某市】告警：中断：民勤县汇聚节点（+4）"
        said = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "sign")
        assert fields["sign"] == hmac.new(SECRET.encode(), said.encode(), hashlib.sha256).hexdigest()
        kept.answer = {"code": "7", "message": SECRET}
        with pytest.raises(Trouble, match="code 7, not 0"):
            send(sms_config(kept.url, sign=SIGNED), "sms")
        for answer in ({}, {"code": None}):
            kept.answer = answer
            with pytest.raises(Trouble):
                send(sms_config(kept.url), "sms")
        kept.status = 502
        with pytest.raises(Trouble, match="502"):
            send(sms_config(kept.url), "sms")


def test_a_gateway_by_get_has_its_words_quoted_in_the_address() -> None:
    with gateway() as kept:
        send(sms_config(kept.url + "/{user}/send?tenant=1", method="GET", user="a b&c"), "sms")
        ((path, fields, _),) = kept.requests
    assert path.startswith("/a%20b%26c/send?tenant=1&account=") and fields["account"] == "a b&c"


def test_a_gateway_by_json_has_its_headers_filled() -> None:
    with gateway() as kept:
        send(sms_config(kept.url, body="json", headers={"X-Key": "{secret}"}), "sms")
        ((_, fields, headers),) = kept.requests
    assert fields["phones"] == "10000000001" and headers["X-Key"] == SECRET


def test_a_redirect_is_no_delivery_and_carries_no_secret_elsewhere() -> None:
    with gateway() as kept:
        kept.status = 302
        with pytest.raises(Trouble, match="302"):
            send(sms_config(kept.url), "sms")


def test_the_next_gateway_takes_what_the_first_does_not(tmp_path: Path) -> None:
    spool = tmp_path / "outgoing"
    spool.mkdir()
    both = [{**HTTP, "url": "http://127.0.0.1:9/"}, {"kind": "smstools", "folder": str(spool)}]
    found = send(config(person(ways=["sms"], mobile="+8610000000001"), sms=both), "sms")
    (file,) = spool.iterdir()
    head, _, text = file.read_bytes().partition(b"\n\n")
    assert head == b"To: 8610000000001\nAlphabet: UCS" and text.decode("utf-16-be") == found.short
    assert list(tmp_path.iterdir()) == [spool]


def test_kannel_is_asked_as_its_sendsms_wants_it() -> None:
    with gateway() as kept:
        one = {"kind": "kannel", "url": kept.url + "/cgi-bin/sendsms", "user": "noc", "secret": "pass word"}
        found = send(config(person(ways=["sms"]), sms=[one]), "sms")
        ((path, fields, _),) = kept.requests
    assert path.startswith("/cgi-bin/sendsms?")
    want = {"username": "noc", "password": "pass word", "to": "10000000001", "text": found.short}
    assert fields == {**want, "charset": "UTF-8", "coding": "2"}


def test_robots_get_text_and_dingtalk_a_signature() -> None:
    with gateway() as kept:
        robots = {
            "wecom": {"url": kept.url, "token": "k"},
            "dingtalk": {"url": kept.url, "token": "t", "secret": "SEC"},
        }
        people = config(person(ways=["wecom", "dingtalk"]), **robots)
        send(people, "wecom")
        send(people, "dingtalk")
        (wecom, said, _), (dingtalk, _, _) = kept.requests
        assert wecom == "/?key=k" and said["msgtype"] == "text" and "民勤县汇聚节点" in said["text"]["content"]
        assert "access_token=t&timestamp=1800000000000&sign=" in dingtalk
        kept.answer = {"errcode": 310000, "errmsg": "keywords not in content"}
        with pytest.raises(Trouble, match="310000"):
            send(people, "dingtalk")


def test_dingtalk_signature_is_that_of_its_documentation() -> None:
    """Their example's construction, reckoned here by hand: the key signs TIME LF KEY."""
    digest = hmac.new(b"SEC", b"1800000000000\nSEC", hashlib.sha256).digest()
    assert ways.dingtalk_signature("SEC", 1_800_000_000_000)["sign"] == base64.b64encode(digest).decode()


def test_md5_of_sorted_fields_with_the_key_at_the_end() -> None:
    sign = Signature("sign", "md5", "&key={secret}", "HEX")
    assert fill.signature(sign, {"b": "2", "a": "1"}, "k") == hashlib.md5(b"a=1&b=2&key=k").hexdigest().upper()


ALGORITHMS = get_args(SmsSignature.model_fields["algorithm"].annotation)
VALUES = st.dictionaries(st.sampled_from("abcde"), st.text(max_size=20), min_size=1)


@given(
    VALUES,
    st.sampled_from(ALGORITHMS),
    st.sampled_from(["hex", "HEX", "base64"]),
    st.sampled_from([None, "&k={secret}"]),
)
def test_the_stand_in_of_the_lab_reckons_the_same_signature(
    fields: dict[str, str], algorithm: Any, encoding: Any, tail: str | None
) -> None:
    fields = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
    planned = SmsSignature(field="sign", algorithm=algorithm, encoding=encoding, tail=tail)
    ours = fill.signature(Signature("sign", algorithm, tail or "", encoding), fields, SECRET)
    assert ours == stand_in.signed(planned, fields, SECRET)


def test_the_stand_in_refuses_another_secret_and_other_fields() -> None:
    planned = SmsHttp(
        kind="http", url="http://192.0.2.1/", fields={"to": "{mobile}", "say": "{text}"},
        sign=SmsSignature(field="sign", algorithm="md5", tail="{secret}"),
    )  # fmt: skip
    one = Gateway("http", fields=planned.fields, sign=Signature("sign", "md5", "{secret}", "hex"), secret=SECRET)
    fields = fill.signed_fields(one, fill.words_for(one, "1", "x", "i", NOW))
    assert stand_in.judge(planned, fields, SECRET) == ""
    assert stand_in.judge(planned, fields, "other") == "signature"
    assert stand_in.judge(planned, {"to": "1"}, SECRET) == "fields"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[tuple[str, Path, Path]]:
    """The lab's stand-in with a gateway that wants HMAC-SM3 over time and nonce: (address, its log, its secret)."""
    planned = SmsHttp(
        kind="http", url="http://192.0.2.1/", accepted={"code": "0"}, fields=PROVEN,
        sign=SmsSignature(field="sign", algorithm="hmac-sm3", encoding="base64"),
    )  # fmt: skip
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    server = stand_in.server(planned, ("127.0.0.1", 0), tmp_path / "log", tmp_path / "secret")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", tmp_path / "log", tmp_path / "secret"
    server.shutdown()
    server.server_close()
    thread.join()


PROVEN = {"to": "{mobile}", "say": "【某市】{text}", "at": "{seconds}", "once": "{nonce}"}
SM3 = {"field": "sign", "algorithm": "hmac-sm3", "tail": "", "encoding": "base64"}


def test_a_signed_message_is_taken_once_and_only_with_the_right_secret(platform: tuple[str, Path, Path]) -> None:
    url, log, secret = platform
    people = sms_config(url, fields=PROVEN, sign=SM3)
    found = message(people, "sms")
    for _ in range(2):  # an attempt that is made again is another request
        ways.send(people, people.recipients[0], found, time.time())
    taken = [json.loads(line)["fields"] for line in log.read_text(encoding="utf-8").splitlines()]
    assert [item["say"] for item in taken] == [f"【某市】{found.short}"] * 2
    assert taken[0]["once"] != taken[1]["once"] and taken[0]["sign"] != taken[1]["sign"]

    def again(**changes: str) -> str:
        body = urllib.parse.urlencode({**taken[0], **changes}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=5) as answer:
            return str(json.load(answer)["code"])

    assert again() == "replay"
    assert again(to="10000000009") == again(once="0" * 32) == again(at="1") == "signature"
    with pytest.raises(Trouble, match="code time, not 0"):
        ways.send(people, people.recipients[0], found, time.time() - 3600)
    secret.write_text("another", encoding="utf-8")
    with pytest.raises(Trouble, match="code signature, not 0"):
        ways.send(people, people.recipients[0], found, time.time())
    assert len(log.read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("word", ["{time}", "{seconds}", "{milliseconds}"])
def test_a_time_is_chinas_wherever_the_host_is(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    planned = SmsHttp(
        kind="http", url="http://192.0.2.1/", fields={"to": "{mobile}", "say": "{text}", "at": word},
        sign=SmsSignature(field="sign", algorithm="hmac-sha256"),
    )  # fmt: skip
    one = Gateway("http", fields=planned.fields, sign=Signature("sign", "hmac-sha256", "", "hex"), secret=SECRET)
    fields = fill.signed_fields(one, fill.words_for(one, "1", "x", "i", NOW))
    assert word != "{time}" or fields["at"] == "20270115160000"  # eight in the morning in Greenwich
    memory = stand_in.Memory(planned)
    assert memory.judge(fields, NOW + 301) == memory.judge(fields, NOW - 301) == "time"
    assert [memory.judge(fields, NOW + 1), memory.judge(fields, NOW + 2)] == ["", "replay"]
    monkeypatch.undo()
    time.tzset()


def test_hmac_by_sm3_is_that_of_the_standard() -> None:
    """SM3 as the standard has it (GB/T 32905, example 1), and HMAC over it reckoned by hand."""
    assert hashlib.new("sm3", b"abc").hexdigest() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    inner, outer = (bytes(byte ^ pad for byte in b"k".ljust(64, b"\0")) for pad in (0x36, 0x5C))
    digest = hashlib.new("sm3", outer + hashlib.new("sm3", inner + b"a=1&b=2").digest()).hexdigest()
    assert fill.signature(Signature("sign", "hmac-sm3", "", "hex"), {"b": "2", "a": "1"}, "k") == digest
    plain = fill.signature(Signature("sign", "sm3", "&key={secret}", "hex"), {"a": "1"}, "k")
    assert plain == hashlib.new("sm3", b"a=1&key=k").hexdigest()


def test_an_algorithm_that_the_host_has_not_is_trouble_and_no_fault() -> None:
    with gateway() as kept:
        with pytest.raises(Trouble, match="OpenSSL"):
            send(sms_config(kept.url, sign={**SIGNED, "algorithm": "hmac-sm99"}), "sms")
        assert kept.requests == []


def test_plan_and_program_know_the_same_words() -> None:
    assert set(TEMPLATE_WORDS) == set(fill.WORDS) == set(fill.words_for(Gateway("http"), "", "", "", NOW))


def test_what_a_word_holds_is_no_template() -> None:
    assert fill.fill("{text}-{nothing}", {"text": "{secret}", "secret": SECRET}) == "{secret}-{nothing}"


def test_no_trouble_and_no_repr_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    robots = {"wecom": {"url": "http://127.0.0.1:9/x", "token": SECRET}}
    kannel = {"kind": "kannel", "url": "http://127.0.0.1:9/", "user": "noc", "secret": SECRET}
    mail = {"host": "127.0.0.1", "port": 9, "tls": "verify", "sender": "a@b.c", "user": "u", "password": SECRET}
    people = read_config(
        {"city": {"zh": "", "en": ""}, "recipients": [person(ways=["wecom", "sms", "mail"])], "sms": [kannel],
         "mail": mail, **robots}
    )  # fmt: skip
    for way in ("wecom", "sms", "mail"):
        with pytest.raises(Trouble) as caught:
            send(people, way)
        assert SECRET not in str(caught.value)
    assert SECRET not in repr(people) and SECRET not in caplog.text
