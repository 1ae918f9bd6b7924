"""A run with a maximum age: what was observed before is gone by where it is what the evidence says, and asked again
where it is not."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from good_hosts import hosts as hosts
from good_hosts import same
from good_hosts import town as town

from egovctl.assess import cache
from egovctl.assess import run as assessing
from egovctl.assess.objects import objects
from egovctl.checks import content, rulings
from egovctl.checks.answers import Answer, Answers
from egovctl.checks.collect import COLLECTORS
from egovctl.checks.collect import facts as collector
from egovctl.checks.context import Context, open_context
from egovctl.checks.model import JUDGED, Status
from egovctl.checks.rulings import Ruled
from egovctl.errors import CannotMeasure
from egovctl.evidence import open_chain
from egovctl.paths import Inventory

AGE = timedelta(hours=2)


def looks_of(town: Inventory) -> Path:
    return town.state / "looks"


def other_answer(path: Path) -> None:
    data = json.loads(path.read_text())
    data["groups"]["accounts"]["answers"]["shadow"]["out"] += " "
    path.write_text(json.dumps(data))


def tomorrow(path: Path) -> None:
    data = json.loads(path.read_text())
    data["observed_at"] = "2097-01-01T00:00:00.000Z"
    path.write_text(json.dumps(data))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "half of it": lambda path: path.write_bytes(path.read_bytes()[:900]),
    "empty": lambda path: path.write_bytes(b""),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe" + path.read_bytes()),
    "gone": lambda path: path.unlink(),
    "deep": lambda path: path.write_text("[" * 100_000),
    "another type": lambda path: path.write_text('{"host": 1, "groups": 2}'),
    "a list": lambda path: path.write_text("[]"),
    "another answer": other_answer,
    "from the future": tomorrow,
    "another host's": lambda path: path.write_bytes(path.with_name("core1.json").read_bytes()),
}


def test_hosts_that_were_looked_at_are_not_asked_again(town: Inventory, hosts: Any) -> None:
    hosts(same)
    context, chain = open_context(town), open_chain(town)
    first = assessing.run_standard(context, "mlps-level-2", chain)
    assert first.reused == {} and looks_of(town).stat().st_mode & 0o777 == 0o700
    asked: list[str] = []

    def asking(host: str, group: str, answers: dict[str, Any]) -> dict[str, Any]:
        asked.append(host)
        return answers

    hosts(asking)
    count = chain.head().count
    second = assessing.run_standard(context, "mlps-level-2", chain, max_age=AGE)
    managed = {host.name for host in context.city.hosts.values() if "managed" in host.groups}
    assert not asked and set(second.reused) == managed and second.odd == ()
    assert [record.kind for record in list(chain.records())[count:]] == ["assess.planned", "assess.standard"]
    assert list(chain.records())[-1].body["reused"] == second.reused
    assert [one.verdict for one in second.judged] == [one.verdict for one in first.judged]
    facts = {check.id for check in content.checks().entries.values() if check.collect.by == "facts"}
    dated = {one.observed_at for one in second.results if one.check in facts and one.subject in managed}
    assert dated == set(second.reused.values()), "what was kept is of when it was observed"
    looks, now = looks_of(town) / "noc.json", datetime.now(UTC)
    whole = looks.read_bytes()
    for name, damage in DAMAGE.items():
        damage(looks)
        found, odd = cache.kept(town, chain, AGE, now)
        assert odd == ["noc"] and set(found) == managed - {"noc"}, name
        looks.write_bytes(whole)
    assert cache.kept(town, chain, AGE, now + AGE) == ({}, []), "too old"
    assert cache.kept(town, chain, AGE, now - AGE) == ({}, []), "from the future: control's clock was ahead"
    tomorrow(looks)
    third = assessing.run_standard(context, "mlps-level-2", chain, max_age=AGE)
    assert third.odd == ("noc",) and set(asked) == {"noc"} and set(third.reused) == managed - {"noc"}
    assert [one.verdict for one in third.judged] == [one.verdict for one in first.judged]
    assert [record.body["host"] for record in chain.records(cache.LOOKED)][len(managed) :] == ["noc"]


def test_what_another_program_saw_is_not_gone_by(town: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, now = open_chain(town), datetime.now(UTC)
    look = collector.Look("noc", now.isoformat(), hashlib.sha256(b"older").hexdigest(), 1.0, {})
    chain.append(cache.LOOKED, {"run": "x", **look.evidence()})
    cache.keep(town, look)
    assert cache.kept(town, chain, AGE, now) == ({}, [])
    monkeypatch.setattr(cache, "program", lambda: "older")
    assert cache.kept(town, chain, AGE, now) == ({"noc": look}, [])
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    cache.keep(town, look)
    assert [path.name for path in looks_of(town).iterdir()] == ["noc.json"]


@pytest.fixture
def answering(hosts: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Good hosts, and collectors that answer of everything with nothing amiss; what they are asked is noted."""
    hosts(same)
    asked: list[tuple[str, str, str]] = []

    def answers(by: str) -> Callable[[Context, list[Any]], list[dict[str, Any]]]:
        def collect(context: Context, requests: list[Any]) -> list[dict[str, Any]]:
            asked.extend((by, request.check, subject) for request in requests for subject in request.subjects)
            return [{subject: _of(by, request, subject) for subject in request.subjects} for request in requests]

        return collect

    for by in ("drift", "prometheus", "reachability"):
        monkeypatch.setitem(COLLECTORS, by, answers(by))
    return asked


def _of(by: str, request: Any, subject: str) -> Any:
    if by == "drift":
        return (
            CannotMeasure("busy") if subject == "noc" else {"planned": {"files": 3, "items": 4}, "seen": {"items": []}}
        )
    return {"planned": {}, "seen": {key: {"by": {}, "keys": []} for key in request.collect.queries}}


def test_what_others_answered_is_not_asked_again(town: Inventory, answering: list[tuple[str, str, str]]) -> None:
    context = open_context(town)
    chain = open_chain(town, context.city.plan_revision)
    first = assessing.run_standard(context, "mlps-level-3", chain)
    ways = {by for by, _, _ in answering}
    assert {"drift", "prometheus"} <= ways and first.recalled == {}
    folder = cache.answers_of(town)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in folder.iterdir()} == {f"{by}.json" for by in ways}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}

    silent = [one for one in answering if one[0] == "drift" and one[2] == "noc"]
    answering.clear()
    second = assessing.run_standard(context, "mlps-level-3", chain, max_age=AGE)
    assert answering == silent, "only what could not be measured is asked again"
    assert set(second.recalled) == ways and second.odd == ()
    records = list(chain.records())
    assert records[-1].body["recalled"] == second.recalled
    assert [one.verdict for one in second.judged] == [one.verdict for one in first.judged]
    shelf = content.checks().entries
    old = {(one.check, one.subject): one for one in first.results if one.check in shelf and one.facts_sha256}
    for one in second.results:
        if one.check in shelf and shelf[one.check].collect.by in ways and one.facts_sha256:
            before = old[one.check, one.subject]
            assert (one.status, one.facts_sha256) == (before.status, before.facts_sha256)
            assert first.started_at <= one.observed_at < second.started_at, "it is of when it was observed"
            assert second.recalled[shelf[one.check].collect.by] <= one.observed_at


def test_answers_that_are_not_what_is_on_record_are_asked_for_again(
    town: Inventory, answering: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = open_context(town)
    chain = open_chain(town, context.city.plan_revision)
    assessing.run_standard(context, "mlps-level-3", chain)
    path, now = cache.answers_of(town) / "drift.json", datetime.now(UTC)
    whole = path.read_bytes()
    rest = {by for by, _, _ in answering} - {"drift"}
    spoilt = {
        "half": whole[:900],
        "empty": b"",
        "no UTF-8": b"\xff" + whole,
        "deep": b"[" * 100_000,
        "all is well": whole.replace(b'"items": []', b'"items": [ ]', 1),
    }
    for name, data in spoilt.items():
        path.write_bytes(data)
        found, odd = cache.kept_answers(town, chain, AGE, now)
        assert odd == ["drift"] and set(found) == rest, name
    path.unlink()
    assert cache.kept_answers(town, chain, AGE, now)[1] == ["drift"]
    answering.clear()
    again = assessing.run_standard(context, "mlps-level-3", chain, max_age=AGE)
    assert again.odd == ("drift",) and {by for by, _, _ in answering} == {"drift"}
    assert cache.kept_answers(town, chain, AGE, datetime.now(UTC))[1] == [], "it is kept anew"

    later = cache.kept_answers(town, chain, AGE, now + AGE + AGE)[0]
    assert not any(later.values()), "too old"
    assert not any(cache.kept_answers(town, chain, AGE, now - AGE)[0].values()), "from the future"
    assert cache.kept_answers(town, open_chain(town, "another"), AGE, now) == ({}, []), "of another plan"
    monkeypatch.setattr(cache, "suite", lambda: "another")
    assert cache.kept_answers(town, chain, AGE, now) == ({}, []), "of another suite"


def test_a_file_that_says_other_than_its_hash_on_record_never_counts(town: Inventory) -> None:
    chain = open_chain(town, "plan")
    seen = Answers(seen={"drift": {("x", "noc"): Answer(datetime.now(UTC).isoformat(), {"seen": {}})}})
    cache.keep_answers(town, chain, "run", seen)
    body = list(chain.records())[-1].body
    path = cache.answers_of(town) / "drift.json"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == body["sha256"] and body["asked"] == 1
    # Well-formed by its hash, and yet no list of answers: as none.
    for strange in (
        [1],
        {"a": 1},
        [["x", "noc", "2026"]],
        "text",
        [["x", {}, 1, {}]],
        [["x", "noc", "2026-01-01", {}]],
    ):
        data = json.dumps(strange).encode()
        path.write_bytes(data)
        chain.append(cache.ANSWERED, {**body, "sha256": hashlib.sha256(data).hexdigest()})
        assert cache.kept_answers(town, chain, AGE, datetime.now(UTC)) == ({}, ["drift"]), strange


def test_what_one_service_was_asked_serves_the_whole_city(
    town: Inventory, answering: list[tuple[str, str, str]]
) -> None:
    context = open_context(town)
    chain = open_chain(town, context.city.plan_revision)
    one = objects(context)[0][0]
    assessing.run_objects(context, [one], chain)
    few = {(check, subject) for by, check, subject in answering if by == "drift" and subject != "noc"}
    answering.clear()
    assessing.run_standard(context, "mlps-level-3", chain, max_age=AGE)
    more = {(check, subject) for by, check, subject in answering if by == "drift" and subject != "noc"}
    assert few and more and not few & more
    answering.clear()
    assessing.run_objects(context, [one], chain)
    assert answering, "without a maximum age everything is asked"
    answering.clear()
    assessing.run_standard(context, "mlps-level-3", chain, max_age=AGE)
    assert {subject for by, _, subject in answering} == {"noc"}, "and what was kept of others is kept"


def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The checks whose expressions are evaluated from now on."""
    evaluated: list[str] = []
    judge = rulings.judge
    monkeypatch.setattr(rulings, "judge", lambda one, facts: evaluated.append(one.id) or judge(one, facts))
    return evaluated


def test_what_was_judged_of_the_same_facts_is_not_judged_again(
    town: Inventory, answering: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = evaluations(monkeypatch)
    context = open_context(town)
    chain = open_chain(town, context.city.plan_revision)
    first = assessing.run_standard(context, "mlps-level-3", chain)
    shelf = content.checks().entries
    of_registers = {check.id for check in shelf.values() if check.collect.by == "registers"}
    assert {one.check for one in first.results if one.status in JUDGED} - of_registers <= set(evaluated)
    assert cache.rulings_of(town).stat().st_mode & 0o777 == 0o600

    evaluated.clear()
    second = assessing.run_standard(context, "mlps-level-3", chain, max_age=AGE)
    wrong = {one.check for one in first.results if one.status is Status.ERROR}  # what is played here does not fit them
    assert set(evaluated) <= of_registers | wrong, "registers are read anew, and what they say may be new"
    told = {(one.check, one.subject): (one.status, one.detail, one.shown) for one in first.results}
    for one in second.results:
        if one.check not in of_registers:
            assert told[one.check, one.subject] == (one.status, one.detail, one.shown)

    evaluated.clear()
    assessing.run_standard(context, "mlps-level-3", chain)
    assert len(set(evaluated)) > len(of_registers), "without a maximum age everything is judged"

    evaluated.clear()
    monkeypatch.setattr(cache, "suite", lambda: "another")
    assert cache.kept_rulings(town, chain) == ({}, []), "what another suite said does not count"


def test_a_check_that_is_written_anew_is_judged_anew(
    town: Inventory, answering: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = evaluations(monkeypatch)
    context = open_context(town)
    chain = open_chain(town, context.city.plan_revision)
    whole = content.checks()
    own = whole.entries["accounts-one-root"].model_copy(update={"id": "own", "expression": "true"})
    shelf = replace(whole, entries={**whole.entries, "own": own})
    monkeypatch.setattr(content, "checks", lambda inventory: shelf)
    first = assessing.run_standard(context, "mlps-level-3", chain)
    assert {one.status for one in first.results if one.check == "own"} == {Status.PASS}
    shelf = replace(whole, entries={**whole.entries, "own": own.model_copy(update={"expression": "false"})})
    evaluated.clear()
    second = assessing.run_standard(context, "mlps-level-3", chain, max_age=AGE)
    assert {one.status for one in second.results if one.check == "own"} == {Status.FAIL}
    assert "own" in evaluated and "accounts-one-root" not in evaluated


def test_rulings_that_are_not_what_is_on_record_are_made_again(
    town: Inventory, answering: list[tuple[str, str, str]]
) -> None:
    context = open_context(town)
    chain = open_chain(town, context.city.plan_revision)
    first = assessing.run_standard(context, "mlps-level-3", chain)
    path = cache.rulings_of(town)
    whole = path.read_bytes()
    assert cache.kept_rulings(town, chain)[0]
    spoilt = {
        "half": whole[:900],
        "empty": b"",
        "no UTF-8": b"\xff" + whole,
        "deep": b"[" * 100_000,
        "all passes": whole.replace(b'"fail"', b'"pass"'),
    }
    for name, data in spoilt.items():
        path.write_bytes(data)
        assert cache.kept_rulings(town, chain) == ({}, ["rulings"]), name
    path.unlink()
    again = assessing.run_standard(context, "mlps-level-3", chain, max_age=AGE)
    assert again.odd == ("rulings",)
    assert [one.verdict for one in again.judged] == [one.verdict for one in first.judged]
    assert cache.kept_rulings(town, chain)[1] == [], "they are kept anew"
    body = list(chain.records(cache.RULED))[-1].body
    # Well-formed by its hash, and yet no rulings: as none.
    for strange in ([1], {"a": 1}, {"a": {"status": "good", "shown": {}, "detail": {"zh": "", "en": ""}}}, "text"):
        data = json.dumps(strange).encode()
        path.write_bytes(data)
        chain.append(cache.RULED, {**body, "sha256": hashlib.sha256(data).hexdigest()})
        assert cache.kept_rulings(town, chain) == ({}, ["rulings"]), strange


def test_rulings_of_what_is_gone_do_not_pile_up(town: Inventory) -> None:
    chain = open_chain(town, "plan")
    for run in range(20):
        known, _ = cache.kept_rulings(town, chain)
        ruled = Ruled(known, {f"{run} {number}": bool(number % 2) for number in range(10)})
        cache.keep_rulings(town, chain, str(run), ruled)
        known, _ = cache.kept_rulings(town, chain)
        assert known.items() >= ruled.used.items() and len(known) <= 20
    count = chain.head().count
    cache.keep_rulings(town, chain, "again", Ruled(known, dict(list(known.items())[:5])))
    assert chain.head().count == count, "nothing new is nothing to keep"


def test_without_room_nothing_is_kept(town: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    cache._write(cache.answers_of(town) / "drift.json", b"[]")
    assert list(cache.answers_of(town).iterdir()) == []
