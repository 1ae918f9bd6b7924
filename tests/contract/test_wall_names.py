"""The names on the wall's tiles, of a whole city in a real browser: each is seen whole, at its size.

If this fails, tiles on the wall look alike, and nobody knows which site the orange one is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from played_city import answers, until
from playwright.sync_api import sync_playwright
from ports import free_port
from promtool import PROJECT, program

from egovctl.paths import Inventory
from egovctl.plan import load

# Which names are cut: what goes to a second line or right of the tile is not seen. As tiles look well, and otherwise.
CUT = """looks => [...document.querySelectorAll('.tile')].filter(tile => {
  tile.className = 'tile tone-' + looks;
  tile.querySelector('.shape').textContent = looks === 'bad' ? '✖' : looks === 'warning' ? '▲' : '●';
  const name = tile.querySelector('.name'), range = document.createRange();
  range.selectNodeContents(name);
  const lines = [...range.getClientRects()], tops = lines.map(line => line.top);
  return Math.max(...tops) - Math.min(...tops) > 5 || parseFloat(getComputedStyle(name).fontSize) < 40
    || Math.max(...lines.map(line => line.right)) > tile.getBoundingClientRect().right + 1;
}).map(tile => tile.textContent)"""


@pytest.fixture(scope="module")
def states() -> Iterator[str]:
    """What answers as Prometheus would: each site of the city is up. It knows nothing else, names are asked about."""
    plan, _ = load(Inventory(PROJECT / "inventories" / "wuwei"))

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say({"alerts": []} if self.path.endswith("alerts") else {"yaml": ""})

        def do_POST(self) -> None:
            asked = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["query"][0]
            value = {"site:state:max": 1.0, "timestamp(site:state:max)": time.time()}.get(asked)
            found = [
                {"metric": {"site": site.name}, "value": [time.time(), str(value)]}
                for site in plan.sites
                if value is not None
            ]
            self._say({"resultType": "vector", "result": found})

        def _say(self, data: object) -> None:
            body = json.dumps({"status": "success", "data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def base(states: str) -> Iterator[str]:
    """Our server for the whole city."""
    number = free_port()
    command = [sys.executable, "-m", "egovctl", "serve", "-i", "wuwei", "--prometheus", states]
    environment = {**os.environ, "EGOV_PROJECT": str(PROJECT)}
    server = subprocess.Popen([*command, "--listen", f"127.0.0.1:{number}"], env=environment)
    try:
        until(lambda: answers(f"http://127.0.0.1:{number}/page/wall"), "our server should answer")
        yield f"http://127.0.0.1:{number}"
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0


def test_each_site_of_the_city_has_its_name_whole(base: str) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        for lang in ("zh", "en"):
            page.goto(f"{base}/page/wall?lang={lang}")
            assert page.locator(".tile").count() > 90
            for looks in ("good", "bad", "warning"):
                assert page.evaluate(CUT, looks) == []
            bottom = page.evaluate(
                "Math.max(...[...document.querySelectorAll('.tile')].map(t => t.getBoundingClientRect().bottom))"
            )
            assert bottom < 1080
        browser.close()
