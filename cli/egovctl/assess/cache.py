"""What was seen in runs before, kept for a run with a maximum age: what hosts said, what other collectors answered, and
what checks said of it.

No word of it counts by itself: the evidence has a hash of every answer, and what a file says must be that. A file that
is damaged, changed, of another program, plan or suite, or from the future is as none: it is asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import egovctl
from egovctl.checks.answers import Answer, Answers, Key
from egovctl.checks.collect.facts import Look, program
from egovctl.checks.model import Status
from egovctl.checks.rulings import Decision, Ruled, Ruling
from egovctl.evidence import Chain
from egovctl.paths import Inventory

LOOKED = "assess.facts"
ANSWERED = "assess.answers"
RULED = "assess.rulings"
RULINGS = "rulings"
# What a file of this suite's own may be wrong in, once somebody had it in hand.
DAMAGED = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


def folder_of(inventory: Inventory) -> Path:
    """Where the files of hosts are: private, since they say how hosts are set up."""
    return inventory.state / "looks"


def answers_of(inventory: Inventory) -> Path:
    """Where the files of other collectors are: a flow that is open and should not be is nobody else's business."""
    return inventory.state / "answers"


def keep(inventory: Inventory, look: Look) -> None:
    """Keep a look that is on record. Without room there is none to go by: the next run asks."""
    _write(folder_of(inventory) / f"{look.host}.json", json.dumps(vars(look), ensure_ascii=False).encode())


def kept(inventory: Inventory, chain: Chain, max_age: timedelta, now: datetime) -> tuple[dict[str, Look], list[str]]:
    """host → its last look, of those not older than `max_age`; and whose file is not what the evidence says."""
    found, odd = {}, []
    for host, body in sorted(_last(chain, LOOKED, "host").items()):
        if not _within(str(body["observed_at"]), max_age, now):
            continue
        if body["program_sha256"] != hashlib.sha256(program().encode()).hexdigest():
            continue
        look = _read(folder_of(inventory) / f"{host}.json", {name: body[name] for name in body if name != "run"})
        if look is None:
            odd.append(host)
        else:
            found[host] = look
    return found, odd


def keep_answers(inventory: Inventory, chain: Chain, run: str, answers: Answers) -> None:
    """Put on record what collectors answered in this run, and keep it, with what is still kept of other subjects."""
    if not answers.seen:
        return
    before, _ = _verified(inventory, chain)
    for by, seen in sorted(answers.seen.items()):
        known = {**before.get(by, {}), **seen}
        entries = [[*key, answer.at, answer.facts] for key, answer in sorted(known.items())]
        data = json.dumps(entries, ensure_ascii=False).encode()
        body = {
            "run": run,
            "by": by,
            "suite_sha256": suite(),
            "asked": len(seen),
            "oldest": min(answer.at for answer in known.values()),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        chain.append(ANSWERED, body)
        _write(answers_of(inventory) / f"{by}.json", data)


def kept_answers(
    inventory: Inventory, chain: Chain, max_age: timedelta, now: datetime
) -> tuple[dict[str, dict[Key, Answer]], list[str]]:
    """By collector, what it answered not longer than `max_age` ago; and whose file is not what the evidence says."""
    found, odd = _verified(inventory, chain)
    young = {
        by: {key: answer for key, answer in known.items() if _within(answer.at, max_age, now)}
        for by, known in found.items()
    }
    return young, odd


def rulings_of(inventory: Inventory) -> Path:
    """The file of what checks said, each decision under a hash of all that it depends on."""
    return inventory.state / "rulings.json"


def keep_rulings(inventory: Inventory, chain: Chain, run: str, ruled: Ruled) -> None:
    """Put on record, by a hash, what checks said in this run where some of it is new. Of what was kept before and not
    gone by now, at most as much is kept as this run went by: else checks and hosts that are gone would pile up."""
    if ruled.used.keys() <= ruled.kept.keys():
        return
    others = ((key, made) for key, made in ruled.kept.items() if key not in ruled.used)
    known = {**ruled.used, **dict(islice(others, len(ruled.used)))}
    entries = {key: made if isinstance(made, bool) else vars(made) for key, made in known.items()}
    data = json.dumps(entries, ensure_ascii=False).encode()
    body = {"run": run, "judge_sha256": judge(), "rulings": len(known), "sha256": hashlib.sha256(data).hexdigest()}
    chain.append(RULED, body)
    _write(rulings_of(inventory), data)


def kept_rulings(inventory: Inventory, chain: Chain) -> tuple[dict[str, Decision], list[str]]:
    """Decisions of runs before, by this suite's judge; none, and a word for what is odd, where they are not what is on
    record. They have no age: the same check says the same of the same facts."""
    last = [record.body for record in chain.records(RULED)][-1:]
    if not last or last[0]["judge_sha256"] != judge():
        return {}, []
    try:
        data = rulings_of(inventory).read_bytes()
        if hashlib.sha256(data).hexdigest() != last[0]["sha256"]:
            raise ValueError
        return {key: _decision(made) for key, made in json.loads(data).items()}, []
    except DAMAGED:
        return {}, [RULINGS]


def _decision(made: Any) -> Decision:
    if isinstance(made, bool):
        return made
    return Ruling(
        Status(made["status"]), dict(made["shown"]), {name: str(made["detail"][name]) for name in ("zh", "en")}
    )


def judge() -> str:
    """A hash of this suite's programs and of the library whose language expressions are in."""
    return hashlib.sha256(f"{suite()} {metadata.version('cel-python')}".encode()).hexdigest()


@lru_cache(maxsize=1)
def suite() -> str:
    """A hash of this suite's programs: what another one asked or read is not gone by."""
    whole = hashlib.sha256()
    root = Path(egovctl.__file__).parent
    for path in sorted(root.rglob("*.py")):
        whole.update(f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def _verified(inventory: Inventory, chain: Chain) -> tuple[dict[str, dict[Key, Answer]], list[str]]:
    """What is kept of this plan by this suite, where it is what is on record; and where it is not."""
    found, odd = {}, []
    for by, body in sorted(_last(chain, ANSWERED, "by", plan=chain.plan_revision).items()):
        if body["suite_sha256"] != suite():
            continue
        try:
            data = (answers_of(inventory) / f"{by}.json").read_bytes()
            if hashlib.sha256(data).hexdigest() != body["sha256"]:
                raise ValueError
            found[by] = dict(_entries(json.loads(data)))
        except DAMAGED:
            odd.append(by)
    return found, odd


def _entries(entries: list[Any]) -> Iterator[tuple[Key, Answer]]:
    for asked, subject, at, facts in entries:
        if not isinstance(facts, dict) or datetime.fromisoformat(at).tzinfo is None:
            raise ValueError
        yield (str(asked), str(subject)), Answer(at, facts)


def _last(chain: Chain, kind: str, name: str, plan: str | None = None) -> Mapping[str, dict[str, Any]]:
    """The last record of a kind by what its body calls `name`; of one plan, those of another count as none."""
    last: dict[str, Any] = {}
    for record in chain.records(kind):
        last[record.body[name]] = record
    return {key: record.body for key, record in last.items() if plan is None or record.plan_revision == plan}


def _within(at: str, max_age: timedelta, now: datetime) -> bool:
    return timedelta(0) <= now - datetime.fromisoformat(at) <= max_age


def _write(target: Path, data: bytes) -> None:
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(data)
        beside.replace(target)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _read(path: Path, body: dict[str, Any]) -> Look | None:
    try:
        look = Look(**json.loads(path.read_text(encoding="utf-8")))
        return look if look.evidence() == body else None
    except DAMAGED:
        return None
