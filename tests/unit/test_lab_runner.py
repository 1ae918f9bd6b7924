"""How the lab ends what runs in a cgroup, with a folder for one: the lab's own tests have real ones."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import pytest

from egovctl.errors import EgovError
from egovctl.i18n import set_language
from egovctl.lab import runner


def test_what_ends_slowly_is_waited_for_and_what_does_not_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_language("en")
    monkeypatch.setattr(runner, "KILL_PATIENCE", 0.4)
    folder, procs = tmp_path / "host", tmp_path / "host" / "cgroup.procs"
    folder.mkdir()
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]

    def end_one_by_one() -> None:
        for count in (2, 1, 0):
            time.sleep(0.25)
            procs.write_text("".join(f"{child.pid}\n" for child in children[:count]))
        procs.unlink()

    procs.write_text("".join(f"{child.pid}\n" for child in children))
    ending = threading.Thread(target=end_one_by_one)
    ending.start()
    runner.end_cgroup(folder)  # longer than its patience in all, but something ended all the time
    ending.join()
    assert not folder.exists() and all(child.wait() == -9 for child in children)

    folder.mkdir()
    procs.write_text("")  # a file keeps this folder, as a process that is not gone yet keeps a cgroup
    with pytest.raises(EgovError, match="host: cannot be removed; look at it, then run down again"):
        runner.end_cgroup(folder)
    with subprocess.Popen(["sleep", "60"]) as child:
        procs.write_text(f"{child.pid}\n")
        with pytest.raises(EgovError, match=rf"host: processes \[{child.pid}\] do not end"):
            runner.end_cgroup(folder)


def test_what_forks_as_fast_as_it_is_killed_does_not_keep_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "KILL_PATIENCE", 0.3)
    asked = iter(range(100))  # some 2 s: if it were to go on, this ends it
    monkeypatch.setattr(runner, "pids_below", lambda folder: [next(asked) + 2**30])  # another each time, and none there
    (tmp_path / "cgroup.procs").touch()
    begun = time.monotonic()
    with pytest.raises(EgovError):
        runner.end_cgroup(tmp_path)
    assert time.monotonic() - begun < 1.5
