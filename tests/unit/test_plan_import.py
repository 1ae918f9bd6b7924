"""egovctl plan import: a list of sites becomes an inventory that passes `plan check`, or nothing is written.

How failure would look: a city that differs from its list (a site at another address, a link that is missing), a fault
without the row that it is in, or half an inventory after a refusal.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from import_cases import SMALL, Row, imported, rows_of, shipped, table, write_csv, write_xlsx

from egovctl.commands.main import main
from egovctl.i18n import set_language
from egovctl.paths import Inventory, project_root
from egovctl.plan import PlanError, load
from egovctl.plan.sitelist.cells import kind, mbps, slug, tidy
from egovctl.plan.sitelist.columns import FIELDS
from egovctl.plan.sitelist.emit import flow
from egovctl.plan.sitelist.numbering import ELSEWHERE, Unnumbered, assign
from egovctl.plan.sitelist.template import HELP
from egovctl.plan.source import parse_source

CJK = re.compile("[\u4e00-\u9fff]")
some = settings(max_examples=60, deadline=None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, so that a test may make inventories."""
    (tmp_path / "inventories").mkdir()
    (tmp_path / "ansible.cfg").touch()
    monkeypatch.setenv("EGOV_PROJECT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def egovctl(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run one command in this process; returns (exit code, stdout, stderr)."""

    def run(*arguments: str, lang: str = "en") -> tuple[int, str, str]:
        try:
            with pytest.raises(SystemExit) as left:
                main(["--lang", lang, *arguments])
        finally:
            set_language(None)
        output = capsys.readouterr()
        return int(left.value.code or 0), output.out, output.err

    return run


def faults(path: Path, **city: Any) -> list[str]:
    with pytest.raises(PlanError) as caught:
        imported(path, **city)
    assert all(len(fault.splitlines()) == 1 for fault in caught.value.faults)
    return list(caught.value.faults)


# The same city again

# Groups that hosts have by services.yml and contacts.yml.
NOT_OF_SITES = {
    "backup_clients", "mail", "mariadb", "postgresql", "postgresql_backups", "deadman", "notifier", "sms",
    "sms_gateway", "smsc",
}  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("name", ["wuwei", "lab"])
def test_a_plan_s_sites_through_a_list_are_the_same_city(tmp_path: Path, name: str, form: str) -> None:
    plan, city = shipped(name)
    cells = table(rows_of(plan), language=form == "xlsx")
    path = (write_csv if form == "csv" else write_xlsx)(tmp_path / f"list.{form}", cells)
    result = imported(path, name)
    assert [county.name for county in result.plan.counties] == [county.name for county in plan.counties]
    assert sorted(item.name for item in result.plan.verticals) == sorted(item.name for item in plan.verticals)
    assert result.plan.sites == plan.sites
    assert (result.city.links, result.city.lans, list(result.city.hosts)) == (city.links, city.lans, list(city.hosts))
    for host in city.hosts.values():
        # What services a host has is not in the list of sites; all that is made from sites is the same.
        theirs = dataclasses.replace(result.city.hosts[host.name], services=(), groups=())
        assert theirs == dataclasses.replace(host, services=(), groups=()), host.name
        lost = set(host.groups) - set(result.city.hosts[host.name].groups)
        assert lost <= NOT_OF_SITES, host.name


def test_wuwei_is_numbered_as_it_is_from_its_hubs_alone(tmp_path: Path) -> None:
    plan, _ = shipped("wuwei")
    rows = [{**row, "number": row["number"] if row["kind"] == "hub" else ""} for row in rows_of(plan)]
    result = imported(write_csv(tmp_path / "list.csv", table(rows)), "wuwei")
    assert {site.name: site.number for site in result.plan.sites} == {site.name: site.number for site in plan.sites}
    assert (result.numbered.made, result.numbered.elsewhere) == (len(rows) - 4, 0)


def test_the_order_of_rows_and_columns_means_nothing(tmp_path: Path) -> None:
    plan, city = shipped("lab")
    rows, fields = rows_of(plan), list(FIELDS)
    random.Random(7).shuffle(rows)
    random.Random(8).shuffle(fields)
    result = imported(write_csv(tmp_path / "list.csv", table(rows, fields)), "lab")
    assert {site.name: site for site in result.plan.sites} == {site.name: site for site in plan.sites}
    assert {link.child: link for link in result.city.links} == {link.child: link for link in city.links}


def test_kept_addresses_and_links_of_a_running_city(tmp_path: Path) -> None:
    rows = [dict(row) for row in SMALL]
    rows[4] |= {
        "lan_v4": "172.20.5.0/24", "lan_v6": "2001:db8:ffff:7::/64", "loopback_v4": "10.250.0.9",
        "uplinks": "hub-minqin:100M:172.20.0.0/30；core2：0.5G", "manage": "snmpd、base", "platform": "linux",
    }  # fmt: skip
    rows[4]["uplinks"] = "hub-minqin：100M：172.20.0.0/30；core2：1G"
    result = imported(write_csv(tmp_path / "list.csv", table(rows)))
    site = result.plan.site("minqin-health")
    assert [(link.to, link.mbps, str(link.v4)) for link in site.uplinks] == [
        ("hub-minqin", 100, "172.20.0.0/30"), ("core2", 1000, "None"),
    ]  # fmt: skip
    assert site.manage == ("snmpd", "base")
    host = result.city.hosts["minqin-health"]
    assert (host.address_v4, str(host.interface("lan0").v4)) == ("10.250.0.9", "172.20.5.1/24")
    assert str(host.interface("lan0").v6) == "2001:db8:ffff:7::1/64"


# What a list may look like


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    result = imported(write_csv(tmp_path / "list.csv", table(SMALL), encoding))
    assert result.plan.site("minqin-health").title.zh == "民勤县卫生健康局"
    assert result.plan.counties[0].title.en == "Minqin County"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "list.csv"
    lines = [delimiter.join(f'"{cell}"' for cell in row) for row in table(SMALL)]
    path.write_text("\r\n".join(lines), encoding="utf-8")
    assert len(imported(path).plan.sites) == 5


def test_a_title_above_the_header_other_columns_and_empty_rows(tmp_path: Path) -> None:
    cells = [[*row, extra] for row, extra in zip(table(SMALL), ["联系电话", *"12345"], strict=True)]
    cells = [["某市政务外网站点表"], [], *cells[:3], [], *cells[3:]]
    path = write_csv(tmp_path / "list.csv", cells)
    assert imported(path).ignored == ("联系电话",)
    cells[7][list(FIELDS).index("kind")] = "仓库"
    assert faults(write_csv(tmp_path / "bad.csv", cells))[0].startswith("bad.csv, row 8: 类别: '仓库' is no kind")


@pytest.mark.parametrize(
    "headings",
    [
        {"kind": "类别 / kind", "mbps": "带宽（Mbit/s）", "name": "名称(标识)"},
        {"kind": "Kind", "title_en": "Title EN", "name": "NAME", "uplinks": "Uplink"},
        {"kind": "站点\n类别", "title_zh": "单位名称", "name": "名称"},
    ],
)
def test_headings_as_people_write_them(tmp_path: Path, headings: Row) -> None:
    cells = table(SMALL)
    cells[0] = [headings.get(name, text) for name, text in zip(FIELDS, cells[0], strict=True)]
    assert imported(write_csv(tmp_path / "list.csv", cells)).plan.site("hub-minqin").county == "minqin"


def test_a_column_called_name_that_holds_chinese_titles_is_the_title(tmp_path: Path) -> None:
    fields = [name for name in FIELDS if name not in ("name", "title_zh")]
    cells = [
        [*row, extra]
        for row, extra in zip(table(SMALL, fields), ["名称", *(r["title_zh"] for r in SMALL)], strict=True)
    ]
    plan = imported(write_csv(tmp_path / "list.csv", cells)).plan
    assert [(site.name, site.title.zh) for site in plan.sites][-1] == ("minqin-health-bureau", "民勤县卫生健康局")


def test_counties_and_verticals_are_known_by_any_of_their_names(tmp_path: Path) -> None:
    rows = [dict(row) for row in SMALL]
    rows[3]["vertical"] = "health"
    rows[4] |= {"county": "Minqin County", "vertical": "卫生健康纵向网"}
    more = {**rows[4], "name": "two", "county": "minqin", "vertical": "health", "vertical_zh": "卫生健康纵向网"}
    plan = imported(write_csv(tmp_path / "list.csv", table([*rows, more]))).plan
    assert [(item.name, item.title.zh, item.title.en) for item in plan.verticals] == [
        ("health", "卫生健康纵向网", "Health")
    ]
    assert [item.name for item in plan.counties] == ["minqin"]
    assert {site.vertical for site in plan.sites if site.kind == "department"} == {"health"}


def test_what_the_list_leaves_out_is_made_from_what_it_says(tmp_path: Path) -> None:
    rows = [{key: text for key, text in row.items() if key not in ("name", "county_zh")} for row in SMALL]
    rows[3] |= {"county": "民勤县", "title_en": "Hub of Minqin"}
    rows[1]["title_zh"] = ""
    result = imported(write_csv(tmp_path / "list.csv", table(rows)))
    plan = result.plan
    assert [site.name for site in plan.sites] == ["core", "noc", "backup", "hub-of-minqin", "minqin-health-bureau"]
    assert plan.sites[0].routers == ("core1", "core2")
    assert [host.name for host in plan.site("noc").hosts] == ["control"]
    assert (plan.counties[0].name, plan.counties[0].title.zh) == ("minqin", "民勤县")
    assert plan.site("minqin-health-bureau").uplinks[0].to == "hub-of-minqin"
    assert (plan.site("noc").title.zh, result.titles_made) == ("NOC", 1)


# What is refused, with its row

BAD = {
    "kind": (4, {"kind": "仓库"}, "kind: '仓库' is no kind; write one of core, hub,"),
    "no kind": (4, {"kind": ""}, "the kind is missing"),
    "no name": (4, {"name": "", "title_en": ""}, "民勤县卫生健康局 has no name in letters; fill in name"),
    "pinyin": (4, {"name": "民勤卫健"}, "民勤卫健 cannot be a name; use a-z, 0-9 and -"),
    "number": (4, {"number": "12a"}, "number: '12a' is no whole number"),
    "number range": (4, {"number": "12000"}, "number of site minqin-health is 12000: it must be 9999 or less"),
    "number twice": (4, {"number": "12"}, "has number 12, which hub-minqin has already; take one that is free"),
    "name twice": (4, {"name": "backup"}, "site backup is planned twice; give one of them another name"),
    "county": (4, {"county": "古浪县"}, "古浪县 has no name in letters; give its English name in the column county en"),
    "county contradiction": (
        4, {"county": "minqin", "county_zh": "古浪县"}, "古浪县 contradicts 民勤县 of row 5; one county"),
    "hub county": (4, {"kind": "hub", "county": "", "uplinks": "core1:9; core2:9"}, "hub minqin-health needs a county"),
    "bandwidth": (4, {"uplinks": "hub-minqin:fast"}, "uplinks: 'fast' is no bandwidth; write a number of Mbit/s"),
    "no bandwidth": (4, {"uplinks": "hub-minqin"}, "the uplink to hub-minqin has no bandwidth; write hub-minqin:100"),
    "two bandwidths": (4, {"mbps": "50"}, "the bandwidth column says '50' and the uplinks say otherwise"),
    "no uplink": (4, {"uplinks": ""}, "department minqin-health has 0 uplinks; a department needs 1"),
    "unknown uplink": (4, {"uplinks": "hub-gulang:100"}, "has an uplink to hub-gulang, which is no router of the plan"),
    "unknown title": (4, {"uplinks": "古浪汇聚:100"}, "the uplink leads to 古浪汇聚, and no one site"),
    "two routers": (4, {"uplinks": "核心:100"}, "核心 has several routers; write the uplink to core1 or core2"),
    "one uplink": (3, {"uplinks": "core1:200"}, "hub hub-minqin has one uplink; a hub needs 2"),
    "platform": (4, {"platform": "ios"}, "platform of site minqin-health is 'ios': it must be one of"),
    "lan": (4, {"lan_v4": "172.20.5.1/24"}, "that is no IPv4 prefix; its host bits must be zero"),
    "lan overlap": (4, {"lan_v4": "10.64.2.0/24"}, "overlaps"),
    "loopback": (4, {"loopback_v4": "10.250.0"}, "loopback_v4 of site minqin-health, addresses is '10.250.0'"),
    "tunnel": (4, {"uplinks": "hub-minqin:100:internet"}, "has an uplink via internet and no attachment"),
    "internet": (4, {"internet": "1.2.3.4/24 5 6"}, "internet: '1.2.3.4/24 5 6' is not understood; write"),
    "hosts": (4, {"hosts": "printer:9"}, "hosts: 'printer:9' is not understood; write NAME:switch:20:unmanaged"),
    "manage": (4, {"manage": "SNMP!"}, "manage 1 of site minqin-health is 'SNMP!': it has characters"),
    "control": (4, {"title_zh": "a\x07b"}, "title zh: it has characters that cannot be shown"),
    "jinja": (4, {"title_en": "{{ lookup('env', 'HOME') }}"}, "title en: a Jinja expression is not allowed in a plan"),
    "half a short name": (4, {"short_zh": "卫健局"}, "a short name is in both languages or in none"),
    "long short name": (4, {"short_zh": "卫生健康局", "short_en": "Health"}, "it should have 3 characters at most"),
    "long": (4, {"title_zh": "长" * 300}, "it should have 200 characters at most"),
    "longer": (4, {"title_zh": "长" * 3000}, "title zh: it has more than 2000 characters"),
    "vertical": (3, {"vertical": "health", "kind": "video"}, "(video) has no users that could be in"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_each_bad_row_is_one_sentence_with_its_row(tmp_path: Path, case: str) -> None:
    place, change, sentence = BAD[case]
    rows = [dict(row) for row in SMALL]
    rows[place] |= change
    found = faults(write_csv(tmp_path / "list.csv", table(rows, language=1)))
    told = [fault for fault in found if sentence in fault]
    assert told and told[0].startswith(f"list.csv, row {place + 2}: "), found
    set_language("zh")
    try:
        chinese = faults(tmp_path / "list.csv")
    finally:
        set_language(None)
    assert len(chinese) == len(found) and all(CJK.search(fault.partition("行：")[0]) for fault in chinese)
    assert any(f"list.csv，第 {place + 2} 行: " in fault for fault in chinese)


def test_all_faults_at_once_and_fifty_at_most(tmp_path: Path) -> None:
    rows = [dict(row) for row in SMALL]
    rows[3]["number"], rows[4]["kind"] = "x", "y"
    # The department's uplink leads to a title; that the hub's row was left out is no fault of the department's.
    rows.append({**rows[4], "name": "other", "kind": "部门", "platform": "ios"})
    assert [fault.partition(":")[0] for fault in faults(write_csv(tmp_path / "list.csv", table(rows)))] == [
        "list.csv, row 5", "list.csv, row 6", "list.csv, row 7",
    ]  # fmt: skip
    rows += [{"name": f"d{i}", "title_zh": "某局", "kind": "?"} for i in range(60)]
    found = faults(write_csv(tmp_path / "many.csv", table(rows)))
    assert len(found) == 51 and found[-1] == "13 more faults; correct these and run it again"


def test_what_is_wrong_with_no_row_names_the_file_and_an_option_itself(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "list.xlsx", table(SMALL[:2]))
    assert faults(path) == ["list.xlsx, sheet 站点: the plan has 0 sites of kind backup; it needs exactly one"]
    path = write_csv(tmp_path / "list.csv", table(SMALL))
    assert faults(path, asn=1) == ["--asn: asn of city is 1: it must be 64512 or more"]


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ([["a", "b"], ["1", "2"]], "list.csv: no header within the first 30 rows; it needs at least kind and title"),
        ([["类别", "单位名称"], ["核心", "核心"]], "list.csv, row 1: the header has neither name nor title en"),
        ([["kind", "name", "类型"], ["core", "core", ""]], "list.csv, row 1: columns kind and 类型 mean the same"),
        ([["kind", "name"]], "list.csv, row 1: there are no sites below the header"),
    ],
)
def test_headers_that_say_too_little_or_too_much(tmp_path: Path, cells: list[list[str]], sentence: str) -> None:
    found = faults(write_csv(tmp_path / "list.csv", cells))
    assert len(found) == 1 and found[0].startswith(sentence)


# The command


def test_import_writes_an_inventory_that_plan_check_finds_good(project: Path, egovctl: Any) -> None:
    path = write_xlsx(project / "list.xlsx", table(SMALL))
    code, out, err = egovctl("plan", "import", str(path), "-i", "town", "--name-zh", "某市", "--name-en", "Some City")
    assert (code, err) == (0, "")
    assert out.startswith("good: Some City, 1 county, 5 sites") and "playbooks/enrol.yml" in out
    assert "4 numbers were given by the convention; they never change once used" in out
    root = project / "inventories" / "town"
    assert sorted(str(item.relative_to(root)) for item in root.rglob("*.yml")) == [
        "city.yml", "plan/city.yml", "plan/services.yml",
    ]  # fmt: skip
    assert yaml.safe_load((root / "city.yml").read_text(encoding="utf-8")) == {"plugin": "egov_plan"}
    assert [item.name for item in (project / "inventories").iterdir()] == ["town"]
    code, out, _ = egovctl("plan", "check", "-i", "town", "--format", "json")
    assert (code, json.loads(out)["good"]) == (0, True)
    text = (root / "plan" / "city.yml").read_text(encoding="utf-8")
    assert re.match(r"# Made from list\.xlsx, sheet 站点 on 20\d\d-\d\d-\d\d by egovctl plan import\.\n", text)
    assert "  - {number: 221, name: minqin-health, kind: department, county: minqin,\n     title: {zh: 民勤县" in text
    assert [service.name for service in load(Inventory(root))[0].services] == [
        "network-configuration", "monitoring", "backups",
    ]  # fmt: skip


def test_import_refuses_what_is_there_and_what_cannot_be_a_name(project: Path, egovctl: Any) -> None:
    path = write_csv(project / "list.csv", table(SMALL))
    (project / "inventories" / "town").mkdir()
    for name, sentence in (("town", "is there already"), ("../x", "cannot be the name"), ("lib", "cannot be the name")):
        code, out, err = egovctl("plan", "import", str(path), "-i", name)
        assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not list((project / "inventories" / "town").iterdir())
    code, _, err = egovctl("plan", "import", str(path))
    assert code == 2 and "-i NEWNAME" in err


def test_nothing_is_written_on_a_fault_or_in_a_dry_run(project: Path, egovctl: Any) -> None:
    rows = [dict(row) for row in SMALL]
    rows[4]["kind"] = "?"
    code, out, err = egovctl("plan", "import", str(write_csv(project / "bad.csv", table(rows))), "-i", "town")
    assert (code, out) == (2, "") and err.startswith("error: bad.csv, row 6: 类别: '?' is no kind")
    code, out, err = egovctl(
        "plan", "import", str(write_csv(project / "good.csv", table(SMALL))), "-i", "town", "--dry-run"
    )
    assert code == 0 and err.startswith("good: Town")
    documents = list(yaml.safe_load_all(out))
    assert documents[0] == {"plugin": "egov_plan"} and len(documents[1]["sites"]) == 5 and documents[2]["services"]
    assert list((project / "inventories").iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(project: Path, egovctl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = egovctl("plan", "import", str(write_csv(project / "list.csv", table(SMALL))), "-i", "town")
    assert code == 3 and "No space left" in err
    assert list((project / "inventories").iterdir()) == []


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_the_template_imports_cleanly(project: Path, egovctl: Any, form: str, lang: str) -> None:
    path = project / f"list.{form}"
    assert egovctl("plan", "import", "--template", str(path), lang=lang)[0] == 0
    code, out, err = egovctl("plan", "import", str(path), "-i", "town", lang=lang)
    assert (code, err) == (0, "") and bool(CJK.search(out)) == (lang == "zh")
    assert len(load(Inventory(project / "inventories" / "town"))[0].sites) == 3
    before = path.read_bytes()
    code, _, err = egovctl("plan", "import", "--template", str(path), lang=lang)
    assert code == 2 and err and path.read_bytes() == before
    assert egovctl("plan", "import", "--template", str(project / "list.ods"), lang=lang)[0] == 2


def test_the_template_explains_every_column() -> None:
    assert list(HELP) == list(FIELDS)
    assert all(CJK.search(zh) or name == "platform" for name, (zh, _, _) in HELP.items())
    assert not any(CJK.search(en) for _, en, _ in HELP.values())


def test_another_plane_beside_is_compared(project: Path, egovctl: Any) -> None:
    path = write_csv(project / "list.csv", table(SMALL))
    assert egovctl("plan", "import", str(path), "-i", "town")[0] == 0
    common = ("plan", "import", str(path), "-i", "town-private", "--plane", "private", "--beside", "town")
    code, _, err = egovctl(*common)
    assert code == 2 and "error: --loopback-v4: pool loopback_v4 10.240.0.0/16 overlaps 10.240.0.0/16 of town" in err
    pools = ("--loopback-v4", "10.242.0.0/16", "--transit-v4", "10.243.0.0/16", "--lan-v4", "10.96.0.0/11")
    assert egovctl(*common, *pools, "--v6", "3fff:db8::/32")[0] == 0
    shutil.rmtree(project / "inventories" / "town-private")


def test_the_manual_s_list_imports_as_it_says(project: Path, egovctl: Any) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "import.md").read_text(encoding="utf-8")
    block = manual.split("```csv\n")[1].split("```")[0]
    (project / "sites.csv").write_text(block, encoding="utf-8")
    code, out, _ = egovctl(
        "plan", "import", "sites.csv", "-i", "jiangcheng", "--name-zh", "江城市", "--name-en", "Jiangcheng"
    )
    assert code == 0
    shown = manual.split("```console\n")[1].split("```")[0].split("\n", 1)[1]
    assert re.sub("revision [0-9a-f]+", "revision", out) == re.sub("revision [0-9a-f]+", "revision", shown)


# Properties

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@some
@given(
    st.recursive(
        texts | st.integers() | st.booleans(), lambda x: st.lists(x, max_size=3) | st.dictionaries(texts, x, max_size=3)
    )
)
def test_what_is_written_is_read_again(value: Any) -> None:
    if "{{" in str(value) or "{%" in str(value):
        return
    text = f"a: {flow(value)}\nb:\n  - {flow(value)}\n"
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        assert yaml.load(text, Loader=loader) == {"a": value, "b": [value]}


@pytest.mark.parametrize(
    "word", ["no", "yes", "null", "~", "0221", "1e3", "0x1f", "12:30", "1.5", "2026-11-26", "=", "<<", ""]
)
def test_words_that_yaml_would_misread_are_quoted(word: str) -> None:
    assert flow(word) == json.dumps(word)
    assert parse_source("x.yml", f"a: {{b: {flow(word)}}}").data == {"a": {"b": word}}


@some
@given(texts)
def test_any_cell_is_tidy_or_unreadable_and_any_title_gives_a_label_or_nothing(text: str) -> None:
    cell = tidy(text)
    assert not isinstance(cell, str) or cell == tidy(cell)
    assert re.fullmatch(r"([a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?)?", slug(text))


@some
@given(st.lists(st.tuples(st.sampled_from(["core", "hub", "department", "town", "village", "mobile", "noc"]),
                          st.sampled_from(["", "a", "b"]), st.sampled_from("xyz"),
                          st.none() | st.integers(1, 9999)), max_size=60))  # fmt: skip
def test_numbers_are_each_given_once_and_those_that_are_there_stay(
    sites: list[tuple[str, str, str, int | None]],
) -> None:
    result = assign([Unnumbered(*site) for site in sites])
    assert all(given == (site[3] or given) for site, given in zip(sites, result.numbers, strict=True))
    made = [given for site, given in zip(sites, result.numbers, strict=True) if site[3] is None]
    assert None not in made and len(set(made)) == len(made) == result.made
    assert not set(made) & {site[3] for site in sites}


def test_numbers_that_the_convention_or_the_pools_have_no_room_for() -> None:
    hubs = [Unnumbered("hub", f"c{i}", "hub") for i in range(12)]
    result = assign(hubs, lambda number: number < 1002)
    assert result.numbers == (*range(12, 20), 11, ELSEWHERE.start, ELSEWHERE.start + 1, None)
    assert (result.made, result.elsewhere) == (11, 2)
    same = [Unnumbered("department", county, place) for county in ("c0", "c1") for place in ("x", "y", "x")]
    assert assign([*hubs[:2], *same]).numbers[2:] == (221, 222, 223, 321, 322, 323)


cell = (
    st.sampled_from(
        [
            "",
            "core1",
            "core1:100",
            "部门",
            "hub",
            "核心",
            "1",
            "0",
            "10.0.0.0/24",
            "dhcp",
            "minqin",
            "民勤县",
            "a:b:c",
            "x" * 40,
        ]
    )
    | texts
)


@some
@given(st.lists(st.lists(cell, min_size=len(FIELDS), max_size=len(FIELDS)), min_size=1, max_size=4))
def test_any_list_is_a_city_or_sentences(tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "list.csv"
    header, *good = table(SMALL)
    write_csv(path, [header, *good, *cells])
    try:
        result = imported(path)
    except PlanError as error:
        assert all(len(fault.splitlines()) == 1 and fault.startswith(("list.csv", "--")) for fault in error.faults)
    else:
        assert {site.name for site in result.plan.sites} >= {row["name"] for row in SMALL}


def test_words_for_kinds_and_bandwidths() -> None:
    assert [kind(text) for text in ("核心", "Core", "乡镇", "市直部门", "移动应急", "shared services")] == [
        "core", "core", "town", "department", "mobile", "services",
    ]  # fmt: skip
    assert [mbps(text) for text in ("100", "100M", "100 Mbit/s", "１００兆", "1G", "100.0")] == [100] * 4 + [1000, 100]
    for text in ("", "0", "-1", "1.5", "fast", "1000000000"):
        with pytest.raises(ValueError, match="bandwidth"):
            mbps(text)


def test_project_root_is_not_the_one_that_tests_write_to(project: Path) -> None:
    assert project_root() == project
