"""The plan's contacts as egov_notify reads them: names looked up, secrets as placeholders."""

from __future__ import annotations

from typing import Any

from egovctl.plan import City, Plan
from egovctl.plan.models import ContactsFile, SmsHttp, SmsKannel, SmsSpool


def placeholder(name: str) -> str:
    """Where the secret of this name is put in on the host."""
    return f"@secret:{name}@"


def notify_config(plan: Plan, city: City) -> dict[str, Any] | None:
    """The configuration of the NOC's notifier and of the backup node's dead-man; None when nobody is to be told."""
    contacts = plan.contacts
    if contacts is None:
        return None
    return {
        "city": plan.city.name.model_dump(),
        "recipients": [
            {
                "name": person.name,
                "language": person.language,
                "ways": person.ways,
                "severities": person.severities,
                "counties": person.counties,
                "mail": person.mail or "",
                "mobile": person.mobile or "",
            }
            for person in contacts.recipients
        ],
        "rota": _rota(contacts),
        "mail": _mail(contacts, city),
        "sms": [_gateway(gateway) for gateway in contacts.sms],
        "wecom": contacts.wecom and {"url": contacts.wecom.url, "token": placeholder("notify_wecom_key")},
        "dingtalk": contacts.dingtalk
        and {
            "url": contacts.dingtalk.url,
            "token": placeholder("notify_dingtalk_token"),
            "secret": placeholder("notify_dingtalk_secret"),
        },
    }


def _rota(contacts: ContactsFile) -> dict[str, Any] | None:
    if (rota := contacts.rota) is None:
        return None
    return {"begin": int(rota.begin.timestamp()), "turn": rota.turn, "order": rota.order}


def _mail(contacts: ContactsFile, city: City) -> dict[str, Any] | None:
    if (mail := contacts.mail) is None:
        return None
    host = city.hosts.get(mail.relay)
    found: dict[str, Any] = {
        "host": host.address_v4 if host else mail.relay,
        "port": mail.port,
        "tls": mail.tls,
        "sender": mail.sender,
    }
    return found if mail.user is None else {**found, "user": mail.user, "password": placeholder("notify_mail_password")}


def _gateway(gateway: SmsHttp | SmsKannel | SmsSpool) -> dict[str, Any]:
    match gateway:
        case SmsKannel():
            secret = placeholder("notify_kannel_password")
            return {"kind": "kannel", "url": gateway.url, "user": gateway.user, "secret": secret}
        case SmsSpool():
            return {"kind": "smstools", "folder": gateway.folder}
    found = {
        **gateway.model_dump(include={"kind", "url", "method", "body", "charset", "fields", "headers", "accepted"}),
        "user": gateway.user or "",
        "sign": gateway.sign and {**gateway.sign.model_dump(), "tail": gateway.sign.tail or ""},
    }
    asks = [gateway.url, *gateway.fields.values(), *gateway.headers.values()]
    if gateway.sign or any("{secret}" in text for text in asks):
        found["secret"] = placeholder("notify_sms_secret")
    return found
