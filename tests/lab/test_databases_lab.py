"""Databases and their backups on real hosts: what is there, what is written of it, and what each key can do.

A failure of a test about keys means that one taken host reaches the backups of the city: its history could be deleted,
or the database spoiled from the backup node. A failure of a test about manifests means that drills compare with figures
that were never true.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import tarfile
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

pytestmark = pytest.mark.lab
DATABASE, NODE = "shared-services", "backup"
REPOSITORY = "/srv/pgbackrest"
CLUSTER = "/var/lib/postgresql/15/egov"
LISTING = f"cd {REPOSITORY} && find archive backup -type f ! -name '*.info*' -exec sha256sum {{}} + | sort -k 2"
# Writes as fast as it can, each time in two tables that must be of the same moment in a dump.
WRITER = """
i=100000; while [ -e /tmp/egov-writing ]; do i=$((i + 1))
echo "START TRANSACTION;
INSERT INTO articles (id, department_id, title, body, published) VALUES ($i, 1, '写', '写', NOW());
INSERT INTO questions VALUES ($i, 0, NOW(3), '问', NULL, NULL, UNHEX(MD5($i))); COMMIT;"
done | mariadb portal
"""
SSH = (
    "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=/etc/egov/pgbackrest_known_hosts "
    "-i /etc/egov/keys/"
)


def sql(city_lab: Any, command: str, user: str = "postgres") -> str:
    """A command in the register, as a user of the host."""
    words = f"runuser -u {user} -- psql -XAt -v ON_ERROR_STOP=1 -d register -c {shlex.quote(command)}"
    return str(city_lab.on(DATABASE, words).stdout.strip())


def until(true: Callable[[], bool], what: Callable[[], object], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, what()
        time.sleep(0.5)


def read_key(city_lab: Any, command: str) -> subprocess.CompletedProcess[bytes]:
    """What control's key for restores gets from the backup node."""
    config = city_lab.inventory.build / "control" / "ssh_config"
    argv = ["ssh", "-n", "-F", str(config), f"{NODE}-pgbackrest", command]
    return subprocess.run(argv, capture_output=True, timeout=60, check=False)


def test_the_register_has_its_content_and_its_keys(city_lab: Any) -> None:
    assert sql(city_lab, "SELECT count(*), count(DISTINCT class_id) FROM pupils") == "20000|1080"
    assert int(sql(city_lab, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated")) == 4
    assert sql(city_lab, "SELECT stage FROM schools WHERE id = 1") in ("小学", "初中", "高中")
    assert sql(city_lab, "SHOW data_checksums") == "on"


def test_the_register_s_manifest_is_what_is_in_its_tables(city_lab: Any) -> None:
    city_lab.on(DATABASE, "systemctl start egov-postgresql-manifest.service")
    body = json.loads(sql(city_lab, "SELECT body FROM egov_manifest ORDER BY taken_at DESC LIMIT 1"))
    assert set(body["tables"]) == {
        f"public.{name}" for name in ("schools", "classes", "pupils", "guardians", "pupil_guardians", "notices")
    }
    assert body["tables"]["public.notices"] == {"rows": 200, "sha256": None}
    copy = "COPY (SELECT * FROM pupils ORDER BY id) TO STDOUT"
    line = f"PGOPTIONS='-c timezone=UTC' psql -XAt -d register -c {shlex.quote(copy)} | sha256sum"
    digest = city_lab.on(DATABASE, f"runuser -u postgres -- sh -c {shlex.quote(line)}").stdout.split()[0]
    assert body["tables"]["public.pupils"] == {"rows": 20000, "sha256": digest}


def test_a_heartbeat_and_its_wal_come_to_the_backup_node(city_lab: Any) -> None:
    before = sql(city_lab, "SELECT max(at) FROM egov_heartbeat")
    city_lab.on(DATABASE, "systemctl start egov-postgresql-heartbeat.service")
    # Its timer may have come round as well.
    assert int(sql(city_lab, f"SELECT count(*) FROM egov_heartbeat WHERE at > '{before}'")) >= 1
    name = sql(city_lab, "SELECT pg_walfile_name(pg_switch_wal())")
    there = f"find {REPOSITORY}/archive/register -name '{name}-*'"
    # After three pushes that failed PostgreSQL waits a minute.
    until(lambda: bool(city_lab.on(NODE, there).stdout.strip()), lambda: f"{name} did not come", 120)
    samples = "cat /var/lib/prometheus/node-exporter/egov_pgbackrest.prom"
    labels = f'{{service="register",host="{DATABASE}"}}'

    def told() -> bool:
        """A look that was going on already may have read the repository before."""
        city_lab.on(NODE, "systemctl start egov-pgbackrest-metrics.service")
        text = city_lab.on(NODE, samples).stdout
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        now = float(city_lab.on(NODE, "date +%s").stdout)
        young = now - float(values[f"egov_backup_last_success_timestamp_seconds{labels}"]) < 60
        return young and values[f"egov_backup_wal_missing{labels}"] == "0"

    until(told, lambda: city_lab.on(NODE, samples).stdout, 60)


def test_root_on_the_database_host_cannot_reach_history(city_lab: Any) -> None:
    address = city_lab.on(DATABASE, "awk '{ print $1 }' /etc/egov/pgbackrest_known_hosts").stdout.strip()
    first = city_lab.on(NODE, f"ls {REPOSITORY}/archive/register/15-1/*/ | grep -m 1 -o '^[0-9A-F]\\{{24\\}}-'").stdout
    before = city_lab.on(NODE, LISTING).stdout.splitlines()
    assert before
    remote = "pgbackrest --exec-id=1-00000000 --process=0 --remote-type=repo --repo=1 --stanza=register"
    asked = [("pgbackrest-read", "fetch register"), ("borg", "borg serve")]
    asked += [
        ("pgbackrest", command)
        for command in (
            "id", "", "fetch register", f"rm -rf {REPOSITORY}", "../../x " + "0" * 64,
            f"{remote} archive-push:remote", f"{remote} expire:remote", f"{remote} backup:remote",
        )
    ]  # fmt: skip
    for user, command in asked:
        words = f"{SSH}wal_ed25519 {user}@{address} {shlex.quote(command)} </dev/null"
        assert city_lab.on(DATABASE, words, check=False).returncode != 0, (user, command)
    # A segment that is there, with another content; and one of another cluster.
    forge = (
        "head -c 16777216 /dev/urandom >/tmp/wal; s=$(sha256sum </tmp/wal); "
        f'{SSH}wal_ed25519 pgbackrest@{address} "$1 ${{s%% *}}" </tmp/wal; code=$?; rm /tmp/wal; exit $code'
    )
    for name in (first.strip().rstrip("-"), "0000000100000000000000F0"):
        assert city_lab.on(DATABASE, f"set -- {name}; {forge}", check=False).returncode != 0
    after = city_lab.on(NODE, LISTING).stdout.splitlines()
    assert set(before) <= set(after), "something of the history is gone or changed"
    assert not any("0000000100000000000000F0" in line for line in after)


def test_control_s_key_reads_and_the_reader_cannot_write(city_lab: Any) -> None:
    done = read_key(city_lab, "fetch register")
    assert done.returncode == 0, done.stderr
    with tarfile.open(fileobj=BytesIO(done.stdout)) as tar:
        names = tar.getnames()
    assert "backup/register/backup.info" in names and any(name.startswith("archive/register/15-1/") for name in names)
    for command in (
        "id",
        f"touch {REPOSITORY}/x",
        "fetch ../srv",
        "pgbackrest --remote-type=repo stanza-delete:remote",
    ):
        assert read_key(city_lab, command).returncode != 0, command
    look = f"find {REPOSITORY} -writable ! -type l; cat /etc/pgbackrest/pgbackrest.conf /etc/pgbackrest/push.conf"
    seen = city_lab.on(NODE, f"runuser -u pgbackrest-read -- sh -c {shlex.quote(look)}", check=False)
    assert seen.stdout == "", "the reader could write, or knows the passphrase"
    assert city_lab.on(NODE, f"grep -raq 学籍 {REPOSITORY}", check=False).returncode == 1, "it is not encrypted"


def test_the_backup_node_may_read_the_cluster_and_nothing_else(city_lab: Any) -> None:
    address = city_lab.on(NODE, "awk '{ print $1 }' /etc/egov/pgbackrest_known_hosts").stdout.strip()
    remote = "pgbackrest --exec-id=1-00000000 --process=0 --remote-type=pg"
    for command in ("id", f"{remote} --stanza=other backup:remote", f"{remote} --stanza=register restore:remote"):
        words = f"{SSH}pgbackrest_ed25519 pgbackrest@{address} {shlex.quote(command)} </dev/null"
        assert city_lab.on(NODE, words, check=False).returncode != 0, command
    look = f"cat {CLUSTER}/PG_VERSION; find {CLUSTER} /etc/postgresql -writable ! -type l"
    assert city_lab.on(DATABASE, f"runuser -u pgbackrest -- sh -c {shlex.quote(look)}").stdout.split() == ["15"]
    for command in ("SELECT count(*) FROM pupils", "DELETE FROM egov_heartbeat", "SELECT pg_read_file('/etc/passwd')"):
        words = f"runuser -u pgbackrest -- psql -X -d register -c {shlex.quote(command)}"
        assert "permission denied" in city_lab.on(DATABASE, words, check=False).stderr, command


def test_a_dump_s_manifest_is_of_the_dump_s_own_moment(city_lab: Any) -> None:
    """While somebody writes: what is counted beside the dump is what comes out of the dump, table by table."""
    spool = "/var/lib/egov/backup/portal"
    city_lab.on(DATABASE, f"touch /tmp/egov-writing; nohup sh -c {shlex.quote(WRITER)} >/dev/null 2>&1 &")
    written = "mariadb -BN portal -e 'SELECT COUNT(*) FROM articles'"
    start = "systemctl start egov-backup@portal.service"
    try:
        until(lambda: int(city_lab.on(DATABASE, written).stdout) > 8000, lambda: "nobody writes", 30)
        city_lab.on(DATABASE, f"{start} && {start}")  # the first may only wait for one that began before the writing
    finally:
        city_lab.on(DATABASE, "rm -f /tmp/egov-writing")
    manifest = json.loads(city_lab.on(DATABASE, f"cat {spool}/manifest.json").stdout)
    tables = manifest["database"]["tables"]
    assert (
        tables["articles"]["rows"] > 8000 and tables["articles"]["rows"] - 8000 == tables["questions"]["rows"] - 24000
    )
    assert tables["visits"] == {"rows": 700, "sha256": None}
    assert [item["path"] for item in manifest["files"]] == [f"{spool}/dump.sql.gz"]
    again = (
        f"mariadb -e 'CREATE DATABASE egov_check' && gzip -dc {spool}/dump.sql.gz | mariadb egov_check && "
        "EGOV_BACKUP_DIR=/tmp/egov-check python3 -I /usr/local/lib/egov/egov-mariadb dump check egov_check && "
        "cat /tmp/egov-check/check/database.json; mariadb -e 'DROP DATABASE egov_check'; rm -rf /tmp/egov-check"
    )
    restored = json.loads(city_lab.on(DATABASE, again).stdout)["database"]
    assert restored["tables"] == tables
    gone = "DELETE FROM questions WHERE article_id > 100000; DELETE FROM articles WHERE id > 100000"
    city_lab.on(DATABASE, f"mariadb portal -e {shlex.quote(gone)}")


def test_backups_of_databases_are_as_fresh_as_was_promised(city_lab: Any) -> None:
    done = city_lab.egovctl(
        "assess", "run", "as-planned", "-i", str(city_lab.inventory.root), "--only", "backups-fresh", "--format", "json"
    )
    status = {item["subject"]: item["status"] for item in json.loads(done.stdout)["results"]}
    assert status["register"] == status["portal"] == "pass"
