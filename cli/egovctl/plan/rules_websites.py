"""What must hold across the websites of a plan: each has a name, somebody to answer for it, and an address."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from egovctl.i18n import tr
from egovctl.plan.models import Plan, Website
from egovctl.plan.source import KeyPath

Fault = tuple[KeyPath, str]
PORTS = {"http": 80, "https": 443}


def websites_known(plan: Plan) -> Iterator[Fault]:
    """(key path in websites.yml, sentence) for each fault. A plan without websites has none."""
    if plan.websites is None:
        return
    sites = {site.name for site in plan.sites}
    # Results name what they are about by its name alone.
    taken = sites | {name for site in plan.sites for name in site.router_names}
    taken |= {host.name for site in plan.sites for host in site.hosts} | {service.name for service in plan.services}
    seen: set[str] = set()
    for i, website in enumerate(plan.websites.websites):
        here: KeyPath = ("websites", i)
        if website.name in seen:
            yield (
                (*here, "name"),
                tr(
                    f"网站 {website.name} 出现两次；请去掉一个",
                    f"website {website.name} is planned twice; take one out",
                ),
            )
        seen.add(website.name)
        if website.name in taken:
            yield (
                (*here, "name"),
                tr(
                    f"网站名 {website.name} 已是站点、主机或业务的名称；请改名",
                    f"website {website.name} has the name of a site, a host or a service; rename it",
                ),
            )
        if website.owner not in sites:
            yield (
                (*here, "owner"),
                tr(
                    f"网站 {website.name} 的责任单位 {website.owner} 不在规划中；请写站点名",
                    f"website {website.name} is owned by {website.owner}, which is no site; name one of the plan",
                ),
            )
        if sentence := _wrong_address(website):
            yield (*here, "url"), sentence
        names = [column.name for column in website.columns]
        for j, name in enumerate(names):
            if name in names[:j]:
                yield (
                    (*here, "columns", j, "name"),
                    tr(
                        f"网站 {website.name} 的栏目 {name} 出现两次；请去掉一个",
                        f"website {website.name} has column {name} twice; take one out",
                    ),
                )


def _wrong_address(website: Website) -> str:
    """What is wrong with a home page's address; "" when nothing is."""
    try:
        place = urlsplit(website.url)
        port = place.port or PORTS[place.scheme]
        named = bool(place.hostname)
    except (ValueError, KeyError):
        named, port = False, 0
    if not named:
        return tr(
            f"网站 {website.name} 的 url 没有主机名",
            f"website {website.name} has a url without a host",
        )
    if port not in PORTS.values():
        return tr(
            f"网站 {website.name} 用端口 {port}；只访问 80 和 443",
            f"website {website.name} is at port {port}; only 80 and 443 are visited",
        )
    return ""
