"""egovctl doctor: is what the operator set up himself as the suite needs it?"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import click
from rich.console import Console

from egovctl.boards.doctor import BAD, DATASOURCE, Finding, Grafana, examine, values_of
from egovctl.commands.options import inventory_option
from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.paths import Inventory, project_root
from egovctl.report.tables import plain_table

WORDS = {
    "ok": ("有数据", "has data"),
    "empty": ("空（正常）", "empty, as it may be"),
    "no_data": ("无数据", "NO DATA"),
    "differs": ("不一致", "DIFFERS"),
    "missing": ("缺少", "MISSING"),
    "error": ("出错", "ERROR"),
}


@click.group()
def doctor() -> None:
    """Look at what the operator has set up himself. / 检查运维方自建的系统。"""


@doctor.command()
@click.argument("url")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File (0600) with a service account's token; else EGOV_GRAFANA_TOKEN. / 令牌文件。",
)
@click.option("--datasource", default=DATASOURCE, show_default=True, metavar="UID", help="Data source to ask.")
@click.option("--all", "everything", is_flag=True, help="Show good panels too. / 也显示正常的面板。")
@inventory_option
def grafana(url: str, token_file: Path | None, datasource: str, everything: bool, inventory: Inventory) -> None:
    """Prove that each board is on the Grafana at URL and each panel has data. Exit 1 if not, 3 if it is silent."""
    from egovctl.boards import read_boards
    from egovctl.plan import load
    from egovctl.signals import read_catalogue

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise UsageError(
            tr(f"{parts.hostname or url}：请写成 https://grafana.example", "write URL as in https://grafana.example")
        )
    dashboards = project_root() / "dashboards"
    boards = read_boards(dashboards, read_catalogue(dashboards))
    asked = Grafana(url.rstrip("/"), _token(token_file), datasource)
    version = asked.version()
    values = values_of(*load(inventory))
    console = Console()
    with Console(stderr=True).status(tr("逐个面板查询", "asking for each panel")):
        findings = list(examine(asked, boards, dashboards / "out", values))
    _print(console, [one for one in findings if everything or one.outcome in BAD])
    counts = Counter(one.outcome for one in findings)
    told = tr("，", ", ").join(f"{tr(*WORDS[name])} {number}" for name, number in counts.items())
    on = " ".join(f"{key}={value}" for key, value in values.items())
    console.print(
        tr(
            f"Grafana {version}，{len(findings)} 个面板（{on}）：{told}",
            f"Grafana {version}, {len(findings)} panels ({on}): {told}",
        ),
        highlight=False,
        soft_wrap=True,
    )
    sys.exit(1 if any(counts[name] for name in BAD) else 0)


def _print(console: Console, findings: list[Finding]) -> None:
    if not findings:
        return
    table = plain_table(tr("页面", "board"), tr("面板", "panel"), tr("结果", "result"), tr("原因", "why"), wrap=(1, 3))
    for one in findings:
        table.add_row(one.board, one.panel, tr(*WORDS[one.outcome]), str(one.why))
    console.print(table)


def _token(path: Path | None) -> str:
    """The token, from a file that nobody else may read, or from the environment."""
    if path is None:
        return os.environ.get("EGOV_GRAFANA_TOKEN", "")
    mode = path.stat().st_mode
    if stat.S_IMODE(mode) & 0o077:
        raise UsageError(tr(f"{path}：他人可读；请 chmod 600", f"{path}: others may read it; chmod 600 it"))
    text = path.read_text(encoding="utf-8").strip()
    if not re.fullmatch(r"[!-~]{1,500}", text):
        raise UsageError(tr(f"{path}：应为一行令牌", f"{path}: it should be one line, the token"))
    return text
