"""The names on the wall's tiles, of a whole city in a real browser: each is seen whole, at its size.

If this fails, tiles on the wall look alike, and nobody knows which site the orange one is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from played_city import answers, port, until
from playwright.sync_api import sync_playwright
from promtool import PROJECT, program

# Which names are cut: what is below or right of its box is not seen. As tiles are, and as they look when they are down.
CUT = """looks => [...document.querySelectorAll('.tile')].filter(tile => {
  tile.className = 'tile tone-' + looks;
  tile.querySelector('.shape').textContent = looks === 'bad' ? '✖' : '●';
  const name = tile.querySelector('.name'), box = name.getBoundingClientRect();
  const range = document.createRange();
  range.selectNodeContents(name);
  const text = range.getBoundingClientRect(), size = parseFloat(getComputedStyle(name).fontSize);
  return text.right > tile.getBoundingClientRect().right + 1 || text.height > box.height + 1 || size < 40;
}).map(tile => tile.textContent)"""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """Our server for the whole city, without a Prometheus: tiles are there in any case."""
    number = port()
    command = [sys.executable, "-m", "egovctl", "serve", "-i", "wuwei", "--prometheus", f"http://127.0.0.1:{port()}"]
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
