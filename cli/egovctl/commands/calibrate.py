"""egovctl drill calibrate: faults are planted in copies, to see what a drill finds."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from egovctl.commands.options import format_option, inventory_option
from egovctl.i18n import pick, tr
from egovctl.paths import Inventory, project_root

PAGE = Path("docs/drill-calibration.md")
KEPT_EVERY = 10


class PartType(click.ParamType[tuple[int, int]]):
    """I/N, as in 3/12: the third of twelve parts."""

    name = "part"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        first, slash, second = str(value).partition("/")
        if slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second):
            return int(first) - 1, int(second)
        self.fail(tr(f"{value}：应为 I/N，如 3/12", f"{value}: expected I/N, such as 3/12"), param, ctx)


@click.command()
@click.option("--kind", "kinds", multiple=True, help="Only this kind of fault; may be given again. / 只植入此类故障。")
@click.option("--instances", type=click.IntRange(0), default=20, show_default=True, help="Of each kind. / 每类次数。")
@click.option("--clean", type=click.IntRange(0), default=300, show_default=True, help="Without a fault. / 无故障次数。")
@click.option("--seed", type=click.IntRange(0), help="Else it is drawn and printed. / 随机种子。")
@click.option(
    "--part", type=PartType(), default="1/1", show_default=True, help="Only the I-th of N parts. / 第 I 部分。"
)
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Existing folder for the copies; what is made there is removed. / 临时目录。",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Keep the results. / 结果文件。")
@click.option(
    "--to-docs",
    "files",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Plant nothing: write these results into docs/drill-calibration.md. / 写入文档。",
)
@inventory_option
@format_option
def calibrate(
    kinds: tuple[str, ...],
    instances: int,
    clean: int,
    seed: int | None,
    part: tuple[int, int],
    scratch: Path | None,
    out: Path | None,
    files: tuple[Path, ...],
    inventory: Inventory,
    output: str,
) -> None:
    """Plant faults in copies of backups that are made for it, drill them blindly, count what is found.

    Nothing of the city is touched. Needs root: the copies have owners, hosts' names and small disks of their own.
    Exit 0 when all goals are kept, 1 when one is missed.
    """
    from rich.console import Console

    from egovctl.drill.calibration import results
    from egovctl.drill.calibration.run import Judged, Wanted, calibrate
    from egovctl.drill.calibration.score import as_body, score
    from egovctl.drill.calibration.seals import broken
    from egovctl.errors import UsageError
    from egovctl.evidence import open_chain
    from egovctl.evidence.record import now
    from egovctl.report.calibration import summary, table

    if files:
        results.write_page(project_root() / PAGE, results.page_text(*results.load(files)))
        return
    if os.geteuid() != 0:
        raise UsageError(tr("drill calibrate 需要 root", "drill calibrate needs root"))
    wanted = Wanted(secrets.randbelow(10**9) if seed is None else seed, instances, clean, kinds, *part)
    parent = scratch or inventory.state / "scratch"
    parent.mkdir(mode=0o700, exist_ok=True)
    chain = open_chain(inventory, writer="calibration")
    about = {"seed": wanted.seed, "at": now(), "revision": _revision(), "cpus": os.cpu_count()}
    kept: list[Judged] = []
    with Console(stderr=True).status(tr("校准中", "calibrating")) as status:

        def each(one: Judged, of: int) -> None:
            if not kept:  # all that was wanted is known: there is a seed to speak of
                status.console.print(tr(f"随机种子 {wanted.seed}", f"seed {wanted.seed}"))
            kept.append(one)
            status.update(f"{len(kept)}/{of}")
            if out and (len(kept) % KEPT_EVERY == 0 or len(kept) == of):
                results.save(out, about, kept)  # a run that is ended early has measured something

        run, cases = calibrate(inventory, chain, wanted, parent.resolve(), each)
    result = score(cases)
    unsealed = broken(chain.records(), run)
    chain.append("calibration.result", {"run": run, **as_body(result), "not_blind": unsealed})
    if output == "json":
        click.echo(json.dumps({**about, "run": run, **as_body(result), "not_blind": unsealed}, ensure_ascii=False))
    else:
        console = Console(highlight=False)
        console.print(table(result))
        console.print(summary(result, len(cases) - len(unsealed)))
        for goal in result.missed:
            console.print(f"· {pick(goal)}", markup=False, soft_wrap=True)
    sys.exit(1 if result.missed or unsealed else 0)


def _revision() -> str:
    """The commit of the suite that was measured, marked when it was changed since."""
    try:
        argv = ["git", "-C", str(project_root()), "describe", "--always", "--dirty"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
