"""egovctl evidence, to keep it: sign it, hand it over, let what is old go."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from egovctl.commands.options import inventory_option
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Chain
from egovctl.evidence.keys import chains, checkpoint, enrolled_key, key_file, rotate, signer
from egovctl.evidence.record import DIGESTS, digest
from egovctl.evidence.signing import fingerprint
from egovctl.i18n import tr
from egovctl.paths import Inventory

DIGEST = "evidence.digest"
KEEP_DAYS, SHORTEST_KEEP = 1095, 400  # statements run for a year, and reports look back over two


def chains_of(inventory: Inventory, plan_revision: str = "") -> list[Chain]:
    """All chains of an inventory, one a writer; CannotMeasure when there is none."""
    found = chains(inventory, plan_revision)
    if not found:
        raise CannotMeasure(
            tr(
                f"{inventory.evidence} 中没有证据：先运行 egovctl assess run as-planned -i {inventory.name}",
                f"no evidence in {inventory.evidence}: run egovctl assess run as-planned -i {inventory.name} first",
            )
        )
    return found


def chain_of(inventory: Inventory, writer: str) -> Chain:
    """A writer's chain; UsageError when there is none."""
    for chain in chains_of(inventory):
        if chain.writer == writer:
            return chain
    raise UsageError(tr(f"没有写入者 {writer} 的证据", f"there is no evidence by writer {writer}"))


writer_option = click.option("--writer", default="control", show_default=True, help="Whose chain. / 写入者。")


@click.command()
@inventory_option
def key(inventory: Inventory) -> None:
    """Make the key that signs the evidence, if there is none; print its public half and fingerprint."""
    from egovctl.apply.enrolment import ensure_evidence_key, record_evidence_key

    enrolled, path = enrolled_key(inventory), key_file(inventory)
    if enrolled and not path.exists():
        raise CannotMeasure(
            tr(
                f"登记的密钥 {fingerprint(enrolled)} 不在 {path}：请从封存的状态恢复它，或运行 "
                f"egovctl evidence rotate-key --lost -i {inventory.name}",
                f"the enrolled key {fingerprint(enrolled)} is not in {path}: bring it back from the sealed state, or "
                f"run egovctl evidence rotate-key --lost -i {inventory.name}",
            )
        )
    public = ensure_evidence_key(inventory)
    if enrolled and enrolled != public:
        raise CannotMeasure(
            tr(
                f"{path} 是 {fingerprint(public)}，而登记的是 {fingerprint(enrolled)}",
                f"{path} is {fingerprint(public)}, and {fingerprint(enrolled)} is enrolled",
            )
        )
    _print_key(inventory, public, record_evidence_key(inventory, public))


def _print_key(inventory: Inventory, public: str, changed: bool) -> None:
    click.echo(public)
    click.echo(fingerprint(public))
    if changed:
        where = inventory.enrolled_dir / "control.yml"
        click.echo(tr(f"已写入 {where}：请提交它", f"written to {where}: commit it"))


@click.command("rotate-key")
@inventory_option
@click.option("--lost", is_flag=True, help="The old key is gone and cannot sign for the new one.")
def rotate_key(inventory: Inventory, lost: bool) -> None:
    """Put a new key in the old one's place; every chain says so, signed by both."""
    _print_key(inventory, rotate(inventory, lost=lost), True)


@click.command("checkpoint")
@inventory_option
def checkpoint_(inventory: Inventory) -> None:
    """Sign every chain as it is, and leave the heads on the NOC. `seal` does this, too."""
    from egovctl.checks import open_context, require_network
    from egovctl.commands.assess import publish_or_say
    from egovctl.evidence import open_chain

    by = signer(inventory)
    context = open_context(inventory)
    for chain in chains_of(inventory, context.city.plan_revision):
        checkpoint(chain, by)
        click.echo(tr(f"{chain.writer}：已签名，链头 {chain.head()}", f"{chain.writer}: signed, head {chain.head()}"))
    require_network(inventory)
    publish_or_say(context, open_chain(inventory, context.city.plan_revision))


@click.command("digest")
@click.argument("name", type=click.Choice(DIGESTS))
@writer_option
@inventory_option
def digest_(name: str, writer: str, inventory: Inventory) -> None:
    """Chain a writer's records with another digest from now on; what is there stays as it is."""
    digest(b"", name)
    chain = Chain(inventory.evidence / f"{writer}.jsonl", writer=writer)
    if next((record.digest for record in deque(chain.records(), 1)), "") == name:
        click.echo(tr(f"{writer} 已使用 {name}", f"{writer} uses {name} already"))
        return
    record = chain.append(DIGEST, {"to": name}, digest_name=name)
    click.echo(tr(f"{writer}：自记录 {record.seq} 起使用 {name}", f"{writer}: {name} from record {record.seq} on"))


@click.command()
@inventory_option
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The ZIP file.")
@click.option("--writer", help="Only this writer's chain. / 写入者。")
@click.option(
    "--files",
    is_flag=True,
    help="And the attachments and results that records name by hash. / 附上记录所载的附件与结果。",
)
@click.option("--force", is_flag=True, help="Replace the file when it is there. / 替换已有文件。")
def export(inventory: Inventory, out: Path, writer: str | None, files: bool, force: bool) -> None:
    """Write the evidence with what verifies it away from here: chains, key, heads, program, instructions."""
    from egovctl.evidence.export import export as exported
    from egovctl.report.document.write import refuse_existing

    refuse_existing(out, force=force)
    chosen = [chain_of(inventory, writer)] if writer else chains_of(inventory)
    enrolled = enrolled_key(inventory)
    named = _named(inventory, chosen) if files else {}
    heads = exported(chosen, enrolled, out, named)
    click.echo(tr(f"已写入 {out}", f"written to {out}"))
    if files:
        count = len(named)
        click.echo(tr(f"  附有 {count} 个附件与结果文件", f"  attachments and results in it: {count}"))
    for name, head in heads.items():
        click.echo(tr(f"  {name} 链头 {head}", f"  {name} head {head}"))
    if enrolled:
        click.echo(tr(f"  密钥 {enrolled}", f"  key {enrolled}"))
    click.echo(tr("请另行把密钥与链头交给核验人", "give the key and the heads to whoever verifies by another way, too"))


def _named(inventory: Inventory, chains: list[Chain]) -> dict[str, Path]:
    """The files that chains name, by hash; those that are not as recorded are left out, and named."""
    from egovctl.assess.named import all_named

    found = {}
    for one in all_named(inventory, chains):
        if (now := one.digest()) == one.sha256:
            found[one.sha256] = one.path
            continue
        why = tr("不在了", "it is gone") if not now else tr("与记录的散列不符", "it is not what the record says")
        click.echo(tr(f"注意：没有附上 {one.what}：{why}", f"note: left out {one.what}: {why}"), err=True)
    return found


@click.command()
@inventory_option
@writer_option
@click.option(
    "--keep-days",
    default=KEEP_DAYS,
    show_default=True,
    type=click.IntRange(SHORTEST_KEEP),
    help="Records younger than this stay. / 保留最近多少天的记录。",
)
@click.option("--yes", is_flag=True, help="Let them go; else only say what would go. / 真正删除；否则只列出。")
def prune(inventory: Inventory, writer: str, keep_days: int, yes: bool) -> None:
    """Let go of records that are older than --keep-days and sealed on the backup node; the chain stays provable.

    Attachments and results that no record names any more go with them. / 不再被任何记录指明的附件和结果一并删除。
    """
    from egovctl.assess.named import NAMING, unnamed
    from egovctl.backups import pruning
    from egovctl.backups.witness import sealed_heads
    from egovctl.checks import open_context, require_network
    from egovctl.drill.ways import CONTROL, way_to

    chain, by, now = chain_of(inventory, writer), signer(inventory), datetime.now(UTC)
    context = open_context(inventory)
    require_network(inventory)
    sealed = sealed_heads(way_to(context, CONTROL, "borg"))
    found = pruning.plan(chain, sealed, timedelta(days=keep_days), enrolled_key(inventory), now)
    if found is None:
        click.echo(tr(f"{writer}：没有可删除的记录", f"{writer}: no record may go"))
        return
    if found.kept_for_backups:
        click.echo(
            tr(
                f"记录 {found.first} 起仍为备份登记所需，予以保留",
                f"from record {found.first} on they are kept: the register of backups rests on them",
            )
        )

    def leaving() -> list[Path]:
        """Other writers name no files, and control's chain may be gone or damaged when it is not the one to prune."""
        if writer != CONTROL:
            return []
        staying = [
            record
            for one in chains_of(inventory)
            for record in one.records(*NAMING)
            if one.writer != writer or record.seq >= found.first
        ]
        return unnamed(inventory, staying, now - timedelta(days=keep_days))

    if not yes:
        click.echo(
            tr(
                f"{writer}：可删除 {found.count} 条（记录 {found.first} 之前），封存于 {found.archive}；加 --yes 执行",
                f"{writer}: {found.count} records before {found.first} may go, sealed in {found.archive}; "
                "--yes lets them go",
            )
        )
        if files := leaving():
            click.echo(
                tr(
                    f"此后没有记录指明的附件和结果 {len(files)} 个，一并删除",
                    f"{len(files)} attachments and results that no record names then go with them",
                )
            )
        return
    pruning.prune(chain, found, by)
    for path in (files := leaving()):
        path.unlink(missing_ok=True)
    click.echo(
        tr(
            f"{writer}：已删除 {found.count} 条，链从记录 {found.first} 开始，链头 {chain.head()}",
            f"{writer}: {found.count} records went, the chain begins at {found.first}, head {chain.head()}",
        )
    )
    if files:
        click.echo(
            tr(
                f"不再有记录指明的附件和结果 {len(files)} 个也已删除",
                f"{len(files)} attachments and results that no record names any more went, too",
            )
        )


COMMANDS = (key, rotate_key, checkpoint_, digest_, export, prune)
