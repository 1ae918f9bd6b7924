"""What changed on a host, in a line or two for a person who watches an apply."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from egovctl.i18n import tr

WIDTH, LINES, SHOWN = 100, 3, 3


def summary(host: str, result: Mapping[str, Any], check: bool) -> str:
    """Names by kind, the first SHOWN of each, in at most LINES lines of WIDTH columns; empty when nothing changed."""
    kinds = (
        ("packages", tr("软件包", "packages")),
        ("users", tr("用户", "users")),
        ("files", tr("文件", "files")),
        ("folders", tr("目录", "folders")),
        ("removed", tr("移除", "removed")),
        ("units", tr("单元", "units")),
        ("sysctls", tr("内核参数", "sysctls")),
        ("actions", tr("动作", "actions")),
    )
    parts = [f"{title} {_few(result[kind])}" for kind, title in kinds if result.get(kind)]
    if result.get("recovered"):
        parts.append(str(result["recovered"]))
    if not result.get("changed") or not parts:
        return ""
    does = tr("将改变", "would change") if check else tr("已改变", "changed")
    text = f"{host}: {does}: {'; '.join(parts)}"
    wrapper = textwrap.TextWrapper(
        WIDTH, subsequent_indent="  ", max_lines=LINES, placeholder=" …", break_on_hyphens=False, break_long_words=False
    )
    return wrapper.fill(text)


def _few(names: list[str]) -> str:
    more = len(names) - SHOWN
    shown = ", ".join(names[:SHOWN])
    return f"{len(names)} ({shown}, …)" if more > 0 else shown
