"""The databases' drills on the lab's own backups: over ssh and the gate, in the scratch, with the image's programs.

A failure here means that what is proven on copies is not so on hosts: a key, a path or a program is not as planned.
"""

from __future__ import annotations

import json
import shlex
import time
from datetime import UTC, datetime
from typing import Any

import pytest

pytestmark = pytest.mark.lab
DATABASE, NODE = "shared-services", "backup"


def sql(city_lab: Any, command: str) -> str:
    words = f"runuser -u postgres -- psql -XqAt -v ON_ERROR_STOP=1 -d register -c {shlex.quote(command)}"
    return str(city_lab.on(DATABASE, words).stdout.strip())


def archived(city_lab: Any) -> None:
    """A heartbeat and what was before it are in the repository."""
    city_lab.on(DATABASE, "systemctl start egov-postgresql-heartbeat.service")
    name = sql(city_lab, "SELECT pg_walfile_name(pg_switch_wal())")
    deadline = time.monotonic() + 150  # after three pushes that failed PostgreSQL waits a minute
    while sql(city_lab, "SELECT last_archived_wal FROM pg_stat_archiver") < name:
        assert time.monotonic() < deadline, f"{name} was not archived"
        time.sleep(0.2)


def drill(city_lab: Any, name: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    root = str(city_lab.inventory.root)
    done = city_lab.egovctl("drill", "run", name, "-i", root, "--format", "json", *arguments, check=False)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["cleaned"] and not list((city_lab.inventory.state / "scratch").iterdir())
    return done.returncode, report


@pytest.fixture(scope="module")
def backed_up(city_lab: Any) -> Any:
    """A full backup of the register, and a manifest that is younger."""
    city_lab.on(NODE, "systemctl start egov-pgbackrest-full@register.service")
    city_lab.on(DATABASE, "systemctl start egov-postgresql-manifest.service")
    archived(city_lab)
    return city_lab


def test_the_register_comes_back_whole(backed_up: Any) -> None:
    code, report = drill(backed_up, "restore-postgresql")
    (item,) = report["items"]
    assert (code, report["verdict"], item["causes"]) == (0, "met", []), report
    assert item["files_compared"] >= 52_000 and item["details"]["tables_by_hash"] >= 5
    assert 0 < item["rto_seconds"] < 300 and item["rpo_seconds"] < 600


def test_a_second_before_a_mistake_comes_back(backed_up: Any) -> None:
    """The mistake is made in a table of the test's own; the live database keeps it."""
    sql(backed_up, "DROP TABLE IF EXISTS egov_drill_canary; CREATE TABLE egov_drill_canary AS SELECT 1 AS n")
    try:
        backed_up.on(DATABASE, "systemctl start egov-postgresql-heartbeat.service")
        moment = datetime.fromtimestamp(float(sql(backed_up, "SELECT extract(epoch FROM clock_timestamp())")), UTC)
        time.sleep(1.1)
        sql(backed_up, "DELETE FROM egov_drill_canary")
        archived(backed_up)
        questions = backed_up.inventory.root / "content" / "applications" / "register.yml"
        kept = questions.read_text(encoding="utf-8")
        canary = '  - {title: {zh: 金丝雀, en: canary}, sql: SELECT count(*) FROM egov_drill_canary, equals: "1"}\n'
        questions.write_text(kept + canary, encoding="utf-8")
        try:
            code, report = drill(backed_up, "restore-point-in-time", "--at", moment.isoformat())
            assert (code, report["verdict"]) == (0, "met"), report
            code, report = drill(backed_up, "restore-postgresql")
            assert code == 1 and "canary" in json.dumps(report), "the latest state has the mistake in it"
        finally:
            questions.write_text(kept, encoding="utf-8")
    finally:
        sql(backed_up, "DROP TABLE egov_drill_canary")


def test_a_segment_that_is_gone_is_named(backed_up: Any) -> None:
    """Moved aside on the backup node, and put back."""
    archived(backed_up)
    archived(backed_up)
    look = "cd /srv/pgbackrest/archive/register/15-1 && find . -name '0*-*' | sort | tail -2 | head -1"
    path = "/srv/pgbackrest/archive/register/15-1/" + backed_up.on(NODE, look).stdout.strip()
    aside = f"/srv/pgbackrest/{path.rsplit('/', 1)[1]}"
    backed_up.on(NODE, f"mv {path} {aside}")
    try:
        code, report = drill(backed_up, "restore-postgresql")
    finally:
        backed_up.on(NODE, f"mv {aside} {path}")
    (item,) = report["items"]
    assert code == 1 and item["causes"][0] == "wal_gap" and path.rsplit("/", 1)[1][:24] in json.dumps(item)


def test_the_portal_comes_back_whole(city_lab: Any) -> None:
    city_lab.on(DATABASE, "systemctl start egov-backup@portal.service")
    code, report = drill(city_lab, "restore-mariadb")
    (item,) = report["items"]
    assert (code, report["verdict"], item["causes"]) == (0, "met", []), report
    assert item["files_compared"] >= 32_000 and item["details"]["tables_by_hash"] >= 3


def test_both_databases_come_back_without_the_backup_node(backed_up: Any) -> None:
    """From what the off-site node pulled: a dump out of a borg repository, and a stanza with its WAL."""
    backed_up.on(DATABASE, "systemctl start egov-backup@portal.service")
    backed_up.on("offsite", "systemctl start egov-offsite.service")
    code, report = drill(backed_up, "restore-offsite", "--service", "register", "--service", "portal")
    assert (code, report["verdict"]) == (0, "met"), report
    items = {item["service"]: item for item in report["items"]}
    assert set(items) == {"register", "portal"}
    assert items["register"]["files_compared"] >= 52_000 and items["portal"]["files_compared"] >= 32_000
    for item in items.values():
        assert item["unit"] == "rows" and item["phases"]["fetch"] > 0 and item["details"]["generation"], item
