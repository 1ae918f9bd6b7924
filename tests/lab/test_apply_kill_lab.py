"""Killed at random moments: the program on the host, the controller, and the power. Old or new, never between.

If this fails, a city can be left with a host that is half of one plan and half of another. The histogram shows at what
stage of the transaction the blow fell; one that never hits the swap has proven little, so some aim at it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from egovctl.apply.contact import wait_in_band
from egovctl.apply.transaction import BOOTSTRAP, Answer, Request, apply_host
from egovctl.errors import EgovError
from egovctl.secrets import Secrets
from egovctl.transport import ssh_options

pytestmark = pytest.mark.lab
HOST = "minqin-health"
FILES = ("/etc/chrony/chrony.conf", "/etc/default/prometheus-node-exporter", "/etc/snmp/snmpd.conf")
# step: the program kills itself at a random step of the swap; the others are struck from outside at a random time.
WAYS = ("step", "program", "step, then power", "controller", "step", "power")
STEPS = 14
ACTIVE = "systemctl is-active chrony snmpd prometheus-node-exporter"
LOOK = "cat /var/lib/egov/journal.json 2>/dev/null || echo '{}'"
ROUNDS = 60 if os.environ.get("EGOV_LONG") else 6


def variant(city_lab: Any, folder: Path, word: str) -> Path:
    """A copy of the host's build in which each of FILES says `word`."""
    shutil.copytree(city_lab.inventory.build / HOST, folder / word / HOST)
    path = folder / word / HOST / "manifest.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["files"]:
        if entry["path"] in FILES:
            place = folder / word / HOST / "rootfs" / entry["path"][1:]
            place.write_text(place.read_text() + f"# variant {word}\n")
            entry["sha256"] = hashlib.sha256(place.read_bytes()).hexdigest()
    path.write_text(json.dumps(manifest))
    return folder / word


def words(city_lab: Any) -> list[str]:
    """Which variant each of FILES is of."""
    told = city_lab.on(HOST, f"tail -qn1 {' '.join(FILES)}").stdout.splitlines()
    return [line.rpartition(" ")[2] if "# variant" in line else "none" for line in told]


def phase_in(told: str) -> str:
    """The journal's phase, from what LOOK printed first."""
    with contextlib.suppress(ValueError):
        return str(json.JSONDecoder().raw_decode(told)[0].get("phase", "no journal (before or after the swap)"))
    return "not seen"


class Blow:
    """A shell over ssh that is struck `delay` seconds after the job was sent."""

    def __init__(self, city_lab: Any, way: str, delay: float) -> None:
        self.city_lab, self.way, self.delay, self.phase = city_lab, way, delay, "not seen"

    def __call__(self, command: str, data: bytes) -> Answer:
        ssh = ["ssh", *ssh_options(self.city_lab.inventory), "-o", "ControlPath=none", HOST, "sudo", "-n", "sh", "-c"]
        quoted = "'" + command.replace("'", "'\\''") + "'"
        with subprocess.Popen(
            [*ssh, quoted], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            if BOOTSTRAP[:40] in command and self.way in ("program", "controller", "power"):
                assert process.stdin is not None
                process.stdin.write(data)
                process.stdin.close()
                process.stdin = None
                time.sleep(self.delay)
                self.strike(process)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=5)
                process.kill()
                out, error = process.communicate()
            else:
                out, error = process.communicate(data, timeout=60)
        return Answer(process.returncode, out.decode(), error.decode())

    def strike(self, process: subprocess.Popen[bytes]) -> None:
        """The blow itself, and in what phase it fell, read right after it."""
        if self.way == "program":
            told = self.city_lab.on(HOST, f"pkill -9 -f '[e]gov-apply'; {LOOK}", check=False).stdout
        elif self.way == "controller":
            process.send_signal(signal.SIGKILL)
            told = self.city_lab.on(HOST, LOOK, check=False).stdout
        else:
            told = self.city_lab.on(HOST, f"{LOOK}; reboot -f -f", check=False).stdout
        self.phase = phase_in(told)


def booted(city_lab: Any, before: str) -> bool:
    """Whether the host runs again since `before`, and what undoes or finishes a change at boot has come to its end."""
    told = city_lab.on(HOST, "cat /proc/sys/kernel/random/boot_id; systemctl is-active ssh", check=False).stdout.split()
    return len(told) == 2 and told[0] != before and told[1] == "active"  # ssh comes after egov-recover


def recovered(city_lab: Any, way: str, boot: str) -> None:
    """Let the host come to rest: by its boot, by the next look, or by itself when only the controller died."""
    limit = time.monotonic() + 90
    while way.endswith("power") and not booted(city_lab, boot):
        assert time.monotonic() < limit, f"{HOST} did not boot again"
        time.sleep(0.5)
    if way in ("program", "step"):
        city_lab.on(HOST, "python3 -I /usr/local/lib/egov/egov-apply recover")
    if way == "controller":  # the program goes on, and may not have come to its journal yet
        city_lab.on(HOST, "while pgrep -f '[e]gov-apply' >/dev/null; do sleep 0.2; done")
    while city_lab.on(HOST, "test -e /var/lib/egov/journal.json", check=False).returncode == 0:
        assert time.monotonic() < limit, "the change is still open"
        time.sleep(0.5)


def test_old_or_new_whatever_dies_and_when(city_lab: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("EGOV_SEED", random.SystemRandom().randrange(10**6)))
    dice, secret = random.Random(seed), Secrets(city_lab.inventory).get
    builds = {word: variant(city_lab, tmp_path, word) for word in ("one", "two")}
    quiet = Blow(city_lab, "none", 0)
    took = []
    for word in ("one", "two"):
        begun = time.monotonic()
        assert apply_host(Request(builds[word], HOST, secret), quiet)["changed"]
        took.append(time.monotonic() - begun)
    assert words(city_lab) == ["two"] * len(FILES)
    histogram: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for number in range(ROUNDS):
        way, old = WAYS[number % len(WAYS)], words(city_lab)[0]
        new = "one" if old == "two" else "two"
        boot = city_lab.on(HOST, "cat /proc/sys/kernel/random/boot_id").stdout.strip()
        blow = Blow(city_lab, way, dice.uniform(0, took[1]))
        test = {"kill_at": dice.randint(1, STEPS)} if way.startswith("step") else {}
        with contextlib.suppress(EgovError):
            apply_host(Request(builds[new], HOST, secret, test=test), blow, quiet)
        if test:
            blow.phase = phase_in(city_lab.on(HOST, LOOK).stdout)
        if way == "step, then power":
            city_lab.on(HOST, "reboot -f -f", check=False)
        recovered(city_lab, way, boot)
        found = words(city_lab)
        assert set(found) in ({old}, {new}), f"round {number} (seed {seed}): {way} in {blow.phase}: {found}"
        limit = time.monotonic() + (60 if way.endswith("power") else 0)  # after a boot they may still be starting
        while (units := city_lab.on(HOST, ACTIVE, check=False).stdout.split()) != ["active"] * 3:
            assert time.monotonic() < limit, f"round {number} (seed {seed}): {way} in {blow.phase}: {units}"
            time.sleep(0.5)
        histogram[f"{way}: {blow.phase}"] += 1
        ended["new" if found[0] == new else "old"] += 1
        if way.endswith("power"):
            wait_in_band(city_lab.inventory, HOST, 90)
    with capsys.disabled():
        print(f"\n{ROUNDS} blows, seed {seed}; ended {dict(ended)}; an undisturbed change takes {took[1]:.2f} s")
        for place, count in sorted(histogram.items()):
            print(f"  {place:<56} {'#' * count} {count}")
    city_lab.playbook("playbooks/site.yml", "--limit", HOST)
    assert words(city_lab) == ["none"] * len(FILES)
