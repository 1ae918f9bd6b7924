"""The NOC is lost, machine and control's own state, and is built anew as docs/loss-of-noc.md says it, step by step.

It comes late, and in make test-long only: what it leaves is the city as before, with another NOC. If it fails, a fire
at the NOC is the end of the city's administration: nobody has its keys, its secrets or its evidence.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import CityLab

from egovctl.apply.enrolment import read_record
from egovctl.assess.statements import read_statement, state
from egovctl.evidence import open_chain
from egovctl.plan import load_city
from egovctl.prometheus import prometheus_url, query

pytestmark = [pytest.mark.lab, pytest.mark.long]
NOC = "noc"
OF_THE_LAB = ("first_contact.yml", "lab")  # what stands for consoles and the machine room is not lost
LISTED = "BORG_BASE_DIR=/var/cache/egov-borg borgmatic --config /etc/borgmatic.d/monitoring.yaml list --json"
# Step 6 of docs/loss-of-noc.md, as typed on the new NOC; the archive is the last one from before.
MEASURED = """
set -eu
export BORG_BASE_DIR=/var/cache/egov-borg HOME=/var/cache/egov-borg
systemctl stop prometheus
cd /var/lib/prometheus && mkdir back
borgmatic --config /etc/borgmatic.d/monitoring.yaml extract --archive ARCHIVE --destination back --path var/lib/prometheus/egov-snapshot
rm -rf metrics2 && mv back/var/lib/prometheus/egov-snapshot metrics2 && rm -rf back
chown -R prometheus:prometheus metrics2
systemctl start prometheus
"""  # noqa: E501 - as typed


@contextmanager
def timed(what: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - begin:.0f} s")


def escrow(lab: CityLab) -> str:
    """The passphrase, as it is written on paper."""
    path = lab.inventory.secrets / "borg_passphrase_control"
    if not path.exists():
        path.write_text(secrets.token_urlsafe(24))
        path.chmod(0o600)
    return path.read_text().strip()


def on_console(lab: CityLab, host: str, command: str, into: Path) -> None:
    """What a person at a host's console writes onto a disk."""
    where = ("-i", str(lab.inventory.root), host, "--", "sh", "-c", command)
    with into.open("wb") as disk:
        argv = [sys.executable, "-m", "egovctl", "lab", "exec", *where]
        subprocess.run(argv, cwd=lab.project, stdout=disk, check=True, timeout=120)


def unseal(folder: Path, passphrase: str) -> Path:
    """Steps 2 and 3: the state out of the repository that came on a disk."""
    subprocess.run(["tar", "-xf", str(folder / "disk.tar"), "-C", str(folder)], check=True)
    ways = {"BORG_PASSPHRASE": passphrase, "BORG_BASE_DIR": str(folder / "base")}
    ways |= {"BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no"}
    environment = {**os.environ, **ways}
    repository = str(folder / "control")

    def borg(*arguments: str) -> str:
        argv = ["borg", *arguments]
        return subprocess.run(argv, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout

    newest = borg("list", "--short", "--last", "1", repository).strip()
    borg("extract", f"{repository}::{newest}")
    (files,) = folder.rglob("seal/files")
    return files


def lose(lab: CityLab, disk: Path) -> None:
    """The machine, and all that control had; what is in git is the code alone.

    Step 2 is in the middle: the lab's consoles need the plan's names, real ones do not.
    """
    lab.egovctl("lab", "grow", "-i", str(lab.inventory.root), "--anew", NOC)
    on_console(lab, "backup", "tar -C /srv/borg -cf - control", disk)
    for path in lab.inventory.state.iterdir():
        if path.name not in OF_THE_LAB:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(lab.inventory.root)
    shutil.rmtree(lab.project / "build" / lab.inventory.name, ignore_errors=True)


def put_back(lab: CityLab, files: Path) -> None:
    """The rest of step 3."""
    for source in files.iterdir():
        if source.name != "inventory":
            shutil.copytree(source, lab.inventory.state / source.name, symlinks=True)
            (lab.inventory.state / source.name).chmod(0o700)
    shutil.copytree(files / "inventory", lab.inventory.root, symlinks=True)


def samples(lab: CityLab, moment: float) -> dict[str, str]:
    """Which hosts Prometheus saw at a moment."""
    url = prometheus_url(lab.inventory, load_city(lab.inventory))
    found = query(url, f'up{{job="node"}} @ {moment:.0f}')
    return {sample["metric"]["host"]: sample["value"][1] for sample in found}


def test_the_noc_is_lost_and_is_built_anew_from_plan_and_backup(city_lab: CityLab, tmp_path: Path) -> None:
    lab, inventory = city_lab, city_lab.inventory
    where, passphrase = ("-i", str(inventory.root)), escrow(city_lab)
    with timed("last backups"):
        moment = time.time() - 15
        seen, old = samples(lab, moment), read_record(inventory, NOC)
        assert len(seen) > 10 and "1" in seen.values()
        lab.on(NOC, "systemctl start egov-backup@monitoring.service")
        listed = json.loads(lab.on(NOC, LISTED).stdout)[0]["archives"]
        last = [item["name"] for item in listed if item["name"].startswith("monitoring-")][-1]
        policy = tmp_path / "policy.pdf"
        policy.write_bytes(b"no. 12, signed")
        stated = state(inventory, open_chain(inventory), "L3-6.1a", "met", "issued as no. 12", "Li Ming", [policy], 1)
        head, secret_names = open_chain(inventory).head(), {path.name for path in inventory.secrets.iterdir()}
        lab.egovctl("evidence", "seal", *where)
    with timed("loss"):
        lose(lab, tmp_path / "disk.tar")
    with timed("state"):
        put_back(lab, unseal(tmp_path, passphrase))
        assert {path.name for path in inventory.secrets.iterdir()} == secret_names
        lab.egovctl("evidence", "verify", "--head", str(head), *where)
        assert read_statement(inventory, stated).lost == "", "a statement has its attachment"
        lab.egovctl("render", *where)
    with timed("enrol"):
        lab.playbook("playbooks/enrol.yml", "--limit", NOC)
        assert read_record(inventory, NOC)["ssh_host_ed25519"] != old["ssh_host_ed25519"]
    with timed("site"):
        lab.playbook("playbooks/site.yml")
    with timed("measurements"):
        lab.on(NOC, MEASURED.replace("ARCHIVE", last))
        for service in ("monitoring", "network-configuration"):
            lab.on(NOC, f"systemctl start egov-backup@{service}.service")
    with timed("settle"):
        lab.settle()
    with timed("assess"):
        assert samples(lab, moment) == seen, "what was measured before the loss"
        done = lab.egovctl("assess", "run", "as-planned", *where, "--format", "json", check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert open_chain(inventory).head().count > head.count, "the evidence goes on where it ended"
    done = lab.egovctl("drill", "run", "restore-files", "--service", "monitoring", *where, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
