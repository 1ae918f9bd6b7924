"""The tables of `egovctl plan`, printed from the same data that --format json gives."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from egovctl.i18n import pick, tr
from egovctl.report.tables import plain_table
from egovctl.report.words import duration

Data = Mapping[str, Any]
WIDTH_WHEN_PIPED = 160


def _console() -> Console:
    """As wide as the terminal; in a pipe wide enough that no address is cut."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDTH_WHEN_PIPED, highlight=False)


def print_table(
    title: str | None, columns: Iterable[str], rows: Iterable[Iterable[object]], wrap: tuple[int, ...] = ()
) -> None:
    """A table as `plain_table` makes it, on standard output."""
    table = plain_table(*columns, title=title, wrap=wrap)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    _console().print(table)


def say(text: str) -> None:
    """A line on standard output, as wide as the tables."""
    _console().print(Text(text))


def good_sentence(name: str, revision: str, numbers: Mapping[str, int]) -> str:
    """What `plan check` says of a good plan."""
    return tr(
        f"规划正确：{name}，{numbers['counties']} 个县区，{numbers['sites']} 个站点，{numbers['hosts']} 台主机"
        f"（纳管 {numbers['managed']} 台），{numbers['links']} 条链路，{numbers['lans']} 个局域网，"
        f"{numbers['services']} 项服务，规划版本 {revision}。",
        f"good: {name}, {_count(numbers['counties'], 'county', 'counties')}, {numbers['sites']} sites, "
        f"{numbers['hosts']} hosts ({numbers['managed']} managed), {numbers['links']} links, {numbers['lans']} LANs, "
        f"{_count(numbers['services'], 'service', 'services')}, plan revision {revision}",
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def print_summary(data: Data) -> None:
    """For `plan show`: areas, services, then what is lost with each link and router."""
    counts, name = data["counts"], pick(data["city"]["name"])
    say(
        tr(
            f"{name}：{counts['sites']} 个站点，{counts['hosts']} 台主机，{counts['links']} 条链路，"
            f"规划版本 {data['revision']}",
            f"{name}: {counts['sites']} sites, {counts['hosts']} hosts, {counts['links']} links, "
            f"plan revision {data['revision']}",
        )
    )
    print_table(
        tr("区域", "Areas"),
        (
            tr("区域", "area"),
            tr("站点", "sites"),
            tr("主机", "hosts"),
            tr("上联", "uplinks"),
            tr("上联带宽 Mbit/s", "Mbit/s up"),
        ),
        (
            (pick(area["title"]), len(area["sites"]), area["hosts"], area["uplinks"], area["mbps_to_core"])
            for area in data["areas"]
        ),
    )
    _print_services(data["services"])
    _print_survival(data["survival"], data["areas"])


def _print_services(services: list[Data]) -> None:
    columns = (
        tr("服务", "service"),
        tr("责任单位", "owner"),
        tr("等保", "grade"),
        tr("可用率 %", "availability %"),
        "RTO",
        "RPO",
        tr("主机", "hosts"),
        tr("备份", "backup"),
    )
    rows = (
        (
            pick(service["title"]),
            service["owner"],
            str(service["grade"]),
            service["availability_percent"],
            duration(service["rto_seconds"]),
            duration(service["rpo_seconds"]),
            len(service["hosts"]) if len(service["hosts"]) > 3 else ", ".join(service["hosts"]),
            service["backup"] or tr("无", "none"),
        )
        for service in services
    )
    print_table(tr("服务与承诺", "Services and what is promised"), columns, rows)


def _print_survival(survival: Data, areas: list[Data]) -> None:
    say(
        tr(
            f"失去任一链路：{survival['links']} 条中有 {survival['links_that_cut_nobody_off']} 条不影响任何站点；"
            f"其余 {len(survival['link_losses'])} 条各使下列单上联站点中断：",
            f"Any one link lost: {survival['links_that_cut_nobody_off']} of {survival['links']} cut nobody off; "
            f"each of the other {len(survival['link_losses'])} cuts off a site with a single uplink:",
        )
    )
    lost = {site for loss in survival["link_losses"] for site in loss["cut_off"]}
    for area in areas:
        if names := [site for site in area["sites"] if site in lost]:
            say(f"  {pick(area['title'])} ({len(names)}): {', '.join(names)}")
    for loss in survival["router_losses"]:
        sites = len(loss["cut_off"])
        say(
            tr(
                f"  失去路由器 {loss['router']}：中断 {sites} 个站点",
                f"  router {loss['router']} lost: {sites} {'site' if sites == 1 else 'sites'} cut off",
            )
        )


def print_addresses(data: Data) -> None:
    """For `plan addresses`: three tables, hosts, LANs and links."""
    place = (tr("站点", "site"), "IPv4", "IPv6")
    print_table(
        tr("主机", "Hosts"),
        (tr("主机", "host"), *place, tr("角色", "role"), tr("网关", "gateway")),
        (
            (host["name"], host["site"], host["v4"], host["v6"], host["role"], host["gateway_v4"] or "")
            for host in data["hosts"]
        ),
    )
    print_table(
        tr("局域网", "LANs"),
        (*place, tr("区域", "zone")),
        ((lan["site"], lan["v4"], lan["v6"], lan["zone"]) for lan in data["lans"]),
    )
    print_table(
        tr("链路", "Links"),
        (tr("下端", "lower end"), tr("上端", "upper end"), "Mbit/s", "IPv4", "IPv6"),
        (
            (
                f"{link['child']} {link['child_interface']}",
                f"{link['parent']} {link['parent_interface']}",
                link["mbps"],
                link["v4"],
                link["v6"],
            )
            for link in data["links"]
        ),
    )


def print_diff(data: Data) -> None:
    """For `plan diff`: a line a change, with + - or ~ before it."""
    titles = {
        "city": tr("城市", "City"),
        "sites": tr("站点", "Sites"),
        "links": tr("链路", "Links"),
        "addresses": tr("地址", "Addresses"),
        "services": tr("服务", "Services"),
    }
    say(tr(f"规划 {data['from']} → {data['to']}", f"plan {data['from']} -> {data['to']}"))
    same = True
    for section, title in titles.items():
        rows = list(_diff_rows(data[section]))
        if rows:
            same = False
            print_table(title, ("", tr("名称", "name"), tr("内容", "what")), rows)
    if same:
        say(tr("没有差异。", "no difference"))


def print_meaning(hosts: Data) -> None:
    """For `plan diff`: what the change asks for, in words and with the commands; docs/growth.md has the whole tasks."""
    if hosts["added"]:
        names = ",".join(hosts["added"])
        first, then = f"site.yml --limit 'all:!{names.replace(',', ':!')}'", f"enrol.yml --limit {names}"
        say(
            tr(
                f"新主机：{names}。先 {first}，再 {then}，再 site.yml",
                f"new hosts: {names}. First {first}, then {then}, then site.yml",
            )
        )
    if hosts["removed"]:
        names = ", ".join(hosts["removed"])
        say(
            tr(
                f"离开的主机：{names}。在站点离开规划之前先运行 retire.yml -e retire_site=站点",
                f"hosts that leave: {names}. Run retire.yml -e retire_site=SITE before their site leaves the plan",
            )
        )
    for move in hosts["moved"]:
        end, first = f"{move['host']} {move['interface']}", f"site.yml --limit {move['after']}"
        say(
            tr(
                f"改接：{end} 由 {move['before']} 改到 {move['after']}。先 {first}，再改接线路，再 site.yml",
                f"moved: {end} from {move['before']} to {move['after']}. First {first}, then move the line, then "
                "site.yml",
            )
        )
    if hosts["changed"]:
        names = ", ".join(hosts["changed"])
        say(
            tr(
                f"链路、地址、邻居或服务有变化：{names}",
                f"with other links, addresses, neighbours or services: {names}",
            )
        )
    if any(hosts.values()):
        say(tr("会改变哪些文件：site.yml --check --diff", "which files change: site.yml --check --diff"))


def _diff_rows(section: Data) -> Iterable[tuple[str, str, str]]:
    for sign, entries in (("+", section["added"]), ("-", section["removed"])):
        for entry in entries:
            words = (
                f"{key} {_value(value)}" for key, value in entry.items() if key != "name" and value not in (None, [])
            )
            yield sign, entry["name"], ", ".join(words)
    for change in section["changed"]:
        yield "~", change["name"], f"{change['field']}: {_change(change['from'], change['to'])}"


def _value(value: Any) -> str:
    if not isinstance(value, list):
        return tr("无", "none") if value is None else str(value)
    return ", ".join(value) if len(value) <= 5 else tr(f"{len(value)} 个", f"{len(value)} of them")


def _change(before: Any, after: Any) -> str:
    """A list's change as what came and went, anything else as before → after."""
    if isinstance(before, list) and isinstance(after, list):
        came = [f"+{item}" for item in after if item not in before]
        return ", ".join([*came, *(f"-{item}" for item in before if item not in after)])
    return f"{_value(before)} → {_value(after)}"
