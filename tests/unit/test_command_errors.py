"""What the system refuses is one sentence and exit 3; names that the project's own folders have are refused."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from egovctl.commands.main import main
from egovctl.errors import UsageError
from egovctl.i18n import set_language
from egovctl.paths import NOT_INVENTORIES, Inventory, project_root


def run(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("egovctl.commands.main.cli.main", fail)
    set_language("en")
    try:
        with pytest.raises(SystemExit) as left:
            main([])
    finally:
        set_language(None)
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/lib/x"),
            "/var/lib/x: No space left on device (make room, then run this again)",
        ),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), b"/root/x"),
            "/root/x: Permission denied (run this as a user who may do that)",
        ),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "ssh"), "ssh: No such file or directory"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "the system refused: Input/output error"),
        (TimeoutError(), "the system refused: TimeoutError"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, sentence: str
) -> None:
    assert run(monkeypatch, error) == 3
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_a_fault_of_the_program_stays_an_internal_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, ZeroDivisionError("x")) == 4
    assert "internal error: ZeroDivisionError" in capsys.readouterr().err


def test_a_full_disk_behind_the_output_is_said() -> None:
    with open("/dev/full", "w") as full:
        argv = [sys.executable, "-m", "egovctl", "--lang", "en", "plan", "check", "-i", "lab"]
        done = subprocess.run(argv, cwd=project_root(), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == "error: the system refused: No space left on device (make room, then run this again)\n"


@pytest.mark.parametrize("name", NOT_INVENTORIES)
def test_an_inventory_cannot_be_called_as_a_folder_of_build(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "plan").mkdir(parents=True)
    (tmp_path / name / "plan" / "city.yml").touch()
    with pytest.raises(UsageError, match=f"{tmp_path / name}: .*{name}"):
        Inventory.find(tmp_path / name)
