"""The drill restore-files against a real local borg repository: what is well is met, what is wrong is named.

A failure here means that a broken backup would be called good, or a good one broken.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from egovctl.checks.context import Context, open_context
from egovctl.drill import Outcome, Verdict, call, deadman, engine, files_of_plan, judging, restore_files
from egovctl.drill.borg import Repository
from egovctl.drill.causes import Cause
from egovctl.drill.model import Options
from egovctl.drill.past import Covered, one_run
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Chain, open_chain
from egovctl.paths import Inventory
from egovctl.report import drills as report

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / "playbooks" / "roles" / "borgmatic" / "files"
PASSPHRASE = "correct horse"
SERVICES = """\
schema: 1
services:
  - {{name: documents, title: {{zh: 公文, en: Documents}}, owner: minqin-education, grade: 2, availability: 99.5,
     rto: 30m, rpo: 1h, hosts: [minqin-education],
     backup: {{engine: borg, paths: [{paths}], schedule: "*:0/15"}}}}
  - {{name: monitoring, title: {{zh: 监测, en: Monitoring}}, owner: noc, grade: 2, availability: 99.5,
     rto: 4h, rpo: 1d, hosts: [noc]}}
"""

pytestmark = pytest.mark.skipif(shutil.which("borg") is None, reason="borgbackup is not installed")


class Bench:
    """One host with its data, its backups, and a project whose plan promises to restore them."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.data = folder / "srv" / "documents"
        self.single = folder / "etc" / "service.conf"
        self.proof = folder / "proof"
        self.repository = folder / "repo"
        shutil.copytree(template, self.repository)
        self.project = folder / "project"
        root = self.project / "inventories" / "lab"
        shutil.copytree(REPOSITORY / "inventories" / "lab" / "plan", root / "plan")
        (root / "plan" / "services.yml").write_text(SERVICES.format(paths=f"{self.data}, {self.single}"))
        self.base = folder / "base"
        self.inventory = Inventory(root)
        for number in range(12):
            path = self.data / f"{number % 3}" / f"公文 {number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"document {number}\n" * 50)
        (self.data / "0" / "odd.sh").write_text("x")
        (self.data / "0" / "odd.sh").chmod(0o4750)
        (self.data / "link").symlink_to("0")
        self.single.parent.mkdir()
        self.single.write_text("setting = 1\n")

    def borg(self, *arguments: str) -> None:
        environment = {**os.environ, "BORG_PASSPHRASE": PASSPHRASE, "BORG_BASE_DIR": str(self.base)}
        environment["BORG_RELOCATED_REPO_ACCESS_IS_OK"] = "yes"
        subprocess.run(["borg", *arguments], env=environment, check=True, capture_output=True)

    def prove(self, *, age: float = 0.0, host: str = "minqin-education") -> None:
        """What the hook does before a backup; `age` moves the heartbeat into the past."""
        argv = [
            sys.executable,
            str(TOOLS / "egov-backup-manifest"),
            "documents",
            str(self.data),
            str(self.single),
        ]
        subprocess.run(argv, env={**os.environ, "EGOV_BACKUP_DIR": str(self.proof)}, check=True, capture_output=True)
        for name in ("manifest.json", "heartbeat.json"):
            path = self.proof / "documents" / name
            data = json.loads(path.read_text()) | {"host": host}
            if "unix" in data:
                data["unix"] -= age
            path.write_text(json.dumps(data))

    def archive(self, name: str = "documents-2026-01-01T00:00:00", *paths: Path) -> None:
        chosen = [str(path) for path in paths] or [
            str(self.data),
            str(self.single),
            str(self.proof / "documents"),
        ]
        self.borg("create", f"{self.repository}::{name}", *chosen)

    def backup(self, **how: object) -> None:
        self.prove(**how)  # type: ignore[arg-type]
        self.archive()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty encrypted repository; making one costs a second, copying it nothing."""
    folder = tmp_path_factory.mktemp("borg")
    environment = {**os.environ, "BORG_PASSPHRASE": PASSPHRASE, "BORG_BASE_DIR": str(folder / "base")}
    argv = ["borg", "init", "-e", "repokey", str(folder / "repo")]
    subprocess.run(argv, env=environment, check=True, capture_output=True)
    return folder / "repo"


@pytest.fixture
def bench(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path, template)
    monkeypatch.setenv("EGOV_PROJECT", str(made.project))
    monkeypatch.setenv("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes")
    monkeypatch.setattr(files_of_plan, "PROOF", str(made.proof))
    monkeypatch.setattr(engine, "_unsteady", lambda context, drill: [])

    def local(context: Context, host: str) -> Repository:
        return Repository(str(made.repository), PASSPHRASE, made.base)

    monkeypatch.setattr(files_of_plan, "repository_of", local)
    return made


def run(bench: Bench, scratch: Path | None = None, services: tuple[str, ...] = ()):
    context = open_context(bench.inventory)
    chain = open_chain(bench.inventory, context.city.plan_revision)
    result = engine.run_drill(context, "restore-files", chain, Options(scratch, services))
    parent = scratch or bench.inventory.state / "scratch"
    assert not [path for path in parent.iterdir() if path.name.startswith("egov-drill-")]
    assert chain.verify().ok
    assert [record.kind for record in chain.records()][-2:] == ["drill.planned", "drill.result"]
    return result


def words_of(result) -> str:
    return " | ".join(reason["en"] for item in result.items for reason in item.reasons)


def test_a_good_backup_is_met_and_all_of_it_was_compared(bench: Bench) -> None:
    bench.backup()
    result = run(bench)
    item = result.items[0]
    assert (result.outcome, result.verdict, result.exit_code) == (Outcome.COMPLETED, Verdict.MET, 0), words_of(result)
    assert item.files_compared == 15
    assert set(item.phases) == {"find", "restore", "verify"}
    assert item.rto_seconds == pytest.approx(sum(item.phases.values()), abs=0.01) and 0 <= item.rpo_seconds < 60


def test_the_latest_archive_of_this_service_is_taken(bench: Bench) -> None:
    bench.backup()
    bench.archive("documents-old-2026-02-01T00:00:00")
    bench.prove()
    bench.archive("documents-2026-01-02T00:00:00")
    assert run(bench).items[0].details["archive"] == "documents-2026-01-02T00:00:00"


def spoil_content(bench: Bench) -> None:
    path = bench.data / "1" / "公文 4.txt"
    path.write_text(path.read_text().replace("document 4\n", "document 5\n", 1))


def spoil_size(bench: Bench) -> None:
    with (bench.data / "1" / "公文 4.txt").open("a") as stream:
        stream.write("more")


def spoil_mode(bench: Bench) -> None:
    (bench.data / "1" / "公文 4.txt").chmod(0o600)


def spoil_kind(bench: Bench) -> None:
    path = bench.data / "1" / "公文 4.txt"
    path.unlink()
    path.symlink_to("公文 1.txt")


def spoil_link(bench: Bench) -> None:
    (bench.data / "link").unlink()
    (bench.data / "link").symlink_to("1")


@pytest.mark.parametrize(
    ("spoil", "how"),
    [
        (spoil_content, "公文 4.txt (content)"),
        (spoil_size, "公文 4.txt (size)"),
        (spoil_mode, "公文 4.txt (mode)"),
        (spoil_kind, "公文 4.txt (kind)"),
        (spoil_link, "link (content)"),
    ],
)
def test_a_changed_file_is_named_with_how_it_changed(bench: Bench, spoil, how: str) -> None:
    bench.prove()
    spoil(bench)
    bench.archive()
    result = run(bench)
    assert (result.outcome, result.verdict, result.exit_code) == (Outcome.COMPLETED, Verdict.NOT_MET, 1)
    kind = "with other attributes" if how.endswith("(mode)") else "changed"
    assert f"1 files {kind}" in words_of(result) and how in words_of(result)


def test_missing_and_extra_files_are_named(bench: Bench) -> None:
    bench.prove()
    (bench.data / "1" / "公文 4.txt").unlink()
    (bench.data / "new.txt").write_text("after the manifest")
    bench.archive()
    result = run(bench)
    assert result.verdict is Verdict.NOT_MET
    assert "1 files missing: " in words_of(result) and "1 files extra: " in words_of(result)


def test_a_missing_subtree_is_not_met(bench: Bench) -> None:
    bench.prove()
    bench.archive("documents-2026-01-01T00:00:00", bench.single, bench.proof / "documents")
    result = run(bench)
    assert result.verdict is Verdict.NOT_MET and "14 files missing" in words_of(result)


def test_everything_missing_but_the_manifest_is_not_met_not_an_error(bench: Bench) -> None:
    bench.prove()
    bench.archive("documents-2026-01-01T00:00:00", bench.proof / "documents")
    result = run(bench)
    assert result.verdict is Verdict.NOT_MET and "15 files missing" in words_of(result)


def test_nothing_to_compare_is_an_error_never_a_pass(bench: Bench) -> None:
    bench.prove()
    path = bench.proof / "documents" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": []}))
    shutil.rmtree(bench.data)
    bench.data.mkdir()
    bench.single.unlink()
    bench.archive("documents-2026-01-01T00:00:00", bench.data, bench.proof / "documents")
    result = run(bench)
    assert (result.outcome, result.verdict, result.exit_code) == (Outcome.ERROR, Verdict.UNKNOWN, 3)
    assert "nothing was compared" in words_of(result)


def test_an_archive_without_manifest_proves_nothing(bench: Bench) -> None:
    bench.archive("documents-2026-01-01T00:00:00", bench.data, bench.single)
    result = run(bench)
    assert (result.outcome, result.verdict, result.exit_code) == (Outcome.ERROR, Verdict.UNKNOWN, 3)
    assert "no manifest" in words_of(result)


def test_no_backup_at_all(bench: Bench) -> None:
    result = run(bench)
    assert result.exit_code == 1 and "there is no backup of documents@minqin-education" in words_of(result)
    assert result.items[0].causes == (Cause.NO_BACKUP,)


def test_a_backup_older_than_the_rpo_breaks_the_promise(bench: Bench) -> None:
    bench.backup(age=4000)
    result = run(bench)
    assert result.verdict is Verdict.NOT_MET and re.search(r"RPO 40\d\d s > 3600 s", words_of(result))


def test_a_heartbeat_from_the_future_gives_no_rpo(bench: Bench) -> None:
    bench.backup(age=-4000)
    result = run(bench)
    assert result.verdict is Verdict.UNKNOWN and "no credible heartbeat" in words_of(result)


def test_a_backup_of_another_host_is_not_this_ones(bench: Bench) -> None:
    bench.backup(host="gulang-education")
    result = run(bench)
    assert result.verdict is Verdict.NOT_MET and "this is a backup of documents@gulang-education" in words_of(result)


def test_a_wrong_passphrase_is_told_in_one_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.backup()
    other = Repository(str(bench.repository), "battery staple", bench.base)
    monkeypatch.setattr(files_of_plan, "repository_of", lambda context, host: other)
    result = run(bench)
    assert result.exit_code == 1 and "passphrase" in words_of(result).lower()
    assert result.items[0].causes == (Cause.PASSPHRASE_WRONG,)
    assert "battery staple" not in json.dumps([record.body for record in open_chain(bench.inventory).records()])


def test_a_damaged_segment_is_found(bench: Bench) -> None:
    bench.backup()
    segments = sorted((bench.repository / "data" / "0").iterdir(), key=lambda path: path.stat().st_size)
    spoiled = bytearray(segments[-1].read_bytes())
    spoiled[len(spoiled) // 3] ^= 1
    segments[-1].write_bytes(spoiled)
    result = run(bench)
    assert result.exit_code == 1 and words_of(result)
    assert result.items[0].causes == (Cause.REPOSITORY_DAMAGED,)


def test_the_passphrase_is_on_no_command_line_and_in_no_environment(bench: Bench, monkeypatch) -> None:
    bench.backup()
    seen = []
    real = subprocess.Popen

    def spy(argv, **how):
        if "borg" in argv:
            seen.append((" ".join(argv), json.dumps(how["env"])))
        return real(argv, **how)

    monkeypatch.setattr(call.subprocess, "Popen", spy)
    assert run(bench).exit_code == 0
    assert len(seen) == 4 and not any(PASSPHRASE in text for pair in seen for text in pair)


def test_a_scratch_that_is_too_small_is_refused_before_anything_is_restored(bench: Bench, monkeypatch) -> None:
    bench.backup()
    monkeypatch.setattr(restore_files, "HEADROOM", 1 << 60)
    result = run(bench)
    assert (result.outcome, result.verdict, result.exit_code) == (Outcome.ERROR, Verdict.UNKNOWN, 3)
    assert "scratch is too small" in words_of(result)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small tmpfs")
def test_a_scratch_that_fills_up_ends_clean_and_says_so(bench: Bench, tmp_path: Path, monkeypatch) -> None:
    (bench.data / "large").write_bytes(os.urandom(4 << 20))
    bench.backup()
    monkeypatch.setattr(restore_files, "require_room", lambda root, archived: None)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=True)
    try:
        result = run(bench, scratch=small)
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert (result.outcome, result.verdict, result.exit_code) == (Outcome.ERROR, Verdict.UNKNOWN, 3)
    assert "the scratch is full" in words_of(result) and result.cleaned


def test_a_restore_that_takes_too_long_is_stopped_and_breaks_the_promise(bench: Bench, monkeypatch) -> None:
    bench.backup()
    monkeypatch.setattr(judging.Promise, "limit", 0.05)
    result = run(bench)
    assert (result.outcome, result.verdict, result.exit_code) == (Outcome.ABORTED, Verdict.NOT_MET, 1)


def test_unknown_names_are_usage_errors_and_nothing_is_recorded(bench: Bench) -> None:
    context = open_context(bench.inventory)
    chain = open_chain(bench.inventory)
    for name, options in (
        ("restore-everything", Options()),
        ("restore-files", Options(services=("nothing",))),
        ("restore-files", Options(services=("monitoring",))),
        ("restore-files", Options(scratch=bench.project / "absent")),
    ):
        with pytest.raises(UsageError):
            engine.run_drill(context, name, chain, options)
    assert chain.head().count == 0


def test_dry_run_says_what_would_be_done_and_records_nothing(bench: Bench) -> None:
    planned = engine.plan_run(open_context(bench.inventory), "restore-files", Options())
    assert [str(target) for target, _ in planned] == ["documents@minqin-education"]
    assert "RTO 1800 s, RPO 3600 s" in " ".join(step["en"] for step in planned[0][1])
    assert open_chain(bench.inventory).head().count == 0


def test_a_state_that_is_not_steady_aborts_and_proves_nothing(bench: Bench, monkeypatch) -> None:
    bench.backup()
    monkeypatch.setattr(engine, "_unsteady", lambda context, drill: [{"zh": "不稳", "en": "a link is down"}])
    result = run(bench)
    assert (result.outcome, result.verdict, result.exit_code) == (Outcome.ABORTED, Verdict.UNKNOWN, 3)


def test_ctrl_c_cleans_up_and_is_recorded(bench: Bench, monkeypatch) -> None:
    bench.backup()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restore_files, "compare", interrupted)
    result = run(bench)
    assert (result.outcome, result.verdict, result.exit_code) == (Outcome.ABORTED, Verdict.UNKNOWN, 3)
    assert not list((bench.inventory.state / "drill").iterdir())


CHILD = """
import sys, time
from pathlib import Path
from egovctl.checks.context import open_context
from egovctl.drill import engine, files_of_plan, restore_files
from egovctl.drill.borg import Repository
from egovctl.drill.causes import Cause
from egovctl.drill.model import Options
from egovctl.evidence import open_chain
from egovctl.paths import Inventory
root, repository, base, proof = sys.argv[1:]
files_of_plan.PROOF = proof
files_of_plan.repository_of = lambda context, host: Repository(repository, "correct horse", Path(base))
engine._unsteady = lambda context, drill: []
def stuck(*_):
    print("restored", flush=True)
    time.sleep(60)
restore_files.compare = stuck
inventory = Inventory(Path(root))
context = open_context(inventory)
engine.run_drill(context, "restore-files", open_chain(inventory), Options())
"""


def start_stuck(bench: Bench) -> subprocess.Popen:
    argv = [sys.executable, "-c", CHILD]
    argv += [str(path) for path in (bench.inventory.root, bench.repository, bench.base, bench.proof)]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"restored\n"
    return child


def test_a_killed_run_is_cleaned_at_the_next_start_and_recorded_as_aborted(bench: Bench) -> None:
    bench.backup()
    child = start_stuck(bench)
    scratch = bench.inventory.state / "scratch"
    assert list(scratch.iterdir())
    child.kill()
    child.wait()
    chain: Chain = open_chain(bench.inventory)
    assert [record.kind for record in chain.records()] == ["drill.planned"]
    result = run(bench)
    assert result.verdict is Verdict.MET
    bodies = [record.body for record in engine.history(chain)]
    assert [(body["outcome"], body["verdict"]) for body in bodies] == [
        ("aborted", "unknown"),
        ("completed", "met"),
    ]
    assert "killed" in bodies[0]["reasons"][0]["en"] and bodies[0]["items"][0]["service"] == "documents"
    assert engine.recover(open_context(bench.inventory), chain) == []


KILLED_ANYWHERE = CHILD.replace("restore_files.compare = stuck\n", 'print("begins", flush=True)\n')


@pytest.mark.parametrize("share", [0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9])
def test_killed_at_any_moment_nothing_outlives_the_run_and_it_is_never_passed_or_missing(
    bench: Bench, share: float
) -> None:
    """The dead-man cleans up without any next start; that one only records."""
    bench.backup()
    argv = [sys.executable, "-c", KILLED_ANYWHERE]
    argv += [str(path) for path in (bench.inventory.root, bench.repository, bench.base, bench.proof)]
    begun = time.monotonic()
    run(bench)
    usual = time.monotonic() - begun
    child = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"begins\n"
    time.sleep(share * usual)  # a moment of the run, not a wait for anything
    child.kill()
    child.wait()
    scratch, chain = bench.inventory.state / "scratch", open_chain(bench.inventory)
    until = time.monotonic() + 30
    while list(scratch.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    assert not list(scratch.iterdir()), "what was restored outlived the run"
    planned = {record.body["run"] for record in chain.records() if record.kind == "drill.planned"}
    engine.recover(open_context(bench.inventory), chain)
    results = engine.history(chain)
    assert planned <= {record.body["run"] for record in results}, "a run is missing"
    assert len({record.body["run"] for record in results}) == len(results), "a run was recorded twice"
    assert all(record.body["outcome"] in ("completed", "aborted") for record in results)
    killed = [record.body for record in results if record.body["outcome"] == "aborted"]
    assert all(body["verdict"] == "unknown" for body in killed), "a killed run passed"
    assert not list((bench.inventory.state / "drill").iterdir())


def test_without_its_watchdog_nothing_is_begun(bench: Bench, tmp_path: Path, monkeypatch) -> None:
    bench.backup()
    broken = tmp_path / "watchdog.py"
    broken.write_text("raise SystemExit(1)")
    monkeypatch.setattr(deadman.watchdog, "__file__", str(broken))
    context, chain = open_context(bench.inventory), open_chain(bench.inventory)
    with pytest.raises(CannotMeasure, match="watchdog"):
        engine.run_drill(context, "restore-files", chain, Options())
    assert chain.head().count == 0 and not list((bench.inventory.state / "scratch").iterdir())


def test_names_that_are_not_utf8_come_back_and_are_compared(bench: Bench) -> None:
    """Folders of long ago have them (GB 18030)."""
    (bench.data / os.fsdecode("通知\n附件".encode("gb18030"))).write_text("x")
    bench.backup()
    item = run(bench).items[0]
    assert (item.verdict, item.files_compared) == (Verdict.MET, 16), item.reasons


def of_files(rows: list[Covered]) -> list[Covered]:
    """Those of the drill that is run here: others restore the same set from elsewhere."""
    return [row for row in rows if row.drill == "restore-files"]


def test_such_a_name_in_a_finding_can_be_recorded_and_shown(bench: Bench) -> None:
    path = bench.data / os.fsdecode("附件".encode("gb18030"))
    path.write_text("x")
    bench.prove()
    path.unlink()
    bench.archive()
    result = run(bench)
    assert result.verdict is Verdict.NOT_MET and "1 files missing" in words_of(result)
    assert "\\xb8\\xbd" in words_of(result) and words_of(result).encode("utf-8")


def test_what_the_plan_shows_of_earlier_runs(bench: Bench) -> None:
    bench.backup()
    context, chain = open_context(bench.inventory), open_chain(bench.inventory)
    (before,) = of_files(engine.coverage(context, chain))
    assert (before.drill, before.overdue, before.breaks, before.past.rto) == ("restore-files", True, [], ())
    first, _ = run(bench), run(bench)
    (row,) = of_files(engine.coverage(context, chain))
    assert (row.overdue, row.breaks, len(row.past.rto)) == (False, [], 2)
    text = "\n".join(report.run_lines(*one_run(chain.records(), first.id)))
    assert "documents@minqin-education: completed, met" in text and "compared: 15 files" in text
    assert report.covered_json(row)["restore_seconds"]["worst"] == max(row.past.rto)
    assert report.plan_table([before, row]).row_count == 2, "a line each"
    assert report.plan_table([before], 80).row_count == 2, "and where there is little room, beside its two names"
    assert report.plan_summary([before, row]).startswith("2 sets, 1 not proven within 90 days")


def test_a_run_that_still_lives_is_left_alone(bench: Bench) -> None:
    bench.backup()
    child = start_stuck(bench)
    try:
        context = open_context(bench.inventory)
        assert engine.recover(context, open_chain(bench.inventory)) == []
        assert list((bench.inventory.state / "scratch").iterdir())
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 0
    finally:
        child.kill()
        child.wait()
    last = engine.history(open_chain(bench.inventory))[-1].body
    assert (last["outcome"], last["cleaned"]) == ("aborted", True)
    assert not list((bench.inventory.state / "scratch").iterdir())


def test_the_hooks_leave_metrics_and_refuse_an_empty_source(bench: Bench, tmp_path: Path) -> None:
    bench.prove(age=100)
    textfiles = tmp_path / "textfiles"
    textfiles.mkdir()
    environment = {**os.environ, "EGOV_BACKUP_DIR": str(bench.proof), "EGOV_TEXTFILE_DIR": str(textfiles)}
    subprocess.run([sys.executable, str(TOOLS / "egov-backup-metrics"), "documents"], env=environment, check=True)
    lines = (textfiles / "egov_backup_documents.prom").read_text().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values['egov_backup_files{service="documents"}'] == "15"
    age = time.time() - float(values['egov_backup_last_success_timestamp_seconds{service="documents"}'])
    assert 100 <= age < 160
    assert [path.name for path in textfiles.iterdir()] == ["egov_backup_documents.prom"]
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (empty, tmp_path / "absent"):
        argv = [sys.executable, str(TOOLS / "egov-backup-manifest"), "documents", str(path)]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True)
        assert done.returncode == 1 and str(path) in done.stderr
