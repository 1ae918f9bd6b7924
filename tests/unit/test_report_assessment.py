"""Reports of self-assessments: what they say, of which part, what each claim rests on, and what they refuse.

If these fail, an inspector gets a report that claims what is not on record, or that does not say that it is changed.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import assessed_town as town_
import docx as docx_library
import openpyxl
import pytest
from docx.oxml.ns import qn
from docx.shared import Mm, Pt

from egovctl.assess.kept_results import folder_of
from egovctl.assess.scope import scope_of
from egovctl.assess.standards import standards
from egovctl.checks.context import open_context
from egovctl.checks.metrics import exposition
from egovctl.commands.main import main
from egovctl.evidence import Chain, open_chain
from egovctl.i18n import set_language
from egovctl.paths import Inventory
from egovctl.report.assessed.gather import Assessed, assessed, read_past
from egovctl.report.assessed.made import made
from egovctl.report.assessed.oscal import oscal
from egovctl.report.document import Document, Table, content
from egovctl.report.document.model import shown
from egovctl.report.document.official import chinese

GOLDENS = Path(__file__).resolve().parents[1] / "golden"
NOW = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
LANGUAGES = ("zh", "en")


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inventory]:
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    yield town_.build(tmp_path)
    set_language(None)


@pytest.fixture
def chain(town: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    return town_.assess_twice(town, town_.Clock(monkeypatch), tmp_path)


def found(town: Inventory, kind: Any = "city", name: str = "", run: str | None = None) -> Assessed:
    context = open_context(town)
    return assessed(read_past(context, "town-rules", open_chain(town), run), scope_of(context, kind, name))


def document(town: Inventory, language: str = "zh", kind: Any = "city", name: str = "") -> Document:
    set_language(language)
    return made(open_context(town), found(town, kind, name), NOW).document


def run(town: Inventory, *words: str, language: str = "en") -> int:
    with pytest.raises(SystemExit) as left:
        main(["--lang", language, "report", "assessment", "town-rules", "-i", str(town.root), *words])
    set_language(None)
    assert isinstance(left.value.code, int)
    return left.value.code


def table(document: Document, number: int) -> Table:
    return document.tables[number]


def verdicts(one: Assessed) -> dict[str, str]:
    return {judged.item: judged.verdict.value for judged in (*one.judged, *one.hazards)}


def as_text(document: Document) -> str:
    """The model line by line, so that a person can read what a change of it is."""
    lines = [f"[{document.banner}]", document.title, document.summary]
    lines += [f"  {name}: {value}" for name, value in document.facts]
    for section in document.sections:
        lines += ["", f"# {section.title}"]
        for block in section.blocks:
            if not isinstance(block, Table):
                lines.append(block.text if hasattr(block, "text") else f"({type(block).__name__}) {block.caption}")
                continue
            lines += [f"## {block.caption}", " | ".join(column.title for column in block.columns)]
            for place, row in enumerate(block.rows):
                anchor = f"  #{block.anchors[place]}" if block.anchors else ""
                cells = (shown(column, value) for column, value in zip(block.columns, row, strict=True))
                lines.append(" | ".join(cells) + anchor)
            if not block.rows:
                lines.append(block.empty)
    # What a record's hash is, is the chain's affair, and other tests' to tell.
    return re.sub(r":[0-9a-f]{12}\b", ":<hash>", re.sub(r"\b[0-9a-f]{64}\b", "<sha256>", "\n".join([*lines, ""])))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_report_of_the_town_is_the_one_that_was_read(town: Inventory, chain: Chain, language: str) -> None:
    path = GOLDENS / f"assessment-town.{language}.txt"
    text = as_text(document(town, language))
    if os.environ.get("EGOV_UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_a_run_from_what_was_kept_leads_to_the_records_of_what_was_seen_then(
    town: Inventory, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of a host that was asked again meanwhile, or of a collector of another run, to no record that it is not."""
    told = {"by": "prometheus", "suite_sha256": "2" * 64, "asked": 1, "oldest": town_.SECOND, "sha256": "3" * 64}
    old = chain.append("assess.answers", {**told, "run": "run2"})
    chain.append("assess.answers", {**told, "run": "run2", "by": "flows"})
    seen = {record.body["host"]: record for record in chain.records("assess.facts") if record.body["run"] == "run2"}
    monkeypatch.setattr("egovctl.evidence.chain.now", lambda: "2026-11-27T01:00:00.000Z")
    town_.look(chain, "aborted", "education")
    standard, at = standards(town).get("town-rules"), datetime.fromisoformat(town_.SECOND)
    reused = {host: record.body["observed_at"] for host, record in seen.items() if host != "minqin-health"}
    kept = {"reused": reused, "recalled": {"prometheus": town_.SECOND}}
    town_.record(town, chain, "run3", standard, town_.results({}), at, **kept)
    one = found(town)
    assert one.looks["education"] == seen["education"]
    assert one.looks["minqin-education"] == seen["minqin-education"]
    assert one.looks["minqin-health"].body["run"] == "run3"
    assert one.answers == {"prometheus": old}
    assert one.collected(one.past.checks["town-time-in-step"], []) == [old]
    text = as_text(document(town, "en"))
    assert "collected: measurements, flows tried, drift, units | prometheus" in text
    assert {record.seq for record in (*one.looks.values(), old)} <= {
        int(line.rpartition("#record-")[2]) for line in text.splitlines() if "#record-" in line
    }


class Page(HTMLParser):
    """Links, anchors and headings of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.language: str | None = None
        self.bare_heads = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag == "html":
            self.language = given["lang"]
        if tag == "th" and given.get("scope") not in ("col", "row"):
            self.bare_heads += 1
        if given.get("id"):
            self.ids.add(str(given["id"]))
        if tag == "a":
            self.links.add(str(given["href"]))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_claim_leads_to_its_evidence_inside_the_page(town: Inventory, chain: Chain, language: str) -> None:
    text = content(document(town, language), "html").decode()
    page = Page(text)
    assert page.links and {link.removeprefix("#") for link in page.links} <= page.ids
    assert all(link.startswith("#") for link in page.links), "nothing comes from elsewhere"
    assert page.language == {"zh": "zh-CN", "en": "en"}[language] and not page.bare_heads
    assert page.tags.count("h1") == 1 and "script" not in page.tags and "b" not in page.tags
    banner = {"zh": "自查报告", "en": "SELF-ASSESSMENT"}[language]
    assert text.count(banner) >= 2, "on the cover and, by @page, on every sheet"
    for record in chain.records():
        if record.body.get("run", "run2") == "run2":
            assert record.hash in text, record.kind
    assert str(chain.head()) in text


def test_a_part_is_judged_by_what_is_its_own_and_the_citys(town: Inventory, chain: Chain) -> None:
    city = verdicts(found(town))
    assert city["TR-1.1a"] == city["TR-1.1b"] == city["TH-01"] == "partly"
    education = found(town, "department", "education")
    assert verdicts(education)["TR-1.1a"] == "not_met" and verdicts(education)["TR-1.1b"] == "met"
    assert education.scope.hosts == {"education"} and list(education.looks) == ["education"]
    health = found(town, "department", "minqin-health")
    assert verdicts(health)["TR-1.1a"] == "met" and verdicts(health)["TR-1.1b"] == "not_met"
    county = found(town, "county", "minqin")
    assert verdicts(county)["TR-1.1b"] == "partly" and verdicts(county)["TR-1.1a"] == "met"
    service = found(town, "service", "documents")
    assert service.scope.hosts == {"minqin-education"} and verdicts(service)["TR-1.1b"] == "partly"
    for part in (education, health, county, service):
        assert verdicts(part)["TR-2.1a"] == "met" and verdicts(part)["TR-1.2a"] == "met", "the city's is everybody's"
        assert len(part.trend) == 2 and not part.past.differs
    # The score is the part's own, and an accepted risk raises no rate.
    assert (
        education.score.counts["met"] == 3 and education.score.without_accepted.low > education.score.rate_partial_0.low
    )


def test_a_part_of_which_nothing_is_known_has_no_good_verdict(town: Inventory, chain: Chain) -> None:
    village = found(town, "department", "village-xuebai")
    assert {verdicts(village)[name] for name in ("TR-1.1a", "TR-1.1b", "TH-01")} == {"needs_statement"}
    assert village.exit_code == 1, "what the suite cannot meet is not met there either"


def test_what_became_worse_and_an_earlier_run(town: Inventory, chain: Chain) -> None:
    changed = next(part for part in document(town, "en").tables if part.name == "changes")
    rows = {str(row[0]): str(row[1]) for row in changed.rows}
    assert rows["TR-1.1a"] == "▲ worse" and rows["TR-2.1a"] == "● better" and "TR-1.2b" not in rows
    first = found(town, run="run1")
    assert verdicts(first)["TR-1.1a"] == "met" and len(first.trend) == 1 and first.exit_code == 1


def test_an_accepted_risk_that_has_run_out_since_is_said(town: Inventory, chain: Chain) -> None:
    set_language("en")
    late = datetime(2027, 2, 1, 9, tzinfo=UTC)
    for at, state in ((NOW, "● holds"), (late, "▲ has run out")):
        risks = next(
            part for part in made(open_context(town), found(town), at).document.tables if part.name == "accepted risks"
        )
        ((*_, shown_state, _links),) = risks.rows
        assert str(shown_state) == state and risks.rows[0][0] == "TR-1.2b"


def test_a_changed_file_of_results_is_said_and_no_part_is_reported(
    town: Inventory, chain: Chain, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = folder_of(town) / "run2.json.gz"
    whole = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(whole).replace(b'"fail"', b'"pass"')))
    out = tmp_path / "city.html"
    assert run(town, "--out", str(out)) == 3
    text = out.read_text(encoding="utf-8")
    assert hashlib.sha256(whole).hexdigest() in text and hashlib.sha256(path.read_bytes()).hexdigest() in text
    assert "changed: it is SHA-256" in text and "only the verdicts in the chain are left" in text
    assert "not the one whose hash is in the chain" in capsys.readouterr().out
    # The verdicts are the chain's, not those of the changed file.
    rows = {row[0]: str(row[3]) for row in table(document(town, "en"), -3).rows}
    assert rows["TR-1.1a"] == "▲ partly"
    for words in (("--department", "education"), ("--all", "departments")):
        target = tmp_path / "part"
        assert run(town, *words, "--out", str(target), "--format", "html") == 3
        assert not target.exists() and "were changed" in capsys.readouterr().err
    path.unlink()
    assert run(town, "--out", str(out), "--force") == 3 and "gone; on record" in out.read_text(encoding="utf-8")
    assert [entry.name for entry in tmp_path.glob(".part*")] == []


def test_a_broken_chain_is_said(town: Inventory, chain: Chain, tmp_path: Path) -> None:
    lines = chain.path.read_bytes().splitlines(keepends=True)
    chain.path.write_bytes(b"".join(lines[1:]))
    out = tmp_path / "city.html"
    assert run(town, "--out", str(out)) == 1
    assert "broken at line 1" in out.read_text(encoding="utf-8")


WRONG = (
    (("--department", "nowhere"), "the plan has no department nowhere; there are core,"),
    (("--county", "nowhere"), "the plan has no county nowhere; there are minqin"),
    (("--service", "nowhere"), "the plan has no service nowhere; there are documents"),
    (("--department", "education", "--county", "minqin"), "give only one"),
    (("--department", "education", "--all", "counties"), "give only one"),
    (("--run", "run9"), "there is no assessment run9"),
    (("--out", "report.txt"), "report.txt does not say a format"),
    (("--all", "departments", "--format", "oscal"), "packs have one of the formats"),
    (("--all", "departments", "--out", "inventories"), "is there already"),
)


def test_a_wrong_call_is_a_sentence(
    town: Inventory,
    chain: Chain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, said in WRONG:
        assert run(town, *words) == 2, words
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1, words


def test_nothing_assessed_yet_is_exit_3_in_both_languages(town: Inventory, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(town) == 3 and "run egovctl assess run town-rules" in capsys.readouterr().err
    assert run(town, "--all", "departments", language="zh") == 3 and "还没有" in capsys.readouterr().err
    assert not (town.build / "reports").exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_docx_has_the_form_of_an_official_document(town: Inventory, chain: Chain, language: str) -> None:
    data = content(document(town, language), "docx")
    book = docx_library.Document(io.BytesIO(data))
    page = book.sections[0]
    margins = [page.top_margin, page.bottom_margin, page.left_margin, page.right_margin]
    for margin, wanted in zip(margins, (37, 35, 28, 26), strict=True):
        assert margin is not None and abs(margin - Mm(wanted)) < Mm(0.1)
    looks = {name: book.styles[name] for name in ("Title", "Heading 1", "Heading 2", "Egov Body")}
    fonts = [style.element.rPr.rFonts.get(qn("w:eastAsia")) for style in looks.values()]
    assert fonts == ["方正小标宋简体", "黑体", "楷体", "仿宋"]
    assert [style.font.size for style in looks.values()] == [Pt(22), Pt(16), Pt(16), Pt(16)]
    banner = {"zh": "自查报告", "en": "SELF-ASSESSMENT"}[language]
    for header in (page.header, page.even_page_header):
        assert banner in header.paragraphs[0].text
    for footer in (page.footer, page.even_page_footer):
        assert "PAGE" in footer._element.xml and "—" in footer.paragraphs[0].text
    assert book.settings.odd_and_even_pages_header_footer is True
    assert book.paragraphs[0].text.startswith(banner)
    headings = [line.text for line in book.paragraphs if line.style and line.style.name == "Heading 1"]
    assert headings[0] == {"zh": "一、结论", "en": "1. Conclusion"}[language]
    body = book.element.body
    names = {mark.get(qn("w:name")) for mark in body.iter(qn("w:bookmarkStart"))}
    links = {link.get(qn("w:anchor")) for link in body.iter(qn("w:hyperlink"))}
    assert links and links <= names
    grid = sum(int(column.get(qn("w:w"))) for column in next(body.iter(qn("w:tblGrid"))))
    assert grid <= 156 * 56.7 + 1, "a table is no wider than the text"
    text = "\n".join(cell.text for part in book.tables for row in part.rows for cell in row.cells)
    assert "<b>" in text and chain.head().hash in "\n".join(line.text for line in book.paragraphs)


def test_headings_count_as_chinese_does() -> None:
    assert [chinese(number) for number in (1, 10, 11, 20, 21, 99)] == ["一", "十", "十一", "二十", "二十一", "九十九"]


def test_sheets_and_csv_hold_every_requirement_and_no_formula(town: Inventory, chain: Chain, tmp_path: Path) -> None:
    book = openpyxl.load_workbook(io.BytesIO(content(document(town, "en"), "xlsx")))
    assert "SELF-ASSESSMENT" in str(book["about"]["A3"].value)
    sheet = book["All requirements"]
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)][:2] == ["TR-1.1a", "TR-1.1b"]
    out = tmp_path / "items.csv"
    assert run(town, "--out", str(out)) == 1
    rows = list(csv.reader(io.StringIO(out.read_text(encoding="utf-8-sig"))))
    assert rows[0][0] == "id" and len(rows) == 8 and rows[1][3] == "partly"
    assert rows[0][-1] == "self-assessment, not by a licensed body"
    assert {len(row) for row in rows} == {len(rows[0])}, "one plain table"
    assert {row[-1] for row in rows[1:]} == {"run2, 2026-11-02 09:30 (UTC+8)"}
    assert run(town, "--out", str(out), "--force", "--run", "run1", language="zh") == 1
    first, second, *_ = csv.reader(io.StringIO(out.read_text(encoding="utf-8-sig")))
    assert first[-1] == "自查（非测评机构出具）" and second[-1] == "run1, 2026-08-03 09:00 (UTC+8)"
    assert all(not cell.startswith(("=", "+", "@")) for row in rows for cell in row)


def test_a_pack_for_each_department_with_sums_that_are_true(town: Inventory, chain: Chain, tmp_path: Path) -> None:
    out = tmp_path / "packs"
    assert run(town, "--all", "departments", "--out", str(out)) == 1
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == [
        "education", "minqin-education", "minqin-health",
    ]  # fmt: skip
    lines = (out / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 9
    for line in lines:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    education = (out / "education/self-assessment.html").read_text(encoding="utf-8")
    assert "Municipal Education Bureau" in education and "town-no-empty (education)" in education
    assert "minqin-health" not in education, "another department's affairs are not in its pack"
    assert run(town, "--all", "departments", "--out", str(out)) == 2
    assert run(town, "--all", "counties", "--out", str(out), "--force", "--format", "html") == 1
    assert sorted(path.name for path in out.iterdir()) == ["SHA256SUMS", "minqin"]
    other = tmp_path / "precious"
    other.mkdir()
    assert run(town, "--all", "counties", "--out", str(other), "--force") == 2 and other.is_dir()


def test_json_says_what_it_is_and_what_it_rests_on(
    town: Inventory, chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(town, "--format", "json", "--department", "education") == 1
    data = json.loads(capsys.readouterr().out)
    assert data["kind"] == "self-assessment" and data["scope"]["hosts"] == ["education"] and data["exit_code"] == 1
    known = {record.seq: record.hash for record in chain.records()}
    for one in (*data["items"], *data["hazards"]):
        assert one["evidence"] and all(known[entry["seq"]] == entry["sha256"] for entry in one["evidence"])
    assert [point["run"] for point in data["trend"]] == ["run1", "run2"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_oscal_is_what_others_take(town: Inventory, chain: Chain, language: str) -> None:
    from pydantic import ValidationError
    from trestle.oscal.assessment_results import Model

    set_language(language)
    context = open_context(town)
    for kind, name in (("city", ""), ("department", "education"), ("department", "village-xuebai")):
        one = found(town, kind, name)
        data = oscal(context, one, NOW)
        (told,) = Model.model_validate(data).assessment_results.results
        assert len(told.findings) == 8 and data == oscal(context, found(town, kind, name), NOW)
        ids = [entry["uuid"] for entry in objects(data) if "uuid" in entry]
        assert len(ids) == len(set(ids))
        named = {entry["observation-uuid"] for entry in objects(data) if "observation-uuid" in entry}
        named |= {entry["risk-uuid"] for entry in objects(data) if "risk-uuid" in entry}
        named |= {entry["subject-uuid"] for entry in objects(data) if "subject-uuid" in entry}
        assert named <= set(ids), "nothing is named that is not there"
    states = {
        entry["target"]["target-id"]: (entry["target"]["status"]["state"], entry["target"]["status"]["reason"])
        for entry in oscal(context, found(town), NOW)["assessment-results"]["results"][0]["findings"]
    }
    assert states["TR-1.2a"] == ("satisfied", "pass") and states["TR-1.1a"] == ("not-satisfied", "fail")
    assert states["TR-2.1b"] == ("not-satisfied", "other") and states["TR-2.1c"] == ("satisfied", "other")
    (folder_of(town) / "run2.json.gz").unlink()
    Model.model_validate(oscal(context, found(town), NOW))
    data["assessment-results"]["results"][0]["findings"][0]["target"]["status"]["state"] = "perhaps"
    with pytest.raises(ValidationError, match="perhaps"):
        Model.model_validate(data)


def objects(data: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON document."""
    if isinstance(data, dict):
        yield data
        for value in data.values():
            yield from objects(value)
    elif isinstance(data, list):
        for value in data:
            yield from objects(value)


def test_the_noc_learns_what_became_worse_and_which_risk_ends(town: Inventory, chain: Chain) -> None:
    text = exposition(chain.records(), {"control": chain.head()})
    # Both passwords and tries were met, and so was that there is no such hazard.
    assert 'egov_assess_worse_items{standard="town-rules"} 3\n' in text
    until = int(datetime(2027, 2, 1, tzinfo=UTC).timestamp())
    line = r'egov_assess_accepted_until_timestamp_seconds\{standard="town-rules",item="TR-1.2b"\} (\d+)'
    assert [int(value) for value in re.findall(line, text)] == [until]
    records = list(chain.records())
    first = [record for record in records if record.body.get("run") == "run1"]
    assert "worse" not in exposition(first, {}), "nothing to compare the first with"
    # A risk that had run out before the assessment is plainly not met: no alarm for ever.
    late = [record for record in records if record.kind == "assess.accepted"]
    late[0].body["until"] = "2026-11-01"
    assert "accepted_until" not in exposition([*late, records[-1]], {})
