"""The way to a host: quoting, deadlines, silence that is told and does not stop the others."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from egovctl import transport
from egovctl.errors import CannotMeasure
from egovctl.paths import Inventory
from egovctl.transport import HostSilent


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """An ssh that runs the command here: host "down" is unreachable, host "slow" takes its time."""
    script = tmp_path / "bin" / "ssh"
    script.parent.mkdir()
    script.write_text(
        '#!/bin/sh\nwhile [ "$2" != -- ]; do shift; done\nhost=$1\nshift 2\n'
        '[ "$host" = down ] && { echo "ssh: connect to host down: No route to host" >&2; exit 255; }\n'
        '[ "$host" = slow ] && exec sleep 30\neval "$@"\n'
    )
    script.chmod(0o755)
    sudo = tmp_path / "bin" / "sudo"
    sudo.write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    inventory = Inventory(tmp_path / "inventories" / "town")
    inventory.ssh_config.parent.mkdir(parents=True)
    inventory.ssh_config.touch()
    return inventory


def test_a_command_runs_with_its_quoting_and_input_whole(fake_ssh: Inventory) -> None:
    done = transport.run(fake_ssh, "up", ["cat", "-", "/dev/null"], input=b"text\x00")
    assert (done.returncode, done.stdout) == (0, b"text\x00")
    assert transport.run(fake_ssh, "up", ["printf", "%s|", "a b", "$HOME", "'"]).stdout == b"a b|$HOME|'|"
    assert transport.run(fake_ssh, "up", "echo one; echo two >&2; exit 7").returncode == 7


def test_silent_hosts_say_why_and_do_not_stop_the_others(fake_ssh: Inventory) -> None:
    found = transport.run_many(fake_ssh, ["up", "down", "slow"], ["true"], timeout=1.5)
    assert not isinstance(found["up"], Exception)
    assert isinstance(found["down"], HostSilent) and "No route to host" in str(found["down"])
    assert isinstance(found["slow"], HostSilent) and "within 1.5 s" in str(found["slow"])


def test_an_on_host_program_that_dies_is_told_with_its_last_words(fake_ssh: Inventory) -> None:
    assert transport.run_python(fake_ssh, "up", "def main(p):\n    return p['x'] + 1", {"x": 1}) == 2
    with pytest.raises(CannotMeasure, match=r"up: .*KeyError"):
        transport.run_python(fake_ssh, "up", "def main(p):\n    return p['y']", {"x": 1})


def test_a_file_is_replaced_in_one_step(fake_ssh: Inventory, tmp_path: Path) -> None:
    target = tmp_path / "with space.prom"
    target.write_text("old")
    transport.write_file(fake_ssh, "up", str(target), b"new\n")
    assert target.read_bytes() == b"new\n" and target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if "prom" in path.name] == ["with space.prom"]
    with pytest.raises(CannotMeasure):
        transport.write_file(fake_ssh, "up", str(tmp_path / "absent" / "x"), b"")


def test_a_city_that_was_not_rendered_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    with pytest.raises(CannotMeasure, match="egovctl render"):
        transport.run(Inventory(tmp_path / "inventories" / "town"), "noc", ["true"])


@pytest.mark.parametrize("spare", [17, 16])
def test_a_kept_connection_is_asked_for_only_where_its_socket_fits(spare: int) -> None:
    """ssh binds <ControlPath>.<16 characters> first and renames it; a path that long fails every command."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        room = 107 - spare - len("/control/cm-") - 40 - len(folder) - 1
        kept = "ControlMaster=auto" in transport._multiplex_options(Path(folder) / ("s" * room) / "control")
    assert kept == (spare >= 17)
