"""The bench of converging: its cut cities are good plans, and its figures say who was wrong and which goal was missed.

If a case here passes wrongly, a published comparison is not what it says it is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

BENCH = Path(__file__).resolve().parents[1] / "bench" / "converge"
sys.path.insert(0, str(BENCH))

import city  # noqa: E402
import hosts  # noqa: E402
import report  # noqa: E402
from desired import Wanted, act_script, task_name  # noqa: E402

from egovctl.apply.manifest import FileEntry, Manifest, UnitEntry  # noqa: E402
from egovctl.paths import Inventory  # noqa: E402
from egovctl.plan import load  # noqa: E402


@pytest.mark.parametrize(("source", "count"), [("lab", 4), ("lab", 12), ("wuwei", 13), ("wuwei", 90)])
def test_a_cut_city_is_a_good_plan_of_exactly_so_many_hosts(source: str, count: int, tmp_path: Path) -> None:
    folder = tmp_path / "bench" / "plan"
    folder.mkdir(parents=True)
    for name, data in city.cut(city.read_plan(source), count).items():
        (folder / f"{name}.yml").write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    hosts_of_it = load(Inventory(folder.parent))[1].hosts.values()
    assert sum("managed" in host.groups for host in hosts_of_it) == count


def test_more_hosts_than_a_plan_has_cannot_be_cut_from_it() -> None:
    with pytest.raises(ValueError, match="of 99"):
        city.cut(city.read_plan("lab"), 99)


def wanted() -> Wanted:
    entries = (
        FileEntry("/etc/a.conf", "0600", "root", "root", "a", "", actions=("daemon-reload", "restart:a.service")),
        FileEntry("/etc/b.conf", "0644", "root", "root", "b", "", actions=("reload:b@1.service",)),
    )
    order = ("daemon-reload", "restart:a.service", "reload:b@1.service")
    units = (UnitEntry("a.service", "a", enabled=True, active=True),)
    manifest = Manifest("h", "t", "r", Path("/"), files=entries, units=units, order=order)
    return Wanted(manifest, {"/etc/a.conf": b"a\n", "/etc/b.conf": b"b\n"}, {})


def seen(**changes: Any) -> dict[str, Any]:
    host = wanted()
    files = {
        entry.path: [host.digest(entry.path), entry.mode, entry.owner, entry.group, 1, 1]
        for entry in host.manifest.files
    }
    return {"h": {"files": files, "active": ["active"], "enabled": ["enabled"], **changes}}


def test_a_right_result_is_silent_and_every_kind_of_difference_is_told() -> None:
    host = {"h": wanted()}
    assert hosts.wrong(host, seen()) == []
    for place in range(4):
        bad = seen()
        bad["h"]["files"]["/etc/b.conf"][place] = "other"
        assert len(hosts.wrong(host, bad)) == 1
    assert hosts.wrong(host, seen(active=["failed"])) == ["h: a.service is failed"]
    assert hosts.wrong(host, seen(enabled=["disabled"])) == ["h: a.service is disabled"]


def test_a_file_written_again_without_need_is_told() -> None:
    again = seen()
    again["h"]["files"]["/etc/a.conf"][5] = 2
    assert hosts.touched(seen(), seen()) == []
    assert hosts.touched(seen(), again) == ["h: /etc/a.conf was written again"]


def test_a_bulk_script_does_what_follows_from_the_changed_files_only() -> None:
    lines = act_script(wanted()).splitlines()
    assert [line.split(") ")[1] for line in lines if "/etc/a.conf" in line] == [
        "systemctl daemon-reload;; esac",
        "systemctl restart a.service;; esac",
    ]
    assert [line for line in lines if "b@1" in line] == [
        'case " $changed " in *" /etc/b.conf "*) systemctl reload-or-restart b@1.service;; esac'
    ]
    assert task_name("restart:wg-quick@w-a.service") == task_name("restart:wg-quick@w-b.service")


def run(contender: str, phase: str, wall: float, wrong: str = "") -> dict[str, Any]:
    figures = {"wall": wall, "controller": 0.5, "hosts": 1.0, "code": 0}
    return {"contender": contender, "phase": phase, "round": 0, "wrong": wrong, **figures}


def result(*runs: dict[str, Any]) -> dict[str, Any]:
    bulk = {"ours": False, "pyinfra-files": False, "pyinfra-bulk": True}
    about = {name: {"form": "form", "unproven": "", "bulk": flag, "version": ""} for name, flag in bulk.items()}
    files = {"least": 30, "most": 40, "removed": 1, "older": 2, "kept": 3}
    described = {"hosts": 90, "cpus": 2, "date": "2026-01-01", "revision": "abc", "files": files}
    return {**described, "contenders": about, "runs": list(runs)}


def test_goals_are_met_or_missed_and_a_disqualified_peer_is_no_measure() -> None:
    ours = (
        run("ours", "first", 40),
        run("ours", "unchanged", 5),
        run("ours", "unchanged", 7),
        run("ours", "unchanged", 6),
    )
    peers = (run("pyinfra-files", "first", 100), run("pyinfra-files", "unchanged", 60))
    fast = run("pyinfra-bulk", "unchanged", 5)
    assert [(goal.ratio, str(goal).partition(":")[0]) for goal in report.goals(result(*ours, *peers, fast))] == [
        (0.1, "met"),
        (1.2, "MISSED"),
        (0.4, "met"),
    ]
    cheat = run("pyinfra-bulk", "unchanged", 5, "h: /etc/a.conf: content differs")
    assert [goal.ratio for goal in report.goals(result(*ours, *peers, cheat))] == [0.1, None, 0.4]
    assert "disqualified: pyinfra-bulk, nothing to change: h: /etc/a.conf" in report.terminal(result(*ours, cheat))


def test_the_page_gets_its_tables_between_the_markers_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, kept = tmp_path / "measured.md", tmp_path / "result.json"
    monkeypatch.setattr(report, "PAGE", page)
    kept.write_text(report.json.dumps(result(run("ours", "first", 40))), encoding="utf-8")
    page.write_text(f"before\n{report.BEGIN}\nOLD TABLES\n{report.END}\nafter\n", encoding="utf-8")
    report.to_docs([kept])
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{report.BEGIN}\n### 90 hosts\n") and text.endswith(f"{report.END}\nafter\n")
    assert "OLD" not in text and "40.0 (0.5+1.0)" in text
    report.to_docs([kept])
    assert page.read_text(encoding="utf-8") == text
    page.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="needs the lines"):
        report.to_docs([kept])
