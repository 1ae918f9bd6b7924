"""make bench-drill: what a file restore drill costs against bare `borg extract`; restic beside it.

    python tests/bench/drill [--rounds 5] [--files 12000] [--mib 2000] [--rows 1000000] [--only files|postgresql]
    python tests/bench/drill --to-docs build/bench-drill.json

All restore the same files from a local repository; they alternate, each into an empty folder, and what came back is
compared with the source. The drill is a whole process: it lists, restores, compares every file with the manifest, looks
for the signs of a wrong source, judges, and removes what it restored. PostgreSQL: the drill in its scratch against bare
`pgbackrest restore` and a start until the server is ready (root, `make .tools/.ready`).
Docs: docs/drill-calibration.md. Exit codes:
0 measured, 1 a result was wrong or a goal is missed, 2 wrong call, 3 nothing to compare with.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import contenders
import figures
import postgresql
from data import Data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=12_000)
    parser.add_argument("--mib", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["files", "postgresql"])
    parser.add_argument("--out", type=Path, default=figures.REPOSITORY / "build" / "bench-drill.json")
    parser.add_argument("--to-docs", type=Path)
    wanted = parser.parse_args()
    if wanted.to_docs:
        figures.write_page(json.loads(wanted.to_docs.read_text(encoding="utf-8")))
        return 0
    if shutil.which("borg") is None:
        print("error: borg is not installed", file=sys.stderr)
        return 3
    wanted.out = wanted.out.resolve()  # all that is called has a folder of its own
    wanted.out.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="egov-bench-drill-", dir=wanted.out.parent) as folder:
        rounds = []
        if wanted.only != "postgresql":
            data = Data(Path(folder), wanted.files, wanted.mib)
            print(f"== {data.make()}", flush=True)
            rounds += contenders.measured(data, wanted.rounds)
            data.remove()
        if wanted.only != "files" and postgresql.available():
            rounds += postgresql.measured(Path(folder), wanted.rows, wanted.rounds)
    before = json.loads(wanted.out.read_text(encoding="utf-8")) if wanted.only and wanted.out.is_file() else {}
    measured = {one["name"] for one in rounds}
    rounds += [one for one in before.get("rounds", []) if one["name"] not in measured]
    size = {"files": wanted.files, "mib": wanted.mib}
    if wanted.only == "postgresql":  # the files were measured before, and others perhaps
        size |= {name: before[name] for name in size if name in before}
    results = figures.about() | size | {"rounds": rounds}
    wanted.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(figures.table(results))
    goals = figures.goals(results)
    print("\n".join(str(goal) for goal in goals))
    wrong = [one for one in rounds if one["fault"]]
    for one in wrong:
        print(f"WRONG: {one['name']}: {one['fault']}")
    return 1 if wrong or not all(goal.met for goal in goals) else 0


if __name__ == "__main__":
    sys.exit(main())
