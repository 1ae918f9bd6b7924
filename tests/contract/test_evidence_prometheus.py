"""Heads of the evidence out of a real Prometheus: every one it has seen, not only the last.

If this fails, `egovctl evidence verify --anchor metric:` compares with less than was kept, and a cut tail may not show.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from ports import free_port
from promtool import program

from egovctl.backups.witness import known
from egovctl.checks.metrics import exposition
from egovctl.errors import CannotMeasure
from egovctl.evidence import Chain, Head
from egovctl.paths import Inventory

PATIENCE = 30.0


@pytest.fixture
def page() -> Iterator[tuple[str, list[str]]]:
    """What the NOC's node_exporter shows: the address, and the text as the only item of a list."""
    shown = ["up_to_here 1\n"]

    class Node(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(shown[0].encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", shown
    server.shutdown()


@pytest.fixture
def url(tmp_path: Path, page: tuple[str, list[str]]) -> Iterator[str]:
    address = f"127.0.0.1:{free_port()}"
    job = {"job_name": "node", "scrape_interval": "1s", "scrape_timeout": "1s"}
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": [job | {"static_configs": [{"targets": [page[0]]}]}]}))
    files = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with (tmp_path / "log").open("wb") as log:
        command = [program("prometheus"), *files, f"--web.listen-address={address}"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    yield f"http://{address}"
    process.terminate()
    process.wait(20)


def heads(url: str, inventory: Inventory) -> set[Head]:
    try:
        return {anchor.head for anchor in known(inventory, f"metric:{url}", "control") if anchor.writer == "control"}
    except CannotMeasure:
        return set()


def test_every_head_that_was_shown_is_known(tmp_path: Path, url: str, page: tuple[str, list[str]]) -> None:
    inventory = Inventory(tmp_path / "town")
    chain, shown = Chain(tmp_path / "control.jsonl"), set()
    for number in range(2):
        chain.append("test", {"number": number})
        page[1][0] = exposition(chain.records(), {"control": chain.head(), "calibration": Head(3, "a" * 64)})
        shown.add(chain.head())
        limit = time.monotonic() + PATIENCE
        while heads(url, inventory) != shown:
            assert time.monotonic() < limit, (heads(url, inventory), shown, (tmp_path / "log").read_text()[-2000:])
            time.sleep(0.2)
    assert chain.verify(heads=list(shown)).checked == 2
    with pytest.raises(CannotMeasure, match="Prometheus"):
        known(inventory, "metric:http://127.0.0.1:1", "control")
