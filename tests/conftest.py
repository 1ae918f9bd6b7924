"""Test time is a shared budget: every run adds up its minutes by room, and tests/run prints them beside the budget."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOMS = {
    "lab and plan": r"test_(lab|plan|bad_plans|zz_growth)",
    "extranet": r"test_(apply|city|render|roles)",
    "exporter": r"test_(snmp|exporter|bench_(agents|snmp)|traps)",
    "backup": r"test_(drill|backup|databases|history|offsite|restore|rehearsals|suite_state|prometheus_snapshot)",
    "NOC": r"test_(alert|plain_alerts|signals|topology|boards|pages|serve|doctor|notify|contacts|mail|noc|report)",
    "assess": r"test_(checks|evidence|transport|assess|facts|standards)",
}
# What CI may lack: data of others that no clone holds, and IPv6. Any other skip there is a test that was not run.
MAY_BE_SKIPPED = ("no recordings of real devices", "no walks of snmpsim-data", "this machine has no IPv6")
_seconds: dict[str, float] = defaultdict(float)
_not_run: list[str] = []


def _room(report: pytest.TestReport) -> str:
    path = Path(report.nodeid.split("::")[0])
    if report.when == "setup" and path.parent.name == "lab":
        return "lab and plan"  # the one boot of the session, whoever asks for it first
    return next((room for room, pattern in ROOMS.items() if re.match(pattern, path.name)), "the rest")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `long` takes minutes and proves what seldom changes: make test-long alone runs it."""
    left_out = [] if os.environ.get("EGOV_LONG") else [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _language_of_the_environment() -> Iterator[None]:
    """A language that a test or a command chose is not the next test's."""
    yield
    if module := sys.modules.get("egovctl.i18n"):
        module.set_language(None)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[_room(report)] += report.duration
    if report.skipped and os.environ.get("EGOV_CI") == "1" and not hasattr(report, "wasxfail"):
        why = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if not why.removeprefix("Skipped: ").startswith(MAY_BE_SKIPPED):
            _not_run.append(f"{report.nodeid}: {why}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _not_run:
        terminalreporter.write_line(f"NOT RUN, which is a failure in CI: {line}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Add this run's seconds to the file that tests/run reads; workers of a parallel run have nothing to say."""
    if _not_run and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    target = os.environ.get("EGOV_TEST_SECONDS")
    if target and not hasattr(session.config, "workerinput"):
        with Path(target).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(_seconds) + "\n")
