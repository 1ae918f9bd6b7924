"""egovctl evidence: is the record of what was observed whole, and what does it say?"""

from __future__ import annotations

import getpass
import json
import os
import sys
from dataclasses import asdict

import click
from rich.console import Console

from egovctl.commands.options import format_option, inventory_option
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Chain, Head, Verdict
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.report.tables import plain_table, short_time


@click.group()
def evidence() -> None:
    """Verify and read the evidence chain. / 查验与阅读证据链。"""


def chains_of(inventory: Inventory) -> list[Chain]:
    """All chains of an inventory, one a writer; CannotMeasure when there is none."""
    paths = sorted(inventory.evidence.glob("*.jsonl"))
    if not paths:
        raise CannotMeasure(
            tr(
                f"{inventory.evidence} 中没有证据：先运行 egovctl assess run as-planned",
                f"no evidence in {inventory.evidence}: run egovctl assess run as-planned first",
            )
        )
    return [Chain(path) for path in paths]


@evidence.command()
@inventory_option
@format_option
@click.option("--head", "head_text", metavar="COUNT:HASH", help="A head known from elsewhere: shows a cut tail.")
@click.option("--writer", default="control", show_default=True, help="The writer whose head --head is.")
def verify(inventory: Inventory, output: str, head_text: str | None, writer: str) -> None:
    """Say whether every chain is whole; name the first bad record. Exit 1 when one is not."""
    head = Head.read(head_text) if head_text else None
    chains = chains_of(inventory)
    if head is not None and writer not in {chain.writer for chain in chains}:
        raise UsageError(tr(f"没有写入者 {writer} 的证据", f"there is no evidence by writer {writer}"))
    verdicts = [(chain, chain.verify(head if chain.writer == writer else None)) for chain in chains]
    if output == "json":
        click.echo(json.dumps([_as_json(chain, verdict) for chain, verdict in verdicts], ensure_ascii=False))
    else:
        for chain, verdict in verdicts:
            _print_verdict(chain, verdict, anchored=head is not None and chain.writer == writer)
    sys.exit(0 if all(verdict.ok for _, verdict in verdicts) else 1)


def _as_json(chain: Chain, verdict: Verdict) -> dict[str, object]:
    return {"writer": chain.writer, **asdict(verdict), "head": str(verdict.head)}


def _print_verdict(chain: Chain, verdict: Verdict, *, anchored: bool) -> None:
    if not verdict.ok:
        click.echo(
            tr(
                f"{chain.path} 第 {verdict.line} 行：{verdict.reason}",
                f"{chain.path} line {verdict.line}: {verdict.reason}",
            )
        )
        return
    count = verdict.head.count
    click.echo(tr(f"{chain.writer}：{count} 条记录，链完整", f"{chain.writer}: {count} records, the chain is whole"))
    if verdict.torn_lines:
        click.echo(
            tr(
                f"  其中有 {verdict.torn_lines} 行写入时中断，已记录在案",
                f"  {verdict.torn_lines} half-written lines are on record",
            )
        )
    click.echo(tr(f"  链头 {verdict.head}", f"  head {verdict.head}"))
    if not anchored:
        click.echo(
            tr(
                "  尾部是否被截去，只有对照他处保存的链头才能看出：--head 数量:散列",
                "  only a head kept elsewhere shows a cut tail: --head COUNT:HASH",
            )
        )


@evidence.command()
@inventory_option
@format_option
@click.option("-n", "--last", default=20, show_default=True, type=click.IntRange(1), help="How many records.")
@click.option("--kind", help="Only records of this kind, such as assess.result.")
@click.option("--seq", type=click.IntRange(0), help="One record, in full.")
def show(inventory: Inventory, output: str, last: int, kind: str | None, seq: int | None) -> None:
    """List the records, or print one of them in full."""
    records = [record for chain in chains_of(inventory) for record in chain.records()]
    chosen = [item for item in records if (kind is None or item.kind == kind) and (seq is None or item.seq == seq)]
    if not chosen:
        raise UsageError(tr("没有这样的记录", "there is no such record"))
    if seq is not None or output == "json":
        for record in chosen[-last:]:
            click.echo(
                json.dumps(
                    {**asdict(record), "hash": record.hash},
                    ensure_ascii=False,
                    indent=2 if seq is not None else None,
                )
            )
        return
    table = plain_table(
        tr("序号", "seq"), tr("时间", "time"), tr("类别", "kind"), tr("计划", "plan"), tr("散列", "hash")
    )
    for record in chosen[-last:]:
        table.add_row(str(record.seq), short_time(record.at), record.kind, record.plan_revision, record.hash[:16])
    Console().print(table)


@evidence.command()
@inventory_option
@format_option
@click.option("--accept", metavar="HOST", help="I know why archives of HOST are missing or strange; go on from here.")
def backups(inventory: Inventory, output: str, accept: str | None) -> None:
    """Look at every repository and write down its archives. Exit 1 when one that was there is gone."""
    from egovctl.backups import register, retention
    from egovctl.checks import open_context, require_network
    from egovctl.commands.assess import publish_or_say
    from egovctl.evidence import open_chain
    from egovctl.report.backups import look_table, reasons

    context = open_context(inventory)
    names = retention.repositories(context)
    if accept is not None and accept not in names:
        there = ", ".join(names)
        raise UsageError(
            tr(f"没有 {accept} 的仓库；现有：{there}", f"there is no repository of {accept}; there is: {there}")
        )
    require_network(inventory)
    chain = open_chain(inventory, context.city.plan_revision)
    seen, silent = retention.look(context, [accept] if accept else names, chain)
    if accept is not None and seen:
        register.accept(chain, seen[0], os.environ.get("EGOV_OPERATOR") or getpass.getuser())
    if output == "json":
        hosts = {item.host: asdict(item) for item in seen}
        click.echo(json.dumps({"hosts": hosts, "silent": silent}, ensure_ascii=False))
    else:
        out = Console(highlight=False)
        out.print(look_table(seen))
        for line in reasons(seen, silent):
            out.print(f"· {line}", markup=False, soft_wrap=True)
    publish_or_say(context, chain)
    whole = all(item.whole for item in seen) or accept is not None
    sys.exit(3 if silent else 0 if whole else 1)


@evidence.command()
@inventory_option
def seal(inventory: Inventory) -> None:
    """Seal what control alone holds (keys, secrets, evidence, plan) into its repository on the backup node."""
    from egovctl.backups.own_state import seal as sealed
    from egovctl.checks import open_context, require_network
    from egovctl.evidence import open_chain

    context = open_context(inventory)
    require_network(inventory)
    body = sealed(context, open_chain(inventory, context.city.plan_revision)).body
    files, total, name = body["files"], body["bytes"], body["archive"]
    click.echo(tr(f"已封存 {files} 个文件，{total} 字节：{name}", f"sealed {files} files, {total} bytes: {name}"))
