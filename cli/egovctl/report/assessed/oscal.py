"""A self-assessment as OSCAL assessment-results, for tools of others (NIST).

OSCAL knows satisfied and not-satisfied only: what is open is not satisfied for the reason "other", and the verdict of
ours is a property. Identifiers follow from the run, so that the same evidence gives the same file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from egovctl.assess.statements import Acceptance, Statement
from egovctl.assess.verdict import BAD, Judged, Verdict
from egovctl.checks.context import Context
from egovctl.checks.model import Result
from egovctl.evidence import Record
from egovctl.report.assessed.figures import summary
from egovctl.report.assessed.gather import Assessed
from egovctl.report.assessed.made import banner, title
from egovctl.report.words import STATUS, word

VERSION = "1.2.1"
NS = "https://egov-suite.invalid/ns/oscal"
STATES = {Verdict.MET: ("satisfied", "pass"), Verdict.NOT_APPLICABLE: ("satisfied", "other")}
STATES |= dict.fromkeys(BAD, ("not-satisfied", "fail"))
Json = dict[str, Any]


def oscal(context: Context, found: Assessed, now: datetime) -> Json:
    """The whole file."""
    ids = _Ids(found)
    past, run = found.past, found.past.run
    judged = (*found.judged, *found.hazards)
    subjects = list(dict.fromkeys(result.subject for result in found.results))
    items = past.standard.by_id | ({} if past.hazards is None else past.hazards.by_id)
    risks = [_risk(ids, found, one) for one in judged if one.accepted in past.acceptances]
    result: Json = {
        "uuid": ids.of("result"),
        "title": title(context, found),
        "description": _line(summary(found)),
        "start": _when(run.record.body["started_at"]),
        "end": _when(run.record.at),
        "props": [
            *_record_props(run.record),
            _prop("results-sha256", run.record.body["results_sha256"]),
            _prop("results-as-on-record", "no" if run.results is None else "yes"),
            _prop("chain-whole", "yes" if past.chain.ok else "no"),
            _prop("chain-head", str(past.head)),
            *(_prop(f"{name}-{end}", f"{value:.4f}") for name, end, value in _figures(found)),
        ],
        "reviewed-controls": {
            "control-selections": [{"include-controls": [{"control-id": one.item} for one in judged]}]
        },
        **_some("local-definitions", _inventory(ids, subjects)),
        **_some("observations", [*_observations(ids, found), *_statements(ids, found)]),
        **_some("risks", risks),
        "findings": [_finding(ids, found, one, str(items[one.item])) for one in judged],
        "remarks": banner(found),
    }
    plan = ids.of("plan")
    return {
        "assessment-results": {
            "uuid": ids.of("assessment"),
            "metadata": {
                "title": title(context, found),
                "last-modified": now.astimezone(UTC).isoformat(timespec="seconds"),
                "version": run.name,
                "oscal-version": VERSION,
                "props": [_prop("kind", "self-assessment"), _prop("scope", f"{found.scope.kind}:{found.scope.name}")],
                "remarks": banner(found),
            },
            "import-ap": {"href": f"#{plan}"},
            "results": [result],
            "back-matter": {
                "resources": [
                    {
                        "uuid": plan,
                        "title": f"egovctl assess run {past.standard.id}",
                        "description": _line(f"{past.standard.title} ({past.standard.document})"),
                    }
                ]
            },
        }
    }


class _Ids:
    """Identifiers that follow from the run, the part and a name."""

    def __init__(self, found: Assessed) -> None:
        self._base = f"{NS}/{found.past.run.name}/{found.scope.kind}/{found.scope.name}"

    def of(self, *names: str) -> str:
        return str(uuid5(NAMESPACE_URL, "/".join((self._base, *names))))


def _figures(found: Assessed) -> list[tuple[str, str, float]]:
    score = found.score
    named = {"rate": score.rate_partial_0, "rate-without-accepted": score.without_accepted, "hazards": score.hazards}
    return [(name, end, getattr(value, end)) for name, value in named.items() for end in ("low", "high")]


def _inventory(ids: _Ids, subjects: list[str]) -> Json:
    return (
        {}
        if not subjects
        else {"inventory-items": [{"uuid": ids.of("subject", name), "description": name} for name in subjects]}
    )


def _observations(ids: _Ids, found: Assessed) -> list[Json]:
    """One a check, with what it says of each subject."""
    observed = []
    for name, results in found.by_check.items():
        check = found.past.checks.get(name)
        times = [result.observed_at for result in results if result.observed_at]
        observed.append(
            {
                "uuid": ids.of("check", name),
                "title": name,
                "description": _line(str(check.title) if check else name),
                "methods": ["TEST"],
                "subjects": [_subject(ids, result) for result in results],
                **_some("relevant-evidence", [_evidence(record) for record in found.collected(check, results)]),
                "collected": _when(max(times, default=found.past.run.record.at)),
            }
        )
    return observed


def _subject(ids: _Ids, result: Result) -> Json:
    props = [_prop("status", result.status.value)]
    if result.facts_sha256:
        props.append(_prop("facts-sha256", result.facts_sha256))
    return {
        "subject-uuid": ids.of("subject", result.subject),
        "type": "inventory-item",
        "title": result.subject,
        "props": props,
        "remarks": _line(f"{word(STATUS, result.status.value)}: {result.text}"),
    }


def _statements(ids: _Ids, found: Assessed) -> list[Json]:
    """One a statement of a person that a verdict rests on."""
    told = [found.past.statements[seq] for one in found.judged if (seq := one.statement) in found.past.statements]
    return [_statement(ids, found, one) for one in {one.seq: one for one in told if one}.values()]


def _statement(ids: _Ids, found: Assessed, one: Statement) -> Json:
    return {
        "uuid": ids.of("statement", str(one.seq)),
        "title": one.item,
        "description": _line(f"{one.by}: {one.text}"),
        "methods": ["INTERVIEW" if not one.attachments else "EXAMINE"],
        "relevant-evidence": [
            _evidence(found.past.records[one.seq]),
            *({"description": _line(name), "props": [_prop("sha256", digest)]} for name, digest in one.attachments),
        ],
        "collected": _when(one.at),
        "expires": f"{one.until}T23:59:59Z",
    }


def _risk(ids: _Ids, found: Assessed, one: Judged) -> Json:
    assert one.accepted is not None  # noqa: S101 - asked for by the caller
    risk: Acceptance = found.past.acceptances[one.accepted]
    return {
        "uuid": ids.of("risk", one.item),
        "title": one.item,
        "description": _line(one.text),
        "statement": _line(risk.reason),
        "props": [
            *_record_props(found.past.records[risk.seq]),
            _prop("owner", risk.owner),
            _prop("approver", risk.approver),
        ],
        "status": "deviation-approved",
        "deadline": f"{risk.until}T23:59:59Z",
    }


def _finding(ids: _Ids, found: Assessed, one: Judged, name: str) -> Json:
    state, reason = STATES.get(one.verdict, ("not-satisfied", "other"))
    seen = [ids.of("check", check) for check in one.checks if check in found.by_check]
    if one.statement in found.past.statements:
        seen.append(ids.of("statement", str(one.statement)))
    target: Json = {
        "type": "statement-id",
        "target-id": one.item,
        "status": {"state": state, "reason": reason, "remarks": _line(one.text)},
    }
    if one.verdict is Verdict.NOT_APPLICABLE:
        target["implementation-status"] = {"state": "not-applicable"}
    return {
        "uuid": ids.of("finding", one.item),
        "title": _line(f"{one.item} {name}"),
        "description": _line(one.text),
        "props": [_prop("verdict", one.verdict.value), *_record_props(found.past.run.record)],
        "target": target,
        **_some("related-observations", [{"observation-uuid": identifier} for identifier in seen]),
        **_some("related-risks", [{"risk-uuid": ids.of("risk", one.item)}] if one.accepted is not None else []),
    }


def _evidence(record: Record) -> Json:
    return {"description": f"{record.kind} {record.seq}", "props": _record_props(record)}


def _record_props(record: Record) -> list[Json]:
    return [_prop("record", str(record.seq)), _prop("record-sha256", record.hash)]


def _prop(name: str, value: str) -> Json:
    return {"name": name, "ns": NS, "value": _line(value)}


def _some(name: str, value: Any) -> Json:
    """OSCAL has no empty lists."""
    return {name: value} if value else {}


def _line(text: str) -> str:
    """Text of one line; OSCAL takes none that is empty or has space at its ends."""
    return " ".join(text.split()) or "-"


def _when(text: str) -> str:
    return datetime.fromisoformat(text).isoformat()
