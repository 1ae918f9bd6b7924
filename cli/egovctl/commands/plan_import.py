"""egovctl plan import: a new inventory from the list of sites that an office has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from egovctl.commands.options import lang_option
from egovctl.commands.plan_tables import good_sentence
from egovctl.errors import UsageError
from egovctl.i18n import pick, tr

if TYPE_CHECKING:
    from egovctl.plan.sitelist import Imported

POOLS = ("loopback_v4", "transit_v4", "lan_v4", "v6")


@click.command("import")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("-i", "--inventory", "name", metavar="NEWNAME", help="Name of the new inventory. / 新清单的名称。")
@click.option("--name-zh", help="The city's name in Chinese. / 城市中文名。")
@click.option("--name-en", help="The city's name in English. / 城市英文名。")
@click.option("--domain", help="Suffix of the hosts' names; NEWNAME.example unless given. / 主机域名后缀。")
@click.option("--asn", type=int, default=64600, show_default=True, help="Private AS number. / 私有 AS 号。")
@click.option(
    "--plane",
    type=click.Choice(["extranet", "private"]),
    default="extranet",
    show_default=True,
    help="Extranet or private network. / 外网或专网。",
)
@click.option("--beside", multiple=True, help="Inventory of the other plane: no shared addresses. / 另一平面的清单。")
@click.option("--loopback-v4", default="10.240.0.0/16", show_default=True, help="Pool of loopbacks. / 环回地址池。")
@click.option("--transit-v4", default="10.241.0.0/16", show_default=True, help="Pool of links. / 互联地址池。")
@click.option("--lan-v4", default="10.64.0.0/11", show_default=True, help="Pool of LANs. / 局域网地址池。")
@click.option("--v6", default="2001:db8::/32", show_default=True, help="IPv6 prefix. / IPv6 前缀。")
@click.option("--sheet", help="Sheet to read; else the first with a list. / 要读取的工作表。")
@click.option("--dry-run", is_flag=True, help="Print the files, write nothing. / 只显示，不写文件。")
@click.option(
    "--template",
    type=click.Path(path_type=Path),
    metavar="FILE.xlsx|FILE.csv",
    help="Write an example list instead. / 生成样表。",
)
@lang_option
def import_list(file: Path | None, name: str | None, template: Path | None, dry_run: bool, **options: Any) -> None:
    """Make a new inventory from a list of sites, CSV or XLSX. / 由站点表（CSV、XLSX）生成新清单。"""
    from egovctl.plan.sitelist import Wanted, build, new_inventory, store, write_template

    if template is not None and file is None and name is None:
        write_template(template)
        click.echo(tr(f"已生成样表 {template}", f"wrote an example list: {template}"))
        return
    if file is None or name is None or template is not None:
        raise UsageError(
            tr(
                "请写 egovctl plan import 文件 -i 新清单名，或 egovctl plan import --template 文件",
                "write egovctl plan import FILE -i NEWNAME, or egovctl plan import --template FILE",
            )
        )
    inventory = new_inventory(name)
    pools = {pool: options[pool] for pool in POOLS}
    imported = build(file, Wanted(name, _city(name, options), pools, options["sheet"]), inventory)
    if dry_run:
        for path, text in imported.files.items():
            click.echo(f"---\n# inventories/{name}/{path}\n{text}", nl=False)
    else:
        store(inventory, imported.files)
    # What was made of the list is no part of the YAML that a dry run prints.
    for line in (*_remarks(imported), *([] if dry_run else _next_steps(name, imported))):
        click.echo(line, err=dry_run)


def _city(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The plan's `city`, in the order that people read it."""
    zh, en = options["name_zh"], options["name_en"]
    plane = {} if options["plane"] == "extranet" else {"plane": options["plane"]}
    beside = {"beside": list(options["beside"])} if options["beside"] else {}
    return {
        "name": {"zh": zh or en or name, "en": en or name.replace("-", " ").capitalize()},
        **plane,
        **beside,
        "domain": options["domain"] or f"{name}.example",
        "asn": options["asn"],
    }


def _remarks(imported: Imported) -> list[str]:
    """The good sentence of `plan check`, and what a person should look at."""
    from egovctl.plan.summary import counts

    plan, numbered = imported.plan, imported.numbered
    lines = [good_sentence(pick(plan.city.name.model_dump()), plan.revision, counts(plan, imported.city))]
    if imported.ignored:
        shown = ", ".join(imported.ignored)
        lines.append(tr(f"未使用的列：{shown}", f"columns that were not used: {shown}"))
    if numbered.made:
        off = (
            tr(f"，其中 {numbered.elsewhere} 个在惯例之外（1000 起）", f", {numbered.elsewhere} of them from 1000 on")
            if numbered.elsewhere
            else ""
        )
        lines.append(
            tr(
                f"按惯例编了 {numbered.made} 个编号{off}；一经使用永不改变，请现在核对",
                f"{numbered.made} numbers were given by the convention{off}; they never change once used, so look now",
            )
        )
    if imported.titles_made:
        lines.append(
            tr(
                f"{imported.titles_made} 个站点只有一种语言的名称，另一种由它得出",
                f"{imported.titles_made} sites have a title in one language only; the other was made from it",
            )
        )
    if plan.city.domain.endswith(".example") or str(plan.addressing.v6).startswith("2001:db8:"):
        lines.append(
            tr(
                "域名或 IPv6 前缀是文档用的示例；正式使用前请在 plan/city.yml 中换成本市的",
                "the domain or the IPv6 prefix is one for documentation; put the city's own into plan/city.yml first",
            )
        )
    return lines


def _next_steps(name: str, imported: Imported) -> list[str]:
    written = ", ".join(f"inventories/{name}/{path}" for path in imported.files)
    return [
        tr(f"已写入：{written}", f"written: {written}"),
        tr("下一步：", "next:"),
        tr(f"  egovctl plan check -i {name}", f"  egovctl plan check -i {name}"),
        tr(
            f"  egovctl plan show -i {name}        哪条链路、哪台路由器失效会断掉谁",
            f"  egovctl plan show -i {name}        what each lost link or router cuts off",
        ),
        tr(
            f"  git add inventories/{name}         编号与地址由此固定",
            f"  git add inventories/{name}         numbers and addresses are fixed from here on",
        ),
        tr(
            f"  ansible-playbook -i inventories/{name} playbooks/enrol.yml    逐台接入（docs/enrol.md）；"
            "在用的主机先写 manage:，再加\n    -e enrol_adopt=true、-e transaction_adopt=true（docs/import.md）",
            f"  ansible-playbook -i inventories/{name} playbooks/enrol.yml    host by host (docs/enrol.md); "
            "a host in use: manage: first, then\n    -e enrol_adopt=true, -e transaction_adopt=true (docs/import.md)",
        ),
    ]
