"""The ways out: mail, text messages, robots of groups. Each sends one message now, or says why not.

No address, no answer and no error that is logged shows a secret: a gateway's URL may have one in it.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import json
import os
import smtplib
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from egov_notify import texts
from egov_notify.config import Config, Gateway, Mail, Recipient, Robot
from egov_notify.fill import fill, signed_fields, words_for
from egov_notify.state import Message

TIMEOUT = 10.0
LONGEST_ANSWER = 65_536


class Trouble(Exception):
    """It did not go out now; later it may. The sentence is for the log."""


class Refused(Trouble):
    """It will never go out: the relay knows no such recipient."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A gateway that sends a message elsewhere would be given its secret there."""

    def redirect_request(self, *_: object) -> None:
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)
Send = Callable[[Config, Recipient, Message, float], None]


def send(config: Config, recipient: Recipient, message: Message, now: float) -> None:
    """Send one message by its way. Raises Trouble, or Refused when it never will be taken."""
    WAYS[message.way](config, recipient, message, now)


def send_mail(config: Config, recipient: Recipient, message: Message, now: float) -> None:
    """Hand it to the relay. Its Message-ID is the same in every attempt."""
    if config.mail is None:
        raise Refused("no relay is planned")
    mail = config.mail
    letter = _letter(mail, recipient.mail, message, now)
    try:
        with smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT) as relay:
            relay.ehlo()
            if mail.tls == "verify" or (mail.tls == "may" and relay.has_extn("starttls")):
                relay.starttls(context=_tls(verify=mail.tls == "verify"))
                relay.ehlo()
            if mail.user is not None:
                relay.login(mail.user, mail.password)
            relay.send_message(letter, mail.sender, [recipient.mail])
    except smtplib.SMTPRecipientsRefused as why:
        code = max((answer[0] for answer in why.recipients.values()), default=0)
        raise (Refused if 500 <= code < 600 else Trouble)(f"the relay refused the recipient with {code}") from None
    except smtplib.SMTPResponseException as why:
        raise Trouble(f"the relay answered {why.smtp_code}") from None
    except (smtplib.SMTPException, OSError, ValueError) as why:
        raise Trouble(f"the relay cannot be used: {_reason(why)}") from None


def _letter(mail: Mail, to: str, message: Message, now: float) -> EmailMessage:
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"], letter["Subject"] = mail.sender, to, message.subject
    letter["Date"] = email.utils.formatdate(now, localtime=True)
    letter["Message-ID"] = f"<{message.id}.{message.way}@{mail.sender.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.body)
    return letter


def _tls(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:  # as Postfix's "may": against who listens in, not against who stands in
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def send_sms(config: Config, recipient: Recipient, message: Message, now: float) -> None:
    """Give it to the first gateway that takes it, in the plan's order."""
    reasons = []
    for gateway in config.sms:
        try:
            GATEWAYS[gateway.kind](gateway, recipient.mobile, message, now)
            return
        except Trouble as why:
            reasons.append(f"{gateway.kind}: {why}")
    raise Trouble("; ".join(reasons) or "no gateway is planned")


def _by_http(gateway: Gateway, mobile: str, message: Message, now: float) -> None:
    words = words_for(gateway, mobile, message.short, message.id, now)
    try:
        fields = signed_fields(gateway, words)
    except ValueError:
        raise Trouble("OpenSSL of this host has not the algorithm that the gateway wants signatures by") from None
    quoted = {name: urllib.parse.quote(value, safe="", encoding=gateway.charset) for name, value in words.items()}
    url, data = fill(gateway.url, quoted), None
    headers = {name: fill(value, words) for name, value in gateway.headers.items()}
    form = urllib.parse.urlencode(fields, encoding=gateway.charset, errors="replace")
    if gateway.method == "GET":
        url += ("&" if "?" in url else "?") + form
    elif gateway.body == "json":
        data = json.dumps(fields, ensure_ascii=False).encode(gateway.charset, "replace")
        headers["Content-Type"] = f"application/json; charset={gateway.charset}"
    else:
        data = form.encode()
        headers["Content-Type"] = f"application/x-www-form-urlencoded; charset={gateway.charset}"
    answer = _request(url, data, headers)
    if gateway.accepted:
        _expect(answer, gateway.accepted)


def _by_kannel(gateway: Gateway, mobile: str, message: Message, now: float) -> None:
    fields = {"username": gateway.user, "password": gateway.secret, "to": mobile, "text": message.short}
    form = urllib.parse.urlencode({**fields, "charset": "UTF-8", "coding": "2"})
    _request(gateway.url + ("&" if "?" in gateway.url else "?") + form, None, {})


def _into_spool(gateway: Gateway, mobile: str, message: Message, now: float) -> None:
    """smstools' folder of outgoing messages: written beside under a name that it passes over, then given its name."""
    head = f"To: {mobile.removeprefix('+')}\nAlphabet: UCS\n\n".encode()
    folder, name = Path(gateway.folder), f"egov-{message.id}-{message.recipient}"
    beside = folder.parent / f".{name}"
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o660), "wb") as stream:
            stream.write(head + message.short.encode("utf-16-be", "replace"))
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(folder / name)
    except OSError as why:
        raise Trouble(f"the spool cannot be written: {_reason(why)}") from None


def send_wecom(config: Config, recipient: Recipient, message: Message, now: float) -> None:
    """Post it to the group's robot of WeCom."""
    robot = _robot(config.wecom)
    text = {"content": f"{message.subject}\n\n{message.body}"[:600]}  # the robot takes 2048 octets
    _post(f"{robot.url}?{urllib.parse.urlencode({'key': robot.token})}", {"msgtype": "text", "text": text})


def send_dingtalk(config: Config, recipient: Recipient, message: Message, now: float) -> None:
    """Post it to the group's robot of DingTalk, signed with its secret."""
    robot = _robot(config.dingtalk)
    query = {"access_token": robot.token}
    if robot.secret:
        query |= dingtalk_signature(robot.secret, int(now * 1000))
    text = {"content": f"{message.subject}\n\n{message.body}"[:5000]}
    _post(f"{robot.url}?{urllib.parse.urlencode(query)}", {"msgtype": "text", "text": text})


def dingtalk_signature(secret: str, milliseconds: int) -> dict[str, str]:
    """What DingTalk wants in the query: HMAC-SHA256 with the secret over the time, a line end and the secret."""
    said = f"{milliseconds}\n{secret}".encode()
    digest = hmac.new(secret.encode(), said, hashlib.sha256).digest()
    return {"timestamp": str(milliseconds), "sign": base64.b64encode(digest).decode()}


def _robot(robot: Robot | None) -> Robot:
    if robot is None:
        raise Refused("no robot is planned")
    return robot


def _post(url: str, data: Mapping[str, object]) -> None:
    body = json.dumps(data, ensure_ascii=False).encode()
    _expect(_request(url, body, {"Content-Type": "application/json; charset=utf-8"}), {"errcode": "0"})


def _request(url: str, data: bytes | None, headers: Mapping[str, str]) -> bytes:
    """The answer's body, of an answer that says 2xx."""
    try:
        request = urllib.request.Request(url, data, dict(headers))  # noqa: S310 - the plan takes http and https only
        with OPENER.open(request, timeout=TIMEOUT) as answer:
            found: bytes = answer.read(LONGEST_ANSWER)
            return found
    except urllib.error.HTTPError as why:
        why.close()
        raise Trouble(f"HTTP status {why.code}") from None
    except urllib.error.URLError as why:
        raise Trouble(_reason(why.reason)) from None
    except (OSError, ValueError, UnicodeError) as why:
        raise Trouble(_reason(why)) from None


def _expect(answer: bytes, wanted: Mapping[str, str]) -> None:
    """Trouble unless the answer is JSON and has these fields with these values, as text."""
    try:
        found = json.loads(answer)
        said = {name: str(found.get(name)) for name in wanted}
    except (ValueError, AttributeError):
        raise Trouble("the answer is not the JSON that was expected") from None
    for name, value in wanted.items():
        if said[name] != value:
            shown = texts.one_line(said[name])[:40]
            raise Trouble(f"the answer says {name} {shown}, not {value}")


def _reason(why: object) -> str:
    """An error as one word or the system's sentence: never with the address that was called."""
    if isinstance(why, OSError) and why.strerror:
        return why.strerror
    return type(why).__name__ if isinstance(why, BaseException) else texts.one_line(str(why))[:80]


GATEWAYS: dict[str, Callable[[Gateway, str, Message, float], None]] = {
    "http": _by_http,
    "kannel": _by_kannel,
    "smstools": _into_spool,
}
WAYS: dict[str, Send] = {"mail": send_mail, "sms": send_sms, "wecom": send_wecom, "dingtalk": send_dingtalk}
