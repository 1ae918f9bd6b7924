"""What a box may ask a repository for: reading commands of one stanza. And which tables may shrink."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from egovctl.drill.causes import Cause
from egovctl.drill.database import Table, differences, shrinking
from egovctl.drill.pgbackrest import decrypts
from egovctl.drill.relay import Relay

OPTIONS = "--exec-id=7-0a --log-level-stderr=error --process=0 --remote-type=repo --repo=1 --stanza=other"


class Folder:
    """As much of a box as a relay needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def inside(self, path: Path) -> str:
        return str(path)

    def owned(self, path: Path, user: str) -> str:
        return str(path)


def asked(folder: Path, request: str, *remote: str, joined: bool = True) -> bytes:
    """What comes back through the client that pgBackRest would start."""
    box = Folder(folder)
    with Relay(box, folder / "relay", "postgres", "register", remote or ("echo",), joined) as relay:  # type: ignore[arg-type]
        argv = [sys.executable, relay.client, "-o", "x", "reader@repository", request]
        done = subprocess.run(argv, input=b"", capture_output=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_a_reading_command_is_started_with_the_relays_own_words(tmp_path: Path) -> None:
    said = asked(tmp_path, f"pgbackrest --archive-async {OPTIONS} --repo1-path=/etc restore:remote").decode()
    assert said.split()[0] == "pgbackrest" and said.split()[-1] == "restore:remote"
    assert "--stanza=register" in said and "other" not in said and "/etc" not in said and "--exec-id=7-0a" in said


@pytest.mark.parametrize(
    "request_",
    [
        f"pgbackrest {OPTIONS} archive-push:remote",
        f"pgbackrest {OPTIONS} backup:remote",
        f"pgbackrest {OPTIONS} repo-rm:remote",
        f"pgbackrest {OPTIONS} restore",
        f"pgbackrest {OPTIONS} restore:remote; rm -rf /",
        f"pgbackrest {OPTIONS} $(id):remote",
        "sh -c id",
        "",
        "x" * 10_000,
    ],
)
def test_nothing_else_is_started(tmp_path: Path, request_: str) -> None:
    mark = tmp_path / "started"
    assert asked(tmp_path, request_, "touch", str(mark), joined=False) == b""
    assert not mark.exists()


def test_data_go_both_ways_whole(tmp_path: Path) -> None:
    box = Folder(tmp_path)
    sent = bytes(range(256)) * 20_000
    with Relay(box, tmp_path / "relay", "postgres", "register", ("sh", "-c", "cat", "sh"), False) as relay:  # type: ignore[arg-type]
        argv = [sys.executable, relay.client, f"pgbackrest {OPTIONS} info:remote"]
        assert subprocess.run(argv, input=sent, capture_output=True, timeout=20).stdout == sent
        assert relay.trouble == ""


def test_it_works_in_a_folder_with_a_long_name(tmp_path: Path) -> None:
    """A unix socket's own name ends at 107 octets; inside the box the way is short."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with Relay(Folder(deep), deep / "relay", "postgres", "register", ("echo",), True):  # type: ignore[arg-type]
        assert (deep / "relay" / "socket").is_socket()
    with socket.socket(socket.AF_UNIX) as left, pytest.raises(OSError):
        left.connect("/proc/self/cwd/none")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_catalogue_is_told_from_noise_by_its_own_passphrase(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("[backrest]\nbackrest-format=5\n")
    argv = ["openssl", "enc", "-aes-256-cbc", "-md", "sha1", "-pass", "pass:right", "-in", str(plain)]
    sealed = subprocess.run(argv, capture_output=True, check=True).stdout
    assert decrypts(sealed, "right") and not decrypts(sealed, "wrong")
    assert not decrypts(sealed[:20], "right") and not decrypts(b"", "right") and not decrypts(b"x" * 64, "right")


def test_a_table_that_always_shrinks_may_go_on_and_others_may_not() -> None:
    manifests = [{"queue": Table(100), "people": Table(50)}, {"queue": Table(60), "people": Table(55)}]
    shrank = shrinking(manifests)
    assert shrank == {"queue": 40, "people": 0}
    now = {"queue": Table(10), "people": Table(55)}
    assert list(differences(manifests[-1], now, shrank=shrank)) == []
    for lost in ({"queue": Table(10), "people": Table(54)}, {"queue": Table(0), "people": Table(55)}):
        (found,) = differences(manifests[-1], lost, shrank=shrank)
        assert found.cause is Cause.ROWS_LOST
    (found,) = differences(manifests[-1], {"queue": Table(60)}, shrank=shrank)
    assert found.cause is Cause.ROWS_LOST and "people" in found.text["en"]
