"""What every role promises: its options are described and true, and every knob turns something.

If these fail, a person sets a variable that nothing reads, or reads a default that is not the one in force.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
PLAYBOOKS = PROJECT / "playbooks"
ROLES = sorted(path for path in (PLAYBOOKS / "roles").iterdir() if path.is_dir() and path.name != "__pycache__")
BUNDLES = [role for role in ROLES if (role / "bundle.yml").is_file()]
each_role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
each_bundle = pytest.mark.parametrize("role", BUNDLES, ids=lambda path: path.name)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None


def specs(role: Path) -> dict[str, Any]:
    return (read(role / "meta/argument_specs.yml") or {}).get("argument_specs", {})


def defaults(role: Path) -> dict[str, Any]:
    return read(role / "defaults/main.yml") or {}


def knobs_of_templates(role: Path) -> set[str]:
    """The variables called <role>_* that the role's templates read."""
    parsed = (jinja2.Environment().parse(path.read_text("utf-8")) for path in (role / "templates").glob("*"))
    names = {node.name for tree in parsed for node in tree.find_all(jinja2.nodes.Name)}
    return {name for name in names if name.startswith(f"{role.name}_")}


def tasks(items: Any) -> Iterator[dict[str, Any]]:
    """All tasks of a task list, those in blocks too."""
    for item in items or []:
        yield item
        for part in ("block", "rescue", "always"):
            yield from tasks(item.get(part))


@each_role
def test_every_role_says_what_it_takes(role: Path) -> None:
    entries = {path.stem for path in (role / "tasks").glob("*.yml")}
    if not entries:
        assert (role / "bundle.yml").is_file()
        return
    included = {
        str(task["ansible.builtin.include_tasks"]).removesuffix(".yml")
        for path in (role / "tasks").glob("*.yml")
        for task in tasks(read(path))
        if "ansible.builtin.include_tasks" in task
    }
    assert set(specs(role)) == entries - included, "an entry point has no argument spec, or a spec no entry point"
    for spec in specs(role).values():
        assert spec["short_description"] and spec["description"]
        assert all(option["description"] for option in spec["options"].values())


@each_role
def test_described_defaults_are_those_in_force(role: Path) -> None:
    described = {name: option for spec in specs(role).values() for name, option in spec["options"].items()}
    told = {name: option["default"] for name, option in described.items() if "default" in option}
    assert told == {name: value for name, value in defaults(role).items() if name in told}
    if not (role / "bundle.yml").is_file():
        assert set(defaults(role)) == set(described)


@each_bundle
def test_every_knob_turns_something_and_has_a_default(role: Path) -> None:
    assert knobs_of_templates(role) == set(defaults(role))


@each_role
def test_every_task_has_a_name(role: Path) -> None:
    for path in (role / "tasks").glob("*.yml"):
        assert [task for task in tasks(read(path)) if not task.get("name")] == [], path.name


def test_every_play_runs_under_every_tag() -> None:
    """Tags are names of bundles; a task without `always` would be left out silently."""
    (first, *others) = (
        read(PLAYBOOKS / f"{name}.yml") for name in ("site", "extranet", "backup", "noc", "mail", "sms")
    )
    assert all(play["tags"] == ["always"] for play in first)
    assert all(play["ansible.builtin.import_playbook"] == "site.yml" for plays in others for play in plays)
    known = {role.name for role in BUNDLES}
    assert all(set(play["vars"]["transaction_bundles"]) <= known for plays in others for play in plays)


def test_a_change_meets_one_department_first_and_the_cores_last_and_singly() -> None:
    plays = {play["name"]: play for play in read(PLAYBOOKS / "site.yml")}
    order = [name for name in plays if name.startswith("Apply")]
    assert order == [
        "Apply to one department",
        "Apply to the rest of its county",
        "Apply to everybody else but the cores",
        "Apply to the cores, one at a time",
    ]
    department, county, rest, cores = (plays[name] for name in order)
    for play, guard in ((department, "wave_department"), (county, "wave_county"), (rest, "role_core")):
        (leave,) = [task for task in play["tasks"] if task.get("ansible.builtin.meta") == "end_host"]
        assert guard in leave["when"] and play["tasks"][-1]["name"] == "Apply and prove"
    for play, waves in ((county, {"wave_department"}), (rest, {"wave_department", "wave_county"})):
        first = play["tasks"][0]
        assert set(re.findall(r"wave_\w+", first["egov_wave"]["hosts"])) == waves
        assert first["run_once"] and play["any_errors_fatal"]
    # A play whose every host is unreachable ends the run: who differs is in the batch of each, and leaves it.
    assert {play["hosts"] for play in (department, county, rest)} == {department["hosts"]}
    assert department["hosts"].endswith(":&to_apply")
    assert cores["serial"] == 1 and cores["hosts"].endswith(":&role_core:&to_apply")
    assert "difference(groups['role_core'])" in cores["tasks"][0]["egov_wave"]["hosts"]
    assert "role_core" in cores["tasks"][1]["vars"]["transaction_need"]


def test_every_plugin_documents_its_arguments() -> None:
    """ansible-doc reads the module's text; the action plugin takes exactly those options."""
    names = sorted(path.stem for path in (PLAYBOOKS / "plugins/action").glob("*.py"))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-doc"), "--json", *names],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    documented = json.loads(done.stdout)
    assert sorted(documented) == names
    for name in names:
        source = (PLAYBOOKS / f"plugins/action/{name}.py").read_text(encoding="utf-8")
        arguments = re.search(r"^ARGUMENTS = (\{.*?\})$", source, re.M | re.S)
        taken = set(re.findall(r'"(\w+)": \{', arguments[1])) if arguments else set()
        assert set(documented[name]["doc"].get("options", {})) == taken, name
