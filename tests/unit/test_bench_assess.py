"""The bench of the self-assessment: its seeds are many and can be taken away, and noticing is judged strictly.

If a case here passes wrongly, a published recall counts what nobody noticed, or a lab is left worse than it was.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "bench" / "assess"))

import lynis  # noqa: E402
import noticing  # noqa: E402
import seed_figures  # noqa: E402
import seeds  # noqa: E402

from egovctl.checks.model import Result, Status  # noqa: E402
from egovctl.paths import Inventory  # noqa: E402
from egovctl.plan.load import load  # noqa: E402

LAB = TESTS.parent / "inventories" / "lab"


def test_seeds_are_many_of_others_rules_mostly_and_on_hosts_of_the_lab() -> None:
    found = seeds.read()
    of_others = [seed for seed in found if seed.source != "own"]
    assert len(found) >= 80 and 2 * len(of_others) >= len(found)
    _, city = load(Inventory(LAB))
    assert {seed.host for seed in found} <= {name for name, host in city.hosts.items() if "managed" in host.groups}
    assert {seed.area for seed in found} <= set(lynis.AREAS)


def test_what_is_run_on_the_hosts_are_shell_programs() -> None:
    programs = [program for seed in seeds.read() for program in (seed.planting, seed.removal)]
    text = "\n".join(f"(\n{program}\n)" for program in programs)
    done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_seed_is_taken_away_whatever_it_did(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds, "KEEP", str(tmp_path_factory.mktemp("keep") / "keep"))
    there, absent, folder = tmp_path / "there", tmp_path / "absent", tmp_path / "folder"
    there.write_text("as it was\n")
    there.chmod(0o640)
    folder.mkdir()
    (folder / "a").write_text("a")
    plant = f"chmod 0777 {there}; echo worse >{there}; echo new >{absent}; rm {folder}/a; echo b >{folder}/b"
    seed = seeds.Seed("x", "x", "own", "files", "h", plant, files=(str(there), str(absent), str(folder)))
    for _ in range(2):
        subprocess.run(["sh"], input=seed.planting, text=True, check=True)
        assert there.read_text() == "worse\n" and absent.exists() and (folder / "b").exists()
        subprocess.run(["sh"], input=seed.removal, text=True, check=True)
        assert there.read_text() == "as it was\n" and there.stat().st_mode & 0o7777 == 0o640
        assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "there"]
        assert [path.name for path in folder.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"source": "cis:1.2"}, "its source"),
        ({"source": "lynis:ssh"}, "its source"),
        ({"files": [], "undo": ""}, "nothing says how it is taken away"),
    ],
)
def test_a_seed_that_is_told_wrongly_is_refused(tmp_path: Path, entry: dict[str, Any], says: str) -> None:
    good = {"id": "a", "what": "b", "source": "own", "area": "sshd", "host": "h", "plant": "true", "files": ["/x"]}
    path = tmp_path / "seeds.yml"
    path.write_text(f"seeds: [{good | entry}]")
    with pytest.raises(ValueError, match=says):
        seeds.read(path)
    path.write_text(f"seeds: [{good}, {good}]")
    with pytest.raises(ValueError, match="a is there twice"):
        seeds.read(path)


def said(status: Status, **shown: Any) -> Result:
    return Result("c", "h", status, {"zh": "坏", "en": "bad"}, shown)


def test_noticed_is_what_fails_now_and_did_not_or_names_one_thing_more() -> None:
    def new(before: Result, after: Result) -> dict[str, list[str]]:
        return noticing.noticed({"c": before}, {"c": after})

    failed = said(Status.FAIL, names=["a"])
    assert new(said(Status.PASS), failed) == {"c": ["bad"]}
    assert new(said(Status.UNKNOWN), failed) == {"c": ["bad"]}
    assert new(failed, said(Status.FAIL, names=["a", "b"])) == {"c": ["b"]}
    assert new(failed, failed) == {} and new(failed, said(Status.FAIL, names=[])) == {}
    assert new(said(Status.FAIL, count=1), said(Status.FAIL, count=2)) == {}, "a figure names nothing"
    for status in (Status.PASS, Status.UNKNOWN, Status.ERROR, Status.NOT_APPLICABLE, Status.MANUAL):
        assert new(said(Status.PASS), said(status, names=["b"])) == {}, "what no longer measures noticed nothing"
    assert noticing.noticed({}, {"c": failed}) == {}


statuses = st.sampled_from(list(Status))
results = st.builds(
    lambda status, names: said(status, names=names), statuses, st.lists(st.text(max_size=2), max_size=3)
)


@given(results, results)
def test_two_looks_differ_whenever_one_noticed_something(one: Result, other: Result) -> None:
    assert noticing.differing({"c": one}, {"c": one}) == []
    assert noticing.differing({"c": one}, {}) == ["c"]
    if noticing.noticed({"c": one}, {"c": other}):
        assert noticing.differing({"c": one}, {"c": other}) == ["c"]


def test_of_lynis_report_only_findings_count() -> None:
    report = "lynis_version=3.0.8\nwarning[]=A|x|-|-|\nsuggestion[]=B|y|z|-|\ndetails[]=C|s\nvulnerable=0\n"
    assert lynis.told(report) == {"warning[]=A|x|-|-|", "suggestion[]=B|y|z|-|", "details[]=C|s"}


def seed(name: str, source: str, checks: dict[str, list[str]], told: list[str] | None) -> dict[str, Any]:
    return {"id": name, "what": "w", "source": source, "host": "h", "checks": checks, "lynis": told, "fault": ""}


def test_goals_count_misses_by_name_and_false_alarms_by_pair() -> None:
    some = [seed(f"s{n}", "ssg:x_y", {"drift": ["x"]}, ["suggestion[]=SSH-7408|a|b"]) for n in range(98)]
    results = {
        "seeds": [*some, seed("lost", "own", {}, None), seed("won", "own", {"drift": [], "b": []}, [])],
        "false_alarms": {"h": ["b"]},
        "pairs": 100,
        "costs": [
            {"look_wall": 2.0, "look_cpu_host": 1.0, "look_cpu_here": 0.5, "lynis_wall": 30.0, "lynis_cpu": 20.0}
        ],
        "checks": 90,
        "lynis": ["ssg", "own"],
    }
    recall, false = seed_figures.goals(results)
    assert recall.met and "99 of 100, missed: lost" in str(recall) and false.met and "1 of 100" in str(false)
    assert len(seed_figures.by_drift_alone(results)) == 98
    assert seed_figures.by_lynis(results) == (98, 99)
    assert "| our own | 2 | 1 (50.0%) | 0 of 1 |" in seed_figures.table(results)
    assert "**nothing** | not asked" in seed_figures.each(results) and "ssg:x\\_y" in seed_figures.each(results)
    worse = results | {"seeds": results["seeds"][2:], "pairs": 99}
    recall, false = seed_figures.goals(worse)
    assert not false.met and recall.met is (97 >= 0.98 * 98)
