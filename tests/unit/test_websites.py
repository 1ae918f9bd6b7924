"""Visits to websites, on a real server: what is open is open, what is not is named, and no page leads us astray.

If these fail, a dead website passes for an open one, a hostile page has us ask the city's own management, or one slow
server holds up the visits to all others.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from website_town import Town, article, dripping, moved, send, town

from egov_exporters.websites import metrics
from egov_exporters.websites.book import Book, Visit
from egov_exporters.websites.config import ConfigError, load_config, read_config
from egov_exporters.websites.fetch import Answer, fetcher
from egov_exporters.websites.guard import may_ask
from egov_exporters.websites.main import visit_all, walk_all
from egov_exporters.websites.page import decoded, read_page
from egov_exporters.websites.walk import Found

TODAY = date(2026, 11, 27)
NOW = datetime(2026, 11, 27, 12, 0).timestamp()
HOME = '<html><body><ul><li><a href="/a.html">A</a> 2026-11-20</li></ul></body></html>'
CITY: dict[str, Any] = {"websites": [], "inside": ["10.64.5.0/24", "2001:db8:5::/64"], "ports": [80], "limits": {}}
GUARDED = read_config({**CITY, "closed": ["10.64.0.0/12", "2001:db8::/32", "8.8.0.0/16"]})


def asked(place: Town, path: str = "", **limits: Any) -> Answer:
    async def one() -> Answer:
        config = place.config(**limits)
        async with fetcher(config) as fetch:
            return await fetch.get(place.url + path)

    return asyncio.run(one())


def visited(place: Town, tmp_path: Path, **limits: Any) -> Visit:
    book = Book(tmp_path)
    asyncio.run(visit_all(place.config(**limits), book))
    (found,) = book.visits(0, time.time() + 1)
    return found


def walked(place: Town, tmp_path: Path, *columns: tuple[str, str, float], **limits: Any) -> Found:
    book = Book(tmp_path)
    asyncio.run(walk_all(place.config(*columns, **limits), book))
    found = book.walk("town")
    assert found is not None
    return found


def fresh() -> str:
    """A day of this week, as the walk's own today is the real one."""
    return (date.today() - timedelta(days=3)).isoformat()


def test_a_page_that_is_there_is_open_and_the_quicker_family_counts(tmp_path: Path) -> None:
    with town() as place:
        place.pages["/"] = HOME
        found = visited(place, tmp_path)
    assert (found.v4, found.v6) == ("open", "no-name") and found.opened and 0 < found.seconds < 2
    assert found.https != "open" and found.certificate == 0


def test_over_ipv6_alone_it_is_open_too(tmp_path: Path) -> None:
    with town("::1") as place:
        place.pages["/"] = HOME
        found = visited(place, tmp_path)
    assert (found.v4, found.v6) == ("no-name", "open") and found.opened


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (lambda handler: send(handler, b"broken", 500), "500"),
        (None, "404"),
        ("", "empty"),
        (dripping(30.0), "silent"),
        (lambda handler: time.sleep(30), "silent"),
        (lambda handler: handler.wfile.write(b"no HTTP at all\r\n\r\n"), "unreachable"),
        (moved("/"), "loop"),
        (moved("http://10.64.2.1/"), "refused"),
        (moved("http://127.0.0.1:9090/-/reload"), "refused"),
        (moved("file:///etc/passwd"), "refused"),
        (moved("http://[::ffff:10.64.2.1]/"), "refused"),
    ],
)
def test_a_page_that_people_would_not_see_is_not_open(tmp_path: Path, page: Any, said: str) -> None:
    with town() as place:
        place.pages["/"] = page
        started = time.monotonic()
        found = visited(place, tmp_path, seconds=0.6)
    assert found.v4 == said and not found.opened and time.monotonic() - started < 20


def test_a_home_page_that_leads_to_another_website_is_elsewhere(tmp_path: Path) -> None:
    with town() as place:
        place.pages["/"] = moved(f"http://localhost:{place.port}/other")
        place.pages["/other"] = HOME
        found = visited(place, tmp_path)
    assert found.v4 == "elsewhere" and not found.opened


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    with town() as place:
        config = place.config()
    book = Book(tmp_path)
    asyncio.run(visit_all(config, book))
    (found,) = book.visits(0, time.time() + 1)
    assert found.v4 == "unreachable" and not found.opened


def test_a_huge_page_is_read_so_far_and_no_further_packed_or_not() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with town() as place:
        place.pages["/"] = b"x" * 300_000
        place.pages["/bomb"] = lambda handler: send(handler, bomb, Content_Encoding="gzip")
        place.pages["/small"] = lambda handler: send(handler, gzip.compress(b"hello"), Content_Encoding="gzip")
        plain, packed, small = (asked(place, path, page_bytes=100_000) for path in ("", "bomb", "small"))
    assert (len(plain.body), plain.cut) == (100_000, True)
    assert (len(packed.body), packed.cut) == (100_000, True)
    assert (small.body, small.cut) == (b"hello", False)


@pytest.mark.parametrize(
    ("address", "open_to_us"),
    [
        ("10.64.5.20", True),
        ("10.64.2.1", False),
        ("192.168.1.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("1.1.1.1", True),
        ("8.8.8.8", False),
        ("2001:db8:5::7", True),
        ("2001:db8:2::7", False),
        ("2400:3200::1", True),
        ("::ffff:10.64.2.1", False),
        ("::ffff:10.64.5.20", True),
        ("64:ff9b::a40:201", False),
        ("2002:a40:201::1", False),
        ("fe80::1%eth0", False),
        ("::1", False),
        ("fd00::1", False),
        ("ff0e::1", False),
    ],
)
def test_only_websites_and_the_internet_are_asked(address: str, open_to_us: bool) -> None:
    """The city of this test has public addresses of its own (8.8/16): they are closed as its others are."""
    assert may_ask(address, GUARDED) is open_to_us


def test_a_walk_finds_dead_links_and_tells_them_apart(tmp_path: Path) -> None:
    links = [f'<a href="{target}">x</a>' for target in ("/good.html", "/gone.html", "/login", "mailto:a@b.c", "#top")]
    with town() as place, town() as other:
        dead = f"http://127.0.0.1:{place.port}/gone.html"
        place.pages["/"] = f"<html>{''.join(links)}<img src='/gone.png'><a href='{other.url}x'>private</a></html>"
        place.pages["/good.html"] = "<html><a href='/deep-gone.html'>x</a><a href='/'>home</a></html>"
        place.pages["/login"] = lambda handler: send(handler, b"", 403)
        found = walked(place, tmp_path)
        shown = list(metrics.dead_links(found))
    assert {(one.link.rpartition("/")[2], one.home, one.why) for one in found.dead} == {
        ("gone.html", True, "404"),
        ("gone.png", True, "404"),
        ("deep-gone.html", False, "404"),
    }
    assert found.tried[True, True, "dead"] == 2 and found.tried[False, True, "dead"] == 1
    # A login says nothing, nor does what is not asked at all: the other server's port is none of the web's.
    assert found.tried[True, True, "unclear"] == 2 and other.asked == []
    assert shown[0] == f"404\t{dead}\t{place.url}" and place.asked.count("/gone.html") == 2


def test_a_link_that_failed_once_is_not_dead(tmp_path: Path) -> None:
    answers = iter([503, 200])
    with town() as place:
        place.pages["/"] = "<html><a href='/shaky.pdf'>x</a></html>"
        place.pages["/shaky.pdf"] = lambda handler: send(handler, b"", next(answers))
        found = walked(place, tmp_path)
    assert found.dead == [] and found.tried == {(True, True, "good"): 1}


def test_links_to_elsewhere_count_only_where_one_of_them_answers(tmp_path: Path) -> None:
    """If this fails, a NOC without a way to the Internet finds every link to elsewhere dead."""
    with town("::1") as gone:
        nowhere = gone.url
    with town() as place, town("::1") as other:
        place.pages["/"] = f"<html><a href='{nowhere}'>x</a><a href='{other.url}gone'>y</a></html>"
        config = place.config()
        cut_off, reached = (
            replace(config, ports=frozenset({place.port, gone.port, *more})) for more in ((), (other.port,))
        )
        found = []
        for one in (cut_off, reached):
            book = Book(tmp_path)
            asyncio.run(walk_all(one, book))
            found.append(book.walk("town"))
    first, second = found
    assert first is not None and first.tried == {} and not first.outside_reached
    assert second is not None and second.outside_reached
    assert {(one.link, one.inside, one.why) for one in second.dead} == {
        (nowhere, False, "unreachable"),
        (f"{other.url}gone", False, "404"),
    }


def test_a_link_that_is_not_asked_is_neither_good_nor_dead_nor_a_sign_of_being_cut_off(tmp_path: Path) -> None:
    with town() as place:
        place.pages["/"] = "<html><a href='http://10.64.2.1/reload'>x</a></html>"
        found = walked(place, tmp_path)
    assert found.tried == {(True, False, "unclear"): 1} and found.outside_reached and found.dead == []


def test_a_maze_ends_at_the_limits(tmp_path: Path) -> None:
    count = 0

    def maze(handler: Any) -> None:
        nonlocal count
        count += 1
        send(handler, f"<html><a href='/m{count}a.html'>x</a><a href='/m{count}b.html'>y</a></html>".encode())

    class Endless(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            return maze

    with town() as place:
        place.pages = Endless()
        found = walked(place, tmp_path, pages=20, links=30, depth=50)
    assert found.pages == 20 and not found.whole and len(place.asked) <= 20 + 30 + 1


def test_what_robots_txt_closes_is_neither_read_nor_tried(tmp_path: Path) -> None:
    with town() as place:
        place.pages["/robots.txt"] = "User-agent: *\nDisallow: /secret/\n"
        place.pages["/"] = "<html><a href='/secret/a.html'>x</a><a href='/b.html'>y</a></html>"
        place.pages["/b.html"] = "<html></html>"
        found = walked(place, tmp_path, ("news", "/secret/", 86400.0))
    assert not any(path.startswith("/secret") for path in place.asked)
    assert found.columns == {"news": None} and found.tried[True, True, "unclear"] == 1 and found.dead == []


def test_columns_are_as_fresh_as_their_articles_say(tmp_path: Path) -> None:
    day, old = fresh(), "2020-01-02"
    row = "<li><a href='{}'>t</a><span>{}</span></li>".format
    with town() as place:
        place.pages["/"] = f"<html>{date.today()}<ul>{row('/n/1.html', old)}</ul></html>"
        place.pages["/n/"] = f"<html><ul>{row('/n/1.html', old)}{row('/n/2.html', day)}</ul></html>"
        place.pages["/n/1.html"], place.pages["/n/2.html"] = article(old), "<html>no labels</html>"
        place.pages["/undated/"] = "<html><a href='/n/3.html'>t</a></html>"
        place.pages["/n/3.html"] = article(day)
        place.pages["/empty/"] = "<html><p>nothing yet</p></html>"
        columns = [(name, f"/{name}/", 1.0) for name in ("n", "undated", "empty", "missing")]
        found = walked(place, tmp_path, *columns)
    newest = date.fromisoformat(day)
    assert found.columns == {"n": (newest, 2), "undated": (newest, 1), "empty": (None, 0), "missing": None}
    # Today's date at the top of the page is not an article's.
    assert found.home_newest == date(2020, 1, 2) and (found.articles, found.labelled) == (3, 2)


def test_a_home_page_that_is_not_there_is_told_and_nothing_else_is(tmp_path: Path) -> None:
    with town() as place:
        found = walked(place, tmp_path)
        text = metrics.exposition(place.config(), Book(tmp_path), time.time())
    assert not found.home_read and 'egov_website_walk_read{website="town"} 0' in text
    assert "egov_website_links" not in text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("中文公告".encode(), "text/html; charset=utf-8"),
        ("中文公告".encode("gb18030"), "text/html; charset=GB2312"),
        (b'<meta charset="gbk">' + "中文公告".encode("gbk"), "text/html"),
        ("中文公告".encode("gb18030"), "text/html; charset=utf-8"),
        ("中文公告".encode("gb18030"), "text/html"),
        ("中文公告".encode(), "text/html; charset=no-such-charset"),
    ],
)
def test_text_is_read_whatever_the_page_calls_it(body: bytes, kind: str) -> None:
    assert "中文公告" in decoded(body, kind) or kind.endswith("utf-8")
    assert read_page("http://a.example/", body, kind, TODAY).links == ()


@pytest.mark.parametrize(
    ("row", "day"),
    [
        ('<li><a href="a">t</a> 2026-11-20</li>', date(2026, 11, 20)),
        ('<li><a href="a">t</a> [2026年11月2日]</li>', date(2026, 11, 2)),
        ('<tr><td><a href="a">t</a><td>2026/1/2</tr>', date(2026, 1, 2)),
        ('<li><a href="a">t</a><time datetime="2026-11-19T08:00:00+08:00">then</time></li>', date(2026, 11, 19)),
        ('<a href="/art/2026/11/18/art_1_2.html">t</a>', date(2026, 11, 18)),
        ('<a href="/xw/202611/t20261117_123.html">t</a>', date(2026, 11, 17)),
        ('<a href="/2026-11/16/content_1.htm">t</a>', date(2026, 11, 16)),
        ('<li><a href="a">t</a> 2027-01-01</li>', None),
        ('<li><a href="a">t</a> 2026-13-45</li>', None),
        ('<div>2026-11-27</div><a href="a">t</a>', None),
        (f'<li><a href="a">t</a> {"x" * 500} 2026-11-20</li>', None),
    ],
)
def test_a_day_counts_beside_its_link_or_in_its_address(row: str, day: date | None) -> None:
    page = read_page("http://a.example/", f"<html>{row}</html>".encode(), "text/html", TODAY)
    assert list(page.dated.values()) == ([day] if day else [])


def test_what_a_home_page_shows_and_its_labels_are_known() -> None:
    foot = (
        '<meta name="SiteName" content="某市政府"><meta name="siteidcode" content="6206000001">'
        "<p>主办单位：某市 甘ICP备12345678号 甘公网安备 62060002000001号 网站标识码：6206000001</p>"
        '<script src="//dcs.conac.cn/js/28/449/1.js"></script><a href="http://zfwzzc.www.gov.cn/check_web/x">x</a>'
    )
    page = read_page("http://a.example/", f"<html>{foot}</html>".encode(), "text/html; charset=utf-8", TODAY)
    assert page.marks == {"filing", "police", "code", "contact", "badge", "report"}
    assert page.labels == {"sitename": "某市政府", "siteidcode": "6206000001"}
    assert read_page("http://a.example/", b"<html>nothing</html>", "text/html", TODAY).marks == frozenset()


@given(st.one_of(st.binary(max_size=2000), st.text("<>/a href='=\"! -\0&#x;li", max_size=400).map(str.encode)))
def test_no_page_is_an_error(body: bytes) -> None:
    page = read_page("http://a.example/", body, "text/html", TODAY)
    assert all(link.startswith(("http://", "https://")) for link in page.links)


@pytest.mark.parametrize("piece", [b"<li>", b"<a href=/x>", b"<!--", b"<ul><li><a href=/y>2026-11-20", b"<", b"ICP "])
def test_a_page_made_to_take_long_does_not(piece: bytes) -> None:
    started = time.process_time()
    read_page("http://a.example/", (piece * (2_000_000 // len(piece)))[:1_000_000], "text/html", TODAY)
    assert time.process_time() - started < 10


def test_a_page_has_so_many_links_and_no_more() -> None:
    many = "".join(f"<a href='/{n}'>x</a>" for n in range(6000))
    page = read_page("http://a.example/", f"<a href='/{'y' * 2000}'>x</a>{many}".encode(), "text/html", TODAY)
    assert len(page.links) == 5000 and page.links[0] == "http://a.example/0"


def certificate(tmp_path: Path, days: int) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = datetime.now(UTC) - timedelta(days=30)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, begin, begin + timedelta(days=30 + days))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    made = builder.sign(key, hashes.SHA256())
    pem, private = tmp_path / "site.crt", tmp_path / "site.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, private


@pytest.mark.parametrize(("days", "trusted", "said"), [(40, True, "open"), (40, False, "tls"), (-1, True, "tls")])
def test_https_is_open_with_a_certificate_that_is_trusted_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, trusted: bool, said: str
) -> None:
    pair = certificate(tmp_path, days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
    with town(certificate=pair) as place:
        place.host, place.pages["/"] = "localhost", HOME
        found = visited(place, tmp_path)
    assert (found.https, found.v4) == (said, said)
    left = (found.certificate - time.time()) / 86400
    assert round(left) == days if said == "open" else found.certificate == 0


def visits_of(days: int, each: int, failed: int = 0) -> list[Visit]:
    """Whole days before NOW with so many visits each, `failed` of all of them not open."""
    midnight = datetime(2026, 11, 27).timestamp()
    made = []
    for day in range(days):
        for n in range(each):
            bad = len(made) < failed
            at = midnight - (day + 1) * 86400 + n * 86400 / each
            made.append(Visit(at, "town", "silent" if bad else "open", "no-name", "tls", 0.1))
    return made


def told(tmp_path: Path, visits: list[Visit]) -> dict[str, float]:
    with_none = Book(tmp_path)
    for one in sorted(visits, key=lambda visit: visit.at):
        with_none.note(one)
    config = read_config({**CITY, "closed": [], "websites": [{"name": "town", "url": "http://t/", "columns": []}]})
    lines = [line for line in metrics.exposition(config, with_none, NOW).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_the_week_is_of_seven_whole_days_of_twenty_visits(tmp_path: Path) -> None:
    found = told(tmp_path, [*visits_of(8, 20, failed=3), Visit(NOW - 60, "town", "404", "no-name", "tls", 0.0)])
    assert found['egov_website_week_full_days{website="town"}'] == 7
    # What today has so far, and what is older than the week, are not of it.
    assert found['egov_website_week_visits{website="town",result="opened"}'] == 137
    assert found['egov_website_week_visits{website="town",result="failed"}'] == 3
    assert found['egov_website_open{website="town",family="4"}'] == 0
    assert found['egov_website_address{website="town",family="6"}'] == 0


def test_a_day_of_nineteen_visits_is_no_full_day(tmp_path: Path) -> None:
    assert told(tmp_path, visits_of(7, 19))['egov_website_week_full_days{website="town"}'] == 0


def test_broken_lines_and_visits_of_the_future_count_for_nothing(tmp_path: Path) -> None:
    """A line cut short by a full disk swallows neither the one before nor the one after."""
    book = Book(tmp_path)
    one = Visit(NOW - 60, "town", "open", "open", "open", 0.1)
    book.note(one)
    path = tmp_path / "visits-2026-11.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at": 17')
    book.note(Visit(NOW + 3600, "town", "404", "404", "404", 0.0))
    assert list(book.visits(NOW - 3600, NOW)) == [one] and book.broken == 1
    (tmp_path / "walk-town.json").write_text('{"at": 1}')
    assert book.walk("town") is None
    (tmp_path / "visits-2024-01.jsonl").write_text("")
    book.prune(NOW)
    assert sorted(item.name for item in tmp_path.glob("visits-*")) == ["visits-2026-11.jsonl"]


def test_what_a_walk_found_is_read_again_as_it_was(tmp_path: Path) -> None:
    with town() as place:
        place.pages["/"] = "<html><a href='/gone.html'>x</a><li><a href='/n.html'>y</a> 2026-01-02</li></html>"
        first = walked(place, tmp_path, ("news", "/", 5.0))
        Book(tmp_path).keep_walk("town", first)
        assert Book(tmp_path).walk("town") == first
        text = metrics.exposition(place.config(("news", "/", 5.0)), Book(tmp_path), time.time())
    assert 'egov_website_links{website="town",page="home",side="inside",state="dead"} 2' in text
    assert 'egov_website_column_promised_seconds{website="town",column="news"} 5' in text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"websites": 3}', json.dumps({**CITY, "closed": ["x"]})])
def test_a_configuration_that_cannot_be_used_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "websites.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="not a configuration of egov-websites"):
        load_config(path)
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.json")
