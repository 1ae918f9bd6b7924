"""Any manifest, on any host, however it was spoiled: applied means equal to the manifest, and gone means as before."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from apply_helpers import FakeHost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATHS = ["/etc/a", "/etc/b", "/etc/c.service.conf", "/etc/sub/d", "/etc/sub/deep/e", "/srv/data/f", "/usr/lib/g"]
UNITS = ["c.service", "d.service", "e.timer"]
SYSCTLS = ["net.a", "net.b.c"]
TEXTS = st.sampled_from(["", "one\n", "two\nlines\n", "käse 武威\n", "no newline", "@secret:x@\n"])
MODES = st.sampled_from(["0644", "0600", "0755"])
ACTIONS = st.lists(st.sampled_from(["daemon-reload", "reload:c.service", "restart:d.service", "run:true"]), max_size=2)

files = st.dictionaries(st.sampled_from(PATHS), st.tuples(TEXTS, MODES, ACTIONS, st.just("")), max_size=5)
wanted = st.fixed_dictionaries(
    {
        "files": files,
        "folders": st.dictionaries(st.sampled_from(["/srv", "/srv/data", "/var/empty"]), MODES, max_size=2),
        "units": st.dictionaries(st.sampled_from(UNITS), st.tuples(st.booleans(), st.booleans()), max_size=3),
        "sysctls": st.dictionaries(st.sampled_from(SYSCTLS), st.sampled_from(["0", "1", "4 5"]), max_size=2),
    }
)
spoils = st.lists(
    st.tuples(
        st.sampled_from(["text", "mode", "remove", "link", "unit", "sysctl", "fresh"]),
        st.integers(0, 6),
    ),
    max_size=5,
)
SECRETS = {"@secret:x@": "the value of x"}


def make(top: Path, present: dict[str, Any]) -> FakeHost:
    host = FakeHost.make(top)
    for unit in UNITS:
        host.unit(unit)
    for name in SYSCTLS:
        host.sysctl(name, "0")
    for path, (text, mode, _, _) in present.items():
        host.put(path, text, int(mode, 8))
    return host


def spoil(host: FakeHost, kind: str, number: int) -> None:
    place = host.root / PATHS[number][1:]
    if kind == "unit":
        host.unit(UNITS[number % 3], ["disabled", "masked", "enabled"][number % 3], ["inactive", "failed"][number % 2])
    elif kind == "sysctl":
        host.sysctl(SYSCTLS[number % 2], str(number))
    elif kind == "fresh" and not place.exists():
        host.put(PATHS[number], "somebody else's\n")
    elif place.is_file() and not place.is_symlink():
        if kind == "text":
            place.write_text(place.read_text() + "spoiled")
        elif kind == "mode":
            place.chmod(0o666)
        else:
            place.unlink()
            if kind == "link":
                place.symlink_to("/nowhere")


def assert_equals(host: FakeHost, manifest: dict[str, Any]) -> None:
    tree = host.tree()
    for path, (text, mode, _, _) in manifest["files"].items():
        for name, value in SECRETS.items():
            text = text.replace(name, value)
        assert tree[path] == ("file", text, int(mode, 8))
    for path, mode in manifest["folders"].items():
        assert tree[path] == ("folder", "", int(mode, 8))
    for name, (enabled, active) in manifest["units"].items():
        state = host.unit_state(name)
        assert (state[0] == "enabled", state[1] == "active") == (enabled, active)
    for name, value in manifest["sysctls"].items():
        assert host.sysctl(name) == value


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(present=files, first=wanted, damage=spoils, second=wanted)
def test_applied_is_equal_and_dropped_is_as_before(
    present: dict[str, Any], first: dict[str, Any], damage: list[tuple[str, int]], second: dict[str, Any]
) -> None:
    top = Path(tempfile.mkdtemp())
    try:
        host = make(top / "h", present)
        original = host.tree()
        for manifest in (first, second):
            told = host.apply(manifest, adopt=True, check=True, secrets=SECRETS)
            done = host.apply(manifest, adopt=True, secrets=SECRETS)
            assert told == done and not done.get("failed"), done
            assert_equals(host, manifest)
            again = host.apply(manifest, secrets=SECRETS)
            assert not again["changed"], again
            if manifest is first:
                for kind, number in damage:
                    if kind in ("unit", "sysctl", "fresh") or PATHS[number] in first["files"]:
                        spoil(host, kind, number)
        assert not host.apply({}).get("failed")
        if not any(kind == "fresh" for kind, _ in damage):
            after = {path: entry for path, entry in host.tree().items() if not path.startswith("/proc")}
            before = {path: entry for path, entry in original.items() if not path.startswith("/proc")}
            assert {p: e for p, e in after.items() if e[0] != "folder"} == {
                p: e for p, e in before.items() if e[0] != "folder"
            }
    finally:
        shutil.rmtree(top)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(present=files, first=wanted, second=wanted)
def test_a_failure_at_the_end_leaves_the_host_as_it_was(
    present: dict[str, Any], first: dict[str, Any], second: dict[str, Any]
) -> None:
    top = Path(tempfile.mkdtemp())
    try:
        host = make(top / "h", present)
        assert not host.apply(first, adopt=True, secrets=SECRETS).get("failed")
        tree, units = host.tree(), {n: t for n, t in host.units().items() if not n.endswith("loaded")}
        broken = {**second, "sysctls": {**second["sysctls"], "net.none.such": "1"}}
        result = host.apply(broken, adopt=True, secrets=SECRETS)
        assert result["failed"] and result["rolled_back"], result
        assert host.tree() == tree
        assert {n: t for n, t in host.units().items() if not n.endswith("loaded")} == units
        assert not host.apply(first, secrets=SECRETS)["changed"]
    finally:
        shutil.rmtree(top)
