"""The key that signs control's evidence: where it is, what it signs, and how another one takes its place.

One key a control, for all chains that it writes: `.egov/CITY/control/evidence_ed25519`, made there, mode 0600. Its
public half is in `enrolled/control.yml`, in git: a chain that somebody else signed does not end with that key.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from egovctl.apply.enrolment import CONTROL, EVIDENCE_KEY, ensure_evidence_key, read_record, record_evidence_key
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence.chain import Chain, command
from egovctl.evidence.noted import file_of, holds, note, noted
from egovctl.evidence.record import BadRecord, Record, parse
from egovctl.evidence.signing import CHECKPOINT, KEY, SIGNED, Body, Signer, fingerprint, rotated, signed
from egovctl.evidence.verify import Head, Verdict, read_lines
from egovctl.i18n import tr
from egovctl.paths import Inventory


def key_file(inventory: Inventory) -> Path:
    """Where the private key is."""
    return inventory.deploy_key.with_name(EVIDENCE_KEY)


def enrolled_key(inventory: Inventory) -> str:
    """The public key as committed; "" when there is none."""
    return read_record(inventory, CONTROL).get(EVIDENCE_KEY, "")


def chains(inventory: Inventory, plan_revision: str = "") -> list[Chain]:
    """All chains of an inventory, one a writer."""
    return [Chain(path, plan_revision=plan_revision) for path in sorted(inventory.evidence.glob("*.jsonl"))]


def in_force(chain: Chain) -> str:
    """The public key with which the chain was last signed, or to which it was changed; "" when it never was."""
    for line in reversed(read_lines(chain.path)[0]):
        if not any(kind.encode() in line for kind in SIGNED):
            continue
        try:
            record = parse(line)
        except BadRecord:
            continue
        if record.kind in SIGNED:
            return str(record.body.get("to" if record.kind == KEY else "key", ""))
    return ""


def signer(inventory: Inventory) -> Signer:
    """Control's key; CannotMeasure when there is none yet, what is there is none, or another takes its place."""
    if _fresh(inventory).exists():
        run = f"egovctl evidence rotate-key -i {inventory.name}"
        raise CannotMeasure(
            tr(f"更换密钥时中断：请再次运行 {run}", f"a change of keys was interrupted: run {run} again")
        )
    return _own(inventory)


def _fresh(inventory: Inventory) -> Path:
    return key_file(inventory).with_name(f"{EVIDENCE_KEY}.new")


def _own(inventory: Inventory) -> Signer:
    path = key_file(inventory)
    if not path.exists():
        run = f"egovctl evidence key -i {inventory.name}"
        raise CannotMeasure(
            tr(f"还没有给证据签名的密钥：请运行 {run}", f"there is no key to sign evidence with yet: run {run}")
        )
    return Signer.read(path)


def checkpoint(chain: Chain, by: Signer) -> Record:
    """Sign for all that is in the chain; CannotMeasure when it was signed with another key so far."""
    return sign(chain, by, CHECKPOINT, {})


def sign(chain: Chain, by: Signer, kind: str, body: dict[str, Any]) -> Record:
    """Append a signed record of a kind, and note it. CannotMeasure when it is not the chain that was signed last."""
    record = chain.append(kind, _only_with(chain, by, signed(by, body)))
    if by.path:
        note(by.path, chain.writer, Head(record.seq + 1, record.hash))
    return record


def verified(inventory: Inventory, chain: Chain, heads: Iterable[Head] = ()) -> Verdict:
    """Whether a chain is whole, signed with the enrolled key, and still the one that was signed last."""
    return chain.verify(heads=heads, noted=noted(key_file(inventory), chain.writer), key=enrolled_key(inventory))


def _only_with(chain: Chain, by: Signer, make: Body) -> Body:
    def made(place: Record) -> dict[str, Any]:  # the chain is locked now: nobody changes the key meanwhile
        _refuse_other(chain, by)
        _refuse_another(chain, by)
        return make(place)

    return made


def _refuse_other(chain: Chain, by: Signer) -> None:
    before = in_force(chain)
    if before not in ("", by.public):
        raise CannotMeasure(
            tr(
                f"{chain.path} 由密钥 {fingerprint(before)} 签名，而控制机现有 {fingerprint(by.public)}：没有写入；"
                "请恢复原密钥；若确已丢失，移走现有密钥后运行 "
                f"{command(chain.path, 'rotate-key --lost')}",
                f"{chain.path} is signed with {fingerprint(before)}, and control has {fingerprint(by.public)}: nothing "
                "was written; bring the former key back, or, when it is lost, move this one away and run "
                f"{command(chain.path, 'rotate-key --lost')}",
            )
        )


def _refuse_another(chain: Chain, by: Signer) -> None:
    """A chain that was written anew must not get the signature that makes it good."""
    if by.path is None:
        return
    before, file = noted(by.path, chain.writer), file_of(by.path, chain.writer)
    if before is not None and not holds(chain.path, before):
        raise CannotMeasure(
            tr(
                f"{chain.path} 不是上次签名的那条链（当时链头 {before}，记于 {file}）：没有签名；"
                f"请运行 {command(chain.path, 'verify')}；若确要以它继续，移走该文件",
                f"{chain.path} is not the chain that was signed last (its head was {before}, noted in {file}): it was "
                f"not signed; run {command(chain.path, 'verify')}, or, to go on with this chain, move that file away",
            )
        )


def rotate(inventory: Inventory, *, lost: bool = False) -> str:
    """A new key takes the old one's place in every chain and in control's record; its public half.

    With `lost` the old one is not there to sign for it. What a crash interrupted goes on from there.
    """
    path = key_file(inventory)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if lost and path.exists():
            raise UsageError(tr(f"{path} 还在：请不带 --lost 运行", f"{path} is there: run this without --lost"))
        old, fresh = None if lost else _own(inventory), _fresh(inventory)
        public = ensure_evidence_key(inventory, fresh)
        new = Signer.read(fresh)
        for chain in chains(inventory):
            before = in_force(chain)
            if before in ("", public):
                continue
            if old is not None:
                _refuse_other(chain, old)
                _refuse_another(chain, old)
            chain.append(KEY, rotated(old, new, before))
        fresh.replace(path)
        fresh.with_name(f"{fresh.name}.pub").replace(path.with_name(f"{path.name}.pub"))
        record_evidence_key(inventory, public)
    return public
