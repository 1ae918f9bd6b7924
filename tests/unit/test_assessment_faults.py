"""What goes wrong in an assessment: nothing is lost, and a person reads what is not known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import facts_cases as cases
import pytest
from click.testing import CliRunner
from good_hosts import english as english
from good_hosts import hosts as hosts
from good_hosts import same

from egovctl.assess import run as assessing
from egovctl.assess.verdict import Verdict
from egovctl.checks import open_context
from egovctl.commands.assess import assess
from egovctl.evidence import open_chain
from egovctl.paths import Inventory
from egovctl.transport import HostSilent

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """The lab's plan under another name."""
    root = tmp_path / "inventories" / "town"
    shutil.copytree(PROJECT / "inventories/lab/plan", root / "plan")
    (tmp_path / "ansible.cfg").touch()
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    monkeypatch.setattr("egovctl.commands.assess_standard.require_network", lambda inventory: None)
    monkeypatch.setattr("egovctl.commands.assess.publish_or_say", lambda context, chain: None)
    inventory = Inventory(root)
    inventory.state.mkdir(parents=True, exist_ok=True)
    return inventory


@pytest.mark.parametrize(("language", "said"), [("en", "note: a check was not run: "), ("zh", "注意：检查没有运行：")])
def test_a_broken_check_file_is_named_with_its_line_and_the_others_judge(
    town: Inventory, hosts: Any, language: str, said: str
) -> None:
    hosts(same)
    path = town.root / "content" / "checks" / "mine.yml"
    path.parent.mkdir(parents=True)
    path.write_text("id: mine\ntitle: {zh: 文, en: t}\nexpresion: 'true'\n", encoding="utf-8")
    words = ["run", "commercial-cryptography", "-i", str(town.root), "--lang", language]
    done = CliRunner().invoke(assess, [*words, "--format", "json"])
    line = next(line for line in done.stderr.splitlines() if line.startswith(said))
    assert f"{path}:" in line, done.stderr
    verdicts = {one["item"]: one["verdict"] for one in json.loads(done.stdout)["items"]}
    assert len(verdicts) == 41 and "not_met" in verdicts.values()
    assert done.exit_code == 1, "what is wrong with a file does not make what was judged unknown"


def test_hosts_that_are_slow_lie_in_their_types_or_are_of_the_future_are_unknown(town: Inventory, hosts: Any) -> None:
    """Each in its own way says nothing, none of them is met, and the others are judged."""

    def spoil(host: str, group: str, answers: dict[str, Any]) -> dict[str, Any]:
        if host == "core1":
            raise HostSilent("core1", "no answer within 180 s")
        if host == "core2" and group == "sshd":
            return dict.fromkeys(answers, 7)
        if host == "noc" and group == "sshd":
            return {name: [answer] for name, answer in cases.answers_of(group).items()}
        return answers

    hosts(spoil)
    done = assessing.run_standard(open_context(town), "mlps-level-3", open_chain(town))
    seen = {one.item: one for one in done.judged}
    # Sessions and tries are settings of sshd: three hosts do not tell.
    assert seen["L3-4.1b"].verdict is Verdict.UNKNOWN and seen["L3-4.1b"].reason["en"].startswith("not measured: ")
    silent = {one.subject for one in done.results if one.check == "sshd-tries-limited" and one.status == "unknown"}
    assert silent == {"core1", "core2", "noc"}
    assert "sshd-tries-limited" in dict(done.wanting) or len(done.wanting) == assessing.MISSING_MOST
    assert done.exit_code == 3
