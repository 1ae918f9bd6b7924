"""A city whose plan, evidence and registers are as they should be, and for each check what turns it red.

A change takes what is known and gives it changed. Where a check can also be left to people, or be partly so, that is
named by the status that it must give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from egovctl.checks.collect.registers import Given
from egovctl.checks.content import Shelf
from egovctl.checks.context import open_context
from egovctl.checks.model import Status
from egovctl.checks.registers.entries import Register
from egovctl.drill.model import Target
from egovctl.drill.past import Covered, Past
from egovctl.evidence import NO_RECORD, Head, Record, Verdict
from egovctl.paths import Inventory

LAB = Path(__file__).resolve().parents[2] / "inventories" / "lab"
NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
REVISION = "0123456789abcdef" * 4
MANAGERS = ["audit1", "security1", "system1"]
PLACES = ["backup", "core", "hub-minqin", "noc", "shared-services"]
GRADE_3 = ["network-configuration", "register"]


def ago(days: float) -> date:
    return (NOW - timedelta(days=days)).date()


def entry(days: float = 30, **more: Any) -> dict[str, Any]:
    return {"day": ago(days), "by": "Li Ming", **more}


LET_IN = {"organisation": "Maker", "approved_by": "Wang Fang", "opened_by": "system1", "rights": "read"}
GOING = {"approved_by": "Wang Fang", "secrecy": ago(40)}
ENTRIES: dict[str, list[dict[str, Any]]] = {
    "trainings": [
        *(entry(365, topic=topic, who=MANAGERS) for topic in ("awareness", "skills", "emergency-plans")),
        *(entry(365, topic=topic, who=["Zhao"]) for topic in ("awareness", "skills")),
        entry(365, topic="duties", who=["Zhao", *MANAGERS]),
    ],
    "tests": [
        entry(365, who=[*MANAGERS, "guest"], passed=MANAGERS),
        entry(365, who=["Zhao", "guest"], passed=["Zhao"]),
    ],
    "incidents": [
        entry(40, threat="failure", what="disk", reported=ago(40), closed=ago(35), cause="age", lesson="spare disk"),
        entry(30, threat="attack", what="scan", reported=ago(30)),
    ],
    "approvals": [entry(10, plan=REVISION[:8], approved_by="Wang Fang")],
    "reviews": [
        entry(365, about="approvals", outcome="kept"),
        entry(365, about="rules", outcome="one changed"),
        entry(365, about="emergency-plans", outcome="kept"),
        entry(31, about="audit-records", outcome="nothing"),
        entry(92, about="malware-protection", outcome="works"),
    ],
    "evaluations": [
        entry(365, body="Evaluators", report="no. 1", services=["register"], findings=3, mended=3),
        entry(180, body="Evaluators", report="no. 2", services=["network-configuration"], findings=3, mended=2),
    ],
    "filings": [
        entry(400, service=name, grade=3 if name in GRADE_3 else 2, number="62-1")
        for name in ("documents", "register", "portal", "mail", "sms", "network-configuration", "monitoring", "systems")
    ],
    "outside-contacts": [entry(365, organisation="CERT", person="Zhao", reach="010-1", field="incidents")],
    "outside-connections": [
        entry(365, host=host, purpose="tunnels", approved_by="Wang Fang")
        for host in ("core1", "core2", "hub-minqin", "town-caiqi", "mobile1")
    ],
    "outsiders": [
        entry(60, who="Sun", until=ago(50), removed=ago(50), applied=ago(60), secrecy=ago(60), **LET_IN),
        entry(5, who="Qian", until=ago(0), applied=ago(9), secrecy=ago(400), **LET_IN),
    ],
    "media": [
        entry(365, medium="tape 1", action="counted", place="safe"),
        entry(900, medium="tape 2", action="archived", place="safe"),
        entry(100, medium="tape 2", action="wiped", place="noc"),
        entry(100, medium="tape 2", action="destroyed", place="noc"),
    ],
    "upkeep": [entry(365, site=place, what="dusted") for place in PLACES],
    "documents": [
        entry(700, about="policy", title="Policy", version="1", approved_by="Wang Fang"),
        entry(700, about="rules", title="Rules", version="3", approved_by="Wang Fang"),
        entry(31, about="check-notice", title="Notice", version="1", approved_by="Wang Fang"),
        entry(
            0, about="manual", title="Manual", version="1", approved_by="Wang Fang", platforms=["linux", "unmanaged"]
        ),
        entry(0, about="emergency-plan", title="Plan", version="1", approved_by="Wang Fang", services=GRADE_3),
    ],
    "facility-tests": [
        entry(365, facility=facility, site=place, passed=True)
        for facility in ("ups", "second-feed", "fire", "burglary", "water")
        for place in PLACES
    ],
    "taken-out": [
        entry(5, what="laptop", approved_by="Wang Fang", has_data=True, encrypted=True),
        entry(5, what="screen", approved_by="Wang Fang", has_data=False, encrypted=False),
    ],
    "security-tests": [
        *(
            entry(0, service=n, phase="going-live", origin="own", passed=True, cryptography=True, report="7")
            for n in GRADE_3
        ),
        entry(9, service="portal", phase="development", origin="own", passed=True),
        entry(9, service="portal", phase="delivery", origin="contracted", passed=True),
        entry(9, service="portal", phase="going-live", origin="own", passed=False),
        entry(9, service="portal", phase="going-live", origin="contracted", passed=False),
    ],
    "supplier-audits": [
        entry(365, supplier="Maker", outcome="good"),
        entry(800, supplier="Maker", outcome="good"),
    ],
    "custodians": [entry(0, site=place, who="Zhou") for place in PLACES],
    "source-changes": [entry(9, service="portal", version="1.2", approved_by="Wang Fang")],
    "posts": [
        entry(700, who="Sun Li", post="security", account="security1", full_time=True),
        entry(700, who="Chen", post="system", account="system1"),
        entry(700, who="Zhou", post="audit", account="audit1", until=ago(0)),
        entry(0, who="Zhao", post="database"),
        entry(900, who="Sun Li", post="database", until=ago(1)),
        entry(900, who="Gone", post="database", until=ago(1)),
        entry(-1, who="Coming", post="database"),
    ],
    "leavers": [
        entry(40, who="Gone", account="system9", rights_ended=ago(40), returned="card", **GOING),
        entry(40, who="Clerk", rights_ended=ago(50), returned="card", **GOING),
        entry(-9, who="Chen", account="system1"),
    ],
    "approval-matters": [
        entry(365, about=about, matter=about, department="Office", approvers=["Wang Fang"])
        for about in ("change", "operation", "physical-access", "system-access")
    ],
}


def record(kind: str, days: float, body: dict[str, Any], seq: int = 0) -> Record:
    at = (NOW - timedelta(days=days)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Record(seq, at, "control", kind, "1", REVISION, body, NO_RECORD)


def assessed(days: float, waiting: int = 0, standard: str = "mlps-level-3") -> Record:
    counts = {"met": 200, "unknown": waiting, "needs_statement": 0}
    return record("assess.standard", days, {"standard": standard, "score": {"counts": counts}})


def checked(days: float, *checks: str, status: str = "pass") -> Record:
    return record("assess.result", days, {"results": [{"check": name, "status": status} for name in checks]})


def looked(days: float, *hosts: str, missing: tuple[str, ...] = (), strange: tuple[str, ...] = ()) -> Record:
    found = {host: {"missing": list(missing), "strange": list(strange)} for host in hosts}
    return record("backup.look", days, {"hosts": found})


def share(kind: str, low: float | None, high: float | None) -> dict[str, Any]:
    return {"kind": kind, "installed": 10, "low": low, "high": high}


def counted(days: float, *classes: dict[str, Any]) -> Record:
    return record("software.counted", days, {"classes": list(classes)})


NOTHING = share("anti-virus", None, None)


def apply_begun(run: str, days: float, **who: str) -> Record:
    return record("apply.planned", days, {"run": run, "who": who or {"account": "root", "sudo_by": "system1"}})


def apply_ended(run: str, days: float) -> Record:
    return record("apply.result", days, {"run": run})


def applied(run: str, days: float, host: str, failed: bool, **more: Any) -> Record:
    return record("apply.host", days, {"run": run, "host": host, "failed": failed, **more})


def covered(service: str, days: float | None, overdue: bool = False, verdict: str = "met") -> Covered:
    at = None if days is None else record("x", days, {}).at
    past = Past("restore-files", Target(service, "noc"), at, verdict, (60.0,), 60.0)
    return Covered(service, "noc", "restore-files", 3600, 3600, past, overdue)


def _context() -> Any:
    """The lab's plan without what is honestly red in it."""
    context = open_context(Inventory(LAB))
    services = []
    for service in context.plan.services:
        update: dict[str, Any] = {}
        if service.name == "register":
            update = {"hosts": ("shared-services", "noc", "backup", "offsite")}
        if service.name == "monitoring" and service.backup is not None:
            update = {"backup": service.backup.model_copy(update={"paths": ("/var/log",)})}
        services.append(service.model_copy(update=update))
    links = tuple(replace(link, medium="tunnel") for link in context.city.links)
    plan = context.plan.model_copy(update={"services": tuple(services)})
    # A host that both sends its files and its database to the backup node is let in there by two rules.
    served = context.city.hosts["shared-services"]
    served = replace(served, groups=tuple(name for name in served.groups if name != "postgresql"))
    hosts = {**context.city.hosts, served.name: served}
    return replace(context, plan=plan, city=replace(context.city, hosts=hosts, links=links))


CONTEXT = _context()
BACKED_UP = sorted(host.name for host in CONTEXT.city.hosts.values() if "backup_clients" in host.groups)
RECORDS = (
    apply_begun("r1", 10),
    applied("r1", 10, "noc", False),
    applied("r1", 10, "core1", True, reason="bgpd did not start", rolled_back=True),
    apply_ended("r1", 10),
    apply_begun("old", 181, account="root"),
    applied("old", 181, "noc", True),
    apply_begun("running", 0.01),
    checked(31, "units-active", "drift", "backups-fresh"),
    assessed(31),
    looked(8, *BACKED_UP, missing=("a",)),
    looked(7, *BACKED_UP),
    record("backup.sealed", 1, {}),
    record("software.counted", 365, {"classes": [share("system", 1.0, 1.0), share("office", 1.0, 1.0), NOTHING]}),
)


def register(kind: str, entries: list[dict[str, Any]]) -> Register:
    return Register.model_validate({"id": kind, "entries": entries})


GOOD = Given(
    CONTEXT,
    RECORDS,
    Shelf("register", {kind: register(kind, entries) for kind, entries in ENTRIES.items()}),
    Verdict(True, Head(len(RECORDS), NO_RECORD)),
    (covered("documents", 365), covered("mail", 2)),
    NOW,
)
Change = Callable[[Given], Given]


def changed(given: Given, **more: Any) -> Given:
    """A copy that has worked nothing out yet."""
    return replace(given, **more, done={})


def kept(kind: str, entries: list[dict[str, Any]]) -> Change:
    """This register has these entries."""
    return lambda given: changed(given, kept=Shelf("register", {**given.kept.entries, kind: register(kind, entries)}))


def edited(kind: str, number: int, **update: Any) -> Change:
    """One entry with other values."""
    return kept(kind, [{**one, **(update if at == number else {})} for at, one in enumerate(ENTRIES[kind])])


def without(kind: str, number: int) -> Change:
    return kept(kind, [one for at, one in enumerate(ENTRIES[kind]) if at != number])


def not_kept(kind: str) -> Change:
    return lambda given: changed(
        given, kept=Shelf("register", {name: one for name, one in given.kept.entries.items() if name != kind})
    )


def recorded(*records: Record) -> Change:
    """The evidence is this."""
    return lambda given: changed(given, records=records)


def and_recorded(*records: Record) -> Change:
    return lambda given: changed(given, records=(*given.records, *records))


def unrecorded(kind: str) -> Change:
    return lambda given: changed(given, records=tuple(one for one in given.records if one.kind != kind))


def rehearsed(*rows: Covered) -> Change:
    return lambda given: changed(given, covered=rows)


def planned(**update: Any) -> Change:
    """The plan has other values."""

    def change(given: Given) -> Given:
        plan = given.context.plan.model_copy(update=update)
        return changed(given, context=replace(given.context, plan=plan))

    return change


def built(**update: Any) -> Change:
    """The derived city has other values; a function is given the city."""

    def change(given: Given) -> Given:
        city = given.context.city
        values = {name: value(city) if callable(value) else value for name, value in update.items()}
        return changed(given, context=replace(given.context, city=replace(city, **values)))

    return change


def serviced(name: str, **update: Any) -> Change:
    """One service of the plan with other values."""

    def change(given: Given) -> Given:
        services = tuple(
            one.model_copy(update=update) if one.name == name else one for one in given.context.plan.services
        )
        return planned(services=services)(given)

    return change


def hosted(name: str, **update: Any) -> Change:
    """One host of the city with other values."""
    return built(hosts=lambda city: {**city.hosts, name: replace(city.hosts[name], **update)})


def both(*changes: Change) -> Change:
    def change(given: Given) -> Given:
        for one in changes:
            given = one(given)
        return given

    return change


def lined(number: int) -> Change:
    """One link is a line, and carries traffic as it is."""
    return built(
        links=lambda city: tuple(replace(k, medium="line") if i == number else k for i, k in enumerate(city.links))
    )


def overlapping(city: Any) -> Any:
    first, second, *rest = city.lans
    return (first, replace(second, v6=first.v6), *rest)


def overlapping_v4(city: Any) -> Any:
    first, second, *rest = city.lans
    return (first, replace(second, v4=first.v4), *rest)


FUTURE = {"day": ago(-1)}
TOO_OLD = {"day": ago(366)}
NO_PEOPLE = planned(administrators=())
NO_SERVICES = planned(services=())
NO_PLACES = planned(sites=())


def dated(kind: str, number: int, limit: int = 365) -> list[Change]:
    """An entry that must be there is too old, still to come, or missing."""
    return [edited(kind, number, day=ago(limit + 1)), edited(kind, number, **FUTURE), without(kind, number)]


def fresh(kind: str, number: int) -> Change:
    """An entry of today."""
    return edited(kind, number, day=ago(0))


ONE_MANAGER = planned(administrators=CONTEXT.plan.administrators[:1])
ONE_SERVICE = planned(services=tuple(one for one in CONTEXT.plan.services if one.name == "register"))
ONE_PLACE = planned(sites=tuple(one for one in CONTEXT.plan.sites if one.name == "noc"))
ONE_HOST = built(hosts={"core1": CONTEXT.city.hosts["core1"]})
ONE_APPLY = recorded(apply_begun("r1", 10), apply_ended("r1", 10))


def persons(role: str) -> Change:
    return lambda given: planned(
        administrators=tuple(one for one in given.context.plan.administrators if one.role != role)
    )(given)


def told(**update: Any) -> Change:
    def change(given: Given) -> Given:
        contacts = given.context.plan.contacts
        assert contacts is not None
        return planned(contacts=contacts.model_copy(update=update))(given)

    return change


def mails_only(given: Given) -> Given:
    contacts = given.context.plan.contacts
    assert contacts is not None
    return told(recipients=tuple(one for one in contacts.recipients if "mail" in one.ways))(given)


def one_on_call(given: Given) -> Given:
    contacts = given.context.plan.contacts
    assert contacts is not None and contacts.rota is not None
    return told(rota=contacts.rota.model_copy(update={"order": contacts.rota.order[:1]}))(given)


def untested(number: int) -> list[Change]:
    """One of the facilities at one of the sites."""
    other = "water" if number < 20 else "fire"
    return [
        *dated("facility-tests", number),
        edited("facility-tests", number, passed=False),
        edited("facility-tests", number, facility=other),
        edited("facility-tests", number, site="mobile1"),
        NO_PLACES,
    ]


RED: dict[str, list[Change]] = {
    "facilities-power-reserve": untested(0),
    "facilities-second-feed": untested(5),
    "facilities-fire": untested(10),
    "facilities-burglary": untested(15),
    "facilities-water": untested(20),
    "checks-notified": [
        *(edited("documents", 2, day=ago(days)) for days in (32, -1)),
        edited("documents", 2, about="manual"),
        recorded(assessed(366)),
        recorded(),
    ],
    "training-within-a-year": [
        kept("trainings", [entry(366, topic="skills", who=["x"])]),
        kept("trainings", [entry(-1, topic="skills", who=["x"])]),
        kept("trainings", []),
    ],
    "administrators-trained": [
        *dated("trainings", 0),
        *dated("trainings", 1),
        edited("trainings", 0, who=["system1", "audit1"]),
        edited("trainings", 1, who=["system1", "audit1"]),
        NO_PEOPLE,
    ],
    "emergency-plans-taught": [*dated("trainings", 2), edited("trainings", 2, who=["system1"]), NO_PEOPLE],
    "skills-tested": [*dated("tests", 0), edited("tests", 0, passed=["system1", "guest"]), NO_PEOPLE],
    "incidents-reported": [kept("incidents", [entry(2, threat="attack", what="scan")])],
    "incidents-analysed": [edited("incidents", 1, day=ago(31))],
    "changes-approved": [
        edited("approvals", 0, day=ago(9)),
        edited("approvals", 0, plan="ffffffff"),
        edited("approvals", 0, approved_by="system1"),
        without("approvals", 0),
        recorded(),
    ],
    "approvals-reviewed": dated("reviews", 0),
    "rules-reviewed": dated("reviews", 1),
    "emergency-plans-reviewed": dated("reviews", 2),
    "audit-records-reviewed": dated("reviews", 3, 31),
    "malware-reviewed": dated("reviews", 4, 92),
    "emergency-plans-there": [
        edited("documents", 4, services=["register"]),
        edited("documents", 4, about="manual"),
        edited("documents", 4, **FUTURE),
        NO_SERVICES,
    ],
    "evaluations-yearly": [*dated("evaluations", 0), edited("evaluations", 0, services=["mail"]), NO_SERVICES],
    "evaluation-findings-mended": [edited("evaluations", 1, day=ago(181)), kept("evaluations", [])],
    "grades-as-filed": [
        without("filings", 0),
        edited("filings", 1, grade=2),
        edited("filings", 1, grade="S2A3"),
        both(serviced("register", grade="S3A2G3"), edited("filings", 1, grade="S2A3G3")),
        edited("filings", 1, service="mail"),
        edited("filings", 1, **FUTURE),
        NO_SERVICES,
    ],
    "outside-contacts-listed": [
        edited("outside-contacts", 0, **TOO_OLD),
        edited("outside-contacts", 0, **FUTURE),
        kept("outside-contacts", []),
    ],
    "ways-out-approved": [
        *dated("outside-connections", 0),
        edited("outside-connections", 0, approved_by="Li Ming"),
        edited("outside-connections", 0, host="noc"),
        kept(
            "outside-connections",
            [*ENTRIES["outside-connections"], {**ENTRIES["outside-connections"][0], "host": "noc"}],
        ),
    ],
    "outsiders-approved": [edited("outsiders", 1, approved_by="Qian"), edited("outsiders", 1, until=ago(6))],
    "outsiders-registered": [
        edited("outsiders", 0, applied=None),
        edited("outsiders", 0, applied=ago(59)),
        edited("outsiders", 1, opened_by=None),
        edited("outsiders", 1, rights=None),
    ],
    "outsiders-bound": [edited("outsiders", 0, secrecy=None), edited("outsiders", 0, secrecy=ago(59))],
    "security-post-single": [
        without("posts", 0),
        edited("posts", 0, account="security2"),
        edited("posts", 0, post="system"),
        edited("posts", 0, full_time=False),
        edited("posts", 0, until=ago(1)),
        edited("posts", 0, **FUTURE),
        edited("posts", 1, who="Sun Li"),
        edited("posts", 2, who="Sun Li"),
        edited("posts", 4, until=ago(0)),
        edited("posts", 4, until=None),
        persons("security"),
    ],
    "posts-trained": [
        *(change for number in (3, 4, 5) for change in dated("trainings", number)),
        edited("trainings", 0, who=["audit1", "security1"]),
        edited("trainings", 1, who=["audit1", "security1"]),
        edited("trainings", 5, who=MANAGERS),
        edited("trainings", 5, who=["Zhao", "audit1", "security1"]),
        edited("posts", 5, until=ago(0)),
        edited("posts", 6, day=ago(0)),
        kept("posts", []),
        kept("posts", [entry(9, who="Gone", post="system", until=ago(1))]),
    ],
    "posts-tested": [
        *dated("tests", 1),
        edited("tests", 0, passed=["audit1", "security1"]),
        edited("tests", 1, passed=["guest"]),
        edited("posts", 5, until=ago(0)),
        edited("posts", 6, day=ago(0)),
        kept("posts", []),
        kept("posts", [entry(9, who="Gone", post="system", until=ago(1))]),
    ],
    "leavers-rights-ended": [
        edited("leavers", 0, rights_ended=None),
        edited("leavers", 0, rights_ended=ago(39)),
        edited("leavers", 1, returned=None),
        edited("leavers", 0, account="system1"),
        edited("leavers", 2, day=ago(0)),
    ],
    "leavers-bound": [
        edited("leavers", 0, secrecy=None),
        edited("leavers", 0, secrecy=ago(39)),
        edited("leavers", 1, approved_by=None),
        edited("leavers", 1, approved_by="Clerk"),
        edited("leavers", 2, day=ago(0)),
    ],
    "approval-matters-named": [
        *(without("approval-matters", number) for number in range(4)),
        edited("approval-matters", 1, **FUTURE),
        edited("approval-matters", 0, approvers=["Zhao"]),
        edited("approvals", 0, approved_by="Zhao"),
        edited("approvals", 0, approved_by="Zhao", day=ago(183)),
        edited("approvals", 0, approved_by="Zhao", day=ago(0)),
    ],
    "approval-matters-current": [
        edited("approval-matters", 3, **TOO_OLD),
        edited("approval-matters", 3, **FUTURE),
        kept("approval-matters", []),
    ],
    "outsiders-removed": [edited("outsiders", 0, removed=ago(49)), edited("outsiders", 1, until=ago(1))],
    "media-counted": [
        edited("media", 0, day=ago(366)),
        edited("media", 0, **FUTURE),
        edited("media", 0, action="archived"),
        edited("media", 3, medium="tape 3"),
        kept("media", []),
    ],
    "media-wiped": [
        edited("media", 2, day=ago(99)),
        edited("media", 2, medium="tape 3"),
        edited("media", 2, action="counted"),
        kept("media", [entry(1, medium="tape 5", action="handed-over", place="x")]),
    ],
    "places-maintained": [*dated("upkeep", 0), edited("upkeep", 0, site="mobile1"), NO_PLACES],
    "custodians-named": [without("custodians", 0), edited("custodians", 0, **FUTURE), NO_PLACES],
    "taken-out-approved": [edited("taken-out", 1, approved_by="Li Ming"), edited("taken-out", 0, encrypted=False)],
    "documents-controlled": [
        without("documents", 0),
        without("documents", 1),
        edited("documents", 1, approved_by="Li Ming"),
    ],
    "manuals-there": [
        edited("documents", 3, platforms=["linux"]),
        edited("documents", 3, about="rules"),
        edited("documents", 3, **FUTURE),
        built(hosts={}),
    ],
    "tested-before-live": [
        without("security-tests", 0),
        edited("security-tests", 0, passed=False),
        edited("security-tests", 0, cryptography=False),
        edited("security-tests", 0, report=None),
        edited("security-tests", 0, phase="delivery"),
        edited("security-tests", 0, service="mail"),
        edited("security-tests", 0, **FUTURE),
        NO_SERVICES,
    ],
    "development-tested": [
        edited("security-tests", 2, passed=False),
        kept("security-tests", [ENTRIES["security-tests"][2], {**ENTRIES["security-tests"][2], "passed": False}]),
    ],
    "deliveries-examined": [
        edited("security-tests", 3, passed=False),
        kept("security-tests", [ENTRIES["security-tests"][3], {**ENTRIES["security-tests"][3], "passed": False}]),
    ],
    "source-changes-approved": [edited("source-changes", 0, approved_by="Li Ming"), kept("source-changes", [])],
    "suppliers-audited": [
        edited("supplier-audits", 0, **TOO_OLD),
        edited("supplier-audits", 0, **FUTURE),
        edited("supplier-audits", 1, supplier="Other"),
        kept("supplier-audits", []),
    ],
    "zones-defined": [
        built(lans=lambda city: tuple(replace(lan, zone="users") for lan in city.lans)),
        built(lans=overlapping),
        built(lans=overlapping_v4),
        hosted("town-caiqi", manage=("frr",)),
    ],
    "shared-sites-redundant": [
        built(links=lambda city: tuple(k for k in city.links if (k.child, k.parent) != ("hub-minqin", "core1"))),
    ],
    "links-encrypted": [lined(0), built(links=())],
    "rules-lean": [
        lambda given: _with_rules(given, "control", "routers", "tcp", (22,)),
        lambda given: _with_rules(given, "control", "routers", "any", ()),
    ],
    "management-encrypted": [
        built(links=lambda city: tuple(replace(k, medium="line") for k in city.links)),
        built(hosts={}, links=()),
    ],
    "assets-owned": [serviced("register", hosts=("shared-services", "noc", "backup")), built(hosts={})],
    "backups-named": [serviced("portal", backup=None), NO_SERVICES],
    "services-doubled": [serviced("register", hosts=("shared-services",)), NO_SERVICES],
    "logs-backed-up": [
        lambda given: serviced("monitoring", backup=_backup(given, "/var/lib"))(given),
        lambda given: serviced("monitoring", backup=_backup(given, "/var/log/egov/core1"))(given),
        serviced("monitoring", backup=None),
        hosted("noc", manage=("frr",)),
    ],
    "administrators-separated": [persons("system"), persons("security"), persons("audit")],
    "alerts-told": [mails_only, one_on_call, told(rota=None), planned(contacts=None)],
    "applies-ended": [
        unrecorded("apply.result"),
        and_recorded(applied("r1", 10, "noc", True)),
    ],
    "applies-named": [
        and_recorded(apply_begun("r2", 180, account="root")),
        and_recorded(apply_begun("r2", 180, account="")),
    ],
    "checks-routine": [
        and_recorded(checked(32, "units-active")),
        and_recorded(checked(32, "drift")),
        and_recorded(checked(32, "backups-fresh")),
        and_recorded(assessed(32)),
        recorded(assessed(1)),
        recorded(checked(1, "units-active", "drift", "backups-fresh")),
        recorded(checked(1, "units-active", "drift", "backups-fresh", status="unknown"), assessed(1)),
    ],
    "checks-full": [and_recorded(assessed(366)), recorded(assessed(1, 0, "commercial-cryptography")), recorded()],
    "repositories-watched": [
        recorded(looked(8, *BACKED_UP)),
        recorded(looked(1, *BACKED_UP[1:])),
        and_recorded(looked(1, BACKED_UP[0], missing=("a",))),
        and_recorded(looked(1, BACKED_UP[0], strange=("a",))),
        and_recorded(looked(-2, *BACKED_UP), looked(8, *BACKED_UP)),
        built(hosts={}),
    ],
    "state-sealed": [recorded(record("backup.sealed", 2, {})), recorded(record("backup.sealed", -1, {})), recorded()],
    "services-rehearsed": [
        rehearsed(covered("documents", 5), covered("mail", None)),
        rehearsed(covered("documents", 5), covered("mail", 91, overdue=True)),
        rehearsed(covered("documents", 5), covered("mail", 9, verdict="not_met")),
        rehearsed(),
    ],
    "drills-within-a-year": [
        rehearsed(covered("documents", 366, overdue=True)),
        rehearsed(covered("mail", None)),
        rehearsed(),
    ],
    "software-genuine": [
        and_recorded(counted(9, share("system", 0.699, 0.99), share("office", 1.0, 1.0))),
        and_recorded(counted(9, share("system", 1.0, 1.0), share("office", 0.0, 0.0))),
        and_recorded(counted(9, share("system", 0.7, 0.99), share("office", 0.6, 1.0))),
    ],
    "evidence-whole": [
        lambda given: changed(given, whole=Verdict(False, Head(3, NO_RECORD), reason="record 2 was changed"))
    ],
}
# What must give another status than pass or fail.
OTHER: list[tuple[str, Status, Change]] = [
    ("software-genuine", Status.PARTIAL, and_recorded(counted(9, share("system", 0.7, 0.99)))),
    (
        "software-genuine",
        Status.PARTIAL,
        and_recorded(counted(9, share("system", 0.9, 0.9), share("office", 0.8, 1.0))),
    ),
    ("software-genuine", Status.UNKNOWN, and_recorded(counted(9, share("system", 0.9, 1.0)))),
    ("software-genuine", Status.UNKNOWN, and_recorded(counted(9, NOTHING))),
    ("software-genuine", Status.UNKNOWN, recorded(counted(366, share("system", 1.0, 1.0)))),
    ("software-genuine", Status.MANUAL, recorded()),
    ("software-genuine", Status.MANUAL, recorded(counted(-1, share("system", 1.0, 1.0)))),
    ("checks-full", Status.PARTIAL, and_recorded(assessed(365, 1))),
    ("checks-full", Status.PARTIAL, and_recorded(assessed(1, 1, "mlps-level-2"), assessed(500))),
    ("applies-ended", Status.UNKNOWN, recorded()),
    ("applies-named", Status.UNKNOWN, recorded()),
    ("development-tested", Status.MANUAL, without("security-tests", 2)),
    ("deliveries-examined", Status.MANUAL, without("security-tests", 3)),
    ("development-tested", Status.MANUAL, edited("security-tests", 2, origin="contracted")),
    ("deliveries-examined", Status.MANUAL, edited("security-tests", 3, origin="own")),
]
# What must stay green though it is not the good city itself.
GREEN: dict[str, list[Change]] = {
    "training-within-a-year": [kept("trainings", [entry(0, topic="skills", who=["x"])])],
    "administrators-trained": [fresh("trainings", 0), fresh("trainings", 1), ONE_MANAGER],
    "emergency-plans-taught": [fresh("trainings", 2), ONE_MANAGER],
    "skills-tested": [fresh("tests", 0), ONE_MANAGER],
    "approvals-reviewed": [fresh("reviews", 0)],
    "rules-reviewed": [fresh("reviews", 1)],
    "emergency-plans-reviewed": [fresh("reviews", 2)],
    "audit-records-reviewed": [fresh("reviews", 3)],
    "malware-reviewed": [fresh("reviews", 4)],
    "emergency-plans-there": [ONE_SERVICE],
    "evaluations-yearly": [fresh("evaluations", 0), ONE_SERVICE],
    "evaluation-findings-mended": [kept("evaluations", ENTRIES["evaluations"][:1])],
    "grades-as-filed": [
        fresh("filings", 0),
        ONE_SERVICE,
        both(serviced("documents", grade=1), without("filings", 0)),
        edited("filings", 1, grade="S3A3"),
        serviced("register", grade="S3A2G3"),
        both(serviced("register", grade="S3A2G3"), edited("filings", 1, grade="S3A2")),
    ],
    "outside-contacts-listed": [fresh("outside-contacts", 0)],
    "ways-out-approved": [fresh("outside-connections", 0)],
    "media-counted": [fresh("media", 0), kept("media", ENTRIES["media"][:1])],
    "places-maintained": [fresh("upkeep", 0), ONE_PLACE],
    "custodians-named": [edited("custodians", 0, day=ago(9)), ONE_PLACE],
    "manuals-there": [ONE_HOST],
    "tested-before-live": [ONE_SERVICE],
    "suppliers-audited": [fresh("supplier-audits", 0), kept("supplier-audits", ENTRIES["supplier-audits"][:1])],
    "facilities-power-reserve": [fresh("facility-tests", 0), ONE_PLACE],
    "facilities-second-feed": [fresh("facility-tests", 5), ONE_PLACE],
    "facilities-fire": [fresh("facility-tests", 10), ONE_PLACE],
    "facilities-burglary": [fresh("facility-tests", 15), ONE_PLACE],
    "facilities-water": [fresh("facility-tests", 20), ONE_PLACE],
    "checks-notified": [fresh("documents", 2), recorded(assessed(365), assessed(5, 0, "egov-notice"))],
    "changes-approved": [ONE_APPLY, edited("approvals", 0, day=ago(30))],
    "applies-ended": [ONE_APPLY],
    "assets-owned": [ONE_HOST],
    "backups-named": [ONE_SERVICE],
    "services-doubled": [ONE_SERVICE],
    "applies-named": [
        ONE_APPLY,
        and_recorded(apply_begun("r2", 181, account="root"), apply_begun("r3", -1, account="root")),
    ],
    "checks-full": [recorded(assessed(365, 0, "mlps-level-2")), and_recorded(assessed(400, 5, "mlps-level-2"))],
    "incidents-reported": [kept("incidents", [])],
    "outsiders-approved": [edited("outsiders", 1, until=ago(5))],
    "services-rehearsed": [rehearsed(covered("documents", 5))],
    "links-encrypted": [built(links=lambda city: city.links[:1])],
    "repositories-watched": [
        built(hosts={BACKED_UP[0]: CONTEXT.city.hosts[BACKED_UP[0]]}, links=(), lans=()),
        and_recorded(looked(1, BACKED_UP[0], strange=("a",)), record("backup.accepted", 1, {"host": BACKED_UP[0]})),
    ],
    "state-sealed": [recorded(record("backup.sealed", 0, {}))],
    "software-genuine": [and_recorded(counted(-1, share("system", 0.0, 0.0)), counted(0, share("system", 1.0, 1.0)))],
    "drills-within-a-year": [rehearsed(covered("mail", 0), covered("portal", None))],
    "taken-out-approved": [kept("taken-out", [])],
    "outsiders-registered": [kept("outsiders", []), edited("outsiders", 0, applied=ago(61))],
    "outsiders-bound": [kept("outsiders", []), edited("outsiders", 0, secrecy=ago(61))],
    "security-post-single": [
        edited("posts", 0, day=ago(0)),
        edited("posts", 0, until=ago(0)),
        edited("posts", 4, until=None, day=ago(-1)),
        edited("posts", 6, who="Sun Li"),
    ],
    "posts-trained": [
        fresh("trainings", 3),
        fresh("trainings", 5),
        edited("trainings", 5, who=["Zhao", "Chen", "Zhou", "Sun Li"]),
        kept("posts", [entry(0, who="Zhao", post="system")]),
    ],
    "posts-tested": [
        fresh("tests", 1),
        edited("tests", 0, passed=["Chen", "Zhou", "Sun Li"]),
        kept("posts", [entry(0, who="Zhao", post="system")]),
    ],
    "leavers-rights-ended": [kept("leavers", []), edited("leavers", 0, account=None)],
    "leavers-bound": [kept("leavers", []), edited("leavers", 0, secrecy=ago(41))],
    "approval-matters-named": [
        kept("approvals", []),
        edited("approval-matters", 1, day=ago(0)),
        edited("approvals", 0, approved_by="Zhao", day=ago(184)),
        edited("approvals", 0, approved_by="Zhao", day=ago(-1)),
    ],
    "approval-matters-current": [edited("approval-matters", 3, day=ago(0))],
    "zones-defined": [built(lans=lambda city: tuple(lan for lan in city.lans if lan.zone != "services"))],
}


def _backup(given: Given, path: str) -> Any:
    backup = next(one.backup for one in given.context.plan.services if one.name == "monitoring")
    assert backup is not None
    return backup.model_copy(update={"paths": (path,)})


def _with_rules(given: Given, *more: Any) -> Given:
    """The policy is the suite's own; a rule too many can only be put into what is made of it."""
    from egovctl.checks.registers import planned as sections
    from egovctl.plan.policy import Permission, policy_of

    policy = policy_of(given.context.city)
    wide = replace(policy, permissions=(*policy.permissions, Permission(*more)))
    made = changed(given)
    made.done["rules"] = sections.rules_of(wide)
    return made
