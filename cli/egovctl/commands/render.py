"""egovctl render: the intended configuration of every host, as files."""

from __future__ import annotations

import click

from egovctl.commands.options import inventory_option
from egovctl.i18n import tr
from egovctl.paths import Inventory


@click.command()
@inventory_option
def render(inventory: Inventory) -> None:
    """Write build/<inventory>/: every managed host's files. Contacts nobody. / 生成各主机的目标配置。"""
    from egovctl.render import render_city, write_build

    rendered = render_city(inventory)
    written = write_build(rendered)
    changed = ", ".join(written.changed_hosts) or tr("无", "none")
    click.echo(
        tr(
            f"{len(rendered.hosts)} 台主机，{written.files} 个文件，规划版本 {rendered.plan.revision}，"
            f"位于 {inventory.build}；有变化的主机：{changed}",
            f"{len(rendered.hosts)} hosts, {written.files} files, plan revision {rendered.plan.revision}, "
            f"in {inventory.build}; hosts that changed: {changed}",
        )
    )
