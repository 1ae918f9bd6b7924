"""make demo: the main job end to end on the lab inventory, step by step, with a bilingual summary at its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console

from egovctl.checks.expected import targets
from egovctl.errors import CannotMeasure, EgovError
from egovctl.i18n import language, tr
from egovctl.paths import Inventory, project_root
from egovctl.plan import City, Plan, load
from egovctl.prometheus import prometheus_url, query

SETTLE_SECONDS = 120
CHANGED = "changed: ["  # how Ansible's output begins the line of a host that was changed


@dataclass(frozen=True)
class Step:
    """One step: what it says while it runs, the command, and what to do when it fails."""

    title: tuple[str, str]
    argv: tuple[str, ...]
    hint: tuple[str, str]


@dataclass
class Results:
    """What the summary needs: each step's seconds, its standard output, and all that it said."""

    seconds: dict[str, float] = field(default_factory=dict)
    output: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)


def steps(inventory: Inventory) -> list[tuple[str, Step]]:
    """The steps in order, by key."""
    bin_dir = Path(sys.executable).parent
    egovctl = (sys.executable, "-m", "egovctl")
    playbook = (str(bin_dir / "ansible-playbook"), "-i", str(inventory.root))
    again = ("修正后重新运行 make demo 即可继续", "mend it and run make demo again; it goes on from here")
    hosts = ("用 egovctl lab status 查看主机", "look at the hosts with egovctl lab status")
    return [
        ("plan", Step(("核对规划", "check the plan"), (*egovctl, "plan", "check", "-i", str(inventory.root)), again)),
        ("lab", Step(("启动主机", "boot the hosts"), (*egovctl, "lab", "up", "-i", str(inventory.root)), again)),
        ("enrol", Step(("登记主机", "enrol the hosts"), (*playbook, "playbooks/enrol.yml"), hosts)),
        ("apply", Step(("按规划配置", "apply the plan"), (*playbook, "playbooks/site.yml"), hosts)),
        (
            "again",
            Step(("再次配置，应无变化", "apply again: nothing may change"), (*playbook, "playbooks/site.yml"), hosts),
        ),
        (
            "settle",
            Step(
                ("等待监测数据", "wait for measurements"),
                (sys.executable, "-m", "egovctl.demo", "settle", str(inventory.root)),
                hosts,
            ),
        ),
        (
            "assess",
            Step(
                ("按清单核查", "run the checks"),
                (*egovctl, "assess", "run", "as-planned", "-i", str(inventory.root), "--format", "json"),
                (
                    "用 egovctl assess run as-planned 查看哪项未通过",
                    "see which check fails: egovctl assess run as-planned",
                ),
            ),
        ),
        (
            "drill",
            Step(
                ("演练：恢复备份", "drill: restore a backup"),
                (*egovctl, "drill", "run", "restore-files", "-i", str(inventory.root), "--format", "json"),
                ("用 egovctl drill history 查看记录", "read the record: egovctl drill history"),
            ),
        ),
    ]


def main() -> None:
    """Run all steps; exit 0 when all is well, else the failed step's own code."""
    try:
        match sys.argv[1:]:
            case ["settle", inventory]:
                settle(Inventory.find(inventory))
            case ["-i", inventory]:
                demonstrate(Inventory.find(inventory))
            case _:
                demonstrate(Inventory.find("lab"))
    except EgovError as error:
        print(f"{tr('错误', 'error')}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(
            tr(
                "已中断；make demo 可继续，egovctl lab down 可清理",
                "interrupted; make demo goes on, egovctl lab down cleans up",
            ),
            file=sys.stderr,
        )
        sys.exit(130)


def demonstrate(inventory: Inventory) -> None:
    """The steps, then the summary; leaves through sys.exit at the first step that fails."""
    console = Console(highlight=False)
    console.print(
        tr(
            "[bold]演示：一座小城，从规划到恢复演练[/bold]",
            "[bold]Demo: a small city, from its plan to a proven restore[/bold]",
        )
    )
    log = inventory.state / "demo.log"
    log.write_text("")
    results = Results()
    todo = steps(inventory)
    for number, (key, step) in enumerate(todo, start=1):
        code = _run(console, f"{number}/{len(todo)} {tr(*step.title)}", key, step, log, results)
        if code != 0:
            _explain(console, step, code, results.said[key], log)
            sys.exit(code if code in (1, 2, 3) else 3)
    summary(console, inventory, results)


def _run(console: Console, title: str, key: str, step: Step, log: Path, results: Results) -> int:
    begin, offset = time.monotonic(), log.stat().st_size
    # Ansible refuses to start in a locale that the machine has not generated, which zh_CN.UTF-8 often is.
    quiet = {"PYTHONUNBUFFERED": "1", "ANSIBLE_FORCE_COLOR": "0", "LC_ALL": "C.UTF-8", "EGOV_LANG": language()}
    environment = {**os.environ, **quiet}
    with log.open("a", encoding="utf-8") as stream, console.status(title) as status:
        process = subprocess.Popen(
            step.argv, cwd=project_root(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        try:
            lines = _follow(process, lambda text: status.update(f"{title} · {text[:70]}"), stream.write)
            code = process.wait()
        except KeyboardInterrupt:
            process.wait(timeout=30)  # the terminal has told it too; it cleans up before it ends
            raise
    results.output[key] = lines
    results.said[key] = log.read_bytes()[offset:].decode("utf-8", "replace")
    if key == "again" and code == 0 and CHANGED in lines:
        code = 1
    results.seconds[key] = time.monotonic() - begin
    mark = "[green]✓[/green]" if code == 0 else "[red]✗[/red]"
    console.print(f" {mark} {title} [dim]{results.seconds[key]:.0f} s[/dim]")
    return code


def _follow(process: subprocess.Popen[str], show: Callable[[str], None], write: Callable[[str], object]) -> str:
    """Standard output, whole; both streams go to the log, and the last line of progress to the screen."""
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - Popen was asked for pipes
    kept: list[str] = []

    def errors() -> None:
        assert process.stderr is not None  # noqa: S101
        for line in process.stderr:
            write(line)
            show(line.strip())

    thread = threading.Thread(target=errors, daemon=True)
    thread.start()
    for line in process.stdout:
        kept.append(line)
        write(line)
        if line.startswith(("TASK", "PLAY")):
            show(line.split("*")[0].strip())
    thread.join()
    return "".join(kept)


def _explain(console: Console, step: Step, code: int, said: str, log: Path) -> None:
    text = said.splitlines()
    telling = [line for line in text if line.lower().startswith(("error:", "错误:", "fatal:", "[error]", CHANGED))][-3:]
    console.print(tr(f"这一步失败（退出码 {code}）：", f"This step failed (exit code {code}):"))
    for line in telling or text[-5:]:
        console.print(f"   {line[:300]}", markup=False)
    console.print(tr(f"怎么办：{step.hint[0]}。全部输出：{log}", f"What to do: {step.hint[1]}. All output: {log}"))


# Of the last minute: a NOC that was built anew has measurements from before.
BACKED_UP = "last_over_time(egov_backup_last_success_timestamp_seconds[1m])"


def waiting_for(url: str, plan: Plan, city: City) -> list[str]:
    """The planned targets that are not up, else the backups whose first success Prometheus has not seen yet."""
    up = {f"{sample['metric'].get('job')} {sample['metric'].get('host')}" for sample in query(url, "up == 1")}
    silent = [name for name in targets(city) if name not in up]
    if silent:
        return silent
    seen = {(sample["metric"].get("service"), sample["metric"].get("host")) for sample in query(url, BACKED_UP)}
    planned = [
        (service.name, host)
        for service in plan.services
        if service.backup
        for host in city.backed_up(service.hosts, service.backup.engine)
    ]
    return [f"backup {service}@{host}" for service, host in planned if (service, host) not in seen]


def settle(inventory: Inventory) -> None:
    """Wait until every planned target answers Prometheus and every backup has been seen.

    Raises CannotMeasure with what is still missing after SETTLE_SECONDS.
    """
    plan, city = load(inventory)
    url = prometheus_url(inventory, city)
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            missing = waiting_for(url, plan, city)
        except CannotMeasure:
            missing = ["Prometheus"]
        if not missing:
            return
        if time.monotonic() > deadline:
            names = ", ".join(missing[:5])
            raise CannotMeasure(
                tr(f"{SETTLE_SECONDS} 秒后仍没有：{names}", f"still missing after {SETTLE_SECONDS} s: {names}")
            )
        print(tr(f"还在等 {missing[0]}", f"waiting for {missing[0]}"), file=sys.stderr)
        time.sleep(2)


def summary(console: Console, inventory: Inventory, results: Results) -> None:
    """The last screen, in both languages: hosts, neighbours, series, checks, RTO/RPO, where to look next."""
    city = load(inventory)[1]
    url = prometheus_url(inventory, city)
    booted = [host for host in city.hosts.values() if "managed" in host.groups]
    assessed, drilled = json.loads(results.output["assess"]), json.loads(results.output["drill"])
    sessions = sum(
        result["shown"].get("count", 0) for result in assessed["results"] if result["check"] == "neighbours-up"
    )
    series = int(sum(float(sample["value"][1]) for sample in query(url, "prometheus_tsdb_head_series")))
    scraped = len(query(url, "up == 1"))
    worst = max(drilled["items"], key=lambda item: item["rto_seconds"] / item["rto_promised_seconds"])
    files = sum(item["files_compared"] for item in drilled["items"])
    rto, rto_promised = worst["rto_seconds"], worst["rto_promised_seconds"] / 60
    rpo, rpo_promised = worst["rpo_seconds"], worst["rpo_promised_seconds"] / 60
    total = sum(results.seconds.values())
    lines = [
        ("主机 hosts", f"{len(booted)} + 1 switch · {len(city.links)} links · IPv4 + IPv6"),
        ("再次配置 second apply", "无变化 nothing changed"),
        ("路由邻居 neighbours", f"{sessions} 个会话正常 sessions up (OSPF, BGP)"),
        ("监测 measured", f"{scraped} 个目标 targets up · {series} 条时间序列 series"),
        ("核查 checks", f"{assessed['totals']['pass']}/{len(assessed['results'])} 通过 pass"),
        ("恢复 restore", f"{len(drilled['items'])} 个备份 backups · {files} 个文件一致 files equal"),
        (
            "  最差 worst RTO",
            f"{rto:.1f} s (承诺 promised {rto_promised:.0f} min)",
        ),
        ("  最差 worst RPO", f"{rpo:.0f} s (承诺 promised {rpo_promised:.0f} min)"),
        ("证据 evidence", drilled["head"][:32] + "…"),
        ("用时 took", f"{total:.0f} s"),
    ]
    console.print()
    console.print("小城已建成，正在运行。 The city is up and running.", style="bold")
    for label, text in lines:
        console.print(f"  {_padded(label, 24)}{text}", markup=False)
    console.print()
    for label, text in (
        ("主机 hosts", "egovctl lab status · egovctl lab shell hub-minqin"),
        ("大屏 the wall", "egovctl serve → http://127.0.0.1:8600"),
        ("监测 measured", url),
        ("证据 evidence", "egovctl evidence show · egovctl drill history"),
        ("收起 put away", "egovctl lab down"),
    ):
        console.print(f"  {_padded(label, 24)}{text}", markup=False)


def _padded(text: str, width: int) -> str:
    """Pad to `width` columns of a terminal, where a Chinese character takes two."""
    return text + " " * max(1, width - cell_len(text))


if __name__ == "__main__":
    main()
