"""egovctl render: the intended configuration of every host, as files."""

from __future__ import annotations

import click

from egovctl.commands.options import inventory_option
from egovctl.i18n import tr
from egovctl.paths import Inventory

SHOWN_HOSTS = 8


@click.command()
@inventory_option
@click.option(
    "--make-secrets",
    is_flag=True,
    help="Also make each secret that is missing, at random. / 同时随机生成缺少的密钥。",
)
def render(inventory: Inventory, make_secrets: bool) -> None:
    """Write build/<inventory>/: every managed host's files. Contacts nobody. / 生成各主机的目标配置。"""
    from egovctl.render import render_city, secret_names_of, write_build

    rendered = render_city(inventory)
    written = write_build(rendered)
    changed = _some(written.changed_hosts) or tr("无", "none")
    click.echo(
        tr(
            f"{len(rendered.hosts)} 台主机，{written.files} 个文件，规划版本 {rendered.plan.revision}，"
            f"位于 {inventory.build}；有变化的主机：{changed}",
            f"{len(rendered.hosts)} hosts, {written.files} files, plan revision {rendered.plan.revision}, "
            f"in {inventory.build}; hosts that changed: {changed}",
        )
    )
    if make_secrets:
        from egovctl.secrets import Secrets

        made = Secrets(inventory).ensure_random(secret_names_of(rendered))
        where = inventory.secrets
        click.echo(tr(f"新生成密钥 {len(made)} 个，位于 {where}", f"secrets made: {len(made)}, in {where}"))


def _some(names: tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    text = ", ".join(names[:SHOWN_HOSTS])
    more = len(names) - SHOWN_HOSTS
    return text if more <= 0 else text + tr(f" 等共 {len(names)} 台", f" and {more} more")
