"""Words and shapes that the monthly documents share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from egovctl.checks.context import Context
from egovctl.evidence import open_chain
from egovctl.evidence.keys import enrolled_key
from egovctl.evidence.signing import fingerprint
from egovctl.i18n import language, pick, tr
from egovctl.report.document import Document, Mark, Section
from egovctl.report.document.model import Tone
from egovctl.report.monthly.availability import Share, Verdict
from egovctl.report.monthly.month import ZONE, Month
from egovctl.report.words import VERDICT

TONES: dict[Verdict, Tone] = {"met": "good", "not_met": "bad", "unknown": "unknown"}
OFFSET = int(datetime(2026, 1, 1, tzinfo=ZONE).utcoffset().total_seconds())  # type: ignore[union-attr]


class Names:
    """Titles of the plan in the language in force."""

    def __init__(self, context: Context) -> None:
        self.city = pick(context.plan.city.name.model_dump())
        self.plane = (
            tr("政务外网", "extranet") if context.plan.city.plane == "extranet" else tr("政务专网", "private network")
        )
        self._sites = {site.name: pick(site.title.model_dump()) for site in context.plan.sites}
        self._counties = {county.name: pick(county.title.model_dump()) for county in context.plan.counties}
        self._services = {service.name: pick(service.title.model_dump()) for service in context.plan.services}
        self._of = {site.name: site.county for site in context.plan.sites}

    def site(self, name: str) -> str:
        """A site's title; of one that is no longer planned, its name."""
        return self._sites.get(name, name)

    def service(self, name: str) -> str:
        return self._services.get(name, name)

    def county(self, name: str | None) -> str:
        """A county's title; for sites in none, the city itself."""
        return tr("市本级", "city level") if name is None else self._counties.get(name, name)

    def county_of(self, site: str) -> str:
        return self.county(self._of.get(site))

    def link(self, site: str, peer_site: str) -> str:
        return f"{self.site(site)} → {self.site(peer_site)}"

    def line(self, link: str, site: str) -> str:
        """A link in few words: whose it is, and which of its interfaces."""
        return f"{self.site(site)} {link.partition(':')[2]}"


def verdict(value: Verdict) -> Mark:
    """The word for it, with its tone."""
    return Mark(pick(VERDICT[value]), TONES[value])


def minutes(seconds: float) -> float:
    return seconds / 60


def moment(second: float) -> datetime:
    """In the city's time."""
    return datetime.fromtimestamp(second, ZONE)


def interval(share: Share) -> str:
    """Per cent; where data are missing, between what and what."""
    if share.low is None or share.high is None:
        return "—"
    low, high = percent(share.low), percent(share.high)
    return f"{low} %" if share.unknown == 0 else f"{low}–{high} %"


def floor(value: float | None) -> float | None:
    """Rounded down to three places: 99.9999 is not 100."""
    return None if value is None else int(value * 1000 + 1e-6) / 1000


def percent(value: float) -> str:
    """In three places, rounded down."""
    return f"{floor(value):.3f}"


def per_second(bits: float | None) -> float | None:
    """In Mbit/s."""
    return None if bits is None else bits / 1e6


def document(
    context: Context,
    month: Month,
    data: str,
    *,
    title: str,
    summary: str,
    sections: Iterable[Section],
    made_at: datetime,
) -> Document:
    """With the head that all of them have: of what, of when, from what `data`, and the evidence's head."""
    names = Names(context)
    until = month.until.strftime("%Y-%m-%d %H:%M")
    span = f"{month.begin:%Y-%m-%d %H:%M} – {until} (UTC+8)"
    if not month.over:
        span += tr("；本月未满", "; the month is not over")
    facts = [
        (tr("网络", "Network"), f"{names.city} {names.plane}"),
        (tr("时段", "Period"), span),
        (tr("数据", "Data"), data),
        (tr("规划版本", "Plan revision"), context.plan.revision),
        (tr("生成时间", "Made at"), f"{made_at.astimezone(ZONE):%Y-%m-%d %H:%M} (UTC+8)"),
    ]
    head = open_chain(context.inventory).head()
    if head.count:
        facts.append((tr("证据链头", "Evidence head"), str(head)))
        if key := enrolled_key(context.inventory):
            facts.append((tr("证据签名密钥", "Evidence key"), fingerprint(key)))
    return Document(language(), f"{names.city}{tr('', ' ')}{title}", summary, tuple(facts), tuple(sections))
