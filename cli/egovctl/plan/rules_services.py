"""What must hold across the services of a plan: known owners, known hosts, backups only where they can run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from egovctl.i18n import tr
from egovctl.plan.models import Plan, Service
from egovctl.plan.names import HOST_WORDS, hosts_of_word, with_people
from egovctl.plan.rules_backups import backups_possible
from egovctl.plan.source import KeyPath

INTERVALS = {"hourly": 3600, "daily": 86_400, "weekly": 604_800}  # systemd.time(7), calendar events
EVERY_MINUTES = re.compile(r"\*:0/([1-9]|[1-5][0-9])\Z")


def services_known(plan: Plan) -> Iterator[tuple[KeyPath, str]]:
    """(key path in services.yml, sentence) for each fault. Takes the plan as written, before expand_hosts."""
    sites = {site.name for site in plan.sites}
    platforms = {name: site.platform for site in plan.sites for name in site.router_names}
    seen: set[str] = set()
    yield from backups_possible(plan)
    for i, service in enumerate(plan.services):
        if service.name in seen:
            yield (
                ("services", i, "name"),
                tr(
                    f"服务 {service.name} 出现两次；请给其中一个改名",
                    f"service {service.name} is planned twice; rename one of them",
                ),
            )
        seen.add(service.name)
        if service.owner not in sites:
            yield (
                ("services", i, "owner"),
                tr(
                    f"服务 {service.name} 的责任单位 {service.owner} 不是规划中的站点",
                    f"service {service.name} is owned by {service.owner}, which is no site",
                ),
            )
        for j, host in enumerate(service.hosts):
            if sentence := _wrong_host(plan, service, j, host, platforms):
                yield ("services", i, "hosts", j), sentence
        if sentence := _provided_twice(plan, i):
            yield ("services", i, "provides"), sentence
        for key, sentence in _sms_sound(plan, service):
            yield ("services", i, *key), sentence
        if sentence := _more_than_site(plan, service):
            yield ("services", i, "availability"), sentence
        if sentence := _too_rare(service):
            yield ("services", i, "backup", "schedule"), sentence


def _provided_twice(plan: Plan, i: int) -> str:
    """What is wrong with what the i-th service provides; "" when it does on one host what no other does."""
    service = plan.services[i]
    if service.provides is None:
        return ""
    if len(service.hosts) != 1 or service.hosts[0] in HOST_WORDS:
        return tr(
            f"服务 {service.name} 提供 {service.provides}，应只在一台主机上",
            f"service {service.name} provides {service.provides}, which needs one host and no more",
        )
    if any(other.provides == service.provides for other in plan.services[:i]):
        return tr(
            f"服务 {service.name} 提供 {service.provides}，而另一项服务已提供；请去掉一个",
            f"service {service.name} provides {service.provides}, which another service does already; take one out",
        )
    return ""


def _sms_sound(plan: Plan, service: Service) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with how a service sends text messages, with the key below it."""
    name, how = service.name, service.sms
    if (service.provides == "sms") != (how is not None):
        yield (
            ("sms",) if how else ("provides",),
            tr(
                f"服务 {name}：provides: sms 与 sms: 段应同时有或同时无",
                f"service {name}: provides: sms and the block sms: go together; write both or neither",
            ),
        )
    if how is None:
        return
    for site, quota in how.quotas.items():
        if site not in {item.name for item in with_people(plan)}:
            yield (
                ("sms", "quotas", site),
                tr(
                    f"服务 {name} 给 {site} 定了限额，但它不是部门、乡镇或村",
                    f"service {name} gives {site} a quota, which is no department, town or village",
                ),
            )
        daily = how.daily if quota.daily is None else quota.daily
        monthly = how.monthly if quota.monthly is None else quota.monthly
        if daily > monthly:
            yield (
                ("sms", "quotas", site),
                tr(
                    f"{site} 的日限额 {daily} 大于月限额 {monthly}；请改其中之一",
                    f"{site} may send {daily} a day, which is more than its {monthly} a month; change one of them",
                ),
            )
    if how.daily > how.monthly:
        yield (
            ("sms", "daily"),
            tr(
                f"服务 {name} 的日限额 {how.daily} 大于月限额 {how.monthly}；请改其中之一",
                f"service {name} lets each send {how.daily} a day, more than {how.monthly} a month; change one of them",
            ),
        )


def interval(schedule: str) -> int | None:
    """Seconds between two backups of a schedule, at the longest; None for a form whose interval is not known here."""
    if match := EVERY_MINUTES.match(schedule):
        return int(match[1]) * 60
    return INTERVALS.get(schedule)


def _more_than_site(plan: Plan, service: Service) -> str:
    """What is wrong with a promise above that of the one site at which all the hosts are; "" when good."""
    for site in plan.sites:
        if site.availability is None or not set(service.hosts) <= set(site.router_names):
            continue
        if service.availability > site.availability:
            name, more, less = service.name, service.availability, site.availability
            return tr(
                f"服务 {name} 承诺可用率 {more}%，而它只运行在站点 {site.name}，后者只承诺 {less}%；请改其中之一",
                f"service {name} is promised to be available {more} %, but runs at site {site.name} alone, of which "
                f"{less} % is promised; change one of them",
            )
    return ""


def _too_rare(service: Service) -> str:
    """What is wrong with the service's schedule; "" when it can keep the RPO although one backup fails.

    Of PostgreSQL it is the WAL that keeps the RPO, whenever the backups before it were made.
    """
    if service.backup is None or service.backup.engine == "postgresql":
        return ""
    seconds = interval(service.backup.schedule)
    if seconds is None or seconds * 2 <= service.rpo:
        return ""
    name, schedule = service.name, service.backup.schedule
    return tr(
        f"服务 {name} 的备份计划 {schedule} 间隔 {seconds} 秒，一次失败就无法兑现 RPO {service.rpo} 秒；请至少加密一倍",
        f"service {name} is backed up {schedule}, every {seconds} s, which cannot keep its RPO of {service.rpo} s once "
        "a backup fails; back up at least twice in that time",
    )


def _wrong_host(plan: Plan, service: Service, j: int, host: str, platforms: Mapping[str, str]) -> str:
    """What is wrong with the j-th host of the service; "" when it is good."""
    name = service.name
    if host in service.hosts[:j]:
        return tr(f"服务 {name} 两次写了 {host}；请去掉一个", f"service {name} names {host} twice; take one out")
    if host in HOST_WORDS:
        if hosts_of_word(plan, host):
            return ""
        return tr(
            f"服务 {name} 运行在 {host}，但规划中一台也没有", f"service {name} runs on {host}, but the plan has none"
        )
    if host not in platforms:
        return tr(
            f"服务 {name} 运行在 {host}，但它不是纳管主机", f"service {name} runs on {host}, which is no managed host"
        )
    if service.backup is not None and platforms[host] != "linux":
        return tr(
            f"服务 {name} 无法从 {host} 备份：其平台是 {platforms[host]}，不是 linux",
            f"service {name} cannot be backed up from {host}, which is {platforms[host]} and not linux",
        )
    return ""
