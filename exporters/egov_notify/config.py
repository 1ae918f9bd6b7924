"""The configuration that render makes of the plan's contacts.yml, as frozen data. Secrets stay out of every repr."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SMS_LENGTH = 70  # UCS-2 characters of a text message that is not cut in two


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names the file and what is wrong, and no value."""


@dataclass(frozen=True)
class Mail:
    """The relay. `tls`: none; may (encrypted where it is offered, unverified); verify (by the system's authorities)."""

    host: str
    port: int
    tls: str
    sender: str
    user: str | None = None
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Signature:
    """How a gateway wants a request signed: its fields sorted by name, joined as name=value with &, and `tail`."""

    field: str
    algorithm: str
    tail: str
    encoding: str


@dataclass(frozen=True)
class Gateway:
    """A way of text messages. `kind`: http (a templated request), kannel (sendsms), smstools (a folder)."""

    kind: str
    url: str = ""
    method: str = "POST"
    body: str = "form"
    charset: str = "utf-8"
    fields: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    sign: Signature | None = None
    accepted: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    folder: str = ""
    secret: str = field(default="", repr=False)

    @property
    def room(self) -> int:
        """What is left of a text message beside what the template puts around the text: a sender's name in brackets."""
        around = [len(text) - len("{text}") for text in self.fields.values() if "{text}" in text]
        return SMS_LENGTH - max(around, default=0)


@dataclass(frozen=True)
class Robot:
    """A robot of a group of WeCom or DingTalk: its token stands in the address, DingTalk's secret signs."""

    url: str
    token: str = field(repr=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Recipient:
    """Who is told, of what, in which language and by which ways. `counties` None: of everything, the centre too."""

    name: str
    language: str
    ways: tuple[str, ...]
    severities: tuple[str, ...]
    counties: tuple[str, ...] | None = None
    mail: str = ""
    mobile: str = ""


@dataclass(frozen=True)
class Rota:
    """Who is on call: from `begin`, each of `order` for `turn` seconds, over and over."""

    begin: float
    turn: float
    order: tuple[str, ...]

    def on_call(self, now: float) -> str:
        """Whose turn it is; before the first turn it is the first one's."""
        return self.order[int(max(0.0, now - self.begin) // self.turn) % len(self.order)]


@dataclass(frozen=True)
class Config:
    """All of it. `city` is its name in zh and en."""

    city: Mapping[str, str]
    recipients: tuple[Recipient, ...]
    rota: Rota | None = None
    mail: Mail | None = None
    sms: tuple[Gateway, ...] = ()
    wecom: Robot | None = None
    dingtalk: Robot | None = None

    @property
    def sms_room(self) -> int:
        """How long a text may be so that each gateway sends it as one message."""
        return min((gateway.room for gateway in self.sms), default=SMS_LENGTH)

    def recipient(self, name: str) -> Recipient | None:
        """The recipient of that name; None when it is no longer planned."""
        return next((item for item in self.recipients if item.name == name), None)

    def told_of(self, county: str, severity: str, now: float) -> list[Recipient]:
        """Who is told of this; of those in the rota only the one whose turn it is."""
        resting = set(self.rota.order) - {self.rota.on_call(now)} if self.rota else set()
        return [
            item
            for item in self.recipients
            if item.name not in resting
            and severity in item.severities
            and (item.counties is None or county in item.counties)
        ]


def load_config(path: Path) -> Config:
    """The file as data. Raises ConfigError."""
    try:
        return read_config(json.loads(path.read_text(encoding="utf-8")))
    except OSError as why:
        raise ConfigError(f"{path}: {why.strerror}") from None
    except (ValueError, TypeError, KeyError) as why:
        raise ConfigError(f"{path}: not a configuration of egov-notify ({type(why).__name__})") from None


def read_config(data: Mapping[str, Any]) -> Config:
    """The same from data that is read already; KeyError, TypeError or ValueError when it has another form."""
    rota = data.get("rota")
    return Config(
        city=dict(data["city"]),
        recipients=tuple(_recipient(item) for item in data["recipients"]),
        rota=Rota(float(rota["begin"]), float(rota["turn"]), tuple(rota["order"])) if rota else None,
        mail=Mail(**data["mail"]) if data.get("mail") else None,
        sms=tuple(_gateway(item) for item in data.get("sms", ())),
        wecom=Robot(**data["wecom"]) if data.get("wecom") else None,
        dingtalk=Robot(**data["dingtalk"]) if data.get("dingtalk") else None,
    )


def _recipient(item: Mapping[str, Any]) -> Recipient:
    lists = {name: tuple(item[name]) for name in ("ways", "severities")}
    counties = item.get("counties")
    return Recipient(**{**item, **lists, "counties": None if counties is None else tuple(counties)})


def _gateway(item: Mapping[str, Any]) -> Gateway:
    sign = item.get("sign")
    return Gateway(**{**item, "sign": Signature(**sign) if sign else None})
