"""A bad plan stops everybody: one sentence with file and line, exit 2 from egovctl, failure from ansible-playbook.

If a case here passes as good, hosts would be configured from a plan that cannot work; if it gives two sentences or
another line, the person who made the slip is sent to the wrong place.
Each bad_plans/NAME.yml is one change (find, put, times) to bad_plans/good, and the fault that it must give.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from egovctl.commands.main import main
from egovctl.i18n import set_language
from egovctl.paths import Inventory
from egovctl.plan import PlanError, load

HERE = Path(__file__).resolve().parent / "bad_plans"
PROJECT = HERE.parents[2]
CASES = sorted(path.stem for path in HERE.glob("*.yml"))


@dataclass(frozen=True)
class BadPlan:
    """One change to the good plan and the only fault that it may give."""

    file: str
    find: str
    put: str
    line: int
    fault: str
    times: int = 1

    def write(self, folder: Path) -> Inventory:
        shutil.copytree(HERE / "good", folder)
        path = folder / "plan" / f"{self.file}.yml"
        text = path.read_text(encoding="utf-8")
        assert text.count(self.find) == 1, f"{self.find!r} must stand once in {path.name}"
        new = "".join(self.put.replace("NN", str(10 + n)) for n in range(self.times))
        path.write_text(text.replace(self.find, new + (self.find if self.times > 1 else "")), encoding="utf-8")
        return Inventory(folder)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """English whatever the machine's LANG says; the language is the process's, so it is put back."""
    set_language("en")
    yield
    set_language(None)


def case(name: str) -> BadPlan:
    return BadPlan(**yaml.safe_load((HERE / f"{name}.yml").read_text(encoding="utf-8")))


def test_there_are_ten_or_more_bad_plans() -> None:
    assert len(CASES) >= 10


def test_the_plan_they_are_made_from_is_good() -> None:
    _, city = load(Inventory(HERE / "good"))
    assert len(city.hosts) == 8


@pytest.mark.parametrize("name", CASES)
def test_one_sentence_with_file_and_line(name: str, tmp_path: Path) -> None:
    bad = case(name)
    inventory = bad.write(tmp_path / "bad")
    with pytest.raises(PlanError) as caught:
        load(inventory)
    assert list(caught.value.faults) == [f"{inventory.plan_dir / bad.file}.yml:{bad.line}: {bad.fault}"]


@pytest.mark.parametrize("name", CASES)
def test_the_sentence_speaks_chinese(name: str, tmp_path: Path) -> None:
    bad = case(name)
    inventory = bad.write(tmp_path / "bad")
    set_language("zh")
    with pytest.raises(PlanError) as caught:
        load(inventory)
    (fault,) = caught.value.faults
    assert fault.startswith(f"{inventory.plan_dir / bad.file}.yml:{bad.line}: ")
    assert any("\u4e00" <= letter <= "\u9fff" for letter in fault)


@pytest.mark.parametrize("name", CASES)
def test_egovctl_plan_check_exits_2(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = case(name)
    inventory = bad.write(tmp_path / "bad")
    with pytest.raises(SystemExit) as left:
        main(["--lang", "en", "plan", "check", "-i", str(inventory.root)])
    output = capsys.readouterr()
    assert left.value.code == 2
    assert output.out == ""
    assert output.err == f"error: {inventory.plan_dir / bad.file}.yml:{bad.line}: {bad.fault}\n"


def test_a_missing_file_is_one_sentence_too(tmp_path: Path) -> None:
    shutil.copytree(HERE / "good", tmp_path / "bad")
    (tmp_path / "bad" / "plan" / "services.yml").unlink()
    with pytest.raises(PlanError, match=r"services\.yml:1: the file is missing"):
        load(Inventory(tmp_path / "bad"))


def ansible_playbook(inventory: Path, work: Path) -> subprocess.CompletedProcess[str]:
    """Run a play without tasks over the inventory: it contacts nobody and is good whenever the inventory is."""
    playbook = work / "nothing.yml"
    playbook.write_text("- hosts: all\n  gather_facts: false\n  tasks: []\n", encoding="utf-8")
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory / "city.yml"), str(playbook)],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "LANG": "C.UTF-8", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_ansible_playbook_takes_the_good_plan(tmp_path: Path) -> None:
    done = ansible_playbook(HERE / "good", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", CASES)
def test_ansible_playbook_fails_too_and_says_why(name: str, tmp_path: Path) -> None:
    bad = case(name)
    inventory = bad.write(tmp_path / "bad")
    done = ansible_playbook(inventory.root, tmp_path)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert f"{bad.file}.yml:{bad.line}: {bad.fault}" in said
