"""The tables of `egovctl plan paths`, printed from the same data that --format json gives."""

from __future__ import annotations

from collections.abc import Iterator

from egovctl.commands.plan_tables import Data, print_table, say
from egovctl.i18n import tr


def print_paths(data: Data) -> None:
    """Every site's path to the core, and what is left of it when any one part of it is lost."""
    rows = data["paths"]
    cut = sum(not (row["link_disjoint"] and row["node_disjoint"]) for row in rows)
    less = sum(row["narrowest_backup"] is not None and _less(row) for row in rows)
    say(
        tr(
            f"到核心的路径：{len(rows)} 台路由器；任失一处，{len(rows) - cut - less} 台带宽不变，{less} 台变窄，"
            f"{cut} 台可能中断。",
            f"Paths to the core: {len(rows)} routers. Whatever one part is lost, {len(rows) - cut - less} keep their "
            f"bandwidth, {less} get less, {cut} can be cut off.",
        )
    )
    print_table(
        None,
        (tr("路由器", "router"), tr("主路径", "path"), "Mbit/s", tr("任失一处后（最窄）", "if one part is lost")),
        ((row["router"], _told(row), _mbps(row["primary"]), _left(row)) for row in rows),
        wrap=(1, 3),
    )


def print_site(data: Data) -> None:
    """One site's paths to everything central, each with what is left after every loss on it."""
    print_table(
        None,
        (tr("通往", "to"), tr("失去", "lost"), tr("路径", "path"), "Mbit/s"),
        (cells for row in data["paths"] for cells in _site_rows(row, several=_several(data))),
        wrap=(1, 2),
    )


def _several(data: Data) -> bool:
    return len({row["router"] for row in data["paths"]}) > 1


def _site_rows(row: Data, *, several: bool) -> Iterator[tuple[object, ...]]:
    to = f"{row['destination']} ({row['router']})" if several else row["destination"]
    yield to, "", _told(row), _mbps(row["primary"])
    for backup in row["backups"]:
        yield "", _element(backup["lost"]), _path(backup["path"]), _mbps(backup["path"])


def print_loss(data: Data) -> None:
    """What one loss changes: who is cut off, who gets less, which links then carry more than they can."""
    narrower = [move for move in data["moved"] if move["narrower"]]
    say(
        tr(
            f"失去{_element(data['lost'])}：中断 {len(data['cut_off'])} 个站点；{len(data['moved'])} 台路由器改道，"
            f"其中 {len(narrower)} 台带宽变小。",
            f"Without {_element(data['lost'])}: sites cut off: {len(data['cut_off'])}; routers on another path: "
            f"{len(data['moved'])}, of these on a narrower one: {len(narrower)}.",
        )
    )
    if data["cut_off"]:
        say(tr("中断：", "Cut off: ") + ", ".join(data["cut_off"]))
    if narrower:
        print_table(
            tr("带宽变小", "Narrower"),
            (tr("路由器", "router"), tr("原 Mbit/s", "Mbit/s before"), tr("现", "after"), tr("现路径", "path after")),
            (
                (move["router"], move["before"]["mbps"], move["after"]["mbps"], _path(move["after"]))
                for move in narrower
            ),
            wrap=(3,),
        )
    _print_overloads(data)


def _print_overloads(data: Data) -> None:
    if planned := data["overloads_with_nothing_lost"]:
        most = f"{planned[0]['from']} > {planned[0]['to']}, {planned[0]['ratio']:.2f}"
        say(
            tr(
                f"未失去任何部分时，已有 {len(planned)} 条链路按规划超过带宽（最多：{most}）。",
                f"With nothing lost, links over-subscribed by plan: {len(planned)} (the most: {most}).",
            )
        )
    if not data["overloads"]:
        say(tr("没有链路因此超过其带宽（规划值）。", "No link is over-subscribed by it (planned figures)."))
        return
    say(
        tr(
            "因此超过带宽的链路（规划值，非实测：其后各站点签约带宽之和与链路带宽之比）：",
            "Links over-subscribed by it (planned, not measured: the sites' contracted Mbit/s to the link's):",
        )
    )
    print_table(
        None,
        (tr("链路", "link"), "Mbit/s", tr("其后站点", "behind"), tr("比值", "ratio"), tr("原", "before")),
        (
            (
                f"{load['from']} > {load['to']}",
                load["mbps"],
                f"{load['contracted_behind_mbps']:g}",
                f"{load['ratio']:.2f}",
                f"{load['ratio_before']:.2f}",
            )
            for load in data["overloads"]
        ),
        wrap=(0,),
    )


def _told(row: Data) -> str:
    if row["primary"] is None and row["blocked_by"]:
        wall = row["blocked_by"]
        return tr(
            f"无：路由经过 {wall}，其防火墙不放行", f"none: routed over {wall}, whose firewall lets nobody through"
        )
    return _path(row["primary"])


def _path(path: Data | None) -> str:
    if path is None:
        return tr("无", "none")
    notes = [tr(f"{path['equal']} 条等价", f"{path['equal']} equal")] if path["equal"] > 1 else []
    notes += [tr("隧道", "tunnel")] if path["tunnel"] else []
    text = " > ".join(path["routers"])
    return f"{text} ({', '.join(notes)})" if notes else text


def _mbps(path: Data | None) -> object:
    return "" if path is None else path["mbps"]


def _less(row: Data) -> bool:
    return bool(row["narrowest_backup"]["mbps"] < row["primary"]["mbps"])


def _left(row: Data) -> str:
    """The narrowest backup; else why there is none."""
    if row["primary"] is None:
        return ""
    if row["cut_by"]:
        if row["single_homed"]:
            return tr("无（单上联）", "none (one uplink)")
        lost = ", ".join(_element(item) for item in row["cut_by"])
        return tr(f"失去{lost}即中断", f"none without {lost}")
    return f"{row['narrowest_backup']['mbps']}: {_path(row['narrowest_backup'])}"


def _element(element: Data) -> str:
    kind = tr("链路", "link") if element["kind"] == "link" else tr("路由器", "router")
    return f"{kind} {element['name']}"
