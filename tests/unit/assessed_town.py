"""A small made-up city with a standard and checks of its own, and self-assessments of it put on record by hand."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from egovctl.assess import kept_results
from egovctl.assess.score import score
from egovctl.assess.standards import Standard, standards
from egovctl.assess.statements import acceptances, keep, statements
from egovctl.assess.verdict import judge_standard
from egovctl.checks import content
from egovctl.checks.model import Result, Status
from egovctl.evidence import Chain, Record, open_chain
from egovctl.paths import Inventory

PROJECT = Path(__file__).resolve().parents[2]
FIRST, SECOND = "2026-08-03T01:00:00.000Z", "2026-11-02T01:30:00.000Z"
HOSTS = ("core1", "core2", "hub-minqin", "education", "minqin-education", "minqin-health")


def _item(name: str, zh: str, en: str, settles: str = "full", **more: Any) -> dict[str, Any]:
    return {"id": name, "by": "H", "settles": settles, "zh": zh, "en": en, "source": "from-memory", **more}


def _standard(name: str, zh: str, en: str, areas: dict[str, list[dict[str, Any]]], **more: Any) -> dict[str, Any]:
    listed = [
        {
            "id": area,
            "zh": {"computing": "计算环境", "rules": "管理制度"}[area],
            "en": {"computing": "Computing", "rules": "Rules"}[area],
            "items": len(items),
            "points": [{"id": str(number), "zh": "控制点", "en": "Control point", "items": items}],
        }
        for number, (area, items) in enumerate(areas.items(), 1)
    ]
    head = {"id": name, "title": {"zh": zh, "en": en}, "document": "T/TOWN 1-2026", "points": len(areas)}
    return {**head, "items": sum(len(items) for items in areas.values()), **more, "areas": listed}


STANDARDS = (
    _standard(
        "town-rules",
        "小城网络安全要求",
        "Town rules",
        {
            "computing": [
                _item("TR-1.1a", "没有空口令", "No empty passwords", clause="4.1.1 a)"),
                _item("TR-1.1b", "登录有次数限制", "Tries are limited", clause="4.1.1 b)"),
                _item("TR-1.2a", "时间一致", "Time in step", clause="4.1.2 a)"),
                _item(
                    "TR-1.2b", "使用国密算法", "Chinese algorithms", "none",
                    unmet={"zh": "WireGuard 不用国密算法", "en": "WireGuard uses none"},
                ),
            ],
            "rules": [
                _item("TR-2.1a", "有管理制度", "There are rules", "none"),
                _item("TR-2.1b", "有应急预案 =1+1 <b>", "There is an emergency plan =1+1 <b>", "none"),
                _item("TR-2.1c", "无外包", "Nothing is outsourced", "none"),
            ],
        },
        scored=True,
        hazards="town-hazards",
    ),
    _standard(
        "town-hazards", "小城高风险情形", "Town hazards",
        {"computing": [_item("TH-01", "存在空口令", "Empty passwords")]},
    ),
)  # fmt: skip


def _check(name: str, zh: str, en: str, items: list[str], tag: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "title": {"zh": zh, "en": en},
        "why": {"zh": zh, "en": en},
        "subject": "host",
        "collect": {"by": "facts", "sections": ["accounts"]},
        "expression": "true",
        "detail": {"zh": "不是", "en": "not so"},
        "detail_pass": {"zh": "是", "en": "so"},
        "fix": {"zh": f"修复{zh}", "en": f"Mend: {en}", **({"tag": tag} if tag else {})},
        "items": items,
        **more,
    }


CHECKS = (
    _check("town-no-empty", "没有空口令账户", "No empty password", ["TR-1.1a", "TH-01"]),
    _check("town-tries-limited", "登录次数有限", "Tries are limited", ["TR-1.1b"], "ssh"),
    _check(
        "town-time-in-step", "全市时间一致", "Time in step", ["TR-1.2a"],
        subject="city", collect={"by": "prometheus"},
    ),
)  # fmt: skip


def build(folder: Path) -> Inventory:
    """The lab's plan under another name, with the town's standard and checks."""
    root = folder / "inventories" / "town"
    shutil.copytree(PROJECT / "inventories/lab/plan", root / "plan")
    (folder / "ansible.cfg").touch()
    for kind, entries in (("standards", STANDARDS), ("checks", CHECKS)):
        (root / "content" / kind).mkdir(parents=True)
        for entry in entries:
            path = root / "content" / kind / f"{entry['id']}.yml"
            path.write_text(yaml.safe_dump(entry, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return Inventory(root)


class Clock:
    """The chain's clock and version, so that the same town has the same hashes each time."""

    def __init__(self, monkeypatch: Any) -> None:
        self.at = FIRST
        monkeypatch.setattr("egovctl.evidence.chain.now", lambda: self.at)
        monkeypatch.setattr("egovctl.evidence.chain.suite_version", lambda: "1.0")


def result(check: str, subject: str, status: Status = Status.PASS) -> Result:
    bad = status is not Status.PASS
    text = {"zh": "有空口令：guest", "en": "empty: guest"} if bad else {"zh": "没有", "en": "none"}
    return Result(check, subject, status, text, {}, hashlib.sha256(subject.encode()).hexdigest(), SECOND)


def results(bad: dict[tuple[str, str], Status]) -> list[Result]:
    """What the town's checks say of everything: good but for these."""
    seen = [(name, host) for name in ("town-no-empty", "town-tries-limited") for host in HOSTS]
    return [result(*where, bad.get(where, Status.PASS)) for where in [*seen, ("town-time-in-step", "town")]]


def record(
    inventory: Inventory, chain: Chain, run: str, standard: Standard, found: list[Result], at: Any, **more: Any
) -> Record:
    """Judge these results as a run does, and put them on record with the file beside. `more`: what the record says of
    hosts that were not asked again."""
    checks = content.checks(inventory).entries
    listed = [standard, *([standards(inventory).get(standard.hazards)] if standard.hazards else [])]
    said, risks = statements(inventory, chain, at), acceptances(chain, at)
    judged = [judge_standard(entry, checks, found, said, risks) for entry in listed]
    areas = {item.id: area.id for area, _, item in standard.walk()}
    hosts = {one.subject for one in found if checks[one.check].collect.by == "facts"}
    for host in sorted(hosts - set(more.get("reused", {}))):
        look(chain, run, host)
    every = [one for part in judged for one in part]
    whole = {
        "run": run,
        "standard": standard.id,
        "results": [asdict(one) for one in found],
        "judged": [asdict(one) for one in every],
    }
    sha256 = kept_results.keep(inventory, run, standard.id, whole)
    body = {
        "run": run,
        "standard": standard.id,
        "kind": "self-assessment",
        "started_at": chain_time(),
        "seconds": 4.2,
        "score": asdict(score(judged[0], areas, judged[1] if len(judged) > 1 else [])),
        "verdicts": {one.item: one.verdict.value for one in every},
        **more,
        "results_sha256": sha256,
    }
    return chain.append("assess.standard", json.loads(json.dumps(body)))


def look(chain: Chain, run: str, host: str) -> Record:
    """What a run collected on a host, as it is on record."""
    groups = {"accounts": {"at": SECOND, "asked": ["shadow"], "sha256": "0" * 64}}
    body = {"run": run, "host": host, "observed_at": chain_time(), "program_sha256": "1" * 64, "groups": groups}
    return chain.append("assess.facts", body)


def chain_time() -> str:
    """What the chain would write as the time now."""
    from egovctl.evidence import chain

    return chain.now()


def assess_twice(inventory: Inventory, clock: Clock, folder: Path) -> Chain:
    """A first assessment that is nearly good; then statements, an accepted risk, and one that is worse."""
    from datetime import datetime

    chain = open_chain(inventory, "rev-1")
    standard = standards(inventory).get("town-rules")
    record(inventory, chain, "run1", standard, results({}), datetime.fromisoformat(FIRST))
    clock.at = SECOND
    proof = folder / "rules.pdf"
    proof.write_bytes(b"signed")
    kept = keep(inventory, proof)
    said = {"text": "第 12 号文 no. 12", "by": "李明 Li Ming", "until": "2027-06-30"}
    chain.append("assess.statement", {"item": "TR-2.1a", "status": "met", **said, "attachments": [kept]})
    chain.append("assess.statement", {"item": "TR-2.1c", "status": "not_applicable", **said, "attachments": []})
    risk = {"reason": "网关已订购 gateway ordered", "owner": "李明 Li Ming", "approver": "王芳 Wang Fang"}
    chain.append("assess.accepted", {"item": "TR-1.2b", **risk, "until": "2027-01-31"})
    bad = {
        ("town-no-empty", "education"): Status.FAIL,
        ("town-tries-limited", "minqin-health"): Status.FAIL,
        ("town-tries-limited", "minqin-education"): Status.PARTIAL,
    }
    record(inventory, chain, "run2", standard, results(bad), datetime.fromisoformat(SECOND))
    return chain
