"""The gate of PostgreSQL's backups, what tells how fresh they are, heartbeats, and what is rendered for them.

If the gate's tests fail, root on a database host could delete its history, or control's key could write. If those of
the metrics fail, a database whose WAL has a hole passes for backed up.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.machinery
import importlib.util
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from egovctl.paths import Inventory, project_root
from egovctl.render import render_city

ROLES = Path(__file__).resolve().parents[2] / "playbooks/roles"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
SEGMENT = "000000010000000000000007"


def load(path: str) -> Any:
    loader = importlib.machinery.SourceFileLoader(Path(path).name.replace("-", "_"), str(ROLES / path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


gate = load("pgbackrest/files/egov-pgbackrest-gate")
metrics = load("pgbackrest_server/files/egov-pgbackrest-metrics")


class Replaced(Exception):
    """The program that the gate would have become."""

    def __init__(self, path: str, argv: list[str], environment: dict[str, str]) -> None:
        super().__init__(path)
        self.path, self.argv, self.environment = path, argv, environment


@pytest.fixture
def exec_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def caught(path: str, argv: list[str], environment: dict[str, str]) -> None:
        raise Replaced(path, argv, environment)

    monkeypatch.setattr(os, "execve", caught)


def ask(monkeypatch: pytest.MonkeyPatch, arguments: list[str], command: str, given_bytes: bytes = b"") -> None:
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", command)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given_bytes)))
    gate.main(arguments)


# What pgBackRest 2.45 itself sends over ssh, as it was seen.
RESTORE = (
    "/usr/bin/pgbackrest --exec-id=10054-c1ad77ac --log-level-console=off --log-level-stderr=error "
    "--pg1-path=/tmp/restored --process=1 --remote-type=repo --repo=1 --repo1-path=/srv/pgbackrest --stanza=register "
    "restore:remote"
)
BACKUP = (
    "pgbackrest --config=/tmp/mine.conf --exec-id=7868-6d056186 --log-level-console=off --pg1-path=/etc --pg1-port=1 "
    "--process=0 --remote-type=pg --stanza=register backup:remote"
)


@pytest.mark.usefixtures("exec_caught")
@pytest.mark.parametrize(
    ("arguments", "command", "kept", "config"),
    [
        (["read"], RESTORE, ["--exec-id=10054-c1ad77ac", "--process=1"], "/etc/pgbackrest/read.conf"),
        (["pull", "register"], BACKUP, ["--exec-id=7868-6d056186", "--process=0"], "/etc/pgbackrest/pgbackrest.conf"),
    ],
)
def test_a_remote_side_runs_with_this_side_s_settings(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], command: str, kept: list[str], config: str
) -> None:
    with pytest.raises(Replaced) as became:
        ask(monkeypatch, arguments, command)
    argv = became.value.argv
    assert became.value.path == "/usr/bin/pgbackrest" and argv[-1] == command.split()[-1]
    assert [word for word in argv if word.startswith(("--exec-id", "--process"))] == kept
    assert f"--config={config}" in argv and "--stanza=register" in argv
    theirs = ("path", "port", "mine", "--cmd", "=/etc ")
    assert not any(part in word for word in argv for part in theirs), "an option of the other end came through"
    assert set(became.value.environment) == {"PATH", "LC_ALL"}


@pytest.mark.usefixtures("exec_caught")
@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["read"], RESTORE.replace("restore:remote", "archive-push:remote")),
        (["read"], RESTORE.replace("restore:remote", "expire:remote")),
        (["read"], RESTORE.replace("restore:remote", "stanza-delete:remote")),
        (["read"], RESTORE.replace("restore:remote", "repo-put:remote")),
        (["read"], RESTORE.replace(":remote", ":local")),
        (["read"], RESTORE.replace("=repo ", "=pg ")),
        (["read"], RESTORE.replace("=register", "=../register")),
        (["read"], RESTORE + " ; id"),
        (["read"], "fetch ../../etc"),
        (["read"], "fetch register id"),
        (["read"], "sh -c id"),
        (["read"], "'unfinished"),
        (["read"], ""),
        (["pull", "register"], BACKUP.replace("=register", "=payroll")),
        (["pull", "register"], BACKUP.replace(" --stanza=register", "")),
        (["pull", "register"], BACKUP.replace("backup:remote", "restore:remote")),
        (["pull", "register"], BACKUP.replace("=pg ", "=repo ")),
        (["pull", "register"], "fetch register"),
        (["push", "register"], RESTORE),
        (["push", "register"], "fetch register"),
        (["push", "register"], f"../../{SEGMENT} {'0' * 64}"),
        (["push", "register"], f"{SEGMENT} {'0' * 64}"),  # not what comes on standard input
        (["read", "register"], RESTORE),
    ],
)
def test_what_a_key_is_not_for_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], command: str
) -> None:
    monkeypatch.setattr(gate, "INCOMING", str(tmp_path))
    with pytest.raises(SystemExit) as left:
        ask(monkeypatch, arguments, command, b"something")
    assert left.value.code not in (0, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("exec_caught")
def test_fetch_is_a_tar_of_one_stanza(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Replaced) as became:
        ask(monkeypatch, ["read"], "fetch register")
    assert became.value.path == "/usr/bin/tar"
    assert became.value.argv[-2:] == ["archive/register", "backup/register"]


@pytest.mark.usefixtures("exec_caught")
@given(command=st.text(max_size=80) | st.lists(st.sampled_from(RESTORE.split()), max_size=14).map(" ".join))
@example("pgbackrest restore:remote")
def test_whatever_is_asked_nothing_else_is_started(command: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        try:
            ask(patch, ["read"], command.replace("\0", ""))
        except Replaced as became:
            assert became.path in ("/usr/bin/pgbackrest", "/usr/bin/tar")
            assert became.path != "/usr/bin/pgbackrest" or "--config=/etc/pgbackrest/read.conf" in became.argv
        except (SystemExit, ValueError):
            pass


def pushed(
    monkeypatch: pytest.MonkeyPatch, folder: Path, content: bytes, code: int = 0, name: str = SEGMENT
) -> tuple[int, list[str]]:
    """Exit code of a push, and what pgBackRest was called with (a stand-in that notes it, with the file's hash)."""
    program, note, incoming = folder / "pgbackrest", folder / "note", folder / "incoming"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\necho "$@" $(sha256sum <"$last") >>{note}\nexit {code}\n')
    program.chmod(0o755)
    incoming.mkdir(exist_ok=True)
    monkeypatch.setattr(gate, "PGBACKREST", str(program))
    monkeypatch.setattr(gate, "INCOMING", str(incoming))
    monkeypatch.setattr(gate, "REPOSITORY", str(folder / "repository"))
    monkeypatch.setattr(gate, "QUOTAS", str(folder / "quotas.json"))
    if not (folder / "quotas.json").exists():
        (folder / "quotas.json").write_text('{"register": "1G"}')
    monkeypatch.setattr(sys, "stderr", (folder / "said").open("w"))
    with pytest.raises(SystemExit) as left:
        ask(monkeypatch, ["push", "register"], f"{name} {hashlib.sha256(content).hexdigest()}", content)
    assert list(incoming.iterdir()) == [], "nothing that came stays behind"
    code = left.value.code
    return code if isinstance(code, int) else 1, note.read_text().split() if note.exists() else []


def test_wal_is_handed_to_pgbackrest_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = bytes(range(256)) * 65536
    code, called = pushed(monkeypatch, tmp_path, content)
    assert code == 0
    assert called[:2] == ["--config=/etc/pgbackrest/push.conf", "--stanza=register"]
    assert called[3] == "archive-push" and called[4].endswith(f"/{SEGMENT}")
    assert called[5] == hashlib.sha256(content).hexdigest()


def test_what_pgbackrest_refuses_is_told_to_postgresql(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If this fails, PostgreSQL removes a WAL segment that nobody has."""
    assert pushed(monkeypatch, tmp_path, b"x", code=45)[0] == 45


def test_more_than_a_segment_is_not_stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gate, "LARGEST", 100_000)
    code, called = pushed(monkeypatch, tmp_path, b"x" * 100_001)
    assert code != 0 and called == []


def test_a_stanza_that_is_full_takes_no_more_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If this fails, root on one database host fills the backup node for all."""
    for part in ("archive", "backup"):
        for stanza in ("register", "payroll"):
            (tmp_path / "repository" / part / stanza).mkdir(parents=True)
            (tmp_path / "repository" / part / stanza / "file").write_bytes(b"x" * 3000)
    for quota, refused in (("6001", False), ("7K", False), ("6000", True), ("5K", True), ("none", True)):
        (tmp_path / "quotas.json").write_text(json.dumps({"register": quota}))
        (tmp_path / "note").unlink(missing_ok=True)
        code, called = pushed(monkeypatch, tmp_path, b"x")
        assert (code != 0, called == []) == (refused, refused), quota
        if refused:
            with pytest.raises(SystemExit, match="quota"):
                gate.main(["room", "register"])
        else:
            gate.main(["room", "register"])
    with pytest.raises(SystemExit, match="no quota for stanza payroll"):
        gate.main(["room", "payroll"])


# --- how fresh ------------------------------------------------------------------------------------------------------


def told(start: int, stop: int, error: bool = False) -> dict[str, Any]:
    name = "00000001{:08X}{:08X}".format
    return {
        "name": "register",
        "archive": [{"id": "15-1", "database": {"id": 1}}, {"id": "15-2", "database": {"id": 2}}],
        "backup": [
            {
                "error": error,
                "database": {"id": 2},
                "archive": {"start": name(*divmod(start, 256)), "stop": name(*divmod(stop, 256))},
                "timestamp": {"start": 100, "stop": 130},
                "info": {"size": 4096},
            }
        ],
    }


LAST = "egov_backup_last_success_timestamp_seconds"


def test_the_data_are_as_old_as_the_last_wal() -> None:
    found = metrics.values(told(254, 255), {254: 1.0, 255: 2.0, 256: 3.0, 257: 9.0})
    assert found[LAST] == 9.0 and found["egov_backup_wal_missing"] == 0
    assert found["egov_backup_duration_seconds"] == 30 and found["egov_backup_bytes"] == 4096


def test_what_lies_behind_a_gap_is_lost() -> None:
    found = metrics.values(told(254, 255), {254: 1.0, 255: 2.0, 256: 3.0, 258: 9.0, 259: 10.0})
    assert found[LAST] == 3.0 and found["egov_backup_wal_missing"] == 1


def test_a_backup_without_its_own_wal_is_none() -> None:
    assert LAST not in metrics.values(told(254, 256), {254: 1.0, 256: 3.0})
    assert LAST not in metrics.values(told(254, 256), {})


def test_without_a_good_backup_there_is_nothing_to_tell() -> None:
    assert metrics.values(told(1, 1, error=True), {1: 1.0}) == {}
    assert metrics.values({"name": "register", "archive": [], "backup": []}, {}) == {}
    assert metrics.text([('service="register",host="db"', {})]) == ""


@given(first=st.integers(0, 600), length=st.integers(1, 40), hole=st.integers(0, 60), times=st.floats(1e9, 2e9))
def test_only_what_is_reached_without_a_gap_counts(first: int, length: int, hole: int, times: float) -> None:
    pieces = {first + place: times + place for place in range(length) if place != hole}
    found = metrics.values(told(first, first), pieces)
    if hole == 0:
        assert LAST not in found
    else:
        assert found[LAST] == times + min(hole, length) - 1


def test_segments_are_read_from_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(metrics, "REPOSITORY", str(tmp_path))
    folder = tmp_path / "archive/register/15-2/0000000100000000"
    folder.mkdir(parents=True)
    digest = "a" * 40
    for name in (f"{SEGMENT}-{digest}.zst", f"{SEGMENT}.00000028.backup", "00000002.history"):
        (folder / name).write_text("x")
    os.utime(folder / f"{SEGMENT}-{digest}.zst", (5.0, 5.0))
    assert metrics.archive_of(told(1, 1)) == "15-2"
    assert metrics.segments("register", "15-2") == {7: 5.0}


# --- heartbeats and manifests ---------------------------------------------------------------------------------------


def beat(folder: Path, *services: str) -> subprocess.CompletedProcess[str]:
    (folder / "services.json").write_text(json.dumps(services))
    environment = {
        "EGOV_BACKUP_SERVICES": str(folder / "services.json"),
        "EGOV_BACKUP_DIR": str(folder / "backup"),
        "EGOV_BACKUP_LOCKS": str(folder / "lock-"),
    }
    program = [sys.executable, "-I", str(ROLES / "borgmatic/files/egov-heartbeat")]
    return subprocess.run(program, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_a_heartbeat_for_each_service_but_the_one_that_is_being_backed_up(tmp_path: Path) -> None:
    with (tmp_path / "lock-portal").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert beat(tmp_path, "documents", "portal").returncode == 0
    path = tmp_path / "backup/documents/heartbeat.json"
    said = json.loads(path.read_text())
    assert said["service"] == "documents" and abs(said["unix"] - time.time()) < 60
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not (tmp_path / "backup/portal").exists()
    assert beat(tmp_path, "documents", "portal").returncode == 0
    assert (tmp_path / "backup/portal/heartbeat.json").exists()


def test_a_dump_s_moment_and_tables_go_into_the_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "portal"
    folder.mkdir()
    (folder / "dump.sql.gz").write_bytes(b"dump")
    database = {
        "engine": "mariadb",
        "version": "10.11.1",
        "name": "portal",
        "tables": {"a": {"rows": 1, "sha256": None}},
    }
    (folder / "database.json").write_text(json.dumps({"unix": 1000.5, "database": database}))
    program = [sys.executable, "-I", str(ROLES / "borgmatic/files/egov-backup-manifest"), "portal"]
    environment = {**os.environ, "EGOV_BACKUP_DIR": str(tmp_path)}
    subprocess.run([*program, str(folder / "dump.sql.gz")], env=environment, check=True, capture_output=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["database"] == database
    assert [item["sha256"] for item in manifest["files"]] == [hashlib.sha256(b"dump").hexdigest()]
    assert json.loads((folder / "heartbeat.json").read_text())["unix"] == 1000.5


# --- what is rendered -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def enrolled_lab(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The lab, rendered with every key that the databases' backups need."""
    folder = tmp_path_factory.mktemp("inventories") / "lab"
    shutil.copytree(project_root() / "inventories/lab", folder, ignore=shutil.ignore_patterns("enrolled"))
    keys = {
        "control": ["deploy_ed25519", "borg_restore_ed25519", "pgbackrest_restore_ed25519"],
        "backup": ["ssh_host_ed25519", "pgbackrest_ed25519"],
        "shared-services": ["ssh_host_ed25519", "wal_ed25519"],
    }
    (folder / "enrolled").mkdir()
    for host, names in keys.items():
        (folder / "enrolled" / f"{host}.yml").write_text(yaml.safe_dump({"host": host, **dict.fromkeys(names, KEY)}))
    return render_city(Inventory(folder))


def test_each_key_is_for_one_thing(enrolled_lab: Any) -> None:
    node, database = enrolled_lab.hosts["backup"].files, enrolled_lab.hosts["shared-services"].files
    places = [
        (node, "/var/lib/egov-pgbackrest/.ssh/authorized_keys", "push register"),
        (node, "/var/lib/egov-pgbackrest-read/.ssh/authorized_keys", "read"),
        (database, "/var/lib/egov-pgbackrest/.ssh/authorized_keys", "pull register"),
    ]
    for files, path, mode in places:
        (line,) = [line for line in files[path].decode().splitlines() if line and not line.startswith("#")]
        assert line.startswith(f'restrict,command="/usr/local/lib/egov/egov-pgbackrest-gate {mode}" {KEY} ')


def test_each_stanza_has_its_quota(enrolled_lab: Any) -> None:
    files = enrolled_lab.hosts["backup"].files
    assert json.loads(files["/etc/egov/pgbackrest_quotas.json"]) == {"register": "100G"}


def test_the_passphrase_is_where_it_is_needed_and_nowhere_else(enrolled_lab: Any) -> None:
    holders = {
        (host, entry["path"]): (entry["mode"], entry["owner"], entry["group"])
        for host, rendered in enrolled_lab.hosts.items()
        for entry in rendered.manifest["files"]
        if "pgbackrest_cipher_register" in entry["secrets"]
    }
    assert holders == {
        ("backup", "/etc/pgbackrest/pgbackrest.conf"): ("0600", "pgbackrest", "pgbackrest"),
        ("backup", "/etc/pgbackrest/push.conf"): ("0600", "pgbackrest", "pgbackrest"),
    }


def test_ssh_lets_in_who_pushes_pulls_and_reads(enrolled_lab: Any) -> None:
    def users(host: str) -> set[str]:
        text = enrolled_lab.hosts[host].files["/etc/ssh/sshd_config.d/50-egov.conf"].decode()
        (line,) = [line for line in text.splitlines() if line.startswith("AllowUsers ")]
        return set(line.split()[1:]) - {"egov-deploy"}

    assert users("backup") == {"borg", "pgbackrest", "pgbackrest-read"}
    assert users("shared-services") == {"pgbackrest"}
    assert users("core1") == set()


def test_the_firewalls_open_ssh_between_database_and_backup_node_only(enrolled_lab: Any) -> None:
    rules = enrolled_lab.hosts["shared-services"].files["/etc/nftables.conf"].decode()
    assert "ip saddr @backup4 tcp dport 22 accept" in rules
    assert "@postgresql4 tcp dport 22 accept" in enrolled_lab.hosts["backup"].files["/etc/nftables.conf"].decode()
    for host in ("core1", "minqin-education", "noc"):
        text = enrolled_lab.hosts[host].files["/etc/nftables.conf"].decode()
        assert "@backup4" not in text and "@postgresql4" not in text


def test_the_backup_node_alone_speaks_for_other_hosts(enrolled_lab: Any) -> None:
    config = yaml.safe_load(enrolled_lab.hosts["noc"].files["/etc/prometheus/prometheus.yml"])
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == "node"]
    (rule,) = job["metric_relabel_configs"]
    assert rule["source_labels"] == ["host", "__name__", "exported_host"] and rule["target_label"] == "host"
    pattern = re.compile(rule["regex"])  # Prometheus anchors it, and puts $1 where nothing else is said
    said = pattern.fullmatch("backup;egov_backup_bytes;shared-services")
    assert said is not None and said[1] == "shared-services"
    for other in ("noc;egov_backup_bytes;shared-services", "backup;node_load1;noc", "backup;egov_backup_bytes;"):
        assert pattern.fullmatch(other) is None
