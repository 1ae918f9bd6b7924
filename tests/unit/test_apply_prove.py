"""When a host counts as well after a change, and when the run must stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from egovctl.apply.enrolment import write_record
from egovctl.checks import prove
from egovctl.checks.context import Context, open_context
from egovctl.checks.model import Result, Status
from egovctl.errors import JudgedFailure
from egovctl.paths import Inventory
from egovctl.plan.models import Retired

LAB = Inventory(Path(__file__).resolve().parents[2] / "inventories" / "lab")
TEXT = {"zh": "文", "en": "text"}


@pytest.fixture(scope="module")
def context() -> Context:
    return open_context(LAB)


def result(status: Status, check: str = "neighbours-up", **shown: Any) -> Result:
    return Result(check, "hub-minqin", status, TEXT, shown)


@pytest.mark.parametrize(
    ("seen", "well"),
    [
        (result(Status.PASS), True),
        (result(Status.NOT_APPLICABLE), True),
        (result(Status.UNKNOWN), False),
        (result(Status.ERROR), False),
        (result(Status.FAIL, "units-active", stopped=["frr.service"]), False),
        (result(Status.FAIL, missing=["ospf4 minqin-education@d-minqin-ed-221"], extra=[]), True),
        (result(Status.FAIL, missing=["ospf4 core1@up0"], extra=[]), False),
        (result(Status.FAIL, missing=["bgp6 core2"], extra=[]), False),
        (result(Status.FAIL, missing=[], extra=["bgp4 core2"]), False),
    ],
)
def test_only_a_department_that_is_off_is_forgiven(context: Context, seen: Result, well: bool) -> None:
    assert prove._good(context, seen) is well


@pytest.mark.parametrize(("enrolled", "well"), [(False, True), (True, False)])
def test_a_hub_that_was_never_enrolled_is_forgiven(
    context: Context, tmp_path: Path, enrolled: bool, well: bool
) -> None:
    """Else the cores could not learn of a new county: its hub comes in band only through them."""
    inventory = Inventory(tmp_path / "lab")
    if enrolled:
        write_record(inventory, "hub-minqin", {})
    seen = result(Status.FAIL, missing=["ospf4 hub-minqin@d-hub-minqin"], extra=[])
    assert prove._good(replace(context, inventory=inventory), seen) is well


@pytest.mark.parametrize(
    ("extra", "well"),
    [
        (["bgp4 10.240.7.97", "bgp6 2001:db8:236:ffff::1"], True),
        (["bgp4 10.240.7.97", "bgp4 10.240.9.9"], False),
        (["bgp4 core2"], False),
    ],
)
def test_a_session_with_a_retired_site_is_forgiven_and_no_other(context: Context, extra: list[str], well: bool) -> None:
    """Else the run that takes it out of the cores' configuration would wait for what only that run can bring."""
    gone = Retired.model_validate({"number": 236, "name": "minqin-forestry", "on": "2026-03-31"})
    here = replace(context, plan=context.plan.model_copy(update={"retired": (gone,)}))
    assert prove._good(here, result(Status.FAIL, missing=[], extra=extra)) is well


def test_it_waits_for_routing_and_then_says_who_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    answers = [[result(Status.UNKNOWN)], [result(Status.FAIL, missing=["bgp4 core1"], extra=[])], []]

    def unwell(context: Context, hosts: list[str], checks: list[str]) -> list[Result]:
        asked.append([*hosts, *checks])
        return answers[min(len(asked), len(answers)) - 1]

    monkeypatch.setattr(prove, "unwell", unwell)
    monkeypatch.setattr(prove, "PAUSE", 0.01)
    prove.prove(LAB, ["hub-minqin"], 5.0, ["neighbours-up"])
    assert asked == [["hub-minqin", "neighbours-up"]] * 3
    answers[:] = [[result(Status.UNKNOWN)]]
    with pytest.raises(JudgedFailure, match=r"hub-minqin: not well after 0.05 s \(neighbours-up\): text"):
        prove.prove(LAB, ["hub-minqin"], 0.05)
    asked.clear()
    prove.prove(LAB, [], 5.0)
    assert asked == []
