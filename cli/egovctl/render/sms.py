"""The city's SMS service as its programs read it: accounts with their quotas, Kannel's users, the operator's centre."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from egovctl.plan import City, Host, Plan
from egovctl.plan.models import Service, Smsc, SmsKannel, SmsService
from egovctl.plan.names import with_people
from egovctl.plan.policy import TEXT_MESSAGES

COPY = "/var/lib/egov-sms/copy"  # what the tool copies for the backup
SENDSMS, BOXES, STATUS, INSIDE = 13013, 13001, 13000, 8453


@dataclass(frozen=True)
class Teller:
    """Kannel's user for those that tell people of alerts, where the contacts name this Kannel; and from where."""

    user: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Sms:
    """What the templates of the role are given. `config` is the whole of sms.json.

    `listen`: where Kannel's sendsms listens: the loopback, unless somebody else of the city sends by it.
    """

    smsc: Smsc
    config: dict[str, Any]
    listen: str
    sendsms: int
    teller: Teller | None
    boxes: int = BOXES
    status: int = STATUS
    inside: int = INSIDE


def sms_of(plan: Plan, city: City, tellers: Iterable[Host]) -> Sms | None:
    """None when no service of the plan provides sms."""
    service = next((item for item in plan.services if item.sms), None)
    if service is None or service.sms is None:
        return None
    host = city.hosts[service.hosts[0]]
    sendsms, user = _kannel_of(plan, host.address_v4)
    teller = Teller(user, tuple(item.address_v4 for item in tellers)) if user else None
    listen = host.address_v4 if teller else "127.0.0.1"
    config = {
        "accounts": _accounts(plan, service.sms),
        "signature": service.sms.signature,
        "per_minute": service.sms.per_minute,
        "kannel": f"{listen}:{sendsms}",
        "status": f"127.0.0.1:{STATUS}",
        "listen": [host.address_v4, host.address_v6],
        "port": TEXT_MESSAGES,
        "inside": INSIDE,
    }
    return Sms(service.sms.smsc, config, listen, sendsms, teller)


def sms_backups(services: Iterable[Service]) -> list[Service]:
    """Those services that back up the SMS service's copy of itself."""
    return [service for service in services if service.backup and COPY in service.backup.paths]


def _accounts(plan: Plan, how: SmsService) -> dict[str, Any]:
    found = {}
    for site in with_people(plan):
        quota = how.quotas.get(site.name)
        daily = how.daily if quota is None or quota.daily is None else quota.daily
        monthly = how.monthly if quota is None or quota.monthly is None else quota.monthly
        found[site.name] = {"title": site.title.model_dump(), "daily": daily, "monthly": monthly}
    return found


def _kannel_of(plan: Plan, address: str) -> tuple[int, str]:
    """(sendsms' port, the user's name) as the contacts have them for this host; else the usual port and ""."""
    for gateway in plan.contacts.sms if plan.contacts else ():
        if isinstance(gateway, SmsKannel):
            place = urlsplit(gateway.url)
            if place.hostname == address:
                return place.port or 80, gateway.user
    return SENDSMS, ""
