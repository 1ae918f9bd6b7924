"""What a check, a checklist and a result are. Content files (content/checks/*.yml) are the first two."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from egovctl.i18n import pick

SubjectKind = Literal["city", "host", "service", "lan", "website"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]


class Status(StrEnum):
    """The closed set of statuses; nothing else is ever recorded."""

    PASS = "pass"  # noqa: S105 - a status
    PARTIAL = "partial"
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"
    MANUAL = "manual"
    UNKNOWN = "unknown"
    ERROR = "error"


JUDGED = frozenset({Status.PASS, Status.PARTIAL, Status.FAIL})


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Model):
    """One text in both languages."""

    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]

    def __str__(self) -> str:
        return pick({"zh": self.zh, "en": self.en})


class Query(Model):
    """A PromQL expression ($subject stands for the subject's name) and the labels that name its series."""

    expr: str
    key: Annotated[tuple[str, ...], Field(min_length=1)]


class Collect(Model):
    """Which collector observes, and what of it: `sections` of a host program, or queries of Prometheus."""

    by: Name
    sections: tuple[str, ...] = ()
    queries: dict[str, Query] = {}


class Fix(Model):
    """What mends it: `tag` is the tag of site.yml to apply, `limit` where.

    `limit` is the subject itself (a host, a service's hosts, a LAN's router), every host, or a role's.
    """

    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]
    tag: str | None = None
    limit: Annotated[str, Field(pattern=r"^(subject|all|role_[a-z]+)$")] = "subject"

    def __str__(self) -> str:
        return pick({"zh": self.zh, "en": self.en})


class Check(Model):
    """A statement that is true when all is well.

    `where` chooses among the subjects (CEL over `subject`); a plan that has none of them is an error, or not applicable
    for the reason in `absent`. `tells` says whether what was collected speaks of it at all (else it is for people:
    manual), `measured` whether it suffices to judge (else unknown). `expression` is the statement, `partial` a weaker
    one. `show` names what `detail` prints. All are CEL over `subject`, `planned` and `seen`.
    """

    id: Name
    title: Text
    why: Text
    subject: SubjectKind
    where: str = "true"
    absent: Text | None = None
    collect: Collect
    tells: str = "true"
    measured: str = "true"
    expression: str
    partial: str | None = None
    show: dict[str, str] = {}
    detail: Text
    detail_pass: Text
    fix: Fix
    # The requirements of standards that this is evidence for. Those of `items` it settles, with the other checks that
    # name them, as far as the standard's list says; of those of `supports` it can only show that a part is not met.
    items: tuple[str, ...] = ()
    supports: tuple[str, ...] = ()


class Checklist(Model):
    """The requirements of one standard: which checks, in which order."""

    id: Name
    title: Text
    why: Text
    checks: Annotated[tuple[Name, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Result:
    """What one check says of one subject. `detail` is in both languages; `shown` are the values in it."""

    check: str
    subject: str
    status: Status
    detail: dict[str, str]
    shown: dict[str, Any] = field(default_factory=dict)
    facts_sha256: str = ""
    observed_at: str = ""

    @property
    def text(self) -> str:
        return pick(self.detail)


class NotApplicable(Exception):
    """A collector found that the statement has no meaning for a subject; the reason in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.reason = {"zh": zh, "en": en}
