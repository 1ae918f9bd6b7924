"""The boards on the lab's own Prometheus: each query of each panel gets data from real routers, exporters and rules.

If this fails, a panel shows nothing in a city that is as it should be: a signal reads what nobody emits there, or an
exporter, a rule or a label has changed under it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from conftest import REPOSITORY, CityLab

from egovctl.boards import read_boards
from egovctl.boards.doctor import values_of
from egovctl.boards.queries import expression
from egovctl.paths import Inventory
from egovctl.plan import load
from egovctl.prometheus import prometheus_url, query
from egovctl.signals import read_catalogue

pytestmark = pytest.mark.lab
SECONDS = 120  # the rates of a lab that has just been applied need a few scrapes
# Pages of what this lab need not have had yet: an assessment, and a website (test_websites_lab looks at that one).
ELSEWHERE = ("checks", "websites")


# What says nothing in a lab that is as it should be, or before somebody has done something there.
QUIET = {
    "alert:firing:max": "nothing is wrong",
    "host:temperature:max": "containers have no sensors",
    "host:drift:max": "of an assessment",
    "link:asymmetry:ratio": "idle links say nothing",
    "link:handshake_age:min": "a line is no tunnel",
    **dict.fromkeys(("drill:rto:max", "drill:promised_rto:max", "drill:rpo:max", "drill:age:max"), "of a drill"),
    **dict.fromkeys(("assess:worse:max", "city:assess_worse:sum"), "of a second self-assessment"),
    "assess:accepted_left:min": "of risks that somebody accepted",
    **dict.fromkeys(("sms:parts:increase1h", "sms:undelivered:ratio1h", "sms:quota_used:ratio"), "of messages sent"),
}


def without_data(url: str, inventory: Inventory) -> Iterator[str]:
    """Each query of each panel that gives nothing, though it should."""
    values = values_of(*load(inventory))
    for board in read_boards(REPOSITORY / "dashboards", read_catalogue(REPOSITORY / "dashboards")).values():
        if board.name in ELSEWHERE:
            continue
        for panel in board.panels:
            for shown in panel.show:
                text = expression(panel, shown, values.get(board.of or ""))
                if not panel.changed and not query(url, text) and shown.signal not in QUIET:
                    yield f"{board.name}/{panel.name}: {text}"


def test_every_query_of_every_panel_has_data_in_the_lab(city_lab: CityLab) -> None:
    url = prometheus_url(city_lab.inventory, load(city_lab.inventory)[1])
    if not query(url, "egov_assess_rate"):  # the tests before this one may not have been run
        city_lab.egovctl("assess", "run", "mlps-level-3", "-i", str(city_lab.inventory.root), check=False)
    limit = time.monotonic() + SECONDS
    while missing := list(without_data(url, city_lab.inventory)):
        assert time.monotonic() < limit, f"no data after {SECONDS} s: {', '.join(missing)}"
        time.sleep(5)
