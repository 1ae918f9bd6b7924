"""egovctl plan as a person and a program meet it: stable JSON keys, both languages, exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from egovctl.commands.main import main
from egovctl.i18n import set_language
from egovctl.paths import project_root

CJK = re.compile("[\u4e00-\u9fff]")
DEPARTMENT = """
  - {number: 224, name: minqin-finance, kind: department, county: minqin,
     title: {zh: 民勤县财政局, en: Minqin Finance Bureau},
     uplinks: [{to: hub-minqin, mbps: 50}]}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """A copy of the lab's plan that a test may change."""
    target = tmp_path / "town"
    shutil.copytree(project_root() / "inventories" / "lab" / "plan", target / "plan")
    return target


@pytest.fixture
def egovctl(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run one command in this process; returns (exit code, stdout, stderr)."""

    def run(*arguments: str, lang: str = "en") -> tuple[int, str, str]:
        try:
            with pytest.raises(SystemExit) as left:
                main(["--lang", lang, *arguments])
        finally:
            set_language(None)
        output = capsys.readouterr()
        return int(left.value.code or 0), output.out, output.err

    return run


def add_department(inventory: Path) -> None:
    path = inventory / "plan" / "city.yml"
    path.write_text(path.read_text(encoding="utf-8").rstrip() + DEPARTMENT, encoding="utf-8")


def test_show_as_json_has_stable_keys(egovctl: Any) -> None:
    code, out, _ = egovctl("plan", "show", "-i", "wuwei", "--format", "json")
    data = json.loads(out)
    assert code == 0
    assert list(data) == ["inventory", "revision", "city", "counts", "areas", "services", "survival"]
    assert list(data["areas"][0]) == ["area", "title", "sites", "hubs", "hosts", "uplinks", "mbps_to_core"]
    assert list(data["services"][0]) == [
        "name", "title", "owner", "grade", "availability_percent", "rto_seconds", "rpo_seconds", "hosts", "backup",
    ]  # fmt: skip
    assert list(data["survival"]) == [
        "links", "links_that_cut_nobody_off", "link_losses", "router_losses", "single_homed",
    ]  # fmt: skip
    assert data["counts"]["hosts"] == sum(area["hosts"] for area in data["areas"])
    assert len(data["survival"]["single_homed"]) == 66


@pytest.mark.parametrize("command", [("show",), ("check",), ("addresses",), ("diff", "--against", "wuwei")])
def test_tables_speak_the_language_asked_for(egovctl: Any, command: tuple[str, ...]) -> None:
    code, chinese, _ = egovctl("plan", command[0], "-i", "lab", *command[1:], lang="zh")
    assert code == 0 and CJK.search(chinese)
    code, english, _ = egovctl("plan", command[0], "-i", "lab", *command[1:])
    assert code == 0
    if command[0] != "diff":  # the titles that a diff compares are in both languages
        assert not CJK.search(english)


def test_show_names_what_one_link_cuts_off(egovctl: Any) -> None:
    _, out, _ = egovctl("plan", "show", "-i", "lab")
    assert "Minqin County (5): offsite, minqin-education" in out
    assert "router hub-minqin lost: 5 sites cut off" in out


def test_check_is_one_sentence_with_numbers(egovctl: Any) -> None:
    code, out, err = egovctl("plan", "check", "-i", "lab")
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert out.startswith("good: Wuwei (lab slice), 1 county, 12 sites, 15 hosts (13 managed), 18 links, 11 LANs")


def test_check_as_json_of_a_bad_plan(egovctl: Any, inventory: Path) -> None:
    path = inventory / "plan" / "city.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("number: 12,", "number: 3,"), encoding="utf-8")
    code, out, err = egovctl("plan", "check", "-i", str(inventory), "--format", "json")
    data = json.loads(out)
    assert (code, err, data["good"], list(data)) == (2, "", False, ["inventory", "good", "faults"])
    assert "has number 3, which backup has already" in data["faults"][0]


def test_diff_of_one_department_more(egovctl: Any, inventory: Path) -> None:
    add_department(inventory)
    code, out, _ = egovctl("plan", "diff", "-i", str(inventory), "--against", "lab", "--format", "json")
    data = json.loads(out)
    assert code == 0
    assert list(data) == ["against", "from", "to", "city", "sites", "links", "addresses", "services", "hosts"]
    assert data["hosts"] == {
        "added": ["minqin-finance"],
        "removed": [],
        "changed": ["core1", "core2", "hub-minqin"],
        "moved": [],
    }
    assert [entry["name"] for entry in data["sites"]["added"]] == ["minqin-finance"]
    assert [entry["name"] for entry in data["links"]["added"]] == ["minqin-finance -> hub-minqin"]
    assert [entry["name"] for entry in data["addresses"]["added"]] == [
        "host minqin-finance",
        "lan minqin-finance",
        "link minqin-finance -> hub-minqin",
    ]
    assert all(not data[s]["removed"] and not data[s]["changed"] for s in ("city", "sites", "links", "addresses"))


def test_diff_tells_what_changed_and_what_went(egovctl: Any, inventory: Path) -> None:
    city, services = inventory / "plan" / "city.yml", inventory / "plan" / "services.yml"
    city.write_text(
        city.read_text(encoding="utf-8").replace("hub-minqin, mbps: 100}]}", "hub-minqin, mbps: 50}]}", 1),
        encoding="utf-8",
    )
    text = services.read_text(encoding="utf-8").replace("rto: 30m", "rto: 1h")
    services.write_text(text[: text.index("  - name: monitoring")], encoding="utf-8")
    _, out, _ = egovctl("plan", "diff", "-i", str(inventory), "--against", "lab", "--format", "json")
    data = json.loads(out)
    assert data["links"]["changed"] == [
        {"name": "minqin-education -> hub-minqin", "field": "mbps", "from": 100, "to": 50}
    ]
    assert data["services"]["changed"] == [{"name": "documents", "field": "rto_seconds", "from": 1800, "to": 3600}]
    gone = re.findall(r"  - name: (\S+)", text[text.index("  - name: monitoring") :])
    assert "monitoring" in gone and [entry["name"] for entry in data["services"]["removed"]] == sorted(gone)
    _, table, _ = egovctl("plan", "diff", "-i", str(inventory), "--against", "lab")
    assert "mbps: 100 → 50" in table and "rto_seconds: 1800 → 3600" in table


def test_diff_says_what_a_change_means(egovctl: Any, inventory: Path) -> None:
    _, said, _ = egovctl("plan", "diff", "-i", str(inventory), "--against", "lab")
    assert "site.yml" not in said, "nothing to do, nothing to say"
    add_department(inventory)
    city = inventory / "plan" / "city.yml"
    text = city.read_text(encoding="utf-8")
    moved = "{to: core1, mbps: 100}, {to: core2, mbps: 100}]}"
    city.write_text(text.replace(moved, moved.replace("core1", "hub-minqin")), encoding="utf-8")
    _, said, _ = egovctl("plan", "diff", "-i", str(inventory), "--against", "lab")
    words = " ".join(said.split())
    assert "First site.yml --limit 'all:!minqin-finance', then enrol.yml --limit minqin-finance, then" in words
    assert "moved: education up0 from core1 to hub-minqin. First site.yml --limit hub-minqin, then move" in words
    assert "which files change: site.yml --check --diff" in words
    copy = inventory.with_name("larger")
    shutil.copytree(inventory, copy)
    city.write_text(text[: text.index("  - {number: 901,")], encoding="utf-8")
    _, said, _ = egovctl("plan", "diff", "-i", str(inventory), "--against", str(copy))
    assert "hosts that leave: mobile1, minqin-finance. Run retire.yml" in " ".join(said.split())


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@test.example", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_diff_against_a_revision_of_git(egovctl: Any, inventory: Path) -> None:
    git(inventory, "init", "-q")
    git(inventory, "add", ".")
    git(inventory, "commit", "-q", "-m", "first")
    add_department(inventory)
    code, out, _ = egovctl("plan", "diff", "-i", str(inventory), "--against", "HEAD", "--format", "json")
    assert code == 0
    assert [entry["name"] for entry in json.loads(out)["sites"]["added"]] == ["minqin-finance"]
    git(inventory, "commit", "-q", "-a", "-m", "second")
    code, out, _ = egovctl("plan", "diff", "-i", str(inventory), "--against", "HEAD")
    assert code == 0 and out.endswith("no difference\n")
    code, out, err = egovctl("plan", "diff", "-i", str(inventory), "--against", "no-such-thing")
    assert code == 2 and "neither an inventory nor a git revision" in err
    code, out, err = egovctl("plan", "diff", "-i", str(inventory), "--against", "--output=/tmp/x")
    assert code == 2 and out == ""


def test_diff_against_a_revision_with_a_bad_plan(egovctl: Any, inventory: Path) -> None:
    path = inventory / "plan" / "city.yml"
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace("schema: 1", "schema: 9"), encoding="utf-8")
    git(inventory, "init", "-q")
    git(inventory, "add", ".")
    git(inventory, "commit", "-q", "-m", "bad")
    path.write_text(good, encoding="utf-8")
    code, _, err = egovctl("plan", "diff", "-i", str(inventory), "--against", "HEAD")
    assert (code, err) == (2, "error: HEAD:town/plan/city.yml:2: schema of the file is 9: it must be one of 1\n")


def test_addresses_as_json_and_uncut_in_a_pipe(egovctl: Any) -> None:
    _, out, _ = egovctl("plan", "addresses", "-i", "wuwei", "--format", "json")
    data = json.loads(out)
    assert list(data) == ["inventory", "revision", "hosts", "lans", "links"]
    host = next(item for item in data["hosts"] if item["name"] == "minqin-education")
    assert (host["v4"], host["v6"]) == ("10.240.6.233", "2001:db8:221:ffff::1")
    _, table, _ = egovctl("plan", "addresses", "-i", "wuwei")
    assert all(item["v6"] in table for item in (*data["hosts"], *data["lans"], *data["links"]))


def test_no_inventory_there(egovctl: Any, tmp_path: Path) -> None:
    code, out, err = egovctl("plan", "check", "-i", str(tmp_path))
    assert code == 2 and out == "" and "no plan" in err


def test_the_manual_s_department_can_be_added_as_it_says(egovctl: Any, tmp_path: Path) -> None:
    manual = (project_root() / "docs" / "growth.md").read_text(encoding="utf-8")
    block = manual.split("   ```\n", 2)[1]
    shutil.copytree(project_root() / "inventories" / "wuwei" / "plan", tmp_path / "city" / "plan")
    path = tmp_path / "city" / "plan" / "city.yml"
    path.write_text(path.read_text(encoding="utf-8") + textwrap.dedent(block).replace("- {", "  - {"), encoding="utf-8")
    _, out, _ = egovctl("plan", "diff", "-i", str(tmp_path / "city"), "--against", "wuwei", "--format", "json")
    data = json.loads(out)
    assert [len(data[section]["added"]) for section in ("sites", "links", "addresses")] == [1, 1, 3]
    assert [(item["name"], item["field"]) for item in data["services"]["changed"]] == [
        ("network-configuration", "hosts")
    ]
    _, table, _ = egovctl("plan", "diff", "-i", str(tmp_path / "city"), "--against", "wuwei")
    assert "hosts: +minqin-forestry" in table
