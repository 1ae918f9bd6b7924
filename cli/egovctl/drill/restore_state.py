"""The method restore-state: control is gone; what it sealed opens with the escrow passphrase, and a NOC can be rebuilt.

Restored and compared like any files; then asked what a rebuilding needs of it: the evidence chains are whole, the files
that they name by hash came back with that hash, the keys are those that the hosts know, and no secret is missing that
the rendered city refers to.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from egovctl.assess.named import named_by
from egovctl.assess.run import ASSESSED
from egovctl.assess.statements import STATED
from egovctl.checks.context import Context
from egovctl.drill.borg import Repository
from egovctl.drill.call import Deadline
from egovctl.drill.causes import Cause
from egovctl.drill.judging import Finding, Promise, failed, finding
from egovctl.drill.model import Item, Target, Verdict, Work
from egovctl.drill.phases import Timer
from egovctl.drill.restore_files import latest, restore_files
from egovctl.drill.ways import CONTROL, STATE_SERVICE, way_to
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import Chain
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.render.engine import secret_names
from egovctl.render.enrolled import read_enrolled

TARGET = Target(STATE_SERVICE, CONTROL)
PROMISE = Promise(rto=3600, rpo=7200)  # it is sealed every hour
ENOUGH_SECONDS = 300.0
# Control's private keys → how its record names their public halves.
KEYS = {
    "id_ed25519": "deploy_ed25519",
    "borg_restore_ed25519": "borg_restore_ed25519",
    "borg_retention_ed25519": "borg_retention_ed25519",
    "borg_ed25519": "borg_ed25519",
    "evidence_ed25519": "evidence_ed25519",
}


@dataclass(frozen=True)
class Restored(Inventory):
    """A city whose private folder is `files`: the one that came back."""

    files: Path

    @property
    def state(self) -> Path:
        return self.files


class RestoreState:
    """Restores control's own state from the backup node; never touches the state in force."""

    def targets(self, context: Context, services: tuple[str, ...]) -> list[Target]:
        """The one there is; UsageError for another service."""
        for name in services:
            if name != STATE_SERVICE:
                raise UsageError(
                    tr(
                        f"本演练只恢复 {STATE_SERVICE}，不恢复 {name}",
                        f"this drill restores {STATE_SERVICE} alone, not {name}",
                    )
                )
        return [TARGET]

    def steps(self, context: Context, target: Target) -> list[dict[str, str]]:
        """What would be done."""
        return [
            {
                "zh": "用托管口令打开最近一次封存的状态",
                "en": "open the state that was sealed last with the escrow passphrase",
            },
            {"zh": "恢复到临时目录，逐个文件核对", "en": "restore it into the scratch, compare every file"},
            {
                "zh": "查验证据链及其记载的附件和自查结果、控制机密钥，以及重建所需的每个密钥是否都在",
                "en": "verify the evidence, the attachments and results that it names, control's keys, and that no "
                "secret is missing that a rebuilding needs",
            },
            {"zh": "删除临时目录", "en": "remove the scratch"},
        ]

    def rehearse(self, work: Work, target: Target) -> Item:
        """Restore and judge it."""
        try:
            repository = way_to(work.context, CONTROL, "borg")
        except CannotMeasure as error:
            return failed(target, PROMISE, Timer(), error)
        return restore_state(repository, work.context, work)


def restore_state(repository: Repository, context: Context, work: Work) -> Item:
    """The files, then what a rebuilding needs of them."""
    sealed = context.inventory.state / "seal"
    paths = (str(sealed / "files"),)
    item = restore_files(repository, TARGET, paths, PROMISE, work.folder, work.progress, str(sealed / "proof"))
    if item.verdict is not Verdict.MET:
        return item
    again = work.folder / "state"
    again.mkdir(mode=0o700)
    try:
        deadline = Deadline.after(ENOUGH_SECONDS)
        archive = latest(repository, TARGET, deadline)
        repository.extract(archive, [paths[0].lstrip("/")], again, deadline).result()
        found = list(faults(again / paths[0].lstrip("/"), context.inventory))
    except CannotMeasure as error:
        return failed(TARGET, PROMISE, Timer(dict(item.phases)), error)
    finally:
        shutil.rmtree(again, ignore_errors=True)
    if not found:
        return item
    reasons, causes = tuple(one.text for one in found), tuple(dict.fromkeys(one.cause for one in found))
    return replace(item, verdict=Verdict.NOT_MET, reasons=reasons, causes=causes)


def faults(state: Path, inventory: Inventory) -> Iterator[Finding]:
    """What is wrong with a restored state, for this city."""
    chains = sorted((state / "evidence").glob("*.jsonl"))
    if not chains:
        yield finding(Cause.FILES_MISSING, "其中没有证据链", "there is no evidence in it")
    for path in chains:
        if not (verdict := Chain(path).verify()).ok:
            zh, en = f"证据链 {path.name} 不完整：{verdict.reason}", f"chain {path.name} is not whole: {verdict.reason}"
            yield finding(Cause.CONTENT_CHANGED, zh, en)
        else:
            yield from _not_as_recorded(Chain(path), Restored(inventory.root, state), inventory)
    record = read_enrolled(inventory).get(CONTROL, {})
    for name, known_as in KEYS.items():
        if known_as in record and _public(state / "control" / name) != record[known_as]:
            zh, en = (
                f"控制机密钥 {name} 缺失或不是主机所知的那一个",
                f"key {name} is missing or not the one that hosts know",
            )
            yield finding(Cause.KEY_LOST, zh, en)
    there = {path.name for path in (state / "secrets").glob("*")}
    if lost := [name for name in secret_names(inventory) if name not in there]:
        shown = _some(lost)
        yield finding(
            Cause.FILES_MISSING, f"缺少 {len(lost)} 个密钥：{shown}", f"{len(lost)} secrets are missing: {shown}"
        )


def _not_as_recorded(chain: Chain, restored: Restored, inventory: Inventory) -> Iterator[Finding]:
    """Files that a chain names and that came back altered, or not at all though control still has them.

    What control itself has no more was lost before it was sealed, as after a rebuilding from a state sealed without
    them: no newer archive can bring it back, and assessments and reports name it.
    """
    missing, altered = [], []
    for record in chain.records(STATED, ASSESSED):
        for came, kept in zip(named_by(restored, record), named_by(inventory, record), strict=True):
            found = came.digest()
            if found and found != came.sha256:
                altered.append(came.what)
            elif not found and kept.digest() == kept.sha256:
                missing.append(came.what)
    if altered:
        zh = f"证据记载的 {len(altered)} 个文件与记录的哈希不符：{_some(altered)}"
        en = f"{len(altered)} files are not what the evidence says: {_some(altered)}"
        yield finding(Cause.CONTENT_CHANGED, zh, en)
    if missing:
        zh = f"证据记载的 {len(missing)} 个文件没有封存：{_some(missing)}；请运行 egovctl evidence seal"
        en = f"{len(missing)} files that the evidence names are not sealed: {_some(missing)}; run egovctl evidence seal"
        yield finding(Cause.FILES_MISSING, zh, en)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _public(private: Path) -> str:
    """The public half of a private key, type and key; "" when it is none."""
    done = subprocess.run(
        ["ssh-keygen", "-y", "-P", "", "-f", str(private)], capture_output=True, text=True, timeout=20, check=False
    )
    return " ".join(done.stdout.split()[:2]) if done.returncode == 0 else ""
