"""The facts collector: one read-only pass a host for all the checks of a run; what was asked is kept for evidence."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from typing import Any

import rfc8785

from egovctl import transport
from egovctl.checks.collect import onhost_facts
from egovctl.checks.collect.base import Facts, Observed, Request
from egovctl.checks.context import Context
from egovctl.checks.facts import decode
from egovctl.errors import CannotMeasure
from egovctl.evidence.record import now
from egovctl.i18n import both, told

COMMAND_SECONDS = 60  # an upgrade is simulated without apt's caches: 3 s of CPU, more on a busy host
HOST_SECONDS = 180
Read = dict[str, dict[str, Any] | CannotMeasure]  # by group
CLOCK_SECONDS = 300  # a host whose clock is further off than this says nothing that can be dated


@dataclass(frozen=True)
class Look:
    """One pass over one host: `groups` is what its program answered, group by group."""

    host: str
    observed_at: str
    program_sha256: str
    cpu_seconds: float
    groups: dict[str, Any]

    def evidence(self) -> dict[str, Any]:
        """For the record, by group: when it was observed (the host's clock), what was asked, a hash of the answer."""
        return {
            "host": self.host,
            "observed_at": self.observed_at,
            "program_sha256": self.program_sha256,
            "cpu_seconds": round(self.cpu_seconds, 3),
            "groups": {name: _described(name, group) for name, group in self.groups.items()},
        }


def _described(name: str, group: Any) -> dict[str, Any]:
    answers = group["answers"]
    commands = {query: " ".join(argv) for query, argv in onhost_facts.COMMANDS.get(name, {}).items()}
    return {
        "at": datetime.fromtimestamp(group["at"], UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "asked": [commands.get(query, query) for query in sorted(answers)],
        "sha256": hashlib.sha256(rfc8785.dumps(answers)).hexdigest(),
    }


def collect(context: Context, requests: list[Request]) -> list[Observed]:
    """Facts for each request's hosts; a host that does not answer gives its exception, the others go on."""
    wanted: dict[str, set[str]] = {}
    for request in requests:
        for host in request.subjects:
            wanted.setdefault(host, set()).update(set(request.collect.sections) & set(onhost_facts.GROUPS))
    known: dict[str, Look] = {
        host: context.kept[host]
        for host in wanted
        if host in context.kept and wanted[host] <= context.kept[host].groups.keys()
    }
    asked = transport.each(wanted.keys() - known.keys(), lambda host: look(context, host, sorted(wanted[host])))
    context.looks.update({host: answer for host, answer in asked.items() if isinstance(answer, Look)})
    context.reused.update(known)
    answers: dict[str, Look | Exception] = {**known, **asked}
    facts = {host: read(answer) for host, answer in answers.items()}
    return [
        {
            host: facts_of(facts.get(host), host, request.collect.sections, planned(context, host))
            for host in request.subjects
        }
        for request in requests
    ]


@lru_cache(maxsize=1)
def program() -> str:
    """The text of the program that is sent."""
    return resources.files("egovctl.checks.collect").joinpath("onhost_facts.py").read_text(encoding="utf-8")


def look(context: Context, host: str, groups: list[str]) -> Look:
    """One pass over one host. HostSilent, or CannotMeasure when what comes back is not the program's answer."""
    text = program()
    params = {"groups": groups, "seconds": COMMAND_SECONDS}
    answer = transport.run_python(context.inventory, host, text, params, timeout=HOST_SECONDS)
    return as_look(host, groups, answer)


def as_look(host: str, groups: list[str], answer: Any) -> Look:
    """The answer of the program as a Look; CannotMeasure when its types, groups or time are not what they must be."""
    at = now()
    try:
        if answer["protocol"] != onhost_facts.PROTOCOL:
            raise ValueError(told("协议版本不同", "it speaks another protocol"))
        found = {name: answer["groups"][name] for name in groups}
        for name, group in found.items():
            _dated(name, group["at"], at)
            rfc8785.dumps(group["answers"])
        cpu = float(answer["cpu"])
        if not 0 <= cpu < 1e6:
            raise ValueError(told("所报 CPU 时间无效", "its CPU time is none"))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, UnicodeError) as error:
        reason = {name: re.sub(r"\s+", " ", text)[:120] or type(error).__name__ for name, text in both(error).items()}
        raise CannotMeasure(
            told(
                f"{host}：采集程序的应答不可用：{reason['zh']}",
                f"{host}: the collecting program's answer is no use: {reason['en']}",
            )
        ) from None
    return Look(host, at, hashlib.sha256(program().encode()).hexdigest(), cpu, found)


def _dated(name: str, at: Any, here: str) -> None:
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at < 1e11:
        raise ValueError(told(f"{name} 的时刻无效", f"the time of {name} is none"))
    if abs(at - datetime.fromisoformat(here).timestamp()) > CLOCK_SECONDS:
        raise ValueError(told(f"主机时钟相差超过 {CLOCK_SECONDS} 秒", f"its clock is more than {CLOCK_SECONDS} s off"))


def planned(context: Context, host: str) -> dict[str, Any]:
    """What a host's facts are held against."""
    found = context.city.hosts[host]
    names = {"lo", *(item.name for item in found.interfaces)}
    v6 = context.plan.addressing.v6
    parts = v6.network_address.exploded.split(":")[: v6.prefixlen // 16]
    return {
        "interfaces": sorted(names | ({found.outside.name} if found.outside else set())),
        # As each address of the city begins.
        "v6": "".join(f"{part.lstrip('0') or '0'}:" for part in parts),
        "ports": sorted(f"udp {item.listen_port}" for item in found.tunnels if item.listen_port),
    }


def facts_of(
    answer: Read | Exception | None, host: str, groups: tuple[str, ...], plan: dict[str, Any] | None = None
) -> Facts:
    """What one check's groups say of one host, or why nothing."""
    if answer is None or isinstance(answer, Exception):
        return answer or CannotMeasure(told(f"{host}：没有应答", f"{host}: no answer"))
    seen: dict[str, Any] = {}
    for group in groups:
        part = answer.get(group) or CannotMeasure(told(f"没有事实组 {group}", f"there is no group of facts {group}"))
        if isinstance(part, CannotMeasure):
            return part
        seen |= part
    return {"planned": plan or {}, "seen": seen}


def read(answer: Look | Exception) -> Read | Exception:
    """The facts of each group of a look, or why there are none; each group is read once for all checks."""
    if isinstance(answer, Exception):
        return answer
    found: Read = {}
    for group, entry in answer.groups.items():
        try:
            found[group] = decode(answer.host, group, entry["answers"], entry["at"])
        except CannotMeasure as error:
            found[group] = error
    return found
