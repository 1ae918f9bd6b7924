"""What a PostgreSQL drill costs against bare `pgbackrest restore` and a start until the server is ready."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from figures import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "contract"))
import database_bench as bench

BARE, DRILL = "pgbackrest restore and start", "postgresql drill"
QUESTION = "SELECT count(*) FROM register.citizens"
RUN = """
import json, sys
from pathlib import Path
from egovctl.drill.calibration.judge import JUDGES
item = JUDGES["restore-postgresql"](json.loads(sys.argv[1]), Path(sys.argv[2]))
print(json.dumps([item.verdict, item.files_compared, item.phases, [reason["en"] for reason in item.reasons]]))
"""


def available() -> bool:
    """Whether the programs are there, and a scratch can be."""
    return os.geteuid() == 0 and bench.available(bench.POSTGRESQL / "postgres", bench.PGBACKREST)


def measured(folder: Path, rows: int, rounds: int) -> list[dict[str, Any]]:
    """Both by turns, on a register of so many citizens with some WAL after its backup."""
    cluster = bench.Cluster(folder / "source")
    cluster.make(rows)
    try:
        cluster.manifest()
        cluster.backup("full")
        for number in range(8):
            cluster.sql(
                f"INSERT INTO register.visits SELECT now(), md5(n::text) FROM generate_series(1, 20000 + {number}) n"
            )
            cluster.heartbeat()
            cluster.switch()
        size = int(cluster.sql("SELECT pg_database_size('register')")) >> 20
    finally:
        cluster.kill()
    print(f"== PostgreSQL: {size} MiB, {rows} citizens", flush=True)
    found = []
    for number in range(rounds):
        for name in (BARE, DRILL) if number % 2 else (DRILL, BARE):
            one = (_bare if name == BARE else _drill)(cluster, folder / "again", rows)
            found.append({"name": name, "mib": size, **one})
            print(f"  {number + 1} {name}: {one['wall_s']:.2f} s {one['fault']}", flush=True)
            shutil.rmtree(folder / "again", ignore_errors=True)
    return found


def _bare(cluster: Any, folder: Path, rows: int) -> dict[str, Any]:
    """Restore, start, wait until recovery has ended and it answers; archiving is off."""
    folder.mkdir()
    (folder / "repository").symlink_to(cluster.repository)
    (folder / "lock").mkdir()
    (folder / "data").mkdir(mode=0o700)
    again = bench.Cluster(folder, settings={"archive_mode": "off"})
    begun = time.monotonic()
    again.pgbackrest("restore")
    again.start()
    try:
        while again.sql("SELECT pg_is_in_recovery()") != "f":
            time.sleep(0.02)
        count = int(again.sql(QUESTION))
        wall = time.monotonic() - begun
    finally:
        again.kill()
    return {"wall_s": round(wall, 3), "phases": {}, "fault": "" if count == rows else f"{count} rows"}


def _drill(cluster: Any, folder: Path, rows: int) -> dict[str, Any]:
    """The drill as a process, in a real scratch."""
    folder.mkdir()
    source = cluster.source()
    case = {
        "service": "register",
        "host": "db",
        "database": "register",
        "rto": 3600,
        "rpo": 10**8,
        "stanza": source.stanza,
        "passphrase": source.passphrase,
        "repository": str(cluster.repository),
        "program": list(source.program),
        "tools": str(bench.TOOLS),
    }
    begun = time.monotonic()
    argv = [sys.executable, "-c", RUN, json.dumps(case), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    wall = time.monotonic() - begun
    if done.returncode:
        return {"wall_s": round(wall, 3), "phases": {}, "fault": done.stderr[-500:]}
    verdict, compared, phases, reasons = json.loads(done.stdout)
    fault = "" if verdict == "met" and compared > rows else f"{verdict}, {compared} rows, {reasons}"
    return {"wall_s": round(wall, 3), "phases": phases, "fault": fault}
