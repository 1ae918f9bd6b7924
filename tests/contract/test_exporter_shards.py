"""Several exporters share a fleet: the rules on the exporter's page, run by a real Prometheus."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from exporter_lab import free_port, need, process, wait_for

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exporter.md"
FLEET = [f"10.0.{third}.{last}" for third in range(4) for last in range(1, 26)]


def documented() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The job and the rules of the first of two shards, as the page has them."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    job = next(yaml.safe_load(block)[0] for block in blocks if "job_name" in block)
    rules = next(yaml.safe_load(block) for block in blocks if "hashmod" in block)
    return job, rules


def shard(folder: Path, number: int) -> set[str]:
    """The devices that Prometheus leaves to this shard."""
    job, rules = documented()
    job["static_configs"] = [{"targets": FLEET}]
    job["relabel_configs"] += [rule | ({"regex": str(number)} if rule["action"] == "keep" else {}) for rule in rules]
    job["scrape_interval"] = "1h"
    config, output, port = folder / f"{number}.yml", folder / f"{number}.log", free_port(socket.SOCK_STREAM)
    config.write_text(yaml.safe_dump({"scrape_configs": [job]}))
    argv = [need("prometheus", "prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / str(number)}"]
    with process([*argv, f"--web.listen-address=127.0.0.1:{port}"], output) as child:
        wait_for(lambda: targets(port) is not None, child, output)
        return targets(port) or set()


def targets(port: int) -> set[str] | None:
    """The instances of all active targets; None while Prometheus is not up or has read nothing."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/targets?state=active", timeout=5) as reply:
            found = json.load(reply)["data"]["activeTargets"]
    except OSError:
        return None
    return {one["labels"]["instance"] for one in found} or None


def test_each_device_is_in_one_shard(tmp_path: Path) -> None:
    """Two shards: together all devices, none twice, and neither has nearly all."""
    one, two = shard(tmp_path, 0), shard(tmp_path, 1)
    assert one | two == set(FLEET) and not one & two
    assert min(len(one), len(two)) > len(FLEET) / 4
