"""egovctl assess answer and accept: what people state, and which risks they take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from egovctl.assess import effect, statements
from egovctl.assess.objects import OBJECTS, is_object
from egovctl.assess.run import ASSESSED, last_run
from egovctl.assess.standards import standard_of
from egovctl.checks import content, open_context
from egovctl.commands.options import inventory_option
from egovctl.errors import UsageError
from egovctl.evidence import Chain, Record, open_chain
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.report import assessment as report


@click.command()
@click.argument("item", required=False)
@click.option(
    "--status", type=click.Choice(statements.STATUSES), help="How the requirement is met. / 要求满足到什么程度。"
)
@click.option(
    "--text", help="What is so, and where it is written down; asked for when not given. / 说明及出处，不给则询问。"
)
@click.option("--by", help="Who answers for this statement. / 由谁负责。")
@click.option(
    "--attachment",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file; may be given again. / 附件，可多次给出。",
)
@click.option(
    "--days",
    type=int,
    show_default=str(statements.STATEMENT_DAYS),
    help="For how many days it holds. / 有效天数。",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Many statements at once, from a YAML file: all of them or none. / 从 YAML 文件一次记入多条，全部或全不。",
)
@inventory_option
def answer(
    item: str | None,
    status: str | None,
    text: str | None,
    by: str | None,
    files: tuple[Path, ...],
    days: int | None,
    source: Path | None,
    inventory: Inventory,
) -> None:
    """State how a requirement is met, where only people know. A copy of each attachment is kept with its hash.

    只有人知道的要求由人说明；附件按散列留存副本。
    """
    chain = _chain(inventory)
    if source is not None:
        if any(given is not None for given in (item, status, text, by, days)) or files:
            raise UsageError(
                tr(
                    "--from 不能与编号或其他选项同用：都写在文件里",
                    "--from goes with no ITEM and no other option: all that is in the file",
                )
            )
        entries = statements.read_file(source, inventory)
        effects, records = _Effects(inventory, chain), statements.state_all(inventory, chain, entries, source.parent)
        for record in records:
            _stated(record, effects)
        click.echo(tr(f"共记入 {len(records)} 条说明", f"{len(records)} statements are recorded"))
        _say_when(inventory, chain, [entry.item for entry in entries])
        return
    if item is None or status is None or by is None:
        raise UsageError(
            tr("请给出编号、--status 和 --by，或 --from 文件", "give ITEM, --status and --by, or --from FILE")
        )
    standard = standard_of(item, inventory)
    if text is None:
        text = click.prompt(tr(f"{standard.by_id[item]}：说明", f"{standard.by_id[item]}: what is so"))
    held = statements.STATEMENT_DAYS if days is None else days
    record = statements.state(inventory, chain, item, status, str(text), by, files, held)
    _stated(record, _Effects(inventory, chain))
    _say_when(inventory, chain, [item])


@click.command()
@click.argument("item")
@click.option("--reason", required=True, help="Why the risk is taken. / 为何接受。")
@click.option("--owner", required=True, help="Who owns it. / 责任人。")
@click.option("--approver", required=True, help="Who approved it: not the owner. / 批准人，不能是责任人。")
@click.option("--days", default=90, show_default=True, help="For how many days, 180 at most. / 天数，最多 180。")
@inventory_option
def accept(item: str, reason: str, owner: str, approver: str, days: int, inventory: Inventory) -> None:
    """Accept for a time that a requirement is not met. It is marked so; its verdict and the rate do not change.

    在一段时间内接受某项不符合：只作标记，不改判定和符合率。
    """
    standard_of(item, inventory)
    chain = _chain(inventory)
    record = statements.accept(chain, item, reason, owner, approver, days)
    until = record.body["until"]
    click.echo(
        tr(
            f"证据记录 {record.seq}：{item} 的风险已接受，至 {until}",
            f"evidence record {record.seq}: the risk of {item} is accepted until {until}",
        )
    )
    _say_when(inventory, chain, [item])


class _Effects:
    """What statements change, by the last assessment of each standard: each is read once."""

    def __init__(self, inventory: Inventory, chain: Chain) -> None:
        self.inventory, self.chain = inventory, chain
        self.checks = content.checks(inventory).entries
        self.read: dict[str, dict[str, Any] | None] = {}

    def note(self, record: Record) -> str | None:
        """A note when a statement changes no verdict, as far as that can be said now; else None."""
        statement = statements.read_statement(self.inventory, record)
        standard = standard_of(statement.item, self.inventory)
        if standard.id not in self.read:
            found = last_run(self.inventory, self.chain, standard)
            self.read[standard.id] = None if found is None else found[1]
        whole, item = self.read[standard.id], standard.by_id[statement.item]
        results = [] if whole is None else effect.read_results(whole, effect.naming(item, self.checks))
        if (judged := effect.idle(item, self.checks, results, statement)) is not None:
            return report.idle_line(item, judged)
        return report.settled_line(item) if whole is None and effect.settled(item, self.checks, statement) else None


def _stated(record: Record, effects: _Effects) -> None:
    item, until = record.body["item"], record.body["until"]
    click.echo(
        tr(
            f"证据记录 {record.seq}：{item} 的说明，有效至 {until}",
            f"evidence record {record.seq}: {item} is stated, until {until}",
        )
    )
    if note := effects.note(record):
        click.echo(note, err=True)


def _say_when(inventory: Inventory, chain: Chain, items: Iterable[str]) -> None:
    """A verdict is of its run: which one takes what was said into account, a command line a standard."""
    last = {
        item: str(record.body["standard"]) for record in chain.records(ASSESSED) for item in record.body["verdicts"]
    }
    names = dict.fromkeys(last.get(item) or standard_of(item, inventory).id for item in items)
    for name in dict.fromkeys(OBJECTS if is_object(name) else name for name in names):
        run = f"egovctl assess run {name} --max-age 1h -i {inventory.name}"
        click.echo(tr(f"下次测评起计入：{run}", f"it counts from the next run: {run}"))


def _chain(inventory: Inventory) -> Chain:
    return open_chain(inventory, open_context(inventory).city.plan_revision)
