"""egovctl evidence: is the record of what was observed whole, and what does it say?"""

from __future__ import annotations

import getpass
import json
import os
import sys
from dataclasses import asdict
from heapq import merge

import click
from rich.console import Console

from egovctl.commands.evidence_keep import COMMANDS, chains_of
from egovctl.commands.options import format_option, inventory_option
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Chain, Head, Verdict
from egovctl.evidence.anchors import Anchor, heads_of
from egovctl.evidence.keys import chains, checkpoint, enrolled_key, key_file, signer, verified
from egovctl.evidence.noted import all_noted
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.report.evidence import print_verdict
from egovctl.report.tables import plain_table, short_time

WRITERS = ("control", "calibration")


@click.group()
def evidence() -> None:
    """Verify and read the evidence chain. / 查验与阅读证据链。"""


@evidence.command()
@inventory_option
@format_option
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="WHERE",
    help="Heads from elsewhere: syslog:FILE, metric:[URL|FILE], repository:[PATH], COUNT:HASH. May be given again.",
)
@click.option("--head", "head_text", metavar="COUNT:HASH", help="The same as --anchor COUNT:HASH.")
@click.option(
    "--writer", default="control", show_default=True, help="The writer whose head COUNT:HASH is. / 该链头的写入者。"
)
def verify(inventory: Inventory, output: str, anchors: tuple[str, ...], head_text: str | None, writer: str) -> None:
    """Say whether every chain is whole; name the first bad record.

    Exit 0 whole, 1 not (or gone), 3 when the heads from elsewhere could not be had or compared.
    """
    if writer not in WRITERS:
        there = ", ".join(WRITERS)
        raise UsageError(tr(f"没有写入者 {writer}；现有：{there}", f"there is no writer {writer}; there is: {there}"))
    heads = [Anchor("--head", writer, Head.read(head_text))] if head_text else []
    if anchors:
        from egovctl.backups.witness import known

        heads += [found for item in anchors for found in known(inventory, item, writer)]
    signed = all_noted(key_file(inventory))
    present = chains(inventory)
    gone = sorted(({item.writer for item in heads} | signed.keys()) - {chain.writer for chain in present})
    verdicts = [
        (chain, verified(inventory, chain, heads_of(heads, chain.writer)))
        for chain in (present if gone else chains_of(inventory))
    ]
    key = enrolled_key(inventory)
    if output == "json":
        rows = [{**_as_json(chain, verdict), "key_enrolled": key} for chain, verdict in verdicts]
        click.echo(json.dumps([*rows, *map(_gone_as_json, gone)], ensure_ascii=False))
    else:
        for chain, verdict in verdicts:
            print_verdict(chain, verdict, key, heads_of(heads, chain.writer), signed.get(chain.writer))
        for name in gone:
            click.echo(_gone(name))
    sys.exit(_exit_code([verdict for _, verdict in verdicts], bool(gone)))


def _gone(name: str) -> str:
    return tr(
        f"写入者 {name} 的证据不见了：已知有其链头；请从封存的状态恢复，恢复之前不要再运行测评",
        f"the evidence of {name} is gone: its heads are known; bring it back from the sealed state, and assess nothing "
        "before that",
    )


def _gone_as_json(name: str) -> dict[str, object]:
    return {"writer": name, "ok": False, "gone": True, "reason": _gone(name)}


def _exit_code(verdicts: list[Verdict], gone: bool) -> int:
    if gone or not all(verdict.ok and verdict.ahead < 0 for verdict in verdicts):
        return 1
    return 3 if any(verdict.unchecked and not verdict.checked for verdict in verdicts) else 0


def _as_json(chain: Chain, verdict: Verdict) -> dict[str, object]:
    return {"writer": chain.writer, **asdict(verdict), "head": str(verdict.head)}


@evidence.command()
@inventory_option
@format_option
@click.option("-n", "--last", default=20, show_default=True, type=click.IntRange(1), help="How many records.")
@click.option("--kind", help="Only records of this kind, such as assess.result.")
@click.option("--seq", type=click.IntRange(0), help="One record, in full.")
@click.option("--writer", help="Only records of this writer.")
def show(inventory: Inventory, output: str, last: int, kind: str | None, seq: int | None, writer: str | None) -> None:
    """List the records, or print one of them in full."""
    chains = chains_of(inventory)
    chains = [chain for chain in chains if writer in (None, chain.writer)]
    # By time, and each chain in its own order whatever its clock did.
    records = merge(*(chain.records() for chain in chains), key=lambda record: record.at)
    for chain in chains:
        _say_unreadable(chain)
    chosen = [item for item in records if (kind is None or item.kind == kind) and (seq is None or item.seq == seq)]
    if not chosen:
        raise UsageError(tr("没有这样的记录", "there is no such record"))
    if seq is not None or output == "json":
        for record in chosen[-last:]:
            click.echo(
                json.dumps(
                    {**json.loads(record.line), "hash": record.hash},
                    ensure_ascii=False,
                    indent=2 if seq is not None else None,
                )
            )
        return
    several = len(chains) > 1
    table = plain_table(
        *([tr("写入者", "writer")] if several else []),
        tr("序号", "seq"),
        tr("时间 (UTC+8)", "time (UTC+8)"),
        tr("类别", "kind"),
        tr("计划", "plan"),
        tr("散列", "hash"),
    )
    for record in chosen[-last:]:
        said = (str(record.seq), short_time(record.at), record.kind, record.plan_revision, record.hash[:16])
        table.add_row(*([record.writer] if several else []), *said)
    Console().print(table)


def _say_unreadable(chain: Chain) -> None:
    """The first line that is no record, unless `verify` would say that it is on record as half written."""
    if (verdict := chain.verify()).line and not verdict.ok:
        click.echo(
            tr(
                f"注意：{chain.path} 第 {verdict.line} 行：{verdict.reason}",
                f"note: {chain.path} line {verdict.line}: {verdict.reason}",
            ),
            err=True,
        )


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
    """Sign the evidence, then seal what control alone holds into its repository on the backup node.

    Keys, secrets, evidence with its files, and plan. Exit 3 when it is sealed and could not be signed.
    """
    from egovctl.backups.own_state import seal as sealed
    from egovctl.checks import open_context, require_network
    from egovctl.commands.assess import publish_or_say
    from egovctl.evidence import open_chain

    context = open_context(inventory)
    require_network(inventory)
    unsigned = _sign(inventory, context.city.plan_revision)
    chain = open_chain(inventory, context.city.plan_revision)
    body = sealed(context, chain).body
    files, total, name = body["files"], body["bytes"], body["archive"]
    click.echo(tr(f"已封存 {files} 个文件，{total} 字节：{name}", f"sealed {files} files, {total} bytes: {name}"))
    publish_or_say(context, chain)
    sys.exit(3 if unsigned else 0)


def _sign(inventory: Inventory, plan_revision: str) -> bool:
    """Sign every chain. What cannot be signed is sealed all the same; True when that is so though there is a key."""
    try:
        by = signer(inventory)
        for chain in chains_of(inventory, plan_revision):
            checkpoint(chain, by)
    except CannotMeasure as error:
        click.echo(tr(f"注意：证据没有签名：{error}", f"note: the evidence is not signed: {error}"), err=True)
        return key_file(inventory).exists()
    return False


for command in COMMANDS:
    evidence.add_command(command)
