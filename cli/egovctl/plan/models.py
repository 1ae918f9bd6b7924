"""The plan as people write it: pydantic models of inventories/<city>/plan/*.yml, schema version 1."""

from __future__ import annotations

import re
import reprlib
from datetime import date, datetime
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict

from egovctl.i18n import tr
from egovctl.plan.grades import Levels, levels, written_grade
from egovctl.plan.public_keys import read_public_key

SiteKind = Literal[
    "core", "hub", "department", "town", "village", "mobile", "noc", "backup", "offsite", "video", "services"
]
Plane = Literal["extranet", "private"]
AdministratorRole = Literal["system", "security", "audit"]
ADMINISTRATOR_ROLES: tuple[AdministratorRole, ...] = ("system", "security", "audit")
Platform = Literal["linux", "vrp5", "vrp8", "comware7", "unmanaged"]
Engine = Literal["borg", "postgresql", "mariadb", "system"]
Severity = Literal["critical", "warning"]
Way = Literal["mail", "sms", "wecom", "dingtalk"]

# What a site's availability is promised to be where its entry does not say, in per cent of a month: shared places have
# two links and power that is looked after; a village has one line and the office's socket.
SITE_AVAILABILITY: dict[SiteKind, float] = {
    "core": 99.9,
    "noc": 99.9,
    "backup": 99.9,
    "hub": 99.9,
    "video": 99.9,
    "services": 99.9,
    "department": 99.5,
    "offsite": 99.5,
    "town": 99.0,
    "village": 98.0,
    "mobile": 95.0,
}
# Within how many seconds something new is promised in a column of a website where its entry does not say.
COLUMN_FRESH = {"news": 14 * 86_400, "notices": 182 * 86_400, "other": 365 * 86_400}
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\Z")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})\Z")
DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)\Z")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_SITE_NUMBER = 9999  # the IPv6 /48 of a site reads as its number does: four digits
MAX_UPLINKS = 4
N = TypeVar("N", IPv4Network, IPv6Network)
# What no host can have: "this network", loopback, link-local, multicast, reserved (RFC 6890).
NOT_FOR_HOSTS: dict[int, tuple[Any, ...]] = {
    4: tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))),
    6: tuple(
        map(IPv6Network, ("::/3", "4000::/2", "8000::/2", "c000::/3", "e000::/4", "f000::/5", "f800::/6", "fe00::/7"))
    ),
}


def _label(value: str) -> str:
    if not LABEL.match(value):
        shown = reprlib.repr(value)
        raise ValueError(
            tr(
                f"{shown} 不能作名称：请用 a-z、0-9 和 - 组成的 DNS 标签，最多 32 个字符",
                f"{shown} is not a name: use a DNS label of a-z, 0-9 and -, 32 characters at most",
            )
        )
    return value


def _web(value: object) -> object:
    """The value is not repeated: what somebody pastes here may hold a token."""
    if isinstance(value, str) and not value.startswith(("http://", "https://")):
        raise ValueError(tr("网址应以 http:// 或 https:// 开头", "a web address begins with http:// or https://"))
    return value


def _seconds(value: object) -> object:
    if isinstance(value, str) and (match := DURATION.match(value)):
        return int(match[1]) * SECONDS[match[2]]
    shown = reprlib.repr(value)
    raise ValueError(
        tr(
            f"{shown} 不是时长：请写数字加 s、m、h 或 d，例如 4h",
            f"{shown} is not a duration: write a number and s, m, h or d, as in 4h",
        )
    )


def _date(value: object) -> object:
    if isinstance(value, str) and len(value) == len("2026-03-31"):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    shown = reprlib.repr(value)
    raise ValueError(
        tr(f"{shown} 不是日期：请写成 2026-03-31", f"{shown} is not a date: write it as in 2026-03-31"),
    )


def _moment(value: object) -> object:
    if isinstance(value, str) and MOMENT.match(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    shown = reprlib.repr(value)
    raise ValueError(
        tr(
            f"{shown} 不是时刻：请连同时区一起写，例如 2026-12-05T01:00+08:00",
            f"{shown} is not a moment: write it with its time zone, as in 2026-12-05T01:00+08:00",
        ),
    )


def _written_prefix(value: object) -> object:
    if not isinstance(value, str) or "/" not in value:
        shown = reprlib.repr(value)
        raise ValueError(
            tr(
                f"{shown} 不是地址前缀：请连同长度一起写，例如 10.1.2.0/24",
                f"{shown} is not a prefix: write it with its length, as in 10.1.2.0/24",
            )
        )
    return value


def _unicast(value: N) -> N:
    if any(value.overlaps(block) for block in NOT_FOR_HOSTS[value.version]):
        raise ValueError(tr(f"{value} 不是主机可用的单播前缀", f"{value} is no unicast prefix that hosts can have"))
    return value


def _unicast_address(value: IPv4Address) -> IPv4Address:
    _unicast(IPv4Network(value))
    return value


def _plain_path(value: str) -> str:
    """One path has one spelling, and stays below the folder that it names."""
    if any(part in ("", ".", "..") for part in value.split("/")[1:]):
        raise ValueError(
            tr(
                f"{value} 中有空的、. 或 .. 部分：请写完整路径，例如 /srv/documents",
                f"{value} has an empty part, . or .. in it: write the whole path, as in /srv/documents",
            )
        )
    return value


def _public_key(value: str) -> str:
    read_public_key(value)
    return value


def _length(shortest: int, longest: int) -> AfterValidator:
    """A prefix of `shortest` to `longest` bits, else a ValueError."""

    def check(value: N) -> N:
        if not shortest <= value.prefixlen <= longest:
            raise ValueError(
                tr(
                    f"{value} 的长度是 /{value.prefixlen}；应为 /{shortest} 至 /{longest}",
                    f"{value} has length /{value.prefixlen}; it should be /{shortest} to /{longest}",
                )
            )
        return value

    return AfterValidator(check)


Label = Annotated[str, AfterValidator(_label)]
Integer = Annotated[int, Strict()]
Prefix4 = Annotated[IPv4Network, BeforeValidator(_written_prefix), AfterValidator(_unicast)]
Prefix6 = Annotated[IPv6Network, BeforeValidator(_written_prefix), AfterValidator(_unicast)]
Link4 = Annotated[Prefix4, _length(30, 31)]
Link6 = Annotated[Prefix6, _length(64, 127)]
Lan4 = Annotated[Prefix4, _length(16, 30)]
Lan6 = Annotated[Prefix6, _length(64, 64)]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")]
KeyLine = Annotated[str, Field(max_length=4000, pattern=r"^[!-~]+( [!-~]+){1,2}$"), AfterValidator(_public_key)]
Seconds = Annotated[int, BeforeValidator(_seconds)]
Grade = Annotated[int | str, BeforeValidator(written_grade)]
Day = Annotated[date, BeforeValidator(_date)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Outside4 = Annotated[IPv4Interface, BeforeValidator(_written_prefix)]
Dscp = Annotated[Integer, Field(ge=0, le=63)]
Percent = Annotated[float, Strict(), Field(gt=0, lt=100)]
AbsolutePath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]+$"), AfterValidator(_plain_path)]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,40}$")]
MailAddress = Annotated[str, Field(max_length=254, pattern=r"^[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")]
Mobile = Annotated[str, Field(pattern=r"^\+?[0-9]{5,15}$")]
WebAddress = Annotated[
    str, BeforeValidator(_web), Field(max_length=500, pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[!#-&(-\[\]-_a-~]*)?$")
]
Port = Annotated[Integer, Field(ge=1, le=65_535)]


class Model(BaseModel):
    """Strict about keys: a typo is an error, not a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Model):
    """A name or sentence in both languages."""

    zh: Line
    en: Line


class Short(Model):
    """A name for the wall's tiles, in both languages: as much as can be read there from five metres."""

    zh: Annotated[Line, Field(max_length=3)]
    en: Annotated[Line, Field(max_length=7)]


class CityInfo(Model):
    """The city itself. `asn` is private (RFC 6996), `domain` is the suffix of the hosts' names.

    `time_servers` are the core pair's sources outside the city; without any the pair keeps the city on one time.
    `dns_forwarders` are name servers outside that sites' resolvers ask for other names; without any they refuse them.
    `plane` says which network this plan is of: the extranet or the private network, each with a plan of its own.
    `beside` names the inventories of the other planes, whose addresses must not overlap with these.
    """

    name: Text
    plane: Plane = "extranet"
    beside: tuple[Label, ...] = ()
    domain: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]
    asn: Annotated[Integer, Field(ge=64512, le=65534)]
    time_servers: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]+$")], ...] = ()
    dns_forwarders: tuple[Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+$")], ...] = ()


class Addressing(Model):
    """The pools that site numbers index; see addresses.py for the formulas."""

    loopback_v4: Prefix4
    transit_v4: Prefix4
    lan_v4: Prefix4
    v6: Prefix6


class County(Model):
    """A county under the city."""

    name: Label
    title: Text


class Vertical(Model):
    """A vertical network (纵向网): a department of the city and its counterparts in the counties."""

    name: Label
    title: Text


class ShareClass(Model):
    """A share of a link: at least `percent` of it for packets with one of these code points (RFC 2474)."""

    name: Label
    percent: Annotated[Integer, Field(ge=1, le=100)]
    dscp: tuple[Dscp, ...] = ()


class Shares(Model):
    """How thin links (at most `thin_mbps`) and tunnels are shared; the class without code points takes the rest.

    Any class may borrow what the others leave. Code points follow RFC 4594: CS6 routing, AF41 and EF conferencing,
    CS2 operations.
    """

    thin_mbps: Annotated[Integer, Field(ge=1, le=400_000)] = 50
    classes: Annotated[tuple[ShareClass, ...], Field(min_length=1, max_length=8)] = (
        ShareClass(name="network", percent=10, dscp=(48, 56, 16)),
        ShareClass(name="video", percent=50, dscp=(34, 36, 38, 46)),
        ShareClass(name="rest", percent=40),
    )


class Failover(Model):
    """How soon a dead neighbour on a link that stays up is noticed: `multiplier` intervals without a word (RFC 5880).

    On many links of one slow machine (a lab of the whole city) longer intervals leave it time for its work.
    """

    line_ms: Annotated[Integer, Field(ge=50, le=10_000)] = 200
    tunnel_ms: Annotated[Integer, Field(ge=50, le=10_000)] = 500
    multiplier: Annotated[Integer, Field(ge=2, le=20)] = 3


class Internet(Model):
    """The site's attachment to a network that nobody trusts. Without `v4` the address comes by DHCP and may change."""

    v4: Outside4 | None = None
    gateway_v4: IPv4Address | None = None


class Uplink(Model):
    """A link from a site's router towards the core. `mbps` is contracted; `slot` fixes its addresses.

    `via: internet` makes it a WireGuard tunnel over both ends' attachment to the untrusted network.
    Of a link that keeps a /30 (IPv6: one wider than /127) from before the plan, the ends take addresses 1 and 2.
    """

    to: Label
    mbps: Annotated[Integer, Field(ge=1, le=400_000)]
    via: Literal["line", "internet"] = "line"
    slot: Annotated[Integer, Field(ge=0, lt=MAX_UPLINKS)] | None = None
    v4: Link4 | None = None
    v6: Link6 | None = None


class ExtraHost(Model):
    """A host on a site's LAN that is no router; `index` is its number on that LAN."""

    name: Label
    role: Literal["control", "switch"]
    platform: Platform = "linux"
    index: Annotated[Integer, Field(ge=10, le=250)]


class Overrides(Model):
    """Addresses that a site keeps from before the plan."""

    lan_v4: Lan4 | None = None
    lan_v6: Lan6 | None = None
    loopback_v4: Annotated[IPv4Address, AfterValidator(_unicast_address)] | None = None


class Site(Model):
    """A place. Its number never changes; it gives the site's addresses unless `addresses` fixes others.

    `short` is what the wall's tile calls it; without it that is the title's beginning. `vertical` is the vertical
    network that its users belong to. `manage` names the bundles that are applied to its
    routers, where only some shall be; `internet` is the attachment that tunnels of `via: internet` go over, by router
    where there are several. `backup_gb` is what each of its hosts may fill on the backup node, where that is not the
    default. An off-site node `pulls` from the backup node so often, hourly unless it says daily. `availability` is what
    is promised of the site's connection, where that is not SITE_AVAILABILITY of its kind.
    """

    name: Label
    number: Annotated[Integer, Field(ge=1, le=MAX_SITE_NUMBER)]
    kind: SiteKind
    title: Text
    short: Short | None = None
    county: Label | None = None
    vertical: Label | None = None
    platform: Platform = "linux"
    manage: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...] | None = None
    internet: dict[Label, Internet] = {}
    routers: tuple[Label, ...] = ()
    interconnect_mbps: Annotated[Integer, Field(ge=1, le=400_000)] = 10_000
    uplinks: Annotated[tuple[Uplink, ...], Field(max_length=MAX_UPLINKS)] = ()
    hosts: tuple[ExtraHost, ...] = ()
    addresses: Overrides = Overrides()
    backup_gb: Annotated[Integer, Field(ge=1, le=1_000_000)] | None = None
    pulls: Literal["hourly", "daily"] | None = None
    availability: Percent | None = None

    @property
    def promised(self) -> float:
        """The availability that is promised of it, in per cent."""
        return SITE_AVAILABILITY[self.kind] if self.availability is None else self.availability

    @property
    def router_names(self) -> tuple[str, ...]:
        """The site's routers: as listed, else one with the site's own name."""
        return self.routers or (self.name,)


class Retired(Model):
    """A site that is gone, and since when. Its number and its name are kept out of use for ever: addresses in old logs,
    its repository and its evidence mean this site and no later one.
    """

    number: Annotated[Integer, Field(ge=1, le=MAX_SITE_NUMBER)]
    name: Label
    on: Day


class Backup(Model):
    """What of a service is backed up on each of its hosts, and how often (a systemd calendar word or expression).

    borg: the `paths`. postgresql and mariadb: the `database`. system: the whole root file system.
    """

    engine: Engine
    paths: Annotated[tuple[AbsolutePath, ...], Field(min_length=1)] = ()
    database: Label | None = None
    schedule: Annotated[str, Field(pattern=r"^[A-Za-z0-9*:/., -]+$")]


class Smsc(Model):
    """An operator's message centre, spoken to by SMPP 3.4: `user` logs in with the secret sms_smsc_password, of which
    SMPP carries eight characters. `sender` is the number that people see. `per_second`: parts it takes, at most.
    """

    host: IPv4Address
    port: Port = 2775
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,15}$")]
    sender: Annotated[str, Field(pattern=r"^[0-9]{3,20}$")]
    tls: bool = False
    per_second: Annotated[Integer, Field(ge=1, le=1000)] = 20


class SmsQuota(Model):
    """Parts that a department may send in a day and in a month, where they differ from the city's. 0: none."""

    daily: Annotated[Integer, Field(ge=0, le=10_000_000)] | None = None
    monthly: Annotated[Integer, Field(ge=0, le=100_000_000)] | None = None


class SmsService(Model):
    """How departments send text messages: by which centre, under what name in brackets, and how many.

    `daily` and `monthly` are parts (up to 70 characters each) for each site with people, `quotas` names those that
    have others; `per_minute`: requests of one of them.
    """

    smsc: Smsc
    signature: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029【】\U00010000-\U0010ffff]{1,20}$")]
    daily: Annotated[Integer, Field(ge=0, le=10_000_000)] = 200
    monthly: Annotated[Integer, Field(ge=0, le=100_000_000)] = 3000
    per_minute: Annotated[Integer, Field(ge=1, le=100_000)] = 60
    quotas: dict[Label, SmsQuota] = {}


class Service(Model):
    """What runs and is promised. RTO and RPO in seconds; `grade` is the classified-protection level (等保), 3 or
    S3A2G3.

    In a file `hosts` may also say all-hubs, all-departments or all-towns (names.HOST_WORDS);
    a loaded plan names every host. What it `provides` the suite sets up itself: mail or sms, on one host;
    `sms` says how.
    """

    name: Label
    title: Text
    owner: Label
    grade: Grade
    availability: Percent
    rto: Seconds
    rpo: Seconds
    hosts: Annotated[tuple[Label, ...], Field(min_length=1)]
    backup: Backup | None = None
    provides: Literal["mail", "sms"] | None = None
    sms: SmsService | None = None

    @property
    def levels(self) -> Levels:
        """The grades of information and of service."""
        return levels(self.grade)

    @property
    def level(self) -> int:
        """The grade as one number: the larger of both."""
        return self.levels.general


class Administrator(Model):
    """A person who administers from control: one of the three separated roles (三权分立), and the public keys to it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    role: AdministratorRole
    title: Text
    ssh_keys: Annotated[tuple[KeyLine, ...], Field(min_length=1, max_length=8)]

    @property
    def public_keys(self) -> tuple[str, ...]:
        """The keys without their comments."""
        return tuple(read_public_key(key).text for key in self.ssh_keys)

    @property
    def tokens_only(self) -> bool:
        """Whether all keys are on FIDO tokens that verify their owner: possession and PIN, two factors at once."""
        return all(read_public_key(key).token for key in self.ssh_keys)


class Maintenance(Model):
    """A window in which somebody works at a site or on a service: nobody is alerted, and it counts as no outage."""

    site: Label | None = None
    service: Label | None = None
    begin: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    reason: Text


class MailRelay(Model):
    """Where mail is handed over: a host of the plan, or a name or address outside it.

    `tls` in Postfix's words: none; may: encrypted where it is offered; verify: by an authority that the system knows.
    A `user` logs in with the secret notify_mail_password.
    """

    relay: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:-]*$")]
    port: Port = 25
    tls: Literal["none", "may", "verify"] = "may"
    sender: MailAddress
    user: Annotated[str, Field(pattern=r"^[!#-&(-\[\]-_a-~]+$")] | None = None


class SmsSignature(Model):
    """How a gateway wants requests signed: fields sorted by name, name=value joined with &, then `tail`.

    md5, sha256 and sm3 hash that, with {secret} in the tail; the hmac-* have the secret notify_sms_secret as their
    key. SM3 is that of the host's OpenSSL (Debian 12 has it).
    """

    field: FieldName
    algorithm: Literal["md5", "sha256", "sm3", "hmac-md5", "hmac-sha1", "hmac-sha256", "hmac-sm3"]
    tail: Line | None = None
    encoding: Literal["hex", "HEX", "base64"] = "hex"


class SmsHttp(Model):
    """A city platform's gateway over HTTP. `fields` and `headers` are templates, and the `url` may be one:

    {mobile} {text} {id} {time} {seconds} {milliseconds} {nonce} {user} {secret}. `accepted`: fields of its JSON answer
    and their values when it took the message; without it any answer with status 2xx says so.
    """

    kind: Literal["http"]
    url: WebAddress
    method: Literal["GET", "POST"] = "POST"
    body: Literal["form", "json"] = "form"
    charset: Literal["utf-8", "gbk"] = "utf-8"
    user: Line | None = None
    fields: Annotated[dict[FieldName, Line], Field(min_length=1, max_length=40)]
    headers: dict[FieldName, Line] = {}
    sign: SmsSignature | None = None
    accepted: dict[FieldName, Line] = {}


class SmsKannel(Model):
    """Kannel's sendsms: the user's password is the secret notify_kannel_password."""

    kind: Literal["kannel"]
    url: WebAddress
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]


class SmsSpool(Model):
    """A GSM modem at the NOC, by smstools: its folder of outgoing messages."""

    kind: Literal["smstools"]
    folder: AbsolutePath = "/var/spool/sms/outgoing"


class Robot(Model):
    """A robot in a group of WeCom or DingTalk; its token is a secret, and what DingTalk's signs with is one too."""

    url: WebAddress


class Recipient(Model):
    """Who is told of alerts: of all, or of some `counties` only (then of nothing at the centre).

    `language` is that of the messages. A robot is a recipient with the way wecom or dingtalk.
    """

    name: Label
    title: Text
    language: Literal["zh", "en"] = "zh"
    mail: MailAddress | None = None
    mobile: Mobile | None = None
    counties: Annotated[tuple[Label, ...], Field(min_length=1)] | None = None
    severities: Annotated[tuple[Severity, ...], Field(min_length=1)] = ("critical", "warning")
    ways: Annotated[tuple[Way, ...], Field(min_length=1)]


class Rota(Model):
    """Who is on call: from a moment on each of `order` for one `turn`, over and over; the others of it are not told."""

    begin: Moment = Field(alias="from")
    turn: Seconds
    order: Annotated[tuple[Label, ...], Field(min_length=1)]


class ContactsFile(Model):
    """plan/contacts.yml, which a plan may be without: who is told of alerts, and by which ways.

    `sms` are tried in their order until one takes the message.
    """

    version: Literal[1] = Field(alias="schema")
    mail: MailRelay | None = None
    sms: tuple[Annotated[SmsHttp | SmsKannel | SmsSpool, Field(discriminator="kind")], ...] = ()
    wecom: Robot | None = None
    dingtalk: Robot | None = None
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1)]
    rota: Rota | None = None


class WebColumn(Model):
    """A column (栏目) of a website: its page, and within which time something new is promised there.

    Without `fresh` that is COLUMN_FRESH of its `sort`: news (动态、要闻), notices (通知公告、政策文件), or other.
    """

    name: Label
    title: Text
    path: Annotated[str, Field(max_length=300, pattern=r"^/[!-~]*$")]
    sort: Literal["news", "notices", "other"] = "other"
    fresh: Seconds | None = None

    @property
    def promised(self) -> int:
        """Within how many seconds something new is promised there."""
        return COLUMN_FRESH[self.sort] if self.fresh is None else self.fresh


class Website(Model):
    """A government website: its home page, the site of the plan that answers for it, and its columns."""

    name: Label
    title: Text
    owner: Label
    url: WebAddress
    columns: tuple[WebColumn, ...] = ()


class WebsitesFile(Model):
    """plan/websites.yml, which a plan may be without: what the NOC visits as anybody would.

    Websites are on the LANs of services, on the Internet, or in one of `networks`; nothing else is asked.
    """

    version: Literal[1] = Field(alias="schema")
    networks: tuple[Prefix4 | Prefix6, ...] = ()
    websites: Annotated[tuple[Website, ...], Field(min_length=1, max_length=200)]


class CityFile(Model):
    """plan/city.yml."""

    version: Literal[1] = Field(alias="schema")
    city: CityInfo
    addressing: Addressing
    counties: tuple[County, ...]
    verticals: tuple[Vertical, ...] = ()
    shares: Shares = Shares()
    failover: Failover = Failover()
    sites: Annotated[tuple[Site, ...], Field(min_length=1)]
    retired: tuple[Retired, ...] = ()


class ServicesFile(Model):
    """plan/services.yml."""

    version: Literal[1] = Field(alias="schema")
    services: tuple[Service, ...]


class PeopleFile(Model):
    """plan/people.yml, which a plan may be without."""

    version: Literal[1] = Field(alias="schema")
    administrators: Annotated[tuple[Administrator, ...], Field(min_length=1)]


class CalendarFile(Model):
    """plan/calendar.yml, which a plan may be without."""

    version: Literal[1] = Field(alias="schema")
    maintenance: tuple[Maintenance, ...]


class Plan(Model):
    """All files together, checked against each other. `revision` names this exact plan."""

    revision: str
    city: CityInfo
    addressing: Addressing
    counties: tuple[County, ...]
    verticals: tuple[Vertical, ...]
    shares: Shares
    failover: Failover
    sites: tuple[Site, ...]
    retired: tuple[Retired, ...]
    services: tuple[Service, ...]
    administrators: tuple[Administrator, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    contacts: ContactsFile | None = None
    websites: WebsitesFile | None = None

    def site(self, name: str) -> Site:
        """The site called `name`; KeyError when there is none."""
        for item in self.sites:
            if item.name == name:
                return item
        raise KeyError(name)
