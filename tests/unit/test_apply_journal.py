"""The journal of applies: a run, its hosts and its end are in the chain, with who and what, and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from egovctl.apply import journal
from egovctl.evidence import open_chain
from egovctl.paths import Inventory


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    monkeypatch.delenv(journal.RUN, raising=False)
    return Inventory(tmp_path / "inventories" / "town")


def test_a_run_is_on_record_from_its_beginning_to_its_end(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "li")
    run = journal.new_run()
    journal.planned(inventory, "abc", {"playbooks": ["site.yml"], "limit": "core1", "bundles": []})
    journal.host(
        inventory, "abc", "core1", {"changed": True, "files": ["/etc/x"], "units": [], "diff": ["s3cret"]}, False
    )
    journal.host(inventory, "abc", "core2", {"msg": "core2: refused", "rolled_back": True}, True)
    counters = {"ok": 3, "failures": 0, "unreachable": 0, "changed": 1}
    totals = {
        "core1": counters,
        "core2": {**counters, "failures": 1},
        "noc": {**counters, "changed": 0, "unreachable": 1},
    }
    journal.finished(inventory, "abc", totals)
    chain = open_chain(inventory)
    records = list(chain.records())
    assert chain.verify().ok and {record.plan_revision for record in records} == {"abc"}
    assert [record.kind for record in records] == ["apply.planned", "apply.host", "apply.host", "apply.result"]
    planned, first, second, result = (record.body for record in records)
    assert {record.body["run"] for record in records} == {run}
    assert planned["who"]["sudo_by"] == "li" and planned["who"]["account"] and planned["limit"] == "core1"
    assert first == {"run": run, "host": "core1", "failed": False, "files": ["/etc/x"]}
    assert second == {"run": run, "host": "core2", "failed": True, "rolled_back": True, "reason": "core2: refused"}
    assert result == {"run": run, "hosts": 3, "changed": 2, "failed": ["core2"], "unreachable": ["noc"]}
