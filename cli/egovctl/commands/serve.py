"""egovctl serve: the wall and its pages in a browser, where no Grafana is."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

import click

from egovctl.commands.options import inventory_option
from egovctl.errors import UsageError
from egovctl.i18n import language, tr
from egovctl.paths import Inventory, project_root

LISTEN = "127.0.0.1:8600"


@click.command()
@inventory_option
@click.option("--prometheus", metavar="URL", help="Prometheus to ask; else the city's own. / 要查询的 Prometheus。")
@click.option(
    "--listen",
    default=LISTEN,
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where to listen, on this machine only. / 监听地址，仅限本机。",
)
@click.option("--kiosk", is_flag=True, help="Start with a round of pages, 30 s each. / 以轮播方式打开，每页 30 秒。")
def serve(inventory: Inventory, prometheus: str | None, listen: str, kiosk: bool) -> None:
    """Serve the wall, the map and a page for each county, site and link, until interrupted. / 大屏与各页面。"""
    address, port = _listen(listen)
    url = _prometheus(prometheus) if prometheus else None

    from aiohttp import web

    from egovctl.boards import read_boards
    from egovctl.checks.collect.prometheus import prometheus_url
    from egovctl.plan import load
    from egovctl.signals import read_catalogue
    from egovctl.web.app import application, house

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
    first = f"http://{shown}:{port}/" + ("page/wall?kiosk=30" if kiosk else "")

    def ready(_text: object) -> None:
        click.echo(
            tr(
                f"大屏：{first}（数据来自 {here.prometheus_url}；按 Ctrl-C 结束）",
                f"the wall: {first} (data from {here.prometheus_url}; Ctrl-C ends it)",
            )
        )

    web.run_app(application(here), host=address, port=port, print=ready, access_log=None)


def _listen(text: str) -> tuple[str, int]:
    """(address, port); UsageError for what is not of this machine: there is no login."""
    match = re.fullmatch(r"(?:(\[[0-9a-fA-F:]+\]|[0-9.]+|localhost):)?([0-9]{1,5})", text)
    if match is None or not 0 < int(match[2]) < 65536:
        raise UsageError(
            tr(f"--listen {text}：请写成 127.0.0.1:8600", f"--listen {text}: write it as in 127.0.0.1:8600"),
        )
    address = (match[1] or "127.0.0.1").strip("[]").replace("localhost", "127.0.0.1")
    try:
        loopback = ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback or address not in ("127.0.0.1", "::1"):
        tunnel = f"ssh -L {match[2]}:127.0.0.1:{match[2]}"
        raise UsageError(
            tr(
                f"--listen {text}：页面没有登录，只能监听 127.0.0.1 或 [::1]；在别处看请用 {tunnel}",
                f"--listen {text}: the pages have no login, so only 127.0.0.1 and [::1] are taken; elsewhere: {tunnel}",
            )
        )
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
