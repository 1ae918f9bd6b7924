"""The whole page of a small switch at a frozen moment, kept as a file to read and to diff.

If this fails, either the simulated switch or the page changed. Look at the difference; if it is meant, write it anew:
    EGOV_WRITE_GOLDEN=1 python -m pytest tests/contract/test_exporter_golden.py
"""

from __future__ import annotations

import os
from pathlib import Path

from exporter_lab import COMMUNITY, exporter, switch, v2c_config

GOLDEN = Path(__file__).parent.parent / "golden" / "exporter_switch.prom"


def test_the_page_of_a_frozen_switch(tmp_path: Path) -> None:
    """Nine ports, one hour after the switch came up; what the scrape itself took is left out."""
    with (
        switch(tmp_path, "--ports", "9", "--name", "golden", "--frozen-at", "3600") as target,
        exporter(tmp_path, v2c_config(public_v2=COMMUNITY)) as ours,
    ):
        status, text = ours.scrape(target)
    assert status == 200
    page = "".join(line + "\n" for line in text.splitlines() if "snmp_scrape_" not in line)
    if os.environ.get("EGOV_WRITE_GOLDEN") == "1":
        GOLDEN.write_text(page)
    assert page == GOLDEN.read_text()
