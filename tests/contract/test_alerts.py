"""What every room of dashboards/ promises: current output, stories of speech and silence, a runbook, both languages.

If these fail, a person on duty gets an alert that nobody tried, cannot read, or finds nothing written about.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from promtool import PROJECT, promtool, series, stories

from egov_notify import ways
from egovctl.assess.standards import standards
from egovctl.boards import read_boards
from egovctl.checks import content, expected
from egovctl.paths import Inventory
from egovctl.plan import load
from egovctl.report.monthly.bandwidth import MEANS
from egovctl.signals import Room, plain_rules, read_catalogue, read_room
from egovctl.signals.rules import expression
from egovctl.signals.texts import SMS_LENGTH, longest, placeholders, ucs2

DASHBOARDS = PROJECT / "dashboards"
FOLDERS = sorted(path.parent for path in DASHBOARDS.glob("*/alerts.yml"))
ROOMS = [folder for folder in FOLDERS if plain_rules(folder) is None]
each_room = pytest.mark.parametrize("folder", ROOMS, ids=lambda path: path.name)
STORY = re.compile(r"(\w+) (speaks|is silent): .+")
NAME = re.compile(r"[a-z][a-z0-9_]*(?::[a-z0-9_]+){2}|[a-zA-Z_][a-zA-Z0-9_]*")
# Words of PromQL, label names and the like are no metrics; a metric has one of these beginnings.
METRIC = re.compile(r"(up$|scrape_|node_|if[A-Z]|egov_|snmp_|prometheus_|[a-z0-9_]+:[a-z0-9_]+:)")
# What render makes for the NOC (playbooks/roles/noc/templates/*.rules.yml.j2).
TEMPLATES = (PROJECT / "playbooks/roles/noc/templates").glob("*.rules.yml.j2")
RENDERED = {
    name for path in TEMPLATES for name in re.findall(r"record: (egov_\w+)", path.read_text(encoding="utf-8"))
} | {
    "egov_maintenance",
    "egov_service_maintenance",
}


def rooms() -> list[Room]:
    return [read_room(folder) for folder in ROOMS]


def metrics(expr: str) -> set[str]:
    """The metrics that an expression reads; what stands in quotes is a label's value."""
    return {name for name in NAME.findall(re.sub(r'"[^"]*"', "", expr)) if METRIC.match(name)}


def tales(folder: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load((folder / "alerts_test.yml").read_text(encoding="utf-8"))["tests"])


def test_what_is_built_is_what_the_rooms_say() -> None:
    command = [sys.executable, DASHBOARDS / "build.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_what_is_built() -> None:
    said = promtool("check", "rules", "--lint-fatal", *sorted((DASHBOARDS / "out").glob("*.rules.yml")))
    assert said.count("SUCCESS") == len(FOLDERS)


def test_the_noc_gets_every_room() -> None:
    bundle = yaml.safe_load((PROJECT / "playbooks/roles/noc/bundle.yml").read_text(encoding="utf-8"))
    files = {entry["path"]: entry for entry in bundle["files"]}
    for path in (DASHBOARDS / "out").glob("*.rules.yml"):
        entry = files[f"/etc/prometheus/egov.d/{path.name}"]
        assert (PROJECT / "playbooks/roles/noc/files" / entry["copy"]).resolve() == path
        assert entry["validate"] == "promtool check rules %s"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_stories_are_true(folder: Path) -> None:
    promtool("test", "rules", folder / "alerts_test.yml")


@each_room
def test_every_alert_speaks_and_is_silent_in_a_story(folder: Path) -> None:
    told: dict[str, set[str]] = {}
    room = read_room(folder)
    reads = {alert.name: _roots(room, expression(room, alert)) for alert in room.alerts}
    for tale in tales(folder):
        match = STORY.fullmatch(tale["name"])
        assert match, f"a story is called ALERT speaks: ... or ALERT is silent: ...; {tale['name']!r}"
        alert, what = match[1], match[2]
        fired = [sample["labels"] for check in tale["promql_expr_test"] for sample in check["exp_samples"]]
        assert any(f'alertname="{alert}"' in labels for labels in fired) == (what == "speaks"), tale["name"]
        assert any("ALERTS" in check["expr"] for check in tale["promql_expr_test"])
        if alert != "Watchdog":
            given = {NAME.match(item["series"])[0] for item in tale["input_series"]}  # type: ignore[index]
            assert given & reads[alert], f"nothing that {alert} reads is in {tale['name']!r}"
        told.setdefault(alert, set()).add(what)
    # The dead-man is never silent: that is what it is for.
    wanted = {item.name: {"speaks"} if item.name == "Watchdog" else {"speaks", "is silent"} for item in room.alerts}
    assert told == wanted


@each_room
def test_maintenance_silences_whatever_speaks_of_a_site(folder: Path, tmp_path: Path) -> None:
    """Each story of speech again, while somebody works at all its sites: what has a site or a link says nothing."""
    room, silent = read_room(folder), []
    for alert in room.alerts:
        speaks_of_site = {"site", "peer_site"} & set(placeholders(alert.description.en))
        # A host that Prometheus does not know of is a fault of the NOC's, whoever works where.
        assert alert.unless or not speaks_of_site or alert.name == "EgovHostUnmeasured", alert.name
        if {"maintenance", "link-maintenance"} & set(alert.unless):
            silent.append(alert.name)
    tests = []
    for tale in tales(folder):
        alert = tale["name"].partition(" ")[0]
        if alert in silent and "speaks" in tale["name"]:
            sites = set(re.findall(r'site="([^"]+)"', str(tale["input_series"])))
            added = [{"series": series("egov_maintenance", site=site), "values": "1x400"} for site in sorted(sites)]
            fired = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
            checks = [{**check, "expr": fired, "exp_samples": []} for check in tale["promql_expr_test"]]
            tests.append({**tale, "input_series": [*tale["input_series"], *added], "promql_expr_test": checks})
    assert len(tests) >= len(silent)
    stories(tmp_path / "maintenance.yml", [DASHBOARDS / "out" / f"{folder.name}.rules.yml"], tests)


def _roots(room: Room, expr: str) -> set[str]:
    """All metrics that an expression reads, through the room's signals too."""
    found = metrics(expr)
    known = {item.name: item.expr for item in room.signals}
    return found | {name for signal in found & set(known) for name in _roots(room, known[signal]) - found}


@each_room
def test_every_alert_has_a_section_in_the_runbook(folder: Path) -> None:
    text = (folder / "runbook.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    titles = [section.partition("\n")[0].strip() for section in sections]
    assert titles == [alert.name for alert in read_room(folder).alerts]
    for section in sections:
        assert re.search(r"[\u4e00-\u9fff]", section) and "**What to do.**" in section, section.partition("\n")[0]


def words(language: str) -> dict[str, set[str]]:
    """What labels can say in the cities that are planned here."""
    found: dict[str, set[str]] = {word: set() for word in ("host", "site", "link", "service")}
    for name in ("lab", "wuwei"):
        plan, city = load(Inventory(PROJECT / "inventories" / name))
        found["site"] |= {getattr(site.title, language) for site in plan.sites}
        found["host"] |= set(city.hosts)
        found["service"] |= {service.name for service in plan.services}
        found["link"] |= {f"{link.child}:{link.child_interface}" for link in city.links}
    return found | {
        "peer_site": found["site"],
        "subject": found["host"],
        "check": set(content.checks().entries),
        "module": {path.stem for path in (PROJECT / "exporters/egov_exporters/profiles").glob("*.yml")},
        "job": {"prometheus", "snmp_exporter", "node", *expected.SNMP_JOBS.values()},
        "mountpoint": {"/var/lib/prometheus"},
        "target": {"255.255.255.255:161"},
        "engine_id": {"x" * 64},
        "way": set(ways.WAYS),
        "standard": set(standards().entries),
        "item": {name for entry in standards().entries.values() for name in entry.by_id},
        "certificate": {"logs", "mail"},
        "website": {"x" * 32},
        "part": {"Postfix", "Dovecot", "IMAP"},
    }


@each_room
def test_every_summary_fits_a_text_message_in_both_languages(folder: Path) -> None:
    room = read_room(folder)
    for language in ("zh", "en"):
        known = words(language)
        for alert in room.alerts:
            summary, description = getattr(alert.summary, language), getattr(alert.description, language)
            for text in (summary, description):
                assert bool(re.search(r"[\u4e00-\u9fff]", text)) == (language == "zh"), text
            said = longest(summary, room.unit(alert), known)
            assert ucs2(said) <= SMS_LENGTH, f"{alert.name}: {said!r} has {ucs2(said)} characters"
            assert set(placeholders(description)) <= {"value", "more", *known}, alert.name


def test_every_signal_is_used_and_reads_only_what_stands_above_it() -> None:
    boards = read_boards(DASHBOARDS, read_catalogue(DASHBOARDS))
    panels = [panel for board in boards.values() for panel in board.panels]
    shown = {name for panel in panels for item in panel.show for name in (item.signal, item.of)}
    for room in rooms():
        names = [item.name for item in room.signals]
        used = {name for alert in room.alerts for name in metrics(expression(room, alert))} | set(MEANS.values())
        for number, item in enumerate(room.signals):
            read = metrics(item.expr)
            used |= read
            assert not read & set(names[number:]), f"{item.name} reads a signal that is reckoned after it"
        assert set(names) <= used | shown, f"{room.name}: nobody reads {set(names) - used - shown}"


def test_every_metric_is_emitted_by_something_that_is_here() -> None:
    """A signal of something that nobody emits is for ever silent, and looks like good news."""
    catalogue = read_catalogue(DASHBOARDS)
    for item in catalogue.values():
        for name in metrics(item.expr) - set(catalogue) - RENDERED:
            assert list(emitters(name)), f"{item.name} reads {name}, which nothing emits"


def emitters(name: str) -> Iterator[str]:
    """Who emits a metric: a program of ours that has the name in its source, or one of Debian's that we know."""
    if name == "up":
        yield "prometheus"
    if name in DEBIAN:
        yield DEBIAN[name]
    base = name.removesuffix("_total")
    for path in SOURCES:
        if base in path.read_text(encoding="utf-8"):
            yield path.name


SOURCES = [
    *(PROJECT / "exporters/egov_exporters/snmp").glob("*.py"),
    *(PROJECT / "exporters/egov_exporters/websites").glob("*.py"),
    *(PROJECT / "exporters/egov_notify").glob("*.py"),
    *(PROJECT / "exporters/egov_sms").glob("*.py"),
    *(PROJECT / "exporters/egov_exporters/profiles").glob("*.yml"),
    PROJECT / "cli/egovctl/checks/metrics.py",
    *(PROJECT / "playbooks/roles").glob("*/files/*"),
]
# Metrics of Debian 12's node_exporter 1.5 (collectors that are on by default) and Prometheus 2.42, from their sources.
DEBIAN = {
    "node_filesystem_avail_bytes": "filesystem", "node_filesystem_size_bytes": "filesystem",
    "node_filesystem_readonly": "filesystem", "node_filesystem_files": "filesystem",
    "node_filesystem_files_free": "filesystem", "node_memory_MemAvailable_bytes": "meminfo",
    "node_memory_MemTotal_bytes": "meminfo", "node_time_seconds": "time", "node_textfile_scrape_error": "textfile",
    "node_cpu_seconds_total": "cpu", "node_hwmon_temp_celsius": "hwmon",
    "scrape_duration_seconds": "prometheus", "scrape_samples_scraped": "prometheus",
    "prometheus_tsdb_head_series": "prometheus", "prometheus_tsdb_head_samples_appended_total": "prometheus",
    "prometheus_rule_group_last_duration_seconds": "prometheus",
    "prometheus_rule_group_interval_seconds": "prometheus",
    "prometheus_notifications_errors_total": "prometheus",
    "prometheus_notifications_dropped_total": "prometheus",
    "prometheus_config_last_reload_successful": "prometheus", "prometheus_rule_evaluation_failures_total": "prometheus",
}  # fmt: skip
