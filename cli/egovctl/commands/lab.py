"""egovctl lab: the planned city on one machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from egovctl.commands.options import format_option, inventory_option
from egovctl.i18n import tr
from egovctl.paths import Inventory

if TYPE_CHECKING:
    from egovctl.lab.facts import Steps
    from egovctl.lab.processes import Booted


@click.group()
def lab() -> None:
    """The planned city as systemd containers on this machine. / 在本机上用容器运行规划中的城市网络。"""


# The lab's own words in Chinese; systemd's (running, degraded, ...) are said as systemd says them.
WORDS = {
    "starting": "正在启动",
    "up": "已启动",
    "growing": "正在调整",
    "stopping": "正在停止",
    "guest": "容器",
    "switch": "模拟交换机",
    "dead": "未运行",
    "no agent": "无代理进程",
}


def _word(word: str) -> str:
    return tr(WORDS.get(word, word), word)


class ConsoleReporter:
    """Progress on a terminal: a moving line while something happens, a fixed line when it is done."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False)
        self.status = self.console.status("")
        self.text = ""
        self.booted = 0

    def __enter__(self) -> ConsoleReporter:
        self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.status.stop()

    def step(self, text: str) -> None:
        self.text = text
        self.booted = 0
        self.status.update(text)
        self.console.print(f"[bold]·[/] {text}")

    def detail(self, text: str) -> None:
        self.status.update(f"{self.text}: {text}")

    def host(self, booted: Booted, total: int) -> None:
        self.booted += 1
        self.status.update(f"{self.text}: {self.booted}/{total}")
        colour = "green" if booted.good and not booted.failed else "yellow" if booted.good else "red"
        failed = f" ({', '.join(booted.failed)})" if booted.failed else ""
        reason = f": {booted.reason}" if booted.reason else ""
        state = f"[{colour}]{_word(booted.state)}[/]"
        self.console.print(f"  {booted.host:<24} {state}{reason}{failed} {booted.seconds:.1f} s")


def _with_reporter(action: Callable[[ConsoleReporter], Any], inventory: Inventory) -> Any:
    try:
        with ConsoleReporter() as report:
            return action(report)
    except KeyboardInterrupt:
        name = inventory.name
        click.echo(
            tr(
                f"已中断：再次运行 egovctl lab up -i {name} 会先清理再启动，egovctl lab down -i {name} 只清理",
                f"interrupted: egovctl lab up -i {name} starts over, egovctl lab down -i {name} only clears",
            ),
            err=True,
        )
        raise


@lab.command()
@inventory_option
@click.option("--fresh", is_flag=True, help="Throw the hosts away and start anew. / 丢弃现有主机，重新建立。")
def up(inventory: Inventory, fresh: bool) -> None:
    """Build the image if needed, wire the network, boot all hosts. / 启动实验环境。"""
    from egovctl.lab.lifecycle import up as bring_up

    done = _with_reporter(lambda report: bring_up(inventory, report, fresh=fresh), inventory)
    if done.skipped:
        names = ", ".join(done.skipped)
        click.echo(tr(f"实验环境无法代替的主机：{names}", f"hosts that a lab cannot stand in for: {names}"))
    count = len(done.lab.guests)
    if done.already:
        text = tr(
            f"实验环境 {inventory.name} 已在运行（{count} 台主机）；要重新建立请加 --fresh",
            f"lab {inventory.name} is up already ({count} hosts); add --fresh to start anew",
        )
    else:
        text = tr(
            f"实验环境 {inventory.name} 已启动：{count} 台主机，用时 {done.seconds:.0f} 秒",
            f"lab {inventory.name} is up: {count} hosts in {done.seconds:.0f} s",
        )
    click.echo(text)
    for item in done.lab.forwards:
        click.echo(f"  {item.name}: http://127.0.0.1:{item.port}/")


@lab.command()
@inventory_option
@click.option(
    "--anew",
    multiple=True,
    metavar="HOST",
    help="Put a bare host in this one's place, as when a router is replaced. / 换成一台全新的主机。",
)
def grow(inventory: Inventory, anew: tuple[str, ...]) -> None:
    """Follow a changed plan: hosts and lines that differ; all others keep running. / 按变化后的规划调整。"""
    from egovctl.lab.grow import grow as follow

    done = _with_reporter(lambda report: follow(inventory, report, anew), inventory)
    if done.skipped:
        names = ", ".join(done.skipped)
        click.echo(tr(f"实验环境无法代替的主机：{names}", f"hosts that a lab cannot stand in for: {names}"))
    for line in _grown(done.steps):
        click.echo(f"  {line}")
    name, count, seconds = inventory.name, len(done.lab.guests), f"{done.seconds:.0f}"
    if not (done.steps.gone or done.steps.made or done.booted):
        click.echo(tr(f"实验环境 {name} 与规划一致，未作改动", f"lab {name} is as planned; nothing was changed"))
        return
    click.echo(
        tr(
            f"实验环境 {name} 已与规划一致：{count} 台主机，用时 {seconds} 秒",
            f"lab {name} follows the plan: {count} hosts, in {seconds} s",
        )
    )


def _grown(steps: Steps) -> Iterator[str]:
    """A line for each host and each line of the city that came, went or has another bandwidth."""
    from egovctl.lab.names import FABRIC

    gone, made = steps.of("netns")
    old, new = {fact.words[0] for fact in gone}, {fact.words[0] for fact in made}
    for sign, names in (("-", old - new), ("+", new - old), ("~", old & new)):
        for name in sorted(names):
            yield f"{sign} {tr('主机', 'host')} {name}" + (tr("（全新）", " (a new one)") if sign == "~" else "")
    wires = [{fact.words for fact in facts if FABRIC not in fact.words} for facts in steps.of("wire")]
    for sign, lines in (("-", wires[0] - wires[1]), ("+", wires[1] - wires[0])):
        for one, first, other, second in sorted(lines):
            yield f"{sign} {tr('链路', 'line')} {other} {second} - {one} {first}"
    shaped = [{fact.words[:2]: fact.words[2] for fact in facts} for facts in steps.of("shape")]
    for end in sorted(shaped[0].keys() & shaped[1].keys()):
        if shaped[0][end] != shaped[1][end]:
            yield f"~ {' '.join(end)}: {shaped[0][end]} -> {shaped[1][end]} Mbit/s"


@lab.command()
@inventory_option
@format_option
def status(inventory: Inventory, output: str) -> None:
    """Each host, its state, addresses and memory; exit 1 when one is not running. / 各主机状态。"""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from egovctl.lab.inside import statuses
    from egovctl.lab.owner import is_other

    record, rows = statuses(inventory)
    good = record.phase == "up" and all(row.state == "running" for row in rows)
    if output == "json":
        lines = [asdict(row) for row in rows]
        head = {"inventory": record.inventory, "project": record.project, "phase": record.phase}
        data = {**head, "hosts": lines}
        click.echo(json.dumps({**data, "forwards": [asdict(item) for item in record.forwards]}, indent=1))
    else:
        table = Table(
            title=f"{record.inventory}: {_word(record.phase)}", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
        )
        titles = (
            ("主机", "host"),
            ("类型", "kind"),
            ("状态", "state"),
            ("管理地址", "management"),
            ("地址", "address"),
        )
        for zh, en in (*titles, ("内存 MB", "MB")):
            table.add_column(tr(zh, en), no_wrap=True)
        for row in rows:
            memory = f"{row.memory_bytes / 1e6:.0f}"
            table.add_row(row.host, _word(row.kind), _word(row.state), row.management, row.loopback, memory)
        Console().print(table)
        if is_other(record.project):
            project = record.project
            click.echo(tr(f"它属于另一个项目：{project}", f"it belongs to another project: {project}"))
        for row in rows:
            if row.failed:
                click.echo(f"{row.host}: {tr('失败的单元', 'failed units')}: {', '.join(row.failed)}")
        for item in record.forwards:
            click.echo(f"{item.name}: http://127.0.0.1:{item.port}/")
    if not good:
        raise click.exceptions.Exit(1)


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@inventory_option
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(inventory: Inventory, host: str, command: tuple[str, ...]) -> None:
    """Run COMMAND in HOST as root, past its network; exits as the command does. / 在主机中执行命令。"""
    from egovctl.lab.inside import command_in

    words = command[1:] if command[0] == "--" else command
    _become(command_in(inventory, host, words))


@lab.command()
@inventory_option
@click.argument("host")
def shell(inventory: Inventory, host: str) -> None:
    """A root shell in HOST, past its network. / 进入主机的 shell。"""
    from egovctl.lab.inside import command_in

    _become(command_in(inventory, host, ["/bin/bash", "-l"]))


@lab.command()
@inventory_option
@click.option("--keep-disks", is_flag=True, help="The next up boots the hosts as they were. / 保留主机磁盘。")
@click.option(
    "--all", "every", is_flag=True, help="Every lab of this machine, whatever its inventory. / 本机所有实验环境。"
)
def down(inventory: Inventory, keep_disks: bool, every: bool) -> None:
    """Take the whole lab away, from whatever state it is in. / 停止并清除实验环境。"""
    from egovctl.lab.lifecycle import down as take_down
    from egovctl.lab.lifecycle import down_all

    if every:
        names = _with_reporter(down_all, inventory)
        click.echo(tr(f"已清除：{', '.join(names) or '无'}", f"gone: {', '.join(names) or 'none'}"))
        return
    there = _with_reporter(lambda report: take_down(inventory, report, keep_disks=keep_disks), inventory)
    name = inventory.name
    if there:
        click.echo(tr(f"实验环境 {name} 已清除", f"lab {name} is gone"))
    else:
        click.echo(tr(f"没有实验环境 {name} 要清除", f"there is no lab {name} to take down"))


def _become(argv: list[str]) -> None:
    os.execvp(argv[0], argv)  # noqa: S606 - the command takes this process's place, with its terminal and signals
