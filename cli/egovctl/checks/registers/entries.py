"""The kinds of registers and their entries: inventories/<city>/registers/<kind>.yml, read strictly.

An entry is a dated statement of a person who answers for it. What a machine can say of entries it says: that they are
regular, complete, and fit the plan. That they are true it cannot.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, Strict, model_validator

from egovctl.checks.content import Shelf, read_shelf
from egovctl.checks.model import Model, Name
from egovctl.i18n import told
from egovctl.plan.grades import levels
from egovctl.plan.models import Grade

Day = Annotated[date, Strict()]
Line = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
Names = Annotated[tuple[Line, ...], Field(min_length=1)]
Count = Annotated[int, Strict(), Field(ge=0, le=100_000)]


class Entry(Model):
    """What all entries have: the day it was, who answers for it, and a note for readers."""

    day: Day
    by: Line
    note: Line | None = None


class Training(Entry):
    """Who was taught what."""

    kind: Literal["trainings"]
    topic: Literal["awareness", "skills", "emergency-plans", "duties"]
    who: Names


class SkillsTest(Entry):
    """Whose skills were tested, and who of them passed."""

    kind: Literal["tests"]
    who: Names
    passed: tuple[Line, ...]


class Incident(Entry):
    """What happened or was suspected; `day` is when it was noticed. A closed one has a cause and a lesson."""

    kind: Literal["incidents"]
    threat: Literal["failure", "environment", "mistake", "malware", "attack", "abuse", "leak", "physical"]
    what: Line
    services: tuple[Line, ...] = ()
    reported: Day | None = None
    closed: Day | None = None
    cause: Line | None = None
    lesson: Line | None = None

    @model_validator(mode="after")
    def _closed_whole(self) -> Self:
        if self.closed is not None and (self.cause is None or self.lesson is None):
            raise ValueError(
                told("已关闭的事件应有原因（cause）和教训（lesson）", "a closed incident has a cause and a lesson")
            )
        return self


class Approval(Entry):
    """A plan that was approved before it is applied: the first digits of its revision, and who approved it."""

    kind: Literal["approvals"]
    plan: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
    approved_by: Line


class Review(Entry):
    """What was gone through again, and with which outcome."""

    kind: Literal["reviews"]
    about: Literal["rules", "approvals", "emergency-plans", "audit-records", "malware-protection"]
    outcome: Line


class Evaluation(Entry):
    """A classified-protection evaluation by a licensed body: what it found, and how much of that is mended."""

    kind: Literal["evaluations"]
    body: Line
    report: Line
    services: Names
    findings: Count
    mended: Count

    @model_validator(mode="after")
    def _no_more_mended(self) -> Self:
        if self.mended > self.findings:
            raise ValueError(told("已整改的多于发现的", "more is mended than was found"))
        return self


class Filing(Entry):
    """A service's grade as filed with the public security organs."""

    kind: Literal["filings"]
    service: Line
    grade: Grade
    number: Line


class Contact(Entry):
    """An outside contact; `day` is when it was last found right."""

    kind: Literal["outside-contacts"]
    organisation: Line
    person: Line
    reach: Line
    field: Line


class Connection(Entry):
    """A way out of the network at one host; `day` is when it was last checked."""

    kind: Literal["outside-connections"]
    host: Line
    purpose: Line
    approved_by: Line


class Outsider(Entry):
    """Somebody from outside who had access until when: when it was applied for in writing, who opened the account with
    which rights, when confidentiality was signed; `removed` is when access was taken back."""

    kind: Literal["outsiders"]
    who: Line
    organisation: Line
    approved_by: Line
    until: Day
    applied: Day | None = None
    opened_by: Line | None = None
    rights: Line | None = None
    secrecy: Day | None = None
    removed: Day | None = None


class Medium(Entry):
    """What was done to a storage medium."""

    kind: Literal["media"]
    medium: Line
    action: Literal["counted", "handed-over", "archived", "wiped", "destroyed"]
    place: Line


class Upkeep(Entry):
    """A maintenance of a site's equipment and lines."""

    kind: Literal["upkeep"]
    site: Line
    what: Line


class Document(Entry):
    """A document in force; `day` is when it was issued."""

    kind: Literal["documents"]
    about: Literal["policy", "rules", "manual", "emergency-plan", "check-notice"]
    title: Line
    version: Line
    approved_by: Line
    platforms: tuple[Line, ...] = ()
    services: tuple[Line, ...] = ()


class FacilityTest(Entry):
    """A site's facility tried."""

    kind: Literal["facility-tests"]
    facility: Literal["ups", "second-feed", "fire", "burglary", "water"]
    site: Line
    passed: Annotated[bool, Strict()]


class TakenOut(Entry):
    """Equipment that left the premises."""

    kind: Literal["taken-out"]
    what: Line
    approved_by: Line
    has_data: Annotated[bool, Strict()]
    encrypted: Annotated[bool, Strict()]


class SecurityTest(Entry):
    """A service's software examined."""

    kind: Literal["security-tests"]
    service: Line
    phase: Literal["development", "delivery", "going-live"]
    origin: Literal["own", "contracted"]
    passed: Annotated[bool, Strict()]
    cryptography: Annotated[bool, Strict()] = False
    report: Line | None = None


class SupplierAudit(Entry):
    """A supplier looked at."""

    kind: Literal["supplier-audits"]
    supplier: Line
    outcome: Line


class Custodian(Entry):
    """Who answers for a site's machine room from a day on."""

    kind: Literal["custodians"]
    site: Line
    who: Line


class SourceChange(Entry):
    """A change of a service's own source: its version, and who let it in."""

    kind: Literal["source-changes"]
    service: Line
    version: Line
    approved_by: Line


class Post(Entry):
    """Who holds which post from a day on, until when; `account` is that of an administrator in the plan."""

    kind: Literal["posts"]
    who: Line
    post: Line
    account: Line | None = None
    full_time: Annotated[bool, Strict()] = False
    until: Day | None = None


class Leaver(Entry):
    """Somebody who left on a day: when their rights ended, what they handed back, when they signed confidentiality."""

    kind: Literal["leavers"]
    who: Line
    account: Line | None = None
    rights_ended: Day | None = None
    returned: Line | None = None
    secrecy: Day | None = None
    approved_by: Line | None = None


class ApprovalMatter(Entry):
    """What needs approval, by which department and which persons; `day` is when that was last found right."""

    kind: Literal["approval-matters"]
    about: Literal["change", "operation", "physical-access", "system-access", "other"]
    matter: Line
    department: Line
    approvers: Names


AnyEntry = Annotated[
    Training
    | SkillsTest
    | Incident
    | Approval
    | Review
    | Evaluation
    | Filing
    | Contact
    | Connection
    | Outsider
    | Medium
    | Upkeep
    | Document
    | FacilityTest
    | TakenOut
    | SecurityTest
    | SupplierAudit
    | Custodian
    | SourceChange
    | Post
    | Leaver
    | ApprovalMatter,
    Field(discriminator="kind"),
]
KINDS: tuple[str, ...] = tuple(
    get_args(one.model_fields["kind"].annotation)[0] for one in get_args(get_args(AnyEntry)[0])
)


class Register(Model):
    """One file: all entries of one kind, in any order. `kind` of each is the file's name, and need not be written."""

    id: Name
    entries: tuple[AnyEntry, ...]

    @model_validator(mode="before")
    @classmethod
    def _kinds(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("entries"), list):
            return data
        if data.get("id") not in KINDS:
            known = ", ".join(KINDS)
            raise ValueError(told(f"没有这种登记；有：{known}", f"there is no such register; there is: {known}"))
        entries = [{"kind": data["id"], **one} if isinstance(one, dict) else one for one in data["entries"]]
        return {**data, "entries": entries}

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if any(entry.kind != self.id for entry in self.entries):
            raise ValueError(told(f"有一条的种类不是 {self.id}", f"an entry is of another kind than {self.id}"))
        return self


def registers(folder: Path) -> Shelf[Register]:
    """All registers that a city keeps; those that cannot be read are named in `broken`, with file and line."""
    # Not kept between calls: the office goes on writing.
    return read_shelf.__wrapped__("register", Register, (folder,))


def plain(entry: Entry, today: date) -> dict[str, Any]:
    """An entry for CEL: days count back from today (negative: still to come), what is missing is "" and 0 days.

    `levels` is "" where a grade is one number: S and A were not set apart there.
    """
    found: dict[str, Any] = {}
    for name in type(entry).model_fields:
        value = getattr(entry, name)
        if name == "kind":
            continue
        if isinstance(value, date):
            found[name], found["days" if name == "day" else f"{name}_days"] = value.isoformat(), (today - value).days
        elif name == "grade":
            found[name], found["levels"] = levels(value).general, "" if isinstance(value, int) else value
        elif value is None:
            found[name] = ""
        else:
            found[name] = list(value) if isinstance(value, tuple) else value
    return found
