"""Running Prometheus' own promtool on rules and stories (Debian's 2.42, unpacked into .tools/)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
SEARCHED = os.pathsep.join([str(PROJECT / ".tools/usr/bin"), os.environ.get("PATH", "")])
FIRING = 'count without (__name__, alertstate, room) (ALERTS{alertstate="firing", alertname!="Watchdog"})'


def program(name: str) -> str:
    """The program's path; without it nothing was tested, which is no pass."""
    found = shutil.which(name, path=SEARCHED)
    assert found, f"{name} is not there: make .tools/.ready unpacks it"
    return found


def promtool(*arguments: str | Path) -> str:
    """What promtool said; an assertion with all of it when it was not content."""
    done = subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def stories(path: Path, rules: list[Path], tests: list[dict[str, Any]], interval: str = "15s") -> str:
    """Write the stories and have promtool tell them."""
    content = {"rule_files": [str(rule) for rule in rules], "evaluation_interval": interval, "tests": tests}
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=100_000), encoding="utf-8")
    return promtool("test", "rules", path)


def series(name: str, **labels: str) -> str:
    """A series as promtool and PromQL write it."""
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}"
