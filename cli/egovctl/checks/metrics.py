"""Results as metrics: what the evidence says last of each check and drill, in Prometheus' text form.

egov_check_ok is there only for what was judged (1 pass, 0 fail or partial); egov_check_status says which of the
seven statuses holds. A pure function of the evidence, written to the NOC's textfile folder in one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from egovctl import transport
from egovctl.assess.objects import OBJECTS, is_object, service_of
from egovctl.assess.run import changes
from egovctl.assess.verdict import BAD
from egovctl.checks.context import Context
from egovctl.errors import CannotMeasure
from egovctl.evidence import Chain, Head, Record
from egovctl.evidence.keys import chains
from egovctl.evidence.signing import CHECKPOINT
from egovctl.i18n import tr

TEXTFILE = "/var/lib/prometheus/node-exporter/egov_checks.prom"
JUDGED_VALUES = {"pass": 1, "partial": 0, "fail": 0}
VERDICT_VALUES = {"met": 1, "not_met": 0}
DAY = 86_400
HELP = {
    "egov_check_ok": "1 when a check's statement is true of its subject, 0 when not; absent when it was not judged",
    "egov_check_status": "1 for the status that the check gave last",
    "egov_check_run_timestamp_seconds": "When the check was last run",
    "egov_drift_items": "Files, folders, units, kernel settings and packages of a host that are not as rendered",
    "egov_drill_verdict_ok": "1 when the last drill met the promise, 0 when not; absent when it could not say",
    "egov_drill_outcome": "1 for how the last drill ended: completed, aborted or error",
    "egov_drill_run_timestamp_seconds": "When the drill was last run",
    "egov_drill_rto_seconds": "How long the last restore took",
    "egov_drill_rto_promised_seconds": "How long a restore may take, as promised in the plan",
    "egov_drill_rpo_seconds": "How old the restored data were",
    "egov_drill_rpo_promised_seconds": "How old restored data may be, as promised in the plan",
    "egov_drill_files_compared": "Files, or rows of a database, that were compared with the manifest",
    "egov_backup_register_archives": "Archives in a repository at the last look",
    "egov_backup_register_missing": "Archives that control has seen in a repository, and that are gone",
    "egov_backup_register_strange": "Archives in a repository that no backup made",
    "egov_backup_register_timestamp_seconds": "When a repository was last looked at",
    "egov_backup_sealed_timestamp_seconds": "When control last sealed its own state",
    "egov_assess_items": "Requirements of a standard with each verdict in the last self-assessment",
    "egov_assess_rate": "Share of the requirements that are met in the last self-assessment: at least, and at most",
    "egov_assess_hazards": "Major hazards in the last self-assessment: at least, and at most",
    "egov_assess_run_timestamp_seconds": "When the last self-assessment ended",
    "egov_assess_worse_items": "Requirements that the last self-assessment judges worse than the one before",
    "egov_assess_accepted_until_timestamp_seconds": "When a risk that is accepted and still there stops being so",
    "egov_evidence_records": "Records in each evidence chain since it began",
    "egov_evidence_head_info": "The head of each evidence chain: how many records, and the hash of the last",
    "egov_evidence_signed_timestamp_seconds": "When the evidence chain was last signed",
}
Sample = tuple[str, dict[str, str], float]


def publish(context: Context, chain: Chain) -> str:
    """Write the metrics to the NOC's host; returns its name. HostSilent or CannotMeasure when that is not possible."""
    for host in context.city.hosts.values():
        if host.role == "noc" and "managed" in host.groups:
            heads = {item.writer: item.head() for item in chains(context.inventory)}
            text = exposition((record for record in chain.records() if _still(context, record)), heads)
            transport.write_file(context.inventory, host.name, TEXTFILE, text.encode())
            return host.name
    name = context.inventory.name
    raise CannotMeasure(
        tr(
            f"清单 {name} 中没有纳管的 noc 主机，结果无处展示",
            f"inventory {name} has no managed host of role noc to show the results on",
        )
    )


def _still(context: Context, record: Record) -> bool:
    """Whether it is of something that there still is: nobody can assess a service again that is gone."""
    name = record.body["standard"] if record.kind == "assess.standard" else ""
    return not is_object(name) or service_of(name) in {service.name for service in context.plan.services}


def exposition(records: Iterable[Record], heads: Mapping[str, Head]) -> str:
    """The text for these records and the heads of all writers: samples grouped by name, each group with its help."""
    samples = [*_latest(list(records)), *_chain_samples(heads)]
    lines = []
    for name, text in HELP.items():
        chosen = [sample for sample in samples if sample[0] == name]
        if chosen:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", *map(_line, chosen)]
    return "\n".join([*lines, ""])


def _latest(records: list[Record]) -> Iterator[Sample]:
    checks: dict[str, list[dict[str, Any]]] = {}
    drills: dict[tuple[str, str, str], tuple[str, dict[str, Any]]] = {}
    looks: dict[str, tuple[str, dict[str, Any]]] = {}
    assessed: dict[str, list[Record]] = {}
    accepted: dict[str, str] = {}
    sealed, signed = "", {}
    for record in records:
        if record.kind == "assess.result":
            by_check: dict[str, list[dict[str, Any]]] = {}
            for result in record.body["results"]:
                by_check.setdefault(result["check"], []).append(result)
            checks |= by_check
        elif record.kind == "drill.result":
            for item in record.body["items"]:
                drills[(record.body["drill"], item["service"], item["host"])] = (record.at, item)
        elif record.kind == "backup.look":
            looks |= {host: (record.at, found) for host, found in record.body["hosts"].items()}
        elif record.kind == "backup.accepted":
            nothing: dict[str, Any] = {"missing": [], "strange": []}
            at, found = looks.get(record.body["host"], (record.at, {"archives": 0}))
            looks[record.body["host"]] = (at, {**found, **nothing})
        elif record.kind == "assess.standard":
            name = record.body["standard"]
            assessed[name] = [*assessed.get(name, []), record][-2:]
        elif record.kind == "assess.accepted":
            accepted[record.body["item"]] = record.body["until"]
        elif record.kind == "backup.sealed":
            sealed = record.at
        elif record.kind == CHECKPOINT:
            signed[record.writer] = record.at
    for results in checks.values():
        for result in results:
            yield from _check_samples(result)
    for (drill, service, host), (at, item) in drills.items():
        yield from _drill_samples({"drill": drill, "service": service, "source": host}, at, item)
    for host, (at, found) in looks.items():
        yield from _look_samples({"source": host}, at, found)
    for last in assessed.values():
        yield from _assess_samples(last[-1])
        yield from _worse_samples(last)
    yield from _accepted_samples([last[-1] for last in assessed.values()], accepted)
    if sealed:
        yield "egov_backup_sealed_timestamp_seconds", {}, _seconds(sealed)
    for writer, at in signed.items():
        yield "egov_evidence_signed_timestamp_seconds", {"writer": writer}, _seconds(at)


def _check_samples(result: dict[str, Any]) -> Iterator[Sample]:
    labels = {"check": result["check"], "subject": result["subject"]}
    if result["status"] in JUDGED_VALUES:
        yield "egov_check_ok", labels, JUDGED_VALUES[result["status"]]
    if result["check"] == "drift" and result["status"] in JUDGED_VALUES:
        yield "egov_drift_items", {"host": result["subject"]}, result["shown"]["count"]
    yield "egov_check_status", {**labels, "status": result["status"]}, 1
    if result["observed_at"]:
        yield "egov_check_run_timestamp_seconds", labels, _seconds(result["observed_at"])


def _drill_samples(labels: dict[str, str], at: str, item: dict[str, Any]) -> Iterator[Sample]:
    if item["verdict"] in VERDICT_VALUES:
        yield "egov_drill_verdict_ok", labels, VERDICT_VALUES[item["verdict"]]
    yield "egov_drill_outcome", {**labels, "outcome": item["outcome"]}, 1
    yield "egov_drill_run_timestamp_seconds", labels, _seconds(at)
    for key in (
        "rto_seconds",
        "rto_promised_seconds",
        "rpo_seconds",
        "rpo_promised_seconds",
        "files_compared",
    ):
        if item.get(key) is not None:
            yield f"egov_drill_{key}", labels, item[key]


def _assess_samples(record: Record) -> Iterator[Sample]:
    labels, score = {"standard": record.body["standard"]}, record.body["score"]
    for verdict, count in score["counts"].items():
        yield "egov_assess_items", {**labels, "verdict": verdict}, count
    for bound in ("low", "high"):
        yield "egov_assess_rate", {**labels, "bound": bound}, score["rate_partial_0"][bound]
        yield "egov_assess_hazards", {**labels, "bound": bound}, score["hazards"][bound]
    yield "egov_assess_run_timestamp_seconds", labels, _seconds(record.at)


def _worse_samples(last: list[Record]) -> Iterator[Sample]:
    if len(last) == 2:
        worse = sum(change.worse for change in changes(last[0], last[1], None))
        yield "egov_assess_worse_items", {"standard": last[-1].body["standard"]}, worse


def _accepted_samples(records: list[Record], accepted: dict[str, str]) -> Iterator[Sample]:
    """Of risks that are still there; an acceptance that had run out before an assessment says nothing any more. A risk
    of several grading objects is one."""
    still: dict[tuple[str, str], str] = {}
    for record in records:
        name = record.body["standard"]
        for item, found in record.body["verdicts"].items():
            until = accepted.get(item, "")
            if found in BAD and until >= record.at[:10]:
                still[OBJECTS if is_object(name) else name, item] = until
    for (name, item), until in still.items():
        labels = {"standard": name, "item": item}
        yield "egov_assess_accepted_until_timestamp_seconds", labels, _seconds(f"{until}T00:00:00Z") + DAY


def _look_samples(labels: dict[str, str], at: str, found: dict[str, Any]) -> Iterator[Sample]:
    yield "egov_backup_register_archives", labels, found["archives"]
    yield "egov_backup_register_missing", labels, len(found["missing"])
    yield "egov_backup_register_strange", labels, len(found["strange"])
    yield "egov_backup_register_timestamp_seconds", labels, _seconds(at)


def _chain_samples(heads: Mapping[str, Head]) -> Iterator[Sample]:
    for writer, head in heads.items():
        yield "egov_evidence_records", {"writer": writer}, head.count
        yield "egov_evidence_head_info", {"writer": writer, "records": str(head.count), "hash": head.hash}, 1


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


def _line(sample: Sample) -> str:
    name, labels, value = sample
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    number = repr(int(value)) if float(value).is_integer() else repr(float(value))
    return f"{name}{{{inside}}} {number}" if inside else f"{name} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
