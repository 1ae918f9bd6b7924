"""egovctl plan: show it, check it, compare it, list its addresses, make it from a list of sites."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from egovctl.commands.options import format_option, inventory_option
from egovctl.commands.path_tables import print_loss, print_paths, print_site
from egovctl.commands.plan_import import import_list
from egovctl.commands.plan_tables import (
    good_sentence,
    print_addresses,
    print_diff,
    print_meaning,
    print_summary,
)
from egovctl.errors import UsageError
from egovctl.i18n import pick, tr
from egovctl.paths import Inventory


@click.group()
def plan() -> None:
    """The city's one plan: show, check, compare, paths, import. / 全市网络规划：概况、检查、比较、路径、导入。"""


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


@plan.command()
@inventory_option
@format_option
def show(inventory: Inventory, output: str) -> None:
    """Areas, services and promises, and what survives the loss of each link. / 概况、承诺与链路失效影响。"""
    from egovctl.plan import load
    from egovctl.plan.summary import summary

    data = summary(*load(inventory))
    if output == "json":
        _print_json(data)
    else:
        print_summary(data)


@plan.command()
@inventory_option
@format_option
def check(inventory: Inventory, output: str) -> None:
    """Say that the plan is good, or each fault with file and line; exit 2. / 检查规划，指出错误所在的文件与行。"""
    from egovctl.plan import PlanError, load
    from egovctl.plan.summary import counts

    try:
        good_plan, city = load(inventory)
    except PlanError as error:
        if output != "json":
            raise
        _print_json({"inventory": inventory.name, "good": False, "faults": list(error.faults)})
        sys.exit(error.exit_code)
    numbers = counts(good_plan, city)
    if output == "json":
        revision = good_plan.revision
        _print_json({"inventory": inventory.name, "good": True, "faults": [], "revision": revision, "counts": numbers})
        return
    click.echo(good_sentence(pick(good_plan.city.name.model_dump()), good_plan.revision, numbers))


@plan.command()
@inventory_option
@format_option
@click.option(
    "--against",
    required=True,
    metavar="PATH_OR_GIT_REV",
    help="The earlier plan: an inventory, or a revision of git. / 对照的规划：清单目录或 git 版本。",
)
def diff(inventory: Inventory, output: str, against: str) -> None:
    """Sites, links, addresses, services: what differs, and what that means. / 与另一份规划比较，并说明影响。"""
    from egovctl.plan import load
    from egovctl.plan.against import load_against
    from egovctl.plan.compare import as_json, compare, meaning

    old, new = load_against(inventory, against), load(inventory)
    data = {"against": against, "from": old[0].revision, "to": new[0].revision, **as_json(compare(old, new))}
    data["hosts"] = asdict(meaning(old[1], new[1]))
    if output == "json":
        _print_json(data)
    else:
        print_diff(data)
        print_meaning(data["hosts"])


@plan.command()
@inventory_option
@format_option
def addresses(inventory: Inventory, output: str) -> None:
    """Every host, LAN and link with its IPv4 and IPv6 addresses. / 主机、局域网与链路地址表。"""
    from egovctl.plan import load_city
    from egovctl.plan.summary import address_table

    data = address_table(load_city(inventory))
    if output == "json":
        _print_json(data)
    else:
        print_addresses(data)


@plan.command()
@inventory_option
@format_option
@click.option("--site", metavar="NAME", help="One site's paths to everything central. / 一个站点的全部路径。")
@click.option(
    "--without",
    metavar="LINK_OR_ROUTER",
    help="What changes if this is lost: a router, CHILD-PARENT or HOST:INTERFACE. / 失去该路由器或链路后的变化。",
)
def paths(inventory: Inventory, output: str, site: str | None, without: str | None) -> None:
    """Each site's primary and backup path; what one loss changes. / 各站点的主备路径，失去一处后的变化。"""
    from egovctl.plan import load_city
    from egovctl.plan.loss import find_element
    from egovctl.plan.paths_data import loss_table, path_table

    if site is not None and without is not None:
        raise UsageError(
            tr(
                "--site 与 --without 不能同时使用：--site 已列出该站点每种失效后的路径",
                "--site and --without do not go together: --site shows the site's path after every loss already",
            )
        )
    city = load_city(inventory)
    if without is not None:
        data, show = loss_table(city, find_element(city, without)), print_loss
    else:
        data, show = path_table(city, site), print_paths if site is None else print_site
    if output == "json":
        _print_json(data)
    else:
        show(data)


plan.add_command(import_list)
