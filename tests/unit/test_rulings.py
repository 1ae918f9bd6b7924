"""Judging many subjects at once gives what judging each by itself gives."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from egovctl.checks import rulings as module
from egovctl.checks.judge import BadExpression, judge, truth, words
from egovctl.checks.model import Check, Status
from egovctl.checks.rulings import Ruled, Rulings

NAMES = st.text("ab_Z", min_size=1, max_size=3) | st.text(max_size=2)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
FACTS = st.fixed_dictionaries({"planned": VALUES, "seen": st.dictionaries(NAMES, VALUES, max_size=4)})


def check(expression: str, **more: Any) -> Check:
    text = {"zh": "文 {n}", "en": "text {n}"}
    data = {
        "id": "one", "title": text, "why": text, "subject": "host", "collect": {"by": "facts"}, "show": {"n": "seen.n"},
        "expression": expression, "detail": text, "detail_pass": text, "fix": text,
    }  # fmt: skip
    return Check.model_validate(data | more)


@given(FACTS, st.lists(FACTS, max_size=3))
def test_the_digest_is_that_of_canonical_json_whatever_was_written_before(
    facts: dict[str, Any], before: list[dict[str, Any]]
) -> None:
    rulings = Rulings()
    for one in (*before, facts, facts):
        assert rulings.digest(one) == hashlib.sha256(rfc8785.dumps(one)).hexdigest()


CHECKS = (
    check("seen.n > 0"),
    check("seen.n >= planned.n", id="two"),
    check("seen.n > 0 || subject.name == 'a'", id="three", partial="planned.n == 0"),
    check("seen.n > 1", id="four", show={"n": "subject.name"}),
    check("true", id="five", tells="planned.n > 0", measured="seen.n > 0"),
    check("seen.deep.x == 1", id="six"),
    check("'y' in seen.deep && seen . deep . y", id="seven"),
    check("seen.deep.all(k, k != 'y' || seen.deep[k])", id="eight", show={"n": "seen['n']"}),
    check("planned.n in [1, 2].filter(i, i > seen.deep.x)", id="nine", show={"n": "size(seen)"}),
)


@settings(deadline=None)  # an expression is compiled when it is first met
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from(["a", "b"])), max_size=8))
def test_each_subject_is_judged_as_by_itself(told: list[tuple[int, int, str]]) -> None:
    rulings = Rulings()
    for seen, planned, name in told:
        for one in CHECKS:
            deep: dict[str, Any] = {"x": planned, "other": name, **({"y": seen == 1} if seen else {})}
            facts = {"subject": {"name": name}, "planned": {"n": planned}, "seen": {"n": seen, "deep": deep}}
            status, shown = judge(one, facts)
            made = rulings.of(one, facts)
            assert (made.status, made.shown, made.detail) == (status, shown, words(one, status, shown))


def test_what_is_told_alike_is_judged_once_and_a_wrong_check_never(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    monkeypatch.setattr(module, "judge", lambda one, facts: judged.append(one.id) or judge(one, facts))
    rulings = Rulings()
    for name in ("a", "b", "c"):
        facts = {"subject": {"name": name}, "planned": {"of": name}, "seen": {"n": 1, "list": [1, {"x": "y"}]}}
        assert rulings.of(check("seen.n == 1"), facts).status is Status.PASS
        assert rulings.of(check("planned.of == 'b'", id="two"), facts).status is (
            Status.PASS if name == "b" else Status.FAIL
        )
    assert judged == ["one", "two", "two", "two"]
    for _ in range(2):
        with pytest.raises(BadExpression, match="nothing"):
            rulings.of(check("seen.nothing == 1", id="three"), facts)
    with pytest.raises(BadExpression, match="'name' in map"):
        rulings.of(check("has(seen.n)", id="five"), facts)
    with pytest.raises(BadExpression, match="neither true nor false"):
        rulings.of(check("seen.n", id="four"), facts)


def test_an_empty_value_is_not_one_that_is_missing() -> None:
    rulings = Rulings()
    one = check("'x' in seen.s && seen.s.x == {}", show={"n": "size(seen.s)"})
    for seen, status in (({"s": {"x": {}}}, Status.PASS), ({"s": {}}, Status.FAIL)):
        assert rulings.of(one, {"subject": {}, "planned": {}, "seen": seen}).status is status
    strict = check("seen.t.x.size() == 0", id="two", show={"n": "1"})
    assert rulings.of(strict, {"subject": {}, "planned": {}, "seen": {"t": {"x": {}}}}).status is Status.PASS
    with pytest.raises(BadExpression):
        rulings.of(strict, {"subject": {}, "planned": {}, "seen": {"t": {}}})


def test_what_was_decided_before_is_gone_by_and_what_is_wrong_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    monkeypatch.setattr(module, "judge", lambda one, facts: judged.append(one.id) or judge(one, facts))
    monkeypatch.setattr(module, "truth", lambda text, facts: judged.append(text) or truth(text, facts))
    facts = {"subject": {"name": "a"}, "planned": {}, "seen": {"n": 1}}
    one, where = check("seen.n == 1"), "subject.name == 'a'"
    before = Ruled()
    made = Rulings(before).of(one, facts)
    assert Rulings(before).truth(where, facts) and judged == ["one", where] and len(before.used) == 2

    judged.clear()
    after = Ruled(before.used)
    rulings = Rulings(after)
    assert rulings.of(one, facts) == made and rulings.truth(where, facts) is True
    assert judged == [] and after.used == before.used
    for other, told in (
        (check("seen.n == 1 "), facts),  # written otherwise
        (check("seen.n == 1", detail={"zh": "另", "en": "other"}), facts),
        (check("seen.n == 1", id="two"), facts),
        (one, {**facts, "seen": {"n": 2}}),
        (one, {**facts, "seen": {"n": True}}),
    ):
        judged.clear()
        with suppress(BadExpression):
            Rulings(Ruled(before.used)).of(other, told)
        assert judged == [other.id], (other, told)
    # What was kept under a key by another kind of decision is as none.
    swapped = Ruled(dict(zip(before.used, reversed(before.used.values()), strict=True)))
    assert Rulings(swapped).of(one, facts) == made and Rulings(swapped).truth(where, facts) is True

    wrong = Ruled()
    for expression in ("seen.nothing == 1", "seen.n"):
        with pytest.raises(BadExpression):
            Rulings(wrong).of(check(expression), facts)
        with pytest.raises(BadExpression):
            Rulings(wrong).truth(expression, facts)
    assert wrong.used == {}
