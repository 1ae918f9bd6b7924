"""Root on a client and root on the backup node try to destroy the history of a service; the last good restore survives.

If a test here fails, whoever takes over one machine of the city can take its backups, too. What is destroyed is put
back at the end as it was: other tests go on with these repositories.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import CityLab

from egovctl.checks.context import open_context

pytestmark = pytest.mark.lab
SERVICE = "documents"
GENERATIONS = "/srv/offsite/generations"
PULL = "systemctl start egov-offsite.service"
# The attacker has all that the host has, and leaves no trace in what its own borg remembers.
AS_CLIENT = """
export BORG_BASE_DIR=$(mktemp -d) BORG_PASSCOMMAND='cat /etc/egov/borg_passphrase' BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
export BORG_RSH='ssh -i /etc/egov/keys/borg_ed25519 -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=/etc/egov/borg_known_hosts'
trap 'rm -rf $BORG_BASE_DIR' EXIT
node=$(cut -d' ' -f1 /etc/egov/borg_known_hosts) repository=ssh://borg@$node/srv/borg/$(hostname)
"""  # noqa: E501 - as typed
# docs/backup-history.md: back to the last transaction from before the harm.
UNDO = """
for segment in data/*/*; do [ "${segment##*/}" -le %s ] || rm "$segment"; done
rm -f index.* hints.* integrity.*
"""


class History:
    """The lab, with one good backup that is off-site already."""

    def __init__(self, lab: CityLab) -> None:
        self.lab = lab
        self.host = open_context(lab.inventory).service(SERVICE).hosts[0]

    @property
    def repository(self) -> str:
        return f"/srv/borg/{self.host}"

    def client(self, command: str) -> subprocess.CompletedProcess[str]:
        return self.lab.on(self.host, AS_CLIENT + command, check=False)

    def segments(self) -> int:
        return int(self.lab.on("backup", f"du -sb {self.repository}/data").stdout.split()[0])

    def drill(self, name: str) -> tuple[int, dict[str, Any]]:
        code, items = self.drill_of(name, SERVICE)
        return code, items[self.host]

    def drill_of(self, name: str, service: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Exit code, and what was found of each host."""
        where = ("-i", str(self.lab.inventory.root), "--format", "json")
        done = self.lab.egovctl("drill", "run", name, "--service", service, *where, check=False)
        assert done.stdout, done.stderr
        return done.returncode, {item["host"]: item for item in json.loads(done.stdout)["items"]}

    def timers(self, verb: str, hosts: list[str]) -> None:
        for host in hosts:
            units = "systemctl list-unit-files --no-legend 'egov-backup-*.timer' | cut -d' ' -f1"
            self.lab.on(host, f'timers=$({units}); [ -z "$timers" ] || systemctl {verb} $timers')
        self.lab.on("offsite", f"systemctl {verb} egov-offsite.timer")

    def look(self) -> tuple[int, dict[str, Any]]:
        where = ("-i", str(self.lab.inventory.root), "--format", "json")
        done = self.lab.egovctl("evidence", "backups", *where, check=False)
        return done.returncode, json.loads(done.stdout)["hosts"][self.host]

    def retention(self) -> tuple[int, str]:
        keep = json.dumps({"borg_retention_keep": {"newest": 1, "daily": 0, "weekly": 0, "monthly": 0}})
        arguments = ("playbooks/backup_retention.yml", "--limit", self.host, "-e", keep)
        done = self.lab.playbook(*arguments, check=False)
        return done.returncode, done.stdout + done.stderr

    def accept(self, *hosts: str) -> None:
        """A person has looked into it: the off-site node takes what the backup node has of these."""
        for host in hosts:
            self.lab.on("offsite", f"/usr/local/lib/egov/egov-offsite accept borg/{host}")
        self.lab.on("offsite", PULL)
        assert not [host for host in hosts if self.kept()[f"borg/{host}"]["why"]]

    def kept(self) -> dict[str, Any]:
        """What the newest generation says of each repository."""
        said = self.lab.on("offsite", f"cat {GENERATIONS}/$(ls {GENERATIONS} | tail -n 1)/generation.json").stdout
        found: dict[str, Any] = json.loads(said)["repositories"]
        return found


@pytest.fixture(scope="module")
def history(city_lab: CityLab) -> Iterator[History]:
    """A backup, two looks, a generation; the backup node's repositories are put back at the end."""
    found = History(city_lab)
    hosts = sorted({host for service in open_context(city_lab.inventory).plan.services for host in service.hosts})
    # What comes by the clock would come between a look and the harm: a good backup after all were deleted.
    found.timers("stop", hosts)
    for _ in range(2):
        city_lab.on(found.host, f"systemctl start egov-backup@{SERVICE}.service && sleep 1")
    city_lab.on("offsite", PULL)
    assert found.look()[0] == 0
    city_lab.on("backup", "rm -rf /root/saved && cp -a /srv/borg /root/saved")
    yield found
    city_lab.on("backup", "find /srv/borg -mindepth 1 -maxdepth 1 ! -name .ssh -exec rm -rf {} +")
    city_lab.on("backup", "cd /root/saved && find . -mindepth 1 -maxdepth 1 ! -name .ssh -exec cp -a {} /srv/borg/ \\;")
    found.accept(*(name.partition("/")[2] for name in found.kept() if name.startswith("borg/")))
    found.timers("start", hosts)


def test_a_good_backup_comes_back_without_the_backup_node(history: History) -> None:
    code, item = history.drill("restore-offsite")
    assert (code, item["verdict"]) == (0, "met"), item["reasons"]
    assert item["files_compared"] == 200 and "fetch" in item["phases"]


def test_a_client_s_key_opens_its_own_repository_to_append_and_nothing_else(history: History) -> None:
    for command in (
        "$BORG_RSH borg@$node id",
        "$BORG_RSH borg@$node cat /etc/shadow",
        "$BORG_RSH -N -L 9:[::1]:9 borg@$node",
    ):
        said = history.client(f"timeout 5 {command}").stdout
        assert "uid=" not in said and "root:" not in said
    for command in ("borg list ssh://borg@$node/srv/borg/core1", 'rsync -e "$BORG_RSH" borg@$node:/ $BORG_BASE_DIR/'):
        assert history.client(command).returncode != 0, command


def test_nobody_in_the_city_opens_a_connection_to_the_off_site_node(history: History) -> None:
    address = history.lab.on("offsite", "ip -4 -o address show dev lo scope global | sed 's/.*inet //; s,/.*,,'").stdout
    for host in (history.host, "backup", "core1"):
        done = history.lab.on(host, f"timeout 3 nc -z {address.strip()} 22", check=False)
        assert done.returncode != 0, host


def test_control_s_key_at_the_off_site_node_writes_nothing(history: History) -> None:
    """What opens generations for restores is no way to change them."""
    inventory = history.lab.inventory
    ssh = shlex.join(["ssh", "-F", str(inventory.ssh_config)])
    loot = inventory.state / "planted"
    loot.write_text("x")
    done = history.lab.run(["rsync", "-e", ssh, str(loot), "offsite-restore:/planted"], check=False)
    assert done.returncode != 0
    done = history.lab.run(["ssh", "-F", str(inventory.ssh_config), "offsite-restore", "id"], check=False)
    assert "uid=" not in done.stdout
    writable = f"find {GENERATIONS} -perm /0222 ! -type d -o -type d ! -user root | head -n 1"
    assert history.lab.on("offsite", writable).stdout == ""


def test_root_on_the_client_deletes_and_nothing_is_gone(history: History) -> None:
    last, size = history.look()[1]["archives"][-1]["name"], history.segments()
    before = history.lab.on("backup", f"tail -n 1 {history.repository}/transactions").stdout.split()[1].rstrip(",")
    delete = history.client(f"borg delete $repository::{last}")  # by name: two archives may be of one second
    assert delete.returncode == 0, delete.stderr
    history.client("borg compact $repository")
    assert history.segments() > size, "what was deleted is still there, and who deleted it beside it"
    code, seen = history.look()
    assert code == 1 and [item["name"] for item in seen["missing"]] == [last]
    code, said = history.retention()
    assert code != 0 and "lacks 1 archives that were seen" in " ".join(said.split()) and last in said
    history.lab.on("offsite", PULL)
    assert history.kept()[f"borg/{history.host}"]["why"] == "", "segments came, and none went"
    history.lab.on("backup", f"cd {history.repository} {UNDO % before}")
    code, seen = history.look()
    assert code == 0 and last in [item["name"] for item in seen["archives"]], (
        "and it is undone as docs/backup-history.md says"
    )
    history.lab.on("offsite", PULL)
    assert "had come to" in history.kept()[f"borg/{history.host}"]["why"], (
        "a state that was put back is not taken unasked"
    )
    history.accept(history.host)


def test_root_on_the_client_destroys_what_it_can_and_the_service_still_comes_back(history: History) -> None:
    delete = history.client("borg delete $repository $(borg list --short $repository)")
    assert delete.returncode == 0, delete.stderr
    history.lab.on("offsite", PULL)
    code, item = history.drill("restore-offsite")
    assert code == 1 and item["causes"][0] == "no_backup", item
    assert item["files_compared"] == 200 and item["details"]["differences"] == 0, "all of it is back all the same"


@pytest.mark.long
def test_root_on_the_backup_node_destroys_everything_and_the_last_good_state_stays(history: History) -> None:
    good = history.kept()
    history.lab.on("backup", f"rm -rf {history.repository}")
    history.lab.on(
        "backup", "for s in $(find /srv/borg/core1/data -type f); do dd if=/dev/urandom of=$s bs=1k count=1; done"
    )
    history.lab.on("backup", "rm -rf /srv/borg/core2/data/*; cp -a /srv/borg/noc/. /srv/borg/shared-services/")
    for _ in range(2):
        history.lab.on("offsite", PULL)
    found = history.kept()
    for name in (history.host, "core1", "core2", "shared-services"):
        mine = found[f"borg/{name}"]
        assert mine["why"] and mine["head"] == good[f"borg/{name}"]["head"], (name, mine)
    _, items = history.drill_of("restore-offsite", "network-configuration")
    # The client's own archives were deleted by the client, in the test before.
    broken = {host: item["reasons"] for host, item in items.items() if item["verdict"] != "met"}
    assert {"core1", "core2", "shared-services"} <= set(items) and set(broken) <= {history.host}, broken
    told = history.lab.on("offsite", "cat /var/lib/prometheus/node-exporter/egov_offsite.prom").stdout
    assert f'egov_offsite_repository_ok{{repository="borg/{history.host}"}} 0' in told
