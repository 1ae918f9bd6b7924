"""Our own pages in a real browser, on a real Prometheus that scrapes a played city by the NOC's rules.

If these fail, the wall lies: it shows what was true once, hides what is broken, or answers what it must not.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from played_city import Played, answers, asked, configure, hosts_of, prometheus, until
from playwright.sync_api import Browser, Page, sync_playwright
from ports import free_port
from promtool import PROJECT, program

INTERVAL = 2
WALL_TEXT = 40.0
SLACK = 4.0  # seconds that a busy machine may add to two intervals and the page's own
LOOKS = "lang=zh&theme=dark"


@dataclass
class Town:
    """The played city, its Prometheus and our server."""

    played: Played
    url: str
    prometheus: subprocess.Popen[bytes]
    base: str


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    played, number, ours = Played.of("lab"), free_port(), free_port()
    played.down.add("education:up1")
    with hosts_of(played) as address:
        configure(folder, played, address, number, INTERVAL)
        with prometheus(folder, number) as (url, process):
            command = [sys.executable, "-m", "egovctl", "serve", "-i", "lab"]
            command += ["--prometheus", url, "--listen", f"127.0.0.1:{ours}"]
            server = subprocess.Popen(command, env={**os.environ, "EGOV_PROJECT": str(PROJECT)})
            base = f"http://127.0.0.1:{ours}"
            try:
                until(lambda: answers(f"{base}/page/wall"), "our server should answer")
                until(lambda: len(asked(url, "link:receive_bits:rate2m")) > 10, "rates should be there")
                until(lambda: len(asked(url, "city:alerts:count > 0")) > 0, "the link that is down should be spoken of")
                yield Town(played, url, process, base)
            finally:
                server.send_signal(signal.SIGINT)
                assert server.wait(20) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a wall's size; at its end nothing may have gone wrong in it."""
    made = browser.new_page(viewport={"width": 1920, "height": 1080}, timezone_id="Asia/Shanghai")
    wrong: list[str] = []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    foreign: list[str] = []
    made.on("request", lambda request: None if "//127.0.0.1:" in request.url else foreign.append(request.url))
    yield made
    made.close()
    assert not wrong, wrong
    assert not [url for url in foreign if not url.startswith("data:")]


PAGES = {
    "wall": "wall", "map": "map", "changes": "changes", "county": "county/minqin", "city": "county/_city",
    "hub": "site/hub-minqin", "leaf": "site/minqin-health", "link": "link/hub-minqin:up0", "backups": "backups",
    "services": "services", "websites": "websites", "checks": "checks", "assessment": "assessment",
    "exporters": "exporters",
}  # fmt: skip


def states(page: Page) -> dict[str, str]:
    """What each panel of the page says that it has."""
    found: dict[str, str] = page.eval_on_selector_all(
        "section.panel", "all => Object.fromEntries(all.map(one => [one.id, one.dataset.state]))"
    )
    return found


def test_each_panel_of_each_page_has_data(town: Town, page: Page) -> None:
    for name, path in PAGES.items():
        page.goto(f"{town.base}/page/{path}?{LOOKS}&range=1h")
        found = states(page)
        allowed = {"alerts", "day", "flapping", "implausible", "uplinks", "receive", "transmit", "downlinks", "errors"}
        allowed |= {"tunnel"}  # a line has none
        empty = {panel for panel, state in found.items() if state == "empty"}
        assert found and "nodata" not in found.values() and empty <= allowed, (name, found)
    assert states(page)["prometheus"] == "ok"


def test_values_are_those_of_prometheus(town: Town, page: Page) -> None:
    page.goto(f"{town.base}/page/wall?lang=en")
    sites = len(town.played.topology.places)
    numbers = page.locator("#truth .number")
    assert numbers.nth(0).inner_text().split() == ["Sites", "up", "●", str(sites), "/", str(sites)]
    assert re.fullmatch(r"Links down\s+▲\s+1", numbers.nth(2).inner_text())
    assert page.locator("#sites .tile").count() == sites
    # The link that is down makes its site impaired; nothing else is.
    assert page.locator("#sites .tile.tone-warning").all_text_contents() == ["▲Edu"]
    assert "Link down" in page.locator("#alerts").inner_text()


def test_links_lead_from_tile_to_site_to_link_to_runbook(town: Town, page: Page) -> None:
    page.goto(f"{town.base}/page/wall?{LOOKS}")
    page.get_by_label("市教育局: 部分中断").click()
    page.wait_for_url("**/page/site/education?*")
    page.locator("#uplinks a").first.click()
    page.wait_for_url("**/page/link/education:up1?*")  # the worst comes first
    page.locator("#alerts a.book").first.click()
    page.wait_for_url("**/runbook/sites?*#egovlinkdown")
    assert page.locator("h2#egovlinkdown").is_visible() and page.locator("html").get_attribute("lang") == "zh-CN"


def test_who_talks_most_comes_first_by_the_names_of_sites(town: Town, page: Page) -> None:
    page.goto(f"{town.base}/page/site/minqin-health?lang=en")
    rows = [text.split("\t") for text in page.locator("#talkers tbody tr").all_inner_texts()]
    assert [row[:3] for row in rows] == [
        ["hub-minqin", name, "Minqin Health Bureau"]
        for name in ("Shared services", "elsewhere in the city", "Network Operations Centre")
    ]
    assert [row[3].split()[0] for row in rows] == ["8", "2", "300"]
    page.locator("#talkers a").nth(1).click()
    page.wait_for_url("**/page/site/shared-services?*")


def test_a_loaded_link_is_seen_without_touching_the_page(town: Town, page: Page) -> None:
    link = "minqin-health:up0"
    page.goto(f"{town.base}/page/link/{link}?lang=en")
    page.wait_for_selector("#now[data-state=ok]", timeout=20_000)
    value = page.locator("#now .number").nth(1).locator(".value")
    before = float(value.inner_text().split()[0])
    town.played.mbps[link] = 99.0  # of 100
    try:
        page.wait_for_function(
            "before => parseFloat(document.querySelectorAll('#now .number .value')[1]?.textContent) > before + 20",
            arg=before, timeout=20_000,
        )  # fmt: skip
        page.wait_for_selector("#now .number.tone-bad, #now .number.tone-warning", timeout=20_000)
    finally:
        town.played.mbps[link] = 10.0


def test_a_silent_host_has_no_data_and_its_tile_is_not_well(town: Town, page: Page) -> None:
    """Its exporter stops: within two intervals its numbers are gone, and the tile says that the site is down."""
    page.goto(f"{town.base}/page/site/minqin-education?lang=en&range=1h")
    page.wait_for_selector("#receive[data-state=ok] .legend:has-text('bit/s')", timeout=20_000)
    # The far end of its line tells of the line as well, until the line is down there too: both are silent here.
    town.played.dead.update({"minqin-education", "hub-minqin"})
    begin = time.monotonic()
    try:
        page.wait_for_function(
            "() => document.querySelector('#hosts tbody')?.textContent.includes('silent')", timeout=20_000
        )
        page.wait_for_function("() => document.querySelector('#receive').dataset.state !== 'ok'", timeout=20_000)
        page.wait_for_function("() => document.querySelector('#talkers').dataset.state === 'nodata'", timeout=20_000)
        # Panels are asked for one by one: another one's rows may go a round earlier or later.
        page.wait_for_function(
            "() => [...document.querySelectorAll('#uplinks td.cell')].slice(2, 4)"
            ".every(e => !/bit/.test(e.textContent))",
            timeout=20_000,
        )
        assert time.monotonic() - begin < 2 * INTERVAL + 2 + 2 * SLACK + 2  # and the page's own round of 2 s
        assert page.locator(".tile.tone-good").count() == 0
        assert re.search(r"no data|down|cut off", page.locator("#state").inner_text())
    finally:
        town.played.dead.clear()
    page.wait_for_selector("#state .tile.tone-good", timeout=20_000)


def test_when_prometheus_stops_nothing_is_good(town: Town, page: Page) -> None:
    page.goto(f"{town.base}/page/wall?lang=en")
    assert set(states(page).values()) <= {"ok", "empty"}
    os.kill(town.prometheus.pid, signal.SIGSTOP)
    begin = time.monotonic()
    try:
        page.wait_for_function(
            "() => [...document.querySelectorAll('section.panel')].every(one => one.dataset.state === 'nodata')",
            timeout=30_000,
        )
        assert time.monotonic() - begin < 2 * INTERVAL + 1 + 2 * SLACK
        assert page.locator(".tone-good").count() == 0
        assert page.locator("section.panel .nodata b").first.inner_text() == "no data"
        assert page.locator("body.old #age").inner_text() != "0 s"
    finally:
        os.kill(town.prometheus.pid, signal.SIGCONT)
    page.wait_for_function("() => document.querySelectorAll('.tile.tone-good').length > 5", timeout=30_000)


MEASURED = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.textContent.trim() || !parent.checkVisibility()) continue;
    if (parent.closest("script, .menu nav, noscript")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width === 0 || parent.closest(".numbers h2")) continue;
    if (parent.classList.contains("shape")) continue;
    found.push([node.textContent.trim(), parseFloat(getComputedStyle(parent).fontSize)]);
  }
  return found;
}"""


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_wall_is_read_from_five_metres_and_fits_one_screen(town: Town, page: Page, lang: str) -> None:
    page.goto(f"{town.base}/page/wall?lang={lang}")
    sizes = page.evaluate(MEASURED)
    assert len(sizes) > 30
    assert [item for item in sizes if item[1] < WALL_TEXT] == []
    assert page.evaluate("document.documentElement.scrollHeight") <= 1080
    assert page.evaluate("document.documentElement.scrollWidth") <= 1920
    bottom = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.tile')].map(t => t.getBoundingClientRect().bottom))"
    )
    assert bottom <= 1080 and page.locator("section.panel").count() <= 12


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_and_contrast_is_enough(town: Town, page: Page, theme: str) -> None:
    for name in {"dark": ("wall", "hub", "link"), "light": ("wall", "map", "services")}[theme]:
        page.goto(f"{town.base}/page/{PAGES[name]}?lang=en&theme={theme}&range=1h")
        result = Axe().run(page)
        told = [(item["id"], item["nodes"][0]["html"][:160]) for item in result.response["violations"]]
        assert not told, (name, told)
        assert any(item["id"] == "color-contrast" for item in result.response["passes"])


def test_a_kiosk_goes_on_to_the_next_page(town: Town, page: Page) -> None:
    page.goto(f"{town.base}/page/wall?lang=zh&kiosk=5")
    page.wait_for_url("**/page/map?*kiosk=5*", timeout=15_000)


def raw(
    town: Town, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection("127.0.0.1", int(town.base.rpartition(":")[2]), timeout=20)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/page/site/no-such-site", 404),
        ("/page/site/hub-minqin%22%7D%20or%20up%7Bx=%22", 404),
        ("/page/link/up", 404),
        ("/page/wall/core", 404),
        ("/page/site", 404),
        ("/page/secrets", 404),
        ("/panel/wall/none", 404),
        ("/panel/site/traffic/..%2f..%2fetc%2fpasswd", 404),
        ("/runbook/..%2f..%2fREADME", 404),
        ("/static/../app.py", 404),
        ("/static/..%2fapp.py", 404),
        ("/page/wall?range=400d", 400),
        ("/page/wall?range=1h&lang=fr", 400),
        ("/page/wall?theme=%3Cscript%3E", 400),
        ("/page/wall?kiosk=1", 400),
        ("/page/wall?kiosk=%D9%A3%D9%A0", 400),
        ("/page/wall?" + "x" * 3000, 414),
        ("/api/v1/query?query=up", 404),
    ],
)
def test_what_the_plan_has_not_is_not_answered(town: Town, path: str, status: int) -> None:
    got, headers, body = raw(town, path)
    assert got == status
    assert "<" not in body and "script-src 'self'" in headers["Content-Security-Policy"]


def test_who_calls_by_a_foreign_name_or_writes_is_refused(town: Town) -> None:
    assert raw(town, "/page/wall", host="evil.example:8600")[0] == 403
    assert raw(town, "/page/wall", host="127.0.0.1.evil.example")[0] == 403
    assert raw(town, "/page/wall", host="localhost:8600")[0] == 200
    assert raw(town, "/page/wall", host="[::1]:8600")[0] == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert raw(town, "/page/wall", method)[0] == 405


def test_the_pages_carry_their_policy_and_are_small(town: Town) -> None:
    status, headers, body = raw(town, f"/page/site/hub-minqin?{LOOKS}")
    assert status == 200 and headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert not re.search(r'style="|<style|<script>| on[a-z]+="|https?://', body)
    whole = sum(len(raw(town, f"/static/{name}")[2]) for name in ("egov.css", "egov.js"))
    assert whole < 60_000  # as they are; 500 KB compressed were allowed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--listen", "0.0.0.0:8600"], "no login, so only 127.0.0.1 and [::1] are taken"),
        (["--listen", "10.0.0.1:8600"], "no login"),
        (["--listen", "[::]:8600"], "no login"),
        (["--listen", "127.0.0.1:0"], "write it as in 127.0.0.1:8600"),
        (["--listen", "noc"], "write it as in 127.0.0.1:8600"),
        (["--prometheus", "file:///etc/passwd"], "write it as in http://127.0.0.1:9090"),
        (["--prometheus", "http://me:secret@127.0.0.1:9090"], "no password goes into --prometheus"),
    ],
)
def test_serve_refuses_what_it_cannot_do_safely(options: list[str], said: str) -> None:
    command = [sys.executable, "-m", "egovctl", "serve", "-i", "lab", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_the_browser_is_the_projects_own_choice() -> None:
    """`make test` installs it; without it these tests fail, and are never skipped."""
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^BROWSER := .*\bchromium\b", text, re.M) and Path(program("chromium")).is_file()
