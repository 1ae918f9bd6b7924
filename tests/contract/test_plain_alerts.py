"""Alerts in Prometheus' own form: their stories are told by promtool, and each says what to do, in both languages.

If these fail, an alert is silent when it must speak, cries without a cause, or leaves its reader alone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from egovctl.signals import plain_rules

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = [
    path.parent
    for path in sorted((PROJECT / "dashboards").glob("*/alerts.yml"))
    if plain_rules(path.parent) is not None
]
promtool = shutil.which("promtool") or str(PROJECT / ".tools/usr/bin/promtool")
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)


def alerts(folder: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((folder / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@each_folder
def test_the_stories_come_out_as_told(folder: Path) -> None:
    for path in sorted(folder.glob("alerts*_test.yml")):
        done = subprocess.run(
            [promtool, "test", "rules", path.name], cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@each_folder
def test_every_alert_has_both_languages_and_a_place_in_the_runbook(folder: Path) -> None:
    runbook = (folder / "runbook.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\w+)$", runbook, re.M)
    assert headings == [rule["alert"] for rule in alerts(folder)]
    for rule in alerts(folder):
        told, name = rule["annotations"], rule["alert"]
        assert re.search(r"[\u4e00-\u9fff]", told["summary_zh"]) and told["summary"].isascii(), name
        assert told["runbook"] == f"dashboards/{folder.name}/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning")
    for part in re.split(r"^## ", runbook, flags=re.M)[1:]:
        assert "**en** " in part and "**zh** " in part, part.splitlines()[0]


@each_folder
def test_every_alert_speaks_in_some_story_and_every_series_is_made_by_somebody(folder: Path) -> None:
    stories = "".join(path.read_text(encoding="utf-8") for path in folder.glob("alerts*_test.yml"))
    makers = [PROJECT / "playbooks" / "roles", PROJECT / "cli" / "egovctl" / "checks"]
    made = "".join(path.read_text("utf-8") for top in makers for path in top.rglob("*") if readable(path))
    for rule in alerts(folder):
        assert f'alertname="{rule["alert"]}", alertstate="firing"' in stories, rule["alert"]
        for series in re.findall(r"\begov_\w+", rule["expr"]):
            assert series in made, series


def readable(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts
