"""Genuine software: bounds that hold whatever unreached computers have, files read strictly, a bill of materials."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import facts_cases
import pytest
import register_cases as cases
from click.testing import CliRunner
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from egovctl import transport
from egovctl.assess import software as genuine
from egovctl.assess.software import Entitlements, Installed, Line
from egovctl.commands.assess import assess
from egovctl.errors import UsageError
from egovctl.evidence import open_chain
from egovctl.paths import Inventory
from egovctl.transport import HostSilent

TODAY = date(2026, 9, 21)
LIST = """id: entitlements
computers: 4
products:
  - {name: "Microsoft Windows*", class: system, entitled: 2, proof: contract 12}
  - {name: "WPS*", class: office, entitled: 5, until: 2026-09-21, proof: contract 13}
  - {name: "Guard*", class: anti-virus, entitled: 1, until: 2026-09-20, proof: contract 9}
"""
CSV = """computer,name,version
pc1,Microsoft Windows 10 Pro,10.0
pc1,Microsoft Windows Update Helper,1
pc1,WPS Office,12
pc2,MICROSOFT WINDOWS 11,10.0
pc2,Guard,1
pc3,Microsoft Windows 10 Pro,10.0
pc3,LibreOffice 7.4,7.4
"""


def held(tmp_path: Path, text: str = LIST) -> Entitlements:
    (tmp_path / "entitlements.yml").write_text(text, encoding="utf-8")
    return genuine.entitlements(tmp_path)


def listed(tmp_path: Path, text: str | bytes = CSV) -> list[Installed]:
    path = tmp_path / "windows.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return genuine.read_csv(path)


def test_a_computer_counts_once_a_product_and_an_entitlement_ends_with_its_day(tmp_path: Path) -> None:
    lines = {one.product: one for one in genuine.lines(listed(tmp_path), held(tmp_path), TODAY)}
    assert lines["Microsoft Windows*"] == Line("Microsoft Windows*", "system", 3, 2, 2)
    assert lines["WPS*"].covered == 1 and lines["LibreOffice*"].held is None
    assert lines["Guard*"] == Line("Guard*", "anti-virus", 1, 0, 0)


def test_the_bounds_of_a_class_and_whether_targets_are_reached() -> None:
    lines = [Line("a", "system", 8, 7, 7), Line("b", "system", 1, None, 1)]
    system, office, _ = genuine.rates(lines, 1)
    assert (system.low, system.high) == (0.8, 0.9)
    assert [system.reaches(target) for target in (0.7, 0.85, 1.0)] == [True, None, False]
    assert (office.low, office.high, office.reaches(0.7)) == (0.0, 1.0, None)
    assert genuine.rates([], 0)[0].low is None and genuine.rates([], 0)[0].reaches(1.0) is None


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 10), st.data())
def test_whatever_the_unreached_have_lies_between_the_bounds(
    installed: int, entitled: int, unreached: int, data: st.DataObject
) -> None:
    covered = min(installed, entitled)
    (rate, *_) = genuine.rates([Line("a", "system", installed, entitled, covered)], unreached)
    good = data.draw(st.integers(0, unreached))
    if installed + unreached:
        true = (covered + good) / (installed + unreached)
        assert rate.low is not None and rate.high is not None and rate.low <= true <= rate.high


def test_files_of_windows_are_read_in_both_codes(tmp_path: Path) -> None:
    text = "computer,name,version\r\npc1,金山办公,12\r\n\r\n"
    for data in (text.encode("utf-8-sig"), text.encode("gb18030")):
        assert listed(tmp_path, data) == [Installed("pc1", "金山办公", "12")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "csv:1: expected computer,name,version"),
        ("name,version\na,b\n", "csv:1: expected"),
        ("computer,name,version\npc1,Word\n", "csv:2: expected"),
        ("computer,name,version\npc1,,3\n", "csv:2: expected"),
        ('computer,name,version\npc1,"Word" x,3\n', "not CSV"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        listed(tmp_path, text)
    with pytest.raises(UsageError, match="cannot be read"):
        genuine.read_csv(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("old", "new", "en", "zh"),
    [
        ("class: system", "class: game", "class", "应为 'system'、'office'、'anti-virus' 之一"),
        ("entitled: 2", "entitled: -2", "entitled", "应不小于 0"),
        (", proof: contract 12", "", "need a proof", "授权需有凭据"),
        ("entitled: 2, proof: contract 12", "free: true, entitled: 2", "needs no number", "免费的不需要数量和期限"),
        ("computers: 4", "computer: 4", "computer", "缺少此键"),
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_wrong_entitlements_are_refused_with_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, old: str, new: str, en: str, zh: str
) -> None:
    monkeypatch.setenv("EGOV_LANG", language)
    assert old in LIST
    with pytest.raises(UsageError, match={"zh": zh, "en": en}[language]) as caught:
        held(tmp_path, LIST.replace(old, new, 1))
    assert "entitlements.yml:" in str(caught.value)
    monkeypatch.setenv("EGOV_LANG", "en")
    with pytest.raises(UsageError, match="there are no entitlements"):
        genuine.entitlements(tmp_path / "none")


def test_the_bill_of_materials_names_each_version_once() -> None:
    release = "Debian GNU/Linux 12 (bookworm)"
    hosts = [one for host in ("a", "b") for one in genuine.debian(host, facts_cases.DPKG, release)]
    assert len(hosts) == 8, "what is removed but for its files is not installed"
    bill = genuine.cyclonedx([*hosts, *hosts, Installed("pc1", "WPS", "12")], "lab", "2026-09-21T00:00:00.000Z")
    assert (bill["bomFormat"], bill["specVersion"], len(bill["components"])) == ("CycloneDX", "1.5", 5)
    by_name = {one["name"]: one for one in bill["components"]}
    assert by_name["chrony"]["purl"] == "pkg:deb/debian/chrony@4.3-2%2Bdeb12u1"
    assert by_name["chrony"]["properties"] == [{"name": "egov:computers", "value": "2"}]
    assert by_name[release]["type"] == "operating-system" and "purl" not in by_name["WPS"]
    assert len({one["bom-ref"] for one in bill["components"]}) == 5


VALIDATOR = JsonStrictValidator(SchemaVersion.V1_5)


def valid(bill: dict[str, Any]) -> str:
    """What the official schema of CycloneDX 1.5 says against it; "" for nothing."""
    return str(VALIDATOR.validate_str(json.dumps(bill, ensure_ascii=False)) or "")


TOLD = st.builds(Installed, st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=30), st.text(max_size=12))
PACKAGED = st.builds(
    Installed,
    st.just("noc"),
    st.from_regex("[a-z0-9][a-z0-9+.-]{1,9}", fullmatch=True),
    st.from_regex("([0-9]:)?[0-9][A-Za-z0-9.+~-]{0,9}", fullmatch=True),
    st.just("deb"),
)


@settings(max_examples=40)
@given(st.lists(TOLD | PACKAGED, max_size=9))
def test_whatever_is_installed_the_bill_of_materials_fits_the_official_schema(installed: list[Installed]) -> None:
    bill = genuine.cyclonedx(installed, "lab", "2026-09-21T00:00:00.000Z")
    assert not valid(bill), valid(bill)
    names = {(one.package, one.name, one.version) for one in installed}
    assert len(bill["components"]) == len(names)
    for entry in bill["components"]:
        if "purl" in entry:
            found = PackageURL.from_string(entry["purl"])
            assert (found.type, found.namespace) == ("deb", "debian")
            assert (found.name, found.version) == (entry["name"], entry["version"])


def test_the_official_schema_finds_what_is_wrong_in_a_bill_of_materials() -> None:
    bill = genuine.cyclonedx([Installed("pc1", "WPS", "12")], "lab", "2026-09-21T00:00:00.000Z")
    assert not valid(bill)
    for spoilt in (
        bill | {"serialNumber": "urn:uuid:1"},
        bill | {"metadata": {"timestamp": "yesterday"}},
        bill | {"components": bill["components"] * 2},
        bill | {"extra": 1},
        bill | {"components": [{"type": "thing", "name": "x"}]},
    ):
        assert valid(spoilt), spoilt


def test_the_command_asks_hosts_and_files_and_says_what_is_not_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Inventory, "state", property(lambda self: tmp_path / "state"))
    (tmp_path / "state").mkdir()
    root = tmp_path / "town"
    (root / "software").mkdir(parents=True)
    (root / "plan").symlink_to(cases.LAB / "plan")
    monkeypatch.setattr("egovctl.commands.assess_register.require_network", lambda inventory: None)

    def run(inventory: Inventory, host: str, program: str, params: Any, **_: Any) -> Any:
        if host == "noc":
            raise HostSilent("noc", "timed out")
        at = __import__("time").time()
        groups = {name: {"at": at, "answers": facts_cases.answers_of(name)} for name in params["groups"]}
        return {"protocol": 1, "at": at, "cpu": 0.1, "groups": groups}

    monkeypatch.setattr(transport, "run_python", run)
    words = ["register", "software", "-i", str(root), "--lang", "en"]
    refused = CliRunner().invoke(assess, words)
    assert isinstance(refused.exception, UsageError)
    held(root / "software")
    listed(root / "software")
    bill = tmp_path / "bom.json"
    done = CliRunner().invoke(assess, [*words, "--cyclonedx", str(bill)])
    assert done.exit_code == 1 and "2 were not reached" in done.output, done.output
    assert not valid(json.loads(bill.read_text("utf-8")))
    assert json.loads(bill.read_text("utf-8"))["metadata"]["component"]["name"] == "town"
    assert "not put on record" not in done.output
    asked = json.loads(CliRunner().invoke(assess, [*words, "--format", "json"]).stdout)
    told = json.loads(CliRunner().invoke(assess, [*words, "--no-hosts", "--format", "json"]).stdout)
    assert told["classes"][0]["installed"] == 3 and told["unreached"] > 2
    assert asked["recorded"] and not told["recorded"]
    chinese = CliRunner().invoke(assess, [*words[:-1], "zh", "--no-hosts"])
    assert "正版率" in chinese.output and "不能确定" in chinese.output and "未记入证据" in chinese.output
    assert "not put on record" in CliRunner().invoke(assess, [*words, "--no-hosts"]).output

    def silent(inventory: Inventory, host: str, *_: Any, **__: Any) -> Any:
        raise HostSilent(host, "timed out")

    monkeypatch.setattr(transport, "run_python", silent)
    assert "not put on record" in CliRunner().invoke(assess, words).output, "nor when every host is silent"
    counted = [record for record in open_chain(Inventory(root)).records() if record.kind == "software.counted"]
    assert len(counted) == 2, "each count of hosts is on record, and no other"
    assert counted[-1].body["classes"] == asked["classes"] != told["classes"]
