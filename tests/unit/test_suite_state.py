"""What control seals of itself, in a real repository: it comes back, and what a rebuilding lacks is named.

A failure here means that a NOC that burnt down is rebuilt without its evidence, or not at all.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from egovctl.apply.enrolment import ensure_control
from egovctl.assess.kept_results import folder_of, keep, read
from egovctl.assess.statements import attachments_dir, read_statement, state
from egovctl.backups import own_state, witness
from egovctl.checks.context import Context, open_context
from egovctl.commands.evidence import evidence
from egovctl.drill import restore_state
from egovctl.drill.borg import Repository
from egovctl.drill.causes import Cause
from egovctl.drill.model import Item, Outcome, Verdict, Work
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Record, keys, open_chain
from egovctl.evidence import chain as chain_module
from egovctl.evidence.record import now
from egovctl.paths import Inventory
from egovctl.render.engine import secret_names
from egovctl.secrets import Secrets

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(shutil.which("borg") is None, reason="borgbackup is not installed")


class Control:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, project = folder, folder / "project"
        project.mkdir()
        for name in ("cli", "playbooks"):
            (project / name).symlink_to(REPOSITORY / name)
        (project / "ansible.cfg").touch()
        shutil.copytree(REPOSITORY / "inventories" / "lab" / "plan", project / "inventories" / "lab" / "plan")
        monkeypatch.setenv("EGOV_PROJECT", str(project))
        self.context = open_context(Inventory(project / "inventories" / "lab"))
        self.inventory = self.context.inventory
        ensure_control(self.inventory)
        Secrets(self.inventory).ensure_random([*secret_names(self.inventory), own_state.PASSPHRASE])
        open_chain(self.inventory, "0").append("assess.result", {"results": []})
        (self.inventory.state / "control" / "cm-socket").touch()
        monkeypatch.setattr(own_state, "way_to", self.way)

    def way(self, context: Context, host: str, way: str) -> Repository:
        assert host == "control"
        passphrase = Secrets(self.inventory).get(own_state.PASSPHRASE)
        return Repository(str(self.folder / "repository"), passphrase, self.folder / "base")

    def seal(self) -> dict[str, object]:
        return own_state.seal(self.context, open_chain(self.inventory, "0")).body

    def state(self) -> Record:
        """A statement with an attachment."""
        proof = self.folder / "policy.pdf"
        proof.write_bytes(b"no. 12, signed")
        chain = open_chain(self.inventory, "0")
        return state(self.inventory, chain, "L3-6.1a", "met", "issued as no. 12", "Li Ming", [proof], 30)

    def assess(self, run: str = "run1") -> Record:
        """A self-assessment on record, with its file of results."""
        sha256 = keep(self.inventory, run, "mlps-level-3", {"run": run, "results": [], "judged": []})
        body = {"run": run, "standard": "mlps-level-3", "results_sha256": sha256}
        return open_chain(self.inventory, "0").append("assess.standard", body)

    def drill(self) -> Item:
        work = Work(self.context, self.folder / "scratch", lambda text: None)
        work.folder.mkdir(exist_ok=True)
        item = restore_state.restore_state(self.way(self.context, "control", "borg"), self.context, work)
        assert list(work.folder.iterdir()) == []
        return item


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Control:
    return Control(tmp_path, monkeypatch)


def test_what_was_sealed_comes_back_and_nothing_of_it_lies_about(control: Control) -> None:
    body = control.seal()
    assert not (control.inventory.state / "seal").exists()
    item = control.drill()
    assert (item.outcome, item.verdict) == (Outcome.COMPLETED, Verdict.MET), item.reasons
    assert item.files_compared == body["files"] and item.details["archive"] == body["archive"]
    listed = borg(control, "list", "--short", f"{control.folder / 'repository'}::{body['archive']}")
    for wanted in ("control/id_ed25519", "secrets/snmp_auth", "evidence/control.jsonl", "inventory/plan/city.yml"):
        assert f"/seal/files/{wanted}" in listed
    assert "scratch" not in listed
    key = (control.folder / "repository" / "config").read_text()
    assert "key =" in key, "its key lies in it, under the passphrase"


def borg(control: Control, *arguments: str) -> str:
    ways = {"BORG_PASSPHRASE": Secrets(control.inventory).get(own_state.PASSPHRASE)}
    ways["BORG_BASE_DIR"] = str(control.folder / "other-base")
    done = subprocess.run(["borg", *arguments], env={**os.environ, **ways}, capture_output=True, text=True, check=True)
    return done.stdout


def cut_evidence(control: Control) -> None:
    chain = open_chain(control.inventory, "0")
    chain.append("assess.result", {"results": [1]})
    lines = chain.path.read_text().splitlines(keepends=True)
    chain.path.write_text("".join(lines[1:]))


def other_key(control: Control) -> None:
    path = control.inventory.deploy_key
    path.unlink()
    path.with_name("id_ed25519.pub").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


FAULTS: dict[str, tuple[Callable[[Control], object], Cause, str]] = {
    "evidence cut": (cut_evidence, Cause.CONTENT_CHANGED, "chain control.jsonl is not whole"),
    "another deploy key": (other_key, Cause.KEY_LOST, "key id_ed25519 is missing or not the one"),
    "a secret gone": (
        lambda control: (control.inventory.secrets / "snmp_auth").unlink(),
        Cause.FILES_MISSING,
        "1 secrets are missing: snmp_auth",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_rebuilding_would_lack_is_named(control: Control, fault: str) -> None:
    plant, cause, words = FAULTS[fault]
    plant(control)
    # The chain that is cut is not written to any more; sealing is the same all the same.
    with own_state.staged(control.inventory) as still:
        repository = control.way(control.context, "control", "state")
        borg(control, "init", "-e", "repokey", str(control.folder / "repository"))
        name = "suite-state-2026-01-01T00:00:00"
        borg(control, "create", f"{repository.location}::{name}", str(still.files), str(still.proof))
    item = control.drill()
    assert (item.verdict, item.causes) == (Verdict.NOT_MET, (cause,)), item.reasons
    assert words in item.reasons[0]["en"] and item.reasons[0]["zh"]


def put_back(control: Control, archive: object) -> None:
    """Step 3 of docs/loss-of-noc.md, after all that control had is gone."""
    shutil.move(control.inventory.secrets / own_state.PASSPHRASE, control.folder / "envelope")
    passphrase = (control.folder / "envelope").read_text().strip()
    shutil.rmtree(control.inventory.state)
    into = control.folder / "opened"
    into.mkdir()
    repository = Repository(str(control.folder / "repository"), passphrase, control.folder / "another-base")
    subprocess.run(
        ["borg", "extract", f"{repository.location}::{archive}"],
        env={**os.environ, "BORG_PASSPHRASE": passphrase, "BORG_BASE_DIR": str(repository.base)},
        cwd=into,
        check=True,
    )
    (files,) = into.rglob("seal/files")
    for source in files.iterdir():
        if source.name != "inventory":
            shutil.copytree(source, control.inventory.state / source.name)


def test_what_the_evidence_names_is_there_after_a_loss_and_caches_are_not(control: Control) -> None:
    stated, assessed = control.state(), control.assess()
    for cache in ("looks", "answers"):
        (control.inventory.state / cache).mkdir()
        (control.inventory.state / cache / "core1.json").write_text("{}")
    (control.inventory.state / "rulings.json").write_text("{}")
    body = control.seal()
    item = control.drill()
    assert item.verdict is Verdict.MET, item.reasons
    put_back(control, body["archive"])
    assert {path.name for path in control.inventory.state.iterdir()} == set(own_state.KEPT)
    assert read_statement(control.inventory, stated).lost == ""
    assert read(control.inventory, assessed)[0] == {"run": "run1", "results": [], "judged": []}


def test_a_state_that_was_sealed_without_them_comes_back_and_what_it_lacks_is_said_while_control_has_it(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = control.state()
    control.assess()
    with monkeypatch.context() as before:
        before.setattr(own_state, "KEPT", ("control", "secrets", "evidence"))
        body = control.seal()
    item = control.drill()
    assert (item.verdict, item.causes) == (Verdict.NOT_MET, (Cause.FILES_MISSING,))
    said = "2 files that the evidence names are not sealed: L3-6.1a policy.pdf "
    assert said in item.reasons[0]["en"] and "mlps-level-3 run1; run egovctl evidence seal" in item.reasons[0]["en"]
    put_back(control, body["archive"])
    assert read_statement(control.inventory, stated).lost == "policy.pdf"
    control.assess("run2")
    control.seal()
    item = control.drill()
    assert item.verdict is Verdict.MET, ("what nobody has any more is no fault of the archive", item.reasons)


ALTERED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an attachment": (lambda state: next((state / "attachments").iterdir()), "L3-6.1a policy.pdf "),
    "results": (lambda state: state / "assessments" / "run1.json.gz", "mlps-level-3 run1"),
}


@pytest.mark.parametrize("which", ALTERED)
def test_what_was_altered_before_it_was_sealed_is_named(control: Control, which: str) -> None:
    """The manifest is of the altered file, too: the evidence alone knows better."""
    find, named = ALTERED[which]
    control.state()
    control.assess()
    path = find(control.inventory.state)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with own_state.staged(control.inventory) as still:
        (found,) = restore_state.faults(still.files, control.inventory)
    assert found.cause is Cause.CONTENT_CHANGED and named in found.text["zh"]
    assert f"1 files are not what the evidence says: {named}" in found.text["en"]


def test_an_attachment_that_is_altered_in_the_archive_is_named(control: Control) -> None:
    control.state()
    (kept,) = attachments_dir(control.inventory).iterdir()
    with own_state.staged(control.inventory) as still:
        (still.files / "attachments" / kept.name).write_bytes(b"no. 13, signed")
        borg(control, "init", "-e", "repokey", str(control.folder / "repository"))
        archive = f"{control.folder / 'repository'}::suite-state-2026-01-01T00:00:00"
        borg(control, "create", archive, str(still.files), str(still.proof))
    item = control.drill()
    assert (item.verdict, item.causes) == (Verdict.NOT_MET, (Cause.CONTENT_CHANGED,))
    assert f"attachments/{kept.name} (content)" in item.reasons[0]["en"]


def test_a_state_that_cannot_be_copied_is_not_sealed_and_nothing_of_it_stays(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path, **_: object) -> None:
        raise shutil.Error([(str(source), str(target), f"[Errno {errno.ENOSPC}] No space left on device")])

    with monkeypatch.context() as disk:
        disk.setattr(shutil, "copytree", full)
        with pytest.raises(CannotMeasure, match=r"seal for sealing: \[Errno 28\] No space left on device; nothing was"):
            control.seal()
    assert not (control.inventory.state / "seal").exists() and not (control.folder / "repository").exists()
    control.seal()


def test_what_is_sealed_tells_its_heads_and_lets_old_evidence_go(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a person does it: what would go, then --yes, then a verification against all that was ever sealed."""
    chain = open_chain(control.inventory, "0")
    chain.path.unlink()
    monkeypatch.setattr(chain_module, "now", lambda: "2020-01-01T00:00:00.000Z")
    control.state()
    control.assess("old")
    chain.append("test", {})
    old = [*attachments_dir(control.inventory).iterdir(), *folder_of(control.inventory).iterdir()]
    for path in old:
        os.utime(path, (1577836800, 1577836800))
    monkeypatch.setattr(chain_module, "now", now)
    heads = []
    for _ in range(2):
        keys.checkpoint(chain, keys.signer(control.inventory))
        heads.append(chain.head())
        control.seal()
    path = control.folder / "repository"
    sealed = witness.known(control.inventory, f"repository:{path}", "control")
    assert [anchor.head for anchor in sealed] == heads and chain.verify(heads=heads).checked == 2
    monkeypatch.setattr("egovctl.drill.ways.way_to", control.way)
    monkeypatch.setattr("egovctl.checks.require_network", lambda inventory: None)

    def call(*words: str) -> str:
        done = CliRunner().invoke(evidence, [*words, "-i", str(control.inventory.root), "--lang", "en"])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    would = call("prune")
    assert "3 records before 3 may go, sealed in suite-state-" in would and len(list(chain.records())) == 7
    assert "2 attachments and results that no record names then go with them" in would
    assert all(path.exists() for path in old)
    went = call("prune", "--yes")
    assert (
        "3 records went, the chain begins at 3, head 8:" in went
        and "2 attachments and results that no record names any more went, too" in went
    )
    assert not any(path.exists() for path in old)
    said = call("verify", "--anchor", f"repository:{path}")
    assert "those before record 3 were let go" in said and "heads from elsewhere that agree: 2" in said
    assert "no record may go" in call("prune", "--yes")
    item = control.drill()
    assert item.verdict is Verdict.MET, item.reasons
    control.seal()
    assert control.drill().verdict is Verdict.MET, "a chain that begins later is whole, too"


def test_without_an_escrow_passphrase_nothing_is_sealed_and_it_says_what_to_do(control: Control) -> None:
    (control.inventory.secrets / own_state.PASSPHRASE).unlink()
    with pytest.raises(CannotMeasure, match="the escrow passphrase is missing: write it to"):
        control.seal()
    assert not (control.folder / "repository").exists()


def test_another_service_is_not_its_business(control: Control) -> None:
    method = restore_state.RestoreState()
    assert method.targets(control.context, ()) == method.targets(control.context, ("suite-state",))
    with pytest.raises(UsageError, match="restores suite-state alone"):
        method.targets(control.context, ("documents",))
    assert json.dumps(method.steps(control.context, restore_state.TARGET))
