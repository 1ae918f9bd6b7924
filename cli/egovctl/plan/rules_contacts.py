"""What must hold across the contacts of a plan: all can be reached, and of everything critical somebody is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from egovctl.i18n import tr
from egovctl.plan.models import ContactsFile, Plan, Recipient, SmsHttp
from egovctl.plan.source import KeyPath

Fault = tuple[KeyPath, str]
BRACES = re.compile(r"\{([^{}]*)\}")
TEMPLATE_WORDS = ("mobile", "text", "id", "time", "seconds", "milliseconds", "nonce", "user", "secret")
ROOM_AROUND = 30  # characters of a text message that a template may put around the text; 40 are left for the alert


def contacts_reachable(plan: Plan) -> Iterator[Fault]:
    """(key path in contacts.yml, sentence) for each fault. A plan without contacts has none."""
    if plan.contacts is None:
        return
    counties = {county.name for county in plan.counties}
    seen: set[str] = set()
    for i, person in enumerate(plan.contacts.recipients):
        here: KeyPath = ("recipients", i)
        if person.name in seen:
            yield (
                (*here, "name"),
                tr(
                    f"接收人 {person.name} 出现两次；请去掉一个",
                    f"recipient {person.name} is planned twice; take one out",
                ),
            )
        seen.add(person.name)
        for county in person.counties or ():
            if county not in counties:
                yield (
                    (*here, "counties"),
                    tr(
                        f"接收人 {person.name} 的县区 {county} 不在规划中",
                        f"recipient {person.name} is told of {county}, which is no county",
                    ),
                )
        for way in person.ways:
            if sentence := _no_way(plan.contacts, person, way):
                yield (*here, "ways"), sentence
    yield from _rota_known(plan.contacts, seen)
    yield from _gateways_templated(plan.contacts)
    if plan.contacts.mail and plan.contacts.mail.user and plan.contacts.mail.tls != "verify":
        yield (
            ("mail", "user"),
            tr(
                "登录中继会送出口令：请写 tls: verify",
                "logging in to a relay gives it a password: write tls: verify",
            ),
        )
    yield from _nobody_told(plan, plan.contacts)


def _no_way(contacts: ContactsFile, person: Recipient, way: str) -> str:
    """What keeps a message from going this way to this person; "" when nothing does."""
    address = {"mail": person.mail, "sms": person.mobile}.get(way, "-")
    if address is None:
        wanted = {"mail": "mail", "sms": "mobile"}[way]
        return tr(
            f"接收人 {person.name} 用 {way} 接收，但没有写 {wanted}",
            f"recipient {person.name} is told by {way} and has no {wanted}; write it",
        )
    if not getattr(contacts, way):
        return tr(
            f"接收人 {person.name} 用 {way} 接收，但文件中没有 {way}：请写上它怎样送出",
            f"recipient {person.name} is told by {way}, of which the file says nothing; write how it goes out",
        )
    return ""


def _rota_known(contacts: ContactsFile, names: set[str]) -> Iterator[Fault]:
    for i, name in enumerate(contacts.rota.order if contacts.rota else ()):
        if name not in names:
            yield (
                ("rota", "order", i),
                tr(f"轮值的 {name} 不是接收人", f"{name} is on call and is no recipient"),
            )


def _gateways_templated(contacts: ContactsFile) -> Iterator[Fault]:
    for i, gateway in enumerate(contacts.sms):
        if not isinstance(gateway, SmsHttp):
            continue
        here: KeyPath = ("sms", i)
        tail = gateway.sign.tail if gateway.sign else None
        templates = [gateway.url, *gateway.fields.values(), *gateway.headers.values(), tail or ""]
        unknown = [word for text in templates for word in BRACES.findall(text) if word not in TEMPLATE_WORDS]
        for word in dict.fromkeys(unknown):
            there = ", ".join(TEMPLATE_WORDS)
            yield (
                (*here, "fields"),
                tr(
                    f"模板中 {{{word}}} 没有含义；可用：{there}",
                    f"{{{word}}} in a template means nothing; there is {there}",
                ),
            )
        carried = [text for text in (gateway.url, *gateway.fields.values()) if "{text}" in text]
        if not carried or not any("{mobile}" in text for text in (gateway.url, *gateway.fields.values())):
            yield (
                (*here, "fields"),
                tr(
                    "短信网关的字段应含有 {text} 和 {mobile}",
                    "the fields of a gateway of text messages need {text} and {mobile}",
                ),
            )
        for text in gateway.fields.values():
            if "{text}" in text and len(text) - len("{text}") > ROOM_AROUND:
                yield (
                    (*here, "fields"),
                    tr(
                        f"短信 70 字中，签名等最多占 {ROOM_AROUND} 字；请缩短",
                        f"of a text message's 70 characters {ROOM_AROUND} may stand around the text; shorten it",
                    ),
                )


def _nobody_told(plan: Plan, contacts: ContactsFile) -> Iterator[Fault]:
    """A county, or the centre, of whose critical alerts nobody is told while one of the rota has his turn."""
    order = contacts.rota.order if contacts.rota else ()
    for turn in order or ("",):
        awake = [person for person in contacts.recipients if person.name == turn or person.name not in order]
        critical = [person for person in awake if "critical" in person.severities]
        for county in (None, *(item.name for item in plan.counties)):
            if not _told(critical, county):
                place = county or tr("市中心", "the centre")
                when = tr(f"（{turn} 轮值时）", f" while {turn} is on call") if turn else ""
                yield (
                    ("recipients",),
                    tr(
                        f"{place} 的严重告警{when}没有任何人接收；请补上接收人",
                        f"nobody is told of critical alerts of {place}{when}; add a recipient",
                    ),
                )
                return


def _told(people: Iterable[Recipient], county: str | None) -> bool:
    return any(person.counties is None or county in person.counties for person in people)
