"""egovctl serve: the wall and its pages in a browser, where no Grafana is."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click

from egovctl.commands.options import inventory_option
from egovctl.errors import UsageError
from egovctl.i18n import language, tr
from egovctl.paths import Inventory, project_root

LISTEN = "127.0.0.1:8600"
OWN = ("127.0.0.1", "::1")  # what nobody else reaches


@click.command()
@inventory_option
@click.option("--prometheus", metavar="URL", help="Prometheus to ask; else the city's own. / 要查询的 Prometheus。")
@click.option(
    "--listen",
    default=LISTEN,
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where to listen; on other addresses only with --web-config. / 监听地址；非本机须有 --web-config。",
)
@click.option(
    "--web-config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Users and TLS, as Prometheus' web.config.file. / 用户与 TLS，格式同 Prometheus 的 web.config.file。",
)
@click.option("--kiosk", is_flag=True, help="Start with a round of pages, 30 s each. / 以轮播方式打开，每页 30 秒。")
def serve(inventory: Inventory, prometheus: str | None, listen: str, web_config: Path | None, kiosk: bool) -> None:
    """Serve the wall, the map and a page for each county, site and link, until interrupted. / 大屏与各页面。"""
    address, port = _listen(listen)
    url = _prometheus(prometheus) if prometheus else None

    from aiohttp import web

    from egov_exporters.snmp.web_config import server_context
    from egovctl.boards import read_boards
    from egovctl.plan import load
    from egovctl.prometheus import prometheus_url
    from egovctl.signals import read_catalogue
    from egovctl.web.app import application, house
    from egovctl.web.login import Login, read_login

    asked = read_login(web_config) if web_config else None
    tls = asked.tls if asked else None
    if address not in OWN and tls is None:
        raise _alone(listen, port, login=asked is not None)
    login = Login(asked.users, lambda text: click.echo(text, err=True)) if asked else None
    plan, city = load(inventory)
    dashboards = project_root() / "dashboards"
    catalogue = read_catalogue(dashboards)
    here = house(
        plan,
        city,
        read_boards(dashboards, catalogue),
        catalogue,
        dashboards=dashboards,
        prometheus_url=url or prometheus_url(inventory, city),
        lang=language(),
    )
    shown = f"[{address}]" if ":" in address else address
    first = f"{'https' if tls else 'http'}://{shown}:{port}/" + ("page/wall?kiosk=30" if kiosk else "")

    def ready(_text: object) -> None:
        click.echo(
            tr(
                f"大屏：{first}（数据来自 {here.prometheus_url}；按 Ctrl-C 结束）",
                f"the wall: {first} (data from {here.prometheus_url}; Ctrl-C ends it)",
            )
        )

    app = application(here, login, tls=tls is not None)
    context = server_context(tls) if tls else None
    web.run_app(app, host=address, port=port, ssl_context=context, print=ready, access_log=None)


def _alone(listen: str, port: int, *, login: bool) -> UsageError:
    """Why pages are not shown to other machines."""
    tunnel = f"ssh -L {port}:127.0.0.1:{port}"
    zh, en = ("没有 TLS", "no TLS") if login else ("没有登录", "no login")
    return UsageError(
        tr(
            f"--listen {listen}：页面{zh}，只能监听 127.0.0.1 或 [::1]；给出用户和 TLS 见 --web-config，或用 {tunnel}",
            f"--listen {listen}: the pages have {en}, so only 127.0.0.1 and [::1] are taken; "
            f"--web-config gives users and TLS, or use {tunnel}",
        )
    )


def _listen(text: str) -> tuple[str, int]:
    """(address, port); UsageError for what is neither."""
    match = re.fullmatch(r"(?:(\[[0-9a-fA-F:]+\]|[0-9.]+|localhost):)?([0-9]{1,5})", text)
    if match is None or not 0 < int(match[2]) < 65536:
        raise UsageError(
            tr(f"--listen {text}：请写成 127.0.0.1:8600", f"--listen {text}: write it as in 127.0.0.1:8600"),
        )
    address = (match[1] or "127.0.0.1").strip("[]").replace("localhost", "127.0.0.1")
    try:
        ip_address(address)
    except ValueError:
        raise UsageError(tr(f"--listen {text}：不是地址", f"--listen {text}: this is no address")) from None
    return address, int(match[2])


def _prometheus(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            tr(
                f"--prometheus {text}：请写成 http://127.0.0.1:9090",
                f"--prometheus {text}: write it as in http://127.0.0.1:9090",
            )
        )
    if parts.username or parts.password:
        raise UsageError(
            tr(
                "--prometheus 中不能有口令：命令行人人可见",
                "no password goes into --prometheus: everybody on this machine sees a command line",
            )
        )
    return text.rstrip("/")
