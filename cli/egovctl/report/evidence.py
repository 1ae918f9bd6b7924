"""What a verification found, in words."""

from __future__ import annotations

from collections.abc import Iterator

import click

from egovctl.evidence import Chain, Head, Verdict
from egovctl.evidence.chain import command
from egovctl.evidence.signing import fingerprint
from egovctl.i18n import tr


def print_verdict(chain: Chain, verdict: Verdict, enrolled: str, heads: list[Head], noted: Head | None) -> None:
    """Print one chain's verdict; `enrolled` is the key in control's record, `heads` are those known from elsewhere,
    and `noted` is what control kept when it signed last."""
    if verdict.ok:
        count, first = verdict.head.count, verdict.first
        click.echo(
            tr(f"{chain.writer}：{count} 条记录，链完整", f"{chain.writer}: {count} records, the chain is whole")
        )
        if first:
            click.echo(
                tr(f"  记录 {first} 之前的已按规定删除", f"  those before record {first} were let go, as a record says")
            )
        click.echo(tr(f"  链头 {verdict.head}", f"  head {verdict.head}"))
    else:
        click.echo(
            tr(
                f"{chain.path} 第 {verdict.line} 行：{verdict.reason}",
                f"{chain.path} line {verdict.line}: {verdict.reason}",
            )
        )
        if noted:
            click.echo(tr(f"  上次签名时链头 {noted}", f"  head when it was last signed {noted}"))
    for line in [*_remarks(chain, verdict, enrolled), *(_compared(verdict, heads) if verdict.ok else ())]:
        click.echo(f"  {line}")


def _remarks(chain: Chain, verdict: Verdict, enrolled: str) -> Iterator[str]:
    if verdict.torn_lines:
        torn = verdict.torn_lines
        yield tr(f"其中有 {torn} 行写入时中断，已记录在案", f"{torn} half-written lines are on record")
    if verdict.ahead >= 0:
        yield tr(
            f"记录 {verdict.ahead} 来自将来：写入时时钟有误，或是伪造",
            f"record {verdict.ahead} is from the future: the clock was wrong when it was written, or it is forged",
        )
    for seq in verdict.lost:
        yield tr(
            f"记录 {seq} 换了密钥而没有旧密钥的签名：请查明是谁所为",
            f"record {seq} changed the key without the old key's signature: find out who did that",
        )
    if not verdict.ok:
        return
    if not verdict.key:
        yield tr(
            "没有签名：能写入文件的人可以重写整条链",
            "it is not signed: who can write the file can write a new chain",
        )
        if enrolled:
            yield tr(
                f"已登记密钥：若从未签名过，请运行 {command(chain.path, 'checkpoint')}",
                f"a key is enrolled: if it was never signed, run {command(chain.path, 'checkpoint')}",
            )
        return
    after = verdict.head.count - verdict.signed - 1
    whose = tr("已登记", "enrolled") if verdict.key == enrolled else tr("未登记", "not enrolled")
    key = fingerprint(verdict.key)
    rest = tr(f"，其后 {after} 条未签名", f", {after} after it are not") if after else tr("，即全部", ", which is all")
    yield tr(
        f"已签名至记录 {verdict.signed}{rest}；密钥 {key}（{whose}）",
        f"signed up to record {verdict.signed}{rest}; key {key} ({whose})",
    )


def _compared(verdict: Verdict, heads: list[Head]) -> Iterator[str]:
    if not heads:
        yield tr(
            "尾部是否被截去、整条链是否被重写，只有对照他处保存的链头才能看出：--anchor",
            "only a head kept elsewhere shows a cut tail, or a chain that was written anew: --anchor",
        )
        return
    newest = max(head.count for head in heads)
    yield tr(
        f"与他处的 {verdict.checked} 个链头相符，最新的到第 {newest} 条",
        f"heads from elsewhere that agree: {verdict.checked}, the newest of {newest} records",
    )
    if verdict.unchecked:
        yield tr(
            f"另有 {verdict.unchecked} 个链头早于现存记录，请与封存的副本核对",
            f"{verdict.unchecked} more heads lie before what is kept: compare them with the sealed copies",
        )
