"""Every check, the drill and the evidence on real hosts: a planted fault turns each red and names it, then green again.

If a check stays green here while its fault is planted, it would have called a broken city good. If one does not come
back to green, either the fault was not undone or the city does not heal by itself: the detail says what is seen.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from egovctl import prometheus
from egovctl.checks import content, open_context
from egovctl.checks.collect import host as host_collector
from egovctl.checks.context import Context
from egovctl.checks.engine import run_checks
from egovctl.checks.model import Result, Status
from egovctl.evidence import Chain
from egovctl.evidence.keys import key_file
from egovctl.evidence.noted import file_of

pytestmark = pytest.mark.lab
PATIENCE = 150.0
RULES = "nft -f /etc/nftables.conf"
LOOK = "systemctl start egov-log-metrics.service"  # its timer comes once a minute
ARRIVAL = "/var/lib/prometheus/node-exporter/egov_log_arrival.prom"
DOCUMENTS = "/var/lib/prometheus/node-exporter/egov_backup_documents.prom"
# No backup writes DOCUMENTS meanwhile: none is begun, and one that runs has come to its end.
QUIET = "systemctl stop egov-backup-documents.timer; systemctl start egov-backup@documents.service"
TIMED = "systemctl start egov-backup-documents.timer"


@pytest.fixture(scope="module")
def context(city_lab) -> Context:
    """The city, with at least one backup of each service: the timers may not have come round yet."""
    found = open_context(city_lab.inventory)
    # PostgreSQL's first backup was made with the city, and its WAL comes by itself.
    due = [
        (host, f"systemctl start egov-backup@{service.name}.service")
        for service in found.plan.services
        if service.backup and service.backup.engine != "postgresql"
        for host in service.hosts
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda one: city_lab.on(*one), due))
    return found


def results(context: Context, check: str) -> list[Result]:
    return run_checks(context, [content.checks().get(check)])


def wait(context: Context, check: str, wanted: Callable[[list[Result]], bool]) -> list[Result]:
    """Judge again until it is as wanted; fail with what was last seen."""
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = results(context, check)
        if wanted(seen):
            return seen
        if time.monotonic() > deadline:
            told = "; ".join(f"{result.subject} {result.status} {result.detail['en']}" for result in seen)
            pytest.fail(f"{check} after {PATIENCE:.0f} s: {told}")
        time.sleep(1.5)


def all_pass(seen: list[Result]) -> bool:
    return bool(seen) and {result.status for result in seen} == {Status.PASS}


@dataclass(frozen=True)
class Fault:
    """What is planted where, how it is undone, and who must then say what. {lan}, {asn} ... are filled in."""

    check: str
    hosts: tuple[str, ...]
    plant: str
    undo: str
    subject: str
    words: tuple[str, ...]
    status: Status = Status.FAIL


OSPF_SILENT = (
    "nft 'add table inet fault; add chain inet fault in { type filter hook input priority -300; };"
    " add rule inet fault in iifname up0 meta l4proto 89 drop'"
)
ANNOUNCE = "vtysh -c 'configure terminal' -c 'router bgp {asn}' -c 'address-family ipv4 unicast' -c '%snetwork {lan}'"
AGE = f"sed -i '/^egov_backup_last_success/s/ [0-9.e+]*$/ 1000000000/' {DOCUMENTS}"
TEXTS = "/var/lib/prometheus/node-exporter/egov_sms.prom"
CENTRE = (
    "nft 'add table inet fault; add chain inet fault out { type filter hook output priority 0; };"
    " add rule inet fault out tcp dport 2775 reject with tcp reset'"
)
EDUCATION, HUB = "minqin-education", "hub-minqin"
FAULTS = {
    "unit stopped": Fault(
        "units-active",
        ("core2",),
        "systemctl stop snmpd",
        "systemctl start snmpd",
        "core2",
        ("snmpd.service",),
    ),
    "edited by hand": Fault(
        "drift",
        ("minqin-health",),
        "echo '# by hand' >> /etc/chrony/chrony.conf; sysctl -qw net.ipv4.conf.all.send_redirects=1",
        "sed -i '$d' /etc/chrony/chrony.conf; sysctl -qw net.ipv4.conf.all.send_redirects=0",
        "minqin-health",
        ("/etc/chrony/chrony.conf: content", "net.ipv4.conf.all.send_redirects: 1, wanted 0"),
    ),
    "unit running though planned off": Fault(
        "units-active",
        ("noc",),
        "systemctl start borgmatic.timer",
        "systemctl stop borgmatic.timer",
        "noc",
        ("running though planned off: borgmatic.timer",),
    ),
    "silent link": Fault(
        "neighbours-up",
        (HUB,),
        OSPF_SILENT,
        "nft delete table inet fault",
        HUB,
        ("missing: ospf4 core1@up0, ospf6 core1@up0", "not planned: none"),
    ),
    "prefix not announced": Fault(
        "prefixes-learned", (EDUCATION,), ANNOUNCE % "no ", ANNOUNCE % "", "noc", ("no route to: {lan}",)
    ),
    "cost raised by hand": Fault(
        "paths-as-planned",
        (HUB,),
        "vtysh -c 'configure terminal' -c 'interface up0' -c 'ip ospf cost 60000'",
        "vtysh -c 'configure terminal' -c 'interface up0' -c 'ip ospf cost {cost}'",
        HUB,
        ("planned, not taken: core1 IPv4 via core1@up0;", "taken instead: core1 IPv4 via core2@up1"),
    ),
    "ssh open to users": Fault(
        "denied-flows-denied",
        (EDUCATION,),
        "nft insert rule inet egov input tcp dport 22 accept",
        RULES,
        EDUCATION,
        ("open though denied: minqin-education:22/tcp IPv4, minqin-education:22/tcp IPv6",),
    ),
    "users reach other users": Fault(  # both routers deny it, so both must fail
        "denied-flows-denied",
        (EDUCATION, "minqin-health"),
        "nft insert rule inet egov forward tcp dport 443 accept",
        RULES,
        EDUCATION,
        ("open though denied: users@minqin-health:443/tcp IPv4, users@minqin-health:443/tcp IPv6",),
    ),
    "shared service closed": Fault(
        "denied-flows-denied",
        ("backup",),
        "nft insert rule inet egov forward tcp dport 80 drop",
        RULES,
        EDUCATION,
        ("closed though allowed: users@backup:80/tcp IPv4 timeout",),
    ),
    "listener dead": Fault(
        "denied-flows-denied",
        ("noc",),
        "systemctl stop prometheus",
        "systemctl start prometheus",
        EDUCATION,
        ("listener not proven alive: noc:9090/tcp IPv4",),
        Status.UNKNOWN,
    ),
    "way in from a router": Fault(
        "management-closed",
        ("noc",),
        "nft insert rule inet egov input tcp dport 22 accept",
        RULES,
        EDUCATION,
        ("open: noc:22/tcp IPv4",),
    ),
    "users reach another department": Fault(  # both routers deny it, so both must fail
        "reachability",
        (EDUCATION, "minqin-health"),
        "nft insert rule inet egov forward tcp dport 4444 accept",
        RULES,
        "",
        ("minqin-health.lan:4444/tcp IPv4", "minqin-education.lan -> minqin-health.lan:4444/tcp IPv6"),
    ),
    "shared service closed to one site": Fault(
        "reachability",
        ("town-caiqi",),
        "nft insert rule inet egov forward tcp dport 80 drop",
        RULES,
        "",
        ("open though denied 0", "town-caiqi.lan -> shared-services.lan:80/tcp IPv4"),
    ),
    "clock daemon stopped": Fault(
        "time-in-step", ("backup",), "systemctl stop chrony", "systemctl start chrony", "backup", ("506",)
    ),
    "target down": Fault(
        "targets-up",
        ("core1",),
        "systemctl stop prometheus-node-exporter",
        "systemctl start prometheus-node-exporter",
        "",
        ("down: node core1",),
    ),
    "logs of a host that stopped": Fault(
        "logs-arriving",
        ("noc",),
        # What is already open is cut too, and what came last looks as old as it would be a while later.
        "nft insert rule inet egov input ip saddr {core2} tcp dport 6514 drop"
        f" && touch -d '-10 min' /var/log/egov/core2/*.log && {LOOK}",
        RULES,
        "",
        ("nothing for 3 minutes: core2", "never: none"),
    ),
    "logs of a host that never came": Fault(
        "logs-arriving",
        ("noc",),
        "nft insert rule inet egov input ip saddr {core2} tcp dport 6514 drop"
        " && rm -rf /root/kept && mv /var/log/egov/core2 /root/kept",
        f"rm -rf /var/log/egov/core2 && mv /root/kept /var/log/egov/core2 && {RULES}",
        "",
        ("nothing for 3 minutes: none", "never: core2"),
    ),
    "nobody looks at what arrives": Fault(
        "logs-arriving",
        ("noc",),
        f"systemctl stop egov-log-metrics.timer && sed -i '/^egov_log_look/s/ [0-9.e+]*$/ 1000000000/' {ARRIVAL}",
        "systemctl start egov-log-metrics.timer",
        "",
        (),
        Status.UNKNOWN,
    ),
    "closed day not sealed": Fault(
        "logs-sealed",
        ("noc",),
        f"touch /var/log/egov/core1/2026-01-01.log && {LOOK}",
        f"rm /var/log/egov/core1/2026-01-01.log && {LOOK}",
        "",
        ("not sealed in time: noc",),
    ),
    "file of no seal": Fault(
        "logs-sealed",
        ("noc",),
        "echo planted | gzip > /var/log/egov/core1/2026-01-01.log.gz; ! systemctl start egov-seal-logs.service",
        "rm /var/log/egov/core1/2026-01-01.log.gz && systemctl start egov-seal-logs.service",
        "",
        ("a seal or a sealed file was changed: noc",),
    ),
    "backup too old": Fault(
        "backups-fresh",
        (EDUCATION,),
        f"{QUIET} && cp -p {DOCUMENTS} /root/kept.prom && {AGE}",
        f"cp -p /root/kept.prom {DOCUMENTS}; {TIMED}",
        "documents",
        ("older than 60 min (RPO): minqin-education", "no backup: none"),
    ),
    "backup never made": Fault(
        "backups-fresh",
        (EDUCATION,),
        f"{QUIET} && mv {DOCUMENTS} /root/kept.prom",
        f"mv /root/kept.prom {DOCUMENTS}; {TIMED}",
        "documents",
        ("no backup: minqin-education",),
    ),
    "nobody delivers mail": Fault(
        "mail-delivering",
        ("shared-services",),
        "systemctl stop egov-dovecot && systemctl start egov-mail-probe.service",
        "systemctl start egov-dovecot egov-postfix && systemctl start egov-mail-probe.service",
        "mail",
        ("takes no mail: none", "delivers none: shared-services", "lets nobody read: shared-services"),
    ),
    "the operator's centre is gone": Fault(
        "sms-answering",
        ("shared-services",),
        f"{CENTRE} && systemctl restart egov-bearerbox && systemctl start egov-sms-probe",
        "nft delete table inet fault; for n in $(seq 30); do systemctl start egov-sms-probe;"
        f" grep -q 'centre_online 1' {TEXTS} && break; sleep 1; done",
        "sms",
        ("service silent: none", "Kannel silent: none", "cut off from the operator: shared-services"),
    ),
}


# One fault a check; what else turns a check red is tried in make test-long.
FIRST = {fault.check: name for name, fault in reversed(FAULTS.items())}.values()
TRIED = list(FAULTS) if os.environ.get("EGOV_LONG") else [name for name in FAULTS if name in FIRST]


@contextmanager
def planted(city_lab, hosts: tuple[str, ...], plant: str, undo: str) -> Iterator[None]:
    done = []
    try:
        for host in hosts:
            done.append(host)
            city_lab.on(host, plant)
        yield
    finally:
        for host in done:
            city_lab.on(host, undo)


def test_a_city_as_planned_is_green_in_every_check(context: Context, city_lab) -> None:
    for check in content.checklists().get("as-planned").checks:
        wait(context, check, all_pass)
    run = ("assess", "run", "as-planned", "-i", str(city_lab.inventory.root), "--format", "json")
    for _ in range(3):  # `up` is of one moment: a single late scrape says nothing of the city
        done = city_lab.egovctl(*run, check=False)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        if done.returncode == 0:
            break
        print([result for result in report["results"] if result["status"] != "pass"])
    assert done.returncode == report["exit_code"] == 0 and report["totals"]["pass"] == len(report["results"]) >= 20
    assert {result["check"] for result in report["results"]} == set(content.checklists().get("as-planned").checks)


def test_every_check_of_the_plan_has_a_fault_that_turns_it_red() -> None:
    assert {FAULTS[name].check for name in TRIED} == set(content.checklists().get("as-planned").checks)


@pytest.mark.parametrize("name", TRIED)
def test_a_planted_fault_is_seen_and_named_and_its_end_too(context: Context, city_lab, name: str) -> None:
    fault = FAULTS[name]
    lan = next(item for item in context.city.lans if item.site == EDUCATION)
    cost = context.city.hosts[HUB].interface("up0").cost
    core2 = context.city.hosts["core2"].address_v4
    names = {"{lan}": str(lan.v4), "{asn}": str(context.plan.city.asn), "{cost}": str(cost), "{core2}": core2}

    def filled(text: str) -> str:
        for placeholder, value in names.items():
            text = text.replace(placeholder, value)
        return text

    subject = fault.subject or context.city.inventory

    def as_wanted(seen: list[Result]) -> bool:
        mine = next(result for result in seen if result.subject == subject)
        return mine.status is fault.status and all(filled(word) in mine.detail["en"] for word in fault.words)

    with planted(city_lab, fault.hosts, filled(fault.plant), filled(fault.undo)):
        wait(context, fault.check, as_wanted)
    wait(context, fault.check, all_pass)


def test_a_host_that_does_not_answer_is_unknown_and_the_others_are_judged(context, city_lab, monkeypatch) -> None:
    monkeypatch.setattr(host_collector, "HOST_SECONDS", 20)

    def others_answered(seen: list[Result]) -> bool:
        return Status.UNKNOWN not in {result.status for result in seen if result.subject != EDUCATION}

    with planted(city_lab, (EDUCATION,), "nft insert rule inet egov input tcp dport 22 drop", RULES):
        seen = {result.subject: result for result in wait(context, "time-in-step", others_answered)}
    assert seen.pop(EDUCATION).status is Status.UNKNOWN
    managed = [host for host in context.city.hosts.values() if "managed" in host.groups]
    assert {result.status for result in seen.values()} == {Status.PASS} and len(seen) == len(managed) - 1
    wait(context, "time-in-step", all_pass)


def run_drill(city_lab, *arguments: str):
    root = str(city_lab.inventory.root)
    return city_lab.egovctl("drill", "run", "restore-files", "-i", root, "--format", "json", *arguments, check=False)


@pytest.mark.long
def test_the_backups_of_every_service_restore_within_the_promise(context: Context, city_lab) -> None:
    done = run_drill(city_lab)
    report = json.loads(done.stdout)
    assert (done.returncode, report["outcome"], report["verdict"]) == (0, "completed", "met"), done.stdout + done.stderr
    borg = [s for s in context.plan.services if s.backup and s.backup.engine == "borg"]
    planned = {(s.name, host) for s in borg for host in s.hosts}
    assert {(item["service"], item["host"]) for item in report["items"]} == planned
    documents = next(item for item in report["items"] if item["service"] == "documents")
    assert documents["files_compared"] >= 200 and 0 < documents["rto_seconds"] < 1800
    assert not list((city_lab.inventory.state / "scratch").iterdir())


def test_a_repository_with_one_flipped_bit_is_not_called_good(city_lab) -> None:
    flip = (
        "import glob,os; p=max(glob.glob('/srv/borg/minqin-education/data/*/*'), key=os.path.getsize);"
        " f=open(p,'r+b'); n=os.path.getsize(p)//2; f.seek(n); b=f.read(1)[0]; f.seek(n); f.write(bytes([b^1]))"
    )
    command = f'python3 -c "{flip}"'
    with planted(city_lab, ("backup",), command, command):
        done = run_drill(city_lab, "--service", "documents")
        report = json.loads(done.stdout)
    assert done.returncode in (1, 3) and report["verdict"] != "met" and report["cleaned"], done.stdout
    assert run_drill(city_lab, "--service", "documents").returncode == 0


def test_results_are_metrics_and_the_evidence_is_whole(context: Context, city_lab) -> None:
    done = city_lab.egovctl("evidence", "verify", "-i", str(city_lab.inventory.root), "--format", "json")
    verdict = json.loads(done.stdout)[0]
    assert verdict["ok"] and int(verdict["head"].split(":")[0]) >= 4
    url = prometheus.prometheus_url(context.inventory, context.city)
    wanted = (
        'egov_check_ok{check="neighbours-up",subject="noc"} == 1',
        'egov_drill_rto_seconds{service="documents"} > 0',
    )
    deadline = time.monotonic() + PATIENCE
    while not all(prometheus.query(url, expression) for expression in wanted):
        assert time.monotonic() < deadline, "the results did not reach Prometheus"
        time.sleep(2)


def on_the_noc(city_lab, folder: Path) -> tuple[str, ...]:
    """Anchors of the two places on the NOC, as an inspector has them: its own logs of two days, and its Prometheus."""
    days = folder / "days.log"
    days.write_text(city_lab.on("noc", "cat $(ls /var/log/egov/noc/*.log | tail -n 2)").stdout, encoding="utf-8")
    return ("--anchor", f"syslog:{days}", "--anchor", "metric:")


def test_a_signed_head_is_in_the_noc_s_logs_and_in_prometheus(city_lab, tmp_path: Path) -> None:
    where = ("-i", str(city_lab.inventory.root))
    signed = city_lab.egovctl("evidence", "checkpoint", *where)
    assert not signed.stderr, signed.stderr
    path = city_lab.inventory.evidence / "control.jsonl"
    whole = path.read_bytes()
    head, deadline = Chain(path).head(), time.monotonic() + PATIENCE
    noted = file_of(key_file(city_lab.inventory), "control")
    aside = noted.with_name(".aside")
    try:
        path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
        done = city_lab.egovctl("evidence", "verify", *where, check=False)
        assert done.returncode == 1 and f"head when it was last signed {head}" in done.stdout
        noted.rename(aside)  # root takes that, too
        assert city_lab.egovctl("evidence", "verify", *where, check=False).returncode == 0, "nothing shows here alone"
        for anchors in ((0, 2), (2, 4)):
            while True:
                chosen = on_the_noc(city_lab, tmp_path)[slice(*anchors)]
                done = city_lab.egovctl("evidence", "verify", *where, *chosen, check=False)
                if f"{head.count} records were known" in done.stdout:
                    break
                assert time.monotonic() < deadline, (chosen, done.stdout, done.stderr)
                time.sleep(2)
    finally:
        path.write_bytes(whole)
        if aside.exists():
            aside.rename(noted)
    done = city_lab.egovctl("evidence", "verify", *where, *on_the_noc(city_lab, tmp_path))
    assert "(enrolled)" in done.stdout and f"the newest of {head.count} records" in done.stdout


def test_a_changed_record_is_named_and_a_cut_tail_shows_against_a_kept_head(city_lab) -> None:
    path = city_lab.inventory.evidence / "control.jsonl"
    whole = path.read_bytes()
    verify = ("evidence", "verify", "-i", str(city_lab.inventory.root))
    head = json.loads(city_lab.egovctl(*verify, "--format", "json").stdout)[0]["head"]
    lines = whole.splitlines(keepends=True)
    try:
        path.write_bytes(b"".join([*lines[:1], lines[1].replace(b'"run":"', b'"run":"x', 1), *lines[2:]]))
        done = city_lab.egovctl(*verify, check=False)
        assert done.returncode == 1 and "record 1 was changed" in done.stdout
        path.write_bytes(b"".join(lines[:-1]))
        done = city_lab.egovctl(*verify, "--head", head, check=False)
        assert done.returncode == 1 and "the tail was cut" in done.stdout
    finally:
        path.write_bytes(whole)
