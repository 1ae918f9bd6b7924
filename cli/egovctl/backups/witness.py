"""Heads of the evidence kept where control does not write them over: told to the NOC, and asked for again.

`tell` logs them on the NOC, where the day's log is sealed. The NOC's Prometheus keeps them as a metric
(checks.metrics), and each archive of control's state has them in its comment (own_state).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from egovctl import transport
from egovctl.checks.context import Context, open_context
from egovctl.drill.borg import Deadline, Repository
from egovctl.drill.ways import CONTROL, way_to
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Head
from egovctl.evidence.anchors import (
    TAG,
    Anchor,
    from_comment,
    from_copies,
    from_labels,
    from_log,
    from_metrics,
    line_of,
)
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.prometheus import prometheus_url, query
from egovctl.secrets import Secrets

KINDS = ("syslog", "metric", "repository")
EVER = "last_over_time(egov_evidence_head_info[400d])"
ASK_SECONDS = 120.0


def tell(context: Context, heads: Mapping[str, Head]) -> str:
    """Log all heads on the NOC; its name. HostSilent or CannotMeasure when that is not possible."""
    name = context.inventory.name
    for host in context.city.hosts.values():
        if host.role == "noc" and "managed" in host.groups:
            lines = "".join(f"{line_of(name, writer, head)}\n" for writer, head in heads.items())
            argv = ["logger", "-t", TAG, "-p", "auth.notice"]
            done = transport.run(context.inventory, host.name, argv, input=lines.encode())
            if done.returncode != 0:
                raise CannotMeasure(
                    tr(f"{host.name}：链头没有写入日志", f"{host.name}: the heads could not be logged there")
                )
            return host.name
    raise CannotMeasure(tr(f"清单 {name} 中没有纳管的 noc 主机", f"inventory {name} has no managed host of role noc"))


def known(inventory: Inventory, specification: str, writer: str) -> list[Anchor]:
    """The heads that one --anchor names; UsageError for what it cannot be, CannotMeasure when none is there."""
    kind, colon, rest = specification.partition(":")
    if kind not in KINDS or not colon:
        return [Anchor(specification, writer, _head(specification))]
    if kind == "syslog":
        if not rest:
            raise UsageError(tr("syslog: 之后应有文件", "syslog: wants a file"))
        return from_log(Path(rest), inventory.name)
    found = list(_from_prometheus(inventory, rest) if kind == "metric" else _from_repository(inventory, rest))
    if not found:
        raise CannotMeasure(tr(f"{specification} 中没有链头", f"there is no head in {specification}"))
    return found


def _head(text: str) -> Head:
    try:
        return Head.read(text)
    except UsageError:
        raise UsageError(
            tr(
                f"{text!r} 不是锚：应为 syslog:文件、metric:[地址或文件]、repository:[目录] 或 数量:散列",
                f"{text!r} is no anchor: write syslog:FILE, metric:[URL or FILE], repository:[PATH] or COUNT:HASH",
            )
        ) from None


def _from_prometheus(inventory: Inventory, where: str) -> Iterable[Anchor]:
    if where and "://" not in where:
        try:
            return from_metrics(Path(where).read_text(encoding="utf-8"), where)
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise CannotMeasure(tr(f"{where} 无法读取：{why}", f"{where} cannot be read: {why}")) from None
    url = (where or prometheus_url(inventory, open_context(inventory).city)).rstrip("/")
    series = query(url, EVER, timeout=ASK_SECONDS)
    return [anchor for item in series for anchor in from_labels(item["metric"], url)]


def _from_repository(inventory: Inventory, where: str) -> Iterable[Anchor]:
    """From a repository's comments, that of the backup node unless one is given; or from what was restored of one."""
    path = Path(where)
    if where and not (path / "config").is_file():
        return from_copies(path)
    if where:
        passphrase = Secrets(inventory).get(f"borg_passphrase_{CONTROL}")
        repository = Repository(str(path), passphrase, inventory.state / "borg-ways" / "local")
    else:
        repository = way_to(open_context(inventory), CONTROL, "borg")
    return sealed_heads(repository)


def sealed_heads(repository: Repository) -> list[Anchor]:
    """The heads in the comments of all archives; the source of each is its archive."""
    argv = ["list", "--json", "--format", "{comment}", repository.location]
    listed = json.loads(repository.call(argv, Deadline.after(ASK_SECONDS)))
    return [anchor for item in listed["archives"] for anchor in from_comment(str(item["comment"]), str(item["name"]))]
