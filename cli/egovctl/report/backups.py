"""What a look at the repositories found, as a table and as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from egovctl.backups.register import Seen
from egovctl.i18n import pick, tr
from egovctl.report.tables import plain_table, short_time

SHOWN = 5


def look_table(seen: Sequence[Seen]) -> Table:
    """One row a repository."""
    shown = plain_table(
        tr("仓库", "repository"),
        tr("备份", "archives"),
        tr("新增", "new"),
        tr("缺失", "missing"),
        tr("可疑", "strange"),
        tr("最新 (UTC+8)", "newest (UTC+8)"),
    )
    for item in seen:
        newest = max((one.at for one in item.archives), default="")
        counts = (len(item.archives), len(item.new), len(item.missing), len(item.strange))
        shown.add_row(item.host, *map(str, counts), short_time(newest) if newest else "-")
    return shown


def reasons(seen: Sequence[Seen], silent: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Which archives are missing or strange, and which repositories could not be seen."""
    lines = []
    for item in seen:
        for archives, zh, en in (
            (item.missing, "登记过而现已不在", "seen before and gone"),
            (item.strange, "不可能出自备份", "made by no backup"),
        ):
            if archives:
                names = ", ".join(one.name for one in archives[:SHOWN]) + (" …" if len(archives) > SHOWN else "")
                lines.append(f"{item.host}: {tr(zh, en)}: {names}")
    return [*lines, *(f"{host}: {pick(why)}" for host, why in silent.items())]
