"""Hosts that answer as good ones, for assessments without a network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import facts_cases as cases
import pytest

from egovctl.checks.collect import COLLECTORS
from egovctl.checks.collect import facts as collector
from egovctl.checks.context import Context
from egovctl.errors import CannotMeasure
from egovctl.i18n import set_language
from egovctl.paths import Inventory

LAB = Path(__file__).resolve().parents[2] / "inventories" / "lab"


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """The language that a command was told stays for the process."""
    set_language("en")
    yield
    set_language(None)


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """The lab's plan with a state folder of its own."""
    monkeypatch.setattr(Inventory, "state", property(lambda self: tmp_path / "state"))
    (tmp_path / "state").mkdir()
    return Inventory(LAB)


def fresh(group: str) -> dict[str, Any]:
    """The good host's answers, with its password changed ten days before today."""
    answers = cases.answers_of(group)
    if group == "accounts":
        today = int(time.time() // cases.DAY)
        answers["shadow"]["out"] = answers["shadow"]["out"].replace(str(cases.TODAY - 10), str(today - 10))
    if group == "interfaces":
        # The hosts of the plan have others.
        answers["link"]["out"] = json.dumps([{"ifname": "lo", "operstate": "UNKNOWN"}])
    if group == "packages":
        answers["lists"] = time.time() - cases.DAY
    return answers


Spoil = Callable[[str, str, dict[str, Any]], dict[str, Any]]


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Callable[[Spoil], None]:
    """Hosts that answer as good ones, spoilt by a function of host, group and answers; nothing else is measured."""

    def install(spoil: Spoil) -> None:
        def run(inventory: Any, host: str, program: str, params: Any, **_: Any) -> Any:
            groups = {name: {"at": time.time(), "answers": spoil(host, name, fresh(name))} for name in params["groups"]}
            return {"protocol": 1, "at": time.time(), "cpu": 1.5, "groups": groups}

        def nothing(context: Context, requests: list[Any]) -> list[dict[str, Any]]:
            return [dict.fromkeys(request.subjects, CannotMeasure("not in this test")) for request in requests]

        monkeypatch.setattr(collector.transport, "run_python", run)
        for name in set(COLLECTORS) - {"facts"}:
            monkeypatch.setitem(COLLECTORS, name, nothing)

    return install


def same(host: str, group: str, answers: dict[str, Any]) -> dict[str, Any]:
    """Nothing spoilt."""
    return answers
